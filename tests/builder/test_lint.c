/* Tests of the linter: for each rule Dockerfiles that it finds fault with, and such that it does
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/memory.h"
#include "builder/lint.h"

/* Most cases need only the first fields. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static char linux_os[] = "linux";
static char amd64[] = "amd64";
static const struct platform here = {.os = linux_os, .architecture = amd64};

struct lint_case {
    const char *text;
    const char *found;  /* "LINE Rule" each with a newline */
    const char *detail; /* a sentence that one of the findings has; NULL: none is looked for */
    const char *args;   /* KEY=VALUE of a build argument; NULL: none */
    const char *ignore; /* .dockerignore; NULL: none */
    const char *target;
    bool unknown_base; /* images cannot be read */
};

/* Images bring BASE_VAR; "shelled" also a SHELL; "foreign" is for arm64 whatever is asked for. */
static bool base_env(void *ctx, size_t stage, const char *image, const struct platform *platform,
                     struct lint_base *out)
{
    (void)stage;
    static char arm64[] = "arm64";
    static const struct platform there = {.os = linux_os, .architecture = arm64};
    const bool *unknown = ctx;
    if (*unknown) {
        return false;
    }
    strlist_add(&out->env, "BASE_VAR=1");
    out->shell = strcmp(image, "shelled") == 0;
    platform_copy(strcmp(image, "foreign") == 0 ? &there : platform, &out->platform);
    return true;
}

static int run_case(const struct lint_case *c, struct lint *out, struct error *err)
{
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    AUTO(ignore_freep) struct ignore *ignore = NULL;
    AUTO(strlist_release) struct strlist args = {0};
    AUTO(strlist_release) struct strlist contexts = {0};
    bool unknown = c->unknown_base;
    if (c->args) {
        strlist_add(&args, c->args);
    }
    if (c->ignore) {
        assert_int_equal(ignore_parse(c->ignore, strlen(c->ignore), ".dockerignore", &ignore, err),
                         0);
    }
    struct lint_inputs inputs = {.build_args = &args,
                                 .contexts = &contexts,
                                 .build_platform = &here,
                                 .target_platform = &here,
                                 .target = c->target,
                                 .all_stages = !c->target,
                                 .ignore = ignore,
                                 .base = base_env,
                                 .ctx = &unknown};
    assert_int_equal(dockerfile_parse(c->text, strlen(c->text), "Dockerfile", &df, err), 0);
    return lint_run(df, &inputs, out, err);
}

static void check_cases(const struct lint_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(lint_release) struct lint lint = {0};
        AUTO(buf_release) struct buf found = BUF_INIT(0);
        struct error err = {0};
        bool detail = cases[i].detail == NULL;
        if (run_case(&cases[i], &lint, &err) != 0) {
            fail_msg("%s\n-> %s", cases[i].text, err.text);
        }
        for (size_t j = 0; j < lint.len; j++) {
            buf_printf(&found, "%u %s\n", lint.items[j].line, lint.items[j].rule->name);
            detail = detail || strcmp(lint.items[j].text, cases[i].detail) == 0;
        }
        if (strcmp(buf_text(&found), cases[i].found) != 0 || !detail) {
            fail_msg("%s\nexpected:\n%s%s\nfound:\n%s%s", cases[i].text, cases[i].found,
                     cases[i].detail ? cases[i].detail : "", buf_text(&found),
                     lint.len ? lint.items[0].text : "");
        }
    }
}

static void test_lint__names_and_casing(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {"FROM scratch AS one\nFROM scratch AS Two\n", "2 StageNameCasing\n",
         "Stage name 'Two' should be lowercase"},
        {"FROM scratch as a\n", "1 FromAsCasing\n",
         "'as' and 'FROM' keywords' casing do not match"},
        {"from scratch AS a\n", "1 FromAsCasing\n",
         "'AS' and 'from' keywords' casing do not match"},
        {"From scratch as a\nFROM a AS b\n", "1 ConsistentInstructionCasing\n",
         "Command 'From' should match the case of the command majority (uppercase)"},
        {"FROM scratch\ncopy a /\nCOPY b /\n", "2 ConsistentInstructionCasing\n", NULL},
        {"FROM scratch\ncopy a /\ncopy b /\n", "1 ConsistentInstructionCasing\n",
         "Command 'FROM' should match the case of the command majority (lowercase)"},
        {"arg A=1\nFROM scratch\nCOPY a /\n", "", NULL}, /* global ARGs are not counted */
        {"from scratch\ncopy a /\n", "", NULL},
        {"FROM scratch AS a\nFROM scratch AS b\nFROM scratch AS A\n",
         "3 DuplicateStageName\n3 StageNameCasing\n",
         "Duplicate stage name \"a\", stage names should be unique"},
        {"FROM scratch AS scratch\nFROM scratch AS context\n",
         "1 ReservedStageName\n2 ReservedStageName\n",
         "Stage name should not use the same name as reserved stage \"context\""},
    };
    check_cases(cases, ARRAY_LEN(cases));
}

