/* Containers' names: who claims one, and whether the task definition has it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "deploy/check_internal.h"

static void add_claim(struct check *check, const char *container, size_t image, const char *file,
                      const struct marked *node)
{
    for (size_t i = 0; i < check->claims_len; i++) {
        if (strcmp(check->claims[i].container, container) == 0) {
            return;
        }
    }
    check->claims = mem_realloc(check->claims, check->claims_len + 1, sizeof *check->claims);
    check->claims[check->claims_len++] = (struct check_claim){.container = mem_strdup(container),
                                                              .image = image,
                                                              .file = mem_strdup(file),
                                                              .line = node ? node->line : 0,
                                                              .column = node ? node->column : 0};
}

/* "container" of each image of slipway.json: a text or a list. */
static void claims_of_config(struct check *check)
{
    const struct marked *images = marked_get(marked_root(check->config.file), "images");
    for (size_t i = 0; images && i < images->len; i++) {
        const struct marked *node = marked_get(images->items[i], "container");
        if (marked_text(node)) {
            add_claim(check, node->text, i, check->config.name, node);
        }
        for (size_t j = 0; node && node->kind == MARKED_LIST && j < node->len; j++) {
            add_claim(check, node->items[j]->text, i, check->config.name, node->items[j]);
        }
    }
}

/* Calls FN for each command of the buildspec's phases until it returns true. */
static bool each_command(const struct check *check,
                         bool (*fn)(void *ctx, const struct marked *command), void *ctx)
{
    static const char *const lists[] = {"commands", "finally"};
    const struct marked *phases =
        check->buildspec.file ? marked_get(marked_root(check->buildspec.file), "phases") : NULL;
    for (size_t i = 0; phases && phases->kind == MARKED_MAP && i < phases->len; i++) {
        for (size_t j = 0; j < ARRAY_LEN(lists); j++) {
            const struct marked *list = marked_get(phases->members[i].value, lists[j]);
            for (size_t k = 0; list && list->kind == MARKED_LIST && k < list->len; k++) {
                if (marked_text(list->items[k]) && fn(ctx, list->items[k])) {
                    return true;
                }
            }
        }
    }
    return false;
}

struct search {
    const char *word;
    const struct marked *found;
};

static bool holds_word(void *ctx, const struct marked *command)
{
    struct search *search = ctx;
    if (!strstr(command->text, search->word)) {
        return false;
    }
    search->found = command;
    return true;
}

bool check_commands_say(const struct check *check, const char *word, const struct marked **node_out)
{
    struct search search = {.word = word};
    bool found = each_command(check, holds_word, &search);
    if (node_out) {
        *node_out = search.found;
    }
    return found;
}

/* Whether LINE begins with a program that writes no file which it does not name. */
static bool is_transparent(const char *line)
{
    static const char *const known[] = {"docker", "slipway", "aws",   "$(aws", "echo", "printf",
                                        "export", "cd",      "sed",   "cat",   "cp",   "mv",
                                        "mkdir",  "ls",      "test",  "[",     "if",   "then",
                                        "fi",     "else",    "chmod", "jq",    "#"};
    line += strspn(line, " \t");
    size_t len = strcspn(line, " \t\n;=");
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strlen(known[i]) == len && strncmp(line, known[i], len) == 0) {
            return true;
        }
    }
    return len == 0 || line[len] == '=';
}

static bool is_opaque(void *ctx, const struct marked *command)
{
    const struct marked **found = ctx;
    for (const char *line = command->text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!is_transparent(line)) {
            *found = command;
            return true;
        }
    }
    return false;
}

bool check_opaque_command(const struct check *check, const struct marked **node_out)
{
    *node_out = NULL;
    return each_command(check, is_opaque, node_out);
}

/* The name at P, as far as it is one in letters; NULL where a variable or nothing stands there. */
static char *literal_name(const char *p)
{
    size_t len = 0;
    while (isalnum((unsigned char)p[len]) || p[len] == '-' || p[len] == '_') {
        len++;
    }
    return len > 0 ? mem_strndup(p, len) : NULL;
}

/* `--container web`, `CONTAINER_NAME=web`, and `"name":"web"` where imagedefinitions is written. */
static bool claim_of_command(void *ctx, const struct marked *command)
{
    struct check *check = ctx;
    const char *option = strstr(command->text, "--container");
    AUTO(mem_freep) char *name = NULL;
    if (option && strchr(" =", option[strlen("--container")])) {
        option += strlen("--container") + 1;
        name = literal_name(option + strspn(option, " \"'"));
    } else if (strstr(command->text, "CONTAINER_NAME=")) {
        const char *value = strstr(command->text, "CONTAINER_NAME=") + strlen("CONTAINER_NAME=");
        name = literal_name(value + strspn(value, "\"'"));
    } else if (strstr(command->text, "imageUri")) {
        const char *key = strstr(command->text, "name");
        name = key ? literal_name(key + 4 + strspn(key + 4, "\\\"' :")) : NULL;
    }
    if (name) {
        add_claim(check, name, 0, check->buildspec.name, command);
    }
    return false;
}

