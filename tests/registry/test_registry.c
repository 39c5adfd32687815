#include <fcntl.h>
#include <time.h>

#include "oci/images.h"
#include "tests/registry/peer.h"

static struct peer peer;

static int start_peer(void **state)
{
    (void)state;
    unsetenv("SLIPWAY_REGISTRY_MAP");
    unsetenv("SLIPWAY_INSECURE_REGISTRIES");
    peer_start(&peer, "");
    AUTO(mem_freep) char *config = mem_printf("%s/docker", peer.folder);
    setenv("DOCKER_CONFIG", config, 1);
    unsetenv("REGISTRY_AUTH_FILE");
    return 0;
}

static int stop_peer(void **state)
{
    (void)state;
    peer_stop(&peer);
    return 0;
}

static void test_registry__what_is_pushed_is_pulled(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s1");
    AUTO(store_freep) struct store *there = store_in(peer.folder, "s2");
    AUTO(registry_freep) struct registry *from = registry_of(here, false);
    AUTO(registry_freep) struct registry *to = registry_of(there, false);
    AUTO(image_release) struct image image = make_image(here, 6, 300000, 1);
    AUTO(image_release) struct image got = {0};
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "team/app:1");
    OK(push_to(from, &image, peer.host, "team/app:1", &err));
    OK(registry_get_image(to, &ref, NULL, RESOLVE_REGISTRY, &got, &err));
    assert_true(digest_equal(&got.manifest.digest, &image.manifest.digest));
    assert_int_equal(got.layers_len, 6);
    assert_false(store_has_blob(there, &got.layers[0].blob.digest, NULL));
    OK(registry_get_layers(to, &got, 0, 6, &err));
    for (size_t i = 0; i < 6; i++) {
        uint64_t size = 0;
        assert_true(store_has_blob(there, &image.layers[i].blob.digest, &size));
        assert_int_equal(size, 300000);
    }
    assert_int_equal(peer_count(&peer, "GET", "/blobs/sha256:"), 7);
}

static void test_registry__a_repeated_push_is_one_head(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *store = store_in(peer.folder, "s3");
    AUTO(registry_freep) struct registry *registry = registry_of(store, false);
    AUTO(image_release) struct image image = make_image(store, 3, 1000, 2);
    OK(push_to(registry, &image, peer.host, "repeat:1", &err));
    int before = peer_count(&peer, "HEAD", "/v2/repeat/");
    OK(push_to(registry, &image, peer.host, "repeat:1", &err));
    assert_int_equal(peer_count(&peer, "HEAD", "/v2/repeat/"), before + 1);
    assert_int_equal(peer_count(&peer, "PUT", "/v2/repeat/manifests"), 1);
    /* While building, too: what was brought there before is not even asked for. */
    AUTO(push_freep) struct push *push = NULL;
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "repeat:1");
    const char *tags[] = {"1", NULL};
    OK(push_open(registry, &ref, &push, &err));
    push_add_blob(push, &image.config);
    for (size_t i = 0; i < image.layers_len; i++) {
        push_add_blob(push, &image.layers[i].blob);
    }
    OK(push_finish(push, &image.manifest, tags, &err));
    assert_int_equal(peer_count(&peer, "HEAD", "/v2/repeat/"), before + 2);
    assert_int_equal(push_bytes_sent(push), 0);
}

static void test_registry__blobs_are_mounted_without_their_bytes(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s4");
    AUTO(store_freep) struct store *there = store_in(peer.folder, "s5");
    AUTO(registry_freep) struct registry *from = registry_of(here, false);
    AUTO(registry_freep) struct registry *to = registry_of(there, false);
    AUTO(image_release) struct image image = make_image(here, 2, 5000, 3);
    AUTO(image_release) struct image got = {0};
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "base/os:1");
    OK(push_to(from, &image, peer.host, "base/os:1", &err));
    OK(registry_get_image(to, &ref, NULL, RESOLVE_REGISTRY, &got, &err));
    OK(push_to(to, &got, peer.host, "derived/app:2", &err));
    assert_int_equal(peer_count(&peer, "POST", "/v2/derived/app/blobs/uploads/?mount="), 3);
    assert_int_equal(peer_count(&peer, "PUT", "/v2/derived/app/blobs/uploads/"), 0);
    assert_false(store_has_blob(there, &got.layers[0].blob.digest, NULL));
}

