#include "tests/oci/image_fixture.h"

#include "oci/images.h"

static void test_images__a_tag_moves_and_goes(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor one = put_image(f->store, "amd64", "one", MEDIA_OCI_LAYER_GZIP);
    struct descriptor two = put_image(f->store, "amd64", "two", MEDIA_OCI_LAYER_GZIP);
    struct descriptor got;
    bool found = true;
    const char *name = "docker.io/library/app:1";
    assert_int_equal(images_resolve(f->store, name, &got, &found, &err), 0);
    assert_false(found);
    assert_int_equal(images_tag(f->store, name, &one, &err), 0);
    assert_int_equal(images_tag(f->store, name, &two, &err), 0);
    assert_int_equal(images_resolve(f->store, name, &got, &found, &err), 0);
    assert_true(found);
    assert_true(digest_equal(&got.digest, &two.digest));
    assert_int_equal(got.size, two.size);
    assert_string_equal(got.media_type, MEDIA_OCI_MANIFEST);
    struct image_tag *items = NULL;
    size_t len = 0;
    assert_int_equal(images_list(f->store, &items, &len, &err), 0);
    assert_int_equal(len, 2); /* the tag, and the image that lost it */
    assert_string_equal(items[0].name, name);
    assert_true(items[0].tagged > 1000000000);
    assert_null(items[1].name);
    assert_true(digest_equal(&items[1].top.digest, &one.digest));
    images_list_release(items, len);
    assert_int_equal(images_untag(f->store, name, &err), 0);
    assert_int_equal(images_forget(f->store, &one.digest, &err), 0);
    assert_int_equal(images_list(f->store, &items, &len, &err), 0);
    assert_int_equal(len, 1);
    images_list_release(items, len);
}

static void test_images__an_image_is_loaded_for_a_platform(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor top = put_index(f->store);
    AUTO(platform_release) struct platform arm = {0};
    AUTO(platform_release) struct platform none = {0};
    assert_int_equal(platform_parse("linux/arm64", &arm, &err), 0);
    assert_int_equal(platform_parse("linux/s390x", &none, &err), 0);
    AUTO(image_release) struct image image = {0};
    assert_int_equal(images_load(f->store, &top, &arm, &image, &err), 0);
    assert_string_equal(json_get_string(image.config_json, "architecture"), "arm64");
    assert_int_equal(image.layers_len, 1);
    assert_null(image.origin);
    assert_true(digest_equal(&image.layers[0].diff_id, &image.layers[0].blob.digest));
    AUTO(image_release) struct image copy = {0};
    image_copy(&image, &copy);
    assert_true(json_equal(copy.config_json, image.config_json));
    AUTO(image_release) struct image other = {0};
    assert_int_equal(images_load(f->store, &top, &none, &other, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "linux/arm64"));
    assert_int_equal(store_remove_blob(f->store, &image.config.digest, &err), 0);
    assert_int_equal(images_load(f->store, &top, &arm, &other, &err), -1);
    assert_int_equal(err.code, ERR_STORE);
}

static void test_images__a_layer_need_not_be_there(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor top = put_image(f->store, "amd64", "layer", MEDIA_OCI_LAYER_GZIP);
    struct digest layer;
    digest_of("layer", 5, &layer);
    assert_int_equal(store_remove_blob(f->store, &layer, &err), 0);
    assert_int_equal(store_origin_add(f->store, &top.digest, "host/repo", &err), 0);
    AUTO(image_release) struct image image = {0};
    assert_int_equal(images_load(f->store, &top, NULL, &image, &err), 0);
    assert_string_equal(image.origin, "host/repo");
}

static void test_images__a_wrong_size_is_seen(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor top = put_image(f->store, "amd64", "layer", MEDIA_OCI_LAYER_GZIP);
    top.size++;
    AUTO(image_release) struct image image = {0};
    assert_int_equal(images_load(f->store, &top, NULL, &image, &err), -1);
    assert_int_equal(err.code, ERR_REMOTE);
}

static void test_images__found_by_the_beginning_of_an_id(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char hex[DIGEST_HEX_SIZE];
    struct descriptor got;
    bool found = false;
    struct descriptor top = put_image(f->store, "amd64", "layer", MEDIA_OCI_LAYER_GZIP);
    assert_int_equal(images_add(f->store, &top, &err), 0);
    digest_hex(&top.digest, hex);
    AUTO(image_release) struct image image = {0};
    assert_int_equal(images_load(f->store, &top, NULL, &image, &err), 0);
    char config[DIGEST_TEXT_SIZE];
    digest_format(&image.config.digest, config);
    config[7 + 12] = '\0';
    const char *const good[] = {hex, config, config + 7};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(images_find_id(f->store, good[i], &got, &found, &err), 0);
        assert_true(found);
        assert_true(digest_equal(&got.digest, &top.digest));
    }
    hex[4] = '\0';
    assert_int_equal(images_find_id(f->store, hex, &got, &found, &err), 0);
    assert_true(found);
    hex[3] = '\0';
    const char *const bad[] = {hex, "", "zzzz", "latest", "00000000"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(images_find_id(f->store, bad[i], &got, &found, &err), 0);
        assert_false(found);
    }
}

/* Two images whose digests begin alike cannot be made: the same config under two manifests can. */
static void test_images__an_id_of_several_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor one = put_image(f->store, "amd64", "layer", MEDIA_OCI_LAYER_GZIP);
    struct descriptor two = put_image(f->store, "amd64", "layer", MEDIA_OCI_LAYER_ZSTD);
    assert_int_equal(images_add(f->store, &one, &err), 0);
    assert_int_equal(images_add(f->store, &two, &err), 0);
    AUTO(image_release) struct image image = {0};
    assert_int_equal(images_load(f->store, &one, NULL, &image, &err), 0);
    char hex[DIGEST_HEX_SIZE];
    struct descriptor got;
    bool found = false;
    assert_int_equal(
        images_find_id(f->store, digest_hex(&image.config.digest, hex), &got, &found, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    char first[DIGEST_HEX_SIZE];
    digest_hex(&one.digest, first);
    first[16] = '\0';
    assert_non_null(strstr(err.text, first));
}

int main(void)
{
#define CASE(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_images__a_tag_moves_and_goes),
        CASE(test_images__an_image_is_loaded_for_a_platform),
        CASE(test_images__a_layer_need_not_be_there),
        CASE(test_images__a_wrong_size_is_seen),
        CASE(test_images__found_by_the_beginning_of_an_id),
        CASE(test_images__an_id_of_several_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
