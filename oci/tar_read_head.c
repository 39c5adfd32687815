/* The tar reader's lower half: bytes, header blocks, pax records and GNU's long names. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "oci/tar_read_internal.h"
#include "oci/tar_write.h"

/* Most bytes of one pax header or GNU long name: all the xattrs that an entry may have. */
#define LIMIT_EXTRA_BYTES (LIMIT_XATTRS_PER_ENTRY * (LIMIT_XATTR_BYTES + 512))

static enum error_code code_of(const struct tar_reader *t)
{
    return t->flavour == TAR_LAYER ? ERR_REMOTE : ERR_STEP;
}

/* The entry's name as far as it is known, for messages. */
int tar_refuse(const struct tar_reader *t, const char *name, const char *what, struct error *err)
{
    return error_set(err, code_of(t), "entry '%.200s': %s", name, what);
}

int tar_damaged(const struct tar_reader *t, const char *what, struct error *err)
{
    return error_set(err, code_of(t), "corrupt tar at byte %llu: %s", (unsigned long long)t->offset,
                     what);
}

/* Gives at most CAP bytes from the buffer or, where they are many, directly. */
int tar_some(struct tar_reader *t, void *data, size_t cap, size_t *got_out, struct error *err)
{
    if (t->at == t->len && cap >= TAR_BUFFER_BYTES) {
        if (reader_read(t->in, data, cap, got_out, err) != 0) {
            return -1;
        }
        t->offset += *got_out;
        return 0;
    }
    if (t->at == t->len) {
        t->at = 0;
        t->len = 0;
        if (reader_read(t->in, t->buffer, TAR_BUFFER_BYTES, &t->len, err) != 0) {
            return -1;
        }
    }
    size_t got = t->len - t->at < cap ? t->len - t->at : cap;
    if (data) {
        memcpy(data, t->buffer + t->at, got);
    }
    t->at += got;
    t->offset += got;
    *got_out = got;
    return 0;
}

static int all(struct tar_reader *t, void *data, size_t len, size_t *got_out, struct error *err)
{
    size_t total = 0;
    size_t got = 1;
    while (total < len && got > 0) {
        if (tar_some(t, (char *)data + total, len - total, &got, err) != 0) {
            return -1;
        }
        total += got;
    }
    *got_out = total;
    return 0;
}

