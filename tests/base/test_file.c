#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

struct fixture {
    char folder[64];
    int fd;
};

static int setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof *f);
    struct error err = {0};
    snprintf(f->folder, sizeof f->folder, "/tmp/test-file-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(file_open(AT_FDCWD, f->folder, O_RDONLY | O_DIRECTORY, 0, &f->fd, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    fd_closep(&f->fd);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->folder, &err), 0);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *path, const char *text)
{
    struct error err = {0};
    assert_int_equal(file_write_atomic(f->fd, path, text, strlen(text), 0644, false, &err), 0);
}

static void assert_content(struct fixture *f, const char *path, const char *expected)
{
    struct error err = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    bool found = true;
    assert_int_equal(file_read(f->fd, path, 1000, &text, &found, &err), 0);
    assert_int_equal(found, expected != NULL);
    if (expected) {
        assert_string_equal(buf_text(&text), expected);
    }
}

static void test_file__a_write_replaces_whole(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct stat st;
    put(f, "file", "old and long");
    put(f, "file", "new");
    assert_content(f, "file", "new");
    assert_int_equal(file_write_atomic(f->fd, "secret", "x", 1, 0600, true, &err), 0);
    assert_int_equal(fstatat(f->fd, "secret", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(mkdirat(f->fd, "dir", 0755), 0);
    put(f, "dir/file", "x");
    /* what fails leaves no temporary file: the folder can be removed as an empty one */
    assert_int_equal(mkdirat(f->fd, "dir2", 0755), 0);
    assert_int_equal(mkdirat(f->fd, "dir2/taken", 0755), 0);
    assert_int_equal(file_write_atomic(f->fd, "dir2/taken", "x", 1, 0644, false, &err), -1);
    assert_int_equal(unlinkat(f->fd, "dir2/taken", AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(f->fd, "dir2", AT_REMOVEDIR), 0);
}

static void test_file__reading_is_limited_and_missing_is_told(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    put(f, "file", "12345");
    assert_content(f, "none", NULL);
    assert_content(f, "file/below", NULL);
    assert_int_equal(file_read(f->fd, "none", 10, &text, NULL, &err), -1);
    assert_non_null(strstr(err.text, "none"));
    assert_int_equal(file_read(f->fd, "file", 5, &text, NULL, &err), 0);
    buf_clear(&text);
    assert_int_equal(file_read(f->fd, "file", 4, &text, NULL, &err), -1);
    assert_int_equal(file_read(f->fd, "/dev/zero", 100000, &text, NULL, &err), -1);
}

static void test_file__folders_are_made_with_their_parents(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    assert_int_equal(file_make_dirs(f->fd, "a/b//c/", 0755, &err), 0);
    assert_int_equal(file_make_dirs(f->fd, "a/b/c", 0755, &err), 0);
    assert_int_equal(faccessat(f->fd, "a/b/c", X_OK, 0), 0);
    put(f, "a/file", "");
    assert_int_equal(file_make_dirs(f->fd, "a/file/d", 0755, &err), -1);
    AUTO(mem_freep) char *absolute = mem_printf("%s/x/y", f->folder);
    assert_int_equal(file_make_dirs(AT_FDCWD, absolute, 0755, &err), 0);
    assert_int_equal(faccessat(f->fd, "x/y", X_OK, 0), 0);
}

static void test_file__removing_follows_no_link(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(mem_freep) char *outside = mem_printf("%s/outside", f->folder);
    assert_int_equal(file_make_dirs(f->fd, "outside/kept", 0755, &err), 0);
    put(f, "outside/file", "kept");
    assert_int_equal(file_make_dirs(f->fd, "gone/a/b", 0755, &err), 0);
    put(f, "gone/a/file", "x");
    assert_int_equal(symlinkat(outside, f->fd, "gone/link"), 0);
    assert_int_equal(symlinkat("../../../outside", f->fd, "gone/a/b/link"), 0);
    assert_int_equal(symlinkat(".", f->fd, "gone/self"), 0);
    assert_int_equal(mkfifoat(f->fd, "gone/pipe", 0600), 0);
    assert_int_equal(linkat(f->fd, "outside/file", f->fd, "gone/hard", 0), 0);
    assert_int_equal(fchmodat(f->fd, "gone/a/b", 0, 0), 0);
    assert_int_equal(fchmodat(f->fd, "gone/a", 0500, 0), 0);
    assert_int_equal(file_remove_tree(f->fd, "gone", &err), 0);
    assert_int_equal(faccessat(f->fd, "gone", F_OK, AT_SYMLINK_NOFOLLOW), -1);
    assert_content(f, "outside/file", "kept");
    assert_int_equal(faccessat(f->fd, "outside/kept", F_OK, 0), 0);
    assert_int_equal(symlinkat("outside", f->fd, "link"), 0);
    assert_int_equal(file_remove_tree(f->fd, "link", &err), 0);
    assert_content(f, "outside/file", "kept");
    assert_int_equal(file_remove_tree(f->fd, "none", &err), 0);
    assert_int_equal(file_remove_tree(f->fd, "none/below", &err), 0);
}

static void test_file__removing_the_very_deep_needs_few_descriptors(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    enum { DEPTH = 3000, ALLOWED = 100 };
    AUTO(fd_closep) int fd = dup(f->fd);
    for (int i = 0; i < DEPTH; i++) {
        int next = -1;
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        assert_int_equal(file_open(fd, "d", O_RDONLY | O_DIRECTORY, 0, &next, &err), 0);
        assert_int_equal(mkdirat(fd, "e", 0755), 0);
        close(fd);
        fd = next;
    }
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit few = {ALLOWED, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int result = file_remove_tree(f->fd, "d", &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    assert_int_equal(faccessat(f->fd, "d", F_OK, 0), -1);
}

static void test_file__nothing_leads_out_of_the_root(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(fd_closep) int root = -1;
    assert_int_equal(file_make_dirs(f->fd, "root/etc", 0755, &err), 0);
    put(f, "outside", "outside");
    put(f, "root/etc/name", "inside");
    assert_int_equal(symlinkat("/etc/name", f->fd, "root/absolute"), 0);
    assert_int_equal(symlinkat("../../../outside", f->fd, "root/up"), 0);
    assert_int_equal(symlinkat("etc", f->fd, "root/dir"), 0);
    assert_int_equal(file_open(f->fd, "root", O_RDONLY | O_DIRECTORY, 0, &root, &err), 0);
    static const struct {
        const char *path;
        bool in_root;
        bool no_links;
    } cases[] = {
        {"etc/name", true, true},
        {"absolute", true, false},
        {"dir/name", true, false},
        {"up", false, false},
        {"../outside", false, false},
        {"../../outside", false, false},
        {"etc/../../outside", false, false},
        {"none", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(fd_closep) int one = -1;
        AUTO(fd_closep) int two = -1;
        assert_int_equal(file_open_in_root(root, cases[i].path, O_RDONLY, 0, &one, &err),
                         cases[i].in_root ? 0 : -1);
        assert_int_equal(file_open_no_links(root, cases[i].path, O_RDONLY, 0, &two, &err),
                         cases[i].no_links ? 0 : -1);
        if (cases[i].in_root) {
            AUTO(buf_release) struct buf text = BUF_INIT(0);
            assert_int_equal(file_read_fd(one, "x", 100, &text, &err), 0);
            assert_string_equal(text.data, "inside");
        }
    }
}

int main(void)
{
#define CASE(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_file__a_write_replaces_whole),
        CASE(test_file__reading_is_limited_and_missing_is_told),
        CASE(test_file__folders_are_made_with_their_parents),
        CASE(test_file__removing_follows_no_link),
        CASE(test_file__removing_the_very_deep_needs_few_descriptors),
        CASE(test_file__nothing_leads_out_of_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
