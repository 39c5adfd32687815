/*
 * Git URLs as docker, git and AWS write them, taken apart.
 *
 *     https://[USER[:PASSWORD]@]HOST[:PORT]/PATH.git[#ref[:subdir]]    also git+https://, http://
 *     ssh://[USER@]HOST[:PORT]/PATH   git+ssh://   ssh+git://   USER@HOST:PATH
 *     git://HOST/PATH   file:///PATH   github.com/OWNER/NAME
 *     codecommit::REGION://[PROFILE@]NAME   codecommit://[PROFILE@]NAME
 *
 * Before the fragment each may have a query with BuildKit's words: ?ref= branch= tag= commit=
 * checksum= subdir= keep-git-dir submodules mtime= fetch-by-commit.
 *
 * Nothing here touches disk or network. Control characters, also percent-encoded ones, are refused:
 * they would reach the line protocol of git's credential helpers.
 */
#ifndef SLIPWAY_GIT_URL_H
#define SLIPWAY_GIT_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum git_scheme { GIT_URL_HTTP, GIT_URL_HTTPS, GIT_URL_SSH, GIT_URL_GIT, GIT_URL_FILE };

/* All strings are owned; those that a form lacks are NULL. */
struct git_url {
    enum git_scheme scheme;
    char *
        fetch; /* what libgit2 is given: no user info but ssh's user, no fragment; FILE: the path */
    char *display;  /* fit for messages and as the mirror's key: no secret, no fragment */
    char *user;     /* decoded */
    char *password; /* decoded */
    char *host;     /* as written, without brackets */
    unsigned port;  /* 0: the scheme's own */
    char *path;     /* with its leading slash as in the URL; not decoded, but for FILE */
    char *ref;      /* NULL: HEAD */
    char *subdir;   /* tree form; "" for the root, never NULL */
    char *region;   /* CodeCommit: region of the host or of codecommit::REGION:// */
    char *profile;  /* CodeCommit: the AWS profile of codecommit://PROFILE@NAME */
    bool codecommit;
    char *checksum; /* hex: what the commit's id, or its tag's, must begin with; NULL: any */
    char *as_ref;   /* fetch-by-commit: the name that the commit `ref` has in a .git; else NULL */
    bool keep_git_dir;  /* the query asks for a .git */
    bool drop_git_dir;  /* the query refuses it */
    bool no_submodules; /* submodules=false */
    bool commit_times;  /* mtime=commit */
};

/* Whether TEXT names a git repository (see git/source.h). */
bool git_is_url(const char *text);

/* Takes TEXT apart; an absolute path is taken as FILE too. ERR_USAGE in one line without secrets. A
 * codecommit:// without region takes that of its profile, else AWS_REGION, AWS_DEFAULT_REGION; else
 * it is an error. */
int git_url_parse(const char *text, struct git_url *out, struct error *err);

/* The query QUERY (without "?", not decoded, LEN bytes) into OUT, behind whose fragment it comes:
 * ref and subdir of both must agree. ERR_USAGE for words and values that BuildKit does not know. */
int git_url_query(const char *query, size_t len, struct git_url *out, struct error *err);

/* LEN bytes of TEXT without percent-encoding; NULL where that holds a control character. The
 * caller's. */
char *git_url_decode(const char *text, size_t len);

/* The URL of a submodule: TEXT as .gitmodules has it, relative ("./", "../") to BASE or whole.
 * Credentials of BASE go along where host and scheme stay the same. File URLs are taken only below
 * a FILE base. */
int git_url_resolve(const struct git_url *base, const char *text, struct git_url *out,
                    struct error *err);

/* A copy of all parts; release it too. */
void git_url_copy(const struct git_url *from, struct git_url *out);

/* Frees what URL holds. */
void git_url_release(struct git_url *url);

/* TEXT with everything between "://" and "@" of each URL in it replaced by "***": for texts of
 * libraries. The caller's. */
char *git_url_redact(const char *text);

#endif