static void test_registry__a_missing_image_is_named(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *store = store_in(peer.folder, "s6");
    AUTO(registry_freep) struct registry *registry = registry_of(store, false);
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "nobody/nothing:9");
    struct image image = {0};
    struct error err = {0};
    assert_int_equal(registry_get_image(registry, &ref, NULL, RESOLVE_REGISTRY, &image, &err), -1);
    assert_int_equal(err.code, ERR_REMOTE);
    assert_int_equal(err.http_status, 404);
    SAYS(err, "nobody/nothing:9: no such image");
}

static void test_registry__offline_uses_what_was_resolved(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s7");
    AUTO(store_freep) struct store *there = store_in(peer.folder, "s8");
    AUTO(registry_freep) struct registry *from = registry_of(here, false);
    AUTO(registry_freep) struct registry *online = registry_of(there, false);
    AUTO(registry_freep) struct registry *offline = registry_of(there, true);
    AUTO(image_release) struct image image = make_image(here, 1, 100, 4);
    AUTO(image_release) struct image got = {0};
    AUTO(image_release) struct image again = {0};
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "off:1");
    AUTO(reference_release) struct reference other = ref_of(peer.host, "off:2");
    struct error failure = {0};
    OK(push_to(from, &image, peer.host, "off:1", &err));
    assert_int_equal(registry_get_image(offline, &ref, NULL, RESOLVE_REGISTRY, &again, &failure),
                     -1);
    SAYS(failure, "offline: ");
    SAYS(failure, "/off:1 is not in the store");
    OK(registry_get_image(online, &ref, NULL, RESOLVE_REGISTRY, &got, &err));
    OK(registry_get_image(offline, &ref, NULL, RESOLVE_REGISTRY, &again, &err));
    assert_true(digest_equal(&again.manifest.digest, &image.manifest.digest));
    failure = (struct error){0};
    assert_int_equal(registry_get_layer(offline, &again, 0, &failure), -1);
    SAYS(failure, "offline: sha256:");
    image_release(&again);
    failure = (struct error){0};
    assert_int_equal(
        registry_get_image(offline, &other, NULL, RESOLVE_STORE_FIRST, &again, &failure), -1);
    SAYS(failure, "off:2 is not in the store");
}

static void test_registry__a_map_sends_a_host_elsewhere(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s9");
    AUTO(store_freep) struct store *there = store_in(peer.folder, "s10");
    AUTO(registry_freep) struct registry *from = registry_of(here, false);
    AUTO(image_release) struct image image = make_image(here, 1, 100, 5);
    AUTO(image_release) struct image got = {0};
    AUTO(mem_freep) char *map = mem_printf("docker.io=%s/mirror/", peer.host);
    OK(push_to(from, &image, peer.host, "mirror/library/debian:12", &err));
    setenv("SLIPWAY_REGISTRY_MAP", map, 1);
    AUTO(registry_freep) struct registry *to = registry_of(there, false);
    unsetenv("SLIPWAY_REGISTRY_MAP");
    AUTO(reference_release) struct reference ref = {0};
    OK(reference_parse("debian:12", &ref, &err));
    OK(registry_get_image(to, &ref, NULL, RESOLVE_REGISTRY, &got, &err));
    assert_string_equal(got.origin, "docker.io/library/debian");
    /* A push beside the mirror's repository mounts from there. */
    OK(push_to(to, &got, peer.host, "mine/debian:12", &err));
    assert_int_equal(peer_count(&peer, "POST", "from=mirror/library/debian"), 2);
    assert_int_equal(peer_count(&peer, "PUT", "/v2/mine/debian/blobs"), 0);
}

static void test_registry__a_damaged_blob_is_fetched_anew(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s11");
    AUTO(registry_freep) struct registry *registry = registry_of(here, false);
    AUTO(image_release) struct image image = make_image(here, 1, 100, 6);
    AUTO(image_release) struct image got = {0};
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "damaged:1");
    char hex[DIGEST_HEX_SIZE];
    OK(push_to(registry, &image, peer.host, "damaged:1", &err));
    AUTO(mem_freep)
    char *path =
        mem_printf("%s/s11/blobs/sha256/%s", peer.folder, digest_hex(&image.manifest.digest, hex));
    OK(file_write_atomic(AT_FDCWD, path, "{}", 2, 0644, false, &err));
    OK(registry_get_image(registry, &ref, NULL, RESOLVE_REGISTRY, &got, &err));
    assert_true(digest_equal(&got.manifest.digest, &image.manifest.digest));
}

