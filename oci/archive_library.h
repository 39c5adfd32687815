/*
 * libarchive, loaded when the first archive needs it.
 *
 * With the libraries that it needs itself (XML, Unicode data, ...) it takes as long to load as all
 * others together, and most commands never read an archive.
 */
#ifndef SLIPWAY_OCI_ARCHIVE_LIBRARY_H
#define SLIPWAY_OCI_ARCHIVE_LIBRARY_H

#include <archive.h>
#include <archive_entry.h>

#include "base/error.h"

/* Its functions as archive.h declares them, without "archive_". */
#define ARCHIVE_FUNCTIONS(X)                                                                       \
    X(read_new)                                                                                    \
    X(read_free)                                                                                   \
    X(read_open)                                                                                   \
    X(read_next_header)                                                                            \
    X(read_data)                                                                                   \
    X(read_support_filter_gzip)                                                                    \
    X(read_support_filter_bzip2)                                                                   \
    X(read_support_filter_xz)                                                                      \
    X(read_support_filter_zstd)                                                                    \
    X(read_support_format_raw)                                                                     \
    X(read_support_format_tar)                                                                     \
    X(set_error)                                                                                   \
    X(error_string)                                                                                \
    X(version_details)                                                                             \
    X(entry_pathname)                                                                              \
    X(entry_hardlink)                                                                              \
    X(entry_symlink)                                                                               \
    X(entry_filetype)

struct archive_library {
#define ARCHIVE_MEMBER(NAME) __typeof__(archive_##NAME) *NAME;
    ARCHIVE_FUNCTIONS(ARCHIVE_MEMBER)
#undef ARCHIVE_MEMBER
};

/* The library, for the life of the process. ERR_STORE where it cannot be loaded. */
int archive_library_get(const struct archive_library **out, struct error *err);

#endif
