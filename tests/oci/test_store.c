#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/store.h"

struct fixture {
    char folder[64];
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof *f);
    struct error err = {0};
    snprintf(f->folder, sizeof f->folder, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    AUTO(mem_freep) char *path = mem_printf("%s/a/b", f->folder);
    assert_int_equal(store_open(path, &f->store, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    store_freep(&f->store);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->folder, &err), 0);
    free(f);
    return 0;
}

/* Number of entries of the folder PATH of the store, "." and ".." not counted. */
static int count(struct store *store, const char *path)
{
    int fd = openat(store_fd(store), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(fd);
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    }
    closedir(dir);
    return n;
}

static void test_store__the_folder_is_private(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(fstat(store_fd(f->store), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(store_path(f->store)[0], '/');
}

static void test_store__a_blob_comes_back(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct digest digest;
    uint64_t size = 0;
    assert_int_equal(store_put_blob(f->store, "hello", 5, &digest, &err), 0);
    char text[DIGEST_TEXT_SIZE];
    assert_string_equal(digest_format(&digest, text),
                        "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_true(store_has_blob(f->store, &digest, &size));
    assert_int_equal(size, 5);
    AUTO(buf_release) struct buf out = BUF_INIT(100);
    assert_int_equal(store_read_blob(f->store, &digest, 5, &out, &err), 0);
    assert_string_equal(out.data, "hello");
    assert_int_equal(store_read_blob(f->store, &digest, 4, &out, &err), -1);
    assert_int_equal(err.code, ERR_STORE);
    assert_int_equal(store_remove_blob(f->store, &digest, &err), 0);
    assert_int_equal(store_remove_blob(f->store, &digest, &err), 0);
    assert_false(store_has_blob(f->store, &digest, NULL));
    assert_int_equal(store_read_blob(f->store, &digest, 5, &out, &err), -1);
    assert_non_null(strstr(err.text, "is not there"));
}

static void overwrite(struct store *store, const struct digest *digest, const char *bytes)
{
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(digest, hex));
    AUTO(fd_closep) int fd = openat(store_fd(store), path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
}

static void test_store__a_damaged_blob_is_seen_and_can_be_made_anew(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct digest digest;
    AUTO(buf_release) struct buf out = BUF_INIT(100);
    assert_int_equal(store_put_blob(f->store, "hello", 5, &digest, &err), 0);
    overwrite(f->store, &digest, "HELLO");
    assert_int_equal(store_read_blob(f->store, &digest, 100, &out, &err), -1);
    assert_non_null(strstr(err.text, "damaged"));
    assert_int_equal(out.len, 0);
    assert_false(store_has_blob(f->store, &digest, NULL));
    assert_int_equal(store_put_blob(f->store, "hello", 5, &digest, &err), 0);
    overwrite(f->store, &digest, "hel"); /* cut short by a power loss */
    assert_int_equal(store_put_blob(f->store, "hello", 5, &digest, &err), 0);
    assert_int_equal(store_read_blob(f->store, &digest, 100, &out, &err), 0);
    overwrite(f->store, &digest, "");
    assert_false(store_has_blob(f->store, &digest, NULL));
}

static void test_store__a_blob_that_is_there_is_not_written_again(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct digest digest;
    struct stat before;
    struct stat after;
    assert_int_equal(store_put_blob(f->store, "hello", 5, &digest, &err), 0);
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(&digest, hex));
    assert_int_equal(fstatat(store_fd(f->store), path, &before, 0), 0);
    assert_int_equal(store_put_blob(f->store, "hello", 5, &digest, &err), 0);
    AUTO(blob_writer_freep) struct blob_writer *w = NULL;
    assert_int_equal(blob_writer_open(f->store, &w, &err), 0);
    assert_int_equal(writer_write(blob_writer_stream(w), "hello", 5, &err), 0);
    assert_int_equal(blob_writer_commit(w, &digest, 5, NULL, NULL, &err), 0);
    assert_int_equal(fstatat(store_fd(f->store), path, &after, 0), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void test_store__a_writer_hashes_pieces_of_any_size(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    enum { LEN = 300000 };
    AUTO(mem_freep) char *data = mem_alloc(LEN);
    for (size_t i = 0; i < LEN; i++) {
        data[i] = (char)(i * 31 >> 3);
    }
    struct digest expected;
    struct digest got;
    uint64_t size = 0;
    digest_of(data, LEN, &expected);
    static const size_t pieces[] = {1, 7, 4096, 65535, 65536, 65537, LEN};
    for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
        AUTO(blob_writer_freep) struct blob_writer *w = NULL;
        assert_int_equal(blob_writer_open(f->store, &w, &err), 0);
        assert_int_equal(writer_write(blob_writer_stream(w), "dropped", 7, &err), 0);
        assert_int_equal(blob_writer_restart(w, &err), 0);
        for (size_t at = 0; at < LEN; at += pieces[p]) {
            size_t n = LEN - at < pieces[p] ? LEN - at : pieces[p];
            assert_int_equal(writer_write(blob_writer_stream(w), data + at, n, &err), 0);
        }
        assert_int_equal(blob_writer_size(w), LEN);
        assert_int_equal(blob_writer_commit(w, NULL, UINT64_MAX, &got, &size, &err), 0);
        assert_true(digest_equal(&got, &expected));
        assert_int_equal(size, LEN);
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        assert_int_equal(store_read_blob(f->store, &got, LEN, &out, &err), 0);
        assert_memory_equal(out.data, data, LEN);
        assert_int_equal(store_remove_blob(f->store, &got, &err), 0);
    }
}

static void test_store__wrong_digest_or_size_is_no_blob(void **state)
{
    struct fixture *f = *state;
    struct digest other;
    struct digest own;
    digest_of("other", 5, &other);
    digest_of("hello", 5, &own);
    static const struct {
        bool wrong_digest;
        uint64_t size;
    } cases[] = {{true, 5}, {false, 6}, {true, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(blob_writer_freep) struct blob_writer *w = NULL;
        assert_int_equal(blob_writer_open(f->store, &w, &err), 0);
        assert_int_equal(writer_write(blob_writer_stream(w), "hello", 5, &err), 0);
        assert_int_equal(blob_writer_commit(w, cases[i].wrong_digest ? &other : &own, cases[i].size,
                                            NULL, NULL, &err),
                         -1);
        assert_int_equal(err.code, ERR_REMOTE);
        blob_writer_freep(&w);
    }
    assert_int_equal(count(f->store, "blobs/sha256"), 0);
}

static void test_store__an_abandoned_writer_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(blob_writer_freep) struct blob_writer *w = NULL;
    assert_int_equal(blob_writer_open(f->store, &w, &err), 0);
    assert_int_equal(writer_write(blob_writer_stream(w), "hello", 5, &err), 0);
    blob_writer_freep(&w);
    assert_int_equal(count(f->store, "blobs/sha256"), 0);
    AUTO(mem_freep) char *name = NULL;
    assert_int_equal(store_temp_name(f->store, &name, &err), 0);
    *strrchr(name, '/') = '\0';
    assert_int_equal(count(f->store, name), 0);
}

static void test_store__records_of_any_name(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(mem_freep) char *lengthy = mem_alloc(5001);
    memset(lengthy, 'x', 5000);
    lengthy[5000] = '\0';
    const char *names[] = {"plain",   "../../escape", "docker.io/library/app:1",
                           "",        ".hidden",      "line\nbreak",
                           lengthy,   "@odd",         "sha256:aa",
                           "plain/x", "PLAIN"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(mem_freep) char *value = mem_printf("value %zu", i);
        assert_int_equal(store_record_put(f->store, "tags", names[i], "old", 3, &err), 0);
        assert_int_equal(
            store_record_put(f->store, "tags", names[i], value, strlen(value) + 1, &err), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(mem_freep) char *value = mem_printf("value %zu", i);
        AUTO(buf_release) struct buf out = BUF_INIT(100);
        bool found = false;
        assert_int_equal(store_record_get(f->store, "tags", names[i], &out, &found, &err), 0);
        assert_true(found);
        assert_int_equal(out.len, strlen(value) + 1);
        assert_string_equal(out.data, value);
    }
    AUTO(strlist_release) struct strlist list = {0};
    assert_int_equal(store_record_list(f->store, "tags", &list, &err), 0);
    assert_int_equal(list.len, ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_true(strlist_has(&list, names[i]));
        assert_int_equal(store_record_remove(f->store, "tags", names[i], &err), 0);
        assert_int_equal(store_record_remove(f->store, "tags", names[i], &err), 0);
    }
    assert_int_equal(count(f->store, "records/tags"), 0);
    assert_int_equal(store_record_list(f->store, "never", &list, &err), 0);
    assert_int_equal(store_record_put(f->store, "../x", "a", "", 0, &err), -1);
}

static void test_store__a_damaged_record_is_missing(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    assert_int_equal(store_record_put(f->store, "steps", "key", "value", 5, &err), 0);
    AUTO(buf_release) struct buf good = BUF_INIT(0);
    assert_int_equal(file_read(store_fd(f->store), "records/steps/key", 1000, &good, NULL, &err),
                     0);
    for (size_t i = 0; i <= good.len; i++) {
        /* every byte changed once, and every shorter length */
        AUTO(mem_freep) char *bad = mem_dup(good.data, good.len + 1);
        bad[i] = (char)(bad[i] ^ 1);
        size_t lengths[] = {i < good.len ? good.len : good.len + 1, i};
        for (size_t k = 0; k < 2; k++) {
            if (k == 1 && i == good.len) {
                continue;
            }
            assert_int_equal(file_write_atomic(store_fd(f->store), "records/steps/key",
                                               k ? good.data : bad, lengths[k], 0644, false, &err),
                             0);
            AUTO(buf_release) struct buf out = BUF_INIT(0);
            bool found = true;
            assert_int_equal(store_record_get(f->store, "steps", "key", &out, &found, &err), 0);
            assert_false(found);
            assert_int_equal(out.len, 0);
        }
    }
    AUTO(strlist_release) struct strlist list = {0};
    assert_int_equal(store_record_list(f->store, "steps", &list, &err), 0);
    assert_int_equal(list.len, 0);
}

static void test_store__origins_newest_first(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct digest digest;
    digest_of("x", 1, &digest);
    for (int i = 0; i < 20; i++) {
        AUTO(mem_freep) char *place = mem_printf("host/repo%d", i);
        assert_int_equal(store_origin_add(f->store, &digest, place, &err), 0);
    }
    assert_int_equal(store_origin_add(f->store, &digest, "host/repo10", &err), 0);
    AUTO(strlist_release) struct strlist list = {0};
    assert_int_equal(store_origin_list(f->store, &digest, &list, &err), 0);
    assert_int_equal(list.len, 16);
    assert_string_equal(list.items[0], "host/repo10");
    assert_string_equal(list.items[1], "host/repo19");
    assert_string_equal(list.items[15], "host/repo4");
    assert_int_equal(store_origin_add(f->store, &digest, "a\nb", &err), -1);
}

struct lock_race {
    struct store *store;
    int inside; /* guarded by the lock under test */
    int worst;
};

static void *lock_often(void *arg)
{
    struct lock_race *race = arg;
    for (int i = 0; i < 50; i++) {
        struct error err = {0};
        AUTO(store_unlockp) int lock = -1;
        if (store_lock(race->store, "name", &lock, &err) != 0) {
            race->worst = 1000;
            return NULL;
        }
        int now = __atomic_add_fetch(&race->inside, 1, __ATOMIC_SEQ_CST);
        race->worst = now > race->worst ? now : race->worst;
        usleep(50);
        __atomic_sub_fetch(&race->inside, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void test_store__a_lock_excludes_threads(void **state)
{
    struct fixture *f = *state;
    struct lock_race race = {.store = f->store};
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, lock_often, &race), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(race.worst, 1);
}

/* Runs FN in a child process that says on a pipe when it got far enough. */
static pid_t start_child(const char *path, void (*fn)(struct store *store, int ready))
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = NULL;
        struct error err = {0};
        if (store_open(path, &store, &err) == 0) {
            fn(store, ends[1]);
        }
        _exit(3);
    }
    assert_true(pid > 0);
    close(ends[1]);
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static void write_for_ever(struct store *store, int ready)
{
    struct error err = {0};
    for (uint64_t i = 0;; i++) {
        struct blob_writer *w = NULL;
        struct digest digest;
        char name[32];
        if (blob_writer_open(store, &w, &err) != 0) {
            return;
        }
        for (int k = 0; k < 50; k++) {
            writer_write(blob_writer_stream(w), &i, sizeof i, &err);
        }
        char *dir = NULL;
        if (blob_writer_commit(w, NULL, UINT64_MAX, &digest, NULL, &err) != 0 ||
            store_temp_dir(store, &dir, &err) != 0) {
            return;
        }
        free(dir);
        blob_writer_freep(&w);
        snprintf(name, sizeof name, "%llu", (unsigned long long)i);
        if (store_record_put(store, "steps", name, &digest, sizeof digest, &err) != 0) {
            return;
        }
        if (i == 20 && write(ready, "x", 1) != 1) {
            return;
        }
    }
}

static void test_store__a_kill_leaves_no_record_without_its_blob(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    for (int round = 0; round < 5; round++) {
        pid_t pid = start_child(store_path(f->store), write_for_ever);
        usleep((useconds_t)round * 700);
        kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status));
        AUTO(strlist_release) struct strlist list = {0};
        assert_int_equal(store_record_list(f->store, "steps", &list, &err), 0);
        assert_true(list.len > 20);
        for (size_t i = 0; i < list.len; i++) {
            AUTO(buf_release) struct buf value = BUF_INIT(100);
            AUTO(buf_release) struct buf blob = BUF_INIT(0);
            bool found = false;
            assert_int_equal(
                store_record_get(f->store, "steps", list.items[i], &value, &found, &err), 0);
            assert_true(found);
            assert_int_equal(value.len, sizeof(struct digest));
            struct digest digest;
            memcpy(&digest, value.data, sizeof digest);
            assert_int_equal(store_read_blob(f->store, &digest, 1000, &blob, &err), 0);
            assert_int_equal(blob.len, 400);
        }
    }
    /* The next who opens the store clears away what the dead left, and nothing of the living. */
    AUTO(mem_freep) char *mine = NULL;
    assert_int_equal(store_temp_dir(f->store, &mine, &err), 0);
    assert_true(count(f->store, "tmp") > 2);
    AUTO(store_freep) struct store *second = NULL;
    assert_int_equal(store_open(store_path(f->store), &second, &err), 0);
    assert_int_equal(count(f->store, "tmp"), 2); /* our folder and its lock */
    assert_int_equal(faccessat(store_fd(f->store), mine, F_OK, 0), 0);
}

static void hold_lock(struct store *store, int ready)
{
    struct error err = {0};
    int lock = -1;
    if (store_lock(store, "held", &lock, &err) != 0 || write(ready, "x", 1) != 1) {
        return;
    }
    usleep(100 * 1000);
    int fd = openat(store_fd(store), "done", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)fd;
    _exit(0);
}

static void test_store__a_lock_excludes_processes_and_ends_with_them(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    pid_t pid = start_child(store_path(f->store), hold_lock);
    AUTO(store_unlockp) int lock = -1;
    assert_int_equal(store_lock(f->store, "held", &lock, &err), 0);
    assert_int_equal(faccessat(store_fd(f->store), "done", F_OK, 0), 0);
    waitpid(pid, NULL, 0);
}

static void test_store__two_processes_write_the_same(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    pid_t pids[2];
    for (int i = 0; i < 2; i++) {
        pids[i] = start_child(store_path(f->store), write_for_ever);
    }
    usleep(50 * 1000);
    for (int i = 0; i < 2; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, WNOHANG), 0); /* no write failed */
        kill(pids[i], SIGKILL);
        waitpid(pids[i], &status, 0);
    }
    AUTO(strlist_release) struct strlist list = {0};
    assert_int_equal(store_record_list(f->store, "steps", &list, &err), 0);
    assert_true(list.len > 20);
}

/* RLIMIT_FSIZE stands for a full disk. */
static void test_store__a_full_disk_makes_no_blob(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    enum { LEN = 100000, ROOM = 50000 };
    AUTO(mem_freep) char *data = mem_calloc(LEN, 1);
    struct digest digest;
    AUTO(blob_writer_freep) struct blob_writer *w = NULL;
    assert_int_equal(blob_writer_open(f->store, &w, &err), 0);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit full = {ROOM, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    int written = writer_write(blob_writer_stream(w), data, LEN, &err);
    struct error put_err = {0};
    int put = store_put_blob(f->store, data, LEN, &digest, &put_err);
    struct error commit_err = {0};
    int committed = blob_writer_commit(w, NULL, UINT64_MAX, NULL, NULL, &commit_err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(written, -1);
    assert_int_equal(err.code, ERR_STORE);
    assert_int_equal(put, -1);
    assert_int_equal(put_err.code, ERR_STORE);
    assert_int_equal(committed, -1); /* even where the caller overlooked the failed write */
    assert_int_equal(commit_err.code, ERR_STORE);
    assert_int_equal(count(f->store, "blobs/sha256"), 0);
    /* with room again, the same writer can begin again */
    assert_int_equal(blob_writer_restart(w, &err), 0);
    assert_int_equal(writer_write(blob_writer_stream(w), data, LEN, &err), 0);
    assert_int_equal(blob_writer_commit(w, NULL, LEN, &digest, NULL, &err), 0);
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(store_read_blob(f->store, &digest, LEN, &out, &err), 0);
}

static void test_store__what_cannot_be_written_is_a_sentence(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(mem_freep) char *file = mem_printf("%s/file", f->folder);
    assert_int_equal(file_write_atomic(AT_FDCWD, file, "x", 1, 0600, false, &err), 0);
    AUTO(mem_freep) char *below = mem_printf("%s/store", file);
    AUTO(store_freep) struct store *store = NULL;
    assert_int_equal(store_open(below, &store, &err), -1);
    assert_int_equal(err.code, ERR_STORE);
    assert_non_null(strstr(err.text, "Not a directory"));
    assert_null(store);
}

int main(void)
{
#define CASE(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_store__the_folder_is_private),
        CASE(test_store__a_blob_comes_back),
        CASE(test_store__a_damaged_blob_is_seen_and_can_be_made_anew),
        CASE(test_store__a_blob_that_is_there_is_not_written_again),
        CASE(test_store__a_writer_hashes_pieces_of_any_size),
        CASE(test_store__wrong_digest_or_size_is_no_blob),
        CASE(test_store__an_abandoned_writer_leaves_nothing),
        CASE(test_store__records_of_any_name),
        CASE(test_store__a_damaged_record_is_missing),
        CASE(test_store__origins_newest_first),
        CASE(test_store__a_lock_excludes_threads),
        CASE(test_store__a_kill_leaves_no_record_without_its_blob),
        CASE(test_store__a_lock_excludes_processes_and_ends_with_them),
        CASE(test_store__two_processes_write_the_same),
        CASE(test_store__a_full_disk_makes_no_blob),
        CASE(test_store__what_cannot_be_written_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
