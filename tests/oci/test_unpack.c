/* Layers as folders: what is written where, and that nothing hostile gets out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/tree_index.h"
#include "oci/unpack.h"

#define OK(CALL)                                                                                   \
    do {                                                                                           \
        struct error err = {0};                                                                    \
        if ((CALL) != 0) {                                                                         \
            fail_msg("%s: %s", #CALL, err.text);                                                   \
        }                                                                                          \
    } while (0)

static char folder[64];
static struct store *store;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test-unpack-XXXXXX");
    assert_non_null(mkdtemp(folder));
    AUTO(mem_freep) char *path = mem_printf("%s/store", folder);
    OK(store_open(path, &store, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_freep(&store);
    OK(file_remove_tree(AT_FDCWD, folder, &err));
    return 0;
}

/* ---- making layers ---- */

struct item {
    const char *path;
    mode_t type;      /* S_IF..., 0: a hard link */
    const char *data; /* content or link */
    mode_t mode;
    int64_t mtime;
    unsigned uid;
};

/* A tar of ITEMS (ended by a NULL path), names written as they are. */
static void make_tar(const struct item *items, struct buf *out)
{
    char *space = mem_alloc(1 << 20);
    size_t used = 0;
    struct archive *a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    assert_int_equal(archive_write_open_memory(a, space, 1 << 20, &used), ARCHIVE_OK);
    for (const struct item *i = items; i->path; i++) {
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, i->path);
        archive_entry_set_perm(e, i->mode ? i->mode : 0644);
        archive_entry_set_mtime(e, i->mtime ? i->mtime : 1600000000, 0);
        archive_entry_set_uid(e, i->uid);
        if (i->type) {
            archive_entry_set_filetype(e, i->type);
        } else {
            archive_entry_set_filetype(e, S_IFREG);
            archive_entry_set_hardlink(e, i->data);
        }
        if (i->type == S_IFLNK) {
            archive_entry_set_symlink(e, i->data);
        }
        size_t len = i->type == S_IFREG && i->data ? strlen(i->data) : 0;
        archive_entry_set_size(e, (int64_t)len);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, i->data, len), len);
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    buf_append(out, space, used);
    free(space);
}

static void put_layer(const struct item *items, struct layer *out)
{
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    make_tar(items, &tar);
    *out = (struct layer){.blob = {.media_type = MEDIA_OCI_LAYER, .size = tar.len}};
    OK(store_put_blob(store, tar.data, tar.len, &out->blob.digest, &err));
    out->diff_id = out->blob.digest;
}

static enum unpack_style style(void)
{
    return geteuid() == 0 ? UNPACK_OVERLAY : UNPACK_OVERLAY_USER;
}

/* Unpacks ITEMS and opens the folder. */
static int unpack(const struct item *items)
{
    struct layer layer;
    AUTO(mem_freep) char *path = NULL;
    int fd = -1;
    put_layer(items, &layer);
    OK(unpack_layer(store, &layer, NULL, style(), &path, &err));
    OK(file_open(store_fd(store), path, O_RDONLY | O_DIRECTORY, 0, &fd, &err));
    return fd;
}

static struct stat look(int dir, const char *path)
{
    struct stat st;
    if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        fail_msg("'%s' is missing", path);
    }
    return st;
}

static bool is_opaque(int dir, const char *path)
{
    char value = 0;
    AUTO(fd_closep) int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *name = geteuid() == 0 ? "trusted.overlay.opaque" : "user.overlay.opaque";
    return fgetxattr(fd, name, &value, 1) == 1 && value == 'y';
}

static void assert_whiteout(int dir, const char *path)
{
    struct stat st = look(dir, path);
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
}

static void need_root(void)
{
    if (geteuid() != 0) {
        print_message("not root: skipped\n");
        skip();
    }
}

/* ---- what is written ---- */

