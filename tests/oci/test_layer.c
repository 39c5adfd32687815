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
#include "oci/layer.h"
#include "oci/tree_index.h"

static char home[] = "/tmp/test-layer-XXXXXX";
static struct store *store;

static int setup(void **state)
{
    (void)state;
    struct error err = {0};
    assert_non_null(mkdtemp(home));
    assert_int_equal(store_open(home, &store, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct error err = {0};
    store_freep(&store);
    return file_remove_tree(AT_FDCWD, home, &err);
}

/* Content that can be told from any other: SIZE bytes made from SEED. */
static char *content(size_t size, unsigned seed)
{
    char *data = mem_alloc(size);
    uint32_t x = seed * 2654435761U + 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (char)("etaoin shrdlu\n.,"[x >> 28] + (x >> 27 & 1));
    }
    return data;
}

static void add(struct tree_builder *b, struct entry entry, size_t size, unsigned seed)
{
    entry.size = size;
    if (size > 0) {
        AUTO(content_unrefp)
        struct content_source *source = content_memory(content(size, seed), size);
        entry.source = source;
        tree_builder_add(b, &entry);
        return;
    }
    tree_builder_add(b, &entry);
}

/* A tree with every type of entry, small and large files, and odd metadata. */
static struct tree *rich_tree(unsigned seed, uint8_t flags)
{
    struct tree_builder *b = tree_builder_new();
    tree_builder_add(b,
                     &(struct entry){.path = "", .type = ENTRY_DIR, .mode = 0755, .flags = flags});
    tree_builder_add(
        b, &(struct entry){
               .path = "d", .type = ENTRY_DIR, .mode = 01777, .mtime = 77, .flags = ENTRY_PARENT});
    for (unsigned i = 0; i < 400; i++) {
        char path[64];
        snprintf(path, sizeof path, "d/file-%u", i * 37 % 400);
        add(b,
            (struct entry){
                .path = path, .type = ENTRY_FILE, .mode = 0644, .mtime = 1000 + i, .flags = flags},
            (i * 7919) % 30000, seed + i);
    }
    add(b,
        (struct entry){.path = "d/large",
                       .type = ENTRY_FILE,
                       .mode = 04755,
                       .uid = 3000000,
                       .gid = 7,
                       .mtime = -5,
                       .flags = flags},
        3 * MIB + 77, seed);
    add(b, (struct entry){.path = "d/exact", .type = ENTRY_FILE, .mode = 0600, .flags = flags},
        2 * MIB, seed + 1);
    add(b, (struct entry){.path = "d/limit", .type = ENTRY_FILE, .mode = 0600, .flags = flags}, MIB,
        seed + 1);
    static const struct xattr xattrs[] = {{"security.capability", "\1\0\0\2\0\n=\0", 8},
                                          {"user.empty", "", 0}};
    add(b,
        (struct entry){.path = "e",
                       .type = ENTRY_FILE,
                       .mode = 0755,
                       .xattrs = xattrs,
                       .xattrs_len = 2,
                       .flags = flags},
        5, seed);
    tree_builder_add(b, &(struct entry){.path = "f", .type = ENTRY_HARDLINK, .link = "e"});
    tree_builder_add(b, &(struct entry){.path = "g", .type = ENTRY_HARDLINK, .link = "d/large"});
    tree_builder_add(
        b, &(struct entry){.path = "fifo", .type = ENTRY_FIFO, .mode = 0600, .flags = flags});
    tree_builder_add(
        b, &(struct entry){
               .path = "null", .type = ENTRY_CHAR, .mode = 0666, .rdev_major = 1, .rdev_minor = 3});
    tree_builder_add(b, &(struct entry){.path = "loop",
                                        .type = ENTRY_BLOCK,
                                        .mode = 0660,
                                        .rdev_major = 7,
                                        .rdev_minor = 1048575});
    char link[400];
    memset(link, 'L', sizeof link);
    link[399] = '\0';
    tree_builder_add(
        b, &(struct entry){.path = "link", .type = ENTRY_SYMLINK, .link = link, .mode = 0777});
    char path[700];
    memset(path, 'p', sizeof path);
    path[250] = '/';
    path[500] = '/';
    path[699] = '\0';
    add(b, (struct entry){.path = path, .type = ENTRY_FILE, .mode = 0644, .flags = flags}, 10,
        seed);
    tree_builder_add(b, &(struct entry){.path = "gone/x", .type = ENTRY_WHITEOUT});
    return tree_builder_finish(b);
}

static void write_layer(struct tree *tree, unsigned threads, struct layer_options options,
                        struct layer *out)
{
    struct error err = {0};
    AUTO(pool_freep) struct pool *pool = pool_new(threads);
    if (layer_write(store, pool, tree, &options, out, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void test_layer__same_bytes_for_any_number_of_threads(void **state)
{
    (void)state;
    for (int compression = COMPRESS_GZIP; compression <= COMPRESS_NONE; compression++) {
        struct layer layers[3];
        static const unsigned threads[] = {1, 2, 8};
        for (size_t i = 0; i < 3; i++) {
            AUTO(tree_unrefp) struct tree *tree = rich_tree(1, ENTRY_TIME_VOLATILE);
            write_layer(tree, threads[i],
                        (struct layer_options){.compression = (enum compression)compression},
                        &layers[i]);
            /* Else the next one would take the blob that is there. */
            struct error err = {0};
            AUTO(strlist_release) struct strlist records = {0};
            assert_int_equal(store_record_list(store, "layers", &records, &err), 0);
            for (size_t k = 0; k < records.len; k++) {
                store_record_remove(store, "layers", records.items[k], &err);
            }
            assert_int_equal(store_remove_blob(store, &layers[i].blob.digest, &err), 0);
            assert_true(digest_equal(&layers[0].diff_id, &layers[i].diff_id));
            assert_true(digest_equal(&layers[0].blob.digest, &layers[i].blob.digest));
            assert_int_equal(layers[0].blob.size, layers[i].blob.size);
        }
    }
}

static void check_content(struct archive *a, const struct entry *entry)
{
    struct error err = {0};
    AUTO(buf_release) struct buf expected = BUF_INIT(0);
    assert_int_equal(entry_read(entry, 10 * MIB, &expected, &err), 0);
    AUTO(mem_freep) char *got = mem_alloc(expected.len + 1);
    assert_int_equal(archive_read_data(a, got, expected.len + 1), expected.len);
    if (expected.len > 0) {
        assert_memory_equal(got, expected.data, expected.len);
    }
}

static void check_entry(struct archive *a, struct archive_entry *e, const struct entry *entry)
{
    const struct entry *inode = entry_inode(entry);
    if (entry->type == ENTRY_WHITEOUT) {
        assert_string_equal(archive_entry_pathname(e), "gone/.wh.x");
        assert_int_equal(archive_entry_mode(e), S_IFREG);
        assert_int_equal(archive_entry_mtime(e), 0);
        return;
    }
    char name[1000];
    snprintf(name, sizeof name, "%s%s", entry->path[0] ? entry->path : ".",
             entry->type == ENTRY_DIR ? "/" : "");
    assert_string_equal(archive_entry_pathname(e), name);
    assert_int_equal(archive_entry_perm(e), entry->type == ENTRY_SYMLINK ? 0777 : inode->mode);
    assert_int_equal(archive_entry_uid(e), inode->uid);
    assert_int_equal(archive_entry_gid(e), inode->gid);
    assert_int_equal(archive_entry_mtime(e), inode->mtime);
    assert_int_equal(archive_entry_xattr_count(e), inode->xattrs_len);
    if (entry->type == ENTRY_HARDLINK) {
        assert_string_equal(archive_entry_hardlink(e), inode->path);
    } else if (entry->type == ENTRY_SYMLINK) {
        assert_string_equal(archive_entry_symlink(e), entry->link);
    } else if (entry->type == ENTRY_FILE) {
        check_content(a, entry);
    } else if (entry->type == ENTRY_CHAR || entry->type == ENTRY_BLOCK) {
        const bool device = entry_is_device(entry);
        assert_int_equal(archive_entry_rdevmajor(e), device ? entry->rdev_major : 0);
        assert_int_equal(archive_entry_rdevminor(e), device ? entry->rdev_minor : 0);
    }
}

static void test_layer__libarchive_reads_back_what_was_written(void **state)
{
    (void)state;
    for (int compression = COMPRESS_GZIP; compression <= COMPRESS_NONE; compression++) {
        AUTO(tree_unrefp) struct tree *tree = rich_tree(2, 0);
        struct layer layer;
        write_layer(tree, 2, (struct layer_options){.compression = (enum compression)compression},
                    &layer);
        struct error err = {0};
        AUTO(fd_closep) int fd = -1;
        assert_int_equal(store_open_blob(store, &layer.blob.digest, &fd, NULL, &err), 0);
        struct archive *a = archive_read_new();
        archive_read_support_filter_all(a);
        archive_read_support_format_tar(a);
        assert_int_equal(archive_read_open_fd(a, fd, 65536), ARCHIVE_OK);
        for (size_t i = 0; i < tree_len(tree); i++) {
            struct archive_entry *e = NULL;
            assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
            check_entry(a, e, tree_at(tree, i));
        }
        struct archive_entry *e = NULL;
        assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
        archive_read_free(a);
    }
}

static void test_layer__volatile_times_come_from_the_content(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(tree_unrefp) struct tree *tree = rich_tree(3, ENTRY_TIME_VOLATILE);
    struct layer layer;
    write_layer(tree, 2, (struct layer_options){0}, &layer);
    AUTO(tree_unrefp) struct tree *index = NULL;
    assert_int_equal(tree_index_load(store, &layer.diff_id, NULL, &index, &err), 0);
    assert_non_null(index);
    assert_int_equal(tree_len(index), tree_len(tree));
    for (size_t i = 0; i < tree_len(tree); i++) {
        const struct entry *before = tree_at(tree, i);
        const struct entry *inode = entry_inode(before);
        const struct entry *after = tree_at(index, i);
        int64_t expected = inode->mtime;
        if (inode->flags & ENTRY_TIME_VOLATILE && inode->type == ENTRY_FILE) {
            AUTO(buf_release) struct buf data = BUF_INIT(0);
            assert_int_equal(entry_read(before, 10 * MIB, &data, &err), 0);
            struct digest digest;
            digest_of(data.data ? data.data : "", data.len, &digest);
            expected = layer_time_of(&digest);
            assert_true(expected >= TIME_BASE && expected < TIME_BASE + TIME_SPAN);
        } else if (inode->flags & ENTRY_TIME_VOLATILE) {
            expected = TIME_BASE;
        }
        assert_int_equal(after->mtime, expected);
        assert_int_equal(after->flags & (ENTRY_TIME_VOLATILE | ENTRY_PARENT), 0);
    }
}

static void test_layer__kept_and_fixed_times(void **state)
{
    (void)state;
    struct error err = {0};
    for (int times = TIMES_FIXED; times <= TIMES_KEEP; times++) {
        AUTO(tree_unrefp) struct tree *tree = rich_tree(3, ENTRY_TIME_VOLATILE);
        struct layer layer;
        write_layer(tree, 2, (struct layer_options){.timestamps = (enum timestamps)times}, &layer);
        AUTO(tree_unrefp) struct tree *index = NULL;
        assert_int_equal(tree_index_load(store, &layer.diff_id, NULL, &index, &err), 0);
        const struct entry *entry = tree_find(index, "d/file-37");
        assert_int_equal(entry->mtime, times == TIMES_KEEP ? 1001 : TIME_BASE);
        assert_int_equal(tree_find(index, "d")->mtime, 77);
    }
}

static void test_layer__tar_of_the_difference_is_the_diff_id(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(tree_unrefp) struct tree *tree = rich_tree(4, ENTRY_TIME_VOLATILE);
    struct layer layer;
    write_layer(tree, 2, (struct layer_options){0}, &layer);
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    AUTO(writer_freep) struct writer *out = writer_buf(&tar);
    assert_int_equal(layer_write_tar(tree, TIMES_CONTENT, out, &err), 0);
    struct digest digest;
    digest_of(tar.data, tar.len, &digest);
    assert_true(digest_equal(&digest, &layer.diff_id));
}

static void test_layer__known_diff_id_takes_the_blob_that_is_there(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(tree_unrefp) struct tree *tree = rich_tree(5, 0);
    struct layer first;
    struct layer second;
    write_layer(tree, 1, (struct layer_options){.level = 1}, &first);
    write_layer(tree, 1, (struct layer_options){.level = 1}, &second);
    assert_true(digest_equal(&first.blob.digest, &second.blob.digest));
    /* A record whose blob is gone is not believed. */
    assert_int_equal(store_remove_blob(store, &first.blob.digest, &err), 0);
    write_layer(tree, 1, (struct layer_options){.level = 1}, &second);
    assert_true(store_has_blob(store, &second.blob.digest, NULL));
}

/* A source whose content is one byte shorter or longer than its entry says. */
static int wrong_size_open(struct content_source *source, const struct entry *entry,
                           struct reader **out, struct error *err)
{
    (void)err;
    (void)source;
    size_t len = (size_t)entry->size + (entry->handle ? 1 : -1UL);
    *out = reader_memory(mem_calloc(len, 1), len, true);
    return 0;
}

static void wrong_size_free(struct content_source *source)
{
    free(source);
}

static void test_layer__file_that_changed_its_size_is_an_error(void **state)
{
    (void)state;
    static const struct content_ops ops = {.open = wrong_size_open, .free = wrong_size_free};
    static const uint64_t sizes[] = {100, 3 * MIB};
    for (int longer = 0; longer < 2; longer++) {
        for (int volatile_time = 0; volatile_time < 2; volatile_time++) {
            for (size_t s = 0; s < 2; s++) {
                struct content_source *source = mem_calloc(1, sizeof *source);
                *source = (struct content_source){&ops, 1};
                struct tree_builder *b = tree_builder_new();
                tree_builder_add(b,
                                 &(struct entry){.path = "some/file",
                                                 .source = source,
                                                 .size = sizes[s],
                                                 .handle = (uint64_t)longer,
                                                 .flags = volatile_time ? ENTRY_TIME_VOLATILE : 0});
                content_unref(source);
                AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(b);
                AUTO(pool_freep) struct pool *pool = pool_new(2);
                struct layer layer;
                struct error err = {0};
                struct layer_options options = {0};
                assert_int_equal(layer_write(store, pool, tree, &options, &layer, &err), -1);
                assert_non_null(strstr(err.text, "some/file"));
            }
        }
    }
}

static void test_layer__what_a_layer_cannot_say_is_refused(void **state)
{
    (void)state;
    static const struct xattr equals[] = {{"user.a=b", "", 0}};
    const struct entry bad[] = {
        {.path = "a/.wh.b", .type = ENTRY_FILE},
        {.path = ".wh..wh..opq", .type = ENTRY_FILE},
        {.path = "a", .type = ENTRY_DIR, .flags = ENTRY_OPAQUE},
        {.path = "a", .type = ENTRY_HARDLINK, .link = "missing"},
        {.path = "a", .type = ENTRY_FILE, .xattrs = equals, .xattrs_len = 1},
        {.path = "a", .type = ENTRY_CHAR, .rdev_minor = 1U << 24},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct tree_builder *b = tree_builder_new();
        tree_builder_add(b, &bad[i]);
        AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(b);
        AUTO(pool_freep) struct pool *pool = pool_new(1);
        struct layer layer;
        struct error err = {0};
        struct layer_options options = {0};
        assert_int_equal(layer_write(store, pool, tree, &options, &layer, &err), -1);
        assert_int_equal(err.code, ERR_STEP);
        assert_int_equal(strncmp(err.text, bad[i].path, strlen(bad[i].path)), 0);
    }
}

static void test_layer__empty_difference(void **state)
{
    (void)state;
    AUTO(tree_unrefp) struct tree *tree = tree_empty();
    struct layer layer;
    write_layer(tree, 1, (struct layer_options){0}, &layer);
    char zeros[1024] = {0};
    struct digest digest;
    digest_of(zeros, sizeof zeros, &digest);
    assert_true(digest_equal(&digest, &layer.diff_id));
    assert_string_equal(layer.blob.media_type, MEDIA_OCI_LAYER_GZIP);
}

/* Whether two trees of one layer are the same but for digests, which only the writer knows. */
static void assert_same_tree(const struct tree *a, const struct tree *b)
{
    assert_int_equal(tree_len(a), tree_len(b));
    for (size_t i = 0; i < tree_len(a); i++) {
        const struct entry *x = tree_at(a, i);
        const struct entry *y = tree_at(b, i);
        assert_string_equal(x->path, y->path);
        assert_int_equal(x->type, y->type);
        assert_string_equal(x->link ? x->link : "", y->link ? y->link : "");
        if (x->type == ENTRY_WHITEOUT || x->type == ENTRY_HARDLINK) {
            continue;
        }
        assert_int_equal(x->mtime, y->mtime);
        assert_int_equal(x->size, y->size);
        assert_int_equal(x->handle, x->type == ENTRY_FILE ? y->handle : x->handle);
        assert_int_equal(x->mode, x->type == ENTRY_SYMLINK ? x->mode : y->mode);
        assert_int_equal(x->uid, y->uid);
        assert_int_equal(x->gid, y->gid);
        assert_int_equal(x->flags & ~ENTRY_HAS_DIGEST, y->flags & ~ENTRY_HAS_DIGEST);
        if (entry_is_device(x)) {
            assert_int_equal(x->rdev_major, y->rdev_major);
            assert_int_equal(x->rdev_minor, y->rdev_minor);
        }
        assert_int_equal(x->xattrs_len, y->xattrs_len);
        for (uint32_t k = 0; k < x->xattrs_len; k++) {
            assert_string_equal(x->xattrs[k].name, y->xattrs[k].name);
            assert_int_equal(x->xattrs[k].size, y->xattrs[k].size);
            assert_memory_equal(x->xattrs[k].value, y->xattrs[k].value, x->xattrs[k].size);
        }
    }
}

static void remove_index(const struct layer *layer)
{
    char hex[DIGEST_HEX_SIZE];
    char path[100];
    snprintf(path, sizeof path, "trees/%s", digest_hex(&layer->diff_id, hex));
    assert_int_equal(unlinkat(store_fd(store), path, 0), 0);
}

static void read_content(const struct entry *entry, struct buf *out)
{
    struct error err = {0};
    AUTO(reader_freep) struct reader *in = NULL;
    if (entry_open(entry, &in, &err) != 0 ||
        reader_read_all(in, entry->path, 10 * MIB, out, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void assert_same_contents(const struct tree *a, const struct tree *b)
{
    for (size_t i = 0; i < tree_len(a); i++) {
        if (entry_inode(tree_at(a, i))->type != ENTRY_FILE) {
            continue;
        }
        AUTO(buf_release) struct buf x = BUF_INIT(0);
        AUTO(buf_release) struct buf y = BUF_INIT(0);
        read_content(tree_at(a, i), &x);
        read_content(tree_at(b, i), &y);
        assert_int_equal(x.len, y.len);
        assert_memory_equal(buf_text(&x), buf_text(&y), x.len);
    }
}

static void test_layer__tree_from_the_blob_is_the_tree_from_the_index(void **state)
{
    (void)state;
    for (int compression = COMPRESS_GZIP; compression <= COMPRESS_NONE; compression++) {
        struct error err = {0};
        AUTO(tree_unrefp)
        struct tree *tree = rich_tree(20 + (unsigned)compression, ENTRY_TIME_VOLATILE);
        struct layer layer;
        write_layer(tree, 2, (struct layer_options){.compression = (enum compression)compression},
                    &layer);
        AUTO(tree_unrefp) struct tree *indexed = NULL;
        AUTO(tree_unrefp) struct tree *inflated = NULL;
        assert_int_equal(layer_tree(store, &layer, &indexed, &err), 0);
        remove_index(&layer);
        if (layer_tree(store, &layer, &inflated, &err) != 0) {
            fail_msg("%s", err.text);
        }
        assert_same_tree(indexed, inflated);
        assert_same_contents(tree, indexed);
        assert_same_contents(tree, inflated);
    }
}

static void test_layer__corrupt_blobs_and_wrong_diff_ids_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(tree_unrefp) struct tree *tree = rich_tree(30, 0);
    struct layer layer;
    write_layer(tree, 2, (struct layer_options){0}, &layer);
    AUTO(buf_release) struct buf blob = BUF_INIT(0);
    assert_int_equal(store_read_blob(store, &layer.blob.digest, 100 * MIB, &blob, &err), 0);
    for (size_t i = 0; i < 40; i++) {
        size_t at = 10 + i * (blob.len / 41);
        blob.data[at] ^= 0x10;
        struct layer bad = layer;
        bad.diff_id.bytes[0] ^= 1; /* else the index would serve */
        assert_int_equal(store_put_blob(store, blob.data, blob.len, &bad.blob.digest, &err), 0);
        struct tree *got = NULL;
        assert_int_equal(layer_tree(store, &bad, &got, &err), -1);
        assert_int_equal(err.code, ERR_REMOTE);
        assert_int_equal(strncmp(err.text, "layer sha256:", 13), 0);
        blob.data[at] ^= 0x10;
    }
    struct layer wrong = layer;
    wrong.diff_id.bytes[0] ^= 1;
    struct tree *got = NULL;
    assert_int_equal(layer_tree(store, &wrong, &got, &err), -1);
    assert_non_null(strstr(err.text, "the image's config says"));
}

/* A foreign layer of header blocks made by the writer's own hand: names as given. */
static void foreign_layer(const char *const *names, struct layer *out)
{
    struct error err = {0};
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    for (size_t i = 0; names[i]; i++) {
        struct archive *a = archive_write_new();
        archive_write_set_format_ustar(a);
        char block[4096];
        size_t used = 0;
        archive_write_set_bytes_per_block(a, 512);
        archive_write_set_bytes_in_last_block(a, 512);
        archive_write_open_memory(a, block, sizeof block, &used);
        struct archive_entry *e = archive_entry_new();
        size_t len = strlen(names[i]);
        archive_entry_set_pathname(e, names[i]);
        archive_entry_set_mode(e, names[i][len - 1] == '/' ? S_IFDIR | 0750 : S_IFREG | 0640);
        archive_entry_set_size(e, 0);
        archive_write_header(a, e);
        archive_entry_free(e);
        archive_write_close(a);
        buf_append(&tar, block, 512);
        archive_write_free(a);
    }
    char zeros[1024] = {0};
    buf_append(&tar, zeros, sizeof zeros);
    assert_int_equal(store_put_blob(store, tar.data, tar.len, &out->blob.digest, &err), 0);
    out->diff_id = out->blob.digest;
}

static void test_layer__opaque_and_deleted_and_made_anew(void **state)
{
    (void)state;
    struct error err = {0};
    static const char *const names[] = {"a/.wh..wh..opq",
                                        "a/",
                                        "b/",
                                        "b/.wh..wh..opq",
                                        "c/.wh..wh..opq",
                                        ".wh.d",
                                        "d/",
                                        "e/",
                                        ".wh.e",
                                        "f",
                                        ".wh.f",
                                        ".wh.g",
                                        "h/",
                                        NULL};
    struct layer layer = {0};
    foreign_layer(names, &layer);
    for (int round = 0; round < 2; round++) { /* from the blob, then from the index */
        AUTO(tree_unrefp) struct tree *tree = NULL;
        if (layer_tree(store, &layer, &tree, &err) != 0) {
            fail_msg("%s", err.text);
        }
        assert_int_equal(tree_len(tree), 8);
        static const char opaque[] = "abde";
        for (const char *p = opaque; *p; p++) {
            const struct entry *entry = tree_find(tree, (char[]){*p, '\0'});
            assert_int_equal(entry->type, ENTRY_DIR);
            assert_int_equal(entry->flags & ENTRY_OPAQUE, ENTRY_OPAQUE);
            assert_int_equal(entry->mode, 0750);
        }
        assert_int_equal(tree_find(tree, "c")->mode, UINT32_MAX);
        assert_int_equal(tree_find(tree, "c")->flags & ENTRY_OPAQUE, ENTRY_OPAQUE);
        assert_int_equal(tree_find(tree, "f")->type, ENTRY_FILE);
        assert_int_equal(tree_find(tree, "g")->type, ENTRY_WHITEOUT);
        assert_int_equal(tree_find(tree, "h")->flags, 0);
    }
}

static void test_layer__damaged_index_counts_as_missing(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(tree_unrefp) struct tree *tree = rich_tree(40, 0);
    AUTO(buf_release) struct buf data = BUF_INIT(0);
    tree_index_encode(tree, &data);
    AUTO(tree_unrefp) struct tree *whole = tree_index_decode(data.data, data.len, NULL);
    assert_non_null(whole);
    assert_same_tree(tree, whole);
    for (size_t at = 0; at < data.len; at += 97) {
        data.data[at] ^= 1;
        assert_null(tree_index_decode(data.data, data.len, NULL));
        data.data[at] ^= 1;
        assert_null(tree_index_decode(data.data, at, NULL));
    }
    struct layer layer;
    write_layer(tree, 2, (struct layer_options){0}, &layer);
    remove_index(&layer);
    char hex[DIGEST_HEX_SIZE];
    char path[100];
    snprintf(path, sizeof path, "trees/%s", digest_hex(&layer.diff_id, hex));
    assert_int_equal(file_write_atomic(store_fd(store), path, "damage", 6, 0644, false, &err), 0);
    AUTO(tree_unrefp) struct tree *again = NULL;
    assert_int_equal(layer_tree(store, &layer, &again, &err), 0);
    assert_int_equal(tree_len(again), tree_len(tree));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer__same_bytes_for_any_number_of_threads),
        cmocka_unit_test(test_layer__libarchive_reads_back_what_was_written),
        cmocka_unit_test(test_layer__volatile_times_come_from_the_content),
        cmocka_unit_test(test_layer__kept_and_fixed_times),
        cmocka_unit_test(test_layer__tar_of_the_difference_is_the_diff_id),
        cmocka_unit_test(test_layer__known_diff_id_takes_the_blob_that_is_there),
        cmocka_unit_test(test_layer__file_that_changed_its_size_is_an_error),
        cmocka_unit_test(test_layer__what_a_layer_cannot_say_is_refused),
        cmocka_unit_test(test_layer__empty_difference),
        cmocka_unit_test(test_layer__tree_from_the_blob_is_the_tree_from_the_index),
        cmocka_unit_test(test_layer__corrupt_blobs_and_wrong_diff_ids_are_refused),
        cmocka_unit_test(test_layer__opaque_and_deleted_and_made_anew),
        cmocka_unit_test(test_layer__damaged_index_counts_as_missing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
