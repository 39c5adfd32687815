#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#include "deploy/imagedetail.h"
#include "deploy/placeholder.h"
#include "deploy/taskdef.h"

#define WEB "registry/web@sha256:1"

static int fill(const char *template, const struct template_values *values, struct buf *out,
                struct template_report *report, struct error *err)
{
    return taskdef_fill(template, strlen(template), "taskdef.json", values, out, report, err);
}

static struct template_values web_values(void)
{
    struct template_values values = {0};
    strlist_add(&values.placeholders, "IMAGE1_NAME=" WEB);
    strlist_add(&values.placeholders, "GREETING=a\"b\\c");
    strlist_add(&values.containers, "web=" WEB);
    return values;
}

static void test_taskdef__fills_and_keeps_the_rest_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        const char *template;
        const char *result;
    } cases[] = {
        {"{ \"x\":\"ü\", \"containerDefinitions\":\n[{\"image\": "
         "\"<IMAGE1_NAME>\",\"name\":\"a\"}]}\n",
         "{ \"x\":\"ü\", \"containerDefinitions\":\n[{\"image\": \"" WEB "\",\"name\":\"a\"}]}\n"},
        {"{\"containerDefinitions\":[{\"name\":\"ü\",\"image\":\"i\"},{\"name\":\"web\",\"image\":"
         "\"o:1\"}],"
         "\"y\":\"<GREETING> <NOBODY> <IMAGE1_NAME>\"}",
         "{\"containerDefinitions\":[{\"name\":\"ü\",\"image\":\"i\"},{\"name\":\"web\",\"image\":"
         "\"" WEB "\"}],\"y\":\"a\\\"b\\\\c <NOBODY> " WEB "\"}"},
        {"{\"containerDefinitions\":[{\"name\":\"web\",\"image\":\"<OTHER_NAME>\"}]}",
         "{\"containerDefinitions\":[{\"name\":\"web\",\"image\":\"" WEB "\"}]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        AUTO(template_values_release) struct template_values values = web_values();
        AUTO(template_report_release) struct template_report report = {0};
        assert_int_equal(fill(cases[i].template, &values, &out, &report, &err), 0);
        assert_string_equal(buf_text(&out), cases[i].result);
        assert_int_equal(report.filled.len, 1);
        assert_int_equal(report.unknown.len, i == 1);
    }
}

static void test_taskdef__refuses_what_ecs_would(void **state)
{
    (void)state;
    AUTO(mem_freep) char *padding = mem_calloc(70001, 1);
    memset(padding, 'x', 70000);
    AUTO(mem_freep)
    char *large = mem_printf(
        "{\"containerDefinitions\":[{\"name\":\"web\",\"image\":\"a\"}],\"x\":\"%s\"}", padding);
    const struct {
        const char *template;
        const char *says;
        unsigned line;
    } cases[] = {
        {"{\"family\": \"x\"}", "containerDefinitions", 1},
        {"{\"containerDefinitions\": []}", "containerDefinitions", 1},
        {"{\"containerDefinitions\":\n[{\"name\":\"a\",\"image\":\"b\"}]}", "no container gets", 2},
        {"{\"containerDefinitions\":\n\n[{\"name\":\"a\",\"image\":\"<NOBODY>\"}]}", "<NOBODY>", 3},
        {"{\"containerDefinitions\": [{\"name\": \"a\"}]}", "\"image\"", 1},
        {"{\"containerDefinitions\": [{\"name\":\"a\",\"image\":\"<GREETING>\"}]}", "no name", 1},
        {large, "65536", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        AUTO(template_values_release) struct template_values values = web_values();
        AUTO(template_report_release) struct template_report report = {0};
        assert_int_equal(fill(cases[i].template, &values, &out, &report, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(out.len, 0);
        if (!strstr(err.text, cases[i].says)) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i].says);
        }
    }
}