static void test_unpack__types_modes_owners_and_times(void **state)
{
    (void)state;
    need_root();
    static const struct item items[] = {
        {"d/", S_IFDIR, NULL, 0751, 1111111111, 5},
        {"d/f", S_IFREG, "content", 04755, 1222222222, 1000},
        {"d/g", 0, "d/f", 0, 0, 0},
        {"d/l", S_IFLNK, "../nowhere", 0777, 1333333333, 7},
        {"d/p", S_IFIFO, NULL, 0640, 1444444444, 0},
        {"implied/by/f", S_IFREG, "x", 0600, 1, 0},
        {NULL, 0, NULL, 0, 0, 0},
    };
    AUTO(fd_closep) int dir = unpack(items);
    struct stat d = look(dir, "d");
    struct stat f = look(dir, "d/f");
    struct stat l = look(dir, "d/l");
    assert_int_equal(d.st_mode, S_IFDIR | 0751);
    assert_int_equal(d.st_mtime, 1111111111);
    assert_int_equal(d.st_uid, 5);
    assert_int_equal(f.st_mode, S_IFREG | 04755);
    assert_int_equal(f.st_mtime, 1222222222);
    assert_int_equal(f.st_uid, 1000);
    assert_int_equal(f.st_nlink, 2);
    assert_int_equal(look(dir, "d/g").st_ino, f.st_ino);
    assert_int_equal(l.st_mtime, 1333333333);
    assert_int_equal(l.st_uid, 7);
    assert_int_equal(look(dir, "d/p").st_mode, S_IFIFO | 0640);
    assert_int_equal(look(dir, "implied/by").st_mode, S_IFDIR | 0755);
}

static void test_unpack__replaced_times_become_the_stamp(void **state)
{
    (void)state;
    need_root();
    struct digest content;
    digest_of("hello", 5, &content);
    const struct item items[] = {
        {"made", S_IFREG, "hello", 0644, layer_time_of(&content), 0},
        {"other", S_IFREG, "other", 0644, layer_time_of(&content), 0},
        {"base", S_IFLNK, "x", 0644, TIME_BASE, 0},
        {"kept", S_IFREG, "hello", 0644, 1234567, 0},
        {NULL, 0, NULL, 0, 0, 0},
    };
    struct layer layer;
    AUTO(mem_freep) char *path = NULL;
    AUTO(fd_closep) int dir = -1;
    int64_t stamp = 0;
    int64_t now = (int64_t)time(NULL);
    put_layer(items, &layer);
    OK(unpack_layer(store, &layer, NULL, style(), &path, &err));
    OK(unpack_stamp(store, path, &stamp, &err));
    OK(file_open(store_fd(store), path, O_RDONLY | O_DIRECTORY, 0, &dir, &err));
    assert_true(stamp >= now && stamp <= now + 60);
    assert_int_equal(look(dir, "made").st_mtime, stamp);
    assert_int_equal(look(dir, "base").st_mtime, stamp);
    assert_int_equal(look(dir, "other").st_mtime, layer_time_of(&content));
    assert_int_equal(look(dir, "kept").st_mtime, 1234567);
    assert_int_equal(look(dir, ".").st_mtime, stamp);
}

static void test_unpack__whiteouts_and_opaque_folders(void **state)
{
    (void)state;
    need_root();
    static const struct item items[] = {
        {"a/.wh.gone", S_IFREG, NULL, 0, 0, 0},
        {"a/.wh.again", S_IFREG, NULL, 0, 0, 0},
        {"a/again/", S_IFDIR, NULL, 0755, 0, 0},
        {"a/again/f", S_IFREG, "x", 0, 0, 0},
        {"a/.wh.file", S_IFREG, NULL, 0, 0, 0},
        {"a/file", S_IFREG, "new", 0, 0, 0},
        {"o/", S_IFDIR, NULL, 0700, 0, 0},
        {"o/.wh..wh..opq", S_IFREG, NULL, 0, 0, 0},
        {"o/f", S_IFREG, "x", 0, 0, 0},
        {"late/", S_IFDIR, NULL, 0755, 0, 0},
        {"late/f", S_IFREG, "x", 0, 0, 0},
        {".wh.late", S_IFREG, NULL, 0, 0, 0},
        {NULL, 0, NULL, 0, 0, 0},
    };
    AUTO(fd_closep) int dir = unpack(items);
    assert_whiteout(dir, "a/gone");
    assert_true(is_opaque(dir, "a/again"));
    assert_true(S_ISREG(look(dir, "a/again/f").st_mode));
    assert_true(S_ISREG(look(dir, "a/file").st_mode));
    assert_true(is_opaque(dir, "o"));
    assert_int_equal(look(dir, "o").st_mode, S_IFDIR | 0700);
    /* What a layer deletes and has itself, it has. */
    assert_true(is_opaque(dir, "late"));
    assert_true(S_ISREG(look(dir, "late/f").st_mode));
    assert_false(is_opaque(dir, "a"));
}

