/* Which entries a source of COPY or ADD names: wildcards, links, --parents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
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

/* Follows links to what NAME is and adds it. SKIP: bytes of NAME that --parents does not make (up
 * to the pivot). */
static int add_source(struct tree *tree, const char *name, const struct copy_plan *plan,
                      size_t skip, struct copy_sources *out, struct error *err)
{
    AUTO(mem_freep) char *path = NULL;
    if (plan->parents) {
        path =
            mem_strdup(name); /* a link stays a link, as it lies inside a folder that is copied */
    } else if (tree_resolve(tree, name, true, &path, err) != 0) {
        err->code = ERR_STEP;
        return -1;
    }
    if (path[0] && !tree_find(tree, path)) {
        size_t first = 0;
        size_t end = 0;
        tree_below(tree, path, &first, &end);
        if (first == end) {
            error_set(err, ERR_STEP, "%s: not found", name);
            err->sys_errno = ENOENT;
            return -1;
        }
    }
    out->items = mem_realloc(out->items, out->len + 1, sizeof *out->items);
    struct copy_source *source = &out->items[out->len++];
    *source = (struct copy_source){.name = mem_strdup(name), .path = MEM_STEAL(path)};
    source->below =
        plan->parents ? mem_strdup(strlen(name) > skip ? name + skip : path_name(name)) : NULL;
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

static int add_matches(struct tree *tree, const char *pattern, const struct copy_plan *plan,
                       size_t skip, struct copy_sources *out, struct error *err)
{
    AUTO(mem_freep) char *prefix = literal_prefix(pattern);
    AUTO(mem_freep) char *real = NULL;
    if (tree_resolve(tree, prefix, true, &real, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *rest = mem_strdup(prefix[0] ? pattern + strlen(prefix) + 1 : pattern);
    size_t first = 0;
    size_t end = 0;
    tree_below(tree, real, &first, &end);
    size_t cut = real[0] ? strlen(real) + 1 : 0;
    for (size_t i = first; i < end; i++) {
        const char *relative = tree_at(tree, i)->path + cut;
        bool matched = false;
        if (pattern_match(rest, relative, plan->parents, &matched, err) != 0) {
            return -1;
        }
        if (!matched) {
            continue;
        }
        AUTO(mem_freep)
        char *name = prefix[0] ? mem_printf("%s/%s", prefix, relative) : mem_strdup(relative);
        if (add_source(tree, name, plan, skip, out, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --parents: the bytes of the cleaned pattern in front of the pivot "/./". */
static size_t pivot_of(const char *pattern)
{
    const char *pivot = strstr(pattern, "/./");
    if (!pivot || pivot == pattern) {
        return 0;
    }
    AUTO(mem_freep) char *front = mem_strndup(pattern, (size_t)(pivot - pattern));
    AUTO(mem_freep) char *clean = path_clean(front);
    return clean[0] ? strlen(clean) + 1 : 0;
}

int copy_select(struct tree *tree, const char *pattern, bool wildcards,
                const struct copy_plan *plan, struct copy_sources *out, struct error *err)
{
    AUTO(mem_freep) char *clean = path_clean(pattern);
    size_t skip = plan->parents ? pivot_of(pattern) : 0;
    if (wildcards && has_wildcards(clean)) {
        return add_matches(tree, clean, plan, skip, out, err);
    }
    return add_source(tree, clean, plan, skip, out, err);
}