static void claims_of_buildspec(struct check *check)
{
    const struct marked *env = marked_get(marked_root(check->buildspec.file), "env");
    const struct marked *name = marked_get(marked_get(env, "variables"), "CONTAINER_NAME");
    each_command(check, claim_of_command, check);
    /* A name in a command counts before the variable, which then nobody reads. */
    if (check->claims_len == 0 && marked_text(name)) {
        add_claim(check, name->text, 0, check->buildspec.name, name);
    }
}

void check_claims(struct check *check)
{
    if (check->have_pipeline) {
        claims_of_config(check);
        return;
    }
    if (check->buildspec.file) {
        claims_of_buildspec(check);
    }
    if (check->claims_len == 0 && check->inputs->container) {
        add_claim(check, check->inputs->container, 0, "environment (CONTAINER_NAME)", NULL);
    }
}

/* The task definition's containers as a list of names. */
static void container_names(const struct check *check, struct strlist *out)
{
    const struct marked *list = check_containers(check);
    for (size_t i = 0; list && i < list->len; i++) {
        const char *name = marked_get_text(list->items[i], "name");
        if (name) {
            strlist_add(out, name);
        }
    }
}

static struct check_place containers_place(const struct check *check, const struct strlist *names)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    for (size_t i = 0; i < names->len; i++) {
        buf_printf(&text, "%s%s", i ? ", " : "", names->items[i]);
    }
    const struct marked *list = check_containers(check);
    const struct marked *first = list->len > 0 ? marked_get(list->items[0], "name") : NULL;
    return check_at(&check->taskdef, first ? first : list, "its containers: %s", buf_text(&text));
}

static const char *nearest(const char *word, const struct strlist *names)
{
    return names->len ? nearest_name(word, (const char *const *)names->items, names->len) : NULL;
}

static void check_claimed(struct check *check, const struct strlist *names)
{
    for (size_t i = 0; i < check->claims_len; i++) {
        const struct check_claim *claim = &check->claims[i];
        if (strlist_has(names, claim->container)) {
            continue;
        }
        const char *close = nearest(claim->container, names);
        check_add(check, CHECK_ERROR, "container-unknown", check_claim_place(claim),
                  containers_place(check, names),
                  "imagedefinitions.json would name container '%s', which the task definition does "
                  "not have%s%s%s",
                  claim->container, close ? "; did you mean '" : "", close ? close : "",
                  close ? "'?" : "");
    }
}

static void check_appspec_name(struct check *check, const struct strlist *names)
{
    const struct marked *balancer = marked_get(check_service(check), "LoadBalancerInfo");
    const struct marked *name = marked_get(balancer, "ContainerName");
    /* A placeholder is told of elsewhere. */
    if (!marked_text(name) || strlist_has(names, name->text) || strchr(name->text, '<')) {
        return;
    }
    const char *close = nearest(name->text, names);
    check_add(check, CHECK_ERROR, "container-unknown",
              check_at(&check->appspec, name, "ContainerName '%s'", name->text),
              containers_place(check, names),
              "the AppSpec sends traffic to container '%s', which the task definition does not "
              "have%s%s%s",
              name->text, close ? "; did you mean '" : "", close ? close : "", close ? "'?" : "");
}

static void check_names_twice(struct check *check)
{
    const struct marked *list = check_containers(check);
    for (size_t i = 0; i < list->len; i++) {
        const struct marked *name = marked_get(list->items[i], "name");
        for (size_t j = 0; marked_text(name) && j < i; j++) {
            const struct marked *other = marked_get(list->items[j], "name");
            if (marked_text(other) && strcmp(other->text, name->text) == 0) {
                check_add(check, CHECK_ERROR, "container-twice",
                          check_at(&check->taskdef, name, "\"%s\"", name->text),
                          check_at(&check->taskdef, other, "\"%s\"", other->text),
                          "two containers are named '%s'", name->text);
            }
        }
    }
}

void check_names(struct check *check)
{
    AUTO(strlist_release) struct strlist names = {0};
    if (!check_containers(check)) {
        if (check->taskdef.file) {
            check_add(check, CHECK_ERROR, "no-containers",
                      check_at(&check->taskdef, marked_root(check->taskdef.file), "the document"),
                      check_nowhere(), "no task definition: it has no \"containerDefinitions\"");
        }
        return;
    }
    container_names(check, &names);
    check_claimed(check, &names);
    check_appspec_name(check, &names);
    check_names_twice(check);
}
