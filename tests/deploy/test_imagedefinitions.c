#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "deploy/imagedefinitions.h"

static void test_imagedefinitions__is_a_compact_array_in_the_given_order(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(imagedefinitions_release) struct imagedefinitions d = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    assert_int_equal(imagedefinitions_add(&d, "web", "r.example/app:1", &err), 0);
    assert_int_equal(imagedefinitions_add(&d, "log", "r.example/log@sha256:00", &err), 0);
    assert_int_equal(imagedefinitions_render(&d, &text, &err), 0);
    assert_string_equal(buf_text(&text),
                        "[{\"name\":\"web\",\"imageUri\":\"r.example/app:1\"},"
                        "{\"name\":\"log\",\"imageUri\":\"r.example/log@sha256:00\"}]");
}

static void test_imagedefinitions__refuses_what_ecs_would(void **state)
{
    (void)state;
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    long_name[256] = '\0';
    static const char *const images[] = {"i", "i", "i", "i", "", "i"};
    const char *const names[] = {"", "a b", "web/1", long_name, "ok", "web"};
    AUTO(imagedefinitions_release) struct imagedefinitions d = {0};
    struct error err = {0};
    assert_int_equal(imagedefinitions_add(&d, "web", "i", &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        error_clear(&err);
        assert_int_equal(imagedefinitions_add(&d, names[i], images[i], &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_int_equal(d.len, 1);
    }
    assert_string_equal(err.text, "container 'web' is given twice");
}

static void test_imagedefinitions__takes_names_of_255_and_no_more_than_100_kb(void **state)
{
    (void)state;
    char name[256];
    AUTO(imagedefinitions_release) struct imagedefinitions d = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error err = {0};
    for (int i = 0; i < 370; i++) {
        memset(name, 'a', sizeof name);
        snprintf(name + 250, 6, "%05d", i);
        assert_int_equal(imagedefinitions_add(&d, name, "i", &err), 0);
    }
    assert_int_equal(imagedefinitions_render(&d, &text, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "100000"));
    assert_int_equal(text.len, 0);
}

static void test_imagedefinitions__without_a_container_nothing_is_written(void **state)
{
    (void)state;
    char dir[] = "/tmp/slipway-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error err = {0};
    AUTO(imagedefinitions_release) struct imagedefinitions d = {0};
    assert_int_equal(imagedefinitions_write(&d, fd, "f.json", &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(faccessat(fd, "f.json", F_OK, 0), -1);
    assert_int_equal(imagedefinitions_add(&d, "web", "i", &err), 0);
    assert_int_equal(imagedefinitions_write(&d, fd, "f.json", &err), 0);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    assert_int_equal(file_read(fd, "f.json", 1000, &text, NULL, &err), 0);
    assert_string_equal(buf_text(&text), "[{\"name\":\"web\",\"imageUri\":\"i\"}]");
    struct stat st;
    assert_int_equal(fstatat(fd, "f.json", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    close(fd);
    assert_int_equal(file_remove_tree(AT_FDCWD, dir, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_imagedefinitions__is_a_compact_array_in_the_given_order),
        cmocka_unit_test(test_imagedefinitions__refuses_what_ecs_would),
        cmocka_unit_test(test_imagedefinitions__takes_names_of_255_and_no_more_than_100_kb),
        cmocka_unit_test(test_imagedefinitions__without_a_container_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
