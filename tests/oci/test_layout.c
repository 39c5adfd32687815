#include "tests/oci/image_fixture.h"

#include <sys/stat.h>

#include "oci/images.h"
#include "oci/layout.h"

static char name_app[] = "docker.io/library/app:1";
static char name_multi[] = "localhost:5000/multi:latest";

static void make_images(struct fixture *f, struct layout_image images[2])
{
    images[0] = (struct layout_image){
        put_image(f->store, "amd64", "layer one", MEDIA_OCI_LAYER_GZIP), name_app};
    images[1] = (struct layout_image){put_index(f->store), name_multi};
}

/* Both images came over whole, with their names. */
static void assert_both(struct fixture *f, const struct layout_image *got, size_t len,
                        const struct layout_image *images)
{
    assert_int_equal(len, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(got[i].name, images[i].name);
        assert_true(digest_equal(&got[i].descriptor.digest, &images[i].descriptor.digest));
        assert_int_equal(got[i].descriptor.size, images[i].descriptor.size);
        const char *const platforms[] = {"linux/amd64", "linux/arm64"};
        for (size_t k = 0; k <= i; k++) {
            AUTO(platform_release) struct platform p = {0};
            AUTO(image_release) struct image image = {0};
            struct error err = {0};
            assert_int_equal(platform_parse(platforms[k], &p, &err), 0);
            assert_int_equal(images_load(f->second, &got[i].descriptor, &p, &image, &err), 0);
            assert_true(store_has_blob(f->second, &image.layers[0].blob.digest, NULL));
        }
    }
}

static void test_layout__a_folder_comes_back(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image images[2];
    make_images(f, images);
    AUTO(mem_freep) char *path = mem_printf("%s/out/layout", f->folder);
    assert_int_equal(layout_write_dir(f->store, path, images, 2, &err), 0);
    /* again, one at a time: replaced, not doubled */
    assert_int_equal(layout_write_dir(f->store, path, &images[0], 1, &err), 0);
    assert_int_equal(layout_write_dir(f->store, path, &images[1], 1, &err), 0);
    struct layout_image *got = NULL;
    size_t len = 0;
    assert_int_equal(layout_read(f->second, path, &got, &len, &err), 0);
    assert_both(f, got, len, images);
    layout_images_release(got, len);
}

static void write_tar(struct fixture *f, const char *path, const struct layout_image *images,
                      size_t len, struct buf *out)
{
    struct error err = {0};
    AUTO(writer_freep) struct writer *w = writer_buf(out);
    if (layout_write_tar(f->store, w, images, len, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(file_write_atomic(AT_FDCWD, path, out->data, out->len, 0644, false, &err), 0);
}

static void test_layout__a_tar_comes_back_and_is_the_same_each_time(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image images[2];
    make_images(f, images);
    AUTO(mem_freep) char *path = mem_printf("%s/layout.tar", f->folder);
    AUTO(buf_release) struct buf one = BUF_INIT(0);
    AUTO(buf_release) struct buf two = BUF_INIT(0);
    write_tar(f, path, images, 2, &one);
    write_tar(f, path, images, 2, &two);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
    struct layout_image *got = NULL;
    size_t len = 0;
    assert_int_equal(layout_read(f->second, path, &got, &len, &err), 0);
    assert_both(f, got, len, images);
    layout_images_release(got, len);
}

static void test_layout__a_compressed_tar_is_read(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image images[2];
    make_images(f, images);
    AUTO(mem_freep) char *path = mem_printf("%s/layout.tgz", f->folder);
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    write_tar(f, path, images, 2, &tar);
    gzFile gz = gzopen(path, "wb");
    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, tar.data, (unsigned)tar.len), (int)tar.len);
    assert_int_equal(gzclose(gz), Z_OK);
    struct layout_image *got = NULL;
    size_t len = 0;
    assert_int_equal(layout_read(f->second, path, &got, &len, &err), 0);
    assert_both(f, got, len, images);
    layout_images_release(got, len);
}

static void test_layout__a_missing_blob_is_named_when_writing(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image images[2];
    make_images(f, images);
    struct digest layer;
    char text[DIGEST_TEXT_SIZE];
    digest_of("layer arm64", 11, &layer);
    assert_int_equal(store_remove_blob(f->store, &layer, &err), 0);
    AUTO(mem_freep) char *path = mem_printf("%s/layout", f->folder);
    assert_int_equal(layout_write_dir(f->store, path, images, 2, &err), -1);
    assert_int_equal(err.code, ERR_STORE);
    assert_non_null(strstr(err.text, digest_format(&layer, text)));
}

