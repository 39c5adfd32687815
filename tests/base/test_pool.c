#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/memory.h"
#include "base/pool.h"

static void count_up(void *arg)
{
    usleep(10);
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void test_pool__every_task_runs_once(void **state)
{
    (void)state;
    static const unsigned sizes[] = {1, 2, 7};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO(pool_freep) struct pool *pool = pool_new(sizes[i]);
        struct pool_group group = POOL_GROUP_INIT;
        int count = 0;
        assert_int_equal(pool_size(pool), sizes[i]);
        for (int k = 0; k < 1000; k++) {
            pool_submit(pool, &group, count_up, &count);
        }
        pool_wait(pool, &group);
        assert_int_equal(__atomic_load_n(&count, __ATOMIC_SEQ_CST), 1000);
        pool_wait(pool, &group);
    }
}

static void test_pool__freeing_finishes_what_is_queued(void **state)
{
    (void)state;
    int count = 0;
    struct pool *pool = pool_new(2);
    for (int k = 0; k < 100; k++) {
        pool_submit(pool, NULL, count_up, &count);
    }
    pool_free(pool);
    assert_int_equal(count, 100);
    pool_free(pool_new(0)); /* threads never started */
    pool_free(NULL);
}

struct parent {
    struct pool *pool;
    int *count;
};

/* A task that waits for tasks of its own: must not lock up, even with one thread. */
static void nest(void *arg)
{
    struct parent *p = arg;
    struct pool_group group = POOL_GROUP_INIT;
    for (int i = 0; i < 3; i++) {
        pool_submit(p->pool, &group, count_up, p->count);
    }
    pool_wait(p->pool, &group);
}

static void test_pool__tasks_may_wait_for_tasks(void **state)
{
    (void)state;
    alarm(20);
    int count = 0;
    AUTO(pool_freep) struct pool *pool = pool_new(1);
    struct parent p = {pool, &count};
    struct pool_group group = POOL_GROUP_INIT;
    pool_submit(pool, &group, nest, &p);
    pool_wait(pool, &group);
    assert_int_equal(count, 3);
    alarm(0);
}

/* Where no thread can be started (limits of a container), the callers do the work. */
static void test_pool__works_without_threads(void **state)
{
    (void)state;
    pthread_attr_t attr;
    pthread_attr_t usual;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstacksize(&attr, (size_t)1 << 50), 0);
    assert_int_equal(pthread_setattr_default_np(&attr), 0);
    alarm(20);
    int count = 0;
    struct pool *pool = pool_new(2);
    struct pool_group group = POOL_GROUP_INIT;
    for (int k = 0; k < 100; k++) {
        pool_submit(pool, k % 2 ? &group : NULL, count_up, &count);
    }
    pool_wait(pool, &group);
    pool_submit(pool, NULL, count_up, &count);
    pool_free(pool);
    alarm(0);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    assert_int_equal(count, 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool__every_task_runs_once),
        cmocka_unit_test(test_pool__freeing_finishes_what_is_queued),
        cmocka_unit_test(test_pool__tasks_may_wait_for_tasks),
        cmocka_unit_test(test_pool__works_without_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