static void test_lint__lines_and_comments(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {"FROM scratch\nCOPY a \\\n\n  /\n", "4 NoEmptyContinuation\n", "Empty continuation line"},
        {"FROM scratch\nCOPY a \\\n# fine\n  /\n", "", NULL},
        {"FROM scratch\nCOPY \\\n\n<<E /a\nx\n\ny\nE\n", "4 NoEmptyContinuation\n", NULL},
        {"FROM scratch\nMAINTAINER me@example.org\n", "2 MaintainerDeprecated\n",
         "Maintainer instruction is deprecated in favor of using label"},
        {"# b is it\nARG a=1\nFROM scratch\n", "", NULL}, /* experimental */
        {"# check=experimental=InvalidDefinitionDescription\n# b is it\nARG a=1\nFROM scratch\n",
         "3 InvalidDefinitionDescription\n",
         "Comment for ARG should follow the format: `# a <description>`"},
        {"# check=skip=all;experimental=all\n# a is it\nARG a=1\n# b is it\n#\nARG c\n# d is\n\n"
         "FROM scratch as e\n# f is\nCOPY a /\n# all\nARG g h\n",
         "13 InvalidDefinitionDescription\n",
         "Comment for ARG should follow the format: `# <arg_key> <description>`"},
    };
    check_cases(cases, ARRAY_LEN(cases));
}

static void test_lint__from(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {"ARG VERSION=1\nFROM a:${VERSION}${more}\n", "2 UndefinedArgInFrom\n",
         "FROM argument 'more' is not declared"},
        {"ARG VERSION=1\nFROM a:${VERSIONS:-2}\n", "2 UndefinedArgInFrom\n",
         "FROM argument 'VERSIONS' is not declared (did you mean VERSION?)"},
        {"ARG VERSION\nFROM a:1${VERSION}\n", "", NULL},
        {"FROM --platform=$BUILDPLATFORM a\n", "", NULL},
        {"FROM --platform=${BULIDPLATFORM:-linux/arm64} a\n", "1 UndefinedArgInFrom\n",
         "FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)"},
        {"FROM --platform=$TARGETPLATFORM a\n", "1 RedundantTargetPlatform\n",
         "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the "
         "default behavior"},
        {"FROM --platform=${TARGETPLATFORM} a\n", "1 RedundantTargetPlatform\n", NULL},
        {"FROM foreign\n", "1 InvalidBaseImagePlatform\n",
         "Base image foreign was pulled with platform \"linux/arm64\", expected \"linux/amd64\" "
         "for "
         "current build"},
        {"ARG P=linux/arm64\nFROM --platform=$P foreign\n", "", NULL},
        {"ARG B=foreign\nFROM a\nFROM $B\nFROM $B AS c\nFROM c\n",
         "3 InvalidBaseImagePlatform\n4 InvalidBaseImagePlatform\n", NULL},
        {"# check=skip=InvalidBaseImagePlatform\nFROM foreign\n", "", NULL},
        {"FROM --platform=linux/arm64 a\n", "1 FromPlatformFlagConstDisallowed\n",
         "FROM --platform flag should not use constant value \"linux/arm64\""},
        {"FROM --platform=linux/arm64 a AS for-arm64\n", "", NULL},
        {"FROM --platform=linux/arm64 a AS linux\n", "", NULL},
        {"ARG IMAGE\nFROM $IMAGE\n", "2 InvalidDefaultArgInFrom\n",
         "Default value for ARG $IMAGE results in empty or invalid base image name", "IMAGE=a"},
        {"ARG V\nFROM a:$V\n", "2 InvalidDefaultArgInFrom\n", NULL, "V=1"},
        {"ARG V=1\nFROM a:$V\n", "", NULL, "V=2"},
        {"ARG V\nFROM a:1$V\n", "", NULL, "V=2"},
        {"ARG S=first\nFROM a AS first\nFROM $S\n", "", NULL},
    };
    check_cases(cases, ARRAY_LEN(cases));
}

