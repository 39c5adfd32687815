/*
 * A difference becomes a layer: blocks are packed and compressed by the pool, and taken in order by
 * the caller's thread, which hashes the tar, writes the blob and notes the tree index.
 *
 * A window of blocks is under way at any time, so memory is bounded by the number of threads, and
 * where blocks end does not depend on it.
 */
#include "oci/layer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/memory.h"
#include "oci/layer_internal.h"
#include "oci/layer_reuse.h"
#include "oci/tar_write.h"
#include "oci/tree_index.h"

/* One block under way. */
struct slot {
    struct layer_write *job;
    struct pool_group group;
    struct layer_block block;
    struct buf raw;
    struct buf packed;
    uint32_t crc;
    struct digest raw_digest;
    bool is_hashed; /* raw_digest is known */
    bool failed;
    struct error error;
};

struct layer_write {
    struct pool *pool; /* NULL: everything in the caller's thread */
    struct tree *diff;
    enum timestamps timestamps;
    struct layer_notes *notes;
    struct layer_codec *codec;
    struct layer_plan plan;
    struct reader *large; /* the large file that is being cut */
    struct slot *slots;   /* a ring */
    size_t slots_len;
    size_t head;           /* the oldest block under way */
    size_t count;          /* blocks under way */
    struct writer *out;    /* NULL: nobody wants the bytes */
    struct hasher *hasher; /* of the tar */
    struct gzip_check check;
    uint64_t written;                      /* bytes of the blob */
    struct tree_index_writer *index;       /* NULL: not wanted */
    struct layer_reuse *reuse;             /* NULL: not wanted */
    const struct layer_follower *follower; /* NULL: nobody */
    int fd;                                /* of the blob, for that */
};

static void layer_write_init(struct layer_write *job, struct pool *pool, struct tree *diff,
                             const struct layer_options *options, struct writer *out)
{
    *job = (struct layer_write){
        .pool = pool, .diff = diff, .timestamps = options->timestamps, .out = out};
    job->notes = layer_notes_new(diff, options->timestamps);
    job->codec = layer_codec_new(options->compression, options->level);
    job->plan = (struct layer_plan){.tree = diff, .timestamps = options->timestamps};
    job->slots_len = pool ? 2 * (size_t)pool_size(pool) + 1 : 1;
    job->slots = mem_calloc(job->slots_len, sizeof *job->slots);
    for (size_t i = 0; i < job->slots_len; i++) {
        job->slots[i].job = job;
    }
    job->hasher = hasher_new();
}

static void layer_write_release(struct layer_write *job)
{
    for (size_t i = 0; i < job->slots_len; i++) {
        if (job->pool) {
            pool_wait(job->pool, &job->slots[i].group);
        }
        buf_release(&job->slots[i].raw);
        buf_release(&job->slots[i].packed);
    }
    free(job->slots);
    reader_freep(&job->large);
    layer_plan_release(&job->plan);
    layer_notes_freep(&job->notes);
    layer_codec_freep(&job->codec);
    hasher_freep(&job->hasher);
    tree_index_writer_freep(&job->index);
    layer_reuse_freep(&job->reuse);
}

/* Packs (unless it is there already) and compresses one block. */
static int make_block(struct slot *slot, struct error *err)
{
    struct layer_write *job = slot->job;
    if (slot->raw.len == 0 && layer_pack(job->notes, &slot->block, &slot->raw, err) != 0) {
        return -1;
    }
    if (layer_codec_is_none(job->codec)) {
        return 0;
    }
    slot->crc = gzip_crc(slot->raw.data, slot->raw.len);
    slot->is_hashed = job->reuse && slot->raw.len >= LAYER_REUSE_MIN;
    if (slot->is_hashed) {
        digest_of(slot->raw.data, slot->raw.len, &slot->raw_digest);
        if (layer_reuse_find(job->reuse, &slot->raw_digest, slot->raw.len, &slot->packed)) {
            return 0;
        }
    }
    return layer_codec_block(job->codec, slot->raw.data, slot->raw.len, &slot->packed, err);
}

static void run_slot(void *arg)
{
    struct slot *slot = arg;
    slot->failed = make_block(slot, &slot->error) != 0;
}

/* Notes the entries whose headers lie in BLOCK, with the times that the layer gives them, for the
 * index. */