int tar_skip(struct tar_reader *t, uint64_t len, struct error *err)
{
    while (len > 0) {
        size_t got = 0;
        size_t step = len < TAR_BUFFER_BYTES - 1 ? (size_t)len : TAR_BUFFER_BYTES - 1;
        if (tar_some(t, NULL, step, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            return tar_damaged(t, "it ends within a file", err);
        }
        len -= got;
    }
    return 0;
}

/* Reads the next header block into t->header. At the end, *MORE_OUT is false. */
static int read_header(struct tar_reader *t, bool *more_out, struct error *err)
{
    uint8_t block[TAR_BLOCK];
    size_t got = 0;
    if (all(t, block, TAR_BLOCK, &got, err) != 0) {
        return -1;
    }
    *more_out = false;
    if (got == 0) {
        return 0;
    }
    if (got == TAR_BLOCK && tar_block_is_zero(block)) {
        if (all(t, block, TAR_BLOCK, &got, err) != 0) {
            return -1;
        }
        bool is_end = got == 0 || (got == TAR_BLOCK && tar_block_is_zero(block));
        return is_end ? 0 : tar_damaged(t, "an empty header within the archive", err);
    }
    if (got < TAR_BLOCK) {
        return tar_damaged(t, "it ends within a header", err);
    }
    const char *wrong = tar_header_parse(block, &t->header);
    if (wrong) {
        return tar_damaged(t, wrong, err);
    }
    if (t->header.size < 0 || (uint64_t)t->header.size > LIMIT_BLOB_BYTES) {
        return tar_refuse(t, t->header.name, "its size is impossible", err);
    }
    *more_out = true;
    return 0;
}

/* The content of a pax header or GNU long name, into OUT. */
static int read_extra(struct tar_reader *t, struct buf *out, struct error *err)
{
    size_t size = (size_t)t->header.size;
    if (size > LIMIT_EXTRA_BYTES) {
        return tar_refuse(t, t->header.name, "an extended header that large is not accepted", err);
    }
    buf_clear(out);
    size_t got = 0;
    if (all(t, buf_reserve(out, size), size, &got, err) != 0) {
        return -1;
    }
    if (got != size) {
        return tar_damaged(t, "it ends within an extended header", err);
    }
    out->len = size;
    out->data[size] = '\0';
    return tar_skip(t, tar_padding(size), err);
}

/* Reads headers up to that of an entry, collecting the extended ones in front of it. */
int tar_read_headers(struct tar_reader *t, bool *more_out, struct error *err)
{
    buf_clear(&t->pax);
    buf_clear(&t->long_name);
    buf_clear(&t->long_link);
    for (unsigned extras = 0; extras < 64; extras++) {
        if (read_header(t, more_out, err) != 0) {
            return -1;
        }
        if (!*more_out) {
            return 0;
        }
        struct buf *extra = t->header.type == 'x'   ? &t->pax
                            : t->header.type == 'L' ? &t->long_name
                            : t->header.type == 'K' ? &t->long_link
                                                    : NULL;
        if (extra) {
            if (read_extra(t, extra, err) != 0) {
                return -1;
            }
        } else if (t->header.type == 'g') {
            /* Only a comment in practice (git archive); BuildKit does not apply it either. */
            uint64_t size = (uint64_t)t->header.size;
            if (tar_skip(t, size + tar_padding(size), err) != 0) {
                return -1;
            }
        } else {
            return 0;
        }
    }
    return tar_damaged(t, "too many extended headers in a row", err);
}

static bool key_is(const struct pax_record *r, const char *key)
{
    return r->key_len == strlen(key) && memcmp(r->key, key, r->key_len) == 0;
}

static bool key_begins(const struct pax_record *r, const char *prefix)
{
    size_t len = strlen(prefix);
    return r->key_len > len && memcmp(r->key, prefix, len) == 0;
}

static int add_xattr(struct tar_reader *t, const struct pax_record *r, struct error *err)
{
    size_t skip_len = strlen("SCHILY.xattr.");
    size_t len = r->key_len - skip_len;
    const char *name = r->key + skip_len;
    if (t->xattrs_len == LIMIT_XATTRS_PER_ENTRY || r->value_len > LIMIT_XATTR_BYTES || len > 255 ||
        memchr(name, '\0', len)) {
        return tar_refuse(t, t->header.name, "extended attributes beyond what a file can have",
                          err);
    }
    t->xattrs[t->xattrs_len++] = (struct xattr){mem_strndup(name, len), r->value, r->value_len};
    return 0;
}

/* Puts the value of a text record at *TO. */
static int take_text(struct tar_reader *t, const struct pax_record *r, char **to, struct error *err)
{
    if (memchr(r->value, '\0', r->value_len)) {
        return tar_refuse(t, t->header.name, "its name holds a NUL byte", err);
    }
    free(*to);
    *to = mem_strndup(r->value, r->value_len);
    return 0;
}

static int take_number(struct tar_reader *t, const struct pax_record *r, int64_t *to,
                       struct error *err)
{
    if (!pax_number(r, to == &t->header.mtime, to)) {
        return tar_refuse(t, t->header.name, "a pax record that should be a number is none", err);
    }
    return 0;
}

static int apply_record(struct tar_reader *t, const struct pax_record *r, struct tar_overrides *o,
                        struct error *err)
{
    if (key_begins(r, "SCHILY.xattr.")) {
        return add_xattr(t, r, err);
    }
    o->is_sparse = o->is_sparse || key_begins(r, "GNU.sparse.");
    const struct {
        const char *key;
        char **text;
        int64_t *number;
    } fields[] = {
        {"path", &o->own_name, NULL},
        {"linkpath", &o->own_link, NULL},
        {"size", NULL, &t->header.size},
        {"uid", NULL, &t->header.uid},
        {"gid", NULL, &t->header.gid},
        {"mtime", NULL, &t->header.mtime},
        {"SCHILY.devmajor", NULL, &t->header.major},
        {"SCHILY.devminor", NULL, &t->header.minor},
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (key_is(r, fields[i].key) && r->value_len > 0) {
            return fields[i].text ? take_text(t, r, fields[i].text, err)
                                  : take_number(t, r, fields[i].number, err);
        }
    }
    return 0;
}

void tar_overrides_release(struct tar_overrides *o)
{
    free(o->own_name);
    free(o->own_link);
}

/* GNU's long names end with a NUL. */
static int long_text(struct tar_reader *t, const struct buf *text, const char **to,
                     struct error *err)
{
    if (text->len == 0) {
        return 0;
    }
    size_t len = strlen(text->data);
    if (len + 1 < text->len) {
        return tar_refuse(t, t->header.name, "its name holds a NUL byte", err);
    }
    *to = text->data;
    return 0;
}

void tar_drop_xattrs(struct tar_reader *t)
{
    for (size_t i = 0; i < t->xattrs_len; i++) {
        mem_freep(&t->xattrs[i].name);
    }
    t->xattrs_len = 0;
}

static int by_name(const void *a, const void *b)
{
    const struct xattr *x = a;
    const struct xattr *y = b;
    return strcmp(x->name, y->name);
}

static int apply_pax(struct tar_reader *t, struct tar_overrides *o, struct error *err)
{
    const char *at = t->pax.data;
    const char *end = at + t->pax.len;
    while (at < end) {
        struct pax_record record;
        if (!pax_record_next(&at, end, &record)) {
            return tar_refuse(t, t->header.name, "its pax header is corrupt", err);
        }
        if (apply_record(t, &record, o, err) != 0) {
            return -1;
        }
    }
    qsort(t->xattrs, t->xattrs_len, sizeof *t->xattrs, by_name);
    for (size_t i = 1; i < t->xattrs_len; i++) {
        if (strcmp(t->xattrs[i - 1].name, t->xattrs[i].name) == 0) {
            return tar_refuse(t, t->header.name, "an extended attribute is there twice", err);
        }
    }
    return 0;
}

int tar_resolve_overrides(struct tar_reader *t, struct tar_overrides *o, struct error *err)
{
    o->name = t->header.name;
    o->link = t->header.link;
    tar_drop_xattrs(t);
    if (long_text(t, &t->long_name, &o->name, err) != 0 ||
        long_text(t, &t->long_link, &o->link, err) != 0) {
        return -1;
    }
    if (t->pax.len > 0 && apply_pax(t, o, err) != 0) {
        return -1;
    }
    o->name = o->own_name ? o->own_name : o->name;
    o->link = o->own_link ? o->own_link : o->link;
    return 0;
}
