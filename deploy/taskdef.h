/*
 * The task definition and the AppSpec, made from templates of the repository.
 *
 * In a task definition each placeholder is replaced by its value; a container that is named as one
 * that gets an image, and whose "image" holds no placeholder, gets it too, as CodePipeline's ECS
 * action does it. Everything else stays as the template has it, to the byte.
 *
 *     struct template_values values = {0};
 *     strlist_add(&values.placeholders, "IMAGE1_NAME=registry/app@sha256:...");
 *     strlist_add(&values.containers, "web=registry/app@sha256:...");
 *     taskdef_fill(text, len, "taskdef.json", &values, &out, &report, err)
 */
#ifndef SLIPWAY_DEPLOY_TASKDEF_H
#define SLIPWAY_DEPLOY_TASKDEF_H

#include "base/buf.h"
#include "base/error.h"
#include "base/strlist.h"

#define LIMIT_TASKDEF_BYTES ((size_t)64 * 1024)   /* ECS quota "Task definition size" */
#define LIMIT_APPSPEC_BYTES ((size_t)1024 * 1024) /* far below an artifact's 3 MB */

struct template_values {
    struct strlist placeholders; /* NAME=VALUE */
    struct strlist containers;   /* CONTAINER=IMAGE */
};

/* Frees what VALUES holds. */
void template_values_release(struct template_values *values);

/* What became of a template. */
struct template_report {
    struct strlist filled; /* the containers that got an image */
    struct strlist
        unknown; /* placeholders without a value, which stay: CodePipeline may fill them */
};

/* Frees what REPORT holds. */
void template_report_release(struct template_report *report);

/* Makes a task definition of TEMPLATE (NAME: for messages, with line and column). ERR_USAGE: not
 * JSON; no container gets an image; a container's "image" is a placeholder that is not known, or
 * what ECS would refuse; larger than ECS takes. */
int taskdef_fill(const char *template, size_t len, const char *name,
                 const struct template_values *values, struct buf *out,
                 struct template_report *report, struct error *err);

/* Makes an AppSpec of TEMPLATE (YAML, or JSON where NAME ends in .json). ERR_USAGE: unreadable; no
 * "<TASK_DEFINITION>" as the TaskDefinition of a resource, which is left for CodeDeploy; another
 * placeholder that is not known. */
int appspec_fill(const char *template, size_t len, const char *name,
                 const struct template_values *values, struct buf *out, struct error *err);

#endif
