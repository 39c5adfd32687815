/*
 * Large blobs, read bit by bit: libgit2 reads every object whole, as most of those in packs are
 * differences that have to be put together. Large ones mostly are none.
 */
#ifndef SLIPWAY_GIT_BLOB_STREAM_H
#define SLIPWAY_GIT_BLOB_STREAM_H

#include "base/stream.h"
#include "git/libgit2.h"

/* From this size (bytes) on it is worth while. */
enum { BLOB_STREAM_MIN = 4 * 1024 * 1024 };

/* A reader of the blob ID of SIZE bytes from the object folder OBJECTS (gitrepository-layout(5),
 * gitformat-pack(5)), either a file of its own or one that is whole in a pack. NULL: it is neither,
 * or lies in another folder; then only libgit2 can read it. A read of damaged data is ERR_STORE,
 * and the mirror of ours at MIRROR (copied; NULL: none) is marked as broken. */
struct reader *blob_stream_open(const char *objects, const git_oid *id, uint64_t size,
                                const char *mirror);

#endif
