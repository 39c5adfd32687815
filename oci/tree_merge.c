/* A difference laid over a tree, in one linear pass over both. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/spill.h"
#include "oci/tree_internal.h"

/* What the difference has said so far about folders that hide what lies below them. Since both
 * lists are sorted and everything below "d" follows "d/" in one run, but "d-x" may come between "d"
 * and "d/y", hidden folders are kept as a small stack of those still possible. */
struct hidden {
    const char **dirs;
    size_t len;
    size_t cap;
};

static void hide(struct hidden *hidden, const char *dir)
{
    if (hidden->len == hidden->cap) {
        hidden->cap = hidden->cap ? hidden->cap * 2 : 16;
        hidden->dirs = mem_realloc(hidden->dirs, hidden->cap, sizeof *hidden->dirs);
    }
    hidden->dirs[hidden->len++] = dir;
}

/* Whether PATH may still be followed by something below DIR: PATH is less than DIR + "0" (the byte
 * after '/'). */
static bool still_possible(const char *dir, const char *path)
{
    size_t len = strlen(dir);
    int order = strncmp(path, dir, len);
    return order < 0 || (order == 0 && (unsigned char)path[len] <= '/');
}

static bool is_hidden(struct hidden *hidden, const char *path)
{
    while (hidden->len > 0 && !still_possible(hidden->dirs[hidden->len - 1], path)) {
        hidden->len--;
    }
    for (size_t i = hidden->len; i > 0; i--) {
        size_t len = strlen(hidden->dirs[i - 1]);
        if (len == 0 ? path[0] != '\0'
                     : strncmp(path, hidden->dirs[i - 1], len) == 0 && path[len] == '/') {
            return true;
        }
    }
    return false;
}

/* Notes what ENTRY of the difference hides below its path. */
static void note_hiding(struct hidden *hidden, const struct entry *entry)
{
    bool hides = entry->type != ENTRY_DIR || (entry->flags & ENTRY_OPAQUE);
    if (hides) {
        hide(hidden, entry->path);
    }
}

/* Whether ENTRY is a hard link whose inode has lost the name that the link is to. */
static bool is_tangled(const struct tree *tree, const struct entry *entry)
{
    return entry->type == ENTRY_HARDLINK && entry->target &&
           tree_find(tree, entry->target->path) != entry->target;
}

/* By inode, and of one inode by path. */
static int by_inode(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a;
    const struct entry *y = *(const struct entry *const *)b;
    if (x->target != y->target) {
        return (uintptr_t)x->target < (uintptr_t)y->target ? -1 : 1;
    }
    return strcmp(x->path, y->path);
}

/* What the links of TREE are whose inode has another name now: the first holds it, the others are
 * links to that. NULL: there are none. */
static struct tree *untangled(const struct tree *tree)
{
    AUTO(mem_freep) const struct entry **links = NULL;
    size_t len = 0;
    for (size_t i = 0; i < tree->len; i++) {
        if (is_tangled(tree, tree_at(tree, i))) {
            links = links ? links : mem_calloc(tree->len, sizeof *links);
            links[len++] = tree->entries[i];
        }
    }
    if (len == 0) {
        return NULL;
    }
    qsort(links, len, sizeof *links, by_inode);
    struct tree_builder *b = tree_builder_new();
    const char *first = NULL;
    for (size_t i = 0; i < len; i++) {
        bool begins = i == 0 || links[i]->target != links[i - 1]->target;
        struct entry copy = begins ? *links[i]->target : *links[i];
        first = begins ? links[i]->path : first;
        copy.path = links[i]->path;
        copy.link = begins ? copy.link : first;
        tree_builder_add(b, &copy);
    }
    return tree_builder_finish(b);
}

static struct tree *lay_over(struct tree *base, struct tree *diff)
{
    struct tree *out = tree_alloc(base->len + diff->len, base, diff);
    struct hidden hidden = {0};
    size_t i = 0;
    size_t k = 0;
    while (i < base->len || k < diff->len) {
        spill_looked(1);
        int order = i == base->len   ? 1
                    : k == diff->len ? -1
                                     : strcmp(base->entries[i]->path, diff->entries[k]->path);
        if (order < 0) {
            if (!is_hidden(&hidden, base->entries[i]->path)) {
                out->entries[out->len++] = base->entries[i];
            }
            i++;
            continue;
        }
        const struct entry *entry = diff->entries[k++];
        is_hidden(&hidden, entry->path); /* drops what cannot hide anything any more */
        note_hiding(&hidden, entry);
        bool opaque_only = entry->type == ENTRY_DIR && entry->mode == UINT32_MAX;
        if (opaque_only && order == 0 && base->entries[i]->type == ENTRY_DIR) {
            out->entries[out->len++] = base->entries[i];
        } else if (entry->type != ENTRY_WHITEOUT && !opaque_only) {
            out->entries[out->len++] = entry;
        }
        i += order == 0;
    }
    mem_freep(&hidden.dirs);
    return out;
}

struct tree *tree_merge(struct tree *base, struct tree *diff)
{
    struct tree *merged = lay_over(base, diff);
    AUTO(tree_unrefp) struct tree *links = diff->len > 0 ? untangled(merged) : NULL;
    if (!links) {
        return merged;
    }
    struct tree *whole = lay_over(merged, links);
    tree_unref(merged);
    return whole;
}
