#include "tests/oci/image_fixture.h"

#include "oci/docker_archive.h"
#include "oci/images.h"
#include "oci/tar_write.h"

static char name_app[] = "docker.io/library/app:1";
static char name_again[] = "docker.io/library/app:again";
static char name_multi[] = "localhost:5000/multi:latest";

/* Adds a file, or with LINK a symbolic link, to the tar OUT. */
static void tar_add(struct buf *out, const char *path, const char *content, const char *link)
{
    struct error err = {0};
    static const char zeros[TAR_BLOCK];
    struct entry entry = {.path = path,
                          .link = link,
                          .type = link ? ENTRY_SYMLINK : ENTRY_FILE,
                          .mode = 0644,
                          .size = content ? strlen(content) : 0};
    assert_int_equal(tar_header_append(&entry, 0, out, &err), 0);
    if (content) {
        buf_append(out, content, strlen(content));
        buf_append(out, zeros, tar_padding(strlen(content)));
    }
}

static void tar_end(struct buf *out)
{
    static const char zeros[TAR_END_BYTES];
    buf_append(out, zeros, sizeof zeros);
}

static int read_tar(struct store *store, const struct buf *tar, struct layout_image **got,
                    size_t *len, struct error *err)
{
    return docker_archive_read(store, reader_memory(tar->data, tar->len, false), "app.tar", got,
                               len, err);
}

/* The one layer of the image inflates to CONTENT. */
static void assert_layer(struct store *store, const struct layer *layer, const char *content)
{
    struct error err = {0};
    AUTO(buf_release) struct buf blob = BUF_INIT(0);
    char out[1000];
    assert_string_equal(layer->blob.media_type, MEDIA_OCI_LAYER_GZIP);
    assert_int_equal(store_read_blob(store, &layer->blob.digest, 10000, &blob, &err), 0);
    assert_int_equal(blob.len, layer->blob.size);
    z_stream z = {.next_in = (unsigned char *)blob.data,
                  .avail_in = (unsigned)blob.len,
                  .next_out = (unsigned char *)out,
                  .avail_out = sizeof out};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, strlen(content));
    assert_memory_equal(out, content, strlen(content));
    inflateEnd(&z);
    struct digest diff_id;
    digest_of(content, strlen(content), &diff_id);
    assert_true(digest_equal(&layer->diff_id, &diff_id));
}

/* An archive as docker wrote them before 25: two images that share a layer by a link. */
static void old_archive(struct buf *out, const char *layer_path, const char *manifest)
{
    struct digest diff_id;
    digest_of("the layer", 9, &diff_id);
    AUTO(mem_freep) char *config = config_text("amd64", &diff_id);
    tar_add(out, "1111/VERSION", "1.0", NULL);
    tar_add(out, "1111/json", "{}", NULL);
    tar_add(out, layer_path, "the layer", NULL);
    tar_add(out, "2222/layer.tar", NULL, "../1111/layer.tar");
    tar_add(out, "config.json", config, NULL);
    tar_add(out, "manifest.json", manifest, NULL);
    tar_add(out, "repositories", "{}", NULL);
    tar_end(out);
}

