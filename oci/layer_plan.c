/*
 * Where blocks begin and end, and what time an entry gets.
 *
 * A block ends where an entry's path says so: each entry ends its block with a chance in proportion
 * to its size, taken from the path's hash. So an edit changes the block that it is in, and the next
 * ones begin where they began before.
 */
#include <string.h>

#include "oci/layer_internal.h"
#include "oci/tar_write.h"

/* How many bytes lie between two ends of blocks on average, beyond LAYER_BLOCK_MIN. */
#define BOUNDARY_BYTES ((uint64_t)512 << 10)

int64_t layer_time_of(const struct digest *content)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | content->bytes[i];
    }
    return TIME_BASE + (int64_t)(value % (uint64_t)TIME_SPAN);
}

bool layer_time_needs_content(const struct entry *entry, enum timestamps timestamps)
{
    const struct entry *inode = entry_inode(entry);
    return timestamps == TIMES_CONTENT && inode->type == ENTRY_FILE &&
           (inode->flags & ENTRY_TIME_VOLATILE);
}

int64_t layer_entry_time(const struct entry *entry, enum timestamps timestamps,
                         const struct digest *content)
{
    const struct entry *inode = entry_inode(entry);
    if (timestamps == TIMES_KEEP || !(inode->flags & ENTRY_TIME_VOLATILE)) {
        return inode->mtime;
    }
    return layer_time_needs_content(entry, timestamps) ? layer_time_of(content) : TIME_BASE;
}

/* Finalised FNV-1a: the paths of one folder differ in few bytes. */
static uint64_t hash_path(const char *path)
{
    uint64_t h = 14695981039346656037U;
    for (const char *p = path; *p; p++) {
        h = (h ^ (unsigned char)*p) * 1099511628211U;
    }
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdU;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53U;
    return h ^ h >> 33;
}

static bool ends_block(const struct entry *entry, uint64_t size)
{
    return (hash_path(entry->path) >> 32) % BOUNDARY_BYTES < size;
}

/* Bytes of ENTRY's header. A replaced time never changes them. */
static int head_size(struct layer_plan *plan, const struct entry *entry, size_t *out,
                     struct error *err)
{
    struct digest any = {{0}};
    buf_clear(&plan->scratch);
    if (tar_header_append(entry, layer_entry_time(entry, plan->timestamps, &any), &plan->scratch,
                          err) != 0) {
        return -1;
    }
    *out = plan->scratch.len;
    return 0;
}

static uint64_t content_size(const struct entry *entry)
{
    return entry->type == ENTRY_FILE ? entry->size : 0;
}

/* The next piece of the large file ENTRY, with the header in front of the first. */
static void plan_large(struct layer_plan *plan, const struct entry *entry, size_t head,
                       struct layer_block *out)
{
    uint64_t left = entry->size - plan->in_file;
    size_t content = (size_t)(left < LAYER_LARGE_BYTES ? left : LAYER_LARGE_BYTES);
    bool is_last = content == left;
    *out = (struct layer_block){.first = plan->next,
                                .end = plan->next + 1,
                                .is_large = true,
                                .offset = plan->offset,
                                .content_from = plan->in_file,
                                .content_len = content};
    out->len = (plan->in_file == 0 ? head : 0) + content + (is_last ? tar_padding(entry->size) : 0);
    plan->in_file += content;
    plan->offset += out->len;
    if (is_last) {
        plan->in_file = 0;
        plan->next++;
    }
}

int layer_plan_next(struct layer_plan *plan, struct layer_block *out, bool *more_out,
                    struct error *err)
{
    size_t count = tree_len(plan->tree);
    struct layer_block block = {.first = plan->next, .offset = plan->offset};
    bool full = false;
    while (plan->next < count && !full) {
        const struct entry *entry = tree_at(plan->tree, plan->next);
        size_t head = 0;
        if (head_size(plan, entry, &head, err) != 0) {
            return -1;
        }
        if (content_size(entry) > LAYER_LARGE_BYTES) {
            if (block.len > 0) {
                break;
            }
            plan_large(plan, entry, head, out);
            *more_out = true;
            return 0;
        }
        size_t size = head + (size_t)entry->size * (entry->type == ENTRY_FILE);
        size += tar_padding(size);
        if (block.len > 0 && block.len + size > LAYER_BLOCK_MAX) {
            break;
        }
        block.len += size;
        plan->next++;
        full = block.len >= LAYER_BLOCK_MIN && ends_block(entry, size);
    }
    block.end = plan->next;
    plan->offset += block.len;
    *out = block;
    *more_out = block.len > 0;
    return 0;
}

void layer_plan_release(struct layer_plan *plan)
{
    buf_release(&plan->scratch);
}
