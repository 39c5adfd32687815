/* Listing the store. */
#include "oci/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/store_internal.h"

/* Where things lie: every entry of `folder`, at `depth` folders below it, is one. */
static const struct place {
    enum usage_kind kind;
    const char *folder;
    int depth;
    const char *label; /* a file in it that holds its name, or NULL */
} places[] = {
    {USAGE_BLOB, "blobs", 1, NULL},
    {USAGE_UNPACKED, "unpacked", 1, NULL},
    {USAGE_TAR, "tars", 0, NULL},
    {USAGE_TREE, "trees", 0, NULL},
    {USAGE_GIT, "git", 0, "slipway-mirror"},
    {USAGE_CACHE_MOUNT, "cache-mounts", 0, "id"},
    {USAGE_RECORD, "records", 1, NULL},
    {USAGE_TEMP, "tmp", 0, NULL},
};

const char *usage_kind_name(enum usage_kind kind)
{
    static const char *const names[USAGE_KINDS] = {
        [USAGE_BLOB] = "blobs",          [USAGE_UNPACKED] = "unpacked layers",
        [USAGE_TAR] = "inflated layers", [USAGE_TREE] = "layer indexes",
        [USAGE_GIT] = "git mirrors",     [USAGE_CACHE_MOUNT] = "cache mounts",
        [USAGE_RECORD] = "records",      [USAGE_TEMP] = "unfinished"};
    return names[kind];
}

void usage_release(struct usage *usage)
{
    for (size_t i = 0; i < usage->len; i++) {
        free(usage->items[i].path);
        free(usage->items[i].name);
    }
    free(usage->items);
    *usage = (struct usage){0};
}

static uint64_t size_on_disk(const struct stat *st)
{
    uint64_t links = S_ISDIR(st->st_mode) || st->st_nlink == 0 ? 1 : (uint64_t)st->st_nlink;
    return (uint64_t)st->st_blocks * 512 / links;
}

static void dir_closep(DIR **dir)
{
    if (*dir) {
        closedir(*dir);
    }
}

/* Opens the folder PATH of the store; NULL where it is gone or not ours to read. */
static DIR *open_folder(struct store *store, const char *path)
{
    struct error ignored = {0};
    AUTO(fd_closep) int fd = -1;
    if (file_open_no_links(store->fd, path, O_RDONLY | O_DIRECTORY, 0, &fd, &ignored) != 0) {
        return NULL;
    }
    DIR *dir = fdopendir(fd);
    if (dir) {
        fd_steal(&fd);
    }
    return dir;
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Adds what is in the folder PATH to *BYTES, and its folders to QUEUE. */
static void add_folder(struct store *store, const char *path, struct strlist *queue,
                       uint64_t *bytes)
{
    AUTO(dir_closep) DIR *dir = open_folder(store, path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        struct stat st;
        if (is_dot(e->d_name) || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        *bytes += size_on_disk(&st);
        if (S_ISDIR(st.st_mode) && strlen(path) + strlen(e->d_name) < LIMIT_PATH_BYTES) {
            strlist_addf(queue, "%s/%s", path, e->d_name);
        }
    }
}

/* The size of everything below the folder PATH. One folder is open at a time, however deep they
 * lie in each other. */
static int size_of_folder(struct store *store, const char *path, uint64_t *bytes, struct error *err)
{
    AUTO(strlist_release) struct strlist queue = {0};
    strlist_add(&queue, path);
    while (queue.len > 0) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        AUTO(mem_freep) char *next = mem_strdup(queue.items[queue.len - 1]);
        strlist_remove(&queue, queue.len - 1);
        add_folder(store, next, &queue, bytes);
    }
    return 0;
}

/* What people call it: what the file LABEL in it says, else its path without the first folder. */
static char *name_of(struct store *store, const struct place *place, const char *path)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    bool found = false;
    if (place->label) {
        AUTO(mem_freep) char *label = mem_printf("%s/%s", path, place->label);
        if (file_read(store->fd, label, LIMIT_PATH_BYTES, &text, &found, &ignored) == 0 && found &&
            text.len > 0) {
            return mem_strndup(buf_text(&text), strcspn(buf_text(&text), "\n"));
        }
    }
    const char *file = strrchr(path, '/') + 1;
    AUTO(mem_freep) char *own = NULL;
    if (place->kind == USAGE_RECORD && file[0] == '@') { /* a long name's hash */
        own = store_record_name(store, path);
    }
    const char *rest = path + strlen(place->folder) + 1;
    return own ? mem_printf("%.*s%s", (int)(file - rest), rest, own) : mem_strdup(rest);
}

static int add_item(struct store *store, const struct place *place, const char *path,
                    struct usage *out, struct error *err)
{
    struct stat st;
    if (fstatat(store->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0; /* gone meanwhile */
    }
    uint64_t bytes = size_on_disk(&st);
    if (S_ISDIR(st.st_mode) && size_of_folder(store, path, &bytes, err) != 0) {
        return -1;
    }
    if ((out->len & (out->len - 1)) == 0) {
        out->items = mem_realloc(out->items, out->len ? out->len * 2 : 1, sizeof *out->items);
    }
    out->items[out->len++] = (struct usage_item){.kind = place->kind,
                                                 .path = mem_strdup(path),
                                                 .name = name_of(store, place, path),
                                                 .bytes = bytes,
                                                 .used_ns = store_time_of(&st)};
    out->bytes += bytes;
    return 0;
}

/* Adds the things DEPTH folders below PATH. */
static int add_place(struct store *store, const struct place *place, const char *path, int depth,
                     struct usage *out, struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    AUTO(dir_closep) DIR *dir = open_folder(store, path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (!is_dot(e->d_name)) {
            strlist_addf(&names, "%s/%s", path, e->d_name);
        }
    }
    strlist_sort(&names);
    for (size_t i = 0; i < names.len; i++) {
        int result = depth > 0 ? add_place(store, place, names.items[i], depth - 1, out, err)
                               : add_item(store, place, names.items[i], out, err);
        if (result != 0) {
            return -1;
        }
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct usage_item *x = a;
    const struct usage_item *y = b;
    return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : strcmp(x->path, y->path);
}

int usage_read(struct store *store, struct usage *out, struct error *err)
{
    AUTO(usage_release) struct usage usage = {0};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        const struct place *place = &places[i];
        if (add_place(store, place, place->folder, place->depth, &usage, err) != 0) {
            return -1;
        }
    }
    if (usage.len > 0) {
        qsort(usage.items, usage.len, sizeof *usage.items, by_place);
    }
    *out = usage;
    usage = (struct usage){0};
    return 0;
}

struct usage_item *usage_find(const struct usage *usage, enum usage_kind kind, const char *path)
{
    size_t low = 0;
    size_t high = usage->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct usage_item *item = &usage->items[middle];
        int order = item->kind != kind ? (item->kind < kind ? -1 : 1) : strcmp(item->path, path);
        if (order == 0) {
            return item;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