static void test_lint__commands(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {"FROM scratch\nCMD run\n", "2 JSONArgsRecommended\n",
         "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"},
        {"FROM scratch\nENTRYPOINT run\n", "2 JSONArgsRecommended\n", NULL},
        {"FROM scratch\nCMD [\"run\"]\nENTRYPOINT [\"run\"]\n", "", NULL},
        {"FROM scratch AS a\nSHELL [\"/bin/x\"]\nCMD run\nFROM a\nENTRYPOINT run\n", "", NULL},
        {"FROM shelled\nCMD run\n", "", NULL},
        {"FROM scratch\nHEALTHCHECK CMD run\n", "", NULL},
        {"FROM scratch\nCMD [\"a\"]\nCOPY a /\nCMD [\"b\"]\nCMD [\"c\"]\n",
         "2 MultipleInstructionsDisallowed\n4 MultipleInstructionsDisallowed\n",
         "Multiple CMD instructions should not be used in the same stage because only the last one "
         "will be used"},
        {"FROM scratch\nENTRYPOINT [\"a\"]\nHEALTHCHECK NONE\nHEALTHCHECK CMD b\nENTRYPOINT "
         "[\"b\"]\n",
         "2 MultipleInstructionsDisallowed\n3 MultipleInstructionsDisallowed\n", NULL},
        {"FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n", "", NULL},
        {"FROM scratch\nENV a b c\nLABEL d e\nENV f=g\n",
         "2 LegacyKeyValueFormat\n3 LegacyKeyValueFormat\n",
         "\"ENV key=value\" should be used instead of legacy \"ENV key value\" format"},
        {"FROM scratch\nWORKDIR app/\n", "2 WorkdirRelativePath\n",
         "Relative workdir \"app/\" can have unexpected results if the base image changes"},
        {"FROM scratch AS a\nWORKDIR /app\nWORKDIR sub\nFROM a\nWORKDIR sub\n", "", NULL},
        {"FROM scratch\nARG D=/d\nWORKDIR $D\n", "", NULL},
        {"FROM scratch\nEXPOSE 80/TCP 81/udp 82\n", "2 ExposeProtoCasing\n",
         "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase"},
        {"FROM scratch\nARG P=9:80\nEXPOSE $P 127.0.0.1::82\n",
         "3 ExposeInvalidFormat\n3 ExposeInvalidFormat\n",
         "EXPOSE instruction should not define an IP address or host-port mapping, found '9:80'"},
    };
    check_cases(cases, ARRAY_LEN(cases));
}

static void test_lint__secrets(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {"FROM scratch\nARG API_KEY\nENV TOKEN=x\n",
         "2 SecretsUsedInArgOrEnv\n3 SecretsUsedInArgOrEnv\n",
         "Do not use ARG or ENV instructions for sensitive data (ARG \"API_KEY\")"},
        {"FROM scratch\nENV A=1 DB_PASSWORD=x\n", "2 SecretsUsedInArgOrEnv\n",
         "Do not use ARG or ENV instructions for sensitive data (ENV \"DB_PASSWORD\")"},
        {"FROM scratch\nENV MONKEY=1 KEYBOARD=2 TOKENS=3 AUTHOR=4\n", "", NULL},
        {"FROM scratch\nENV PUBLIC_KEY=1 TOKEN_FILE=2 SECRET_VERSION=3\n", "", NULL},
        {"ARG TOKEN\nFROM scratch\n", "", NULL}, /* global ARGs stay outside (BuildKit) */
    };
    check_cases(cases, ARRAY_LEN(cases));
}