static void test_docker_archive__the_old_form(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    old_archive(
        &tar, "1111/layer.tar",
        "[{\"Config\":\"config.json\",\"RepoTags\":[\"app:1\",\"app:2\"],"
        "\"Layers\":[\"1111/layer.tar\"]},"
        "{\"Config\":\"./config.json\",\"RepoTags\":null,\"Layers\":[\"2222/layer.tar\"]}]");
    struct layout_image *got = NULL;
    size_t len = 0;
    if (read_tar(f->second, &tar, &got, &len, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(len, 3);
    assert_string_equal(got[0].name, "app:1");
    assert_string_equal(got[1].name, "app:2");
    assert_null(got[2].name);
    for (size_t i = 0; i < 3; i++) {
        AUTO(image_release) struct image image = {0};
        assert_int_equal(images_load(f->second, &got[i].descriptor, NULL, &image, &err), 0);
        assert_int_equal(image.layers_len, 1);
        assert_layer(f->second, &image.layers[0], "the layer");
    }
    layout_images_release(got, len);
}

static void test_docker_archive__nothing_else_of_it_stays(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    old_archive(&tar, "1111/layer.tar",
                "[{\"Config\":\"config.json\",\"RepoTags\":[\"app:1\"],"
                "\"Layers\":[\"1111/layer.tar\"]}]");
    struct layout_image *got = NULL;
    size_t len = 0;
    assert_int_equal(read_tar(f->second, &tar, &got, &len, &err), 0);
    layout_images_release(got, len);
    static const char *const dropped[] = {"1.0", "{}", "the layer"};
    for (size_t i = 0; i < ARRAY_LEN(dropped); i++) {
        struct digest digest;
        digest_of(dropped[i], strlen(dropped[i]), &digest);
        assert_false(store_has_blob(f->second, &digest, NULL));
    }
}

static void test_docker_archive__what_is_wrong_is_a_sentence(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *manifest;
        const char *message;
    } cases[] = {
        {"[]", "names no images"},
        {"{}", "names no images"},
        {"[", "not JSON"},
        {"[1]", "config '' is missing"},
        {"[{\"Config\":\"none.json\",\"Layers\":[]}]", "config 'none.json' is missing"},
        {"[{\"Config\":\"/etc/passwd\",\"Layers\":[]}]", "config '/etc/passwd' is missing"},
        {"[{\"Config\":\"../../../../etc/passwd\",\"Layers\":[]}]", "is missing"},
        {"[{\"Config\":\"config.json\",\"Layers\":[]}]", "names 1 layers"},
        {"[{\"Config\":\"config.json\",\"Layers\":[\"../3333/layer.tar\"]}]", "is missing"},
        {"[{\"Config\":\"config.json\",\"Layers\":[7]}]", "is missing"},
        {"[{\"Config\":\"config.json\",\"Layers\":[\"1111/VERSION\"]}]",
         "is not what the config says"},
        {"[{\"Config\":\"1111/VERSION\",\"Layers\":[]}]", "config"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(buf_release) struct buf tar = BUF_INIT(0);
        old_archive(&tar, "1111/layer.tar", cases[i].manifest);
        struct layout_image *got = NULL;
        size_t len = 0;
        assert_int_equal(read_tar(f->second, &tar, &got, &len, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, "app.tar"));
        if (!strstr(err.text, cases[i].message)) {
            fail_msg("case %zu: %s", i, err.text);
        }
    }
}

/* Links that lead round in a circle, or out. */
static void test_docker_archive__links_lead_nowhere(void **state)
{
    struct fixture *f = *state;
    static const char *const targets[] = {"config.json", "other", "/etc/passwd",
                                          "../../../../../../../etc/passwd"};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct error err = {0};
        AUTO(buf_release) struct buf tar = BUF_INIT(0);
        tar_add(&tar, "config.json", NULL, targets[i]);
        tar_add(&tar, "other", NULL, "config.json");
        tar_add(&tar, "manifest.json", "[{\"Config\":\"config.json\",\"Layers\":[]}]", NULL);
        tar_end(&tar);
        struct layout_image *got = NULL;
        size_t len = 0;
        assert_int_equal(read_tar(f->second, &tar, &got, &len, &err), -1);
        assert_non_null(strstr(err.text, "is missing"));
    }
}

static void test_docker_archive__cut_short_anywhere(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    old_archive(&tar, "1111/layer.tar",
                "[{\"Config\":\"config.json\",\"RepoTags\":null,"
                "\"Layers\":[\"1111/layer.tar\"]}]");
    size_t whole = tar.len - TAR_END_BYTES - 2 * TAR_BLOCK; /* "repositories" is not needed */
    for (size_t cut = 0; cut < whole; cut += 100) {
        struct error err = {0};
        struct buf part = {.data = tar.data, .len = cut};
        struct layout_image *got = NULL;
        size_t len = 0;
        assert_int_equal(read_tar(f->second, &part, &got, &len, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
    }
}

static void test_docker_archive__written_and_read_again(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image images[] = {
        {put_image(f->store, "amd64", "layer one", MEDIA_OCI_LAYER_GZIP), name_app},
        {put_image(f->store, "amd64", "layer one", MEDIA_OCI_LAYER_GZIP), name_again},
        {put_index(f->store), name_multi},
    };
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    AUTO(writer_freep) struct writer *w = writer_buf(&tar);
    assert_int_equal(docker_archive_write(f->store, w, images, 3, NULL, &err), 0);
    buf_puts(&tar, "");
    const char *manifest = memmem(tar.data, tar.len, "[{\"Config\":\"blobs/sha256/", 25);
    assert_non_null(manifest);
    assert_non_null(strstr(manifest, "\"RepoTags\":[\"app:1\",\"app:again\"]"));
    assert_non_null(strstr(manifest, "\"RepoTags\":[\"localhost:5000/multi:latest\"]"));
    struct layout_image *got = NULL;
    size_t len = 0;
    assert_int_equal(read_tar(f->second, &tar, &got, &len, &err), 0);
    assert_int_equal(len, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(got[i].name, images[i].name);
        assert_true(digest_equal(&got[i].descriptor.digest, &images[i].descriptor.digest));
    }
    layout_images_release(got, len);
}

/* What docker 25 saves: a layout with plain layers. They are deflated, the id stays. */
static void test_docker_archive__plain_layers_are_compressed(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct layout_image image = {put_image(f->store, "amd64", "plain layer", MEDIA_OCI_LAYER),
                                 name_app};
    AUTO(image_release) struct image before = {0};
    AUTO(image_release) struct image after = {0};
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    AUTO(writer_freep) struct writer *w = writer_buf(&tar);
    assert_int_equal(docker_archive_write(f->store, w, &image, 1, NULL, &err), 0);
    struct layout_image *got = NULL;
    size_t len = 0;
    assert_int_equal(read_tar(f->second, &tar, &got, &len, &err), 0);
    assert_int_equal(len, 1);
    assert_int_equal(images_load(f->store, &image.descriptor, NULL, &before, &err), 0);
    assert_int_equal(images_load(f->second, &got[0].descriptor, NULL, &after, &err), 0);
    assert_true(digest_equal(&before.config.digest, &after.config.digest));
    assert_layer(f->second, &after.layers[0], "plain layer");
    layout_images_release(got, len);
}

static void test_docker_archive__layers_compressed_by_others_stay(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    old_archive(&tar, "1111/layer.tar.gz",
                "[{\"Config\":\"config.json\",\"RepoTags\":null,"
                "\"Layers\":[\"layer.tgz\"]}]");
    tar.len -= TAR_END_BYTES;
    tar_add(&tar, "layer.tgz", "\x1f\x8b\x08 as crane writes it", NULL);
    tar_end(&tar);
    struct layout_image *got = NULL;
    size_t len = 0;
    assert_int_equal(read_tar(f->second, &tar, &got, &len, &err), 0);
    AUTO(image_release) struct image image = {0};
    assert_int_equal(images_load(f->second, &got[0].descriptor, NULL, &image, &err), 0);
    struct digest digest;
    digest_of("\x1f\x8b\x08 as crane writes it", 22, &digest);
    assert_true(digest_equal(&image.layers[0].blob.digest, &digest));
    assert_string_equal(image.layers[0].blob.media_type, MEDIA_OCI_LAYER_GZIP);
    layout_images_release(got, len);
}

int main(void)
{
#define CASE(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_docker_archive__the_old_form),
        CASE(test_docker_archive__nothing_else_of_it_stays),
        CASE(test_docker_archive__what_is_wrong_is_a_sentence),
        CASE(test_docker_archive__links_lead_nowhere),
        CASE(test_docker_archive__cut_short_anywhere),
        CASE(test_docker_archive__written_and_read_again),
        CASE(test_docker_archive__plain_layers_are_compressed),
        CASE(test_docker_archive__layers_compressed_by_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