static void test_unpack__leaves_the_tree_behind(void **state)
{
    (void)state;
    need_root();
    static const struct item items[] = {
        {"d/", S_IFDIR, NULL, 0751, 1111111111, 5},
        {"d/f", S_IFREG, "content", 0644, 1222222222, 1000},
        {"d/.wh.gone", S_IFREG, NULL, 0, 0, 0},
        {"new/", S_IFDIR, NULL, 0755, 0, 0},
        {".wh.new", S_IFREG, NULL, 0, 0, 0},
        {NULL, 0, NULL, 0, 0, 0},
    };
    struct layer layer;
    AUTO(mem_freep) char *path = NULL;
    AUTO(tree_unrefp) struct tree *expected = NULL;
    AUTO(tree_unrefp) struct tree *tree = NULL;
    put_layer(items, &layer);
    OK(layer_tree(store, &layer, &expected, &err));
    OK(file_remove_tree(store_fd(store), "trees", &err));
    OK(unpack_layer(store, &layer, NULL, style(), &path, &err));
    OK(store_remove_blob(store, &layer.blob.digest, &err));
    OK(layer_tree(store, &layer, &tree, &err));
    AUTO(buf_release) struct buf one = BUF_INIT(0);
    AUTO(buf_release) struct buf other = BUF_INIT(0);
    tree_index_encode(expected, &one);
    tree_index_encode(tree, &other);
    assert_int_equal(tree_len(tree), 4);
    assert_int_equal(one.len, other.len);
    assert_memory_equal(one.data, other.data, one.len);
}

static void test_unpack__a_later_entry_replaces(void **state)
{
    (void)state;
    need_root();
    static const struct item items[] = {
        {"x", S_IFREG, "file", 0, 0, 0},
        {"x/", S_IFDIR, NULL, 0700, 0, 0},
        {"x/in", S_IFREG, "in", 0, 0, 0},
        {"y/", S_IFDIR, NULL, 0755, 0, 0},
        {"y/in", S_IFREG, "in", 0, 0, 0},
        {"y", S_IFREG, "file now", 0, 0, 0},
        {"z", S_IFREG, "first", 0777, 0, 0},
        {"z", S_IFREG, "2", 0600, 0, 0},
        {NULL, 0, NULL, 0, 0, 0},
    };
    AUTO(fd_closep) int dir = unpack(items);
    assert_true(S_ISREG(look(dir, "x/in").st_mode));
    assert_int_equal(look(dir, "y").st_size, 8);
    assert_int_equal(look(dir, "z").st_size, 1);
    assert_int_equal(look(dir, "z").st_mode, S_IFREG | 0600);
}

static void test_unpack__from_a_difference_as_from_the_blob(void **state)
{
    (void)state;
    need_root();
    struct layer layer = {0};
    AUTO(mem_freep) char *path = NULL;
    AUTO(fd_closep) int dir = -1;
    AUTO(content_unrefp) struct content_source *source = content_memory(mem_strdup("abc"), 3);
    struct tree_builder *b = tree_builder_new();
    const struct entry entries[] = {
        {.path = "d", .type = ENTRY_DIR, .mode = 0755, .mtime = 5},
        {.path = "d/f",
         .type = ENTRY_FILE,
         .mode = 0644,
         .size = 3,
         .source = source,
         .flags = ENTRY_TIME_VOLATILE,
         .mtime = 9},
        {.path = "d/h", .type = ENTRY_HARDLINK, .link = "d/f"},
        {.path = "d/w", .type = ENTRY_WHITEOUT},
    };
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        tree_builder_add(b, &entries[i]);
    }
    AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(b);
    int64_t stamp = 0;
    digest_of("any", 3, &layer.diff_id);
    OK(unpack_layer(store, &layer, tree, style(), &path, &err));
    OK(unpack_stamp(store, path, &stamp, &err));
    OK(file_open(store_fd(store), path, O_RDONLY | O_DIRECTORY, 0, &dir, &err));
    assert_int_equal(look(dir, "d").st_mtime, 5);
    assert_int_equal(look(dir, "d/f").st_mtime, stamp);
    assert_int_equal(look(dir, "d/f").st_nlink, 2);
    assert_whiteout(dir, "d/w");
    /* Asked again, it is there: the difference is not even looked at. */
    AUTO(mem_freep) char *again = NULL;
    OK(unpack_layer(store, &layer, NULL, style(), &again, &err));
    assert_string_equal(path, again);
}

