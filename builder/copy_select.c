/* Which entries a source of COPY or ADD names: wildcards, links, --parents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "base/strlist.h"
#include "builder/copy.h"
#include "builder/pattern.h"

void copy_sources_release(struct copy_sources *sources)
{
    for (size_t i = 0; i < sources->len; i++) {
        free(sources->items[i].name);
        free(sources->items[i].path);
        free(sources->items[i].below);
    }
    free(sources->items);
    *sources = (struct copy_sources){0};
}

static bool has_wildcards(const char *pattern)
{
    return strpbrk(pattern, "*?[\\") != NULL;
}

static int not_found(const char *name, struct error *err)
{
    error_set(err, ERR_STEP, "%s: not found", name);
    err->sys_errno = ENOENT;
    return -1;
}

/* Whether PATH, which has no links, is something in TREE; the root always is. */
static bool is_there(const struct tree *tree, const char *path)
{
    size_t first = 0;
    size_t end = 0;
    if (!path[0] || tree_find(tree, path)) {
        return true;
    }
    tree_below(tree, path, &first, &end);
    return first < end;
}

static struct copy_source *new_source(struct copy_sources *out)
{
    out->items = mem_realloc(out->items, out->len + 1, sizeof *out->items);
    struct copy_source *source = &out->items[out->len++];
    *source = (struct copy_source){0};
    return source;
}

/* Follows links to what NAME is and adds it. */
static int add_source(struct tree *tree, const char *name, struct copy_sources *out,
                      struct error *err)
{
    AUTO(mem_freep) char *path = NULL;
    if (tree_resolve(tree, name, true, &path, err) != 0) {
        err->code = ERR_STEP;
        return -1;
    }
    if (!is_there(tree, path)) {
        return not_found(name, err);
    }
    struct copy_source *source = new_source(out);
    source->name = mem_strdup(name);
    source->path = MEM_STEAL(path);
    return 0;
}

/* Literal folders in front of the first wildcard, so that only what lies there is looked at. */
static char *literal_prefix(const char *pattern)
{
    size_t end = strcspn(pattern, "*?[\\");
    while (end > 0 && pattern[end - 1] != '/') {
        end--;
    }
    return mem_strndup(pattern, end > 0 ? end - 1 : 0);
}

/* The names that PATTERN, clean and with wildcards, has in TREE; links among the literal folders in
 * front are followed. Wildcards do not match over a slash. */
static int find_names(struct tree *tree, const char *pattern, struct strlist *out,
                      struct error *err)
{
    AUTO(mem_freep) char *prefix = literal_prefix(pattern);
    AUTO(mem_freep) char *real = NULL;
    if (tree_resolve(tree, prefix, true, &real, err) != 0) {
        return -1;
    }
    const char *rest = prefix[0] ? pattern + strlen(prefix) + 1 : pattern;
    size_t first = 0;
    size_t end = 0;
    tree_below(tree, real, &first, &end);
    size_t cut = real[0] ? strlen(real) + 1 : 0;
    for (size_t i = first; i < end; i++) {
        const char *relative = tree_at(tree, i)->path + cut;
        bool matched = false;
        if (pattern_match(rest, relative, false, &matched, err) != 0) {
            return -1;
        }
        if (matched) {
            strlist_take(out, path_join(prefix, relative));
        }
    }
    return 0;
}

