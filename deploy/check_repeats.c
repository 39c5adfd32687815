/* The same thing said twice: which of the two counts in the end. */
#include <string.h>

#include "base/memory.h"
#include "deploy/check_internal.h"

/* The entry NAME of a list of {"name": NAME, ...}. */
static const struct marked *named_entry(const struct marked *list, const char *name)
{
    for (size_t i = 0; list && list->kind == MARKED_LIST && i < list->len; i++) {
        const char *text = marked_get_text(list->items[i], "name");
        if (text && strcmp(text, name) == 0) {
            return list->items[i];
        }
    }
    return NULL;
}

/* ENV in the image, environment or secrets in the task definition. */
static void repeat_environment(struct check *check, const struct docker_facts *docker,
                               const struct marked *container)
{
    for (size_t i = 0; i < docker->env.len; i++) {
        const struct docker_value *value = &docker->env.items[i];
        const struct marked *entry = named_entry(marked_get(container, "environment"), value->key);
        const struct marked *secret = named_entry(marked_get(container, "secrets"), value->key);
        const struct marked *other = marked_get(entry, "value");
        if (secret) {
            other = marked_get(secret, "valueFrom");
        }
        const char *text = marked_text(other);
        if (text && strcmp(text, value->value) != 0) {
            check_add(
                check, CHECK_NOTE, "repeated-variable",
                check_at(&check->taskdef, other, "%s=%s", value->key, secret ? "a secret" : text),
                check_line(docker->file, value->line, "ENV %s=%s", value->key, value->value),
                "%s has two values: the task definition's counts", value->key);
        }
    }
}

static void repeat_single(struct check *check, const struct docker_facts *docker,
                          const struct docker_value *value, const char *instruction,
                          const struct marked_member *member)
{
    const char *text = member ? marked_text(member->value) : NULL;
    if (value->line == 0 || !member || (text && strcmp(text, value->value) == 0)) {
        return;
    }
    check_add(check, CHECK_NOTE, "repeated-setting",
              check_at(&check->taskdef, member->key, "\"%s\"", member->key->text),
              check_line(docker->file, value->line, "%s %s", instruction, value->value),
              "\"%s\" and %s: the task definition's counts", member->key->text, instruction);
}

/* ECS does not look at the image's own. */
static void repeat_healthcheck(struct check *check, const struct docker_facts *docker,
                               const struct marked *container)
{
    const struct docker_value *value = &docker->healthcheck;
    const struct marked_member *member = marked_member(container, "healthCheck");
    if (value->line == 0 || strncmp(value->value, "NONE", 4) == 0) {
        return;
    }
    const struct marked *node = member ? member->key : marked_get(container, "name");
    check_add(
        check, member ? CHECK_NOTE : CHECK_WARNING, "healthcheck-ignored",
        check_line(docker->file, value->line, "HEALTHCHECK"),
        check_at(&check->taskdef, node, "%s", member ? "\"healthCheck\"" : "no \"healthCheck\""),
        "ECS does not look at the image's HEALTHCHECK: %s",
        member ? "the task definition's counts"
               : "without \"healthCheck\" in the task definition nothing is checked");
}

/* An image that is named outright: what the deployment puts in its place. */
static void repeat_image(struct check *check, const struct marked *container)
{
    const struct marked *image = marked_get(container, "image");
    const char *name = marked_get_text(container, "name");
    for (size_t i = 0;
         name && marked_text(image) && !strchr(image->text, '<') && i < check->claims_len; i++) {
        const struct check_claim *claim = &check->claims[i];
        if (strcmp(claim->container, name) == 0) {
            check_add(check, CHECK_NOTE, "repeated-image",
                      check_at(&check->taskdef, image, "\"image\": \"%s\"", image->text),
                      check_claim_place(claim),
                      "the image of container '%s' is named here and by imagedefinitions.json: the "
                      "latter counts",
                      name);
        }
    }
}

