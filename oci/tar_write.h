/*
 * Tar headers as layers have them: one entry, one sequence of bytes, whatever the machine or
 * library.
 *
 * ustar (POSIX.1-1988) wherever it can say it, else one pax header (POSIX.1-2001) in front with
 * only the records that are needed, in this order: path, linkpath, size, uid, gid, mtime,
 * SCHILY.xattr.* by name. Names are bytes: nothing is converted. Owners are numbers only. Folder
 * names end in "/", the root's own entry is "./". A deletion of "a/b" is an empty file "a/.wh.b" of
 * mode 0, owner 0:0 and time 0, as containerd and BuildKit write it (image-spec, layer.md,
 * "Whiteouts").
 *
 * A hard link carries its file's metadata and xattrs and no content: unpackers apply owner and mode
 * of every entry, and a chown drops file capabilities that are not said again.
 */
#ifndef SLIPWAY_OCI_TAR_WRITE_H
#define SLIPWAY_OCI_TAR_WRITE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "oci/tree.h"

enum { TAR_BLOCK = 512 };

/* Adds the header of ENTRY with time MTIME to OUT; the last 512 bytes are the ustar header. What
 * tar or a layer cannot say (a name ".wh.X", an opaque folder, a hard link to nothing, an xattr
 * name with
 * "=") is ERR_STEP naming the entry. */
int tar_header_append(const struct entry *entry, int64_t mtime, struct buf *out, struct error *err);

/* Puts another time into a ustar HEADER made by tar_header_append(): 0 <= MTIME < 2^33. */
void tar_header_set_mtime(char header[TAR_BLOCK], int64_t mtime);

/* Zero bytes that follow SIZE bytes of content. */
size_t tar_padding(uint64_t size);

/* Bytes that end an archive: two blocks of zeros. */
enum { TAR_END_BYTES = 2 * TAR_BLOCK };

#endif