static void test_unpack__plain_trees_for_people(void **state)
{
    (void)state;
    AUTO(mem_freep) char *path = NULL;
    AUTO(fd_closep) int dir = -1;
    AUTO(content_unrefp) struct content_source *source = content_memory(mem_strdup("abc"), 3);
    struct digest content;
    digest_of("abc", 3, &content);
    struct tree_builder *b = tree_builder_new();
    const struct entry entries[] = {
        {.path = "d", .type = ENTRY_DIR, .mode = 0500, .mtime = 5, .uid = geteuid()},
        {.path = "d/f",
         .type = ENTRY_FILE,
         .mode = 0644,
         .size = 3,
         .source = source,
         .flags = ENTRY_TIME_VOLATILE,
         .mtime = 9},
        {.path = "d/l", .type = ENTRY_SYMLINK, .link = "f", .flags = ENTRY_TIME_VOLATILE},
    };
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        tree_builder_add(b, &entries[i]);
    }
    AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(b);
    OK(store_temp_dir(store, &path, &err));
    OK(file_open(store_fd(store), path, O_RDONLY | O_DIRECTORY, 0, &dir, &err));
    OK(unpack_tree(tree, dir, UNPACK_PLAIN, TIMES_CONTENT, &err));
    assert_int_equal(look(dir, "d").st_mode, S_IFDIR | 0500);
    assert_int_equal(look(dir, "d").st_mtime, 5);
    assert_int_equal(look(dir, "d/f").st_mtime, layer_time_of(&content));
    assert_int_equal(look(dir, "d/l").st_mtime, TIME_BASE);
}

/* ---- what must not happen ---- */