static void repeat_containers(struct check *check)
{
    const struct marked *list = check_containers(check);
    for (size_t i = 0; list && i < list->len; i++) {
        const struct marked *container = list->items[i];
        size_t image = 0;
        repeat_image(check, container);
        if (!check_image_of(check, container, &image) || !check->images[image].docker.file) {
            continue;
        }
        const struct docker_facts *docker = &check->images[image].docker;
        repeat_environment(check, docker, container);
        repeat_single(check, docker, &docker->command, "CMD", marked_member(container, "command"));
        repeat_single(check, docker, &docker->entry_point, "ENTRYPOINT",
                      marked_member(container, "entryPoint"));
        repeat_single(check, docker, &docker->user, "USER", marked_member(container, "user"));
        repeat_single(check, docker, &docker->workdir, "WORKDIR",
                      marked_member(container, "workingDirectory"));
        repeat_healthcheck(check, docker, container);
    }
}

/* slipway.json beside the variables that `ship` would take without it. */
static void repeat_variables(struct check *check)
{
    static const struct {
        const char *variable;
        const char *member;
        bool of_image; /* a member of each image: it hides the variable in all */
        const char *verdict;
    } pairs[] = {
        {"CONTAINER_NAME", "container", true, "slipway.json's counts, the variable is not read"},
        {"IMAGE_REPO_NAME", "repository", true, "slipway.json's counts, the variable is not read"},
        {"IMAGE_TAG", "tag", false, "slipway.json's counts"},
        {"TASKDEF_FILE", "taskdef", false, "slipway.json's counts"},
    };
    const struct marked *variables =
        check->buildspec.file
            ? marked_get(marked_get(marked_root(check->buildspec.file), "env"), "variables")
            : NULL;
    if (!check->have_pipeline) {
        return;
    }
    const struct marked *root = marked_root(check->config.file);
    const struct marked *images = marked_get(root, "images");
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const struct marked *variable = marked_get(variables, pairs[i].variable);
        const struct marked *from = pairs[i].of_image ? images->items[0] : root;
        const struct marked *member = marked_get(from, pairs[i].member);
        const char *text = marked_text(member);
        if (marked_text(variable) && member && (!text || strcmp(text, variable->text) != 0)) {
            check_add(
                check, CHECK_NOTE, "repeated-variable",
                check_at(&check->buildspec, variable, "%s: %s", pairs[i].variable, variable->text),
                check_at(&check->config, member, "\"%s\"%s%s", pairs[i].member, text ? ": " : "",
                         text ? text : ""),
                "%s and \"%s\": %s", pairs[i].variable, pairs[i].member, pairs[i].verdict);
        }
    }
}

/* YAML lets a key stand twice; jansson refused it in JSON. */
static void repeat_keys(struct check *check, const struct check_doc *doc)
{
    enum { MEMBERS_COMPARED = 1000 };
    size_t nodes = doc->file ? marked_len(doc->file) : 0;
    for (size_t i = 0; i < nodes; i++) {
        const struct marked *map = marked_at(doc->file, i);
        size_t len = map->kind == MARKED_MAP ? map->len : 0;
        for (size_t j = 1; j < len && j < MEMBERS_COMPARED; j++) {
            const struct marked *key = map->members[j].key;
            for (size_t k = 0; marked_text(key) && k < j; k++) {
                const struct marked *other = map->members[k].key;
                if (marked_text(other) && strcmp(other->text, key->text) == 0) {
                    check_add(check, CHECK_WARNING, "key-twice",
                              check_at(doc, other, "%s:", key->text),
                              check_at(doc, key, "%s:", key->text),
                              "'%s' stands twice: the last counts, the first is lost", key->text);
                }
            }
        }
    }
}

void check_repeats(struct check *check)
{
    repeat_containers(check);
    repeat_variables(check);
    repeat_keys(check, &check->buildspec);
    repeat_keys(check, &check->appspec);
}
