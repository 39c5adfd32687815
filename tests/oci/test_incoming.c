/* Blobs that are read while they come in: in order, and ended only when they were confirmed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"
#include "oci/incoming.h"

#define OK(CALL)                                                                                   \
    do {                                                                                           \
        struct error err = {0};                                                                    \
        if ((CALL) != 0) {                                                                         \
            fail_msg("%s: %s", #CALL, err.text);                                                   \
        }                                                                                          \
    } while (0)

enum { SIZE = 3000000 };

static char folder[64];
static struct store *store;
static char *bytes;
static struct digest digest;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test-incoming-XXXXXX");
    assert_non_null(mkdtemp(folder));
    OK(store_open(folder, &store, &err));
    bytes = mem_alloc(SIZE);
    for (uint32_t i = 0; i < SIZE; i++) {
        bytes[i] = (char)(i * 2654435761U >> 24);
    }
    digest_of(bytes, SIZE, &digest);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(bytes);
    store_freep(&store);
    OK(file_remove_tree(AT_FDCWD, folder, &err));
    return 0;
}

/* A fetch that does what a test wants of it. */
struct fetch {
    struct incoming *incoming;
    void (*act)(struct fetch *f);
    pthread_t thread;
};

static void *fetch_thread(void *arg)
{
    struct fetch *f = arg;
    f->act(f);
    incoming_over(f->incoming);
    return NULL;
}

static void write_part(struct blob_writer *w, size_t from, size_t to)
{
    for (size_t at = from; at < to;) {
        size_t len = to - at < 100001 ? to - at : 100001;
        OK(writer_write(blob_writer_stream(w), bytes + at, len, &err));
        at += len;
    }
}

static struct blob_writer *new_writer(void)
{
    struct blob_writer *w = NULL;
    OK(blob_writer_open(store, &w, &err));
    blob_writer_expected(w, &digest);
    return w;
}

static void fetch_well(struct fetch *f)
{
    (void)f;
    AUTO(blob_writer_freep) struct blob_writer *w = new_writer();
    write_part(w, 0, SIZE / 2);
    usleep(20000); /* the reader comes to stand */
    write_part(w, SIZE / 2, SIZE);
    OK(blob_writer_commit(w, &digest, SIZE, NULL, NULL, &err));
}

/* One byte is another. */
static void fetch_corrupt(struct fetch *f)
{
    (void)f;
    struct error failure = {0};
    AUTO(blob_writer_freep) struct blob_writer *w = new_writer();
    write_part(w, 0, SIZE - 1);
    OK(writer_write(blob_writer_stream(w), "", 1, &err));
    assert_int_equal(blob_writer_commit(w, &digest, SIZE, NULL, NULL, &failure), -1);
}

static void fetch_too_little(struct fetch *f)
{
    (void)f;
    AUTO(blob_writer_freep) struct blob_writer *w = new_writer();
    write_part(w, 0, SIZE - 1000);
}

static void fetch_nothing(struct fetch *f)
{
    (void)f;
    usleep(10000);
}

/* The transfer begins anew after the reader has seen a part of it. */
static void fetch_anew(struct fetch *f)
{
    (void)f;
    AUTO(blob_writer_freep) struct blob_writer *w = new_writer();
    write_part(w, 0, SIZE / 2);
    usleep(20000);
    OK(blob_writer_restart(w, &err));
    write_part(w, 0, SIZE);
    OK(blob_writer_commit(w, &digest, SIZE, NULL, NULL, &err));
}

/* The first writer gives up, a second one does it. */
static void fetch_twice(struct fetch *f)
{
    fetch_too_little(f);
    fetch_well(f);
}

static void fetch_start(struct fetch *f, void (*act)(struct fetch *f))
{
    *f = (struct fetch){.incoming = store_expect(store, &digest), .act = act};
    thread_start(&f->thread, fetch_thread, f);
}

static void fetch_join(struct fetch *f)
{
    pthread_join(f->thread, NULL);
    incoming_freep(&f->incoming);
}

/* Reads all along: whether the end was reached, and what came until then was right. */
static bool read_all(struct reader *reader, size_t *len_out)
{
    AUTO(mem_freep) char *data = mem_alloc(65536);
    size_t at = 0;
    for (;;) {
        struct error failure = {0};
        size_t got = 0;
        if (reader_read(reader, data, 65536, &got, &failure) != 0) {
            assert_int_equal(failure.code, ERR_REMOTE);
            return false;
        }
        if (got == 0) {
            *len_out = at;
            return true;
        }
        assert_true(at + got <= SIZE);
        if (memcmp(data, bytes + at, got) != 0) {
            return false;
        }
        at += got;
    }
}

