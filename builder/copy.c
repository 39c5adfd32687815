/* COPY: the walk over what a source names, and how each entry lands in the edit. */
#include "builder/copy.h"

#include <stdlib.h>
#include <string.h>
/* tsearch(); the header has a `struct entry` of its own. */
#define entry search_entry
#include <search.h>
#undef entry

#include "base/memory.h"
#include "base/path.h"
#include "builder/link_map.h"

/* One copy in progress. */
struct copying {
    struct edit *edit;
    const struct copy_plan *plan;
    const char *target; /* resolved path of the top of what is copied */
    bool keep_top;      /* the top folder was there before: its metadata stay */
    bool has_links;     /* the source tree has hard links at all */
    bool force;
    struct link_map links;
};

static bool excluded(const struct copy_plan *plan, const char *relative, bool is_dir)
{
    return plan->exclude && ignore_excludes(plan->exclude, relative, is_dir, NULL);
}

static bool any_links(const struct tree *tree, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (tree_at(tree, i)->type == ENTRY_HARDLINK) {
            return true;
        }
    }
    return false;
}

/* A folder that is excluded comes along where something in it is taken back in: visits those above
 * RELATIVE. */
static int visit_excluded_parents(struct tree *tree, const struct copy_source *source,
                                  const struct copy_plan *plan, const char *relative,
                                  copy_visit_fn visit, void *ctx, struct error *err)
{
    for (const char *p = strchr(relative, '/'); p; p = strchr(p + 1, '/')) {
        AUTO(mem_freep) char *parent = mem_strndup(relative, (size_t)(p - relative));
        AUTO(mem_freep) char *path = path_join(source->path, parent);
        const struct entry *entry = tree_find(tree, path);
        if (entry && excluded(plan, parent, true) &&
            visit(ctx, tree_lower_bound(tree, path), entry, parent, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Whether A and B lie in the same folder. */
static bool same_parent(const char *a, const char *b)
{
    const char *x = strrchr(a, '/');
    const char *y = strrchr(b, '/');
    size_t len = x ? (size_t)(x - a) : 0;
    return len == (y ? (size_t)(y - b) : 0) && memcmp(a, b, len) == 0;
}

int copy_visit(struct tree *tree, const struct copy_source *source, const struct copy_plan *plan,
               copy_visit_fn visit, void *ctx, struct error *err)
{
    const struct entry *top = tree_find(tree, source->path);
    const char *name = path_name(source->name);
    if (top && top->type != ENTRY_DIR) {
        if (excluded(plan, plan->parents ? source->below : name, false)) {
            return 0;
        }
        return visit(ctx, tree_lower_bound(tree, source->path), top, "", err);
    }
    if (top && visit(ctx, tree_lower_bound(tree, source->path), top, "", err) != 0) {
        return -1;
    }
    size_t first = 0;
    size_t end = 0;
    tree_below(tree, source->path, &first, &end);
    size_t skip = source->path[0] ? strlen(source->path) + 1 : 0;
    const char *last = "";
    for (size_t i = first; i < end; i++) {
        const struct entry *entry = tree_at(tree, i);
        const char *relative = entry->path + skip;
        if (excluded(plan, relative, entry->type == ENTRY_DIR)) {
            continue;
        }
        if (plan->exclude && !same_parent(relative, last) &&
            visit_excluded_parents(tree, source, plan, relative, visit, ctx, err) != 0) {
            return -1;
        }
        last = relative;
        if (visit(ctx, i, entry, relative, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ENTRY with the plan's owner and mode. */
static struct entry dressed(const struct copy_plan *plan, const struct entry *entry)
{
    struct entry copy = *entry_inode(entry);
    if (plan->chown) {
        copy.uid = plan->chown->uid;
        copy.gid = plan->chown->gid;
    }
    if (plan->chmod && copy.type != ENTRY_SYMLINK) {
        copy.mode = chmod_apply(plan->chmod, copy.mode, copy.type == ENTRY_DIR);
    }
    copy.flags &= (uint8_t) ~(ENTRY_PARENT | ENTRY_OPAQUE);
    return copy;
}

static const struct owner root_owner = {0, 0};

static int put_entry(struct copying *c, const struct entry *entry, const char *path,
                     struct error *err)
{
    struct entry copy = dressed(c->plan, entry);
    copy.path = path;
    if (c->has_links && copy.type == ENTRY_FILE) {
        const char *first = link_map_seen(&c->links, entry_inode(entry), path);
        if (first) {
            copy.type = ENTRY_HARDLINK;
            copy.link = first;
            copy.source = NULL;
        }
    }
    return edit_put(c->edit, &copy, c->force, err);
}

/* The folder that takes a folder's content is made like any missing parent; of its source only
 * --chmod with a number counts. */
static int put_top(struct copying *c, struct error *err)
{
    const struct owner *owner = c->plan->chown ? c->plan->chown : &root_owner;
    if (c->keep_top || !c->target[0]) {
        return 0;
    }
    if (edit_make_dirs(c->edit, c->target, owner, err) != 0) {
        return -1;
    }
    if (c->plan->chmod && c->plan->chmod->octal) {
        struct entry top = *edit_find(c->edit, c->target);
        AUTO(mem_freep) char *path = mem_strdup(top.path);
        top.path = path;
        top.mode = c->plan->chmod->mode;
        return edit_put(c->edit, &top, false, err);
    }
    return 0;
}

static int copy_one(void *ctx, size_t index, const struct entry *entry, const char *relative,
                    struct error *err)
{
    (void)index;
    struct copying *c = ctx;
    if (!relative[0]) {
        bool made = entry->type == ENTRY_DIR && !c->plan->parents;
        return made ? put_top(c, err) : put_entry(c, entry, c->target, err);
    }
    AUTO(mem_freep)
    char *path = c->target[0] ? mem_printf("%s/%s", c->target, relative) : mem_strdup(relative);
    return put_entry(c, entry, path, err);
}

/* Makes the folders of --parents between destination and entry, with the metadata that they have in
 * the source. */
static int make_source_parents(struct copying *c, struct tree *tree,
                               const struct copy_source *source, const char *base,
                               struct error *err)
{
    size_t depth = strlen(source->path) - strlen(source->below);
    for (const char *p = strchr(source->below, '/'); p; p = strchr(p + 1, '/')) {
        AUTO(mem_freep) char *below = mem_strndup(source->below, (size_t)(p - source->below));
        AUTO(mem_freep) char *from = mem_strndup(source->path, depth + strlen(below));
        AUTO(mem_freep) char *path = base[0] ? mem_printf("%s/%s", base, below) : mem_strdup(below);
        const struct entry *dir = tree_find(tree, from);
        if (dir && dir->type == ENTRY_DIR && put_entry(c, dir, path, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Where SOURCE goes: the resolved path of its top. Makes the folders above it. */
static int find_target(struct copying *c, struct tree *tree, const struct copy_source *source,
                       bool is_dir, char **target_out, struct error *err)
{
    const char *dest = c->plan->dest;
    size_t len = strlen(dest);
    bool wants_folder = len > 0 && dest[len - 1] == '/';
    const struct owner *owner = c->plan->chown ? c->plan->chown : &root_owner;
    AUTO(mem_freep) char *resolved = NULL;
    if (edit_resolve(c->edit, dest, true, &resolved, err) != 0) {
        err->code = ERR_STEP; /* the image is as it is: no mistake in writing */
        return -1;
    }
    const struct entry *there = resolved[0] ? edit_find(c->edit, resolved) : NULL;
    bool there_is_dir = !resolved[0] || (there && there->type == ENTRY_DIR);
    if (c->plan->parents) {
        if (edit_make_dirs(c->edit, resolved, owner, err) != 0 ||
            make_source_parents(c, tree, source, resolved, err) != 0) {
            return -1;
        }
        *target_out = path_join(resolved, source->below);
        return 0;
    }
    if (!is_dir && (there_is_dir || wants_folder)) {
        if (edit_make_dirs(c->edit, resolved, owner, err) != 0) {
            return -1;
        }
        *target_out = path_join(resolved, path_name(source->name));
        return 0;
    }
    AUTO(mem_freep) char *parent = path_parent(resolved);
    if (edit_make_dirs(c->edit, parent, owner, err) != 0) {
        return -1;
    }
    if (is_dir && there && !there_is_dir) {
        return error_set(err, ERR_STEP, "cannot copy to non-directory: /%s", resolved);
    }
    *target_out = MEM_STEAL(resolved);
    return 0;
}

int copy_into(struct edit *edit, struct tree *tree, const struct copy_source *source,
              const struct copy_plan *plan, struct error *err)
{
    const struct entry *top = tree_find(tree, source->path);
    bool is_dir = !top || top->type == ENTRY_DIR;
    struct copying c = {.edit = edit, .plan = plan};
    c.has_links = any_links(tree, 0, tree_len(tree));
    AUTO(mem_freep) char *target = NULL;
    int result = find_target(&c, tree, source, is_dir, &target, err);
    if (result == 0) {
        c.target = target;
        c.keep_top = is_dir && edit_find(edit, target) != NULL;
        if (is_dir && !top && target[0]) {
            /* The root of a context has no entry of its own. */
            result = edit_make_dirs(edit, target, plan->chown ? plan->chown : &root_owner, err);
        }
    }
    if (result == 0) {
        result = copy_visit(tree, source, plan, copy_one, &c, err);
    }
    link_map_release(&c.links);
    return result;
}

/* The parents that an archive does not name itself are made; a parent that is a link is followed
 * inside the root. */
static int unpack_path(struct edit *edit, const char *target, const char *relative, char **out,
                       struct error *err)
{
    AUTO(mem_freep)
    char *joined = target[0] ? mem_printf("%s/%s", target, relative) : mem_strdup(relative);
    AUTO(mem_freep) char *parent = path_parent(joined);
    AUTO(mem_freep) char *resolved = NULL;
    if (edit_resolve(edit, parent, true, &resolved, err) != 0 ||
        edit_make_dirs(edit, resolved, &root_owner, err) != 0) {
        return -1;
    }
    *out = path_join(resolved, path_name(relative));
    return 0;
}

static int unpack_one(struct copying *c, const struct entry *entry, struct error *err)
{
    if (!entry->path[0]) {
        return 0;
    }
    AUTO(mem_freep) char *path = NULL;
    if (unpack_path(c->edit, c->target, entry->path, &path, err) != 0) {
        return -1;
    }
    return put_entry(c, entry, path, err);
}

int copy_unpack(struct edit *edit, struct tree *archive, const struct copy_plan *plan,
                struct error *err)
{
    /* Modes in an archive are information: --chmod is for plain files. */
    struct copy_plan unpacking = *plan;
    unpacking.chmod = NULL;
    struct copying c = {.edit = edit, .plan = &unpacking, .has_links = true, .force = true};
    AUTO(mem_freep) char *target = NULL;
    const struct owner *owner = plan->chown ? plan->chown : &root_owner;
    if (edit_resolve(edit, plan->dest, true, &target, err) != 0 ||
        edit_make_dirs(edit, target, owner, err) != 0) {
        return -1;
    }
    c.target = target;
    int result = 0;
    for (size_t i = 0; i < tree_len(archive) && result == 0; i++) {
        result = unpack_one(&c, tree_at(archive, i), err);
    }
    link_map_release(&c.links);
    return result;
}