static int index_block(struct layer_write *job, const struct layer_block *block, struct error *err)
{
    struct buf *head = &job->plan.scratch;
    uint64_t offset = block->offset;
    for (size_t i = block->first; i < block->end && block->content_from == 0; i++) {
        struct entry entry = *tree_at(job->diff, i);
        const struct entry *inode = entry_inode(&entry);
        struct digest digest = {{0}};
        bool known = false;
        if (inode->type == ENTRY_FILE) {
            known =
                layer_notes_known(job->notes, tree_lower_bound(job->diff, inode->path), &digest);
        }
        entry.mtime = layer_entry_time(&entry, job->timestamps, &digest);
        entry.flags &= (uint8_t) ~(ENTRY_TIME_VOLATILE | ENTRY_PARENT | ENTRY_HAS_DIGEST);
        struct error ignored = {0}; /* the plan made the same header before */
        buf_clear(head);
        tar_header_append(&entry, entry.mtime, head, &ignored);
        offset += head->len;
        if (entry.type == ENTRY_FILE) {
            entry.handle = offset;
            entry.digest = digest;
            entry.flags |= known ? ENTRY_HAS_DIGEST : 0;
            offset += entry.size + tar_padding(entry.size);
        }
        if (tree_index_writer_add(job->index, &entry, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int put(struct layer_write *job, const struct buf *bytes, struct error *err)
{
    job->written += bytes->len;
    return job->out ? writer_write(job->out, bytes->data, bytes->len, err) : 0;
}

static void tell_follower(const struct layer_write *job)
{
    struct digest like;
    if (job->follower) {
        bool alike = job->reuse && layer_reuse_like(job->reuse, &like);
        job->follower->grown(job->follower->ctx, job->fd, alike ? &like : NULL);
    }
}

/* Waits for the oldest block and takes it. */
static int take_slot(struct layer_write *job, struct error *err)
{
    struct slot *slot = &job->slots[job->head];
    if (job->pool) {
        pool_wait(job->pool, &slot->group);
    }
    job->head = (job->head + 1) % job->slots_len;
    job->count--;
    if (slot->failed) {
        *err = slot->error;
        return -1;
    }
    hasher_add(job->hasher, slot->raw.data, slot->raw.len);
    gzip_check_add(&job->check, slot->crc, slot->raw.len);
    if (job->index && index_block(job, &slot->block, err) != 0) {
        return -1;
    }
    const struct buf *bytes = layer_codec_is_none(job->codec) ? &slot->raw : &slot->packed;
    if (slot->is_hashed) {
        layer_reuse_note(job->reuse, &slot->raw_digest, slot->raw.len, job->written, bytes->data,
                         bytes->len);
    }
    if (put(job, bytes, err) != 0) {
        return -1;
    }
    tell_follower(job);
    return 0;
}

/* A free slot, empty; takes the oldest block if there is none. */
static int free_slot(struct layer_write *job, struct slot **out, struct error *err)
{
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (job->count == job->slots_len && take_slot(job, err) != 0) {
        return -1;
    }
    struct slot *slot = &job->slots[(job->head + job->count) % job->slots_len];
    buf_clear(&slot->raw);
    buf_clear(&slot->packed);
    *out = slot;
    return 0;
}

static void start_slot(struct layer_write *job, struct slot *slot)
{
    job->count++;
    if (job->pool) {
        pool_submit(job->pool, &slot->group, run_slot, slot);
    } else {
        run_slot(slot);
    }
}

/* A large file whose time comes from its content, which must be known before its header is written.
 */
struct prehash {
    struct layer_write *job;
    size_t index;
    bool failed;
    struct error error;
};

static void run_prehash(void *arg)
{
    struct prehash *task = arg;
    struct digest digest;
    task->failed = layer_notes_digest(task->job->notes, task->index, &digest, &task->error) != 0;
}

/* Hashes all such files side by side. */
static int hash_large(struct layer_write *job, struct error *err)
{
    AUTO(mem_freep) struct prehash *tasks = NULL;
    size_t count = 0;
    for (size_t i = 0; job->pool && i < tree_len(job->diff); i++) {
        const struct entry *entry = tree_at(job->diff, i);
        if (entry->type == ENTRY_FILE && entry->size > LAYER_LARGE_BYTES &&
            !(entry->flags & ENTRY_HAS_DIGEST) &&
            layer_time_needs_content(entry, job->timestamps)) {
            tasks = mem_realloc(tasks, count + 1, sizeof *tasks);
            tasks[count++] = (struct prehash){.job = job, .index = i};
        }
    }
    struct pool_group group = POOL_GROUP_INIT;
    for (size_t i = 0; i < count; i++) {
        pool_submit(job->pool, &group, run_prehash, &tasks[i]);
    }
    if (count > 0) {
        pool_wait(job->pool, &group);
    }
    for (size_t i = 0; i < count; i++) {
        if (tasks[i].failed) {
            *err = tasks[i].error;
            return -1;
        }
    }
    return 0;
}

static int write_blocks(struct layer_write *job, struct error *err)
{
    if (hash_large(job, err) != 0) {
        return -1;
    }
    bool more = true;
    while (more) {
        struct slot *slot = NULL;
        if (free_slot(job, &slot, err) != 0 ||
            layer_plan_next(&job->plan, &slot->block, &more, err) != 0) {
            return -1;
        }
        if (more && slot->block.is_large &&
            layer_pack_large(job->notes, &slot->block, &job->large, &slot->raw, err) != 0) {
            return -1;
        }
        if (!more) { /* the end of the archive is a block of its own */
            slot->block = (struct layer_block){.offset = job->plan.offset, .len = TAR_END_BYTES};
            memset(buf_reserve(&slot->raw, TAR_END_BYTES), 0, TAR_END_BYTES);
            slot->raw.len = TAR_END_BYTES;
        }
        start_slot(job, slot);
    }
    while (job->count > 0) {
        if (take_slot(job, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int write_all(struct layer_write *job, struct error *err)
{
    AUTO(buf_release) struct buf ends = BUF_INIT(0);
    layer_codec_head(job->codec, &ends);
    if (put(job, &ends, err) != 0 || write_blocks(job, err) != 0) {
        return -1;
    }
    buf_clear(&ends);
    layer_codec_tail(job->codec, &job->check, &ends);
    return put(job, &ends, err);
}

/* The record that says which blob holds a diff id in a compression: "sha256:HEX SIZE". */
static char *record_name(const struct layer_codec *codec, const struct digest *diff_id)
{
    char hex[DIGEST_HEX_SIZE];
    return mem_printf("%s-%s", layer_codec_name(codec), digest_hex(diff_id, hex));
}

/* Whether the layer is in the store in this compression already; fills its descriptor. */
static int find_known(struct store *store, const char *name, struct descriptor *blob, bool *known,
                      struct error *err)
{
    AUTO(buf_release) struct buf record = BUF_INIT(0);
    bool found = false;
    if (store_record_get(store, "layers", name, &record, &found, err) != 0) {
        return -1;
    }
    *known = false;
    char text[DIGEST_TEXT_SIZE];
    uint64_t size = 0;
    uint64_t size_there = 0;
    struct error ignored = {0};
    if (found && sscanf(buf_text(&record), "%71s %" SCNu64, text, &size) == 2 &&
        digest_parse(text, ERR_STORE, &blob->digest, &ignored) == 0) {
        *known = store_has_blob(store, &blob->digest, &size_there) && size == size_there;
        blob->size = size;
    }
    return 0;
}

static int save_record(struct store *store, const char *name, const struct descriptor *blob,
                       struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    AUTO(mem_freep)
    char *record = mem_printf("%s %" PRIu64 "\n", digest_format(&blob->digest, text), blob->size);
    return store_record_put(store, "layers", name, record, strlen(record), err);
}

/* The tar is written: keeps the blob, or the one that was there before, with its records. */
static int finish(struct layer_write *job, struct store *store, struct blob_writer *blob,
                  struct layer *out, struct error *err)
{
    struct layer layer = {0};
    hasher_finish(job->hasher, &layer.diff_id);
    snprintf(layer.blob.media_type, sizeof layer.blob.media_type, "%s",
             layer_codec_media_type(job->codec));
    AUTO(mem_freep) char *name = record_name(job->codec, &layer.diff_id);
    bool known = false;
    if (find_known(store, name, &layer.blob, &known, err) != 0) {
        return -1;
    }
    if (!known && blob_writer_commit(blob, NULL, UINT64_MAX, &layer.blob.digest, &layer.blob.size,
                                     err) != 0) {
        return -1;
    }
    if (!known && layer_reuse_save(job->reuse, &layer.blob.digest, err) != 0) {
        return -1;
    }
    if (!known && job->follower) {
        job->follower->done(job->follower->ctx, &layer.blob.digest);
    }
    if (tree_index_writer_commit(job->index, &layer.diff_id, err) != 0 ||
        (!known && save_record(store, name, &layer.blob, err) != 0)) {
        return -1;
    }
    *out = layer;
    return 0;
}

int layer_write(struct store *store, struct pool *pool, struct tree *diff,
                const struct layer_options *options, struct layer *out, struct error *err)
{
    AUTO(blob_writer_freep) struct blob_writer *blob = NULL;
    if (blob_writer_open(store, &blob, err) != 0) {
        return -1;
    }
    AUTO(layer_write_release) struct layer_write job;
    layer_write_init(&job, pool, diff, options, blob_writer_stream(blob));
    job.reuse = layer_reuse_new(store, job.codec);
    job.follower = options->follower;
    job.fd = blob_writer_fd(blob);
    if (tree_index_writer_open(store, tree_len(diff), &job.index, err) != 0 ||
        write_all(&job, err) != 0) {
        return -1;
    }
    return finish(&job, store, blob, out, err);
}

int layer_diff_id(struct pool *pool, struct tree *diff, enum timestamps timestamps,
                  struct digest *out, struct error *err)
{
    struct layer_options options = {.compression = COMPRESS_NONE, .timestamps = timestamps};
    AUTO(layer_write_release) struct layer_write job;
    layer_write_init(&job, pool, diff, &options, NULL);
    if (write_all(&job, err) != 0) {
        return -1;
    }
    hasher_finish(job.hasher, out);
    layer_notes_keep(job.notes, diff);
    return 0;
}

int layer_write_tar(struct tree *diff, enum timestamps timestamps, struct writer *out,
                    struct error *err)
{
    struct layer_options options = {.compression = COMPRESS_NONE, .timestamps = timestamps};
    AUTO(layer_write_release) struct layer_write job;
    layer_write_init(&job, NULL, diff, &options, out);
    return write_all(&job, err);
}
