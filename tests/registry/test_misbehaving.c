#include <fcntl.h>
#include <pthread.h>
#include <time.h>

#include "base/http.h"
#include "base/thread.h"
#include "tests/base/misbehaving.h"
#include "tests/registry/peer.h"

/* The digest of the server's BLOB is not needed here: what arrives has passed the store's check. */

static struct misbehaving server;
static char folder[] = "/tmp/slipway-misbehaving-registry-XXXXXX";
static int stores;

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    setenv("DOCKER_CONFIG", folder, 1);
    unsetenv("SLIPWAY_REGISTRY_MAP");
    return misbehaving_start(&server) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    struct error ignored = {0};
    misbehaving_stop(&server);
    file_remove_tree(AT_FDCWD, folder, &ignored);
    return 0;
}

static struct store *new_store(char **path_out)
{
    AUTO(mem_freep) char *name = mem_printf("store%d", stores++);
    *path_out = mem_printf("%s/%s", folder, name);
    return store_in(folder, name);
}

/* Pulls everything of NAME. */
static int pull(struct registry *registry, const char *name, struct error *err)
{
    AUTO(image_release) struct image image = {0};
    AUTO(reference_release) struct reference ref = ref_of(server.host, name);
    if (registry_get_image(registry, &ref, NULL, RESOLVE_REGISTRY, &image, err) != 0) {
        return -1;
    }
    return registry_get_layers(registry, &image, 0, image.layers_len, err);
}

static const struct {
    const char *name;
    const char *words; /* NULL: it goes well all the same */
} pulls[] = {
    {"good/app:1", NULL},
    {"nodigest/app:1", NULL},
    {"broken/app:1", NULL},
    {"elsewhere/app:1", NULL},
    {"html/app:1", "the answer is an HTML page"},
    {"huge/app:1", "longer than 4194304 bytes"},
    {"brackets/app:1", "nested more than 64 deep"},
    {"liar/app:1", "what was sent has the digest"},
    {"wrong/app:1", "digest"},
    {"truncated/app:1", "attempts)"},
    {"long/app:1", " is corrupt: more than the 3000000 bytes"},
};

static void test_misbehaving__pulls_end_well_or_with_a_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pulls); i++) {
        AUTO(mem_freep) char *path = NULL;
        AUTO(store_freep) struct store *store = new_store(&path);
        AUTO(registry_freep) struct registry *registry = registry_of(store, false);
        struct error failure = {0};
        int rc = pull(registry, pulls[i].name, &failure);
        if (!pulls[i].words) {
            if (rc != 0) {
                fail_msg("%s: %s", pulls[i].name, failure.text);
            }
            continue;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(failure.code, ERR_REMOTE);
        SAYS(failure, pulls[i].words);
        assert_null(strchr(failure.text, '\n'));
        assert_null(strstr(failure.text, "xxxx"));
        /* Nothing half-done stays, and the store works right after. */
        AUTO(mem_freep)
        char *command = mem_printf("find %s/tmp -type f ! -name '*.lock' | wc -l", path);
        char count[32];
        assert_int_equal(run_line(command, count, sizeof count), 0);
        assert_string_equal(count, "0");
        OK(pull(registry, "good/app:1", &err));
    }
}

static int push_made(const char *name, size_t size, uint64_t *sent_out, struct error *err)
{
    AUTO(mem_freep) char *path = NULL;
    AUTO(store_freep) struct store *store = new_store(&path);
    AUTO(registry_freep) struct registry *registry = registry_of(store, false);
    AUTO(image_release) struct image image = make_image(store, 1, size, (unsigned)stores);
    AUTO(push_freep) struct push *push = NULL;
    AUTO(reference_release) struct reference ref = ref_of(server.host, name);
    const char *tags[] = {reference_tag(&ref), NULL};
    if (push_open(registry, &ref, &push, err) != 0) {
        return -1;
    }
    push_add_blob(push, &image.config);
    push_add_blob(push, &image.layers[0].blob);
    push_add_blob(push, &image.layers[0].blob);
    if (push_finish(push, &image.manifest, tags, err) != 0) {
        return -1;
    }
    *sent_out = push_bytes_sent(push);
    assert_int_equal(*sent_out, image.config.size + size);
    return 0;
}

static void test_misbehaving__pushes_find_their_way(void **state)
{
    (void)state;
    /* 20 MB is more than two chunks. */
    static const char *const names[] = {"relative/app:1", "nomono/app:1", "flakyput/app:1",
                                        "immutable/app:new"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        uint64_t sent = 0;
        OK(push_made(names[i], 20000000, &sent, &err));
    }
}

static void test_misbehaving__an_immutable_tag_is_named(void **state)
{
    (void)state;
    uint64_t sent = 0;
    struct error failure = {0};
    assert_int_equal(push_made("immutable/app:taken", 100, &sent, &failure), -1);
    assert_int_equal(failure.code, ERR_IMMUTABLE);
    SAYS(failure, "immutable/app:taken: the tag is immutable and holds sha256:");
}

