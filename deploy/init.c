/* slipway.json from what is there. */
#include "deploy/init.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "deploy/check_internal.h"
#include "deploy/init_draft.h"
#include "deploy/placeholder.h"

void init_result_release(struct init_result *result)
{
    buf_release(&result->text);
    strlist_release(&result->concluded);
    strlist_release(&result->open);
}

static bool is_claimed(const struct check *check, const char *container)
{
    for (size_t i = 0; i < check->claims_len; i++) {
        if (strcmp(check->claims[i].container, container) == 0) {
            return true;
        }
    }
    return false;
}

/* The name in an image that is a placeholder alone; NULL: it is none. The caller's. */
static char *placeholder_of(const char *image)
{
    size_t start = 0;
    size_t end = 0;
    size_t len = strlen(image);
    if (!placeholder_find(image, len, 0, &start, &end) || start != 0 || end != len) {
        return NULL;
    }
    return mem_strndup(image + 1, len - 2);
}

/* Which draft CONTAINER gets: that of its name; with one Dockerfile that one, if the container is
 * not plainly somebody else's. NULL: none. */
static struct draft *draft_for(const struct check *check, struct drafts *drafts,
                               const struct marked *container)
{
    const char *name = marked_get_text(container, "name");
    const char *image = marked_get_text(container, "image");
    for (size_t i = 0; drafts->len > 1 && i < drafts->len; i++) {
        if (strcmp(drafts->items[i].name, name) == 0) {
            return &drafts->items[i];
        }
    }
    bool ours = is_claimed(check, name) || check_containers(check)->len == 1 || image[0] == '<' ||
                (check->claims_len == 0 && strstr(image, ".dkr.ecr."));
    if (drafts->len != 1 || !ours) {
        return NULL;
    }
    AUTO(mem_freep) char *placeholder = placeholder_of(image);
    const char *own = drafts->items[0].placeholder;
    bool other = own && placeholder && strcmp(own, placeholder) != 0;
    return other ? NULL : &drafts->items[0];
}

static void take_container(const struct check *check, struct drafts *drafts,
                           const struct marked *container, struct init_result *out)
{
    const struct marked *name = marked_get(container, "name");
    const char *image = marked_get_text(container, "image");
    if (!marked_text(name) || !image) {
        return;
    }
    struct init_place place = {check->taskdef.name, name->line};
    struct draft *draft = draft_for(check, drafts, container);
    if (!draft) {
        strlist_addf(&out->concluded, "%s:%u: container '%s' keeps its image %s", place.file,
                     place.line, name->text, image);
        return;
    }
    if (!draft_give(drafts, draft, name->text, place, out)) {
        return;
    }
    AUTO(mem_freep) char *placeholder = placeholder_of(image);
    if (placeholder && !draft->placeholder) {
        draft_fill(drafts, draft, placeholder, place, out);
    }
    if (image[0] != '<') {
        draft_push_to(drafts, draft, image);
    }
}

/* Where there is no task definition, the buildspec and the AppSpec name a container. */
static void take_claims(const struct check *check, struct drafts *drafts, struct init_result *out)
{
    const struct marked *named =
        marked_get(marked_get(check_service(check), "LoadBalancerInfo"), "ContainerName");
    struct draft *draft = &drafts->items[0];
    if (check_containers(check) || drafts->len != 1) {
        return;
    }
    for (size_t i = 0; i < check->claims_len; i++) {
        const struct check_claim *claim = &check->claims[i];
        draft_give(drafts, draft, claim->container, (struct init_place){claim->file, claim->line},
                   out);
    }
    if (check->claims_len == 0 && marked_text(named) && named->text[0] != '<') {
        draft_give(drafts, draft, named->text,
                   (struct init_place){check->appspec.name, named->line}, out);
    }
}

/* Repositories that no image of the task definition tells: IMAGE_REPO_NAME, the folder's name. */
static void take_repositories(const struct check *check, const struct init_inputs *in,
                              struct drafts *drafts, struct init_result *out)
{
    const struct marked *env =
        check->buildspec.file ? marked_get(marked_root(check->buildspec.file), "env") : NULL;
    const struct marked *said = marked_get(marked_get(env, "variables"), "IMAGE_REPO_NAME");
    bool usable = marked_text(said) && said->text[0];
    AUTO(mem_freep) char *own = draft_repository_name(in->name);
    for (size_t i = 0; i < drafts->len; i++) {
        struct draft *draft = &drafts->items[i];
        if (draft->repository) {
            continue;
        }
        if (usable && draft_name_repository(drafts, draft, said->text)) {
            strlist_addf(&out->concluded, "%s:%u: %s goes to the repository '%s'",
                         check->buildspec.name, said->line, draft->dockerfile, draft->repository);
            continue;
        }
        if (usable) {
            strlist_addf(&out->open, "%s:%u: IMAGE_REPO_NAME '%s' makes no repository's name",
                         check->buildspec.name, said->line, said->text);
            usable = false;
        }
        draft_name_repository(drafts, draft, own);
        strlist_addf(&out->open, "the repository of %s: '%s' is only this folder's name",
                     draft->dockerfile, draft->repository);
    }
}

