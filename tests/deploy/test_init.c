#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/memory.h"
#include "deploy/init.h"
#include "deploy/pipeline.h"

/* What the folder has. */
struct site {
    const char *name;
    const char *dockerfiles[3];
    const char *taskdef, *appspec, *buildspec;
};

static int read_site(void *ctx, const char *name, size_t max, struct buf *out, bool *found_out,
                     struct error *err)
{
    const struct site *site = ctx;
    const char *text = strcmp(name, "taskdef.json") == 0    ? site->taskdef
                       : strcmp(name, "appspec.yaml") == 0  ? site->appspec
                       : strcmp(name, "buildspec.yml") == 0 ? site->buildspec
                                                            : NULL;
    (void)max;
    (void)err;
    *found_out = text != NULL;
    buf_puts(out, text ? text : "");
    return 0;
}

static int begin(const struct site *site, struct init_result *out, struct error *err)
{
    struct init_inputs inputs = {.files = {.read = read_site, .ctx = (void *)site},
                                 .name = site->name ? site->name : "shop"};
    for (size_t i = 0; i < ARRAY_LEN(site->dockerfiles) && site->dockerfiles[i]; i++) {
        strlist_add(&inputs.dockerfiles, site->dockerfiles[i]);
    }
    int r = pipeline_init(&inputs, out, err);
    strlist_release(&inputs.dockerfiles);
    return r;
}

/* SITE's slipway.json, as ship reads it. */
static void begun(const struct site *site, struct init_result *result, struct pipeline *out)
{
    struct error err = {0};
    if (begin(site, result, &err) != 0 ||
        pipeline_parse(buf_text(&result->text), result->text.len, "slipway.json", out, &err) != 0 ||
        pipeline_complete(out, "slipway.json", true, &err) != 0) {
        fail_msg("%s\n%s", err.text, buf_text(&result->text));
    }
}

static void assert_says(const struct strlist *lines, const char *what)
{
    for (size_t i = 0; i < lines->len; i++) {
        if (strstr(lines->items[i], what)) {
            return;
        }
    }
    fail_msg("no line says: %s", what);
}

#define SERVICE(CONTAINER)                                                                         \
    "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n"                \
    "      Properties:\n        TaskDefinition: <TASK_DEFINITION>\n"                               \
    "        LoadBalancerInfo: {ContainerName: " CONTAINER ", ContainerPort: 80}\n"

static void test_init__a_container_that_ecs_does_not_know_is_left_open(void **state)
{
    (void)state;
    static const char *const names[] = {"\"\"", "'a b'", "'über'"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(mem_freep) char *appspec = mem_printf(SERVICE("%s"), names[i]);
        struct site site = {.dockerfiles = {"Dockerfile"}, .appspec = appspec};
        AUTO(init_result_release) struct init_result result = {0};
        AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
        begun(&site, &result, &p);
        assert_int_equal(p.images[0].containers.len, 0);
        assert_says(&result.open, "appspec.yaml:7: container '");
    }
    struct site site = {.dockerfiles = {"Dockerfile"}, .appspec = SERVICE("web")};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    begun(&site, &result, &p);
    assert_string_equal(p.images[0].containers.items[0], "web");
}

static void test_init__a_container_gets_one_image(void **state)
{
    (void)state;
    struct site site = {.dockerfiles = {"Dockerfile"},
                        .taskdef = "{\"containerDefinitions\": [\n"
                                   "{\"name\": \"web\", \"image\": \"<A>\"},\n"
                                   "{\"name\": \"web\", \"image\": \"<A>\"}]}"};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    begun(&site, &result, &p);
    assert_int_equal(p.images[0].containers.len, 1);
    assert_says(&result.open, "taskdef.json:3: container 'web' is given twice");
}

static void test_init__a_placeholder_stands_for_one_image(void **state)
{
    (void)state;
    struct site site = {.dockerfiles = {"api/Dockerfile", "jobs/Dockerfile", "web/Dockerfile"},
                        .taskdef = "{\"containerDefinitions\": [\n"
                                   "{\"name\": \"api\", \"image\": \"<IMAGE3_NAME>\"},\n"
                                   "{\"name\": \"jobs\", \"image\": \"<TASK_DEFINITION>\"},\n"
                                   "{\"name\": \"web\", \"image\": \"<IMAGE3_NAME>\"}]}"};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    begun(&site, &result, &p);
    assert_string_equal(p.images[0].placeholders.items[0], "IMAGE3_NAME");
    assert_string_equal(p.images[1].placeholders.items[0], "IMAGE2_NAME");
    assert_string_equal(p.images[2].placeholders.items[0], "IMAGE4_NAME");
    assert_says(&result.open, "taskdef.json:3: <TASK_DEFINITION> is filled by CodeDeploy");
    assert_says(&result.open, "taskdef.json:4: <IMAGE3_NAME> stands for the image of "
                              "api/Dockerfile already");
}

