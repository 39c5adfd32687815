/*
 * The store: content-addressed blobs and small records in files, shared by concurrent builds, safe
 * against a kill at any moment.
 *
 *     blobs/sha256/HEX           blobs: layers (compressed), configs, manifests
 *     records/KIND/NAME          small files: step results, tags, layers by diff id, origins,
 * resolutions trees/HEX                  tree index of the layer with that diff id
 *     unpacked/RUNG/HEX/         unpacked layers for RUN
 *     tars/HEX                   inflated layers (random access for COPY --from)
 *     git/HEX/                   bare mirrors, by the hash of the URL
 *     cache-mounts/HEX/          RUN --mount=type=cache
 *     locks/NAME                 flock'ed while somebody works on NAME
 *     tmp/PID-RANDOM/            this process's unfinished files; whose owner is gone is removed by
 * the next who opens the store
 *
 * Everything is written to a temporary name and renamed. A file whose content is its name needs no
 * lock. No function waits for another process but store_lock(), and store_touch() for the moment
 * that it takes to remove a file.
 *
 * Making room: the time (mtime) of a blob, record, tree index, unpacked layer, inflated layer, git
 * mirror or cache mount is when it was last used. A process that relies on what it finds calls
 * store_hold() first; from then on the first use of each thing in it makes that thing's time the
 * present (the functions here do so themselves; who opens the store's folders on his own calls
 * store_touch() first). Who makes room (oci/prune.h) removes only what was not used since the
 * oldest process that holds the store began, so that nothing vanishes under a running build. A
 * thing is removed in one step (unlink, or rename into tmp/): a kill leaves it whole or gone.
 */
#ifndef SLIPWAY_OCI_STORE_H
#define SLIPWAY_OCI_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/stream.h"
#include "base/strlist.h"
#include "oci/digest.h"

struct store;

/* Opens (makes) the store in folder PATH; NULL: $SLIPWAY_HOME, else $XDG_DATA_HOME/slipway, else
 * ~/.local/share/slipway. ERR_STORE. */
int store_open(const char *path, struct store **out, struct error *err);
/* Removes this process's temporary folder and closes. Cleanup for AUTO(). */
void store_freep(struct store **store);

/* The store's folder: as an absolute path (borrowed), and as a descriptor (borrowed). */
const char *store_path(const struct store *store);

/* The store's folder as a descriptor, borrowed. */
int store_fd(const struct store *store);

/* From now on this process relies on what it finds in the store: nothing of it is removed by others
 * until the store is closed. (Whoever writes to the store holds it by that.) ERR_STORE. */
int store_hold(struct store *store, struct error *err);
/* Says that PATH (relative to store_fd()) is used by the process that holds the store; false where
 * it is not there. */
bool store_touch(struct store *store, const char *path);
/* For who makes room: what was last used at *SINCE_OUT (ns since 1970) or later is or may be in
 * use; *OTHERS_OUT processes hold the store besides. From then on this process's own looking counts
 * as no use. */
int store_unused_since(struct store *store, int64_t *since_out, unsigned *others_out,
                       struct error *err);
/* Removes the file or folder PATH unless it was used at SINCE or later. *REMOVED_OUT is false if it
 * stays, or was not there. */
int store_remove_unused(struct store *store, const char *path, int64_t since, bool *removed_out,
                        struct error *err);

/* A new empty folder inside this process's part of tmp/: its path relative to store_fd(), the
 * caller's. */
int store_temp_dir(struct store *store, char **path_out, struct error *err);
/* A name for a temporary file inside this process's part of tmp/, relative to store_fd(), the
 * caller's. Not created. */
int store_temp_name(struct store *store, char **path_out, struct error *err);
/* An empty temporary file for reading and writing that has no name any more: it is gone with its
 * descriptor. */
int store_temp_file(struct store *store, int *fd_out, struct error *err);

/* Removes the folder PATH inside this process's part of tmp/ soon, on a thread of its own, and at
 * the latest in store_freep(): removing can wait for the disk, where every freed block is
 * discarded. */
void store_remove_later(struct store *store, const char *path);

