#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/thread.h"

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

static void test_thread__there_is_a_core(void **state)
{
    (void)state;
    assert_true(cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread__starts_with_all_signals_blocked),
        cmocka_unit_test(test_thread__there_is_a_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