static int add_matches(struct tree *tree, const char *pattern, struct copy_sources *out,
                       struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    if (find_names(tree, pattern, &names, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < names.len; i++) {
        if (add_source(tree, names.items[i], out, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Bytes of the folders that A and B have in common. */
static size_t common_folders(const char *a, const char *b)
{
    size_t common = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++) {
        common = a[i] == '/' ? i : common;
    }
    return common;
}

/* --parents: adds what lies at BELOW in folder PIVOT. A link stays a link, as it lies inside a
 * folder that is copied. */
static void add_below(const char *pivot, const char *below, size_t first_here,
                      struct copy_sources *out)
{
    const char *before = out->len > first_here ? out->items[out->len - 1].below : "";
    size_t made = common_folders(before, below);
    struct copy_source *source = new_source(out);
    source->name = path_join(pivot, below);
    source->path = mem_strdup(source->name);
    source->below = mem_strdup(below);
    source->made = made;
}

/* --parents: adds what PATTERN matches below the folder PIVOT, which has no links in it. What lies
 * in a folder that matched comes with it. */
static int add_parents_matches(struct tree *tree, const char *pivot, const char *pattern,
                               struct copy_sources *out, struct error *err)
{
    size_t first_here = out->len;
    size_t first = 0;
    size_t end = 0;
    size_t cut = pivot[0] ? strlen(pivot) + 1 : 0;
    if (!has_wildcards(pattern)) {
        AUTO(mem_freep) char *path = path_join(pivot, pattern);
        if (is_there(tree, path)) {
            add_below(pivot, pattern, first_here, out);
        }
        return 0;
    }
    tree_below(tree, pivot, &first, &end);
    for (size_t i = first; i < end; i++) {
        const char *below = tree_at(tree, i)->path + cut;
        bool matched = false;
        if (out->len > first_here && path_is_below(below, out->items[out->len - 1].below)) {
            continue;
        }
        if (pattern_match(pattern, below, true, &matched, err) != 0) {
            return -1;
        }
        if (matched) {
            add_below(pivot, below, first_here, out);
        }
    }
    return 0;
}

/* --parents: the folders that PATTERN's part in front of the pivot "/./" names. */
static int find_pivots(struct tree *tree, const char *front, struct strlist *out, struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    if (!has_wildcards(front)) {
        strlist_add(&names, front);
    } else if (find_names(tree, front, &names, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < names.len; i++) {
        char *real = NULL;
        if (tree_resolve(tree, names.items[i], true, &real, err) != 0) {
            err->code = ERR_STEP;
            return -1;
        }
        strlist_take(out, real);
        if (!is_there(tree, real)) {
            return not_found(names.items[i], err);
        }
    }
    return 0;
}

/* --parents: PATTERN as written, "FRONT/./BELOW" or "BELOW". */
static int select_parents(struct tree *tree, const char *pattern, struct copy_sources *out,
                          struct error *err)
{
    const char *pivot = strstr(pattern, "/./");
    AUTO(mem_freep) char *written = mem_strndup(pattern, pivot ? (size_t)(pivot - pattern) : 0);
    AUTO(mem_freep) char *front = path_clean(written);
    AUTO(mem_freep) char *below = path_clean(pivot ? pivot + 3 : pattern);
    AUTO(strlist_release) struct strlist pivots = {0};
    size_t before = out->len;
    if (!below[0]) {
        return error_set(err, ERR_STEP,
                         "%s: --parents needs a name behind the folder it copies from", pattern);
    }
    if (find_pivots(tree, front, &pivots, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < pivots.len; i++) {
        if (add_parents_matches(tree, pivots.items[i], below, out, err) != 0) {
            return -1;
        }
    }
    if (out->len == before && !has_wildcards(front) && !has_wildcards(below)) {
        AUTO(mem_freep) char *name = path_join(front, below);
        return not_found(name, err);
    }
    if (out->len == before && pivots.len > 0) {
        add_below(pivots.items[0], "", before, out); /* the destination is made all the same */
    }
    return 0;
}

int copy_select(struct tree *tree, const char *pattern, bool wildcards,
                const struct copy_plan *plan, struct copy_sources *out, struct error *err)
{
    if (plan->parents) {
        return select_parents(tree, pattern, out, err);
    }
    AUTO(mem_freep) char *clean = path_clean(pattern);
    return wildcards && has_wildcards(clean) ? add_matches(tree, clean, out, err)
                                             : add_source(tree, clean, out, err);
}
