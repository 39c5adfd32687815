/* Writing an index, whose form is told in tree_index.c: entry by entry, so that the index of a
 * large layer needs no tree of its own. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/store_internal.h"
#include "oci/tree_index.h"
#include "oci/tree_index_internal.h"

enum { FLUSH_BYTES = 128 * 1024 };

static void put_uint(struct buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf_putc(out, (char)(value | 0x80));
        value >>= 7;
    }
    buf_putc(out, (char)value);
}

static void put_bytes(struct buf *out, const void *data, size_t len)
{
    put_uint(out, len);
    buf_append(out, data, len);
}

/* Times before 1970 are small numbers too. */
static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static void put_path(struct buf *out, const char *before, const char *path)
{
    size_t shared = 0;
    while (before[shared] && before[shared] == path[shared]) {
        shared++;
    }
    put_uint(out, shared);
    put_bytes(out, path + shared, strlen(path + shared));
}

static void put_entry(struct buf *out, const struct entry *e)
{
    const bool device = entry_is_device(e);
    put_uint(out, e->type);
    put_uint(out, e->flags);
    put_uint(out, e->mode);
    put_uint(out, e->uid);
    put_uint(out, e->gid);
    put_uint(out, zigzag(e->mtime));
    put_uint(out, e->size);
    put_uint(out, device ? 0 : e->handle);
    put_uint(out, device ? e->rdev_major : 0);
    put_uint(out, device ? e->rdev_minor : 0);
    put_uint(out, e->link ? strlen(e->link) + 1 : 0);
    buf_append(out, e->link ? e->link : "", e->link ? strlen(e->link) : 0);
    if (e->flags & ENTRY_HAS_DIGEST) {
        buf_append(out, e->digest.bytes, sizeof e->digest.bytes);
    }
    put_uint(out, e->xattrs_len);
    for (uint32_t i = 0; i < e->xattrs_len; i++) {
        put_bytes(out, e->xattrs[i].name, strlen(e->xattrs[i].name));
        put_bytes(out, e->xattrs[i].value, e->xattrs[i].size);
    }
}

static void put_head(struct buf *out, size_t count)
{
    buf_append(out, TREE_INDEX_MAGIC, TREE_INDEX_MAGIC_LEN);
    put_uint(out, count);
}

void tree_index_encode(const struct tree *tree, struct buf *out)
{
    size_t start = out->len;
    put_head(out, tree_len(tree));
    const char *before = "";
    for (size_t i = 0; i < tree_len(tree); i++) {
        const struct entry *entry = tree_at(tree, i);
        put_path(out, before, entry->path);
        put_entry(out, entry);
        before = entry->path;
    }
    struct digest digest;
    digest_of(out->data + start, out->len - start, &digest);
    buf_append(out, digest.bytes, sizeof digest.bytes);
}

void tree_index_path(const struct digest *diff_id, char out[TREE_INDEX_PATH_SIZE])
{
    char hex[DIGEST_HEX_SIZE];
    snprintf(out, TREE_INDEX_PATH_SIZE, "trees/%s", digest_hex(diff_id, hex));
}

struct tree_index_writer {
    struct store *store;
    char *temp; /* the unfinished file; NULL once it has its name */
    int fd;
    struct buf pending;
    struct buf before; /* the path of the last entry */
    struct hasher *hasher;
    size_t left; /* entries that are still to come */
};

void tree_index_writer_freep(struct tree_index_writer **writer)
{
    struct tree_index_writer *w = *writer;
    *writer = NULL;
    if (!w) {
        return;
    }
    if (w->temp) {
        unlinkat(store_fd(w->store), w->temp, 0);
    }
    fd_closep(&w->fd);
    buf_release(&w->pending);
    buf_release(&w->before);
    hasher_freep(&w->hasher);
    free(w->temp);
    free(w);
}

int tree_index_writer_open(struct store *store, size_t count, struct tree_index_writer **out,
                           struct error *err)
{
    AUTO(tree_index_writer_freep) struct tree_index_writer *w = mem_calloc(1, sizeof *w);
    *w = (struct tree_index_writer){.store = store,
                                    .fd = -1,
                                    .pending = BUF_INIT(0),
                                    .before = BUF_INIT(0),
                                    .hasher = hasher_new(),
                                    .left = count};
    AUTO(mem_freep) char *temp = NULL;
    if (store_temp_name(store, &temp, err) != 0) {
        return -1;
    }
    if (file_open(store_fd(store), temp, O_WRONLY | O_CREAT | O_EXCL, STORE_FILE_MODE, &w->fd,
                  err) != 0) {
        return store_fault(store, err);
    }
    w->temp = MEM_STEAL(temp);
    put_head(&w->pending, count);
    *out = MEM_STEAL(w);
    return 0;
}

static int flush(struct tree_index_writer *w, struct error *err)
{
    hasher_add(w->hasher, w->pending.data, w->pending.len);
    if (file_write_fd(w->fd, "a layer's index", w->pending.data, w->pending.len, err) != 0) {
        return store_fault(w->store, err);
    }
    buf_clear(&w->pending);
    return 0;
}

int tree_index_writer_add(struct tree_index_writer *w, const struct entry *entry, struct error *err)
{
    assert(w->left > 0);
    w->left--;
    put_path(&w->pending, buf_text(&w->before), entry->path);
    put_entry(&w->pending, entry);
    buf_clear(&w->before);
    buf_puts(&w->before, entry->path);
    return w->pending.len < FLUSH_BYTES ? 0 : flush(w, err);
}

int tree_index_writer_commit(struct tree_index_writer *w, const struct digest *diff_id,
                             struct error *err)
{
    assert(w->left == 0);
    char path[TREE_INDEX_PATH_SIZE];
    struct digest digest;
    int dir = store_fd(w->store);
    tree_index_path(diff_id, path);
    if (flush(w, err) != 0) {
        return -1;
    }
    hasher_finish(w->hasher, &digest);
    if (file_write_fd(w->fd, path, digest.bytes, sizeof digest.bytes, err) != 0 ||
        file_make_dirs(dir, "trees", STORE_DIR_MODE, err) != 0) {
        return store_fault(w->store, err);
    }
    if (renameat(dir, w->temp, dir, path) != 0) {
        error_errno(err, ERR_STORE, "rename to '%s'", path);
        return store_fault(w->store, err);
    }
    mem_freep(&w->temp);
    return 0;
}

int tree_index_save(struct store *store, const struct digest *diff_id, const struct tree *tree,
                    struct error *err)
{
    AUTO(tree_index_writer_freep) struct tree_index_writer *w = NULL;
    if (tree_index_writer_open(store, tree_len(tree), &w, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < tree_len(tree); i++) {
        if (tree_index_writer_add(w, tree_at(tree, i), err) != 0) {
            return -1;
        }
    }
    return tree_index_writer_commit(w, diff_id, err);
}
