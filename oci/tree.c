/* Trees: references, look-ups, links, contents. */
#include "oci/tree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/spill.h"
#include "oci/tree_internal.h"

struct content_source *content_ref(struct content_source *source)
{
    __atomic_add_fetch(&source->refs, 1, __ATOMIC_RELAXED);
    return source;
}

void content_unref(struct content_source *source)
{
    if (source && __atomic_sub_fetch(&source->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        source->ops->free(source);
    }
}

void content_unrefp(struct content_source **source)
{
    content_unref(*source);
    *source = NULL;
}

struct tree *tree_ref(struct tree *tree)
{
    __atomic_add_fetch(&tree->refs, 1, __ATOMIC_RELAXED);
    return tree;
}

void tree_unref(struct tree *tree)
{
    if (!tree || __atomic_sub_fetch(&tree->refs, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }
    for (size_t i = 0; i < tree->arenas_len; i++) {
        arena_unref(tree->arenas[i]);
    }
    free(tree->arenas);
    spill_free(tree->entries, tree->cap * sizeof *tree->entries);
    free(tree);
}

void tree_unrefp(struct tree **tree)
{
    tree_unref(*tree);
    *tree = NULL;
}

static void hold_arenas(struct tree *tree, const struct tree *from)
{
    for (size_t i = 0; from && i < from->arenas_len; i++) {
        bool held = false;
        for (size_t k = 0; k < tree->arenas_len && !held; k++) {
            held = tree->arenas[k] == from->arenas[i];
        }
        if (!held) {
            tree->arenas[tree->arenas_len++] = arena_ref(from->arenas[i]);
        }
    }
}

struct tree *tree_alloc(size_t cap, const struct tree *a, const struct tree *b)
{
    struct tree *tree = mem_calloc(1, sizeof *tree);
    tree->refs = 1;
    tree->entries = spill_calloc(cap, sizeof(*tree->entries));
    tree->cap = cap;
    size_t arenas = (a ? a->arenas_len : 0) + (b ? b->arenas_len : 0) + 1;
    tree->arenas = mem_calloc(arenas, sizeof(*tree->arenas));
    hold_arenas(tree, a);
    hold_arenas(tree, b);
    return tree;
}

struct tree *tree_empty(void)
{
    return tree_alloc(0, NULL, NULL);
}

size_t tree_len(const struct tree *tree)
{
    return tree->len;
}

const struct entry *tree_at(const struct tree *tree, size_t index)
{
    spill_looked(1);
    return tree->entries[index];
}

size_t tree_lower_bound(const struct tree *tree, const char *path)
{
    enum { PLACES = 8 }; /* that a search looks at for the first time, roughly */
    size_t low = 0;
    size_t high = tree->len;
    spill_looked(PLACES);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(tree->entries[mid]->path, path) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

const struct entry *tree_find(const struct tree *tree, const char *path)
{
    size_t at = tree_lower_bound(tree, path);
    bool found = at < tree->len && strcmp(tree->entries[at]->path, path) == 0;
    return found ? tree->entries[at] : NULL;
}

void tree_below(const struct tree *tree, const char *dir, size_t *first_out, size_t *end_out)
{
    if (!dir[0]) {
        *first_out = tree->len > 0 && !tree->entries[0]->path[0];
        *end_out = tree->len;
        return;
    }
    size_t len = strlen(dir);
    AUTO(mem_freep) char *bound = mem_alloc(len + 2);
    memcpy(bound, dir, len);
    memcpy(bound + len, "/", 2);
    *first_out = tree_lower_bound(tree, bound);
    bound[len] = '/' + 1;
    *end_out = tree_lower_bound(tree, bound);
}

/* One walk of tree_resolve(): what is done (without links) and what is still to be walked. */
struct walk {
    struct buf done;
    char *rest;
    unsigned links;
};

static void go_up(struct buf *done)
{
    while (done->len > 0 && done->data[done->len - 1] != '/') {
        done->len--;
    }
    done->len -= done->len > 0;
    if (done->data) {
        done->data[done->len] = '\0';
    }
}

/* Replaces what is left to walk by the link's target and what stood behind the link. */
static int follow_link(struct walk *walk, const struct entry *link, const char *behind,
                       const char *path, struct error *err)
{
    if (++walk->links > LIMIT_SYMLINKS) {
        return error_set(err, ERR_USAGE, "%s: too many levels of symbolic links", path);
    }
    if (link->link[0] == '/') {
        buf_clear(&walk->done);
    } else {
        go_up(&walk->done);
    }
    char *rest = mem_printf("%s/%s", link->link, behind);
    free(walk->rest);
    walk->rest = rest;
    return 0;
}

/* Takes one component of LEN bytes at NAME; BEHIND is what follows. *JUMPED_OUT: the walk goes on
 * at walk->rest. */
static int step_into(tree_find_fn find, void *ctx, struct walk *walk, const char *name, size_t len,
                     bool follow_last, const char *path, bool *jumped_out, struct error *err)
{
    const char *behind = name + len;
    bool last = behind[strspn(behind, "/")] == '\0';
    size_t before = walk->done.len;
    if (before) {
        buf_putc(&walk->done, '/');
    }
    buf_append(&walk->done, name, len);
    const struct entry *entry = find(ctx, buf_text(&walk->done));
    *jumped_out = false;
    if (entry && entry->type == ENTRY_SYMLINK && (!last || follow_last)) {
        *jumped_out = true;
        return follow_link(walk, entry, behind, path, err);
    }
    if (entry && entry->type != ENTRY_DIR && !last) {
        return error_set(err, ERR_USAGE, "%s: /%s is not a directory", path, buf_text(&walk->done));
    }
    return 0;
}

static int walk_all(tree_find_fn find, void *ctx, struct walk *walk, bool follow_last,
                    const char *path, struct error *err)
{
    const char *p = walk->rest;
    while (*(p += strspn(p, "/"))) {
        size_t len = strcspn(p, "/");
        if (len == 2 && p[0] == '.' && p[1] == '.') {
            go_up(&walk->done);
        } else if (len != 1 || p[0] != '.') {
            bool jumped = false;
            if (step_into(find, ctx, walk, p, len, follow_last, path, &jumped, err) != 0) {
                return -1;
            }
            if (jumped) {
                p = walk->rest;
                continue;
            }
        }
        p += len;
    }
    return 0;
}

int tree_resolve_with(tree_find_fn find, void *ctx, const char *path, bool follow_last, char **out,
                      struct error *err)
{
    struct walk walk = {.done = BUF_INIT(0), .rest = mem_strdup(path), .links = 0};
    int result = walk_all(find, ctx, &walk, follow_last, path, err);
    if (result == 0 && walk.done.len > LIMIT_PATH_BYTES) {
        result = error_set(err, ERR_USAGE, "%.80s...: path too long", path);
    }
    if (result == 0) {
        *out = buf_take(&walk.done);
    }
    buf_release(&walk.done);
    free(walk.rest);
    return result;
}

const struct entry *entry_inode(const struct entry *entry)
{
    return entry->type == ENTRY_HARDLINK && entry->target ? entry->target : entry;
}

static const struct entry *find_in_tree(void *ctx, const char *path)
{
    return tree_find(ctx, path);
}

int tree_resolve(const struct tree *tree, const char *path, bool follow_last, char **out,
                 struct error *err)
{
    return tree_resolve_with(find_in_tree, (void *)tree, path, follow_last, out, err);
}

int entry_open(const struct entry *entry, struct reader **out, struct error *err)
{
    const struct entry *file = entry_inode(entry);
    if (file->type != ENTRY_FILE) {
        return error_set(err, ERR_STORE, "%s is not a regular file", entry->path);
    }
    if (file->size == 0) {
        *out = reader_memory(NULL, 0, false);
        return 0;
    }
    if (!file->source) {
        return error_set(err, ERR_STORE, "%s: its content is not available", entry->path);
    }
    return file->source->ops->open(file->source, file, out, err);
}

int entry_read(const struct entry *entry, size_t max, struct buf *out, struct error *err)
{
    const struct entry *file = entry_inode(entry);
    if (file->type == ENTRY_FILE && file->size > 0 && file->size <= max && file->source &&
        file->source->ops->read) {
        return file->source->ops->read(file->source, file, out, err);
    }
    AUTO(reader_freep) struct reader *r = NULL;
    if (entry_open(entry, &r, err) != 0) {
        return -1;
    }
    return reader_read_all(r, entry->path, max, out, err);
}

struct memory_source {
    struct content_source base;
    char *data;
    size_t len;
};

/* A reader over a part of the source's bytes, which keeps the source alive. */
struct part_reader {
    struct reader base;
    struct content_source *source;
    const char *at;
    size_t left;
};

static int part_read(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    (void)err;
    struct part_reader *part = (struct part_reader *)r;
    size_t n = part->left < cap ? part->left : cap;
    memcpy(data, part->at, n);
    part->at += n;
    part->left -= n;
    *got_out = n;
    return 0;
}

static void part_free(struct reader *r)
{
    struct part_reader *part = (struct part_reader *)r;
    content_unref(part->source);
    free(part);
}

static const struct reader_ops part_ops = {part_read, part_free};

static int memory_open(struct content_source *source, const struct entry *entry,
                       struct reader **out, struct error *err)
{
    struct memory_source *m = (struct memory_source *)source;
    if (entry->handle > m->len || entry->size > m->len - entry->handle) {
        return error_set(err, ERR_STORE, "%s: outside of its content", entry->path);
    }
    struct part_reader *part = mem_calloc(1, sizeof *part);
    *part = (struct part_reader){
        {&part_ops}, content_ref(source), m->data + entry->handle, entry->size};
    *out = &part->base;
    return 0;
}

static void memory_free(struct content_source *source)
{
    struct memory_source *m = (struct memory_source *)source;
    free(m->data);
    free(m);
}

static const struct content_ops memory_ops = {.open = memory_open, .free = memory_free};

struct content_source *content_memory(void *data, size_t len)
{
    struct memory_source *m = mem_calloc(1, sizeof *m);
    *m = (struct memory_source){{&memory_ops, 1}, data, len};
    return &m->base;
}

/* Ranges of a file. */
struct file_source {
    struct content_source base; /* first */
    int fd;
};

static int range_open(struct content_source *source, const struct entry *entry, struct reader **out,
                      struct error *err)
{
    (void)err;
    const struct file_source *f = (struct file_source *)source;
    *out = reader_fd_range(f->fd, entry->path, entry->handle, entry->size);
    return 0;
}

static void range_free(struct content_source *source)
{
    struct file_source *f = (struct file_source *)source;
    close(f->fd);
    free(f);
}

static const struct content_ops file_ops = {.open = range_open, .free = range_free};

struct content_source *content_file(int fd)
{
    struct file_source *f = mem_calloc(1, sizeof *f);
    *f = (struct file_source){{&file_ops, 1}, fd};
    return &f->base;
}
