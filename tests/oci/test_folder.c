#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/stream.h"
#include "oci/folder.h"

struct fixture {
    char folder[64]; /* holds "ctx" and "store" */
    char context[80];
    int fd; /* of the context */
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof *f);
    struct error err = {0};
    snprintf(f->folder, sizeof f->folder, "/tmp/test-folder-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->context, sizeof f->context, "%s/ctx", f->folder);
    assert_int_equal(mkdir(f->context, 0755), 0);
    AUTO(mem_freep) char *store = mem_printf("%s/store", f->folder);
    assert_int_equal(store_open(store, &f->store, &err), 0);
    assert_int_equal(file_open(AT_FDCWD, f->context, O_RDONLY | O_DIRECTORY, 0, &f->fd, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    store_freep(&f->store);
    fd_closep(&f->fd);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->folder, &err), 0);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *path, const char *text)
{
    struct error err = {0};
    const char *slash = strrchr(path, '/');
    if (slash) {
        AUTO(mem_freep) char *dir = mem_strndup(path, (size_t)(slash - path));
        assert_int_equal(file_make_dirs(f->fd, dir, 0755, &err), 0);
    }
    AUTO(fd_closep) int fd = openat(f->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Long ago, so that the stat cache takes it: but a ctime cannot be set, so most tests wait. */
static void settle(void)
{
    usleep(2100 * 1000);
}

static struct tree *scan(struct fixture *f, const struct folder_filter *filter)
{
    struct tree *tree = NULL;
    struct error err = {0};
    struct folder_options options = {.filter = filter, .store = f->store};
    if (folder_tree(f->context, &options, &tree, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return tree;
}

static void assert_paths(const struct tree *tree, const char *expected)
{
    AUTO(buf_release) struct buf got = BUF_INIT(0);
    for (size_t i = 0; i < tree_len(tree); i++) {
        buf_printf(&got, "%s%s", i ? " " : "", tree_at(tree, i)->path);
    }
    assert_string_equal(buf_text(&got), expected);
}

static void test_folder__every_kind_of_entry(void **state)
{
    struct fixture *f = *state;
    put(f, "b/file", "content");
    put(f, "a", "");
    assert_int_equal(symlinkat("../nowhere", f->fd, "b/link"), 0);
    assert_int_equal(mkfifoat(f->fd, "pipe", 0600), 0);
    assert_int_equal(fchmodat(f->fd, "a", 04755, 0), 0);
    assert_int_equal(mkdirat(f->fd, "empty", 0700), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", f->context);
    AUTO(fd_closep) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    assert_paths(tree, "a b b/file b/link empty pipe socket");
    const struct entry *a = tree_find(tree, "a");
    assert_int_equal(a->type, ENTRY_FILE);
    assert_int_equal(a->mode, 04755);
    assert_int_equal(a->size, 0);
    assert_int_equal(a->uid, getuid());
    assert_true(a->flags & ENTRY_TIME_VOLATILE);
    assert_int_equal(tree_find(tree, "empty")->mode, 0700);
    assert_int_equal(tree_find(tree, "pipe")->type, ENTRY_FIFO);
    assert_int_equal(tree_find(tree, "socket")->type, ENTRY_FILE);
    assert_int_equal(tree_find(tree, "socket")->size, 0);
    assert_null(tree_find(tree, "socket")->source);
    assert_string_equal(tree_find(tree, "b/link")->link, "../nowhere");
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    struct error err = {0};
    assert_int_equal(entry_read(tree_find(tree, "b/file"), 100, &out, &err), 0);
    assert_string_equal(out.data, "content");
}

static void test_folder__hard_links_are_one_file(void **state)
{
    struct fixture *f = *state;
    put(f, "z", "same");
    assert_int_equal(linkat(f->fd, "z", f->fd, "m", 0), 0);
    assert_int_equal(mkdirat(f->fd, "c", 0755), 0);
    assert_int_equal(linkat(f->fd, "z", f->fd, "c/a", 0), 0);
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    assert_paths(tree, "c c/a m z");
    assert_int_equal(tree_find(tree, "c/a")->type, ENTRY_FILE);
    assert_int_equal(tree_find(tree, "m")->type, ENTRY_HARDLINK);
    assert_string_equal(tree_find(tree, "m")->link, "c/a");
    assert_string_equal(tree_find(tree, "z")->link, "c/a");
    struct error err = {0};
    assert_int_equal(tree_hash_files(tree, 0, tree_len(tree), f->store, NULL, &err), 0);
    struct digest expected;
    digest_of("same", 4, &expected);
    for (size_t i = 1; i < 4; i++) {
        assert_true(tree_at(tree, i)->flags & ENTRY_HAS_DIGEST);
        assert_true(digest_equal(&tree_at(tree, i)->digest, &expected));
    }
}

static void test_folder__attributes_are_read(void **state)
{
    struct fixture *f = *state;
    put(f, "file", "x");
    AUTO(mem_freep) char *path = mem_printf("%s/file", f->context);
    if (setxattr(path, "user.two", "22", 2, 0) != 0) {
        skip(); /* a file system without them */
    }
    assert_int_equal(setxattr(path, "user.one", "", 0, 0), 0);
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    const struct entry *file = tree_find(tree, "file");
    assert_int_equal(file->xattrs_len, 2);
    assert_string_equal(file->xattrs[0].name, "user.one");
    assert_int_equal(file->xattrs[0].size, 0);
    assert_string_equal(file->xattrs[1].name, "user.two");
    assert_memory_equal(file->xattrs[1].value, "22", 2);
}

static enum folder_verdict judge(void *ctx, const char *path, bool is_dir)
{
    (void)is_dir;
    const char *const *rules = ctx;
    for (size_t i = 0; rules[i]; i++) {
        if (strcmp(rules[i] + 1, path) == 0) {
            return rules[i][0] == '-'   ? FOLDER_DROP
                   : rules[i][0] == '?' ? FOLDER_ENTER
                                        : FOLDER_KEEP;
        }
    }
    return FOLDER_KEEP;
}

static void test_folder__the_filter_decides(void **state)
{
    struct fixture *f = *state;
    put(f, "keep/a", "");
    put(f, "drop/a", "");
    put(f, "enter/sub/kept", "");
    put(f, "enter/sub/dropped", "");
    put(f, "enter/other/dropped", "");
    put(f, "enter2/x", "");
    static const char *const rules[] = {"-drop",
                                        "?enter",
                                        "?enter/sub",
                                        "-enter/sub/dropped",
                                        "?enter/other",
                                        "-enter/other/dropped",
                                        "?enter2",
                                        "?enter2/x",
                                        NULL};
    struct folder_filter filter = {judge, (void *)rules};
    AUTO(tree_unrefp) struct tree *tree = scan(f, &filter);
    assert_paths(tree, "enter enter/sub enter/sub/kept keep keep/a");
}

static void test_folder__no_folder_is_a_sentence(void **state)
{
    struct fixture *f = *state;
    put(f, "file", "");
    AUTO(mem_freep) char *file = mem_printf("%s/file", f->context);
    AUTO(mem_freep) char *none = mem_printf("%s/none", f->context);
    struct tree *tree = NULL;
    struct error err = {0};
    assert_int_equal(folder_tree(file, NULL, &tree, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "is no folder"));
    assert_int_equal(folder_tree(none, NULL, &tree, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_null(tree);
}

static void assert_changed(struct tree *tree, const char *path)
{
    struct error err = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(entry_read(tree_find(tree, path), 1000, &out, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    size_t first = tree_lower_bound(tree, path);
    assert_int_equal(tree_hash_files(tree, first, first + 1, NULL, NULL, &err), -1);
    assert_non_null(strstr(err.text, path));
}

static void test_folder__what_changes_meanwhile_is_an_error(void **state)
{
    struct fixture *f = *state;
    put(f, "longer", "1234");
    put(f, "shorter", "1234");
    put(f, "gone", "1234");
    put(f, "link", "1234");
    put(f, "dir/file", "1234");
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    put(f, "longer", "12345");
    put(f, "shorter", "123");
    assert_int_equal(unlinkat(f->fd, "gone", 0), 0);
    assert_int_equal(unlinkat(f->fd, "link", 0), 0);
    assert_int_equal(symlinkat("/etc/hostname", f->fd, "link"), 0);
    assert_int_equal(renameat(f->fd, "dir", f->fd, "moved"), 0);
    assert_int_equal(symlinkat("moved", f->fd, "dir"), 0);
    assert_changed(tree, "longer");
    assert_changed(tree, "shorter");
    assert_changed(tree, "gone");
    assert_changed(tree, "link");
    assert_changed(tree, "dir/file");
}

/* The digests of the tree's files, as the scan and the cache give them. */
static void assert_digest(struct fixture *f, const char *path, const char *content)
{
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    struct error err = {0};
    struct digest expected;
    digest_of(content, strlen(content), &expected);
    assert_int_equal(tree_hash_files(tree, 0, tree_len(tree), f->store, NULL, &err), 0);
    assert_true(digest_equal(&tree_find(tree, path)->digest, &expected));
    folder_save_cache(folder_tree_source(tree), f->store);
}

/* Changes the content and puts mtime back, as a careless tool would: only ctime tells. */
static void test_folder__the_cache_is_not_fooled_by_mtime(void **state)
{
    struct fixture *f = *state;
    put(f, "file", "old!");
    settle();
    assert_digest(f, "file", "old!");
    struct stat st;
    assert_int_equal(fstatat(f->fd, "file", &st, 0), 0);
    put(f, "file", "new!");
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(f->fd, "file", times, 0), 0);
    assert_digest(f, "file", "new!");
}

static void test_folder__a_write_in_the_same_tick_is_seen(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 200; i++) {
        put(f, "file", i % 2 ? "even" : "odd!");
        assert_digest(f, "file", i % 2 ? "even" : "odd!");
    }
}

static void test_folder__the_cache_saves_reading(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put(f, "sub/file", "content");
    put(f, "other", "more");
    settle();
    assert_digest(f, "other", "more");
    AUTO(strlist_release) struct strlist names = {0};
    assert_int_equal(store_record_list(f->store, "stat", &names, &err), 0);
    assert_int_equal(names.len, 1);
    assert_string_equal(names.items[0], f->context);
    /* Hashing needs no file any more: they are gone after the scan. */
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    assert_int_equal(unlinkat(f->fd, "sub/file", 0), 0);
    assert_int_equal(unlinkat(f->fd, "other", 0), 0);
    assert_int_equal(tree_hash_files(tree, 0, tree_len(tree), f->store, NULL, &err), 0);
    struct digest expected;
    digest_of("content", 7, &expected);
    assert_true(digest_equal(&tree_find(tree, "sub/file")->digest, &expected));
}

/* On a file system that takes this machine's time, a tick is enough: a build that follows the
 * checkout need not hash everything once more the next time. */
static void test_folder__a_file_settles_within_a_tick_of_a_local_clock(void **state)
{
    struct fixture *f = *state;
    struct statfs fs;
    assert_int_equal(fstatfs(f->fd, &fs), 0);
    if (fs.f_type != TMPFS_MAGIC && fs.f_type != EXT4_SUPER_MAGIC) {
        skip();
    }
    put(f, "file", "content");
    usleep(200 * 1000);
    assert_digest(f, "file", "content");
    AUTO(tree_unrefp) struct tree *known = scan(f, NULL);
    assert_true(tree_find(known, "file")->flags & ENTRY_HAS_DIGEST);
    put(f, "file", "changed");
    assert_digest(f, "file", "changed");
}

/* The scan does not ask known files for attributes: it must see all the same that there are some
 * now, or other ones. */
static void test_folder__attributes_of_known_files_are_seen(void **state)
{
    struct fixture *f = *state;
    AUTO(mem_freep) char *plain = mem_printf("%s/plain", f->context);
    AUTO(mem_freep) char *marked = mem_printf("%s/marked", f->context);
    put(f, "plain", "content");
    put(f, "marked", "content");
    if (setxattr(marked, "user.one", "1", 1, 0) != 0) {
        skip(); /* this file system has none */
    }
    settle();
    assert_digest(f, "plain", "content");
    AUTO(tree_unrefp) struct tree *known = scan(f, NULL);
    assert_true(tree_find(known, "plain")->flags & ENTRY_HAS_DIGEST);
    assert_int_equal(tree_find(known, "plain")->xattrs_len, 0);
    assert_int_equal(tree_find(known, "marked")->xattrs_len, 1);
    assert_int_equal(setxattr(plain, "user.two", "2", 1, 0), 0);
    assert_int_equal(removexattr(marked, "user.one"), 0);
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    assert_int_equal(tree_find(tree, "plain")->xattrs_len, 1);
    assert_int_equal(tree_find(tree, "marked")->xattrs_len, 0);
}

/* Whoever leaves attributes out knows nothing of them: the next one has to ask. */
static void test_folder__attributes_left_out_are_not_forgotten(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(mem_freep) char *file = mem_printf("%s/file", f->context);
    put(f, "file", "content");
    if (setxattr(file, "user.one", "1", 1, 0) != 0) {
        skip();
    }
    settle();
    struct folder_options options = {.store = f->store, .no_xattrs = true, .root_owned = true};
    AUTO(tree_unrefp) struct tree *without = NULL;
    assert_int_equal(folder_tree(f->context, &options, &without, &err), 0);
    assert_int_equal(tree_at(without, 0)->xattrs_len, 0);
    assert_int_equal(tree_hash_files(without, 0, 1, f->store, NULL, &err), 0);
    folder_save_cache(folder_tree_source(without), f->store);
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    assert_true(tree_at(tree, 0)->flags & ENTRY_HAS_DIGEST);
    assert_int_equal(tree_at(tree, 0)->xattrs_len, 1);
}

static void test_folder__owners_are_those_on_disk_or_root(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put(f, "dir/file", "");
    if (fchownat(f->fd, "dir", 7, 8, 0) != 0 || fchownat(f->fd, "dir/file", 9, 10, 0) != 0) {
        skip(); /* not root */
    }
    AUTO(tree_unrefp) struct tree *own = scan(f, NULL);
    struct folder_options options = {.root_owned = true};
    AUTO(tree_unrefp) struct tree *roots = NULL;
    assert_int_equal(folder_tree(f->context, &options, &roots, &err), 0);
    assert_int_equal(tree_at(own, 0)->uid * 100 + tree_at(own, 0)->gid, 708);
    assert_int_equal(tree_at(own, 1)->uid * 100 + tree_at(own, 1)->gid, 910);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tree_at(roots, i)->uid + tree_at(roots, i)->gid, 0);
    }
}

static void test_folder__a_damaged_cache_is_no_cache(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put(f, "file", "content");
    static const char *const bad[] = {"", "slipway-stat 2 ", "slipway-stat 2 0000000009\n",
                                      "slipway-stat 2 9999999999\nxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                      "slipway-stat 2 0000000001\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_release) struct buf bytes = BUF_INIT(0);
        buf_puts(&bytes, bad[i]);
        memset(buf_reserve(&bytes, 90), 0xff, 90);
        bytes.len += i % 2 ? 90 : 0;
        assert_int_equal(
            store_record_put(f->store, "stat", f->context, buf_text(&bytes), bytes.len, &err), 0);
        assert_digest(f, "file", "content");
    }
}

static void test_folder__many_files_in_parallel(void **state)
{
    struct fixture *f = *state;
    enum { FILES = 17000 }; /* more than one round of a scan */
    for (int i = 0; i < FILES; i++) {
        char path[64];
        char text[64];
        snprintf(path, sizeof path, "d%d/f%05d", i % 7, i);
        snprintf(text, sizeof text, "text %d", i);
        put(f, path, text);
    }
    AUTO(pool_freep) struct pool *pool = pool_new(4);
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    struct error err = {0};
    assert_int_equal(tree_len(tree), FILES + 7);
    assert_int_equal(tree_hash_files(tree, 0, tree_len(tree), f->store, pool, &err), 0);
    for (int i = 0; i < FILES; i++) {
        char path[64];
        char text[64];
        struct digest expected;
        snprintf(path, sizeof path, "d%d/f%05d", i % 7, i);
        snprintf(text, sizeof text, "text %d", i);
        digest_of(text, strlen(text), &expected);
        assert_true(digest_equal(&tree_find(tree, path)->digest, &expected));
    }
}

static void test_folder__a_very_deep_folder_needs_few_descriptors(void **state)
{
    struct fixture *f = *state;
    enum { DEPTH = 1500 };
    AUTO(fd_closep) int fd = dup(f->fd);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    AUTO(tree_unrefp) struct tree *tree = scan(f, NULL);
    assert_int_equal(tree_len(tree), DEPTH);
}

int main(void)
{
#define CASE(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_folder__every_kind_of_entry),
        CASE(test_folder__hard_links_are_one_file),
        CASE(test_folder__attributes_are_read),
        CASE(test_folder__the_filter_decides),
        CASE(test_folder__no_folder_is_a_sentence),
        CASE(test_folder__what_changes_meanwhile_is_an_error),
        CASE(test_folder__the_cache_is_not_fooled_by_mtime),
        CASE(test_folder__a_write_in_the_same_tick_is_seen),
        CASE(test_folder__the_cache_saves_reading),
        CASE(test_folder__a_file_settles_within_a_tick_of_a_local_clock),
        CASE(test_folder__attributes_of_known_files_are_seen),
        CASE(test_folder__attributes_left_out_are_not_forgotten),
        CASE(test_folder__owners_are_those_on_disk_or_root),
        CASE(test_folder__a_damaged_cache_is_no_cache),
        CASE(test_folder__many_files_in_parallel),
        CASE(test_folder__a_very_deep_folder_needs_few_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
