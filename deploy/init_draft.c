#include "deploy/init_draft.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "deploy/marked.h"
#include "deploy/pipeline.h"
#include "deploy/placeholder.h"

enum { REPOSITORY_PART_MAX = 100 }; /* two of them and a number are no longer than a name may be */

void drafts_release(struct drafts *drafts)
{
    for (size_t i = 0; i < drafts->len; i++) {
        struct draft *draft = &drafts->items[i];
        free(draft->folder);
        free(draft->name);
        free(draft->title);
        free(draft->placeholder);
        free(draft->repository);
        strlist_release(&draft->containers);
    }
    free(drafts->items);
    free(drafts->registry);
    imagedefinitions_release(&drafts->given);
}

/* web/Dockerfile is web's, Dockerfile.web and web.Dockerfile too. The caller's. */
static char *name_of(const char *dockerfile)
{
    const char *file = path_name(dockerfile);
    const char *dot = strchr(file, '.');
    if (strncmp(file, "Dockerfile.", 11) == 0) {
        return mem_strdup(file + 11);
    }
    if (dot && strcmp(dot, ".Dockerfile") == 0) {
        return mem_strndup(file, (size_t)(dot - file));
    }
    AUTO(mem_freep) char *folder = path_parent(dockerfile);
    return mem_strdup(path_name(folder));
}

/* Whether slipway.json can hold PATH: a file's name may be no UTF-8, or have control characters. */
static bool is_writable(const char *path)
{
    struct error ignored = {0};
    AUTO(json_freep) json_t *string = json_string(path);
    AUTO(json_freep) json_t *list = json_pack("[O?]", string);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(marked_freep) struct marked_file *file = NULL;
    if (!string) {
        return false;
    }
    json_render_pretty(list, &text);
    return marked_parse(buf_text(&text), text.len, path, MARKED_JSON, &file, &ignored) == 0 &&
           strcmp(marked_text(marked_root(file)->items[0]), path) == 0;
}

int drafts_make(const struct strlist *dockerfiles, struct drafts *out, struct init_result *result,
                struct error *err)
{
    out->items = mem_calloc(dockerfiles->len + 1, sizeof *out->items);
    for (size_t i = 0; i < dockerfiles->len; i++) {
        const char *path = dockerfiles->items[i];
        if (!is_writable(path)) {
            strlist_addf(&result->open,
                         "%s: slipway.json takes no path that is no UTF-8, or has control "
                         "characters",
                         path);
            continue;
        }
        out->items[out->len++] =
            (struct draft){.dockerfile = path, .name = name_of(path), .folder = path_parent(path)};
    }
    if (out->len == 0) {
        return error_set(err, ERR_USAGE, "there is no Dockerfile: nothing to build");
    }
    if (out->len > LIMIT_PIPELINE_IMAGES) {
        return error_set(err, ERR_USAGE,
                         "there are %zu Dockerfiles, and slipway.json takes at most %zu images: "
                         "begin in a folder with fewer",
                         out->len, LIMIT_PIPELINE_IMAGES);
    }
    return 0;
}

bool draft_give(struct drafts *drafts, struct draft *draft, const char *container,
                struct init_place place, struct init_result *result)
{
    struct error why = {0};
    if (imagedefinitions_add(&drafts->given, container, draft->dockerfile, &why) != 0) {
        strlist_addf(&result->open, "%s:%u: %s", place.file, place.line, why.text);
        return false;
    }
    strlist_add(&draft->containers, container);
    strlist_addf(&result->concluded, "%s:%u: container '%s' gets the image of %s", place.file,
                 place.line, container, draft->dockerfile);
    return true;
}

/* The draft that PLACEHOLDER stands for; NULL: none yet. */
static const struct draft *filled_by(const struct drafts *drafts, const char *placeholder)
{
    for (size_t i = 0; i < drafts->len; i++) {
        const char *own = drafts->items[i].placeholder;
        if (own && strcmp(own, placeholder) == 0) {
            return &drafts->items[i];
        }
    }
    return NULL;
}

void draft_fill(struct drafts *drafts, struct draft *draft, const char *placeholder,
                struct init_place place, struct init_result *result)
{
    const struct draft *other = filled_by(drafts, placeholder);
    if (strcmp(placeholder, PLACEHOLDER_TASK_DEFINITION) == 0) {
        strlist_addf(&result->open, "%s:%u: <%s> is filled by CodeDeploy, and is no image",
                     place.file, place.line, placeholder);
    } else if (other) {
        strlist_addf(&result->open, "%s:%u: <%s> stands for the image of %s already", place.file,
                     place.line, placeholder, other->dockerfile);
    } else {
        draft->placeholder = mem_strdup(placeholder);
    }
}

/* REPOSITORY with its registry, as ship would name it; NULL: it could not. The caller's. */
static char *pushed_as(const struct drafts *drafts, const char *repository)
{
    AUTO(pipeline_release) struct pipeline pipeline = PIPELINE_INIT;
    struct pipeline_image *image = pipeline_add(&pipeline);
    struct error ignored = {0};
    char *whole = NULL;
    const char *registry = drafts->registry ? drafts->registry : "registry.invalid";
    image->repository = mem_strdup(repository);
    image->name = mem_strdup(repository);
    return pipeline_image_name(&pipeline, image, registry, NULL, &whole, &ignored) == 0 ? whole
                                                                                        : NULL;
}

