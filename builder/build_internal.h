/*
 * What the stages of one build share. Only builder/'s own files include this.
 *
 * Stages run in threads of their own, each started when something needs it; work slots keep as many
 * steps running at once as the user allows. The first error ends all others.
 */
#ifndef SLIPWAY_BUILDER_BUILD_INTERNAL_H
#define SLIPWAY_BUILDER_BUILD_INTERNAL_H

#include <pthread.h>

#include "base/pool.h"
#include "builder/build.h"
#include "builder/context.h"
#include "builder/dockerfile.h"
#include "builder/plan.h"
#include "builder/sandbox.h"
#include "builder/stack.h"

struct stage;
struct remote_cache;

/* A folder or git URL of --build-context, opened once. */
struct opened_context {
    struct context *context;
};

/* An image that COPY --from or RUN --mount=from names, opened once. */
struct source_image {
    char *name;
    struct stack stack;
    struct source_image *next;
};

struct build {
    const struct build_request *request;
    struct store *store;
    struct registry *registry;
    struct event_sink *events;
    struct pool *pool;
    struct context *context;
    struct dockerfile *df;
    struct plan plan;
    struct platform build_platform;
    struct platform target_platform;
    struct strlist build_args; /* KEY=VALUE */
    int64_t epoch;             /* seconds: `created` and the history */
    enum sandbox_rung rung;    /* known once a RUN asked */
    bool rung_known;

    struct stage *stages;
    bool dry;                    /* only planned: what is not cached is noted and not made */
    struct remote_cache *remote; /* borrowed; NULL: none */
    struct push *push;           /* to the first name; NULL: nothing is pushed */
    bool pushing; /* blobs go up already. Only the stages of the result touch it, one by one */

    pthread_mutex_t lock;   /* of all that follows */
    pthread_cond_t changed; /* a stage ended, or a slot became free */
    unsigned slots;         /* free work slots */
    uint64_t steps;         /* numbers given out */
    size_t context_users;   /* see builder/context_use.h */
    bool failed;
    struct error error; /* the first */
    struct opened_context *contexts;
    struct source_image *images;
    pthread_mutex_t sources_lock; /* while contexts and images are opened */
    pthread_mutex_t hash_lock;    /* while a stage hashes ahead */
};

/* Readies BUILD for REQUEST, which is borrowed; build_release() frees what it holds. */
void build_init(struct build *build, const struct build_request *request);
void build_release(struct build *build);

/* The first half of build_open(): opens the context and reads the Dockerfile. */
int build_read(struct build *build, const char *platform, struct error *err);

/* Opens the context, reads the Dockerfile and makes the plan for PLATFORM (NULL: this machine's).
 * PART_OF_INDEX: its layers are not pushed on the way. */
int build_open(struct build *build, const char *platform, bool part_of_index, struct error *err);

/* Runs the stages that the target needs and waits for all that were started. */
int build_run_stages(struct build *build, struct error *err);

/* Takes and gives back a work slot. */
void build_slot_take(struct build *build);
void build_slot_give(struct build *build);

/* The rung that this machine gives to RUN; ERR_ISOLATION where there is none. */
int build_rung(struct build *build, enum sandbox_rung *out, struct error *err);

/* A new number for the display. */
uint64_t build_step_number(struct build *build);

/* Whether this build has failed or was cancelled; sets ERR where so. */
int build_check(struct build *build, struct error *err);

/* Remembers the first error and stops the others. */
void build_fail(struct build *build, const struct error *error);

/* Waits for stage INDEX, starting it where it does not run yet. Not while a slot is held. */
int build_need_stage(struct build *build, size_t index, struct stage **out, struct error *err);

/* Starts stage INDEX, where it was not, and returns at once. */
void build_start_stage(struct build *build, size_t index);

#endif
