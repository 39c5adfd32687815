#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "cli/options.h"

struct target {
    bool push;
    bool quiet;
    const char *file;
    struct strlist tags;
    unsigned jobs;
    unsigned calls;
    char last[64];
};

static int take(void *member, const char *value, struct error *err)
{
    struct target *t = member;
    t->calls++;
    snprintf(t->last, sizeof t->last, "%s", value);
    return strcmp(value, "bad") == 0 ? error_set(err, ERR_USAGE, "'bad' is bad") : 0;
}

#define AT(M) .offset = offsetof(struct target, M)
static const struct option_spec first[] = {
    {.name = "push", .help = "push", .kind = OPTION_FLAG, AT(push)},
    {.name = "quiet", .letter = 'q', .help = "quiet", .kind = OPTION_FLAG, AT(quiet)},
    {.name = "file",
     .letter = 'f',
     .argument = "FILE",
     .help = "file",
     .kind = OPTION_TEXT,
     AT(file)},
};
static const struct option_spec second[] = {
    {.name = "tag",
     .letter = 't',
     .argument = "NAME",
     .help = "tag",
     .kind = OPTION_LIST,
     AT(tags)},
    {.name = "jobs", .argument = "N", .help = "jobs", .kind = OPTION_NUMBER, AT(jobs)},
    {.name = "form", .argument = "F", .help = "form", .kind = OPTION_CALL, .parse = take},
    {.name = "pull", .help = "pull", .kind = OPTION_FLAG_CALL, .parse = take},
    {.name = "squash", .kind = OPTION_REFUSE, .help = "layers are not joined"},
};
static const struct option_group groups[] = {{NULL, first, ARRAY_LEN(first)},
                                             {"More", second, ARRAY_LEN(second)}};
static const struct option_table table = {.command = "try",
                                          .usage = "[OPTIONS] A [B]",
                                          .summary = "Tries.",
                                          .groups = {&groups[0], &groups[1]},
                                          .min_arguments = 1,
                                          .max_arguments = 2};

/* Splits LINE at blanks and parses it. */
static int parse(const char *line, struct target *t, struct strlist *arguments, bool *help,
                 struct error *err)
{
    static char words[512];
    char *args[32] = {NULL};
    size_t count = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *p = words; *p; count++) {
        args[count] = p;
        p += strcspn(p, " ");
        if (*p) {
            *p++ = '\0';
        }
    }
    return options_parse(&table, args, t, arguments, help, err);
}

static void test_options__docker_s_ways_to_give_a_value_are_the_same(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "--tag x --file F --push -q a",    "--tag=x --file=F --push=true --quiet=1 a",
        "-t x -f F --push -q=true a",      "-tx -fF --push -q a",
        "a -t=x -f=F --quiet --push=T",    "-qtx --push -f F -- a",
        "--push=false --push -qf F -t x a"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct target t = {0};
        struct strlist arguments = {0};
        struct error err = {0};
        bool help = true;
        assert_int_equal(parse(lines[i], &t, &arguments, &help, &err), 0);
        assert_false(help);
        assert_true(t.push && t.quiet);
        assert_string_equal(t.file, "F");
        assert_int_equal(t.tags.len, 1);
        assert_string_equal(t.tags.items[0], "x");
        assert_int_equal(arguments.len, 1);
        assert_string_equal(arguments.items[0], "a");
        strlist_release(&t.tags);
        strlist_release(&arguments);
    }
}