/* Whether REPOSITORY can be pushed to, and no image goes there already. */
static bool is_free(const struct drafts *drafts, const char *repository)
{
    AUTO(mem_freep) char *wanted = pushed_as(drafts, repository);
    for (size_t i = 0; wanted && i < drafts->len; i++) {
        const char *own = drafts->items[i].repository;
        AUTO(mem_freep) char *taken = own ? pushed_as(drafts, own) : NULL;
        if (taken && strcmp(taken, wanted) == 0) {
            return false;
        }
    }
    return wanted != NULL;
}

void draft_push_to(struct drafts *drafts, struct draft *draft, const char *image)
{
    size_t host = strcspn(image, "/");
    size_t end = host + strcspn(image + host, ":@");
    AUTO(mem_freep) char *registry = mem_strndup(image, host);
    AUTO(mem_freep) char *whole = mem_strndup(image, end);
    if (draft->repository || image[host] == '\0' || !strchr(registry, '.') ||
        !is_free(drafts, whole)) {
        return;
    }
    if (!drafts->registry) {
        drafts->registry = mem_strdup(registry);
    }
    /* Without its registry where that says the same. */
    AUTO(mem_freep) char *short_form = pushed_as(drafts, whole + host + 1);
    bool same = short_form && strcmp(short_form, whole) == 0;
    draft->repository = mem_strdup(same ? whole + host + 1 : whole);
}

char *draft_repository_name(const char *text)
{
    struct buf name = BUF_INIT(0);
    for (const char *p = text; *p && name.len < REPOSITORY_PART_MAX; p++) {
        bool upper = *p >= 'A' && *p <= 'Z';
        bool fine = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        if (upper || fine) {
            buf_putc(&name, (char)(upper ? *p - 'A' + 'a' : *p));
        } else if (name.len > 0) {
            buf_putc(&name, '-');
        }
    }
    while (name.len > 0 && name.data[name.len - 1] == '-') {
        name.data[--name.len] = '\0';
    }
    if (name.len == 0) {
        buf_puts(&name, "image");
    }
    return buf_take(&name);
}

bool draft_name_repository(const struct drafts *drafts, struct draft *draft, const char *base)
{
    AUTO(mem_freep) char *part = draft_repository_name(draft->name);
    bool alone = drafts->len == 1 || !draft->name[0];
    AUTO(mem_freep) char *wish = alone ? mem_strdup(base) : mem_printf("%s/%s", base, part);
    AUTO(mem_freep) char *name = mem_strdup(wish);
    for (size_t n = 2; n <= drafts->len && !is_free(drafts, name); n++) {
        free(name);
        name = mem_printf("%s-%zu", wish, n);
    }
    if (!is_free(drafts, name)) {
        return false;
    }
    draft->repository = MEM_STEAL(name);
    return true;
}

/* What pipeline_complete() calls it. */
static const char *name_in_messages(const struct draft *draft)
{
    return draft->title            ? draft->title
           : draft->containers.len ? draft->containers.items[0]
                                   : draft->repository;
}

static bool name_is_taken(const struct drafts *drafts, const struct draft *draft, const char *name)
{
    for (size_t i = 0; i < drafts->len; i++) {
        const struct draft *other = &drafts->items[i];
        if (other != draft && strcmp(name_in_messages(other), name) == 0) {
            return true;
        }
    }
    return false;
}

/* A container may be called as another image's repository is: then the Dockerfile is the name. */
static void name_apart(struct drafts *drafts, struct draft *draft)
{
    if (!name_is_taken(drafts, draft, name_in_messages(draft))) {
        return;
    }
    AUTO(mem_freep) char *name = mem_strdup(draft->dockerfile);
    for (size_t n = 2; name_is_taken(drafts, draft, name); n++) {
        free(name);
        name = mem_printf("%s %zu", draft->dockerfile, n);
    }
    draft->title = MEM_STEAL(name);
}

/* The usual placeholder of the image needs no word, but one that stands for another image does. */
static void fill_apart(const struct drafts *drafts, struct draft *draft, size_t number)
{
    AUTO(mem_freep) char *usual = mem_printf("IMAGE%zu_NAME", number);
    if (draft->placeholder && strcmp(draft->placeholder, usual) == 0) {
        mem_freep(&draft->placeholder);
        return;
    }
    AUTO(mem_freep) char *name = mem_strdup(usual);
    for (size_t n = drafts->len + 1; !draft->placeholder && filled_by(drafts, name); n++) {
        free(name);
        name = mem_printf("IMAGE%zu_NAME", n);
    }
    if (!draft->placeholder && strcmp(name, usual) != 0) {
        draft->placeholder = MEM_STEAL(name);
    }
}

void drafts_tell_apart(struct drafts *drafts)
{
    for (size_t i = 0; i < drafts->len; i++) {
        name_apart(drafts, &drafts->items[i]);
    }
    for (size_t i = 0; i < drafts->len; i++) {
        fill_apart(drafts, &drafts->items[i], i + 1);
    }
}
