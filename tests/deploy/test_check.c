/* Each folder of tests/deploy/contradictions is a repository; `expected` is what the check says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "deploy/check.h"

#define CASES "tests/deploy/contradictions"

static int read_file(void *ctx, const char *name, size_t max, struct buf *out, bool *found_out,
                     struct error *err)
{
    AUTO(mem_freep) char *path = mem_printf("%s/%s", (const char *)ctx, name);
    return file_read(AT_FDCWD, path, max, out, found_out, err);
}

static void run_check(char *folder, struct check_findings *findings)
{
    struct error err = {0};
    struct check_inputs inputs = {.read = read_file, .ctx = folder};
    if (deploy_check(&inputs, findings, &err) != 0) {
        fail_msg("%s: %s", folder, err.text);
    }
}

static void test_check__says_what_each_case_expects(void **state)
{
    (void)state;
    DIR *dir = opendir(CASES);
    assert_non_null(dir);
    size_t cases = 0;
    bool wrong = false;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        struct error err = {0};
        AUTO(mem_freep) char *folder = mem_printf(CASES "/%s", entry->d_name);
        AUTO(mem_freep) char *expected_name = mem_printf("%s/expected", folder);
        AUTO(buf_release) struct buf expected = BUF_INIT(0);
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        AUTO(check_findings_release) struct check_findings findings = {0};
        run_check(folder, &findings);
        check_render_text(&findings, &text);
        if (file_read(AT_FDCWD, expected_name, 100000, &expected, NULL, &err) != 0) {
            print_error("%s\n", err.text);
        }
        if (strcmp(buf_text(&text), buf_text(&expected)) != 0) {
            print_error("%s says:\n%s", folder, buf_text(&text));
            wrong = true;
        }
        cases++;
    }
    closedir(dir);
    assert_true(cases >= 7);
    assert_false(wrong);
}

static void test_check__five_planted_contradictions_have_both_sides(void **state)
{
    (void)state;
    static const char *const rules[] = {"container-unknown", "host-port", "port-differs",
                                        "fargate-size", "artifact-unwritten"};
    char folder[] = CASES "/five";
    AUTO(check_findings_release) struct check_findings findings = {0};
    run_check(folder, &findings);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        bool found = false;
        for (size_t j = 0; j < findings.len; j++) {
            const struct check_finding *finding = &findings.items[j];
            if (strcmp(finding->rule, rules[i]) == 0) {
                found = finding->places_len == 2 && finding->places[0].line > 0 &&
                        finding->places[1].line > 0;
            }
        }
        if (!found) {
            fail_msg("%s is not told with both sides", rules[i]);
        }
    }
    assert_true(check_count(&findings, CHECK_ERROR) >= ARRAY_LEN(rules));
}

static void test_check__json_has_level_rule_message_and_places(void **state)
{
    (void)state;
    char folder[] = CASES "/five";
    AUTO(check_findings_release) struct check_findings findings = {0};
    run_check(folder, &findings);
    AUTO(json_freep) json_t *array = check_render_json(&findings);
    assert_int_equal(json_array_size(array), findings.len);
    const json_t *first = json_array_get(array, 0);
    assert_string_equal(json_get_string(first, "level"), "error");
    assert_non_null(json_get_string(first, "rule"));
    assert_non_null(json_get_string(first, "message"));
    const json_t *place = json_array_get(json_object_get(first, "places"), 0);
    assert_non_null(json_get_string(place, "file"));
    assert_true(json_integer_value(json_object_get(place, "line")) > 0);
}

static void test_check__nothing_there_is_nothing_to_say(void **state)
{
    (void)state;
    char folder[] = "tests/deploy/no-such-folder";
    AUTO(check_findings_release) struct check_findings findings = {0};
    run_check(folder, &findings);
    assert_int_equal(findings.len, 0);
    assert_int_equal(findings.files.len, 0);
}

static void test_check__the_environment_names_a_container_too(void **state)
{
    (void)state;
    char folder[] = CASES "/templates";
    struct error err = {0};
    AUTO(check_findings_release) struct check_findings findings = {0};
    struct check_inputs inputs = {.read = read_file, .ctx = folder, .container = "web"};
    assert_int_equal(deploy_check(&inputs, &findings, &err), 0);
    bool found = false;
    for (size_t i = 0; i < findings.len; i++) {
        found = found || (strcmp(findings.items[i].rule, "container-unknown") == 0 &&
                          strstr(findings.items[i].places[0].file, "CONTAINER_NAME"));
    }
    assert_true(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check__says_what_each_case_expects),
        cmocka_unit_test(test_check__five_planted_contradictions_have_both_sides),
        cmocka_unit_test(test_check__json_has_level_rule_message_and_places),
        cmocka_unit_test(test_check__nothing_there_is_nothing_to_say),
        cmocka_unit_test(test_check__the_environment_names_a_container_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
