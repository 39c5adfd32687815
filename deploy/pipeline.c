/* slipway.json, member by member. */
#include "deploy/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"

static void image_release(struct pipeline_image *image)
{
    char **const texts[] = {&image->name,        &image->context,    &image->dockerfile,
                            &image->target,      &image->repository, &image->tag,
                            &image->image_detail};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
    strlist_release(&image->build_args);
    strlist_release(&image->containers);
    strlist_release(&image->placeholders);
    strlist_release(&image->taskdefs);
}

void pipeline_release(struct pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->len; i++) {
        image_release(&pipeline->images[i]);
    }
    free(pipeline->images);
    free(pipeline->registry);
    free(pipeline->tag);
    free(pipeline->imagedefinitions);
    strlist_release(&pipeline->taskdefs);
    strlist_release(&pipeline->appspecs);
    strlist_release(&pipeline->placeholders);
    strlist_release(&pipeline->others);
    *pipeline = (struct pipeline)PIPELINE_INIT;
}

struct pipeline_image *pipeline_add(struct pipeline *pipeline)
{
    pipeline->images = mem_realloc(pipeline->images, pipeline->len + 1, sizeof *pipeline->images);
    struct pipeline_image *image = &pipeline->images[pipeline->len++];
    *image = (struct pipeline_image){0};
    return image;
}

/* How a member is written: one text, a text or a list of texts, or an object of texts. */
enum shape { SHAPE_TEXT, SHAPE_TEXTS, SHAPE_PAIRS };

struct member {
    const char *name;
    enum shape shape;
    size_t offset; /* of a char *, or of a struct strlist */
};

#define IMAGE(NAME, SHAPE, MEMBER)                                                                 \
    {                                                                                              \
        NAME, SHAPE, offsetof(struct pipeline_image, MEMBER)                                       \
    }
static const struct member image_members[] = {
    IMAGE("name", SHAPE_TEXT, name),
    IMAGE("context", SHAPE_TEXT, context),
    IMAGE("dockerfile", SHAPE_TEXT, dockerfile),
    IMAGE("target", SHAPE_TEXT, target),
    IMAGE("repository", SHAPE_TEXT, repository),
    IMAGE("tag", SHAPE_TEXT, tag),
    IMAGE("buildArgs", SHAPE_PAIRS, build_args),
    IMAGE("container", SHAPE_TEXTS, containers),
    IMAGE("placeholder", SHAPE_TEXTS, placeholders),
    IMAGE("taskdef", SHAPE_TEXTS, taskdefs),
    IMAGE("imageDetail", SHAPE_TEXT, image_detail),
};

#define WHOLE(NAME, SHAPE, MEMBER)                                                                 \
    {                                                                                              \
        NAME, SHAPE, offsetof(struct pipeline, MEMBER)                                             \
    }
static const struct member whole_members[] = {
    WHOLE("registry", SHAPE_TEXT, registry),
    WHOLE("tag", SHAPE_TEXT, tag),
    WHOLE("imagedefinitions", SHAPE_TEXT, imagedefinitions),
    WHOLE("taskdef", SHAPE_TEXTS, taskdefs),
    WHOLE("appspec", SHAPE_TEXTS, appspecs),
    WHOLE("placeholders", SHAPE_PAIRS, placeholders),
    WHOLE("containers", SHAPE_PAIRS, others),
};

static const struct member *find_member(const struct member *members, size_t len, const char *name)
{
    for (size_t i = 0; i < len; i++) {
        if (strcmp(members[i].name, name) == 0) {
            return &members[i];
        }
    }
    return NULL;
}

enum { NAMES_MAX = 16 };

/* The known name that is nearest to NAME; EXTRA (each may be NULL) are known too. */
static const char *near(const struct member *members, size_t len, const char *const extra[2],
                        const char *name)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        names[count++] = members[i].name;
    }
    for (size_t i = 0; i < 2; i++) {
        if (extra[i]) {
            names[count++] = extra[i];
        }
    }
    return nearest_name(name, names, count);
}

static int text_wanted(const struct marked_file *file, const struct marked *node, const char *name,
                       const char **out, struct error *err)
{
    const char *text = marked_text(node);
    if (!text || !node->quoted || !text[0]) {
        return marked_error(file, node, err, "\"%s\": a text is wanted, in quotes and not empty",
                            name);
    }
    *out = text;
    return 0;
}

static int take_texts(const struct marked_file *file, const struct marked *node, const char *name,
                      struct strlist *out, struct error *err)
{
    const char *text = NULL;
    size_t len = node->kind == MARKED_LIST ? node->len : 1;
    for (size_t i = 0; i < len; i++) {
        const struct marked *item = node->kind == MARKED_LIST ? node->items[i] : node;
        if (text_wanted(file, item, name, &text, err) != 0) {
            return -1;
        }
        strlist_add(out, text);
    }
    return 0;
}

static int take_pairs(const struct marked_file *file, const struct marked *node, const char *name,
                      struct strlist *out, struct error *err)
{
    if (node->kind != MARKED_MAP) {
        return marked_error(file, node, err, "\"%s\": an object of names and texts is wanted",
                            name);
    }
    for (size_t i = 0; i < node->len; i++) {
        const struct marked *value = node->members[i].value;
        if (!marked_text(value) || !value->quoted) {
            return marked_error(file, value, err, "\"%s\": a text is wanted, in quotes",
                                node->members[i].key->text);
        }
        strlist_addf(out, "%s=%s", node->members[i].key->text, value->text);
    }
    return 0;
}

