/*
 * .dockerignore and --exclude, with moby's meaning: the last pattern that matches a path, or a
 * folder that it lies in, decides; "!" takes back in.
 *
 *     AUTO(ignore_freep) struct ignore *ig = NULL;
 *     ignore_parse(text, len, ".dockerignore", &ig, err);
 *     if (ignore_excludes(ig, "src/main.o", false, NULL)) ...
 *
 * Patterns are compiled once. Reading is thread-safe.
 */
#ifndef SLIPWAY_BUILDER_IGNORE_H
#define SLIPWAY_BUILDER_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct ignore;

/* Reads the LEN bytes of an ignore file (BOM, comments, blank lines, CRLF); FILE is its name for
 * messages. A bad pattern is ERR_USAGE with its place. More than LIMIT_DOCKERIGNORE_BYTES too. */
int ignore_parse(const char *text, size_t len, const char *file, struct ignore **out,
                 struct error *err);

/* The same from COUNT patterns (--exclude), which have no comments. Their "line" is their number
 * from 1. */
int ignore_parse_patterns(const char *const *patterns, size_t count, struct ignore **out,
                          struct error *err);

/* Whether PATH (tree form, "" is never excluded) is left out. LINE_OUT, unless NULL: the line that
 * decided (left out or taken back in), 0 if none matched. IG may be NULL: nothing is. */
bool ignore_excludes(const struct ignore *ig, const char *path, bool is_dir, unsigned *line_out);

/* Whether folder PATH is left out and nothing below it can be taken back in, so that nobody needs
 * to look inside. */
bool ignore_prunes(const struct ignore *ig, const char *path);

/* The text of the pattern on LINE as written, borrowed; NULL if there is none. */
const char *ignore_pattern_at(const struct ignore *ig, unsigned line);

/* Whether a pattern takes something back in ("!"). */
bool ignore_has_exceptions(const struct ignore *ig);

/* Whether a pattern leaves out everything by itself, as * does. */
bool ignore_takes_all(const struct ignore *ig);

/* The number of patterns. */
size_t ignore_count(const struct ignore *ig);

/* Cleanup for AUTO(). */
void ignore_freep(struct ignore **ig);

#endif
