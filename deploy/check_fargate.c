/* What Fargate offers and asks for (ECS API reference, RegisterTaskDefinition). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "deploy/check_internal.h"

/* Memory in MiB that goes with CPU units: from, to, step; 256 units also with 512. */
static const struct size {
    unsigned cpu, from, to, step;
} sizes[] = {
    {256, 512, 512, 512},       {256, 1024, 2048, 1024},      {512, 1024, 4096, 1024},
    {1024, 2048, 8192, 1024},   {2048, 4096, 16384, 1024},    {4096, 8192, 30720, 1024},
    {8192, 16384, 61440, 4096}, {16384, 32768, 122880, 8192},
};

static bool offered(unsigned cpu, unsigned memory)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const struct size *s = &sizes[i];
        if (s->cpu == cpu && memory >= s->from && memory <= s->to &&
            (memory - s->from) % s->step == 0) {
            return true;
        }
    }
    return false;
}

/* What goes with CPU, in words; empty where CPU itself is not offered. */
static void say_offer(unsigned cpu, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const struct size *s = &sizes[i];
        if (s->cpu != cpu) {
            continue;
        }
        buf_puts(out, out->len ? ", " : "");
        if (s->from == s->to) {
            buf_printf(out, "%u", s->from);
        } else {
            buf_printf(out, "%u to %u in steps of %u", s->from, s->to, s->step);
        }
    }
}

/* "512", "0.5 vCPU", "1 GB": in units of CPU or MiB. UNIT is "vCPU" or "GB", 1024 of the smaller.
 */
static bool read_size(const struct marked *node, const char *unit, unsigned *out)
{
    const char *text = marked_text(node);
    char *end = NULL;
    double value = text ? strtod(text, &end) : 0;
    if (!text || end == text || !(value > 0) || value > 1e6) {
        return false;
    }
    end += strspn(end, " ");
    if (*end != '\0' && strcasecmp(end, unit) != 0) {
        return false;
    }
    *out = (unsigned)(*end ? value * 1024 : value);
    return true;
}

static void check_size(struct check *check, const struct marked *root)
{
    const struct marked *cpu = marked_get(root, "cpu");
    const struct marked *memory = marked_get(root, "memory");
    unsigned units = 0;
    unsigned mib = 0;
    AUTO(buf_release) struct buf offer = BUF_INIT(0);
    if (!cpu || !memory) {
        const struct marked *given = cpu ? cpu : memory;
        check_add(check, CHECK_ERROR, "fargate-size",
                  check_at(&check->taskdef, given ? given : root, "the task's size"),
                  check_nowhere(), "Fargate needs the task's \"cpu\" and \"memory\": %s missing",
                  cpu || memory ? (cpu ? "memory is" : "cpu is") : "both are");
        return;
    }
    if (!read_size(cpu, "vCPU", &units) || !read_size(memory, "GB", &mib)) {
        bool bad_cpu = !read_size(cpu, "vCPU", &units);
        const struct marked *bad = bad_cpu ? cpu : memory;
        const char *text = marked_text(bad);
        /* A placeholder is told of elsewhere. */
        if (!text || !strchr(text, '<')) {
            check_add(check, CHECK_ERROR, "fargate-size",
                      check_at(&check->taskdef, bad, "%s", bad_cpu ? "cpu" : "memory"),
                      check_nowhere(), "'%s' is no size", text ? text : "{...}");
        }
        return;
    }
    if (offered(units, mib)) {
        return;
    }
    say_offer(units, &offer);
    if (offer.len == 0) {
        check_add(check, CHECK_ERROR, "fargate-size",
                  check_at(&check->taskdef, cpu, "cpu %s", cpu->text), check_nowhere(),
                  "Fargate does not offer cpu %s: it has 256, 512, 1024, 2048, 4096, 8192, 16384",
                  cpu->text);
        return;
    }
    check_add(check, CHECK_ERROR, "fargate-size",
              check_at(&check->taskdef, memory, "memory %s", memory->text),
              check_at(&check->taskdef, cpu, "cpu %s", cpu->text),
              "Fargate does not offer memory %s with cpu %s: it has %s MiB", memory->text,
              cpu->text, buf_text(&offer));
}

/* A container cannot have more than its task. */
static void check_container_size(struct check *check, const struct marked *root,
                                 const struct marked *container, const char *key, const char *unit)
{
    const struct marked *whole = marked_get(root, key);
    const struct marked *part = marked_get(container, key);
    unsigned all = 0;
    unsigned own = 0;
    if (read_size(whole, unit, &all) && read_size(part, unit, &own) && own > all) {
        check_add(check, CHECK_ERROR, "container-size",
                  check_at(&check->taskdef, part, "%s %s", key, part->text),
                  check_at(&check->taskdef, whole, "%s %s", key, whole->text),
                  "the container's %s %s is more than the task's %s", key, part->text, whole->text);
    }
}

