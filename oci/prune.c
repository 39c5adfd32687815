/*
 * Three passes: things that no image with a tag needs, oldest first; with ALL images by their tags,
 * oldest first, each with what nothing else needs then; and the records that speak of blobs that
 * are gone.
 */
#include "oci/prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/store_internal.h"

/* What a record speaks of. */
enum subject { SUBJECT_NONE, SUBJECT_THERE, SUBJECT_GONE };

struct pruning {
    struct store *store;
    const struct prune_options *options;
    struct prune_result *result;
    struct usage usage;
    bool *gone;    /* by item */
    int64_t since; /* what was used then or later stays */
};

static void pruning_release(struct pruning *p)
{
    usage_release(&p->usage);
    free(p->gone);
}

static bool has_room(const struct pruning *p)
{
    return p->options->has_keep && p->result->left_bytes <= p->options->keep_bytes;
}

static bool is_gone(const struct pruning *p, const struct usage_item *item)
{
    return p->gone[item - p->usage.items];
}

static int remove_item(struct pruning *p, struct usage_item *item, struct error *err)
{
    bool removed = true;
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (!p->options->dry_run &&
        store_remove_unused(p->store, item->path, p->since, &removed, err) != 0) {
        return -1;
    }
    if (removed) {
        p->gone[item - p->usage.items] = true;
        p->result->removed++;
        p->result->freed_bytes += item->bytes;
        p->result->left_bytes -= item->bytes;
        if (p->options->removed) {
            p->options->removed(p->options->ctx, item);
        }
    }
    return 0;
}

/* Whether the record is of a kind that speaks of one blob. */
static bool speaks_of_blob(const struct usage_item *item, const char **kind_out,
                           size_t *kind_len_out)
{
    static const char *const kinds[] = {"steps", "layers", "blocks", "images"};
    const char *kind = item->path + strlen("records/");
    size_t len = strcspn(kind, "/");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (item->kind == USAGE_RECORD && strlen(kinds[i]) == len &&
            strncmp(kind, kinds[i], len) == 0) {
            *kind_out = kind;
            *kind_len_out = len;
            return true;
        }
    }
    return false;
}

/* The blob is what the record's name is, or else the first digest in its value. */
static enum subject subject_of(const struct pruning *p, const struct usage_item *item)
{
    const char *kind = NULL;
    size_t kind_len = 0;
    if (!speaks_of_blob(item, &kind, &kind_len)) {
        return SUBJECT_NONE;
    }
    AUTO(mem_freep) char *kind_name = mem_strndup(kind, kind_len);
    AUTO(buf_release) struct buf value = BUF_INIT(0);
    const char *text = kind + kind_len + 1;
    struct error ignored = {0};
    struct digest digest;
    char path[STORE_BLOB_PATH_SIZE];
    bool found = false;
    if (strncmp(text, "sha256:", 7) != 0) {
        store_record_get(p->store, kind_name, text, &value, &found, &ignored);
        text = strstr(buf_text(&value), "sha256:");
    }
    AUTO(mem_freep)
    char *word = text ? mem_strndup(text, strnlen(text, DIGEST_TEXT_SIZE - 1)) : NULL;
    if (!word || digest_parse(word, ERR_STORE, &digest, &ignored) != 0) {
        return SUBJECT_NONE;
    }
    const struct usage_item *blob =
        usage_find(&p->usage, USAGE_BLOB, store_blob_path(&digest, path));
    return blob && !is_gone(p, blob) ? SUBJECT_THERE : SUBJECT_GONE;
}

static bool is_candidate(const struct pruning *p, const struct usage_item *item)
{
    const struct prune_options *o = p->options;
    if (item->needed > 0 || item->used_ns >= p->since || is_gone(p, item)) {
        return false;
    }
    switch (item->kind) {
    case USAGE_TEMP:
        return false; /* its owner's, or the next sweep's */
    case USAGE_CACHE_MOUNT:
        return o->cache_mounts || o->all;
    case USAGE_RECORD:
        /* Tags are pass two's; a record goes with its blob. */
        return strncmp(item->path, "records/tags/", 13) != 0 && subject_of(p, item) == SUBJECT_NONE;
    default:
        return true;
    }
}

static int by_use(const void *a, const void *b)
{
    const struct usage_item *x = *(struct usage_item *const *)a;
    const struct usage_item *y = *(struct usage_item *const *)b;
    return x->used_ns != y->used_ns ? (x->used_ns < y->used_ns ? -1 : 1) : strcmp(x->path, y->path);
}

