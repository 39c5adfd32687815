#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/thread.h"

static size_t count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    size_t count = 0;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        count += e->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

/* A thread that was joined may be listed for a moment. */
static void expect_threads(size_t count)
{
    for (int i = 0; i < 1000 && count_threads() != count; i++) {
        usleep(1000);
    }
    assert_int_equal(count_threads(), count);
}

/* What a thread was given, and found. */
struct visit {
    sigset_t mask;
    pthread_t self;
};

static void *look(void *arg)
{
    struct visit *visit = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &visit->mask);
    visit->self = pthread_self();
    return visit;
}

static void start_and_join(void)
{
    struct visit visit = {0};
    pthread_t thread;
    void *result = NULL;
    thread_start(&thread, look, &visit);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &visit);
    assert_true(pthread_equal(thread, visit.self));
    assert_int_equal(sigismember(&visit.mask, SIGINT), 1);
    assert_int_equal(sigismember(&visit.mask, SIGTERM), 1);
}

static void test_thread__starts_with_all_signals_blocked(void **state)
{
    (void)state;
    sigset_t mine;
    start_and_join();
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_int_equal(sigismember(&mine, SIGINT), 0);
}

/* Spare threads are there before they are wanted, are used up, and then new ones are made. */
static void test_thread__spare_ones_are_used_first(void **state)
{
    (void)state;
    start_and_join();
    size_t before = 1;
    expect_threads(before);
    thread_spare(3);
    expect_threads(before + 3);
    for (size_t left = 3; left > 0; left--) {
        start_and_join();
        expect_threads(before + left - 1);
    }
    start_and_join();
    expect_threads(before);
}

static void test_thread__there_is_a_core(void **state)
{
    (void)state;
    assert_true(cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread__starts_with_all_signals_blocked),
        cmocka_unit_test(test_thread__spare_ones_are_used_first),
        cmocka_unit_test(test_thread__there_is_a_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
