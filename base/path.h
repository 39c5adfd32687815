/*
 * Paths as text. Inside trees a path is relative, without a leading or trailing slash, without "",
 * "." or ".." components; the root is "". Nothing here touches the disk.
 */
#ifndef SLIPWAY_BASE_PATH_H
#define SLIPWAY_BASE_PATH_H

#include <stdbool.h>

#include "base/error.h"

/* Cleans PATH lexically ("a//b/./c/../d" is "a/b/d"), absolute or not, never rising above the root:
 * the form used in trees. The result is the caller's. */
char *path_clean(const char *path);

/* As Go's path.Clean on an absolute path: "/" + path_clean(PATH). The result is the caller's. */
char *path_clean_absolute(const char *path);

/* DIR + "/" + NAME, cleaned as by path_clean; an absolute NAME starts from the root. The result is
 * the caller's. */
char *path_join(const char *dir, const char *name);

/* Whether PATH is in the form used in trees and within LIMIT_PATH_BYTES. */
bool path_is_clean(const char *path);

/* The last component, borrowed from PATH ("" for the root). */
const char *path_name(const char *path);

/* The path without its last component ("" for what lies in the root). The result is the caller's.
 */
char *path_parent(const char *path);

/* Whether PATH is DIR or lies below it (both in tree form). */
bool path_is_below(const char *path, const char *dir);

#endif