static void test_lint__variables(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {"FROM scratch\nCOPY $foo /\nARG foo=1\nCOPY $foo /\n", "2 UndefinedVar\n",
         "Usage of undefined variable '$foo'"},
        {"FROM scratch\nARG DIR_ASSETS=a\nCOPY $DIR_ASSET /\n", "3 UndefinedVar\n",
         "Usage of undefined variable '$DIR_ASSET' (did you mean $DIR_ASSETS?)"},
        {"FROM scratch\nENV PATH=$PAHT:/x\n", "2 UndefinedVar\n",
         "Usage of undefined variable '$PAHT' (did you mean $PATH?)"},
        {"FROM scratch\nARG foo\nCOPY a$foo /\n", "", NULL}, /* declared without a value */
        {"FROM scratch AS a\nARG foo\nFROM a\nCOPY a$foo /\n", "", NULL},
        {"ARG foo=1\nFROM scratch\nCOPY a$foo /\n", "3 UndefinedVar\n", NULL},
        {"FROM scratch\nRUN echo $nothing\nCMD [\"$nothing\"]\n", "", NULL}, /* the shell's */
        {"FROM scratch\nLABEL a='$x' b=\\$x c=$x\n", "2 UndefinedVar\n", NULL},
        {"FROM scratch\nUSER ${u:-root}\n", "2 UndefinedVar\n", NULL},
        {"FROM scratch\nENV A=1 B=$A\n", "2 UndefinedVar\n", NULL}, /* not yet set */
        {"FROM scratch\nENV A=1\nENV B=$A\nARG C=$B\nVOLUME $C\n", "", NULL},
        {"FROM scratch\nARG C=$D\n", "2 UndefinedVar\n", NULL},
        {"FROM scratch\nARG C=$D\n", "", NULL, "C=1"},
        {"FROM scratch\nCOPY <<E /a\n$x\nE\n", "2 UndefinedVar\n", NULL},
        {"FROM scratch\nCOPY <<'E' /a\n$x\nE\n", "", NULL},
        {"FROM scratch\nRUN --mount=type=cache,target=/$x true\n", "2 UndefinedVar\n", NULL},
        {"FROM scratch\nCOPY --chown=$u a /\n", "2 UndefinedVar\n", NULL},
        {"FROM a\nENV A=$BASE_VAR\n", "", NULL},
        {"FROM a\nENV A=$BASE_VARS\n", "2 UndefinedVar\n", NULL},
        {"FROM a\nENV A=$OTHER\n", "2 UndefinedVar\n", NULL},
        {"FROM a\nENV A=$OTHER B=${MUST?be}\n", "", NULL, NULL, NULL, NULL, true},
        {"FROM a\nARG SOME=1\nENV A=$SOEM\n", "3 UndefinedVar\n", NULL, NULL, NULL, NULL, true},
        {"FROM scratch AS a\nENV X=$x\nFROM scratch AS b\nENV Y=$y\n",
         "2 UndefinedVar\n4 UndefinedVar\n", NULL},
        {"FROM scratch AS a\nENV X=$x\nFROM scratch AS b\nENV Y=$y\nFROM a AS c\n",
         "2 UndefinedVar\n", NULL, NULL, NULL, "c"},
    };
    check_cases(cases, ARRAY_LEN(cases));
}

static void test_lint__ignored_files(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {"FROM scratch\nCOPY a.key b /\nADD ./a.key /x\n", "2 CopyIgnoredFile\n3 CopyIgnoredFile\n",
         "Attempting to Add file \"a.key\" that is excluded by .dockerignore", NULL, "*.key\n"},
        {"FROM scratch\nARG F=a.key\nCOPY $F /\n", "3 CopyIgnoredFile\n", NULL, NULL, "*.key\n"},
        {"FROM scratch\nCOPY dir/x /\n", "2 CopyIgnoredFile\n", NULL, NULL, "dir\n"},
        {"FROM scratch AS a\nFROM scratch\nCOPY --from=a a.key /\n", "", NULL, NULL, "*.key\n"},
        {"FROM scratch\nCOPY a /\n", "", NULL, NULL, "**\n!a\n"},
        {"FROM scratch\nCOPY . /\n", "", NULL, NULL, ".*\n"},
        {"FROM scratch\nCOPY . /\n", "2 CopyIgnoredFile\n",
         "Attempting to Copy file \".\" that is excluded by .dockerignore", NULL, "*\n"},
        {"FROM scratch\nCOPY <<a.key /\nx\na.key\nADD https://x/a.key /\n", "", NULL, NULL,
         "*.key\n**/*.key\nhttps:\n"},
    };
    check_cases(cases, ARRAY_LEN(cases));
}

static void test_lint__options_choose_rules(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {"# check=skip=all\nFROM scratch as a\ncopy a /\n", "", NULL},
        {"#check=skip=FromAsCasing , StageNameCasing\nFROM scratch as A\nMAINTAINER a\n",
         "3 MaintainerDeprecated\n", NULL},
        {"# check=skip=all\nFROM scratch as a\n", "2 FromAsCasing\n", NULL,
         "BUILDKIT_DOCKERFILE_CHECK=skip=StageNameCasing;error=true"},
        {"FROM scratch as a\n", "", NULL, "BUILDKIT_DOCKERFILE_CHECK=skip=all"},
        {"FROM scratch\n# check=skip=WorkdirRelativePath\nWORKDIR app\n", "", NULL},
        {"FROM scratch\n# check=skip=JSONArgsRecommended for now\nCMD a\n", "", NULL},
        {"FROM scratch\n# check=skip=JSONArgsRecommended\nENV A=1\nCMD a\n",
         "4 JSONArgsRecommended\n", NULL},
        {"FROM scratch\n# check=skip=all\n#\nCMD a\n", "4 JSONArgsRecommended\n", NULL},
    };
    check_cases(cases, ARRAY_LEN(cases));
}

