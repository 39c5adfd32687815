/* Tests of editing an image's config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/memory.h"
#include "oci/config.h"

static char linux_os[] = "linux";
static char amd64_architecture[] = "amd64";
static const struct platform amd64 = {.os = linux_os, .architecture = amd64_architecture};

static char *rendered(const json_t *config, int64_t created)
{
    struct buf text = BUF_INIT(0);
    config_render(config, created, NULL, 0, &text);
    return buf_take(&text);
}

static void test_config__same_edits_in_another_order_give_the_same_bytes(void **state)
{
    (void)state;
    AUTO(json_freep) json_t *a = config_new(&amd64);
    AUTO(json_freep) json_t *b = config_new(&amd64);
    config_set_in_map(a, "Labels", "z", "1");
    config_set_in_map(a, "Labels", "a", "2");
    config_set_text(a, "User", "web");
    config_set_text(b, "User", "web");
    config_set_in_map(b, "Labels", "a", "2");
    config_set_in_map(b, "Labels", "z", "1");
    AUTO(mem_freep) char *x = rendered(a, 86400);
    AUTO(mem_freep) char *y = rendered(b, 86400);
    assert_string_equal(x, y);
    assert_string_equal(x, "{\"created\":\"1970-01-02T00:00:00Z\",\"architecture\":\"amd64\","
                           "\"os\":\"linux\",\"config\":{\"User\":\"web\",\"Labels\":{\"a\":\"2\","
                           "\"z\":\"1\"}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},"
                           "\"history\":[]}");
}

static void test_config__inheriting_forgets_how_the_base_was_built(void **state)
{
    (void)state;
    AUTO(json_freep)
    json_t *base = json_loads("{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\","
                              "\"container\":\"abc\",\"docker_version\":\"1\","
                              "\"config\":{\"Env\":[\"A=1\"],\"Image\":\"sha256:0\"}}",
                              0, NULL);
    AUTO(json_freep) json_t *config = config_inherit(base);
    AUTO(mem_freep) char *text = rendered(config, 0);
    assert_null(strstr(text, "container"));
    assert_null(strstr(text, "docker_version"));
    assert_null(strstr(text, "Image"));
    assert_non_null(strstr(text, "\"variant\":\"v8\""));
    struct strlist env = {0};
    config_get_list(config, "Env", &env);
    assert_int_equal(env.len, 1);
    assert_string_equal(env.items[0], "A=1");
    strlist_release(&env);
    config_set_list(config, "Env", NULL);
    assert_false(config_has(config, "Env"));
    /* The base itself did not change. */
    assert_int_equal(json_array_size(json_object_get(json_object_get(base, "config"), "Env")), 1);
}

static void test_config__history_tells_empty_steps_apart(void **state)
{
    (void)state;
    AUTO(json_freep) json_t *config = config_new(&amd64);
    config_add_history(config, 1, "ENV A=1", true);
    config_add_history(config, 1, "COPY a /a", false);
    AUTO(mem_freep) char *text = rendered(config, 1);
    const char *env = strstr(text, "\"created_by\":\"ENV A=1\"");
    const char *copy = strstr(text, "\"created_by\":\"COPY a /a\"");
    assert_non_null(env);
    assert_non_null(copy);
    const char *empty = strstr(env, "\"empty_layer\":true");
    assert_true(empty && empty < copy);
    assert_null(strstr(copy, "empty_layer"));
}

static void test_config__times_are_utc(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(config_time(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(config_time(946684800, text), "2000-01-01T00:00:00Z");
    assert_string_equal(config_time(253402300799LL, text), "9999-12-31T23:59:59Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__same_edits_in_another_order_give_the_same_bytes),
        cmocka_unit_test(test_config__inheriting_forgets_how_the_base_was_built),
        cmocka_unit_test(test_config__history_tells_empty_steps_apart),
        cmocka_unit_test(test_config__times_are_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
