/*
 * Line ends of checked out files. Where .gitattributes says eol=crlf, git keeps a file with LF and
 * checks it out with CRLF (gitattributes(5), "text" and "eol"); a tree that is read from the object
 * database must do the same to be what a checkout is.
 *
 * Only what the repository says counts, never the user's core.autocrlf and core.eol: the same
 * commit is the same files everywhere.
 */
#ifndef SLIPWAY_GIT_EOL_H
#define SLIPWAY_GIT_EOL_H

#include <stdbool.h>

#include "base/buf.h"
#include "git/libgit2.h"

/* The attributes of one commit, or of a work tree. Used by one thread. */
struct git_eol;

/* Those that COMMIT has, whose objects lie in ODB. NULL where libgit2 cannot; its error is set. */
struct git_eol *git_eol_of_commit(git_odb *odb, const git_oid *commit);

/* Those that lie in the work tree of REPO, which must outlive it. */
struct git_eol *git_eol_of_work_tree(git_repository *repo);

/* Cleanup for AUTO(). */
void git_eol_freep(struct git_eol **eol);

/* Whether a .gitattributes of these LEN bytes may ask for CRLF at all. */
bool git_eol_may_matter(const char *text, size_t len);

/* What the attributes of a file ask for. */
enum eol_wish { EOL_AS_IT_IS, EOL_CRLF, EOL_CRLF_IF_TEXT };

/* What is asked for the file at PATH of the repository. */
enum eol_wish git_eol_wish(struct git_eol *eol, const char *path);

/* Whether a checkout gives CRLF to a file of which WISH is asked and DATA, LEN bytes, is the blob.
 */
bool git_eol_is_crlf(enum eol_wish wish, const char *data, size_t len);

/* Adds DATA to OUT with CRLF in place of each LF that has no CR before it. */
void git_eol_to_crlf(const char *data, size_t len, struct buf *out);

/* Adds DATA to OUT with LF in place of each CRLF. */
void git_eol_to_lf(const char *data, size_t len, struct buf *out);

#endif
