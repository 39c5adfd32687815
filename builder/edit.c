#include "builder/edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"

struct edit {
    struct tree *base;
    struct tree_builder *changes;
    bool replaced_folders; /* something that is no folder was put where the base has one */
};

struct edit *edit_new(struct tree *base)
{
    struct edit *e = mem_calloc(1, sizeof *e);
    e->base = base ? tree_ref(base) : tree_empty();
    e->changes = tree_builder_new();
    return e;
}

void edit_freep(struct edit **e)
{
    if (*e) {
        tree_unref((*e)->base);
        tree_builder_freep(&(*e)->changes);
        free(*e);
    }
    *e = NULL;
}

/* Whether a parent of PATH was replaced by something that is no folder, so that the base's entries
 * there are gone. */
static bool parent_replaced(struct edit *e, const char *path)
{
    AUTO(mem_freep) char *parent = path_parent(path);
    while (parent[0]) {
        const struct entry *entry = tree_builder_get(e->changes, parent);
        if (entry && entry->type != ENTRY_DIR) {
            return true;
        }
        char *slash = strrchr(parent, '/');
        *(slash ? slash : parent) = '\0';
    }
    return false;
}

const struct entry *edit_find(struct edit *e, const char *path)
{
    const struct entry *changed = tree_builder_get(e->changes, path);
    if (changed) {
        return changed;
    }
    if (e->replaced_folders && parent_replaced(e, path)) {
        return NULL;
    }
    return tree_find(e->base, path);
}

static const struct entry *find_for_resolve(void *ctx, const char *path)
{
    return edit_find(ctx, path);
}

int edit_resolve(struct edit *e, const char *path, bool follow_last, char **out, struct error *err)
{
    return tree_resolve_with(find_for_resolve, e, path, follow_last, out, err);
}

int edit_make_dirs(struct edit *e, const char *path, const struct new_dirs *like, struct error *err)
{
    AUTO(mem_freep) char *copy = mem_strdup(path);
    for (char *p = copy; *p; p++) {
        p += strcspn(p, "/");
        char saved = *p;
        *p = '\0';
        const struct entry *there = edit_find(e, copy);
        if (there && there->type != ENTRY_DIR) {
            return error_set(err, ERR_STEP, "/%s is not a directory", copy);
        }
        if (!there) {
            tree_builder_add(e->changes, &(struct entry){.path = copy,
                                                         .type = ENTRY_DIR,
                                                         .mode = (uint16_t)like->mode,
                                                         .uid = like->owner.uid,
                                                         .gid = like->owner.gid,
                                                         .flags = ENTRY_TIME_VOLATILE});
        }
        *p = saved;
        if (!saved) {
            break;
        }
    }
    return 0;
}

int edit_put(struct edit *e, const struct entry *entry, bool force, struct error *err)
{
    const struct entry *there = edit_find(e, entry->path);
    bool was_dir = there && there->type == ENTRY_DIR;
    bool is_dir = entry->type == ENTRY_DIR;
    if (there && was_dir != is_dir && !force) {
        return is_dir ? error_set(err, ERR_STEP, "cannot copy to non-directory: /%s", entry->path)
                      : error_set(err, ERR_STEP, "cannot replace directory /%s with a file",
                                  entry->path);
    }
    e->replaced_folders |= was_dir && !is_dir;
    tree_builder_add(e->changes, entry);
    return 0;
}

/* Adds the parents of the changed entries from the base. */
static void add_parents(struct edit *e, const struct tree *changes, struct tree_builder *parents)
{
    for (size_t i = 0; i < tree_len(changes); i++) {
        AUTO(mem_freep) char *parent = path_parent(tree_at(changes, i)->path);
        while (parent[0] && !tree_find(changes, parent) && !tree_builder_has(parents, parent)) {
            const struct entry *there = tree_find(e->base, parent);
            if (there) {
                struct entry copy = *there;
                copy.flags |= ENTRY_PARENT;
                tree_builder_add(parents, &copy);
            }
            char *slash = strrchr(parent, '/');
            *(slash ? slash : parent) = '\0';
        }
    }
}

struct tree *edit_finish(struct edit *e)
{
    AUTO(tree_unrefp) struct tree *changes = tree_builder_finish(MEM_STEAL(e->changes));
    AUTO(tree_builder_freep) struct tree_builder *adding = tree_builder_new();
    add_parents(e, changes, adding);
    AUTO(tree_unrefp) struct tree *parents = tree_builder_finish(MEM_STEAL(adding));
    struct tree *diff = tree_merge(parents, changes);
    edit_freep(&e);
    return diff;
}
