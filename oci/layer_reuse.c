/*
 * Tables of blocks. A table is the line "blocks 1", and 52 bytes for each block: SHA-256 of the raw
 * bytes, their number (4), where the compressed ones lie in the blob (8), their number (4) and
 * CRC-32 (4), all little endian. The store's records carry a checksum of their own.
 */
#include "oci/layer_reuse.h"

#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/memory.h"

enum { ROW_BYTES = 52, TABLES_MAX = 48 };
static const char magic[] = "blocks 1\n";
#define MAGIC_LEN (sizeof magic - 1)

struct row {
    struct digest raw;
    uint32_t raw_len;
    uint64_t offset;
    uint32_t len;
    uint32_t crc;
    uint32_t blob; /* index of the blob it lies in */
};

struct blob {
    struct digest digest;
    int fd; /* -1: not opened yet; -2: gone */
};

struct layer_reuse {
    struct store *store;
    char list[64]; /* the compression and its library's version: blocks depend on both */
    pthread_mutex_t lock;
    bool loaded;
    struct row *rows; /* sorted by digest once loaded */
    size_t rows_len;
    struct blob blobs[TABLES_MAX];
    size_t blobs_len;
    bool has_like;
    struct digest like; /* the blob of the first block found */
    struct buf table;   /* of the layer that is written */
};

struct layer_reuse *layer_reuse_new(struct store *store, const struct layer_codec *codec)
{
    struct layer_reuse *reuse = mem_calloc(1, sizeof *reuse);
    reuse->store = store;
    snprintf(reuse->list, sizeof reuse->list, "%s-%s-%s", layer_codec_name(codec),
             LIBDEFLATE_VERSION_STRING, ZSTD_versionString());
    pthread_mutex_init(&reuse->lock, NULL);
    buf_append(&reuse->table, magic, MAGIC_LEN);
    return reuse;
}

void layer_reuse_freep(struct layer_reuse **reuse)
{
    struct layer_reuse *r = *reuse;
    *reuse = NULL;
    if (!r) {
        return;
    }
    for (size_t i = 0; i < r->blobs_len; i++) {
        if (r->blobs[i].fd >= 0) {
            close(r->blobs[i].fd);
        }
    }
    pthread_mutex_destroy(&r->lock);
    buf_release(&r->table);
    free(r->rows);
    free(r);
}

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i > 0; i--) {
        value = value << 8 | p[i - 1];
    }
    return value;
}

static void put_le(struct buf *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        buf_putc(out, (char)(value >> (8 * i)));
    }
}

static int by_raw(const void *a, const void *b)
{
    return digest_compare(&((const struct row *)a)->raw, &((const struct row *)b)->raw);
}

/* Adds the rows of a table, unless it is damaged. */
static void add_table(struct layer_reuse *r, const struct buf *table, const char *name)
{
    struct error ignored = {0};
    struct blob *blob = &r->blobs[r->blobs_len];
    bool is_whole = table->len >= MAGIC_LEN && memcmp(table->data, magic, MAGIC_LEN) == 0 &&
                    (table->len - MAGIC_LEN) % ROW_BYTES == 0;
    if (!is_whole || digest_parse(name, ERR_STORE, &blob->digest, &ignored) != 0) {
        return;
    }
    blob->fd = -1;
    size_t count = (table->len - MAGIC_LEN) / ROW_BYTES;
    r->rows = mem_realloc(r->rows, r->rows_len + count, sizeof *r->rows);
    const uint8_t *p = (const uint8_t *)table->data + MAGIC_LEN;
    for (size_t i = 0; i < count; i++, p += ROW_BYTES) {
        struct row *row = &r->rows[r->rows_len++];
        memcpy(row->raw.bytes, p, DIGEST_BYTES);
        row->raw_len = (uint32_t)get_le(p + 32, 4);
        row->offset = get_le(p + 36, 8);
        row->len = (uint32_t)get_le(p + 44, 4);
        row->crc = (uint32_t)get_le(p + 48, 4);
        row->blob = (uint32_t)r->blobs_len;
    }
    r->blobs_len++;
}

/* The names of the newest tables, newest first. What cannot be read is empty. */
static void read_list(struct layer_reuse *r, struct strlist *out)
{
    struct error ignored = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    bool found = false;
    if (store_record_get(r->store, "block-lists", r->list, &text, &found, &ignored) != 0 ||
        !found) {
        return;
    }
    const char *p = buf_text(&text);
    while (*p && out->len < TABLES_MAX) {
        size_t len = strcspn(p, "\n");
        strlist_take(out, mem_strndup(p, len));
        p += len + (p[len] == '\n');
    }
}