static int remove_unneeded(struct pruning *p, struct error *err)
{
    AUTO(mem_freep)
    struct usage_item **list = mem_calloc(p->usage.len + 1, sizeof(*list));
    size_t len = 0;
    for (size_t i = 0; i < p->usage.len; i++) {
        if (is_candidate(p, &p->usage.items[i])) {
            list[len++] = &p->usage.items[i];
        }
    }
    qsort(list, len, sizeof(*list), by_use);
    for (size_t i = 0; i < len && !has_room(p); i++) {
        if (remove_item(p, list[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int by_record_use(const void *a, const void *b)
{
    const struct image_tag *x = a;
    const struct image_tag *y = b;
    return x->tagged != y->tagged ? (x->tagged < y->tagged ? -1 : 1) : 0;
}

static struct usage_item *tag_item(const struct pruning *p, const char *name)
{
    AUTO(mem_freep) char *file = store_file_name(name);
    AUTO(mem_freep) char *path = mem_printf("records/tags/%s", file);
    return usage_find(&p->usage, USAGE_RECORD, path);
}

/* Removes tags, the one used longest ago first, and each time what nothing needs any more. */
static int remove_tags(struct pruning *p, struct image_tag *tags, size_t len, struct error *err)
{
    for (size_t i = 0; i < len; i++) {
        struct usage_item *item = tag_item(p, tags[i].name);
        tags[i].tagged = item ? item->used_ns : INT64_MAX;
    }
    if (len > 0) {
        qsort(tags, len, sizeof *tags, by_record_use);
    }
    for (size_t i = 0; i < len && !has_room(p); i++) {
        struct usage_item *item = tag_item(p, tags[i].name);
        if (!item || item->used_ns >= p->since) {
            continue;
        }
        if (remove_item(p, item, err) != 0) {
            return -1;
        }
        if (!is_gone(p, item)) {
            continue;
        }
        usage_unmark_tag(p->store, &p->usage, &tags[i]);
        /* Without a limit all that is left goes at once in the end. */
        if (p->options->has_keep && remove_unneeded(p, err) != 0) {
            return -1;
        }
    }
    return p->options->has_keep ? 0 : remove_unneeded(p, err);
}

static int remove_images(struct pruning *p, struct error *err)
{
    struct image_tag *tags = NULL;
    size_t len = 0;
    size_t named = 0;
    if (images_list(p->store, &tags, &len, err) != 0) {
        return -1;
    }
    while (named < len && tags[named].name) {
        named++;
    }
    int result = remove_tags(p, tags, named, err);
    images_list_release(tags, len);
    return result;
}

/* Records of blobs that are gone. */
static int remove_dangling(struct pruning *p, struct error *err)
{
    for (size_t i = 0; i < p->usage.len; i++) {
        struct usage_item *item = &p->usage.items[i];
        if (item->used_ns < p->since && item->needed == 0 && !p->gone[i] &&
            subject_of(p, item) == SUBJECT_GONE && remove_item(p, item, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Lock files that nobody holds (store_lock() notices that its file lost its name). */
static void remove_locks(struct store *store)
{
    int locks = openat(store->fd, "locks", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = locks >= 0 ? fdopendir(locks) : NULL;
    if (!dir) {
        fd_closep(&locks);
        return;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] == '.' || strcmp(e->d_name, STORE_USE_LOCK) == 0) {
            continue;
        }
        AUTO(fd_closep) int fd = openat(locks, e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            unlinkat(locks, e->d_name, 0);
        }
    }
    closedir(dir);
}

static int run(struct pruning *p, struct error *err)
{
    const struct prune_options *o = p->options;
    struct timespec now;
    if (store_unused_since(p->store, &p->since, &p->result->others, err) != 0 ||
        usage_read(p->store, &p->usage, err) != 0 ||
        usage_mark_needed(p->store, &p->usage, err) != 0) {
        return -1;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t old = now.tv_sec * (int64_t)1000000000 + now.tv_nsec - o->older_than_ns;
    p->since = o->older_than_ns > 0 && old < p->since ? old : p->since;
    p->gone = mem_calloc(p->usage.len + 1, sizeof *p->gone);
    p->result->left_bytes = p->usage.bytes;
    if (remove_unneeded(p, err) != 0 || (o->all && remove_images(p, err) != 0) ||
        remove_dangling(p, err) != 0) {
        return -1;
    }
    if (!o->dry_run) {
        remove_locks(p->store);
    }
    return 0;
}

int prune(struct store *store, const struct prune_options *options, struct prune_result *result,
          struct error *err)
{
    AUTO(pruning_release)
    struct pruning p = {.store = store, .options = options, .result = result};
    *result = (struct prune_result){0};
    return run(&p, err);
}