static void test_init__what_is_no_repository_is_left_open(void **state)
{
    (void)state;
    struct site site = {
        .name = "My Shop!",
        .dockerfiles = {"Dockerfile"},
        .taskdef = "{\"containerDefinitions\": [{\"name\": \"web\", \"image\": \"r.example/:1\"}]}",
        .buildspec = "version: 0.2\nenv:\n  variables:\n    IMAGE_REPO_NAME: $PROJECT\n"};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    begun(&site, &result, &p);
    assert_null(p.registry);
    assert_string_equal(p.images[0].repository, "my-shop");
    assert_says(&result.open, "buildspec.yml:4: IMAGE_REPO_NAME '$PROJECT' makes no repository");
}

static void test_init__no_two_images_go_to_one_repository(void **state)
{
    (void)state;
    struct site site = {.dockerfiles = {"api/Dockerfile", "old/Web/Dockerfile", "web/Dockerfile"},
                        .taskdef = "{\"containerDefinitions\": [\n"
                                   "{\"name\": \"api\", \"image\": \"r.example/shop/web:api\"},\n"
                                   "{\"name\": \"web\", \"image\": \"r.example/shop/web:web\"}]}"};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    begun(&site, &result, &p);
    assert_string_equal(p.registry, "r.example");
    assert_string_equal(p.images[0].repository, "shop/web");
    assert_string_equal(p.images[1].repository, "shop/web-2");
    assert_string_equal(p.images[2].repository, "shop/web-3");
}

static void test_init__an_image_of_another_registry_keeps_it(void **state)
{
    (void)state;
    struct site site = {.dockerfiles = {"api/Dockerfile", "web/Dockerfile"},
                        .taskdef = "{\"containerDefinitions\": [\n"
                                   "{\"name\": \"api\", \"image\": \"r.example/shop:1\"},\n"
                                   "{\"name\": \"web\", \"image\": \"s.example/shop:1\"}]}"};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    begun(&site, &result, &p);
    assert_string_equal(p.registry, "r.example");
    assert_string_equal(p.images[0].repository, "shop");
    assert_string_equal(p.images[1].repository, "s.example/shop");
}

/* A container may be called as the repository of an image that no container gets. */
static void test_init__images_are_told_apart(void **state)
{
    (void)state;
    struct site site = {
        .name = "web",
        .dockerfiles = {"Dockerfile", "web/Dockerfile"},
        .taskdef = "{\"containerDefinitions\": [{\"name\": \"web\", \"image\": \"<WEB>\"}]}"};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    begun(&site, &result, &p);
    assert_string_equal(p.images[0].repository, "web");
    assert_string_equal(p.images[0].name, "Dockerfile");
    assert_string_equal(p.images[1].name, "web");
}

static void test_init__paths_that_slipway_json_cannot_hold_are_left_open(void **state)
{
    (void)state;
    struct site site = {.dockerfiles = {"Dockerfile", "\xfc/Dockerfile", "a\x7f/Dockerfile"}};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline p = PIPELINE_INIT;
    begun(&site, &result, &p);
    assert_int_equal(p.len, 1);
    assert_says(&result.open, "\xfc/Dockerfile: ");
    assert_says(&result.open, "a\x7f/Dockerfile: ");
}

static void test_init__too_many_images_are_refused(void **state)
{
    (void)state;
    struct site site = {0};
    struct error err = {0};
    AUTO(init_result_release) struct init_result result = {0};
    struct init_inputs inputs = {.files = {.read = read_site, .ctx = &site}, .name = "shop"};
    for (unsigned i = 0; i < 65; i++) {
        strlist_addf(&inputs.dockerfiles, "%u/Dockerfile", i);
    }
    assert_int_equal(pipeline_init(&inputs, &result, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "65 Dockerfiles"));
    strlist_release(&inputs.dockerfiles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init__a_container_that_ecs_does_not_know_is_left_open),
        cmocka_unit_test(test_init__a_container_gets_one_image),
        cmocka_unit_test(test_init__a_placeholder_stands_for_one_image),
        cmocka_unit_test(test_init__what_is_no_repository_is_left_open),
        cmocka_unit_test(test_init__no_two_images_go_to_one_repository),
        cmocka_unit_test(test_init__an_image_of_another_registry_keeps_it),
        cmocka_unit_test(test_init__images_are_told_apart),
        cmocka_unit_test(test_init__paths_that_slipway_json_cannot_hold_are_left_open),
        cmocka_unit_test(test_init__too_many_images_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
