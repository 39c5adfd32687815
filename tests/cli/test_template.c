#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/template.h"

static const char document[] =
    "{\"Id\":\"sha256:1\",\"Size\":5,\"Config\":{\"User\":\"jo\",\"Cmd\":[\"a\",\"b\"],"
    "\"Labels\":{\"x.y\":\"z\"},\"Tty\":true},\"RepoDigests\":[\"r@d\"]}";

static void test_template__go_s_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *result; /* NULL: an error */
    } cases[] = {
        {"plain", "plain"},
        {"{{.Id}}", "sha256:1"},
        {"a {{ .Config.User }}\\t{{.Size}}\\n", "a jo\t5\n"},
        {"{{json .Config.Cmd}}", "[\"a\",\"b\"]"},
        {"{{json .Config.Nothing}}", "null"},
        {"{{.Config.Cmd}}", "[a b]"},
        {"{{.Config.Labels}} {{.Config.Tty}}", "map[x.y:z] true"},
        {"{{.Nothing.At.All}}", "<no value>"},
        {"{{index .RepoDigests 0}}", "r@d"},
        {"{{index .Config.Labels \"x.y\"}}", "z"},
        {"{{index .RepoDigests 1}}", NULL},
        {"{{index .RepoDigests}}", NULL},
        {"{{range .Config.Cmd}}", NULL},
        {"{{.Id | upper}}", NULL},
        {"{{.Id", NULL},
        {"{{}}", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(json_freep) json_t *value = json_loads(document, 0, NULL);
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        struct error err = {0};
        int result = template_expand(cases[i].text, value, &out, &err);
        assert_int_equal(result, cases[i].result ? 0 : -1);
        if (cases[i].result) {
            assert_string_equal(buf_text(&out), cases[i].result);
        } else {
            assert_int_equal(err.code, ERR_USAGE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template__go_s_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
