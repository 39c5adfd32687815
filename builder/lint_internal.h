/*
 * What the files of the linter share.
 *
 *   lint.c           the walk over the Dockerfile: stages, their variables, findings
 *   lint_options.c   check=skip=...;error=...;experimental=...
 *   lint_syntax.c    rules about how something is written
 *   lint_from.c      rules about FROM, which knows the global ARGs
 *   lint_stage.c     rules that need a stage's variables
 *   lint_words.c     which words of an instruction are expanded, and the rule on undefined
 * variables
 */
#ifndef SLIPWAY_BUILDER_LINT_INTERNAL_H
#define SLIPWAY_BUILDER_LINT_INTERNAL_H

#include "builder/expand.h"
#include "builder/lint.h"
#include "builder/plan.h"

/* Which rules are asked. */
struct lint_options {
    bool skip_all;
    bool experimental_all;
    bool error;
    struct strlist skip;
    struct strlist experimental;
};
void lint_options_release(struct lint_options *options);

/* Adds what TEXT ("skip=A,B;error=true") says to OPTIONS. ERR_USAGE. */
int lint_options_add(struct lint_options *options, const char *text, struct error *err);

/* Adds what the comments above instruction INDEX say for it alone. */
struct linter;
void lint_options_add_comments(struct lint_options *options, const struct linter *l, size_t index);

/* The last line of the comment right above instruction INDEX, without "#" and blanks; NULL: there
 * is none, or something stands between. The caller's. */
char *lint_comment_above(const struct linter *l, size_t index);

/* A stage as far as it was read. */
struct lint_stage {
    struct strlist env;      /* ENV, also the base's: KEY=VALUE */
    struct strlist args;     /* ARGs that have a value; ENV counts before them */
    struct strlist declared; /* names of ARGs, also those without a value */
    const char *base;        /* the image at the bottom, borrowed; NULL: scratch */
    size_t base_stage;       /* the stage that names it */
    bool base_asked;         /* lint_ask_base() was called, or need not be */
    bool env_known;          /* what the base brings is part of `env` */
    bool shell_set;          /* SHELL was given, here or in the base (once asked) */
    bool workdir_set;        /* a WORKDIR was given */
    /* The last of each in this stage, NULL: none yet. */
    const struct instruction *cmd, *entrypoint, *healthcheck;
};

struct linter {
    const struct dockerfile *df;
    const char **lines; /* where each line of its text begins */
    const struct lint_inputs *inputs;
    struct lint *out;
    struct lint_options options;
    struct lint_options own; /* and of the instruction at hand */
    bool mostly_lower;       /* most keywords are in lower case */
    struct strlist names;    /* stages so far */
    struct plan globals;     /* global ARGs, with build arguments */
    struct plan defaults;    /* the same without */
    struct plan plan;
    struct lint_stage *stages; /* as many as plan has */
    struct lint_stage *now;    /* the stage at hand */
    size_t index;              /* of the instruction at hand */
    struct strlist unset;      /* variables that the words at hand lack */
};

/* The linter's own view of a rule. */
struct lint_check {
    struct lint_rule rule; /* first */
    /* Asked of every instruction of the file; NULL: not. */
    void (*written)(struct linter *l, const struct lint_rule *rule, const struct instruction *in);
    /* Asked of the instructions of stages that are built, before they take effect; NULL: not. */
    void (*staged)(struct linter *l, const struct lint_rule *rule, const struct instruction *in);
};
struct lint_table {
    const struct lint_check *checks;
    size_t len;
};
extern const struct lint_table lint_checks_syntax;
extern const struct lint_table lint_checks_from;
extern const struct lint_table lint_checks_stage;
extern const struct lint_check lint_check_undefined_var; /* asked by lint_words() */
extern const struct lint_rule lint_rule_base_platform;   /* asked of bases at a stage's begin */

/* Adds a finding about IN unless RULE is left out; WORD as written is underlined (NULL: the
 * keyword). ADVICE, which may be NULL, is taken over. Returns the finding, borrowed until the next,
 * or NULL. */
struct lint_finding *lint_add(struct linter *l, const struct lint_rule *rule,
                              const struct instruction *in, const char *word, char *advice,
                              const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Whether RULE is asked of the instruction at hand. */
bool lint_is_asked(const struct linter *l, const struct lint_rule *rule);

/* Takes over what the base image at hand brings, once, and says where it is for another platform;
 * this may need the network. */
void lint_ask_base(struct linter *l);

/* The base of FROM was asked for EXPECTED and is for ACTUAL. */
void lint_base_platform(struct linter *l, const struct plan_stage *stage,
                        const struct platform *expected, const struct platform *actual);

/* Expands WORD with the variables at hand; what it lacks is in l->unset. An error of WORD counts
 * only where all variables are known: else the result is "". The result is the caller's. */
int lint_expand(struct linter *l, const struct instruction *in, const char *word, char **out,
                struct error *err);

/* As stage_expand_words(): WORD after expansion, split at blanks. */
int lint_expand_words(struct linter *l, const char *word, struct strlist *out, struct error *err);

/* The same with the global ARGs of GLOBALS, as FROM has it. False: WORD cannot be expanded. */
bool lint_expand_global(struct linter *l, const struct plan *globals, const char *word, char **out);

/* Expands all words of IN that BuildKit expands and reports variables that nobody defined. */
int lint_words(struct linter *l, const struct instruction *in, struct error *err);

#endif
