/* Tests of the plan: stages, targets, global ARGs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "builder/plan.h"

static char linux_os[] = "linux";
static char amd64[] = "amd64";
static char arm64[] = "arm64";
static const struct platform here = {.os = linux_os, .architecture = amd64};
static const struct platform there = {.os = linux_os, .architecture = arm64};

struct planned {
    struct dockerfile *df;
    struct plan plan;
    struct strlist args;
    struct strlist contexts;
    struct error err;
    int result;
};

static void make(struct planned *p, const char *text, const char *target)
{
    struct plan_inputs inputs = {.build_args = &p->args,
                                 .contexts = &p->contexts,
                                 .build_platform = &here,
                                 .target_platform = &there,
                                 .target = target};
    assert_int_equal(dockerfile_parse(text, strlen(text), "Dockerfile", &p->df, &p->err), 0);
    p->result = plan_make(p->df, &inputs, &p->plan, &p->err);
}

static void release(struct planned *p)
{
    plan_release(&p->plan);
    dockerfile_freep(&p->df);
    strlist_release(&p->args);
    strlist_release(&p->contexts);
}

static void test_plan__stages_know_where_they_start_from(void **state)
{
    (void)state;
    struct planned p = {0};
    make(&p,
         "FROM debian AS base\nRUN a\nFROM scratch\nCOPY x /x\nFROM base AS top\nENV A=1\n"
         "FROM --platform=$BUILDPLATFORM golang\n",
         "top");
    assert_int_equal(p.result, 0);
    assert_int_equal(p.plan.len, 4);
    assert_int_equal(p.plan.stages[0].parent, -1);
    assert_false(p.plan.stages[0].scratch);
    assert_true(p.plan.stages[1].scratch);
    assert_int_equal(p.plan.stages[2].parent, 0);
    assert_string_equal(p.plan.stages[3].platform, "linux/amd64");
    assert_int_equal(p.plan.target, 2);
    assert_int_equal(p.plan.stages[0].end - p.plan.stages[0].first, 1);
    release(&p);
}

static void test_plan__build_arguments_and_automatic_ones_make_the_base(void **state)
{
    (void)state;
    struct planned p = {0};
    strlist_add(&p.args, "VERSION=13");
    make(&p, "ARG VERSION=12\nARG NAME=debian\nFROM $NAME:${VERSION}-$TARGETARCH\n", NULL);
    assert_int_equal(p.result, 0);
    assert_string_equal(p.plan.stages[0].base, "debian:13-arm64");
    release(&p);
}

static void test_plan__a_named_context_hides_stage_and_scratch(void **state)
{
    (void)state;
    struct planned p = {0};
    strlist_add(&p.contexts, "base");
    make(&p, "FROM debian AS base\nFROM base\n", NULL);
    assert_int_equal(p.result, 0);
    assert_int_equal(p.plan.stages[1].parent, -1);
    release(&p);
}

static void test_plan__what_cannot_be_is_said_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *target, *words;
        unsigned line;
    } cases[] = {
        {"ARG A\nFROM $A\n", NULL, "name of the image is empty", 2},
        {"FROM x AS build\n", "biuld", "did you mean 'build'", 0},
        {"FROM x\n", "3", "no stage '3'", 0},
        {"FROM ${A?missing}\n", NULL, "missing", 1},
        {"FROM x\nFROM --platform=$A x\n", NULL, "'$A' is empty", 2},
        {"FROM --platform=a/b/c/d x\nFROM y", NULL, "is no platform", 1},
        /* What is wrong in a stage that the target does not need. */
        {"FROM Bad AS a\nFROM y\n", NULL, "FROM Bad: ", 1},
        {"FROM x AS Base\nFROM Base\n", NULL, "FROM Base: ", 2},
        {"FROM x\nCOPY --from=7 a b\nFROM y", NULL, "COPY --from=7: there are 2 stages", 2},
        {"FROM x\nRUN --mount=from=a/B,target=/c d\nFROM y", NULL, "RUN --mount=from=a/B: ", 2},
        {"FROM x\nCOPY --from=${A}b a b\nFROM y", NULL, "no variables here", 2},
        {"FROM x AS a\nCOPY --from=a b c\nFROM y", NULL, "circular reference: stage 'a' is this",
         2},
        {"FROM x AS a\nRUN --mount=from=b,target=/c d\nFROM a AS b\nFROM y", NULL,
         "circular reference: stage 'b' needs", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct planned p = {0};
        make(&p, cases[i].text, cases[i].target);
        assert_int_equal(p.result, -1);
        assert_int_equal(p.err.code, ERR_USAGE);
        assert_non_null(strstr(p.err.text, cases[i].words));
        assert_int_equal(p.err.line, cases[i].line);
        release(&p);
    }
}

