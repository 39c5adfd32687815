#include "tests/oci/image_fixture.h"

#include <sys/stat.h>

#include "oci/layer.h"

enum { FILES = 12, FILE_BYTES = 100000 };

/* A layer of FILES files with contents of their own: SEED tells layers apart. */
static void make_layer(struct store *store, unsigned seed, enum compression compression,
                       struct layer *out)
{
    struct error err = {0};
    struct tree_builder *b = tree_builder_new();
    for (unsigned i = 0; i < FILES; i++) {
        AUTO(mem_freep) char *path = mem_printf("file%02u", i);
        char *data = mem_alloc(FILE_BYTES);
        uint32_t x = (seed * FILES + i) * 2654435761U + 1;
        for (size_t k = 0; k < FILE_BYTES; k++) {
            x = x * 1664525 + 1013904223;
            data[k] = (char)('a' + (x >> 28));
        }
        size_t size = i % 2 ? FILE_BYTES : 1000 + i;
        AUTO(content_unrefp) struct content_source *source = content_memory(data, FILE_BYTES);
        struct entry entry = {
            .path = path, .type = ENTRY_FILE, .mode = 0644, .size = size, .source = source};
        tree_builder_add(b, &entry);
    }
    AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(b);
    struct pool *pool = pool_new(2);
    struct layer_options options = {.compression = compression};
    if (layer_write(store, pool, tree, &options, out, &err) != 0) {
        fail_msg("%s", err.text);
    }
    pool_freep(&pool);
}

static struct tree *open_layer(struct store *store, const struct layer *layer)
{
    struct error err = {0};
    struct tree *tree = NULL;
    if (layer_tree(store, layer, &tree, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return tree;
}

static bool is_inflated(const struct fixture *f, const struct layer *layer)
{
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep)
    char *path = mem_printf("%s/one/tars/%s", f->folder, digest_hex(&layer->diff_id, hex));
    return access(path, F_OK) == 0;
}

/* Reads a file by entry_read() and by entry_open(): both give the same. */
static void assert_read_as_opened(const struct entry *entry)
{
    struct error err = {0};
    AUTO(buf_release) struct buf alone = BUF_INIT(0);
    AUTO(buf_release) struct buf opened = BUF_INIT(0);
    AUTO(reader_freep) struct reader *in = NULL;
    assert_int_equal(entry_read(entry, FILE_BYTES, &alone, &err), 0);
    assert_int_equal(entry_open(entry, &in, &err), 0);
    assert_int_equal(reader_read_all(in, "opened", FILE_BYTES, &opened, &err), 0);
    assert_int_equal(alone.len, entry->size);
    assert_int_equal(opened.len, entry->size);
    assert_memory_equal(alone.data, opened.data, alone.len);
}

static void test_layer_content__a_file_read_alone_makes_no_inflated_copy(void **state)
{
    struct fixture *f = *state;
    for (int compression = COMPRESS_GZIP; compression <= COMPRESS_NONE; compression++) {
        struct error err = {0};
        struct layer layer;
        make_layer(f->store, (unsigned)compression, (enum compression)compression, &layer);
        AUTO(tree_unrefp) struct tree *tree = open_layer(f->store, &layer);
        struct buf alone[FILES];
        for (size_t i = 0; i < FILES; i++) {
            const struct entry *entry = tree_at(tree, FILES - 1 - i);
            alone[i] = (struct buf)BUF_INIT(0);
            assert_int_equal(entry_read(entry, FILE_BYTES, &alone[i], &err), 0);
            assert_int_equal(alone[i].len, entry->size);
        }
        assert_false(is_inflated(f, &layer));
        for (size_t i = 0; i < FILES; i++) {
            AUTO(reader_freep) struct reader *in = NULL;
            AUTO(buf_release) struct buf opened = BUF_INIT(0);
            assert_int_equal(entry_open(tree_at(tree, FILES - 1 - i), &in, &err), 0);
            assert_int_equal(reader_read_all(in, "opened", FILE_BYTES, &opened, &err), 0);
            assert_int_equal(opened.len, alone[i].len);
            assert_memory_equal(opened.data, alone[i].data, opened.len);
            buf_release(&alone[i]);
        }
        /* A plain layer is its own inflated copy. */
        assert_int_equal(is_inflated(f, &layer), compression != COMPRESS_NONE);
        assert_read_as_opened(tree_at(tree, 3));
    }
}

/* What was read is kept: the second reading needs no blob. */
static void test_layer_content__small_files_are_read_once(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layer layer;
    make_layer(f->store, 10, COMPRESS_GZIP, &layer);
    AUTO(tree_unrefp) struct tree *tree = open_layer(f->store, &layer);
    AUTO(buf_release) struct buf first = BUF_INIT(0);
    AUTO(buf_release) struct buf again = BUF_INIT(0);
    assert_int_equal(entry_read(tree_find(tree, "file02"), FILE_BYTES, &first, &err), 0);
    assert_int_equal(store_remove_blob(f->store, &layer.blob.digest, &err), 0);
    assert_int_equal(entry_read(tree_find(tree, "file02"), FILE_BYTES, &again, &err), 0);
    assert_int_equal(again.len, first.len);
    assert_memory_equal(again.data, first.data, first.len);
    assert_int_equal(entry_read(tree_find(tree, "file04"), FILE_BYTES, &again, &err), -1);
    assert_non_null(strstr(err.text, "layer sha256:"));
}

static void test_layer_content__what_is_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layer layer;
    make_layer(f->store, 20, COMPRESS_ZSTD, &layer);
    AUTO(tree_unrefp) struct tree *tree = open_layer(f->store, &layer);
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(entry_read(tree_find(tree, "file01"), FILE_BYTES - 1, &out, &err), -1);
}

/* A blob that was damaged on the disk ends before the file. */
static void test_layer_content__a_short_blob_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layer layer;
    make_layer(f->store, 30, COMPRESS_GZIP, &layer);
    AUTO(tree_unrefp) struct tree *tree = open_layer(f->store, &layer);
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep)
    char *path =
        mem_printf("%s/one/blobs/sha256/%s", f->folder, digest_hex(&layer.blob.digest, hex));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, (off_t)layer.blob.size / 2), 0);
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(entry_read(tree_find(tree, "file00"), FILE_BYTES, &out, &err), 0);
    assert_int_equal(entry_read(tree_find(tree, "file11"), FILE_BYTES, &out, &err), -1);
    assert_non_null(strstr(err.text, "layer sha256:"));
}

#define CASE(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_layer_content__a_file_read_alone_makes_no_inflated_copy),
        CASE(test_layer_content__small_files_are_read_once),
        CASE(test_layer_content__what_is_too_large_is_refused),
        CASE(test_layer_content__a_short_blob_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
