/* The bytes of one block: headers, contents, padding. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/spill.h"
#include "oci/layer_internal.h"
#include "oci/tar_write.h"

struct note {
    struct digest digest;
    bool known;
};

struct layer_notes {
    const struct tree *diff;
    enum timestamps timestamps;
    pthread_mutex_t lock;
    struct note *notes; /* one per entry */
    size_t len;
};

struct layer_notes *layer_notes_new(const struct tree *diff, enum timestamps timestamps)
{
    struct layer_notes *notes = mem_calloc(1, sizeof *notes);
    notes->diff = diff;
    notes->timestamps = timestamps;
    notes->len = tree_len(diff);
    notes->notes = spill_calloc(notes->len, sizeof *notes->notes);
    pthread_mutex_init(&notes->lock, NULL);
    return notes;
}

void layer_notes_freep(struct layer_notes **notes)
{
    if (*notes) {
        pthread_mutex_destroy(&(*notes)->lock);
        spill_free((*notes)->notes, (*notes)->len * sizeof(struct note));
        free(*notes);
    }
    *notes = NULL;
}

bool layer_notes_known(struct layer_notes *notes, size_t index, struct digest *out)
{
    const struct entry *entry = tree_at(notes->diff, index);
    if (entry->flags & ENTRY_HAS_DIGEST) {
        *out = entry->digest;
        return true;
    }
    pthread_mutex_lock(&notes->lock);
    struct note note = notes->notes[index];
    pthread_mutex_unlock(&notes->lock);
    if (note.known) {
        *out = note.digest;
    }
    return note.known;
}

static void note_digest(struct layer_notes *notes, size_t index, const struct digest *digest)
{
    pthread_mutex_lock(&notes->lock);
    notes->notes[index] = (struct note){*digest, true};
    pthread_mutex_unlock(&notes->lock);
}

void layer_notes_keep(struct layer_notes *notes, struct tree *diff)
{
    for (size_t i = 0; i < tree_len(diff); i++) {
        struct entry *entry = (struct entry *)tree_at(diff, i);
        if (entry->type == ENTRY_FILE && !(entry->flags & ENTRY_HAS_DIGEST) &&
            notes->notes[i].known) {
            entry->digest = notes->notes[i].digest;
            entry->flags |= ENTRY_HAS_DIGEST;
        }
    }
}

static int hash_content(const struct entry *entry, struct digest *out, struct error *err)
{
    AUTO(reader_freep) struct reader *reader = NULL;
    if (entry_open(entry, &reader, err) != 0) {
        return -1;
    }
    AUTO(hasher_freep) struct hasher *hasher = hasher_new();
    AUTO(mem_freep) char *data = mem_alloc(256 * KIB);
    uint64_t total = 0;
    size_t got = 1;
    while (got > 0) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (reader_read(reader, data, 256 * KIB, &got, err) != 0) {
            return -1;
        }
        hasher_add(hasher, data, got);
        total += got;
    }
    if (total != entry->size) {
        return error_set(err, ERR_STEP, "changed its size while it was read");
    }
    hasher_finish(hasher, out);
    return 0;
}

int layer_notes_digest(struct layer_notes *notes, size_t index, struct digest *out,
                       struct error *err)
{
    if (layer_notes_known(notes, index, out)) {
        return 0;
    }
    const struct entry *entry = tree_at(notes->diff, index);
    struct digest digest;
    if (hash_content(entry, &digest, err) != 0) {
        return error_wrap(err, "%s", entry->path);
    }
    note_digest(notes, index, &digest);
    *out = digest;
    return 0;
}

static size_t index_of(const struct layer_notes *notes, const struct entry *entry)
{
    return tree_lower_bound(notes->diff, entry->path);
}

/* Adds the header of the entry at INDEX. Where its time is that of its own content, which is not
 * read yet, *LATE_OUT says that the time must be put in afterwards. */