/* Why the agent needs a role of its own to start the task; NULL: it does not. *NODE_OUT: where. */
static const char *needs_role(const struct check *check, const struct marked **node_out)
{
    const struct marked *list = check_containers(check);
    for (size_t i = 0; list && i < list->len; i++) {
        const struct marked *container = list->items[i];
        const struct marked *image = marked_get(container, "image");
        const struct marked *driver =
            marked_get(marked_get(container, "logConfiguration"), "logDriver");
        const struct marked_member *secrets = marked_member(container, "secrets");
        const char *text = marked_text(image);
        *node_out = image;
        if (text && (strstr(text, ".dkr.ecr.") || text[0] == '<')) {
            return "to pull from ECR";
        }
        if (marked_text(driver) && strcmp(driver->text, "awslogs") == 0) {
            *node_out = driver;
            return "to write to CloudWatch (awslogs)";
        }
        if (secrets && secrets->value->len > 0) {
            *node_out = secrets->key;
            return "to read secrets";
        }
    }
    return NULL;
}

static void check_role(struct check *check, const struct marked *root,
                       const struct marked *launch_type)
{
    const struct marked *node = NULL;
    const char *why = needs_role(check, &node);
    if (why && !marked_get(root, "executionRoleArn")) {
        check_add(check, CHECK_ERROR, "execution-role", check_at(&check->taskdef, node, "%s", why),
                  check_at(&check->taskdef, launch_type, "FARGATE"),
                  "\"executionRoleArn\" is missing: Fargate needs it %s", why);
    }
}

static void check_absent(struct check *check, const struct marked *map, const char *const *names,
                         size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const struct marked_member *member = marked_member(map, names[i]);
        const char *text = member ? marked_text(member->value) : NULL;
        if (member && !(text && strcmp(text, "false") == 0)) {
            check_add(check, CHECK_ERROR, "fargate-lacks",
                      check_at(&check->taskdef, member->key, "\"%s\"", names[i]), check_nowhere(),
                      "Fargate does not have \"%s\"", names[i]);
        }
    }
}

/* "FARGATE" among the launch types; NULL: it is not. */
static const struct marked *fargate(const struct check *check)
{
    const struct marked *list =
        marked_get(marked_root(check->taskdef.file), "requiresCompatibilities");
    for (size_t i = 0; list && list->kind == MARKED_LIST && i < list->len; i++) {
        const char *text = marked_text(list->items[i]);
        if (text && strcmp(text, "FARGATE") == 0) {
            return list->items[i];
        }
    }
    return NULL;
}

/* Members that describe-task-definition answers with and register-task-definition refuses. */
static void check_answer(struct check *check)
{
    static const char *const names[] = {"taskDefinitionArn",  "revision",        "status",
                                        "requiresAttributes", "compatibilities", "registeredAt",
                                        "registeredBy",       "deregisteredAt"};
    const struct marked *root = marked_root(check->taskdef.file);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct marked_member *member = marked_member(root, names[i]);
        if (member) {
            check_add(check, CHECK_ERROR, "taskdef-member",
                      check_at(&check->taskdef, member->key, "\"%s\"", names[i]), check_nowhere(),
                      "\"%s\" is of an answer that describes a task definition: one that is "
                      "registered may not have it",
                      names[i]);
        }
    }
}

void check_fargate(struct check *check)
{
    static const char *const not_of_tasks[] = {"ipcMode", "placementConstraints"};
    static const char *const not_of_containers[] = {"disableNetworking", "dnsSearchDomains",
                                                    "dnsServers",        "dockerSecurityOptions",
                                                    "extraHosts",        "links",
                                                    "privileged"};
    const struct marked *launch_type = check->taskdef.file ? fargate(check) : NULL;
    const struct marked *list = check_containers(check);
    if (check->taskdef.file) {
        check_answer(check);
    }
    if (!launch_type) {
        return;
    }
    const struct marked *root = marked_root(check->taskdef.file);
    const struct marked *mode = marked_get(root, "networkMode");
    if (!marked_text(mode) || strcmp(mode->text, "awsvpc") != 0) {
        check_add(check, CHECK_ERROR, "fargate-network",
                  check_at(&check->taskdef, mode ? mode : root, "networkMode"),
                  check_at(&check->taskdef, launch_type, "FARGATE"),
                  "Fargate needs \"networkMode\": \"awsvpc\"");
    }
    check_size(check, root);
    check_role(check, root, launch_type);
    check_absent(check, root, not_of_tasks, ARRAY_LEN(not_of_tasks));
    for (size_t i = 0; list && i < list->len; i++) {
        check_absent(check, list->items[i], not_of_containers, ARRAY_LEN(not_of_containers));
        check_container_size(check, root, list->items[i], "cpu", "vCPU");
        check_container_size(check, root, list->items[i], "memory", "GB");
    }
}
