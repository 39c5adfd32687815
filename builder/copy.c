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
    struct tree *tree;
    const struct copy_source *source;
    const struct copy_plan *plan;
    const char *target;       /* resolved path of the top of what is copied */
    const char *parents_base; /* --parents: the destination without links */
    bool parents_made;        /* --parents: the folders above the top are there */
    bool has_links;           /* the source tree has hard links at all */
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

/* What --exclude looks at: RELATIVE to the source, with --parents to what it was taken from. */
static char *exclude_path(const struct copy_source *source, const char *relative)
{
    return source->below ? path_join(source->below, relative) : mem_strdup(relative);
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
        AUTO(mem_freep) char *seen = exclude_path(source, parent);
        const struct entry *entry = tree_find(tree, path);
        if (entry && excluded(plan, seen, true) &&
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

static int visit_top(struct tree *tree, const struct copy_source *source,
                     const struct copy_plan *plan, copy_visit_fn visit, void *ctx,
                     struct error *err)
{
    const struct entry *top = tree_find(tree, source->path);
    /* A file that a source names is taken in any case, as BuildKit has it; with --parents it is
     * only a part of what is copied. */
    if (!top || (source->below && excluded(plan, source->below, top->type == ENTRY_DIR))) {
        return 0;
    }
    return visit(ctx, tree_lower_bound(tree, source->path), top, "", err);
}

bool copy_is_nothing(const struct copy_source *source)
{
    return source->below && !source->below[0];
}

int copy_visit(struct tree *tree, const struct copy_source *source, const struct copy_plan *plan,
               copy_visit_fn visit, void *ctx, struct error *err)
{
    if (copy_is_nothing(source)) {
        return 0;
    }
    const struct entry *top = tree_find(tree, source->path);
    if (visit_top(tree, source, plan, visit, ctx, err) != 0) {
        return -1;
    }
    if (top && top->type != ENTRY_DIR) {
        return 0;
    }
    size_t first = 0;
    size_t end = 0;
    tree_below(tree, source->path, &first, &end);
    size_t skip = source->path[0] ? strlen(source->path) + 1 : 0;
    const char *last = "";
    for (size_t i = first; i < end; i++) {
        const struct entry *entry = tree_at(tree, i);
        const char *relative = entry->path + skip;
        AUTO(mem_freep) char *seen = plan->exclude ? exclude_path(source, relative) : NULL;
        if (seen && excluded(plan, seen, entry->type == ENTRY_DIR)) {
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

/* What folders are like that are made for the destination: their owner is --chown's, their mode
 * --chmod's where it is a number, without set-id and sticky bits. */
static struct new_dirs made_for(const struct copy_plan *plan)
{
    bool numeric = plan->chmod && plan->chmod->octal;
    return (struct new_dirs){.owner = plan->chown ? *plan->chown : root_owner,
                             .mode = numeric ? plan->chmod->mode & 0777u : 0755};
}

static int make_dirs(struct copying *c, const char *path, struct error *err)
{
    const struct new_dirs like = made_for(c->plan);
    return edit_make_dirs(c->edit, path, &like, err);
}

/* One folder of --parents between destination and entry, with the metadata that it has in the
 * source; of one that is there already only the mode changes. */
static int put_parent(struct copying *c, const struct entry *dir, const char *path,
                      struct error *err)
{
    const struct entry *there = edit_find(c->edit, path);
    if (!there || there->type != ENTRY_DIR) {
        return put_entry(c, dir, path, err);
    }
    struct entry kept = *there;
    kept.path = path;
    kept.mode = dir->mode;
    kept.flags &= (uint8_t)~ENTRY_PARENT;
    return edit_put(c->edit, &kept, false, err);
}

int copy_each_parent(struct tree *tree, const struct copy_source *source, copy_parent_fn each,
                     void *ctx, struct error *err)
{
    if (!source->below) {
        return 0;
    }
    size_t depth = strlen(source->path) - strlen(source->below);
    for (const char *p = strchr(source->below, '/'); p; p = strchr(p + 1, '/')) {
        size_t len = (size_t)(p - source->below);
        AUTO(mem_freep) char *path = mem_strndup(source->path, depth + len);
        const struct entry *dir = tree_find(tree, path);
        if (dir && each(ctx, dir, len, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Makes a folder of --parents above the entry, but for those that the source before this one has
 * made. */
static int make_source_parent(void *ctx, const struct entry *dir, size_t len, struct error *err)
{
    struct copying *c = ctx;
    AUTO(mem_freep) char *below = mem_strndup(c->source->below, len);
    AUTO(mem_freep) char *path = path_join(c->parents_base, below);
    bool made = len <= c->source->made && edit_find(c->edit, path);
    return made || dir->type != ENTRY_DIR ? 0 : put_parent(c, dir, path, err);
}

static int make_source_parents(struct copying *c, struct error *err)
{
    c->parents_made = true;
    return copy_each_parent(c->tree, c->source, make_source_parent, c, err);
}

static int copy_one(void *ctx, size_t index, const struct entry *entry, const char *relative,
                    struct error *err)
{
    (void)index;
    struct copying *c = ctx;
    if (c->source->below && !c->parents_made && make_source_parents(c, err) != 0) {
        return -1;
    }
    if (!relative[0]) {
        /* The folder that takes a folder's content is made like any missing parent. */
        bool made = entry->type == ENTRY_DIR && !c->source->below;
        return made ? make_dirs(c, c->target, err) : put_entry(c, entry, c->target, err);
    }
    AUTO(mem_freep)
    char *path = c->target[0] ? mem_printf("%s/%s", c->target, relative) : mem_strdup(relative);
    return put_entry(c, entry, path, err);
}

/* --parents: the destination is a folder, and what is above the entry is made with it. */
static int parents_target(struct copying *c, const char *resolved, char **target_out,
                          struct error *err)
{
    if (make_dirs(c, resolved, err) != 0) {
        return -1;
    }
    c->parents_base = resolved;
    *target_out = path_join(resolved, c->source->below);
    return 0;
}

/* Where the source goes, given the destination without links: the path of its top. Makes the
 * folders above it. */
static int find_target(struct copying *c, const char *resolved, bool is_dir, char **target_out,
                       struct error *err)
{
    const char *dest = c->plan->dest;
    size_t len = strlen(dest);
    bool wants_folder = len > 0 && dest[len - 1] == '/';
    const struct entry *there = resolved[0] ? edit_find(c->edit, resolved) : NULL;
    bool there_is_dir = !resolved[0] || (there && there->type == ENTRY_DIR);
    if (!is_dir && (there_is_dir || wants_folder)) {
        if (make_dirs(c, resolved, err) != 0) {
            return -1;
        }
        *target_out = path_join(resolved, path_name(c->source->name));
        return 0;
    }
    AUTO(mem_freep) char *parent = path_parent(resolved);
    if (make_dirs(c, parent, err) != 0) {
        return -1;
    }
    if (is_dir && there && !there_is_dir) {
        return error_set(err, ERR_STEP, "cannot copy to non-directory: /%s", resolved);
    }
    *target_out = mem_strdup(resolved);
    return 0;
}

int copy_into(struct edit *edit, struct tree *tree, const struct copy_source *source,
              const struct copy_plan *plan, struct error *err)
{
    const struct entry *top = tree_find(tree, source->path);
    bool is_dir = !top || top->type == ENTRY_DIR;
    struct copying c = {.edit = edit, .tree = tree, .source = source, .plan = plan};
    c.has_links = any_links(tree, 0, tree_len(tree));
    AUTO(mem_freep) char *resolved = NULL;
    AUTO(mem_freep) char *target = NULL;
    if (edit_resolve(edit, plan->dest, true, &resolved, err) != 0) {
        err->code = ERR_STEP; /* the image is as it is: no mistake in writing */
        return -1;
    }
    int result = source->below ? parents_target(&c, resolved, &target, err)
                               : find_target(&c, resolved, is_dir, &target, err);
    if (result == 0 && is_dir && !top && !copy_is_nothing(source)) {
        /* The root of a context has no entry of its own. */
        result = make_dirs(&c, target, err);
    }
    if (result == 0) {
        c.target = target;
        result = copy_visit(tree, source, plan, copy_one, &c, err);
    }
    link_map_release(&c.links);
    return result;
}

/* What an archive is unpacked into: links there lead nowhere outside of it. */
struct unpacking {
    struct edit *edit;
    const char *target; /* without links */
    char *parent;       /* the folder of the last entry as the archive has it, NULL: not known... */
    char *folder;       /* ...and without links, made */
};

static void forget_folder(struct unpacking *u)
{
    mem_freep(&u->parent);
    mem_freep(&u->folder);
}

static const struct entry *find_unpacked(void *ctx, const char *path)
{
    const struct unpacking *u = ctx;
    AUTO(mem_freep) char *whole = path_join(u->target, path);
    return edit_find(u->edit, whole);
}

/* Folder PATH of an archive without links; ERR_STEP where a link on the way leads to nothing. */
static int unpack_folder(struct unpacking *u, const char *path, char **out, struct error *err)
{
    AUTO(mem_freep) char *resolved = NULL;
    for (const char *p = strchrnul(path, '/'); path[0]; p = strchrnul(p + 1, '/')) {
        AUTO(mem_freep) char *part = mem_strndup(path, (size_t)(p - path));
        AUTO(mem_freep) char *before = NULL;
        mem_freep(&resolved);
        if (tree_resolve_with(find_unpacked, u, part, true, &resolved, err) != 0 ||
            tree_resolve_with(find_unpacked, u, part, false, &before, err) != 0) {
            err->code = ERR_STEP;
            return -1;
        }
        const struct entry *link = find_unpacked(u, before);
        bool is_there = !resolved[0] || find_unpacked(u, resolved);
        if (!is_there && link && link->type == ENTRY_SYMLINK) {
            return error_set(err, ERR_STEP, "%s: the link %s leads to nothing there", path, part);
        }
        if (!*p) {
            break;
        }
    }
    *out = resolved ? MEM_STEAL(resolved) : mem_strdup("");
    return 0;
}

/* The parents that an archive does not name itself are made; a parent that is a link is followed
 * inside of what is unpacked into. */
static int unpack_path(struct unpacking *u, const char *relative, char **out, struct error *err)
{
    static const struct new_dirs implied = {.mode = 0755};
    AUTO(mem_freep) char *parent = path_parent(relative);
    if (!u->parent || strcmp(u->parent, parent) != 0) {
        AUTO(mem_freep) char *folder = NULL;
        forget_folder(u);
        if (unpack_folder(u, parent, &folder, err) != 0) {
            return -1;
        }
        AUTO(mem_freep) char *whole = path_join(u->target, folder);
        if (edit_make_dirs(u->edit, whole, &implied, err) != 0) {
            return -1;
        }
        u->parent = MEM_STEAL(parent);
        u->folder = MEM_STEAL(whole);
    }
    const char *name = path_name(relative);
    *out = u->folder[0] ? mem_printf("%s/%s", u->folder, name) : mem_strdup(name);
    return 0;
}

static int unpack_one(struct copying *c, struct unpacking *u, const struct entry *entry,
                      struct error *err)
{
    if (!entry->path[0]) {
        return 0;
    }
    AUTO(mem_freep) char *path = NULL;
    if (unpack_path(u, entry->path, &path, err) != 0) {
        return -1;
    }
    if (entry->type != ENTRY_FILE || edit_find(c->edit, path)) {
        forget_folder(u); /* what is put may be a part of the way there */
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
    const struct new_dirs made = made_for(&unpacking);
    if (edit_resolve(edit, plan->dest, true, &target, err) != 0 ||
        edit_make_dirs(edit, target, &made, err) != 0) {
        return -1;
    }
    struct unpacking unpacked = {.edit = edit, .target = target};
    int result = 0;
    for (size_t i = 0; i < tree_len(archive) && result == 0; i++) {
        result = unpack_one(&c, &unpacked, tree_at(archive, i), err);
    }
    forget_folder(&unpacked);
    link_map_release(&c.links);
    return result;
}