static int add_head(struct layer_notes *notes, size_t index, struct buf *out, bool *late_out,
                    struct error *err)
{
    const struct entry *entry = tree_at(notes->diff, index);
    struct digest digest = {{0}};
    *late_out = false;
    if (layer_time_needs_content(entry, notes->timestamps)) {
        bool is_link = entry->type == ENTRY_HARDLINK;
        size_t inode = is_link ? index_of(notes, entry->target) : index;
        if (is_link && layer_notes_digest(notes, inode, &digest, err) != 0) {
            return -1;
        }
        *late_out = !is_link && !layer_notes_known(notes, inode, &digest);
    }
    return tar_header_append(entry, layer_entry_time(entry, notes->timestamps, &digest), out, err);
}

static void add_zeros(struct buf *out, size_t len)
{
    memset(buf_reserve(out, len), 0, len);
    out->len += len;
}

/* Reads LEN bytes of content, which must be there. */
static int add_content(struct reader *reader, size_t len, struct buf *out, struct error *err)
{
    size_t got = 0;
    if (reader_read_full(reader, buf_reserve(out, len), len, &got, err) != 0) {
        return -1;
    }
    if (got != len) {
        return error_set(err, ERR_STEP, "became shorter while it was read");
    }
    out->len += len;
    return 0;
}

static int expect_end(struct reader *reader, struct error *err)
{
    char byte;
    size_t got = 0;
    if (reader_read(reader, &byte, 1, &got, err) != 0) {
        return -1;
    }
    return got == 0 ? 0 : error_set(err, ERR_STEP, "became longer while it was read");
}

static int add_file(const struct entry *entry, struct buf *out, struct error *err)
{
    AUTO(reader_freep) struct reader *reader = NULL;
    if (entry->size == 0) {
        return 0;
    }
    if (entry_open(entry, &reader, err) != 0 ||
        add_content(reader, (size_t)entry->size, out, err) != 0) {
        return -1;
    }
    return expect_end(reader, err);
}

static int pack_entry(struct layer_notes *notes, size_t index, struct buf *out, struct error *err)
{
    const struct entry *entry = tree_at(notes->diff, index);
    bool late = false;
    if (add_head(notes, index, out, &late, err) != 0) {
        return -1;
    }
    if (entry->type != ENTRY_FILE) {
        return 0;
    }
    size_t content_at = out->len;
    if (add_file(entry, out, err) != 0) {
        return error_wrap(err, "%s", entry->path);
    }
    struct digest digest;
    if (!layer_notes_known(notes, index, &digest)) {
        digest_of(out->data + content_at, (size_t)entry->size, &digest);
        note_digest(notes, index, &digest);
    }
    if (late) {
        tar_header_set_mtime(out->data + content_at - TAR_BLOCK, layer_time_of(&digest));
    }
    add_zeros(out, tar_padding(entry->size));
    return 0;
}

int layer_pack(struct layer_notes *notes, const struct layer_block *block, struct buf *out,
               struct error *err)
{
    buf_reserve(out, block->len);
    for (size_t i = block->first; i < block->end; i++) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (pack_entry(notes, i, out, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int pack_piece(const struct entry *entry, const struct layer_block *block,
                      struct reader **reader, struct buf *out, struct error *err)
{
    if (!*reader && entry_open(entry, reader, err) != 0) {
        return -1;
    }
    if (add_content(*reader, block->content_len, out, err) != 0) {
        return -1;
    }
    if (block->content_from + block->content_len < entry->size) {
        return 0;
    }
    int rc = expect_end(*reader, err);
    reader_freep(reader);
    add_zeros(out, tar_padding(entry->size));
    return rc;
}

int layer_pack_large(struct layer_notes *notes, const struct layer_block *block,
                     struct reader **reader, struct buf *out, struct error *err)
{
    const struct entry *entry = tree_at(notes->diff, block->first);
    buf_reserve(out, block->len);
    if (block->content_from == 0) {
        struct digest digest = {{0}};
        bool needed = layer_time_needs_content(entry, notes->timestamps);
        if (needed && layer_notes_digest(notes, block->first, &digest, err) != 0) {
            return -1;
        }
        int64_t mtime = layer_entry_time(entry, notes->timestamps, &digest);
        if (tar_header_append(entry, mtime, out, err) != 0) {
            return -1;
        }
    }
    if (pack_piece(entry, block, reader, out, err) != 0) {
        return error_wrap(err, "%s", entry->path);
    }
    return 0;
}
