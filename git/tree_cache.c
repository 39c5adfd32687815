/*
 * The record: a magic line, the tree's id, the number of blobs (decimal, 10 digits, line feed),
 * the blobs' ids in the order of the entries' handles, and the tree as an index (oci/tree_index.h).
 */
#include "git/tree_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "git/content.h"
#include "oci/tree_index.h"

#define RECORD_KIND "git-trees"
#define MAGIC "slipway git tree 2\n"
enum { MAGIC_LEN = sizeof MAGIC - 1, COUNT_LEN = 11, HEAD_LEN = MAGIC_LEN + GIT_OID_RAWSZ };

char *tree_cache_name(const char *url, const char *subdir)
{
    return mem_printf("%s#:%s", url, subdir);
}

/* Whether every file of TREE finds its blob among COUNT. */
static bool handles_fit(const struct tree *tree, uint64_t count)
{
    for (size_t i = 0; i < tree_len(tree); i++) {
        const struct entry *entry = tree_at(tree, i);
        if (entry->source && entry->handle >= count) {
            return false;
        }
    }
    return true;
}

static struct tree *parse(const struct record_view *data, const git_oid *id,
                          struct content_source *source)
{
    const size_t start = HEAD_LEN + COUNT_LEN;
    uint64_t count = 0;
    char number[COUNT_LEN + 1] = "";
    if (data->len < start || memcmp(data->value, MAGIC, MAGIC_LEN) != 0 ||
        memcmp(data->value + MAGIC_LEN, id->id, GIT_OID_RAWSZ) != 0) {
        return NULL;
    }
    memcpy(number, data->value + HEAD_LEN, COUNT_LEN);
    if (sscanf(number, "%10" SCNu64, &count) != 1 || count > (data->len - start) / GIT_OID_RAWSZ) {
        return NULL;
    }
    const char *ids = data->value + start;
    size_t ids_len = (size_t)count * GIT_OID_RAWSZ;
    AUTO(tree_unrefp)
    struct tree *tree = tree_index_decode(ids + ids_len, data->len - start - ids_len, source);
    if (!tree || !handles_fit(tree, count)) {
        return NULL;
    }
    for (uint64_t i = 0; i < count; i++) {
        git_oid blob;
        memcpy(blob.id, ids + i * GIT_OID_RAWSZ, GIT_OID_RAWSZ);
        git_content_add(source, &blob);
    }
    return MEM_STEAL(tree);
}

struct tree *tree_cache_load(struct store *store, const char *name, const git_oid *id,
                             struct content_source *source)
{
    AUTO(record_view_release) struct record_view data = {0};
    struct error ignored = {0};
    if (store_record_view(store, RECORD_KIND, name, &data, &ignored) != 0 || !data.value) {
        return NULL;
    }
    return parse(&data, id, source);
}

/* The one source of all files; false where there are several. */
static bool one_source(const struct tree *tree, struct content_source **out)
{
    *out = NULL;
    for (size_t i = 0; i < tree_len(tree); i++) {
        struct content_source *source = tree_at(tree, i)->source;
        if (source && *out && source != *out) {
            return false;
        }
        *out = source ? source : *out;
    }
    return true;
}

void tree_cache_save(struct store *store, const char *name, const git_oid *id,
                     const struct tree *tree)
{
    struct content_source *source = NULL;
    size_t count = 0;
    if (!one_source(tree, &source)) {
        return;
    }
    const git_oid *ids = source ? git_content_ids(source, &count) : NULL;
    if (source && !ids) {
        return;
    }
    AUTO(buf_release) struct buf data = BUF_INIT_LARGE(0);
    buf_append(&data, MAGIC, MAGIC_LEN);
    buf_append(&data, id->id, GIT_OID_RAWSZ);
    buf_printf(&data, "%010zu\n", count);
    for (size_t i = 0; i < count; i++) {
        buf_append(&data, ids[i].id, GIT_OID_RAWSZ);
    }
    tree_index_encode(tree, &data);
    struct error ignored = {0};
    store_record_put(store, RECORD_KIND, name, data.data, data.len, &ignored);
}