static void test_registry__a_damaged_layer_is_not_pushed(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s16");
    AUTO(registry_freep) struct registry *registry = registry_of(here, false);
    AUTO(image_release) struct image image = make_image(here, 1, 4, 10);
    char hex[DIGEST_HEX_SIZE];
    struct error failure = {0};
    AUTO(mem_freep)
    char *path = mem_printf("%s/s16/blobs/sha256/%s", peer.folder,
                            digest_hex(&image.layers[0].blob.digest, hex));
    OK(file_write_atomic(AT_FDCWD, path, "evil", 4, 0644, false, &err));
    assert_int_equal(push_to(registry, &image, peer.host, "rotten:1", &failure), -1);
    assert_int_equal(failure.code, ERR_STORE);
    SAYS(failure, "is damaged in the store and was removed");
    assert_false(store_has_blob(here, &image.layers[0].blob.digest, NULL));
}

static void test_registry__the_stores_own_tags_come_first_where_wanted(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s17");
    AUTO(registry_freep) struct registry *registry = registry_of(here, false);
    AUTO(image_release) struct image built = make_image(here, 1, 100, 11);
    AUTO(image_release) struct image pushed = make_image(here, 1, 100, 12);
    AUTO(image_release) struct image got = {0};
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "mine:1");
    AUTO(mem_freep) char *name = reference_format(&ref);
    OK(push_to(registry, &pushed, peer.host, "mine:1", &err));
    OK(images_tag(here, name, &built.manifest, &err));
    OK(registry_get_image(registry, &ref, NULL, RESOLVE_STORE_FIRST, &got, &err));
    assert_true(digest_equal(&got.manifest.digest, &built.manifest.digest));
    /* It was built here: to say that the registry has it would be a lie. */
    assert_null(got.origin);
    image_release(&got);
    OK(registry_get_image(registry, &ref, NULL, RESOLVE_REGISTRY, &got, &err));
    assert_true(digest_equal(&got.manifest.digest, &pushed.manifest.digest));
}

/* An index of the two images in STORE, pushed with all that it lists. */
static void push_index(struct registry *registry, struct store *store, const struct image *amd64,
                       const struct image *arm64, const char *name)
{
    struct index_entry items[] = {
        {.descriptor = amd64->manifest,
         .platform = {.os = (char *)"linux", .architecture = (char *)"amd64"}},
        {.descriptor = arm64->manifest,
         .platform = {.os = (char *)"linux", .architecture = (char *)"arm64"}},
    };
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(reference_release) struct reference ref = ref_of(peer.host, name);
    struct descriptor top = {.media_type = MEDIA_OCI_INDEX};
    index_render(items, 2, NULL, &text);
    OK(store_put_blob(store, text.data, text.len, &top.digest, &err));
    top.size = text.len;
    OK(registry_push_image(registry, amd64, &top, &ref, &err));
}

static void test_registry__the_stores_tag_for_another_platform_does_not_count(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s18");
    AUTO(registry_freep) struct registry *registry = registry_of(here, false);
    AUTO(registry_freep) struct registry *offline = registry_of(here, true);
    AUTO(image_release) struct image amd64 = make_image(here, 1, 100, 13);
    AUTO(image_release) struct image arm64 = make_image(here, 1, 100, 14);
    AUTO(image_release) struct image got = {0};
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "both:1");
    AUTO(mem_freep) char *name = reference_format(&ref);
    struct platform arm = {.os = (char *)"linux", .architecture = (char *)"arm64"};
    struct error failure = {0};
    push_index(registry, here, &amd64, &arm64, "both:1");
    OK(images_tag(here, name, &amd64.manifest, &err));
    assert_int_equal(registry_get_image(offline, &ref, &arm, RESOLVE_REGISTRY, &got, &failure), -1);
    SAYS(failure, "is not for linux/arm64");
    OK(registry_get_image(registry, &ref, &arm, RESOLVE_STORE_FIRST, &got, &err));
    assert_true(digest_equal(&got.manifest.digest, &arm64.manifest.digest));
}

static int skopeo(const char *arguments)
{
    char line[256];
    AUTO(mem_freep)
    char *command = mem_printf("skopeo %s 2>&1 | tail -n 1; exit ${PIPESTATUS[0]}", arguments);
    AUTO(mem_freep) char *bash = mem_printf("bash -c '%s'", command);
    int rc = run_line(bash, line, sizeof line);
    if (rc != 0) {
        print_error("skopeo %s: %s\n", arguments, line);
    }
    return rc;
}