static json_t *texts(const struct strlist *list)
{
    if (list->len == 1) {
        return json_string(list->items[0]);
    }
    json_t *array = json_array();
    for (size_t i = 0; i < list->len; i++) {
        json_array_append_new(array, json_string(list->items[i]));
    }
    return array;
}

static json_t *image_json(const struct draft *draft, bool detail)
{
    const char *file = path_name(draft->dockerfile);
    json_t *image = json_object();
    if (draft->title) {
        json_object_set_new(image, "name", json_string(draft->title));
    }
    if (draft->folder[0]) {
        json_object_set_new(image, "context", json_string(draft->folder));
    }
    if (strcmp(file, "Dockerfile") != 0) {
        json_object_set_new(image, "dockerfile", json_string(file));
    }
    json_object_set_new(image, "repository", json_string(draft->repository));
    if (draft->containers.len > 0) {
        json_object_set_new(image, "container", texts(&draft->containers));
    }
    if (draft->placeholder) {
        json_object_set_new(image, "placeholder", json_string(draft->placeholder));
    }
    if (detail) {
        json_object_set_new(image, "imageDetail", json_string("imageDetail.json"));
    }
    return image;
}

static void render(const struct check *check, const struct drafts *drafts, struct init_result *out)
{
    bool blue_green = check->appspec.file != NULL;
    bool detail = blue_green && drafts->len == 1;
    bool fills = check->taskdef.file &&
                 ((blue_green && !detail) || check_commands_say(check, check->taskdef.name, NULL));
    AUTO(json_freep) json_t *root = json_object();
    json_t *images = json_array();
    if (drafts->registry) {
        json_object_set_new(root, "registry", json_string(drafts->registry));
    } else {
        strlist_add(&out->open, "the registry: set AWS_ACCOUNT_ID and AWS_DEFAULT_REGION, or add "
                                "\"registry\"");
    }
    json_object_set_new(root, "imageUri", json_string("digest"));
    if (fills) {
        json_object_set_new(root, "taskdef", json_string(check->taskdef.name));
        strlist_addf(&out->concluded, "%s: is filled with the images", check->taskdef.name);
    }
    if (detail) {
        strlist_addf(&out->concluded,
                     "%s: blue/green: imageDetail.json is written, from which "
                     "CodePipeline fills the task definition",
                     check->appspec.name);
    }
    for (size_t i = 0; i < drafts->len; i++) {
        json_array_append_new(images, image_json(&drafts->items[i], detail));
        if (drafts->items[i].containers.len == 0) {
            strlist_addf(&out->open, "the container that gets the image of %s: \"container\"",
                         drafts->items[i].dockerfile);
        }
    }
    json_object_set_new(root, "images", images);
    json_render_pretty(root, &out->text);
}

/* What cannot be read cannot be concluded from. */
static int first_unreadable(const struct check_findings *findings, struct error *err)
{
    for (size_t i = 0; i < findings->len; i++) {
        const struct check_finding *finding = &findings->items[i];
        if (strcmp(finding->rule, "unreadable") == 0) {
            const struct check_place *place = &finding->places[0];
            error_set(err, ERR_USAGE, "%s", finding->text);
            return error_locate(err, place->file, place->line, place->column, 0);
        }
    }
    return 0;
}

int pipeline_init(const struct init_inputs *inputs, struct init_result *out, struct error *err)
{
    AUTO(check_findings_release) struct check_findings findings = {0};
    AUTO(drafts_release) struct drafts drafts = {0};
    AUTO(init_result_release) struct init_result result = {.text = BUF_INIT(0)};
    struct check_inputs files = inputs->files;
    files.config = "";
    AUTO(check_release)
    struct check check = {.inputs = &files, .out = &findings, .pipeline = PIPELINE_INIT};
    if (drafts_make(&inputs->dockerfiles, &drafts, &result, err) != 0 ||
        check_open(&check, err) != 0 || first_unreadable(&findings, err) != 0) {
        return -1;
    }
    const struct marked *list = check_containers(&check);
    for (size_t i = 0; list && i < list->len; i++) {
        take_container(&check, &drafts, list->items[i], &result);
    }
    take_claims(&check, &drafts, &result);
    take_repositories(&check, inputs, &drafts, &result);
    drafts_tell_apart(&drafts);
    render(&check, &drafts, &result);
    *out = result;
    result = (struct init_result){0};
    return 0;
}
