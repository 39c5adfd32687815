#include "builder/missing.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "builder/sources.h"

/* The names directly below folder DIR of TREE. */
static void list_names(const struct tree *tree, const char *dir, struct strlist *out)
{
    size_t first = 0;
    size_t end = 0;
    size_t cut = dir[0] ? strlen(dir) + 1 : 0;
    size_t last = 0;
    tree_below(tree, dir, &first, &end);
    for (size_t i = first; i < end; i++) {
        const char *name = tree_at(tree, i)->path + cut;
        size_t len = strcspn(name, "/");
        /* What lies below a folder mostly follows it; a name that comes twice does no harm. */
        bool same = out->len > 0 && strlen(out->items[last]) == len &&
                    memcmp(out->items[last], name, len) == 0;
        if (!same) {
            strlist_take(out, mem_strndup(name, len));
            last = out->len - 1;
        }
    }
}

/* Whether PATH or something below it is in TREE. */
static bool exists(const struct tree *tree, const char *path)
{
    size_t first = 0;
    size_t end = 0;
    if (tree_find(tree, path)) {
        return true;
    }
    tree_below(tree, path, &first, &end);
    return first < end;
}

char *missing_nearest(const struct tree *tree, const char *path)
{
    size_t start = 0;
    AUTO(mem_freep) char *folder = mem_strdup("");
    while (path[start]) {
        size_t len = strcspn(path + start, "/");
        AUTO(mem_freep) char *name = mem_strndup(path + start, len);
        AUTO(mem_freep) char *here = path_join(folder, name);
        if (!exists(tree, here)) {
            AUTO(strlist_release) struct strlist names = {0};
            list_names(tree, folder, &names);
            const char *near = nearest_name(name, (const char *const *)names.items, names.len);
            return near ? path_join(folder, near) : NULL;
        }
        free(folder);
        folder = MEM_STEAL(here);
        start += len + (path[start + len] == '/');
    }
    return NULL;
}

int missing_source(struct stage *stage, const struct missing *what, const struct tree *tree,
                   struct error *err)
{
    const char *word = what->word;
    AUTO(mem_freep) char *clean = path_clean(word);
    AUTO(mem_freep) char *where = source_describe(stage, what->from);
    AUTO(mem_freep) char *why = source_why_excluded(stage->build, what->from, clean);
    AUTO(mem_freep) char *near = why ? NULL : missing_nearest(tree, clean);
    error_set(err, ERR_STEP, "%s %s: not in %s", what->scene, word, where);
    AUTO(mem_freep) char *front = mem_strdup(err->text);
    if (why) {
        return error_set(err, ERR_STEP, "%s (%s)", front, why);
    }
    if (near) {
        return error_set(err, ERR_STEP, "%s, did you mean %s%s?", front, word[0] == '/' ? "/" : "",
                         near);
    }
    return -1;
}

/* The name of a stage before STAGE that is nearest to NAME; NULL: none is near. */
static const char *nearest_stage(const struct stage *stage, const char *name)
{
    AUTO(mem_freep) const char **names = mem_calloc(stage->index + 1, sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < stage->index; i++) {
        if (stage->build->plan.stages[i].name) {
            names[count++] = stage->build->plan.stages[i].name;
        }
    }
    return nearest_name(name, names, count);
}

int missing_image(const struct stage *stage, const char *name, struct error *err)
{
    /* Names of stages hold none of these. */
    const char *near = strpbrk(name, "/:@") ? NULL : nearest_stage(stage, name);
    if (!near) {
        return -1;
    }
    if (err->http_status == 401 || err->http_status == 403 || err->http_status == 404) {
        err->code = ERR_USAGE;
    }
    return error_wrap(err, "no stage '%s', did you mean '%s'? As an image", name, near);
}
