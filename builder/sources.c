/* Images, stages and contexts as sources of files. */
#include "builder/sources.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/missing.h"
#include "builder/stage.h"
#include "oci/config.h"
#include "oci/images.h"
#include "oci/layout.h"

#define IMAGE_SCHEME "docker-image://"
#define LAYOUT_SCHEME "oci-layout://"

static bool has_scheme(const char *value, const char *scheme)
{
    return strncmp(value, scheme, strlen(scheme)) == 0;
}

/* Whether the store's own tag counts: what was built or loaded here and never came from or went to
 * a registry can be found nowhere else. */
static bool only_here(struct build *build, const struct reference *ref,
                      const struct platform *platform)
{
    struct error ignored = {0};
    struct descriptor top;
    struct image image = {0};
    bool found = false;
    AUTO(mem_freep) char *name = reference_key(ref);
    if (images_resolve(build->store, name, &top, &found, &ignored) != 0 || !found ||
        images_load(build->store, &top, platform, &image, &ignored) != 0) {
        return false;
    }
    bool here = !image.origin;
    image_release(&image);
    return here;
}

/* The image NAME for PLATFORM: manifest and config; its layers are fetched when needed. */
static int get_image(struct build *build, const char *name, const struct platform *platform,
                     struct image *out, struct error *err)
{
    struct reference ref = {0};
    if (reference_parse(name, &ref, err) != 0) {
        return -1;
    }
    bool ask = build->request->pull == PULL_ALWAYS ||
               (build->request->pull == PULL_MISSING && !only_here(build, &ref, platform));
    int r = registry_get_image(build->registry, &ref, platform,
                               ask ? RESOLVE_REGISTRY : RESOLVE_STORE_FIRST, out, err);
    reference_release(&ref);
    return r;
}

/* The image in the layout VALUE, "DIR[:TAG]". */
static int get_layout(struct build *build, const char *value, const struct platform *platform,
                      struct image *out, struct error *err)
{
    AUTO(mem_freep) char *dir = mem_strdup(value);
    char *colon = strrchr(dir, ':');
    const char *tag = NULL;
    if (colon && !strchr(colon, '/')) {
        *colon = '\0';
        tag = colon + 1;
    }
    struct layout_image *images = NULL;
    size_t len = 0;
    if (layout_read(build->store, dir, &images, &len, err) != 0) {
        return -1;
    }
    const struct layout_image *found = len == 1 && !tag ? &images[0] : NULL;
    for (size_t i = 0; i < len && !found; i++) {
        const char *name = images[i].name;
        const char *end = name ? strrchr(name, ':') : NULL;
        if (name && strcmp(end ? end + 1 : name, tag ? tag : "latest") == 0) {
            found = &images[i];
        }
    }
    int r = found ? images_load(build->store, &found->descriptor, platform, out, err)
                  : error_set(err, ERR_USAGE, "the layout '%s' has no image tagged '%s'", dir,
                              tag ? tag : "latest");
    layout_images_release(images, len);
    return r;
}

static const struct named_context *find_context(const struct build *build, const char *name)
{
    for (size_t i = 0; i < build->request->contexts_len; i++) {
        if (strcmp(build->request->contexts[i].name, name) == 0) {
            return &build->request->contexts[i];
        }
    }
    return NULL;
}

static int get_named_image(struct build *build, const struct named_context *spec,
                           const struct platform *platform, struct image *out, struct error *err)
{
    if (has_scheme(spec->value, IMAGE_SCHEME)) {
        return get_image(build, spec->value + strlen(IMAGE_SCHEME), platform, out, err);
    }
    if (has_scheme(spec->value, LAYOUT_SCHEME)) {
        return get_layout(build, spec->value + strlen(LAYOUT_SCHEME), platform, out, err);
    }
    return error_set(err, ERR_USAGE,
                     "the build context '%s' (%s) is no image; FROM takes docker-image://NAME or "
                     "oci-layout://DIR",
                     spec->name, spec->value);
}

int source_base_image(struct build *build, const char *name, const struct platform *platform,
                      struct stack *out, json_t **config_out, struct error *err)
{
    const struct named_context *spec = find_context(build, name);
    struct image image = {0};
    int r = spec ? get_named_image(build, spec, platform, &image, err)
                 : get_image(build, name, platform, &image, err);
    if (r != 0) {
        return -1;
    }
    stack_init_image(out, build->store, build->registry, &image);
    *config_out = json_incref(image.config_json);
    image_release(&image);
    return 0;
}

/* Whether FROM, which is neither stage nor context, is the image without files. */
static bool is_scratch(const struct build *build, const char *from)
{
    return strcmp(from, "scratch") == 0 && !find_context(build, from);
}

/* The image NAME as a stack that lives as long as the build; opened by the first who asks. */
static int image_stack(struct build *build, const char *name, struct stack **out, struct error *err)
{
    for (struct source_image *i = build->images; i; i = i->next) {
        if (strcmp(i->name, name) == 0) {
            *out = &i->stack;
            return 0;
        }
    }
    struct source_image *image = mem_calloc(1, sizeof *image);
    AUTO(json_freep) json_t *config = NULL;
    if (is_scratch(build, name)) {
        stack_init(&image->stack, build->store, build->registry);
    } else if (source_base_image(build, name, &build->target_platform, &image->stack, &config,
                                 err) != 0) {
        free(image);
        return -1;
    }
    image->name = mem_strdup(name);
    image->next = build->images;
    build->images = image;
    *out = &image->stack;
    return 0;
}