/* Every file of the folder, damaged or removed in turn, is missed; and nothing damaged gets in. */
static void test_layout__damage_is_found(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image image = {put_image(f->store, "amd64", "layer one", MEDIA_OCI_LAYER_GZIP),
                                 NULL};
    AUTO(image_release) struct image parts = {0};
    assert_int_equal(images_load(f->store, &image.descriptor, NULL, &parts, &err), 0);
    const struct digest *blobs[] = {&image.descriptor.digest, &parts.config.digest,
                                    &parts.layers[0].blob.digest};
    for (size_t i = 0; i < 5 * 3; i++) {
        AUTO(mem_freep) char *path = mem_printf("%s/layout%zu", f->folder, i);
        char hex[DIGEST_HEX_SIZE];
        AUTO(mem_freep)
        char *file = i / 3 < 3
                         ? mem_printf("%s/blobs/sha256/%s", path, digest_hex(blobs[i / 3], hex))
                     : i / 3 < 4 ? mem_printf("%s/index.json", path)
                                 : mem_printf("%s/oci-layout", path);
        assert_int_equal(layout_write_dir(f->store, path, &image, 1, &err), 0);
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        assert_int_equal(file_read(AT_FDCWD, file, 10000, &text, NULL, &err), 0);
        text.data[i / 3 < 3 ? text.len / 2 : 0] ^= 1;
        assert_int_equal(unlink(file), 0);
        if (i % 3 < 2) {
            size_t keep = i % 3 ? text.len - 1 : text.len;
            assert_int_equal(file_write_atomic(AT_FDCWD, file, text.data, keep, 0644, false, &err),
                             0);
        }
        struct layout_image *got = NULL;
        size_t len = 0;
        AUTO(mem_freep) char *home = mem_printf("%s/store%zu", f->folder, i);
        AUTO(store_freep) struct store *fresh = NULL;
        assert_int_equal(store_open(home, &fresh, &err), 0);
        if (layout_read(fresh, path, &got, &len, &err) == 0) {
            fail_msg("damage %zu was not seen", i);
        }
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, path));
        if (i / 3 < 3) {
            assert_false(store_has_blob(fresh, blobs[i / 3], NULL));
        }
    }
}

static void test_layout__part_of_an_index_will_do(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image image = {put_index(f->store), name_multi};
    AUTO(mem_freep) char *path = mem_printf("%s/layout", f->folder);
    assert_int_equal(layout_write_dir(f->store, path, &image, 1, &err), 0);
    AUTO(platform_release) struct platform p = {0};
    AUTO(image_release) struct image parts = {0};
    assert_int_equal(platform_parse("linux/arm64", &p, &err), 0);
    assert_int_equal(images_load(f->store, &image.descriptor, &p, &parts, &err), 0);
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep)
    char *child = mem_printf("%s/blobs/sha256/%s", path, digest_hex(&parts.manifest.digest, hex));
    assert_int_equal(unlink(child), 0);
    struct layout_image *got = NULL;
    size_t len = 0;
    assert_int_equal(layout_read(f->second, path, &got, &len, &err), 0);
    layout_images_release(got, len);
}

static void test_layout__what_is_none_is_a_sentence(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image *got = NULL;
    size_t len = 0;
    AUTO(mem_freep) char *none = mem_printf("%s/none", f->folder);
    AUTO(mem_freep) char *text = mem_printf("%s/text", f->folder);
    assert_int_equal(layout_read(f->second, none, &got, &len, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(layout_read(f->second, f->folder, &got, &len, &err), -1);
    assert_non_null(strstr(err.text, "oci-layout"));
    for (size_t i = 0; i < 3; i++) {
        static const char *const contents[] = {"", "text", "\x1f\x8b\x08garbage"};
        assert_int_equal(
            file_write_atomic(AT_FDCWD, text, contents[i], strlen(contents[i]), 0644, false, &err),
            0);
        err = (struct error){0};
        assert_int_equal(layout_read(f->second, text, &got, &len, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
    }
}

int main(void)
{
#define CASE(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_layout__a_folder_comes_back),
        CASE(test_layout__a_tar_comes_back_and_is_the_same_each_time),
        CASE(test_layout__a_compressed_tar_is_read),
        CASE(test_layout__a_missing_blob_is_named_when_writing),
        CASE(test_layout__damage_is_found),
        CASE(test_layout__part_of_an_index_will_do),
        CASE(test_layout__what_is_none_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