static int appspec(const char *template, const char *name, struct buf *out, struct error *err)
{
    AUTO(template_values_release) struct template_values values = web_values();
    return appspec_fill(template, strlen(template), name, &values, out, err);
}

static void test_appspec__task_definition_is_left_for_codedeploy(void **state)
{
    (void)state;
    static const char yaml[] = "version: 0.0\nResources:\n- T:\n    Properties:\n      "
                               "TaskDefinition: <TASK_DEFINITION> # kept\n";
    static const char json[] =
        "{\"Resources\":[{\"T\":{\"Properties\":{\"TaskDefinition\":\"<TASK_DEFINITION>\"}}}]}";
    struct error err = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(appspec(yaml, "appspec.yaml", &out, &err), 0);
    assert_string_equal(buf_text(&out), yaml);
    buf_clear(&out);
    assert_int_equal(appspec(json, "appspec.json", &out, &err), 0);
    assert_string_equal(buf_text(&out), json);
}

static void test_appspec__refuses_what_codedeploy_would_not_fill(void **state)
{
    (void)state;
    static const struct {
        const char *template;
        const char *says;
    } cases[] = {
        {"version: 0.0\n", "no AppSpec"},
        {"Resources:\n- T:\n    Properties:\n      TaskDefinition: arn:aws:x\n", "arn:aws:x"},
        {"Resources:\n- T:\n    Properties:\n      TaskDefinition: <TASK_DEFINITION>\n      X: "
         "<Y>\n",
         "<Y>"},
        {"Resources: [\n", "not YAML"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        assert_int_equal(appspec(cases[i].template, "appspec.yaml", &out, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_string_equal(err.file, "appspec.yaml");
        if (!strstr(err.text, cases[i].says)) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i].says);
        }
    }
}

static void test_placeholder__is_capitals_in_brackets(void **state)
{
    (void)state;
    static const char text[] = "a < b <html> <A <B_1> <2> <C>>";
    struct strlist values = {0};
    AUTO(strlist_release) struct strlist used = {0};
    AUTO(strlist_release) struct strlist unknown = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    strlist_add(&values, "B_1=<C>");
    placeholder_fill(text, strlen(text), &values, false, &out, &used, &unknown);
    assert_string_equal(buf_text(&out), "a < b <html> <A <C> <2> <C>>");
    assert_int_equal(used.len, 1);
    assert_int_equal(unknown.len, 1);
    assert_string_equal(unknown.items[0], "C");
    strlist_release(&values);
    assert_true(placeholder_valid("IMAGE1_NAME"));
    assert_false(placeholder_valid("1A"));
    assert_false(placeholder_valid("a"));
    assert_false(placeholder_valid(""));
}

static void test_imagedetail__is_one_object(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(imagedetail_render("r/a@sha256:1", &out, &err), 0);
    assert_string_equal(buf_text(&out), "{\"ImageURI\":\"r/a@sha256:1\"}");
    AUTO(mem_freep) char *name = mem_calloc(400, 1);
    memset(name, 'a', 255);
    assert_int_equal(image_uri_check(name, &err), 0);
    strncat(name, "@sha256:123", 20);
    assert_int_equal(image_uri_check(name, &err), 0);
    memset(name, 'a', 256);
    assert_int_equal(image_uri_check(name, &err), -1);
    assert_non_null(strstr(err.text, "255"));
    static const char *const bad[] = {"", "@sha256:1", "a b", "a\"b", "\xFF", "<A>"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        error_clear(&err);
        assert_int_equal(image_uri_check(bad[i], &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taskdef__fills_and_keeps_the_rest_to_the_byte),
        cmocka_unit_test(test_taskdef__refuses_what_ecs_would),
        cmocka_unit_test(test_appspec__task_definition_is_left_for_codedeploy),
        cmocka_unit_test(test_appspec__refuses_what_codedeploy_would_not_fill),
        cmocka_unit_test(test_placeholder__is_capitals_in_brackets),
        cmocka_unit_test(test_imagedetail__is_one_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