/* Takes VALUE as MEMBER of TARGET. */
static int take_member(const struct marked_file *file, const struct member *member,
                       const struct marked *value, void *target, struct error *err)
{
    char *at = (char *)target + member->offset;
    const char *text = NULL;
    if (member->shape == SHAPE_TEXTS) {
        return take_texts(file, value, member->name, (struct strlist *)(void *)at, err);
    }
    if (member->shape == SHAPE_PAIRS) {
        return take_pairs(file, value, member->name, (struct strlist *)(void *)at, err);
    }
    if (text_wanted(file, value, member->name, &text, err) != 0) {
        return -1;
    }
    *(char **)(void *)at = mem_strdup(text);
    return 0;
}

static int unknown_member(const struct marked_file *file, const struct marked *key,
                          const char *close, struct error *err)
{
    if (close) {
        return marked_error(file, key, err, "no member \"%s\" is known, did you mean \"%s\"?",
                            key->text, close);
    }
    return marked_error(file, key, err, "no member \"%s\" is known (README lists them)", key->text);
}

static int read_image(const struct marked_file *file, const struct marked *node,
                      struct pipeline *out, struct error *err)
{
    static const char *const extra[2] = {NULL, NULL};
    struct pipeline_image *image = pipeline_add(out);
    image->line = node->line;
    if (node->kind != MARKED_MAP) {
        return marked_error(file, node, err, "an image is an object, {...}");
    }
    for (size_t i = 0; i < node->len; i++) {
        const struct marked *key = node->members[i].key;
        const struct member *member =
            find_member(image_members, ARRAY_LEN(image_members), key->text);
        if (!member) {
            return unknown_member(
                file, key, near(image_members, ARRAY_LEN(image_members), extra, key->text), err);
        }
        if (take_member(file, member, node->members[i].value, image, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_images(const struct marked_file *file, const struct marked *node,
                       struct pipeline *out, struct error *err)
{
    if (node->kind != MARKED_LIST || node->len == 0) {
        return marked_error(file, node, err, "\"images\": a list of at least one image is wanted");
    }
    if (node->len > LIMIT_PIPELINE_IMAGES) {
        return marked_error(file, node, err,
                            "\"images\": %zu, and at most %zu are built in one run", node->len,
                            LIMIT_PIPELINE_IMAGES);
    }
    for (size_t i = 0; i < node->len; i++) {
        if (read_image(file, node->items[i], out, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_form(const struct marked_file *file, const struct marked *node,
                     struct pipeline *out, struct error *err)
{
    const char *text = marked_text(node);
    bool digest = text && strcmp(text, "digest") == 0;
    if (!digest && (!text || strcmp(text, "tag") != 0)) {
        return marked_error(file, node, err, "\"imageUri\" is \"tag\" or \"digest\"");
    }
    out->by_digest = digest;
    return 0;
}

int pipeline_read(const struct marked_file *file, struct pipeline *out, struct error *err)
{
    static const char *const extra[2] = {"images", "imageUri"};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    const struct marked *root = marked_root(file);
    if (root->kind != MARKED_MAP || !marked_get(root, "images")) {
        return marked_error(file, root, err, "an object with \"images\" is wanted");
    }
    for (size_t i = 0; i < root->len; i++) {
        const struct marked *key = root->members[i].key;
        const struct marked *value = root->members[i].value;
        const struct member *member =
            find_member(whole_members, ARRAY_LEN(whole_members), key->text);
        int r = 0;
        if (strcmp(key->text, "images") == 0) {
            r = read_images(file, value, &p, err);
        } else if (strcmp(key->text, "imageUri") == 0) {
            r = read_form(file, value, &p, err);
        } else if (member) {
            r = take_member(file, member, value, &p, err);
        } else {
            r = unknown_member(
                file, key, near(whole_members, ARRAY_LEN(whole_members), extra, key->text), err);
        }
        if (r != 0) {
            return -1;
        }
    }
    if (pipeline_check_paths(&p, marked_name(file), err) != 0) {
        return -1;
    }
    *out = p;
    p = (struct pipeline)PIPELINE_INIT;
    return 0;
}

int pipeline_parse(const char *text, size_t len, const char *name, struct pipeline *out,
                   struct error *err)
{
    AUTO(marked_freep) struct marked_file *file = NULL;
    if (marked_parse(text, len, name, MARKED_JSON, &file, err) != 0) {
        return -1;
    }
    return pipeline_read(file, out, err);
}

int pipeline_image_set(struct pipeline_image *image, const char *key, const char *value,
                       struct error *err)
{
    static const char *const extra[2] = {"buildArg", NULL};
    const struct member *member = find_member(image_members, ARRAY_LEN(image_members), key);
    bool pair = strcmp(key, "buildArg") == 0;
    if (!value || !*value) {
        return error_set(err, ERR_USAGE, "'%s': KEY=VALUE is wanted", key);
    }
    if (pair) {
        strlist_add(&image->build_args, value);
        return 0;
    }
    if (!member || member->shape == SHAPE_PAIRS) {
        const char *close = near(image_members, ARRAY_LEN(image_members), extra, key);
        return error_set(err, ERR_USAGE, "no key '%s' is known%s%s%s", key,
                         close ? ", did you mean '" : "", close ? close : "", close ? "'?" : "");
    }
    char *at = (char *)image + member->offset;
    if (member->shape == SHAPE_TEXTS) {
        strlist_add((struct strlist *)(void *)at, value);
        return 0;
    }
    char **text = (char **)(void *)at;
    if (*text) {
        return error_set(err, ERR_USAGE, "'%s' is given twice", key);
    }
    *text = mem_strdup(value);
    return 0;
}

void pipeline_template(const char *text, char **template_out, char **file_out)
{
    size_t len = strcspn(text, "=");
    *template_out = mem_strndup(text, len);
    *file_out =
        mem_strdup(text[len] == '=' && text[len + 1] ? text + len + 1 : path_name(*template_out));
}
