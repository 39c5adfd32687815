#include "builder/context_part.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"

/* Marks the folders above PATH in KEEP, which has a place for each entry of TREE. */
static void keep_parents(const struct tree *tree, const char *path, bool *keep)
{
    AUTO(mem_freep) char *at = path_parent(path);
    while (at[0]) {
        size_t index = tree_lower_bound(tree, at);
        if (index >= tree_len(tree) || keep[index] || strcmp(tree_at(tree, index)->path, at) != 0) {
            return;
        }
        keep[index] = true;
        char *up = path_parent(at);
        free(at);
        at = up;
    }
}

struct tree *context_without_ignored(struct tree *whole, const struct ignore *ignore)
{
    AUTO(tree_builder_freep) struct tree_builder *b = tree_builder_new();
    AUTO(mem_freep) bool *keep = mem_calloc(tree_len(whole) + 1, sizeof *keep);
    for (size_t i = 0; i < tree_len(whole); i++) {
        const struct entry *entry = tree_at(whole, i);
        if (!ignore_excludes(ignore, entry->path, entry->type == ENTRY_DIR, NULL)) {
            keep[i] = true;
            keep_parents(whole, entry->path, keep);
        }
    }
    for (size_t i = 0; i < tree_len(whole); i++) {
        if (keep[i]) {
            tree_builder_add(b, tree_at(whole, i));
        }
    }
    return tree_builder_finish(MEM_STEAL(b));
}

struct tree *context_part(struct tree *whole, const char *part)
{
    AUTO(tree_builder_freep) struct tree_builder *b = tree_builder_new();
    size_t first = 0;
    size_t end = 0;
    size_t skip = strlen(part) + 1;
    tree_below(whole, part, &first, &end);
    for (; first < end; first++) {
        struct entry entry = *tree_at(whole, first);
        /* A link to a file outside of the part is that file. */
        if (entry.type == ENTRY_HARDLINK && strncmp(entry.link, part, skip - 1) == 0 &&
            entry.link[skip - 1] == '/') {
            entry.link += skip;
        } else if (entry.type == ENTRY_HARDLINK && entry.target) {
            entry = *entry.target;
        }
        entry.path = tree_at(whole, first)->path + skip;
        tree_builder_add(b, &entry);
    }
    return tree_builder_finish(MEM_STEAL(b));
}
