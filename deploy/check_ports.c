/* Ports: what the image exposes, what the task definition maps, where the AppSpec sends traffic. */
#include <string.h>

#include "base/memory.h"
#include "deploy/check_internal.h"

enum { PORT_MAX = 65535 };

/* PORT/PROTOCOL of a mapping. */
static bool mapping_port(const struct marked *mapping, unsigned long *port_out,
                         const char **protocol_out)
{
    const char *protocol = marked_get_text(mapping, "protocol");
    *protocol_out = protocol ? protocol : "tcp";
    return marked_number(marked_get(mapping, "containerPort"), PORT_MAX, port_out);
}

static const struct marked *mappings_of(const struct marked *container)
{
    const struct marked *list = marked_get(container, "portMappings");
    return list && list->kind == MARKED_LIST ? list : NULL;
}

static bool is_exposed(const struct docker_values *exposed, unsigned long port,
                       const char *protocol)
{
    for (size_t i = 0; i < exposed->len; i++) {
        const struct docker_value *value = &exposed->items[i];
        if (port >= value->first && port <= value->last && strcmp(value->protocol, protocol) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_mapped(const struct marked *mappings, const struct docker_value *value)
{
    unsigned long port = 0;
    const char *protocol = NULL;
    for (size_t i = 0; mappings && i < mappings->len; i++) {
        if (mapping_port(mappings->items[i], &port, &protocol) && port >= value->first &&
            port <= value->last && strcmp(value->protocol, protocol) == 0) {
            return true;
        }
        /* A range is not taken apart. */
        if (marked_get(mappings->items[i], "containerPortRange")) {
            return true;
        }
    }
    return false;
}

static struct check_place exposed_place(const struct docker_facts *docker,
                                        const struct docker_value *value)
{
    return check_line(docker->file, value->line, "EXPOSE %s", value->value);
}

/* What the image exposes beside what CONTAINER maps. A difference of one port each is one finding.
 */
static void compare_exposed(struct check *check, const struct docker_facts *docker,
                            const struct marked *container)
{
    const struct marked *mappings = mappings_of(container);
    const char *name = marked_get_text(container, "name");
    const struct docker_value *unmapped = NULL;
    size_t missing = 0;
    unsigned long port = 0;
    const char *protocol = NULL;
    for (size_t i = 0; i < docker->exposed.len; i++) {
        if (!is_mapped(mappings, &docker->exposed.items[i])) {
            unmapped = unmapped ? unmapped : &docker->exposed.items[i];
            missing++;
        }
    }
    for (size_t i = 0; mappings && i < mappings->len; i++) {
        const struct marked *node = marked_get(mappings->items[i], "containerPort");
        if (!mapping_port(mappings->items[i], &port, &protocol) ||
            is_exposed(&docker->exposed, port, protocol)) {
            continue;
        }
        const struct docker_value *side = unmapped ? unmapped : &docker->exposed.items[0];
        check_add(
            check, CHECK_ERROR, "port-differs",
            check_at(&check->taskdef, node, "containerPort %lu/%s", port, protocol),
            exposed_place(docker, side),
            "container '%s' maps port %lu/%s, and its image exposes %s; the task definition's "
            "counts: EXPOSE opens nothing",
            name, port, protocol, side->value);
        missing = missing > 0 ? missing - 1 : 0;
        unmapped = NULL;
    }
    if (missing > 0 && unmapped) {
        check_add(check, CHECK_WARNING, "port-unmapped", exposed_place(docker, unmapped),
                  check_at(&check->taskdef, mappings ? mappings : marked_get(container, "name"),
                           "container '%s'", name),
                  "the image exposes %s, and container '%s' maps no such port", unmapped->value,
                  name);
    }
}

static bool has_launch_type(const struct check *check, const char *type)
{
    const struct marked *list =
        marked_get(marked_root(check->taskdef.file), "requiresCompatibilities");
    for (size_t i = 0; list && list->kind == MARKED_LIST && i < list->len; i++) {
        const char *text = marked_text(list->items[i]);
        if (text && strcmp(text, type) == 0) {
            return true;
        }
    }
    return false;
}

/* In these modes the container has its ports itself: nothing translates. */
static void check_host_port(struct check *check, const struct marked *mapping)
{
    const struct marked *mode = marked_get(marked_root(check->taskdef.file), "networkMode");
    const struct marked *host = marked_get(mapping, "hostPort");
    const struct marked *inner = marked_get(mapping, "containerPort");
    const char *name = marked_text(mode);
    unsigned long host_port = 0;
    unsigned long port = 0;
    bool fixed = name ? strcmp(name, "awsvpc") == 0 || strcmp(name, "host") == 0
                      : has_launch_type(check, "FARGATE");
    if (fixed && marked_number(host, PORT_MAX, &host_port) &&
        marked_number(inner, PORT_MAX, &port) && host_port != port) {
        check_add(check, CHECK_ERROR, "host-port",
                  check_at(&check->taskdef, host, "hostPort %lu", host_port),
                  check_at(&check->taskdef, inner, "containerPort %lu", port),
                  "hostPort %lu and containerPort %lu differ, and with networkMode %s they must be "
                  "the same; leave hostPort out",
                  host_port, port, name ? name : "awsvpc");
    }
}

/* Containers of one task share its network: a port is taken once. */
static void check_port_twice(struct check *check, size_t at, const struct marked *mapping)
{
    const struct marked *mode = marked_get(marked_root(check->taskdef.file), "networkMode");
    const struct marked *list = check_containers(check);
    unsigned long port = 0;
    unsigned long other_port = 0;
    const char *protocol = NULL;
    const char *other = NULL;
    if (!marked_text(mode) || strcmp(mode->text, "awsvpc") != 0 ||
        !mapping_port(mapping, &port, &protocol)) {
        return;
    }
    for (size_t i = 0; i < at; i++) {
        const struct marked *mappings = mappings_of(list->items[i]);
        for (size_t j = 0; mappings && j < mappings->len; j++) {
            if (mapping_port(mappings->items[j], &other_port, &other) && other_port == port &&
                strcmp(other, protocol) == 0) {
                check_add(check, CHECK_ERROR, "port-twice",
                          check_at(&check->taskdef, marked_get(mapping, "containerPort"),
                                   "containerPort %lu", port),
                          check_at(&check->taskdef, marked_get(mappings->items[j], "containerPort"),
                                   "containerPort %lu", port),
                          "two containers take port %lu, and with networkMode awsvpc they share "
                          "one network",
                          port);
            }
        }
    }
}

/* The AppSpec's port beside the task definition's, or where there is none, the image's. */
static void check_appspec_port(struct check *check)
{
    const struct marked *balancer = marked_get(check_service(check), "LoadBalancerInfo");
    const struct marked *node = marked_get(balancer, "ContainerPort");
    const char *name = marked_get_text(balancer, "ContainerName");
    const struct marked *container = name ? check_container(check, name) : NULL;
    unsigned long port = 0;
    if (!marked_text(node)) {
        return;
    }
    if (!marked_number(node, PORT_MAX, &port)) {
        check_add(check, CHECK_ERROR, "port-differs",
                  check_at(&check->appspec, node, "ContainerPort %s", node->text), check_nowhere(),
                  "ContainerPort '%s' is no port", node->text);
        return;
    }
    const struct marked *mappings = container ? mappings_of(container) : NULL;
    struct docker_value wanted = {
        .first = (unsigned)port, .last = (unsigned)port, .protocol = "tcp"};
    if (container && !is_mapped(mappings, &wanted)) {
        const struct marked *first =
            mappings && mappings->len > 0 ? marked_get(mappings->items[0], "containerPort") : NULL;
        const char *says = marked_text(first);
        check_add(check, CHECK_ERROR, "port-differs",
                  check_at(&check->appspec, node, "ContainerPort %lu", port),
                  check_at(&check->taskdef, first ? first : marked_get(container, "name"), "%s%s",
                           says ? "containerPort " : "no portMappings", says ? says : ""),
                  "the AppSpec sends traffic to port %lu of container '%s', which maps %s%s", port,
                  name, says ? "port " : "no port", says ? says : "");
    }
    const struct docker_facts *docker = &check->images[0].docker;
    if (!check->taskdef.file && check->images_len == 1 && docker->exposed.len > 0 &&
        !is_exposed(&docker->exposed, port, "tcp")) {
        check_add(check, CHECK_ERROR, "port-differs",
                  check_at(&check->appspec, node, "ContainerPort %lu", port),
                  exposed_place(docker, &docker->exposed.items[0]),
                  "the AppSpec sends traffic to port %lu, and the image exposes %s", port,
                  docker->exposed.items[0].value);
    }
}

void check_ports(struct check *check)
{
    const struct marked *list = check_containers(check);
    for (size_t i = 0; list && i < list->len; i++) {
        const struct marked *container = list->items[i];
        const struct marked *mappings = mappings_of(container);
        size_t image = 0;
        for (size_t j = 0; mappings && j < mappings->len; j++) {
            check_host_port(check, mappings->items[j]);
            check_port_twice(check, i, mappings->items[j]);
        }
        if (marked_get_text(container, "name") && check_image_of(check, container, &image) &&
            check->images[image].docker.file && check->images[image].docker.exposed.len > 0) {
            compare_exposed(check, &check->images[image].docker, container);
        }
    }
    check_appspec_port(check);
}