static void test_registry__skopeo_understands_it_and_is_understood(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s12");
    AUTO(store_freep) struct store *there = store_in(peer.folder, "s13");
    AUTO(registry_freep) struct registry *from = registry_of(here, false);
    AUTO(registry_freep) struct registry *to = registry_of(there, false);
    AUTO(image_release) struct image image = make_image(here, 3, 50000, 7);
    AUTO(image_release) struct image got = {0};
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "copied/app:1");
    OK(push_to(from, &image, peer.host, "original/app:1", &err));
    AUTO(mem_freep)
    char *copy = mem_printf("copy --src-tls-verify=false --dest-tls-verify=false --format v2s2 "
                            "docker://%s/original/app:1 docker://%s/copied/app:1",
                            peer.host, peer.host);
    assert_int_equal(skopeo(copy), 0);
    /* Now it is docker's schema 2, its layers compressed by skopeo. */
    OK(registry_get_image(to, &ref, NULL, RESOLVE_REGISTRY, &got, &err));
    assert_string_equal(got.manifest.media_type, MEDIA_DOCKER_MANIFEST);
    OK(registry_get_layers(to, &got, 0, got.layers_len, &err));
    assert_true(digest_equal(&got.layers[2].diff_id, &image.layers[2].diff_id));
    /* And on under another name, as it is. */
    OK(push_to(to, &got, peer.host, "third/app:1", &err));
    AUTO(mem_freep)
    char *inspect = mem_printf("inspect --tls-verify=false docker://%s/third/app:1", peer.host);
    assert_int_equal(skopeo(inspect), 0);
}

static void test_registry__an_index_goes_over_whole_and_one_platform_comes(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *here = store_in(peer.folder, "s14");
    AUTO(store_freep) struct store *there = store_in(peer.folder, "s15");
    AUTO(registry_freep) struct registry *from = registry_of(here, false);
    AUTO(registry_freep) struct registry *to = registry_of(there, false);
    AUTO(registry_freep) struct registry *offline = registry_of(there, true);
    AUTO(image_release) struct image amd64 = make_image(here, 1, 100, 8);
    AUTO(image_release) struct image arm64 = make_image(here, 1, 100, 9);
    AUTO(image_release) struct image got = {0};
    AUTO(image_release) struct image again = {0};
    AUTO(reference_release) struct reference ref = ref_of(peer.host, "multi/app:1");
    struct platform arm = {.os = (char *)"linux", .architecture = (char *)"arm64"};
    struct platform riscv = {.os = (char *)"linux", .architecture = (char *)"riscv64"};
    push_index(from, here, &amd64, &arm64, "multi/app:1");
    OK(registry_get_image(to, &ref, &arm, RESOLVE_REGISTRY, &got, &err));
    assert_true(digest_equal(&got.manifest.digest, &arm64.manifest.digest));
    /* The tag stands for the index: offline, too, the platform counts. */
    OK(registry_get_image(offline, &ref, &arm, RESOLVE_REGISTRY, &again, &err));
    assert_true(digest_equal(&again.manifest.digest, &arm64.manifest.digest));
    image_release(&again);
    struct error failure = {0};
    assert_int_equal(registry_get_image(to, &ref, &riscv, RESOLVE_REGISTRY, &again, &failure), -1);
    assert_int_equal(failure.code, ERR_USAGE);
    SAYS(failure, "linux/arm64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry__what_is_pushed_is_pulled),
        cmocka_unit_test(test_registry__a_repeated_push_is_one_head),
        cmocka_unit_test(test_registry__blobs_are_mounted_without_their_bytes),
        cmocka_unit_test(test_registry__a_missing_image_is_named),
        cmocka_unit_test(test_registry__offline_uses_what_was_resolved),
        cmocka_unit_test(test_registry__a_map_sends_a_host_elsewhere),
        cmocka_unit_test(test_registry__a_damaged_blob_is_fetched_anew),
        cmocka_unit_test(test_registry__a_damaged_layer_is_not_pushed),
        cmocka_unit_test(test_registry__the_stores_own_tags_come_first_where_wanted),
        cmocka_unit_test(test_registry__the_stores_tag_for_another_platform_does_not_count),
        cmocka_unit_test(test_registry__skopeo_understands_it_and_is_understood),
        cmocka_unit_test(test_registry__an_index_goes_over_whole_and_one_platform_comes),
    };
    return cmocka_run_group_tests(tests, start_peer, stop_peer);
}
