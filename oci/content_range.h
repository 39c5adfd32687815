/* Readers of files that lie one behind the other in an open file (a tar, a layer). */
#ifndef SLIPWAY_OCI_CONTENT_RANGE_H
#define SLIPWAY_OCI_CONTENT_RANGE_H

#include "oci/tree.h"

/* Reads entry->size bytes at entry->handle of FD, which SOURCE owns: the reader holds a reference
 * of it. */
struct reader *content_range_reader(struct content_source *source, int fd,
                                    const struct entry *entry);

/* A source whose files lie in FD, which it takes over, where their handles say. */
struct content_source *content_fd(int fd);

#endif
