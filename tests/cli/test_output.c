#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/output.h"

static void test_output__forms_of_docker(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum output_type type;
        const char *dest;
        bool tar;
        bool push;
    } cases[] = {
        {"out", OUTPUT_LOCAL, "out", true, false},
        {"-", OUTPUT_TAR, "-", true, false},
        {"type=oci,dest=a.tar", OUTPUT_OCI, "a.tar", true, false},
        {"dest=d,type=oci,tar=false", OUTPUT_OCI, "d", false, false},
        {"type=oci", OUTPUT_OCI, "-", true, false},
        {"type=tar", OUTPUT_TAR, "-", true, false},
        {"type=docker", OUTPUT_DOCKER, NULL, true, false},
        {"type=docker,\"dest=a,b.tar\"", OUTPUT_DOCKER, "a,b.tar", true, false},
        {"type=local,dest=d", OUTPUT_LOCAL, "d", true, false},
        {"type=registry", OUTPUT_IMAGE, NULL, true, true},
        {"type=image,push=true", OUTPUT_IMAGE, NULL, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(output_list_release) struct output_list list = {0};
        struct error err = {0};
        assert_int_equal(output_parse(&list, cases[i].text, &err), 0);
        assert_int_equal(list.len, 1);
        assert_int_equal(list.items[0].type, cases[i].type);
        assert_int_equal(list.items[0].tar, cases[i].tar);
        assert_int_equal(list.items[0].push, cases[i].push);
        if (cases[i].dest) {
            assert_string_equal(list.items[0].dest, cases[i].dest);
        } else {
            assert_null(list.items[0].dest);
        }
        bool to_stdout = cases[i].dest && strcmp(cases[i].dest, "-") == 0;
        assert_int_equal(output_uses_stdout(&list), to_stdout);
    }
}

static void test_output__names_may_be_several_in_a_quoted_field(void **state)
{
    (void)state;
    AUTO(output_list_release) struct output_list list = {0};
    struct error err = {0};
    assert_int_equal(output_parse(&list, "type=image,\"name=a:1,b:2\"", &err), 0);
    assert_int_equal(list.items[0].names.len, 2);
    assert_string_equal(list.items[0].names.items[1], "b:2");
}

static void test_output__what_cannot_be_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", "empty"},
        {"dest=a", "says no type="},
        {"type=ocy,dest=a", "no type 'ocy'"},
        {"type=oci,dst=a", "did you mean dest"},
        {"type=local", "needs dest=FOLDER"},
        {"type=oci,tar=false", "needs dest=FOLDER"},
        {"type=oci,tar=perhaps,dest=a", "neither true nor false"},
        {"type=docker,tar=false,dest=a", "use type=oci"},
        {"type=image,dest=a", "has no dest"},
        {"type=tar,dest=a,push=true", "belongs to type=image"},
        {"type=local,dest=-", "cannot go to standard output"},
        {"type=oci,compression", "not of the form key=value"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(output_list_release) struct output_list list = {0};
        struct error err = {0};
        assert_int_equal(output_parse(&list, cases[i].text, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, cases[i].words));
    }
}

static void test_output__one_of_them_goes_to_standard_output(void **state)
{
    (void)state;
    AUTO(output_list_release) struct output_list list = {0};
    struct error err = {0};
    assert_int_equal(output_parse(&list, "type=oci", &err), 0);
    assert_int_equal(output_parse(&list, "type=oci,dest=a", &err), 0);
    assert_int_equal(output_parse(&list, "-", &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "only one"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output__forms_of_docker),
        cmocka_unit_test(test_output__names_may_be_several_in_a_quoted_field),
        cmocka_unit_test(test_output__what_cannot_be_is_an_error),
        cmocka_unit_test(test_output__one_of_them_goes_to_standard_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