static void test_misbehaving__a_failed_push_leaves_no_thread_waiting(void **state)
{
    (void)state;
    AUTO(mem_freep) char *path = NULL;
    AUTO(store_freep) struct store *store = new_store(&path);
    AUTO(registry_freep) struct registry *registry = registry_of(store, false);
    AUTO(push_freep) struct push *push = NULL;
    AUTO(reference_release) struct reference ref = ref_of(server.host, "relative/other:1");
    struct error failure = {0};
    const char *tags[] = {"1", NULL};
    OK(push_open(registry, &ref, &push, &err));
    for (unsigned i = 0; i < 20; i++) {
        struct descriptor nowhere = {.media_type = MEDIA_OCI_LAYER, .size = 10};
        memset(nowhere.digest.bytes, (int)i + 1, sizeof nowhere.digest.bytes);
        push_add_blob(push, &nowhere);
    }
    struct descriptor manifest = {.media_type = MEDIA_OCI_MANIFEST, .size = 10};
    assert_int_equal(push_finish(push, &manifest, tags, &failure), -1);
    assert_int_equal(failure.code, ERR_STORE);
    SAYS(failure, "no registry is known to have it");
}

static struct registry *registry_with(struct store *store, const struct misbehaving *tls)
{
    AUTO(strlist_release) struct strlist certificates = {0};
    struct registry *registry = NULL;
    struct registry_options options = {.certificates = &certificates, .retry_delay_ms = 5};
    strlist_addf(&certificates, "127.0.0.1=%s/cert", tls->folder);
    OK(registry_open(store, &options, &registry, &err));
    return registry;
}

static void test_misbehaving__tls_where_it_is_and_a_hint_where_it_is_not(void **state)
{
    (void)state;
    struct misbehaving tls = {0};
    AUTO(mem_freep) char *path = NULL;
    AUTO(store_freep) struct store *store = new_store(&path);
    assert_true(misbehaving_start_tls(&tls));
    AUTO(registry_freep) struct registry *registry = registry_with(store, &tls);
    AUTO(image_release) struct image image = {0};
    AUTO(reference_release) struct reference there = ref_of(tls.host, "good/app:1");
    AUTO(reference_release) struct reference plain = ref_of(server.host, "good/app:1");
    struct error failure = {0};
    OK(registry_get_image(registry, &there, NULL, RESOLVE_REGISTRY, &image, &err));
    image_release(&image);
    assert_int_equal(registry_get_image(registry, &plain, NULL, RESOLVE_REGISTRY, &image, &failure),
                     -1);
    SAYS(failure, "speaks plain HTTP: SLIPWAY_INSECURE_REGISTRIES=127.0.0.1:");
    misbehaving_stop(&tls);
}

/* What one of several threads wants. */
struct wish {
    struct registry *registry;
    const struct image *image;
    bool failed;
};

static void *fetch_layer(void *arg)
{
    struct wish *wish = arg;
    struct error err = {0};
    wish->failed = registry_get_layer(wish->registry, wish->image, 0, &err) != 0;
    return NULL;
}

static void test_misbehaving__one_download_serves_all_who_wait(void **state)
{
    (void)state;
    AUTO(mem_freep) char *path = NULL;
    AUTO(store_freep) struct store *store = new_store(&path);
    AUTO(registry_freep) struct registry *registry = registry_of(store, false);
    AUTO(image_release) struct image image = {0};
    AUTO(reference_release) struct reference ref = ref_of(server.host, "shared/app:1");
    AUTO(http_client_freep) struct http_client *client = NULL;
    AUTO(http_response_release) struct http_response response = {0};
    char digest[DIGEST_TEXT_SIZE];
    pthread_t threads[6];
    struct wish wishes[6];
    OK(registry_get_image(registry, &ref, NULL, RESOLVE_REGISTRY, &image, &err));
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        wishes[i] = (struct wish){.registry = registry, .image = &image};
        thread_start(&threads[i], fetch_layer, &wishes[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_false(wishes[i].failed);
    }
    AUTO(mem_freep)
    char *url = mem_printf("http://%s/count/v2/shared/app/blobs/%s", server.host,
                           digest_format(&image.layers[0].blob.digest, digest));
    struct http_request request = {.url = url};
    OK(http_client_open(NULL, &client, &err));
    OK(http_perform(client, &request, &response, &err));
    assert_string_equal(buf_text(&response.body), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misbehaving__pulls_end_well_or_with_a_word),
        cmocka_unit_test(test_misbehaving__pushes_find_their_way),
        cmocka_unit_test(test_misbehaving__an_immutable_tag_is_named),
        cmocka_unit_test(test_misbehaving__tls_where_it_is_and_a_hint_where_it_is_not),
        cmocka_unit_test(test_misbehaving__one_download_serves_all_who_wait),
        cmocka_unit_test(test_misbehaving__a_failed_push_leaves_no_thread_waiting),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