static void test_lint__error_makes_findings_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool error;
    } cases[] = {
        {"# check=error=true\nFROM scratch as a\n", true},
        {"# check=error=true\nFROM scratch AS a\n", false}, /* nothing found */
        {"# check=error=true;skip=FromAsCasing\nFROM scratch as a\n", false},
        {"# check=error=false\nFROM scratch as a\n", false},
        {"FROM scratch as a\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(lint_release) struct lint lint = {0};
        struct lint_case c = {.text = cases[i].text};
        struct error err = {0};
        assert_int_equal(run_case(&c, &lint, &err), 0);
        assert_int_equal(lint.error, cases[i].error);
    }
}

static void test_lint__bad_options_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"# check=skp=all\nFROM a\n", "check: no option 'skp', did you mean skip=; it is"},
        {"# check=all\nFROM a\n", "check: no option 'all'"},
        {"# check=error=maybe\nFROM a\n", "check: error=maybe: it is true or false"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(lint_release) struct lint lint = {0};
        struct lint_case c = {.text = cases[i].text};
        struct error err = {0};
        assert_int_equal(run_case(&c, &lint, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_int_equal(err.line, 1);
        assert_memory_equal(err.text, cases[i].message, strlen(cases[i].message));
    }
}

static void test_lint__what_was_found_before_an_error_is_kept(void **state)
{
    (void)state;
    AUTO(lint_release) struct lint lint = {0};
    struct lint_case c = {.text = "FROM scratch as a\nENV A=${B?must}\n"};
    struct error err = {0};
    assert_int_equal(run_case(&c, &lint, &err), -1);
    assert_int_equal(lint.len, 1);
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 7);
}

static void test_lint__the_word_is_marked_and_advice_given(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned column, width;
        const char *advice;
    } cases[] = {
        {"FROM scratch AS Two\n", 17, 3, "write 'two'"},
        {"FROM scratch as two\n", 14, 2, "write 'AS'"},
        {"FROM scratch\nCMD node server.js\n", 5, 14, "write CMD [\"node\",\"server.js\"]"},
        {"FROM scratch\nCMD a && b\n", 5, 6, "write CMD [\"/bin/sh\", \"-c\", \"exec ...\"]"},
        {"FROM scratch\nENV A b c\n", 5, 5, "write ENV A=\"b c\""},
        {"FROM scratch\nEXPOSE 1 80-81/TCP\n", 10, 9, "write 80-81/tcp"},
        {"FROM scratch\nARG X=1 MY_TOKEN\n", 9, 8,
         "write RUN --mount=type=secret,id=MY_TOKEN,env=MY_TOKEN, and build with --secret "
         "id=MY_TOKEN"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(lint_release) struct lint lint = {0};
        struct lint_case c = {.text = cases[i].text};
        struct error err = {0};
        assert_int_equal(run_case(&c, &lint, &err), 0);
        assert_int_equal(lint.len, 1);
        assert_int_equal(lint.items[0].column, cases[i].column);
        assert_int_equal(lint.items[0].width, cases[i].width);
        assert_string_equal(lint.items[0].advice, cases[i].advice);
    }
}

static void test_lint__rules_have_names_of_their_own(void **state)
{
    (void)state;
    size_t len = 0;
    const struct lint_rule *const *rules = lint_rules(&len);
    assert_int_equal(len, 22);
    for (size_t i = 0; i < len; i++) {
        for (size_t j = i + 1; j < len; j++) {
            assert_string_not_equal(rules[i]->name, rules[j]->name);
            assert_string_not_equal(rules[i]->page, rules[j]->page);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lint__names_and_casing),
        cmocka_unit_test(test_lint__lines_and_comments),
        cmocka_unit_test(test_lint__from),
        cmocka_unit_test(test_lint__commands),
        cmocka_unit_test(test_lint__secrets),
        cmocka_unit_test(test_lint__variables),
        cmocka_unit_test(test_lint__ignored_files),
        cmocka_unit_test(test_lint__options_choose_rules),
        cmocka_unit_test(test_lint__error_makes_findings_errors),
        cmocka_unit_test(test_lint__bad_options_are_errors),
        cmocka_unit_test(test_lint__what_was_found_before_an_error_is_kept),
        cmocka_unit_test(test_lint__the_word_is_marked_and_advice_given),
        cmocka_unit_test(test_lint__rules_have_names_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
