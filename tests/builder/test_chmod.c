#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "builder/chmod.h"

static void test_chmod__modes_become(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t before;
        bool is_dir;
        uint32_t after;
    } cases[] = {
        {"755", 0600, false, 0755},
        {"0", 0777, false, 0},
        {"04755", 0644, false, 04755},
        {"7777", 0644, true, 07777},
        {"u=rwx,g=rx,o=", 0644, false, 0750},
        {"go-r", 0644, false, 0600},
        {"a+x", 0644, false, 0755},
        {"+x", 0644, false, 0755},
        {"u+s,g+w", 0755, false, 04775},
        {"ug+s", 0755, false, 06755},
        {"o+s", 0755, false, 0755},
        {"go=u", 0640, false, 0666},
        {"g=u-w", 0644, false, 0644},
        {"go=u,go-w", 0700, true, 0755},
        {"a+X,o-r", 0644, false, 0640},
        {"a+X,o-r", 0744, false, 0751},
        {"a+X,o-r", 0644, true, 0751},
        {"u=rwX,go=rX", 0600, true, 0755},
        {"u=rwX,go=rX", 0666, false, 0644},
        {"u=rwX,go=rX", 0700, false, 0755},
        {"a-X", 0755, true, 0644},
        {"+t", 0777, true, 01777},
        {"o+t", 0777, true, 0777},
        {"u=", 04755, false, 0055},
        {"=", 0755, false, 0},
        {"u+r-w", 0200, false, 0400},
        {"u=g", 0750, false, 0550},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct chmod c;
        if (chmod_parse(cases[i].text, &c, &err) != 0) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
        uint32_t after = chmod_apply(&c, cases[i].before, cases[i].is_dir);
        if (after != cases[i].after) {
            fail_msg("%s on %o gives %o, not %o", cases[i].text, cases[i].before, after,
                     cases[i].after);
        }
    }
}

static void test_chmod__nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",      "8", "78",  "77777", "755x", "rwx",
                                        "u+rw,", "u", "u+q", ",",     "x=r",  "+x,,+r"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct chmod c;
        if (chmod_parse(cases[i], &c, &err) != -1) {
            fail_msg("'%s' was taken", cases[i]);
        }
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, "mode"));
    }
    char many[CHMOD_OPS_MAX * 4 + 16];
    size_t len = 0;
    while (len + 4 < sizeof many) {
        memcpy(many + len, "u+r,", 4);
        len += 4;
    }
    many[len - 1] = '\0';
    struct error err = {0};
    struct chmod c;
    assert_int_equal(chmod_parse(many, &c, &err), -1);
    assert_non_null(strstr(err.text, "clauses"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chmod__modes_become),
        cmocka_unit_test(test_chmod__nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