static void test_options__what_cannot_be_is_an_error_that_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *text;
    } cases[] = {
        {"--tga x a", "try: no option --tga, did you mean --tag?"},
        {"--tga=x a", "try: no option --tga, did you mean --tag?"},
        {"--zzzzzz a", "try: no option --zzzzzz, see 'slipway try --help'"},
        {"-z a", "try: no option -z, see 'slipway try --help'"},
        {"-qz a", "try: no option -z, see 'slipway try --help'"},
        {"a --tag", "try: --tag needs a value"},
        {"a -t", "try: -t needs a value"},
        {"--push=perhaps a", "try: --push: 'perhaps' is neither true nor false"},
        {"--jobs=-1 a", "try: --jobs: '-1' is no number from 0 to 2147483647"},
        {"--jobs 4x a", "try: --jobs: '4x' is no number from 0 to 2147483647"},
        {"--jobs 99999999999999999999 a",
         "try: --jobs: '99999999999999999999' is no number from 0 to 2147483647"},
        {"--form bad a", "try: --form: 'bad' is bad"},
        {"--squash a", "try: --squash: layers are not joined"},
        {"--push", "try: an argument is missing: slipway try [OPTIONS] A [B]"},
        {"a b c", "try: 'c' is one argument too many: slipway try [OPTIONS] A [B]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct target t = {0};
        struct strlist arguments = {0};
        struct error err = {0};
        bool help = false;
        assert_int_equal(parse(cases[i].line, &t, &arguments, &help, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_string_equal(err.text, cases[i].text);
        strlist_release(&t.tags);
        strlist_release(&arguments);
    }
}

static void test_options__a_flag_with_a_function_takes_a_value_only_behind_equals(void **state)
{
    (void)state;
    struct target t = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    struct error err = {0};
    bool help = false;
    assert_int_equal(parse("--pull a", &t, &arguments, &help, &err), 0);
    assert_string_equal(t.last, "true");
    assert_int_equal(arguments.len, 1);
    assert_int_equal(parse("--pull=never", &t, &arguments, &help, &err), 0);
    assert_string_equal(t.last, "never");
    assert_int_equal(t.calls, 2);
}

static void test_options__help_needs_nothing_else_and_dash_is_an_argument(void **state)
{
    (void)state;
    static const char *const lines[] = {"--help", "-h", "a b c --help", "-qh"};
    struct target t = {0};
    struct error err = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    bool help = false;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        help = false;
        assert_int_equal(parse(lines[i], &t, &arguments, &help, &err), 0);
        assert_true(help);
    }
    strlist_release(&arguments);
    assert_int_equal(parse("- -- --push", &t, &arguments, &help, &err), 0);
    assert_false(t.push);
    assert_int_equal(arguments.len, 2);
    assert_string_equal(arguments.items[0], "-");
    assert_string_equal(arguments.items[1], "--push");
}

static void test_options__help_lists_every_option_that_has_words(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    options_print_help(&table, out);
    fclose(out);
    assert_non_null(strstr(text, "Usage: slipway try [OPTIONS] A [B]\n"));
    assert_non_null(strstr(text, "  -q, --quiet "));
    assert_non_null(strstr(text, "      --jobs N "));
    assert_non_null(strstr(text, "\nMore:\n"));
    assert_null(strstr(text, "squash"));
    free(text);
}

static int join(void *ctx, const char *key, const char *value, struct error *err)
{
    (void)err;
    buf_printf(ctx, "[%s|%s]", key, value ? value : "-");
    return 0;
}

static void test_options__fields_are_docker_s_csv(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *fields; /* NULL: an error */
    } cases[] = {
        {"type=oci,dest=a", "[type|oci][dest|a]"},
        {"a", "[a|-]"},
        {"a=b=c,", "[a|b=c][|-]"},
        {"a=b,\"dest=x,y\"", "[a|b][dest|x,y]"},
        {"\"a=say \"\"hi\"\"\"", "[a|say \"hi\"]"},
        {"\"a=b", NULL},
        {"\"a\"b", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        struct error err = {0};
        int result = options_fields(cases[i].text, join, &out, &err);
        assert_int_equal(result, cases[i].fields ? 0 : -1);
        assert_string_equal(cases[i].fields ? buf_text(&out) : "",
                            cases[i].fields ? cases[i].fields : "");
        assert_int_equal(err.code, cases[i].fields ? ERR_NONE : ERR_USAGE);
    }
}

static void test_options__durations_are_go_s(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned ms; /* 0: refused */
    } cases[] = {{"30", 30000},    {"0.5", 500},      {"500ms", 500},    {"2m", 120000},
                 {"1m30s", 90000}, {"1.5h", 5400000}, {"24h", 86400000}, {"25h", 0},
                 {"0", 0},         {"", 0},           {"-1s", 0},        {"1 s", 0},
                 {"0x10s", 0},     {"1e3", 0},        {"5d", 0},         {"1s5", 0},
                 {"nan", 0},       {".", 0},          {"s", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned ms = 0;
        struct error err = {0};
        assert_int_equal(options_duration(cases[i].text, &ms, &err), cases[i].ms ? 0 : -1);
        assert_int_equal(ms, cases[i].ms);
        assert_int_equal(err.code, cases[i].ms ? ERR_NONE : ERR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options__docker_s_ways_to_give_a_value_are_the_same),
        cmocka_unit_test(test_options__what_cannot_be_is_an_error_that_says_so),
        cmocka_unit_test(test_options__a_flag_with_a_function_takes_a_value_only_behind_equals),
        cmocka_unit_test(test_options__help_needs_nothing_else_and_dash_is_an_argument),
        cmocka_unit_test(test_options__help_lists_every_option_that_has_words),
        cmocka_unit_test(test_options__fields_are_docker_s_csv),
        cmocka_unit_test(test_options__durations_are_go_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