static struct opened_context *opened(struct build *build, const struct named_context *spec)
{
    if (!build->contexts) {
        build->contexts = mem_calloc(build->request->contexts_len, sizeof *build->contexts);
    }
    return &build->contexts[spec - build->request->contexts];
}

static int named_tree(struct build *build, const struct named_context *spec, struct tree **out,
                      struct error *err)
{
    if (has_scheme(spec->value, IMAGE_SCHEME) || has_scheme(spec->value, LAYOUT_SCHEME)) {
        struct stack *stack = NULL;
        return image_stack(build, spec->name, &stack, err) == 0 ? stack_tree(stack, out, err) : -1;
    }
    struct opened_context *c = opened(build, spec);
    if (!c->context && context_open_named(build->request, spec->value, &c->context, err) != 0) {
        return error_wrap(err, "the build context '%s'", spec->name);
    }
    return context_tree(c->context, out, err);
}

/* What is opened once for all stages: images and named contexts. */
static int shared_tree(struct build *build, const char *from, struct tree **out, struct error *err)
{
    const struct named_context *spec = find_context(build, from);
    if (spec) {
        return named_tree(build, spec, out, err);
    }
    struct stack *stack = NULL;
    return image_stack(build, from, &stack, err) == 0 ? stack_tree(stack, out, err) : -1;
}

/* The chain of an image, or of a context that is one. */
static int shared_chain(struct build *build, const char *from, bool *known_out, struct digest *out,
                        struct error *err)
{
    const struct named_context *spec = find_context(build, from);
    struct stack *stack = NULL;
    if (spec && !has_scheme(spec->value, IMAGE_SCHEME) && !has_scheme(spec->value, LAYOUT_SCHEME)) {
        *known_out = false;
        return 0;
    }
    if (image_stack(build, from, &stack, err) != 0) {
        return -1;
    }
    stack_chain(stack, out);
    *known_out = true;
    return 0;
}

int source_chain(struct build *build, const struct stage *stage, const char *from, bool *known_out,
                 struct digest *out, struct error *err)
{
    int index = -1;
    *known_out = false;
    if (!from || !from[0]) {
        return 0;
    }
    if (!find_context(build, from) &&
        plan_find_stage(&build->plan, from, stage->index, &index, err) != 0) {
        return -1;
    }
    if (index < 0) {
        pthread_mutex_lock(&build->sources_lock);
        int r = shared_chain(build, from, known_out, out, err);
        pthread_mutex_unlock(&build->sources_lock);
        return r == 0 ? 0 : missing_image(stage, from, err);
    }
    struct stage *other = NULL;
    if (build_need_stage(build, (size_t)index, &other, err) != 0) {
        return -1;
    }
    pthread_mutex_lock(&other->stack_lock);
    stack_chain(&other->stack, out);
    pthread_mutex_unlock(&other->stack_lock);
    *known_out = true;
    return 0;
}

int source_tree(struct build *build, const struct stage *stage, const char *from, struct tree **out,
                struct error *err)
{
    if (!from || !from[0]) {
        return context_tree(build->context, out, err);
    }
    int index = -1;
    if (!find_context(build, from) &&
        plan_find_stage(&build->plan, from, stage->index, &index, err) != 0) {
        return -1;
    }
    if (index < 0) {
        pthread_mutex_lock(&build->sources_lock);
        int r = shared_tree(build, from, out, err);
        pthread_mutex_unlock(&build->sources_lock);
        return r == 0 ? 0 : missing_image(stage, from, err);
    }
    struct stage *other = NULL;
    if (build_need_stage(build, (size_t)index, &other, err) != 0) {
        return -1;
    }
    pthread_mutex_lock(&other->stack_lock);
    int r = stack_tree(&other->stack, out, err);
    pthread_mutex_unlock(&other->stack_lock);
    return r;
}

char *source_describe(const struct stage *stage, const char *from)
{
    const struct plan *plan = &stage->build->plan;
    struct error ignored = {0};
    int index = -1;
    if (!from || !from[0]) {
        return mem_strdup("the build context");
    }
    if (find_context(stage->build, from)) {
        return mem_printf("the build context '%s'", from);
    }
    if (plan_find_stage(plan, from, stage->index, &index, &ignored) == 0 && index >= 0) {
        const char *name = plan->stages[index].name;
        return name ? mem_printf("stage '%s'", name) : mem_printf("stage %d", index);
    }
    return mem_printf("the image '%s'", from);
}

char *source_why_excluded(struct build *build, const char *from, const char *path)
{
    if (!from || !from[0]) {
        return context_why_excluded(build->context, path);
    }
    const struct named_context *spec = find_context(build, from);
    struct context *context = spec ? opened(build, spec)->context : NULL;
    return context ? context_why_excluded(context, path) : NULL;
}

void sources_release(struct build *build)
{
    for (size_t i = 0; build->contexts && i < build->request->contexts_len; i++) {
        if (build->contexts[i].context) {
            context_save(build->contexts[i].context);
        }
        context_freep(&build->contexts[i].context);
    }
    free(build->contexts);
    build->contexts = NULL;
    while (build->images) {
        struct source_image *image = build->images;
        build->images = image->next;
        stack_release(&image->stack);
        free(image->name);
        free(image);
    }
}
