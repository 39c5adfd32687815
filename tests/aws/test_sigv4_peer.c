#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "aws/sigv4.h"
#include "base/json.h"
#include "base/memory.h"

enum { NO_BOTOCORE = 77, CASES_MIN = 300 };

static void add_strings(const json_t *object, const char *key, struct strlist *out)
{
    size_t i = 0;
    json_t *value = NULL;
    json_array_foreach(json_object_get(object, key), i, value)
    {
        strlist_add(out, json_string_value(value));
    }
}

static void check(const char *line)
{
    AUTO(json_freep) json_t *c = json_loads(line, 0, NULL);
    assert_non_null(c);
    AUTO(strlist_release) struct strlist query = {0};
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(strlist_release) struct strlist added = {0};
    add_strings(c, "query", &query);
    add_strings(c, "headers", &headers);
    struct aws_keys keys = {.id = (char *)json_get_string(c, "id"),
                            .secret = (char *)json_get_string(c, "secret"),
                            .token = (char *)json_get_string(c, "token")};
    struct sigv4_request request = {.method = json_get_string(c, "method"),
                                    .host = json_get_string(c, "host"),
                                    .path = json_get_string(c, "path"),
                                    .query = &query,
                                    .headers = &headers,
                                    .body = json_get_string(c, "body"),
                                    .body_len = strlen(json_get_string(c, "body")),
                                    .region = json_get_string(c, "region"),
                                    .service = json_get_string(c, "service")};
    sigv4_sign(&request, &keys, (time_t)json_integer_value(json_object_get(c, "now")), &added);
    if (strcmp(added.items[added.len - 1], json_get_string(c, "expected")) != 0) {
        fail_msg("%s\n%s", line, added.items[added.len - 1]);
    }
}

static void test_sigv4_peer__botocore_signs_the_same(void **state)
{
    (void)state;
    FILE *cases = popen("exec python3 tests/aws/botocore_cases.py", "re");
    AUTO(mem_freep) char *line = NULL;
    size_t cap = 0;
    int count = 0;
    assert_non_null(cases);
    while (getline(&line, &cap, cases) > 0) {
        check(line);
        count++;
    }
    int status = pclose(cases);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_BOTOCORE) {
        skip();
    }
    assert_int_equal(status, 0);
    assert_true(count >= CASES_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sigv4_peer__botocore_signs_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
