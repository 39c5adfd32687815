#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/layer_reuse.h"

static char home[64];
static struct store *store;

static int setup(void **state)
{
    (void)state;
    struct error err = {0};
    snprintf(home, sizeof home, "/tmp/test-reuse-XXXXXX");
    return !mkdtemp(home) || store_open(home, &store, &err) != 0;
}

static int teardown(void **state)
{
    (void)state;
    struct error err = {0};
    store_freep(&store);
    return file_remove_tree(AT_FDCWD, home, &err);
}

/* A blob of three "compressed" pieces with its table. */
static void leave_table(const struct layer_codec *codec, const char *blob,
                        struct digest *digest_out)
{
    struct error err = {0};
    assert_int_equal(store_put_blob(store, blob, strlen(blob), digest_out, &err), 0);
    AUTO(layer_reuse_freep) struct layer_reuse *reuse = layer_reuse_new(store, codec);
    for (unsigned i = 0; i < 3; i++) {
        struct digest raw = {{(uint8_t)(3 - i), (uint8_t)blob[0]}};
        layer_reuse_note(reuse, &raw, 1000 + i, 4 * i, blob + 4 * i, 4);
    }
    assert_int_equal(layer_reuse_save(reuse, digest_out, &err), 0);
}

static bool finds(const struct layer_codec *codec, uint8_t which, char first, size_t raw_len,
                  const char *expected)
{
    AUTO(layer_reuse_freep) struct layer_reuse *reuse = layer_reuse_new(store, codec);
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    struct digest raw = {{which, (uint8_t)first}};
    bool found = layer_reuse_find(reuse, &raw, raw_len, &out);
    if (found) {
        assert_string_equal(buf_text(&out), expected);
    } else {
        assert_int_equal(out.len, 0);
    }
    return found;
}

static void test_layer_reuse__blocks_are_found_by_their_raw_bytes(void **state)
{
    (void)state;
    AUTO(layer_codec_freep) struct layer_codec *codec = layer_codec_new(COMPRESS_GZIP, 0);
    AUTO(layer_codec_freep) struct layer_codec *other = layer_codec_new(COMPRESS_GZIP, 6);
    struct digest blob;
    assert_false(finds(codec, 3, 'a', 1000, ""));
    leave_table(codec, "aaaabbbbcccc", &blob);
    leave_table(codec, "ddddeeeeffff", &blob);
    assert_true(finds(codec, 3, 'a', 1000, "aaaa"));
    assert_true(finds(codec, 1, 'a', 1002, "cccc"));
    assert_true(finds(codec, 2, 'd', 1001, "eeee"));
    assert_false(finds(codec, 2, 'd', 1000, ""));
    assert_false(finds(codec, 2, 'x', 1001, ""));
    assert_false(finds(other, 2, 'd', 1001, ""));
}

static void test_layer_reuse__damaged_or_missing_blobs_are_not_believed(void **state)
{
    (void)state;
    AUTO(layer_codec_freep) struct layer_codec *codec = layer_codec_new(COMPRESS_GZIP, 0);
    struct error err = {0};
    struct digest blob;
    leave_table(codec, "aaaabbbbcccc", &blob);
    char path[128];
    char hex[DIGEST_HEX_SIZE];
    snprintf(path, sizeof path, "blobs/sha256/%s", digest_hex(&blob, hex));
    assert_int_equal(file_write_atomic(store_fd(store), path, "aaaabbbXcc", 10, 0600, false, &err),
                     0);
    assert_true(finds(codec, 3, 'a', 1000, "aaaa"));
    assert_false(finds(codec, 2, 'a', 1001, ""));
    assert_false(finds(codec, 1, 'a', 1002, ""));
    assert_int_equal(store_remove_blob(store, &blob, &err), 0);
    assert_false(finds(codec, 3, 'a', 1000, ""));
}

