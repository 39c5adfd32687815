#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#include "deploy/pipeline.h"

static int parse(const char *text, struct pipeline *out, struct error *err)
{
    return pipeline_parse(text, strlen(text), "slipway.json", out, err);
}

static void test_pipeline__reads_all_members(void **state)
{
    (void)state;
    static const char text[] =
        "{\"registry\":\"r.example\",\"tag\":\"1\",\"imageUri\":\"digest\",\"imagedefinitions\":"
        "\"i\","
        "\"taskdef\":\"t\",\"appspec\":[\"a\",\"b=c\"],\"placeholders\":{\"P\":\"v\"},"
        "\"containers\":{\"side\":\"s:1\"},\"images\":["
        "{\"name\":\"n\",\"context\":\"c\",\"dockerfile\":\"d\",\"target\":\"t\",\"buildArgs\":{"
        "\"A\":\"\"},"
        "\"repository\":\"shop/"
        "web\",\"tag\":\"2\",\"container\":[\"x\",\"y\"],\"placeholder\":\"WEB\","
        "\"taskdef\":\"q=r\",\"imageDetail\":\"e\"},{\"repository\":\"other\",\"container\":\"z\"}]"
        "}";
    struct error err = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    assert_int_equal(parse(text, &p, &err), 0);
    assert_int_equal(pipeline_complete(&p, "slipway.json", true, &err), 0);
    assert_int_equal(p.len, 2);
    assert_int_equal(p.by_digest, 1);
    assert_string_equal(p.appspecs.items[1], "b=c");
    assert_string_equal(p.placeholders.items[0], "P=v");
    assert_string_equal(p.others.items[0], "side=s:1");
    assert_string_equal(p.images[0].build_args.items[0], "A=");
    assert_string_equal(p.images[0].containers.items[1], "y");
    assert_string_equal(p.images[0].placeholders.items[0], "WEB");
    assert_string_equal(p.images[1].placeholders.items[0], "IMAGE2_NAME");
    assert_string_equal(p.images[1].name, "z");
}

