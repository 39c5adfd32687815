/*
 * Reading an index. Its form: a magic line, the number of entries, the entries, and the SHA-256 of
 * all that.
 *
 * Numbers are variable-length (7 bits per byte, low first); a path is said as how many bytes it
 * shares with the path before and the rest; a text as length and bytes.
 */
#include "oci/tree_index.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "oci/store_internal.h"
#include "oci/tree_index_internal.h"

#define LIMIT_INDEX_BYTES (4 * GIB)

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

/* What is left to read; BAD once something did not fit. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static uint64_t get_uint(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (c->at == c->end) {
            break;
        }
        uint8_t byte = *c->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    c->bad = true;
    return 0;
}

static uint64_t get_max(struct cursor *c, uint64_t max)
{
    uint64_t value = get_uint(c);
    if (value > max) {
        c->bad = true;
        return 0;
    }
    return value;
}

static const void *get_bytes(struct cursor *c, size_t len)
{
    if (len > (size_t)(c->end - c->at)) {
        c->bad = true;
        return NULL;
    }
    const void *data = c->at;
    c->at += len;
    return data;
}

/* What one entry borrows while it is added. */
struct decoded {
    char path[LIMIT_PATH_BYTES + 1];
    char link[LIMIT_LINK_BYTES + 1];
    struct xattr xattrs[LIMIT_XATTRS_PER_ENTRY];
    char *names[LIMIT_XATTRS_PER_ENTRY];
};

/* Puts LEN bytes as a string at TO; they may hold no NUL. */
static void get_text(struct cursor *c, char *to, size_t len)
{
    const void *data = get_bytes(c, len);
    if (!data || memchr(data, '\0', len)) {
        c->bad = true;
        len = 0;
    } else {
        memcpy(to, data, len);
    }
    to[len] = '\0';
}

static void get_path(struct cursor *c, struct decoded *d)
{
    size_t shared = (size_t)get_max(c, strlen(d->path));
    size_t rest = (size_t)get_max(c, LIMIT_PATH_BYTES - shared);
    get_text(c, d->path + shared, rest);
    c->bad = c->bad || !path_is_clean(d->path);
}

static void get_xattrs(struct cursor *c, struct decoded *d, struct entry *e)
{
    uint32_t count = (uint32_t)get_max(c, LIMIT_XATTRS_PER_ENTRY);
    for (uint32_t i = 0; i < count && !c->bad; i++) {
        size_t len = (size_t)get_max(c, 255);
        d->names[i] = mem_alloc(len + 1);
        e->xattrs_len = (uint16_t)(i + 1);
        get_text(c, d->names[i], len);
        size_t size = (size_t)get_max(c, LIMIT_XATTR_BYTES);
        d->xattrs[i] = (struct xattr){d->names[i], get_bytes(c, size), size};
    }
    e->xattrs = d->xattrs;
}

static void get_entry(struct cursor *c, struct decoded *d, struct entry *e)
{
    get_path(c, d);
    e->path = d->path;
    e->type = (uint8_t)get_max(c, ENTRY_WHITEOUT);
    e->flags = (uint8_t)get_max(c, UINT8_MAX);
    e->mode = (uint32_t)get_max(c, UINT32_MAX);
    e->uid = (uint32_t)get_max(c, UINT32_MAX);
    e->gid = (uint32_t)get_max(c, UINT32_MAX);
    e->mtime = unzigzag(get_uint(c));
    e->size = get_uint(c);
    e->handle = get_uint(c);
    uint32_t major = (uint32_t)get_max(c, UINT32_MAX);
    uint32_t minor = (uint32_t)get_max(c, UINT32_MAX);
    if (entry_is_device(e)) {
        e->rdev_major = major;
        e->rdev_minor = minor;
    }
    size_t link = (size_t)get_max(c, LIMIT_LINK_BYTES + 1);
    if (link > 0) {
        get_text(c, d->link, link - 1);
        e->link = d->link;
    }
    if (e->flags & ENTRY_HAS_DIGEST) {
        const void *digest = get_bytes(c, sizeof e->digest.bytes);
        if (digest) {
            memcpy(e->digest.bytes, digest, sizeof e->digest.bytes);
        }
    }
    get_xattrs(c, d, e);
}

static struct tree *decode_entries(struct cursor *c, struct content_source *source)
{
    AUTO(tree_builder_freep) struct tree_builder *builder = tree_builder_new();
    AUTO(mem_freep) struct decoded *d = mem_calloc(1, sizeof *d);
    uint64_t count = get_max(c, LIMIT_ENTRIES);
    for (uint64_t i = 0; i < count && !c->bad; i++) {
        struct entry entry = {0};
        get_entry(c, d, &entry);
        bool has_link = entry.type == ENTRY_SYMLINK || entry.type == ENTRY_HARDLINK;
        c->bad = c->bad || has_link != (entry.link != NULL);
        if (!c->bad) {
            entry.source = entry.type == ENTRY_FILE && entry.size > 0 ? source : NULL;
            tree_builder_add(builder, &entry);
        }
        for (uint32_t k = 0; k < entry.xattrs_len; k++) {
            mem_freep(&d->names[k]);
        }
    }
    if (c->bad || c->at != c->end) {
        return NULL;
    }
    return tree_builder_finish(MEM_STEAL(builder));
}

struct tree *tree_index_decode(const void *data, size_t len, struct content_source *source)
{
    struct digest digest;
    if (len < TREE_INDEX_MAGIC_LEN + sizeof digest.bytes ||
        memcmp(data, TREE_INDEX_MAGIC, TREE_INDEX_MAGIC_LEN) != 0) {
        return NULL;
    }
    size_t body = len - sizeof digest.bytes;
    digest_of(data, body, &digest);
    if (memcmp(digest.bytes, (const uint8_t *)data + body, sizeof digest.bytes) != 0) {
        return NULL;
    }
    struct cursor cursor = {.at = (const uint8_t *)data + TREE_INDEX_MAGIC_LEN,
                            .end = (const uint8_t *)data + body};
    return decode_entries(&cursor, source);
}

bool tree_index_is_there(struct store *store, const struct digest *diff_id)
{
    char path[TREE_INDEX_PATH_SIZE];
    tree_index_path(diff_id, path);
    return faccessat(store_fd(store), path, F_OK, 0) == 0;
}

int tree_index_load(struct store *store, const struct digest *diff_id,
                    struct content_source *source, struct tree **out, struct error *err)
{
    char path[TREE_INDEX_PATH_SIZE];
    tree_index_path(diff_id, path);
    AUTO(buf_release) struct buf data = BUF_INIT_LARGE(LIMIT_INDEX_BYTES);
    bool found = false;
    store_touch(store, path);
    if (file_read(store_fd(store), path, LIMIT_INDEX_BYTES, &data, &found, err) != 0) {
        return -1;
    }
    *out = found ? tree_index_decode(data.data, data.len, source) : NULL;
    return 0;
}