static void load(struct layer_reuse *r)
{
    AUTO(strlist_release) struct strlist names = {0};
    read_list(r, &names);
    for (size_t i = 0; i < names.len; i++) {
        struct error ignored = {0};
        AUTO(buf_release) struct buf table = BUF_INIT(0);
        bool found = false;
        if (store_record_get(r->store, "blocks", names.items[i], &table, &found, &ignored) == 0 &&
            found) {
            add_table(r, &table, names.items[i]);
        }
    }
    if (r->rows_len > 0) {
        qsort(r->rows, r->rows_len, sizeof *r->rows, by_raw);
    }
    r->loaded = true;
}

/* The first row of RAW, and the blob that it lies in, opened; -1 if there is none. */
static int find_row(struct layer_reuse *r, const struct digest *raw, size_t raw_len,
                    struct row *out)
{
    struct row key = {.raw = *raw};
    int fd = -1;
    pthread_mutex_lock(&r->lock);
    if (!r->loaded) {
        load(r);
    }
    const struct row *row =
        r->rows_len ? bsearch(&key, r->rows, r->rows_len, sizeof *r->rows, by_raw) : NULL;
    if (row && row->raw_len == raw_len) {
        struct blob *blob = &r->blobs[row->blob];
        struct error ignored = {0};
        if (blob->fd == -1 &&
            store_open_blob(r->store, &blob->digest, &blob->fd, NULL, &ignored) != 0) {
            blob->fd = -2;
        }
        fd = blob->fd;
        *out = *row;
        if (fd >= 0 && !r->has_like) {
            r->like = blob->digest;
            r->has_like = true;
        }
    }
    pthread_mutex_unlock(&r->lock);
    return fd;
}

bool layer_reuse_like(struct layer_reuse *reuse, struct digest *out)
{
    pthread_mutex_lock(&reuse->lock);
    bool has = reuse->has_like;
    if (has) {
        *out = reuse->like;
    }
    pthread_mutex_unlock(&reuse->lock);
    return has;
}

bool layer_reuse_find(struct layer_reuse *reuse, const struct digest *raw, size_t raw_len,
                      struct buf *out)
{
    struct row row;
    int fd = find_row(reuse, raw, raw_len, &row);
    if (fd < 0 || row.len > 2 * raw_len + 1024) {
        return false;
    }
    char *to = buf_reserve(out, row.len);
    size_t total = 0;
    while (total < row.len) {
        ssize_t got = pread(fd, to + total, row.len - total, (off_t)(row.offset + total));
        if (got <= 0) {
            return false;
        }
        total += (size_t)got;
    }
    if (gzip_crc(to, row.len) != row.crc) {
        return false;
    }
    out->len += row.len;
    return true;
}

void layer_reuse_note(struct layer_reuse *reuse, const struct digest *raw, size_t raw_len,
                      uint64_t offset, const void *packed, size_t len)
{
    buf_append(&reuse->table, raw->bytes, sizeof raw->bytes);
    put_le(&reuse->table, raw_len, 4);
    put_le(&reuse->table, offset, 8);
    put_le(&reuse->table, len, 4);
    put_le(&reuse->table, gzip_crc(packed, len), 4);
}

/* Puts NAME in front of the list; what falls off the end loses its table. Two builds at once may
 * lose one another's entry, which costs only time. */
static int update_list(struct layer_reuse *r, const char *name, struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    read_list(r, &names);
    buf_printf(&text, "%s\n", name);
    size_t kept = 1;
    for (size_t i = 0; i < names.len; i++) {
        if (strcmp(names.items[i], name) == 0) {
            continue;
        }
        if (kept < TABLES_MAX) {
            buf_printf(&text, "%s\n", names.items[i]);
            kept++;
        } else if (store_record_remove(r->store, "blocks", names.items[i], err) != 0) {
            return -1;
        }
    }
    return store_record_put(r->store, "block-lists", r->list, text.data, text.len, err);
}

int layer_reuse_save(struct layer_reuse *reuse, const struct digest *blob, struct error *err)
{
    if (reuse->table.len == MAGIC_LEN) {
        return 0;
    }
    char name[DIGEST_TEXT_SIZE];
    digest_format(blob, name);
    if (store_record_put(reuse->store, "blocks", name, reuse->table.data, reuse->table.len, err) !=
        0) {
        return -1;
    }
    return update_list(reuse, name, err);
}