/* Whether the blob is there; its size (may be NULL). */
bool store_has_blob(struct store *store, const struct digest *digest, uint64_t *size_out);
/* Opens a blob for reading. A missing one is ERR_STORE. SIZE_OUT may be NULL. */
int store_open_blob(struct store *store, const struct digest *digest, int *fd_out,
                    uint64_t *size_out, struct error *err);
/* Reads a small blob whole (at most MAX bytes) and verifies its digest. */
int store_read_blob(struct store *store, const struct digest *digest, size_t max, struct buf *out,
                    struct error *err);
/* Stores LEN bytes as a blob. */
int store_put_blob(struct store *store, const void *data, size_t len, struct digest *digest_out,
                   struct error *err);
/* Removes a blob; a missing one is fine. */
int store_remove_blob(struct store *store, const struct digest *digest, struct error *err);

/* A blob being written: a writer (base/stream.h) that hashes. Freed without commit it leaves
 * nothing behind. */
struct blob_writer;

/* Begins a blob. ERR_STORE. */
int blob_writer_open(struct store *store, struct blob_writer **out, struct error *err);

/* Where the blob's bytes go. Borrowed: it ends with W. */
struct writer *blob_writer_stream(struct blob_writer *w);
/* What is written is to become DIGEST: those who expect it read along (oci/incoming.h). To be
 * called before the first byte. */
void blob_writer_expected(struct blob_writer *w, const struct digest *digest);
/* The file that it is written to, borrowed: what it has was written, in order. */
int blob_writer_fd(const struct blob_writer *w);
/* Bytes so far. */
uint64_t blob_writer_size(const struct blob_writer *w);
/* Drops what was written and begins again (a download that starts over). */
int blob_writer_restart(struct blob_writer *w, struct error *err);
/* Ends and renames. EXPECTED (may be NULL) and EXPECTED_SIZE (UINT64_MAX: unknown) are compared:
 * ERR_REMOTE where they differ. DIGEST_OUT and SIZE_OUT may be NULL. The writer must still be
 * freed. */
int blob_writer_commit(struct blob_writer *w, const struct digest *expected, uint64_t expected_size,
                       struct digest *digest_out, uint64_t *size_out, struct error *err);
/* Cleanup for AUTO(). */
void blob_writer_freep(struct blob_writer **w);

/* Records: KIND is a folder name of ours ("steps", "tags", "layers", "origins", "resolved",
 * "stat"), NAME any text (long or odd names are hashed for the file's name; the record itself keeps
 * NAME). Replaced atomically. */
int store_record_put(struct store *store, const char *kind, const char *name, const void *data,
                     size_t len, struct error *err);
/* *FOUND_OUT says whether there is one; OUT gets its bytes. A damaged record counts as missing. */
int store_record_get(struct store *store, const char *kind, const char *name, struct buf *out,
                     bool *found_out, struct error *err);

/* A record's value as it lies on disk: no memory of the process's own, however large. */
struct record_view {
    const char *value; /* not terminated; NULL: there is none */
    size_t len;        /* bytes */
    const void *mapping;
};
/* As store_record_get(). OUT is to be released in any case. */
int store_record_view(struct store *store, const char *kind, const char *name,
                      struct record_view *out, struct error *err);

/* Gives the mapping back. */
void record_view_release(struct record_view *view);

/* Removes a record; a missing one is fine. ERR_STORE. */
int store_record_remove(struct store *store, const char *kind, const char *name, struct error *err);
/* The names of all records of KIND, sorted. */
int store_record_list(struct store *store, const char *kind, struct strlist *out,
                      struct error *err);

/* An exclusive lock on NAME among all processes (flock on locks/NAME) and threads; waits, and gives
 * up on cancel. Release by store_unlock. */
int store_lock(struct store *store, const char *name, int *lock_out, struct error *err);
/* Cleanup for AUTO(): -1 is fine. */
void store_unlockp(int *lock);

/* Where a blob is known to be: "HOST/REPOSITORY" texts, newest first, at most 16: for
 * cross-repository mounts and for fetching lazily. */
int store_origin_add(struct store *store, const struct digest *digest, const char *host_repository,
                     struct error *err);

/* Adds the places of the blob DIGEST, newest first, to OUT. */
int store_origin_list(struct store *store, const struct digest *digest, struct strlist *out,
                      struct error *err);

#endif