static void test_plan__forward_references_matter_only_where_they_are_needed(void **state)
{
    (void)state;
    struct planned p = {0};
    make(&p,
         "FROM x AS a\nCOPY --from=b c /\nFROM y AS b\nARG --mount c\nFROM scratch\nCOPY "
         "--from=b c /\n",
         NULL);
    assert_int_equal(p.result, 0);
    bool needed[3] = {false};
    plan_mark_needed(&p.plan, p.plan.target, needed);
    assert_false(needed[0]);
    assert_true(needed[1]);
    release(&p);
}

static void test_plan__targetstage_is_the_last_stage_without_a_target(void **state)
{
    (void)state;
    static const struct {
        const char *text, *target, *value;
    } cases[] = {
        {"FROM x AS a\nFROM y AS Last\n", NULL, "last"},
        {"FROM x AS a\nFROM y AS Last\n", "a", "a"},
        {"FROM x AS a\nFROM y\n", NULL, "default"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct planned p = {0};
        make(&p, cases[i].text, cases[i].target);
        assert_int_equal(p.result, 0);
        assert_string_equal(strlist_env_get(&p.plan.automatic, "TARGETSTAGE"), cases[i].value);
        assert_string_equal(strlist_env_get(&p.plan.automatic, "TARGETOSVERSION"), "");
        release(&p);
    }
}

static void test_plan__from_finds_the_latest_stage_before(void **state)
{
    (void)state;
    struct planned p = {0};
    int index = -2;
    make(&p, "FROM a AS x\nFROM b AS X\nFROM c AS y\nFROM d AS z\n", NULL);
    assert_int_equal(p.result, 0);
    assert_int_equal(plan_find_stage(&p.plan, "x", 2, &index, &p.err), 0);
    assert_int_equal(index, 1);
    assert_int_equal(plan_find_stage(&p.plan, "0", 2, &index, &p.err), 0);
    assert_int_equal(index, 0);
    assert_int_equal(plan_find_stage(&p.plan, "debian:12", 2, &index, &p.err), 0);
    assert_int_equal(index, -1);
    assert_int_equal(plan_find_stage(&p.plan, "y", 2, &index, &p.err), -1);
    assert_non_null(strstr(p.err.text, "itself"));
    assert_int_equal(plan_find_stage(&p.plan, "z", 2, &index, &p.err), -1);
    assert_non_null(strstr(p.err.text, "comes later"));
    assert_int_equal(plan_find_stage(&p.plan, "2", 2, &index, &p.err), -1);
    assert_non_null(strstr(p.err.text, "not before this one"));
    release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__stages_know_where_they_start_from),
        cmocka_unit_test(test_plan__build_arguments_and_automatic_ones_make_the_base),
        cmocka_unit_test(test_plan__a_named_context_hides_stage_and_scratch),
        cmocka_unit_test(test_plan__what_cannot_be_is_said_with_its_line),
        cmocka_unit_test(test_plan__forward_references_matter_only_where_they_are_needed),
        cmocka_unit_test(test_plan__targetstage_is_the_last_stage_without_a_target),
        cmocka_unit_test(test_plan__from_finds_the_latest_stage_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