static void test_pipeline__errors_name_place_and_the_nearest_member(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
        unsigned line, column;
    } cases[] = {
        {"{\n \"image\": []}", "\"images\" is wanted", 1, 1},
        {"{\"images\": [{}],\n  \"apspec\": \"a\"}", "did you mean \"appspec\"", 2, 3},
        {"{\"images\": [\n {\"contaner\": \"a\"}]}", "did you mean \"container\"", 2, 3},
        {"{\"images\": [{\"zzz\": \"a\"}]}", "no member \"zzz\" is known", 1, 14},
        {"{\"images\": []}", "at least one", 1, 12},
        {"{\"images\": {}}", "a list", 1, 12},
        {"{\"images\": [7]}", "object", 1, 13},
        {"{\"images\": [{\"repository\": 7}]}", "\"repository\": a text", 1, 28},
        {"{\"images\": [{\"repository\": \"\"}]}", "not empty", 1, 28},
        {"{\"images\": [{\"container\": [\"a\", null]}]}", "\"container\": a text", 1, 33},
        {"{\"images\": [{\"buildArgs\": [\"a\"]}]}", "object of names", 1, 27},
        {"{\"images\": [{}], \"imageUri\": \"sha\"}", "\"tag\" or \"digest\"", 1, 30},
        {"[]", "object", 1, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
        assert_int_equal(parse(cases[i].text, &p, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_string_equal(err.file, "slipway.json");
        assert_int_equal(p.len, 0);
        if (!strstr(err.text, cases[i].says) || err.line != cases[i].line ||
            err.column != cases[i].column) {
            fail_msg("%u:%u: '%s', and not '%s'", err.line, err.column, err.text, cases[i].says);
        }
    }
}

static void test_pipeline__the_whole_must_make_sense(void **state)
{
    (void)state;
    static const struct {
        const char *images;
        const char *says;
    } cases[] = {
        {"{\"container\":\"a\"}", "\"repository\" is missing"},
        {"{\"repository\":\"a\"},{\"repository\":\"a\"}", "two images are named 'a'"},
        {"{\"repository\":\"a\",\"container\":\"c\"},{\"name\":\"b\",\"repository\":\"a\","
         "\"container\":\"c\"}",
         "given twice"},
        {"{\"repository\":\"a\",\"container\":\"c c\"}", "letters"},
        {"{\"repository\":\"a\",\"placeholder\":\"<A>\"}", "without <>"},
        {"{\"repository\":\"a\",\"placeholder\":\"TASK_DEFINITION\"}", "CodeDeploy"},
        {"{\"repository\":\"a\",\"placeholder\":\"X\"},{\"repository\":\"b\",\"placeholder\":"
         "\"X\"}",
         "two images"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
        AUTO(mem_freep) char *text = mem_printf("{\"images\":[%s]}", cases[i].images);
        assert_int_equal(parse(text, &p, &err), 0);
        assert_int_equal(pipeline_complete(&p, "slipway.json", true, &err), -1);
        assert_int_equal(err.line, 1);
        if (!strstr(err.text, cases[i].says)) {
            fail_msg("'%s', and not '%s'", err.text, cases[i].says);
        }
    }
}

static void test_pipeline__paths_stay_below_the_folder(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* the middle of slipway.json */
        bool fine;
    } cases[] = {
        {"\"taskdef\": \"deploy/t.json=out/t.json\", \"images\": [{}]", true},
        {"\"taskdef\": \"a..b/..c=./x\", \"images\": [{}]", true},
        {"\"taskdef\": \"t=/etc/t\", \"images\": [{}]", false},
        {"\"taskdef\": \"/t=t\", \"images\": [{}]", false},
        {"\"taskdef\": \"t=a/../../t\", \"images\": [{}]", false},
        {"\"appspec\": [\"a\", \"..\"], \"images\": [{}]", false},
        {"\"imagedefinitions\": \"../i\", \"images\": [{}]", false},
        {"\"images\": [{}, {\"context\": \"..\"}]", false},
        {"\"images\": [{}, {\"dockerfile\": \"a/..\"}]", false},
        {"\"images\": [{}, {\"imageDetail\": \"/i\"}]", false},
        {"\"images\": [{}, {\"taskdef\": \"a=//b\"}]", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
        AUTO(mem_freep) char *text = mem_printf("{%s}", cases[i].text);
        assert_int_equal(parse(text, &p, &err), cases[i].fine ? 0 : -1);
        if (!cases[i].fine && !strstr(err.text, "leads out of the folder")) {
            fail_msg("%s: '%s'", text, err.text);
        }
    }
}

static void test_pipeline__names_of_images(void **state)
{
    (void)state;
    static const struct {
        const char *registry, *whole_tag; /* of slipway.json */
        const char *repository, *tag;     /* of the image */
        const char *name;                 /* NULL: an error */
    } cases[] = {
        {NULL, NULL, "r.example/a", NULL, "r.example/a:env"},
        {NULL, NULL, "a/b", NULL, "env.example/a/b:env"},
        {"r.example/team", "1", "a", NULL, "r.example/team/a:1"},
        {"r.example", "1", "a", "2", "r.example/a:2"},
        {"r.example", "1", "a:3", "2", "r.example/a:3"},
        {"r.example", "1", "localhost/a", NULL, "localhost/a:1"},
        {"r.example", "1", "A", NULL, NULL},
        {"r.example", "-", "a", NULL, NULL},
        {NULL, NULL,
         "r.example/a@sha256:0000000000000000000000000000000000000000000000000000000000000000",
         NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
        struct pipeline_image *image = pipeline_add(&p);
        p.registry = mem_strdup(cases[i].registry);
        p.tag = mem_strdup(cases[i].whole_tag);
        image->repository = mem_strdup(cases[i].repository);
        image->tag = mem_strdup(cases[i].tag);
        image->name = mem_strdup("x");
        AUTO(mem_freep) char *name = NULL;
        int r = pipeline_image_name(&p, image, "env.example", "env", &name, &err);
        if (!cases[i].name) {
            assert_int_equal(r, -1);
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(name, cases[i].name);
    }
}

static void test_pipeline__without_a_registry_it_says_what_to_set(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    AUTO(mem_freep) char *name = NULL;
    struct pipeline_image *image = pipeline_add(&p);
    image->repository = mem_strdup("a");
    image->name = mem_strdup("x");
    assert_int_equal(pipeline_image_name(&p, image, NULL, NULL, &name, &err), -1);
    assert_non_null(strstr(err.text, "AWS_ACCOUNT_ID"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipeline__reads_all_members),
        cmocka_unit_test(test_pipeline__errors_name_place_and_the_nearest_member),
        cmocka_unit_test(test_pipeline__the_whole_must_make_sense),
        cmocka_unit_test(test_pipeline__paths_stay_below_the_folder),
        cmocka_unit_test(test_pipeline__names_of_images),
        cmocka_unit_test(test_pipeline__without_a_registry_it_says_what_to_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
