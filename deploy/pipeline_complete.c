/* What slipway.json or the options leave open, and what in it cannot be. */
#include <string.h>

#include "base/memory.h"
#include "deploy/imagedefinitions.h"
#include "deploy/pipeline.h"
#include "deploy/placeholder.h"
#include "registry/reference.h"

static int image_error(const struct pipeline_image *image, const char *file, struct error *err)
{
    if (image->line > 0 && file) {
        return error_locate(err, file, image->line, 0, 0);
    }
    return -1;
}

static void default_name(struct pipeline_image *image, size_t number)
{
    if (image->name) {
        return;
    }
    const char *name = image->containers.len ? image->containers.items[0] : image->repository;
    image->name = name ? mem_strdup(name) : mem_printf("image %zu", number);
}

static int check_placeholders(const struct pipeline_image *image, struct strlist *seen,
                              struct error *err)
{
    for (size_t i = 0; i < image->placeholders.len; i++) {
        const char *name = image->placeholders.items[i];
        if (!placeholder_valid(name)) {
            return error_set(err, ERR_USAGE,
                             "placeholder '%s': capitals, digits and '_' are wanted, without <>",
                             name);
        }
        if (strcmp(name, PLACEHOLDER_TASK_DEFINITION) == 0) {
            return error_set(err, ERR_USAGE, "placeholder '%s': CodeDeploy fills that one", name);
        }
        if (strlist_has(seen, name)) {
            return error_set(err, ERR_USAGE, "placeholder '%s' stands for two images", name);
        }
        strlist_add(seen, name);
    }
    return 0;
}

/* Each container gets one image, under a name that ECS takes. */
static int check_containers(const struct pipeline_image *image, struct imagedefinitions *seen,
                            struct error *err)
{
    for (size_t i = 0; i < image->containers.len; i++) {
        if (imagedefinitions_add(seen, image->containers.items[i], "unknown", err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_image(struct pipeline *p, size_t i, bool need_repository,
                       struct imagedefinitions *containers, struct strlist *placeholders,
                       struct error *err)
{
    struct pipeline_image *image = &p->images[i];
    for (size_t j = 0; j < i; j++) {
        if (strcmp(p->images[j].name, image->name) == 0) {
            return error_set(err, ERR_USAGE, "two images are named '%s'; \"name\" tells them apart",
                             image->name);
        }
    }
    if (need_repository && !image->repository) {
        return error_set(err, ERR_USAGE, "image '%s': its \"repository\" is missing", image->name);
    }
    if (check_containers(image, containers, err) != 0 ||
        check_placeholders(image, placeholders, err) != 0) {
        return error_wrap(err, "image '%s'", image->name);
    }
    return 0;
}

/* slipway.json may come from anybody's repository: it writes only below the current folder, and
 * reads only from the context. */
static int check_path(const char *path, const char *member, struct error *err)
{
    bool up = false;
    for (const char *p = path; p && *p; p += strcspn(p, "/"), p += strspn(p, "/")) {
        up = up || (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'));
    }
    if (path && (path[0] == '/' || path[0] == '\0' || up)) {
        return error_set(err, ERR_USAGE,
                         "\"%s\": '%s' leads out of the folder; only the command line may do that",
                         member, path);
    }
    return 0;
}

static int check_templates(const struct strlist *templates, const char *member, struct error *err)
{
    for (size_t i = 0; i < templates->len; i++) {
        AUTO(mem_freep) char *template = NULL;
        AUTO(mem_freep) char *file = NULL;
        pipeline_template(templates->items[i], &template, &file);
        if (check_path(template, member, err) != 0 || check_path(file, member, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int pipeline_check_paths(const struct pipeline *p, const char *file, struct error *err)
{
    if (check_path(p->imagedefinitions, "imagedefinitions", err) != 0 ||
        check_templates(&p->taskdefs, "taskdef", err) != 0 ||
        check_templates(&p->appspecs, "appspec", err) != 0) {
        return error_locate(err, file, 0, 0, 0);
    }
    for (size_t i = 0; i < p->len; i++) {
        const struct pipeline_image *image = &p->images[i];
        if (check_path(image->context, "context", err) != 0 ||
            check_path(image->dockerfile, "dockerfile", err) != 0 ||
            check_path(image->image_detail, "imageDetail", err) != 0 ||
            check_templates(&image->taskdefs, "taskdef", err) != 0) {
            return error_locate(err, file, image->line, 0, 0);
        }
    }
    return 0;
}

int pipeline_complete(struct pipeline *p, const char *file, bool need_repository, struct error *err)
{
    AUTO(imagedefinitions_release) struct imagedefinitions containers = {0};
    AUTO(strlist_release) struct strlist placeholders = {0};
    for (size_t i = 0; i < p->len; i++) {
        struct pipeline_image *image = &p->images[i];
        default_name(image, i + 1);
        if (image->placeholders.len == 0) {
            strlist_addf(&image->placeholders, "IMAGE%zu_NAME", i + 1);
        }
        if (check_image(p, i, need_repository, &containers, &placeholders, err) != 0) {
            return image_error(image, file, err);
        }
    }
    for (size_t i = 0; i < p->others.len; i++) {
        const char *text = p->others.items[i];
        size_t len = strcspn(text, "=");
        AUTO(mem_freep) char *name = mem_strndup(text, len);
        if (imagedefinitions_add(&containers, name, text + len + 1, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < p->placeholders.len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(p->placeholders.items[i]);
        name[strcspn(name, "=")] = '\0';
        if (!placeholder_valid(name) || strlist_has(&placeholders, name)) {
            return error_set(err, ERR_USAGE, "placeholder '%s': %s", name,
                             placeholder_valid(name)
                                 ? "it has two values"
                                 : "capitals, digits and '_' are wanted, without <>");
        }
        strlist_add(&placeholders, name);
    }
    return 0;
}

/* Whether TEXT begins with a registry's host, by docker's rule. */
static bool has_host(const char *text)
{
    size_t len = strcspn(text, "/");
    AUTO(mem_freep) char *first = mem_strndup(text, len);
    return text[len] == '/' && (strpbrk(first, ".:") || strcmp(first, "localhost") == 0);
}

static bool has_tag(const char *text)
{
    const char *slash = strrchr(text, '/');
    return strchr(slash ? slash : text, ':') != NULL;
}

int pipeline_image_name(const struct pipeline *p, const struct pipeline_image *image,
                        const char *registry, const char *tag, char **out, struct error *err)
{
    struct reference ref = {0};
    const char *host = p->registry ? p->registry : registry;
    const char *version = image->tag ? image->tag : p->tag ? p->tag : tag;
    bool whole = has_host(image->repository);
    if (!whole && !host) {
        return error_set(
            err, ERR_USAGE,
            "image '%s': which registry? give it in \"repository\" or \"registry\", or "
            "set AWS_ACCOUNT_ID and AWS_DEFAULT_REGION",
            image->name);
    }
    if (has_tag(image->repository)) {
        version = NULL;
    }
    AUTO(mem_freep)
    char *text = mem_printf("%s%s%s%s%s", whole ? "" : host, whole ? "" : "/", image->repository,
                            version ? ":" : "", version ? version : "");
    if (reference_parse(text, &ref, err) != 0) {
        return error_wrap(err, "image '%s'", image->name);
    }
    bool digest = ref.has_digest;
    reference_release(&ref);
    if (digest) {
        return error_set(err, ERR_USAGE, "image '%s': a digest cannot be chosen: %s", image->name,
                         text);
    }
    *out = MEM_STEAL(text);
    return 0;
}
