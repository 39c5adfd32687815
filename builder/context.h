/*
 * The build context: a folder, a git commit, a tar archive or standard input, as a tree that
 * .dockerignore has been applied to; and the Dockerfile that is read from it.
 *
 *     context_open(request, &context, err)         finds and reads the Dockerfile
 *     context_tree(context, &tree, err)            the files; a folder is only scanned here
 *     context_free(context)
 *
 * context_tree() may be called from several threads.
 */
#ifndef SLIPWAY_BUILDER_CONTEXT_H
#define SLIPWAY_BUILDER_CONTEXT_H

#include "base/buf.h"
#include "builder/build.h"
#include "builder/ignore.h"
#include "oci/tree.h"

struct context;

/* Opens REQUEST's context and reads its Dockerfile. ERR_USAGE where either is missing; errors of
 * git as they come. Borrows REQUEST. */
int context_open(const struct build_request *request, struct context **out, struct error *err);

/* Opens VALUE of `--build-context NAME=VALUE`, a folder or a git URL, with its own .dockerignore.
 */
int context_open_named(const struct build_request *request, const char *value, struct context **out,
                       struct error *err);

/* Reads the file NAME of the context (with a part: of the part), whatever .dockerignore says of it.
 * *FOUND_OUT: whether there is such a file. */
int context_read(struct context *context, const char *name, size_t max, struct buf *out,
                 bool *found_out, struct error *err);

/* Call when the build is over: remembers the digests of the files that were read, so that the next
 * build need not read them. */
void context_save(struct context *context);

/* Gives a folder's tree back; who asks for it again after that gets it made once more. Trees that
 * context_tree() gave end with it, unless somebody holds them. */
void context_drop_tree(struct context *context);

/* Cleanup for AUTO(). */
void context_freep(struct context **context);

/* The Dockerfile's name as messages show it, and its text. Borrowed. */
const char *context_dockerfile_name(const struct context *context);

/* The text of the Dockerfile. Borrowed. */
const struct buf *context_dockerfile(const struct context *context);

/* Whether it is a folder of this machine, whose files only looking at them can tell about. */
bool context_is_folder(const struct context *context);

/* What the context is called where it may be written down: never with credentials. Borrowed. */
const char *context_name(const struct context *context);

/* The files that .dockerignore leaves. Borrowed: lives as long as the context, or until
 * context_drop_tree(). */
int context_tree(struct context *context, struct tree **out, struct error *err);

/* Which line of the ignore file takes out PATH (tree form), which is there: "excluded by
 * .dockerignore line 3: *.o". NULL: none does, or PATH is not there; else the caller's. */
char *context_why_excluded(struct context *context, const char *path);

/* What the ignore file says, borrowed; NULL: there is none. */
const struct ignore *context_ignore(const struct context *context);

/* The commit time of the context's git HEAD, in seconds; false where it is not in git. */
bool context_commit_time(const struct context *context, int64_t *seconds_out);

#endif