static bool read_along(void (*act)(struct fetch *f))
{
    struct fetch fetch;
    AUTO(reader_freep) struct reader *reader = NULL;
    size_t len = 0;
    fetch_start(&fetch, act);
    OK(store_blob_reader(store, &digest, &reader, &err));
    bool whole = read_all(reader, &len);
    fetch_join(&fetch);
    if (whole) {
        assert_int_equal(len, SIZE);
    }
    return whole;
}

static void test_incoming__what_comes_is_read_along(void **state)
{
    (void)state;
    assert_true(read_along(fetch_well));
    assert_true(store_has_blob(store, &digest, NULL));
}

static void test_incoming__what_was_not_confirmed_has_no_end(void **state)
{
    (void)state;
    assert_false(read_along(fetch_corrupt));
    assert_false(read_along(fetch_too_little));
    assert_false(read_along(fetch_nothing));
    assert_false(store_has_blob(store, &digest, NULL));
}

static void test_incoming__a_transfer_begun_anew_is_not_mixed_with_the_old_one(void **state)
{
    (void)state;
    struct fetch fetch;
    AUTO(reader_freep) struct reader *early = NULL;
    AUTO(reader_freep) struct reader *late = NULL;
    char first[10];
    size_t got = 0;
    size_t len = 0;
    fetch_start(&fetch, fetch_anew);
    OK(store_blob_reader(store, &digest, &early, &err));
    OK(store_blob_reader(store, &digest, &late, &err));
    OK(reader_read(early, first, sizeof first, &got, &err));
    pthread_join(fetch.thread, NULL);
    assert_false(read_all(early, &len));
    /* Who has read nothing of it reads the new one, also when all is over. */
    assert_true(read_all(late, &len));
    assert_int_equal(len, SIZE);
    incoming_freep(&fetch.incoming);
}

static void test_incoming__a_second_writer_serves_who_has_read_nothing(void **state)
{
    (void)state;
    struct fetch fetch;
    AUTO(reader_freep) struct reader *reader = NULL;
    size_t len = 0;
    fetch_start(&fetch, fetch_twice);
    OK(store_blob_reader(store, &digest, &reader, &err));
    pthread_join(fetch.thread, NULL);
    assert_true(read_all(reader, &len));
    assert_int_equal(len, SIZE);
    incoming_freep(&fetch.incoming);
}

static void test_incoming__several_expect_and_read_the_same(void **state)
{
    (void)state;
    struct fetch fetch;
    AUTO(reader_freep) struct reader *one = NULL;
    AUTO(reader_freep) struct reader *two = NULL;
    size_t len = 0;
    fetch_start(&fetch, fetch_well);
    AUTO(incoming_freep) struct incoming *other = store_expect(store, &digest);
    OK(store_blob_reader(store, &digest, &one, &err));
    OK(store_blob_reader(store, &digest, &two, &err));
    fetch_join(&fetch);
    assert_true(read_all(one, &len));
    assert_true(read_all(two, &len));
    incoming_over(other);
}

static void test_incoming__what_is_there_comes_from_the_store(void **state)
{
    (void)state;
    struct error failure = {0};
    AUTO(reader_freep) struct reader *reader = NULL;
    size_t len = 0;
    assert_int_equal(store_blob_reader(store, &digest, &reader, &failure), -1);
    assert_int_equal(failure.code, ERR_STORE);
    OK(store_put_blob(store, bytes, SIZE, &digest, &err));
    OK(store_blob_reader(store, &digest, &reader, &err));
    assert_true(read_all(reader, &len));
    assert_int_equal(len, SIZE);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_incoming__what_comes_is_read_along),
        TEST(test_incoming__what_was_not_confirmed_has_no_end),
        TEST(test_incoming__a_transfer_begun_anew_is_not_mixed_with_the_old_one),
        TEST(test_incoming__a_second_writer_serves_who_has_read_nothing),
        TEST(test_incoming__several_expect_and_read_the_same),
        TEST(test_incoming__what_is_there_comes_from_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
