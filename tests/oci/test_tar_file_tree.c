#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/store.h"
#include "oci/tar_read.h"

static char home[] = "/tmp/test-tar-file-XXXXXX";
static struct store *store;

static int setup(void **state)
{
    (void)state;
    struct error err = {0};
    return !mkdtemp(home) || store_open(home, &store, &err) != 0;
}

static int teardown(void **state)
{
    (void)state;
    struct error err = {0};
    store_freep(&store);
    return file_remove_tree(AT_FDCWD, home, &err);
}

static int file_of(const void *data, size_t len)
{
    AUTO(mem_freep) char *path = mem_printf("%s/file", home);
    struct error err = {0};
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_fd(fd, path, data, len, &err), 0);
    return fd;
}

/* An archive of "dir/", "dir/file" (content "hello") and a hard and a symbolic link to it. */
static size_t make(char *to, size_t cap, int (*filter)(struct archive *))
{
    struct archive *a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    filter(a);
    size_t used = 0;
    assert_int_equal(archive_write_open_memory(a, to, cap, &used), ARCHIVE_OK);
    for (int i = 0; i < 4; i++) {
        struct archive_entry *e = archive_entry_new();
        static const char *const names[] = {"dir/", "dir/file", "dir/hard", "dir/sym"};
        archive_entry_set_pathname(e, names[i]);
        archive_entry_set_mode(e, i == 0   ? S_IFDIR | 0750
                                  : i == 3 ? S_IFLNK | 0777
                                           : S_IFREG | 0640);
        archive_entry_set_mtime(e, 1577836800, 0);
        archive_entry_set_uid(e, 11);
        archive_entry_set_size(e, i == 1 ? 5 : 0);
        if (i == 2) {
            archive_entry_set_hardlink(e, "dir/file");
        }
        if (i == 3) {
            archive_entry_set_symlink(e, "file");
        }
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        if (i == 1) {
            assert_int_equal(archive_write_data(a, "hello", 5), 5);
        }
        archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
    return used;
}

static int plain(struct archive *a)
{
    return archive_write_add_filter_none(a);
}

static void test_tar_file_tree__every_compression(void **state)
{
    (void)state;
    int (*const filters[])(struct archive *) = {
        plain, archive_write_add_filter_gzip, archive_write_add_filter_bzip2,
        archive_write_add_filter_xz, archive_write_add_filter_zstd};
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        static char data[1 << 20];
        size_t len = make(data, sizeof data, filters[i]);
        int fd = file_of(data, len);
        struct error err = {0};
        bool is_archive = false;
        AUTO(tree_unrefp) struct tree *tree = NULL;
        if (tar_file_tree(store, fd, "a.tar", &tree, &is_archive, &err) != 0) {
            fail_msg("%s", err.text);
        }
        close(fd); /* the tree has its own */
        assert_true(is_archive);
        assert_int_equal(tree_len(tree), 4);
        assert_int_equal(tree_find(tree, "dir")->mode, 0750);
        assert_int_equal(tree_find(tree, "dir/file")->mtime, 1577836800);
        assert_int_equal(tree_find(tree, "dir/file")->uid, 11);
        assert_string_equal(tree_find(tree, "dir/sym")->link, "file");
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        assert_int_equal(entry_read(tree_find(tree, "dir/hard"), 100, &text, &err), 0);
        assert_string_equal(buf_text(&text), "hello");
    }
}

static void assert_plain_file(const void *data, size_t len)
{
    AUTO(fd_closep) int fd = file_of(data, len);
    struct error err = {0};
    bool is_archive = true;
    struct tree *tree = NULL;
    assert_int_equal(tar_file_tree(store, fd, "file", &tree, &is_archive, &err), 0);
    assert_false(is_archive);
    assert_null(tree);
}

static void test_tar_file_tree__what_only_looks_like_an_archive_is_a_file(void **state)
{
    (void)state;
    static char data[20000];
    assert_plain_file("", 0);
    assert_plain_file("short text\n", 11);
    assert_plain_file("\x1f\x8b\x08 not gzip at all", 20);
    assert_plain_file("BZh not bzip2", 13);
    assert_plain_file("\xfd"
                      "7zXZ\0 not xz",
                      14);
    assert_plain_file(data, 10240); /* an empty tar: BuildKit sees no archive in it */
    static char archive[1 << 20];
    size_t len = make(archive, sizeof archive, plain);
    archive[20] ^= 1;
    assert_plain_file(archive, len);
}

static void test_tar_file_tree__damage_behind_the_first_header_is_an_error(void **state)
{
    (void)state;
    static char archive[1 << 20];
    make(archive, sizeof archive, plain);
    archive[512 + 20] ^= 1;
    AUTO(fd_closep) int fd = file_of(archive, 5000);
    struct error err = {0};
    bool is_archive = false;
    struct tree *tree = NULL;
    assert_int_equal(tar_file_tree(store, fd, "src/a.tar", &tree, &is_archive, &err), -1);
    assert_int_equal(err.code, ERR_STEP);
    assert_int_equal(strncmp(err.text, "src/a.tar: ", 11), 0);
}

static void test_tar_file_tree__truncated_compression_is_an_error(void **state)
{
    (void)state;
    int (*const filters[])(struct archive *) = {
        archive_write_add_filter_gzip, archive_write_add_filter_zstd, archive_write_add_filter_xz};
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        static char data[4 << 20];
        /* Noise behind the first header, so that the header is unpacked before the cut. */
        struct archive *a = archive_write_new();
        archive_write_set_format_ustar(a);
        filters[i](a);
        size_t used = 0;
        archive_write_open_memory(a, data, sizeof data, &used);
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, "noise");
        archive_entry_set_mode(e, S_IFREG | 0644);
        archive_entry_set_size(e, 2 << 20);
        archive_write_header(a, e);
        AUTO(mem_freep) char *noise = mem_alloc(2 << 20);
        uint32_t x = 9;
        for (size_t k = 0; k < 2 << 20; k++) {
            x = x * 1664525 + 1013904223;
            noise[k] = (char)(x >> 24);
        }
        archive_write_data(a, noise, 2 << 20);
        archive_entry_free(e);
        archive_write_close(a);
        archive_write_free(a);
        AUTO(fd_closep) int fd = file_of(data, used / 2);
        struct error err = {0};
        bool is_archive = false;
        struct tree *tree = NULL;
        assert_int_equal(tar_file_tree(store, fd, "n.tar", &tree, &is_archive, &err), -1);
        assert_int_equal(err.code, ERR_STEP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tar_file_tree__every_compression),
        cmocka_unit_test(test_tar_file_tree__what_only_looks_like_an_archive_is_a_file),
        cmocka_unit_test(test_tar_file_tree__damage_behind_the_first_header_is_an_error),
        cmocka_unit_test(test_tar_file_tree__truncated_compression_is_an_error),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