static void test_layer_reuse__only_the_newest_tables_are_kept(void **state)
{
    (void)state;
    AUTO(layer_codec_freep) struct layer_codec *codec = layer_codec_new(COMPRESS_ZSTD, 0);
    struct error err = {0};
    for (unsigned i = 0; i < 60; i++) {
        char text[16];
        struct digest blob;
        snprintf(text, sizeof text, "%caaabbbbcccc", (char)(' ' + i));
        leave_table(codec, text, &blob);
        leave_table(codec, text, &blob);
    }
    AUTO(strlist_release) struct strlist names = {0};
    assert_int_equal(store_record_list(store, "blocks", &names, &err), 0);
    assert_int_equal(names.len, 48);
    assert_false(finds(codec, 2, ' ', 1001, ""));
    assert_true(finds(codec, 2, ' ' + 59, 1001, "bbbb"));
}

/* Files of words, of which the one called CHANGED differs; in all some 20 MB of many blocks. */
static struct tree *project(unsigned changed)
{
    struct tree_builder *b = tree_builder_new();
    for (unsigned i = 0; i < 300; i++) {
        size_t size = i % 100 == 0 ? 3 * MIB : 20000 + 97 * i;
        char *data = mem_alloc(size);
        uint32_t x = i + 1 + (i == changed ? 1000 : 0);
        for (size_t k = 0; k < size; k++) {
            x = x * 1664525 + 1013904223;
            data[k] = "etaoin shrdlu\n.,"[x >> 28];
        }
        AUTO(content_unrefp) struct content_source *source = content_memory(data, size);
        char path[32];
        snprintf(path, sizeof path, "src/%u", i);
        tree_builder_add(b, &(struct entry){.path = path,
                                            .type = ENTRY_FILE,
                                            .mode = 0644,
                                            .size = size,
                                            .source = source,
                                            .flags = ENTRY_TIME_VOLATILE});
    }
    return tree_builder_finish(b);
}

static void write_project(unsigned changed, struct layer *out)
{
    struct error err = {0};
    AUTO(tree_unrefp) struct tree *tree = project(changed);
    AUTO(pool_freep) struct pool *pool = pool_new(2);
    struct layer_options options = {0};
    if (layer_write(store, pool, tree, &options, out, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void test_layer_reuse__a_layer_with_copied_blocks_is_the_layer_compressed_anew(void **state)
{
    struct layer first;
    struct layer copied;
    struct layer fresh;
    write_project(1000, &first);
    write_project(150, &copied);
    teardown(state);
    setup(state);
    write_project(150, &fresh);
    assert_false(digest_equal(&first.blob.digest, &copied.blob.digest));
    assert_true(digest_equal(&fresh.diff_id, &copied.diff_id));
    assert_true(digest_equal(&fresh.blob.digest, &copied.blob.digest));
}

/* The tables of two layers that differ in one file share all rows but few: an edit stays in its
 * block. */
static void test_layer_reuse__an_edit_changes_few_blocks(void **state)
{
    (void)state;
    struct error err = {0};
    struct layer layers[2];
    write_project(1000, &layers[0]);
    write_project(150, &layers[1]);
    struct buf tables[2] = {BUF_INIT(0), BUF_INIT(0)};
    for (int i = 0; i < 2; i++) {
        char name[DIGEST_TEXT_SIZE];
        bool found = false;
        assert_int_equal(store_record_get(store, "blocks",
                                          digest_format(&layers[i].blob.digest, name), &tables[i],
                                          &found, &err),
                         0);
        assert_true(found);
    }
    assert_int_equal(tables[0].len, tables[1].len);
    size_t rows = (tables[0].len - 9) / 52;
    size_t changed = 0;
    for (size_t i = 0; i < rows; i++) {
        changed += memcmp(tables[0].data + 9 + 52 * i, tables[1].data + 9 + 52 * i, 32) != 0;
    }
    assert_true(rows > 15);
    assert_int_equal(changed, 1);
    buf_release(&tables[0]);
    buf_release(&tables[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layer_reuse__blocks_are_found_by_their_raw_bytes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_layer_reuse__damaged_or_missing_blobs_are_not_believed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_layer_reuse__only_the_newest_tables_are_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_layer_reuse__a_layer_with_copied_blocks_is_the_layer_compressed_anew, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_layer_reuse__an_edit_changes_few_blocks, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
