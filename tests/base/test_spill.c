#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/spill.h"

/* More than the process has for itself. */
static const size_t much = 24 * 1024 * 1024;

/* The folder in which the test lies has a disk, mostly. */
static int set_home(void **state)
{
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)state;
    spill_set_home(fd);
    close(fd);
    return 0;
}

static int no_home(void **state)
{
    int fd = memfd_create("no folder", MFD_CLOEXEC);
    (void)state;
    spill_set_home(fd);
    close(fd);
    return 0;
}

static bool has_disk(void)
{
    char *probe = spill_calloc(much, 1);
    bool used = spill_is_used;
    spill_free(probe, much);
    return used;
}

static void fill(uint32_t *numbers, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        numbers[i] = (uint32_t)i * 2654435761U;
        spill_looked(1);
    }
}

static void check(const uint32_t *numbers, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (numbers[i] != (uint32_t)i * 2654435761U) {
            fail_msg("number %zu is wrong", i);
        }
        spill_looked(1);
    }
}

static void test_spill__keeps_what_was_written(void **state)
{
    uint32_t *numbers = NULL;
    size_t size = 0;
    (void)state;
    for (size_t next = 4096; next <= much; next = next * 3 / 2 / 4 * 4) {
        numbers = spill_realloc(numbers, size, next);
        fill(numbers, size / 4, next / 4);
        size = next;
    }
    check(numbers, size / 4);
    size_t less = size / 3 / 4 * 4;
    numbers = spill_realloc(numbers, size, less);
    check(numbers, less / 4);
    numbers = spill_realloc(numbers, less, 4096);
    check(numbers, 1024);
    spill_free(numbers, 4096);
    assert_false(spill_is_used);
}

static void test_spill__cleared_memory_is_zero(void **state)
{
    (void)state;
    for (size_t size = 1; size <= much; size = size * 7 + 1) {
        char *bytes = spill_calloc(size, 1);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(bytes[i], 0);
        }
        memset(bytes, 0xff, size);
        spill_free(bytes, size);
    }
    assert_false(spill_is_used);
}

struct reading {
    const uint32_t *numbers;
    size_t len;
};

static void *read_all(void *arg)
{
    const struct reading *reading = arg;
    for (int round = 0; round < 3; round++) {
        check(reading->numbers, reading->len);
    }
    return NULL;
}

static void test_spill__is_let_go_while_others_read(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    uint32_t *numbers = spill_calloc(much, 1);
    struct reading reading = {numbers, much / 4};
    (void)state;
    fill(numbers, 0, reading.len);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &reading), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    spill_free(numbers, much);
}

/* In kB; what is mapped from files. */
static size_t resident(void)
{
    AUTO(file_closep) FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    size_t anonymous = 0;
    size_t mapped = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "RssAnon: %zu", &anonymous) != 1) {
            sscanf(line, "RssFile: %zu", &mapped);
        }
    }
    return anonymous + mapped;
}

static void test_spill__only_what_is_looked_at_is_in_memory(void **state)
{
    (void)state;
    if (!has_disk()) {
        skip();
    }
    size_t size = 8 * much;
    size_t before = resident();
    char *bytes = spill_calloc(size, 1);
    for (size_t i = 0; i < size; i += 100) {
        bytes[i] = 'x';
        spill_looked(1);
    }
    size_t after = resident();
    spill_free(bytes, size);
    if (after > before + much / 1024) {
        fail_msg("%zu kB more are in memory", after - before);
    }
}

static void test_spill__grows_from_any_size(void **state)
{
    (void)state;
    for (size_t start = 0; start < 4; start++) {
        size_t cap = start;
        uint32_t *numbers = spill_realloc(NULL, 0, start * sizeof *numbers);
        fill(numbers, 0, start);
        while (cap * sizeof *numbers < much) {
            size_t before = cap;
            numbers = spill_grow(numbers, &cap, sizeof *numbers);
            assert_true(cap > before);
            fill(numbers, before, cap);
        }
        check(numbers, cap);
        spill_free(numbers, cap * sizeof *numbers);
    }
    assert_false(spill_is_used);
}

static void test_spill__a_large_buffer(void **state)
{
    AUTO(buf_release) struct buf b = BUF_INIT_LARGE(0);
    (void)state;
    while (b.len < much) {
        buf_puts(&b, "0123456789abcdef");
    }
    size_t len = b.len;
    char *taken = buf_take(&b);
    for (size_t i = 0; i < len; i += 16) {
        assert_memory_equal(taken + i, "0123456789abcdef", 16);
    }
    assert_int_equal(taken[len], '\0');
    free(taken); /* is its caller's like any other */
    assert_false(spill_is_used);
}

static void test_spill__a_file_is_read_where_it_lies(void **state)
{
    char name[] = "spill-XXXXXX";
    (void)state;
    AUTO(fd_closep) int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(write(fd, "something", 9), 9);
    const char *mapped = spill_map(fd, 9);
    assert_non_null(mapped);
    assert_true(spill_is_used);
    assert_memory_equal(mapped, "something", 9);
    spill_looked(1000000);
    assert_memory_equal(mapped, "something", 9);
    spill_unmap(mapped);
    spill_unmap(NULL);
    assert_false(spill_is_used);
    assert_null(spill_map(-1, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_spill__keeps_what_was_written, set_home),
        cmocka_unit_test_setup(test_spill__cleared_memory_is_zero, set_home),
        cmocka_unit_test_setup(test_spill__is_let_go_while_others_read, set_home),
        cmocka_unit_test_setup(test_spill__only_what_is_looked_at_is_in_memory, set_home),
        cmocka_unit_test_setup(test_spill__grows_from_any_size, set_home),
        cmocka_unit_test_setup(test_spill__a_large_buffer, set_home),
        cmocka_unit_test_setup(test_spill__a_file_is_read_where_it_lies, set_home),
        /* And where there is no disk. */
        cmocka_unit_test_setup(test_spill__keeps_what_was_written, no_home),
        cmocka_unit_test_setup(test_spill__cleared_memory_is_zero, no_home),
        cmocka_unit_test_setup(test_spill__a_large_buffer, no_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