static void test_unpack__hostile_layers_stay_inside(void **state)
{
    (void)state;
    need_root();
    AUTO(mem_freep) char *victim = mem_printf("%s/victim", folder);
    AUTO(mem_freep) char *up = mem_printf("../../../../../../../../../..%s/victim", folder);
    AUTO(mem_freep) char *in_victim = mem_printf("%s/f", victim);
    AUTO(mem_freep) char *in_up = mem_printf("%s/f", up);
    assert_int_equal(mkdir(victim, 0755), 0);
    /* Through a link in the same layer, by "..", absolute, through a hard link, by deleting. */
    const struct item cases[][4] = {
        {{"l", S_IFLNK, victim, 0, 0, 0}, {"l/f", S_IFREG, "x", 0, 0, 0}, {NULL, 0, NULL, 0, 0, 0}},
        {{"l", S_IFLNK, up, 0, 0, 0}, {"l/f", S_IFREG, "x", 0, 0, 0}, {NULL, 0, NULL, 0, 0, 0}},
        {{"l", S_IFLNK, in_victim, 0, 0, 0},
         {"l", S_IFREG, "x", 0, 0, 0},
         {NULL, 0, NULL, 0, 0, 0}},
        {{"l", S_IFLNK, victim, 0, 0, 0},
         {"l/", S_IFDIR, NULL, 0777, 0, 0},
         {"l/f", S_IFREG, "x", 0, 0, 0},
         {NULL, 0, NULL, 0, 0, 0}},
        {{in_up, S_IFREG, "x", 0, 0, 0}, {NULL, 0, NULL, 0, 0, 0}},
        {{in_victim, S_IFREG, "x", 0, 0, 0}, {NULL, 0, NULL, 0, 0, 0}},
        {{"a", S_IFREG, "x", 0, 0, 0}, {"b", 0, in_victim, 0, 0, 0}, {NULL, 0, NULL, 0, 0, 0}},
        {{"l", S_IFLNK, victim, 0, 0, 0},
         {"l/.wh.f", S_IFREG, NULL, 0, 0, 0},
         {NULL, 0, NULL, 0, 0, 0}},
        {{"l", S_IFLNK, victim, 0, 0, 0},
         {"l/.wh..wh..opq", S_IFREG, NULL, 0, 0, 0},
         {NULL, 0, NULL, 0, 0, 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct layer layer;
        struct error err = {0};
        AUTO(mem_freep) char *path = NULL;
        put_layer(cases[i], &layer);
        if (unpack_layer(store, &layer, NULL, style(), &path, &err) != 0) {
            assert_int_equal(err.code, ERR_REMOTE);
        }
        struct stat st;
        assert_int_equal(stat(victim, &st), 0);
        assert_int_equal(st.st_mode, S_IFDIR | 0755);
        if (access(in_victim, F_OK) == 0) {
            fail_msg("case %zu wrote outside", i);
        }
        char value;
        assert_int_equal(getxattr(victim, "trusted.overlay.opaque", &value, 1), -1);
    }
}

static void expect_refused(const struct item *items, const char *text)
{
    struct layer layer;
    struct error err = {0};
    AUTO(mem_freep) char *path = NULL;
    put_layer(items, &layer);
    assert_int_equal(unpack_layer(store, &layer, NULL, style(), &path, &err), -1);
    assert_int_equal(err.code, ERR_REMOTE);
    if (!strstr(err.text, text)) {
        fail_msg("'%s' lacks '%s'", err.text, text);
    }
}

static void test_unpack__a_hard_link_to_nothing_is_refused(void **state)
{
    (void)state;
    static const struct item items[] = {{"b", 0, "missing", 0, 0, 0}, {NULL, 0, NULL, 0, 0, 0}};
    expect_refused(items, "'b': hard link to 'missing'");
}

static void test_unpack__a_wrong_diff_id_leaves_nothing(void **state)
{
    (void)state;
    static const struct item items[] = {{"b", S_IFREG, "x", 0, 0, 0}, {NULL, 0, NULL, 0, 0, 0}};
    struct layer layer;
    struct error err = {0};
    AUTO(mem_freep) char *path = NULL;
    put_layer(items, &layer);
    digest_of("wrong", 5, &layer.diff_id);
    assert_int_equal(unpack_layer(store, &layer, NULL, style(), &path, &err), -1);
    assert_int_equal(err.code, ERR_REMOTE);
    assert_non_null(strstr(err.text, "the image says"));
    int64_t stamp = 0;
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep)
    char *left = mem_printf("unpacked/overlay/%s/root", digest_hex(&layer.diff_id, hex));
    assert_int_equal(unpack_stamp(store, left, &stamp, &err), -1);
}

static void test_unpack__overlays_own_attributes_are_not_taken(void **state)
{
    (void)state;
    need_root();
    struct layer layer = {0};
    AUTO(mem_freep) char *path = NULL;
    AUTO(fd_closep) int dir = -1;
    const struct xattr xattrs[] = {{"trusted.overlay.redirect", "/etc", 4}, {"user.fine", "1", 1}};
    const struct entry entry = {
        .path = "d", .type = ENTRY_DIR, .mode = 0755, .xattrs = xattrs, .xattrs_len = 2};
    struct tree_builder *b = tree_builder_new();
    tree_builder_add(b, &entry);
    AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(b);
    digest_of("xattrs", 6, &layer.diff_id);
    OK(unpack_layer(store, &layer, tree, style(), &path, &err));
    AUTO(mem_freep) char *below = mem_printf("%s/d", path);
    OK(file_open(store_fd(store), below, O_RDONLY | O_DIRECTORY, 0, &dir, &err));
    char value[8];
    assert_int_equal(fgetxattr(dir, "trusted.overlay.redirect", value, sizeof value), -1);
    assert_int_equal(fgetxattr(dir, "user.fine", value, sizeof value), 1);
}

static void test_unpack__owner_notes(void **state)
{
    (void)state;
    uint32_t uid = 1;
    uint32_t gid = 2;
    unpack_owner_read("x", 1, &uid, &gid);
    unpack_owner_read("5:6x", 4, &uid, &gid);
    assert_int_equal(uid, 1);
    unpack_owner_read("1000:50", 7, &uid, &gid);
    assert_int_equal(uid, 1000);
    assert_int_equal(gid, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack__types_modes_owners_and_times),
        cmocka_unit_test(test_unpack__replaced_times_become_the_stamp),
        cmocka_unit_test(test_unpack__whiteouts_and_opaque_folders),
        cmocka_unit_test(test_unpack__leaves_the_tree_behind),
        cmocka_unit_test(test_unpack__a_later_entry_replaces),
        cmocka_unit_test(test_unpack__from_a_difference_as_from_the_blob),
        cmocka_unit_test(test_unpack__plain_trees_for_people),
        cmocka_unit_test(test_unpack__hostile_layers_stay_inside),
        cmocka_unit_test(test_unpack__a_hard_link_to_nothing_is_refused),
        cmocka_unit_test(test_unpack__a_wrong_diff_id_leaves_nothing),
        cmocka_unit_test(test_unpack__overlays_own_attributes_are_not_taken),
        cmocka_unit_test(test_unpack__owner_notes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
