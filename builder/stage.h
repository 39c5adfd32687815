/*
 * A stage while it is being built: the layers so far, the config so far, and the variables in
 * scope.
 *
 * stage_run() is the stage's thread. Each kind of instruction lives in a file of its own (meta.c,
 * arguments.c, step_copy.c, step_run.c, step_workdir.c); what makes a layer goes through
 * stage_step(), which asks the cache first.
 */
#ifndef SLIPWAY_BUILDER_STAGE_H
#define SLIPWAY_BUILDER_STAGE_H

#include "builder/account.h"
#include "builder/build_internal.h"
#include "builder/build_plan.h"
#include "builder/expand.h"
#include "builder/step_cache.h"
#include "builder/step_key.h"

/* A layer that is written while the stage goes on (builder/step_layer.h). */
struct later;

enum stage_status { STAGE_IDLE, STAGE_RUNNING, STAGE_DONE, STAGE_FAILED };

struct stage {
    struct build *build;
    size_t index;
    const struct plan_stage *plan;
    enum stage_status status; /* under build->lock */
    pthread_t thread;
    bool started;          /* the thread is to be joined */
    pthread_t hash_thread; /* builder/hash_ahead.h */
    bool hashing;          /* that thread is to be joined */
    bool uses_context;     /* the instruction at hand does: stage_leave_context() */

    pthread_mutex_t stack_lock; /* once the stage is done, others read its stack */
    struct stack stack;
    struct later *later; /* NULL: none */
    json_t *config;
    json_t *base_config; /* of the image that the stage starts from; NULL: none, or not met yet */
    struct platform platform;
    struct strlist env;   /* KEY=VALUE as in the config */
    struct strlist args;  /* ARGs in scope that have a value, KEY=VALUE */
    struct strlist unset; /* names of the ARGs in scope that have none */
    struct strlist under; /* names of the ARGs that an ENV after them has taken the place of */
    struct strlist shell; /* SHELL, or the default */
    char *workdir;        /* absolute */
    bool cmd_set;         /* this Dockerfile set CMD */
    size_t exposed;       /* ports that its EXPOSE named */
    bool on_target;       /* its layers are the result's */
    bool no_cache;        /* --no-cache, or its name is in --no-cache-filter */
    size_t step, steps;   /* for the display: done and in all */

    bool stale;                   /* planning: a step would be made, so no later key is known */
    struct planned_step *planned; /* planning: the steps so far */
    size_t planned_len;
};

/* Readies a zeroed struct. */
void stage_init(struct stage *stage, struct build *build, size_t index);

/* Thread function; ARG is the struct stage. */
void *stage_run(void *arg);

/* The instruction at hand needs the context's tree no more. */
void stage_leave_context(struct stage *stage);

/* Frees what STAGE holds. */
void stage_release(struct stage *stage);

/* Expands WORD of IN with the stage's variables; errors are located. The result is the caller's. */
int stage_expand(struct stage *stage, const struct instruction *in, const char *word, char **out,
                 struct error *err);

/* The same, split into words that are added to OUT. */
int stage_expand_words(struct stage *stage, const struct instruction *in, const char *word,
                       struct strlist *out, struct error *err);

/* Names the place of WORD as written, or of IN's flag NAME, as the place of ERR. Returns -1. */
int stage_locate(struct stage *stage, const struct instruction *in, const char *word,
                 struct error *err);

/* Names the place of IN's flag NAME as the place of ERR. Returns -1. */
int stage_locate_flag(struct stage *stage, const struct instruction *in, const char *name,
                      struct error *err);

/* The value of variable NAME as it stands now, borrowed; NULL: not set. Of an ENV and an ARG of one
 * name the later counts (BuildKit). */
const char *stage_variable(const struct stage *stage, const char *name);

/* An expander over the stage's variables. */
struct expander stage_expander(struct stage *stage);

/* PATH, relative to the stage's WORKDIR unless absolute, clean and absolute. A final "/" or "/."
 * stays as "/". The result is the caller's. */
char *stage_path(const struct stage *stage, const char *path);

/* Whom TEXT, "user[:group]", makes the files of a step of STAGE belong to; TREE is what they are
 * put into, NULL for nothing. Names need an image: without one they are ERR_USAGE, and one that the
 * image does not have is root, with a warning (BuildKit). */
int stage_owner(struct stage *stage, struct tree *tree, const char *text, struct owner *out,
                struct error *err);

/* A step that may make a layer. */
struct step {
    const struct instruction *in;
    const char *created_by;    /* the line of history, and the display's after [stage n/m] */
    struct step_key *key;      /* all that it depends on; stage_step() finishes it */
    const struct digest *also; /* another key that means the same, for the next time; NULL: none */
    bool no_cache;             /* run it in any case */
    bool exclusive;            /* builds of several processes that need it do it once */
    /* Makes the difference, which is the caller's; NULL or empty: nothing changed. NUMBER is the
     * display's. */
    int (*make)(void *ctx, uint64_t number, struct tree **diff_out, struct error *err);
    /* The layer is written: what else is to be done with it; may be NULL. *LASTS_OUT: whether the
     * difference's contents can still be read afterwards. */
    int (*keep)(void *ctx, const struct layer *layer, bool *lasts_out, struct error *err);
    void *ctx;
};

/* Takes STEP's result from the cache or makes it, and adds it to layers and history. */
int stage_step(struct stage *stage, const struct step *step, struct error *err);

/* Takes the result that was kept under KEY, which may mean the same as a key that costs more to
 * find out. *TAKEN_OUT: there was one, and it was added as by stage_step(). */
int stage_step_known(struct stage *stage, const struct step *step, const struct digest *key,
                     bool *taken_out, struct error *err);

/* Begins a step's key on the stage's layers. */
struct step_key *stage_key(struct stage *stage, const char *what);

/* The instructions, by kind. */
int stage_meta(struct stage *stage, const struct instruction *in, struct error *err);

/* ARG: adds a variable to the stage. Errors with place. */
int stage_arg(struct stage *stage, const struct instruction *in, struct error *err);

/* COPY and ADD. Errors with place. */
int stage_copy(struct stage *stage, const struct instruction *in, struct error *err);

/* RUN. Errors with place; a command that fails is ERR_STEP with its exit status. */
int stage_run_command(struct stage *stage, const struct instruction *in, struct error *err);

/* WORKDIR. Errors with place. */
int stage_workdir(struct stage *stage, const struct instruction *in, struct error *err);

/* Adds a line of history for an instruction that makes no layer. */
void stage_note(struct stage *stage, const char *created_by);

#endif
