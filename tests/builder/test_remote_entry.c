#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/memory.h"
#include "builder/remote_entry.h"
#include "oci/config.h"

static struct step_result some_result(void)
{
    struct step_result result = {0};
    memcpy(result.layer.blob.media_type, MEDIA_OCI_LAYER_GZIP, sizeof MEDIA_OCI_LAYER_GZIP);
    digest_of("blob", 4, &result.layer.blob.digest);
    digest_of("tar", 3, &result.layer.diff_id);
    result.layer.blob.size = 4;
    return result;
}

/* Config and manifest of RESULT as an image; MANIFEST gets its bytes. */
static void render(const struct digest *key, const struct step_result *result,
                   const char *created_by, struct buf *config, struct buf *manifest)
{
    struct platform platform = {.os = (char *)"linux", .architecture = (char *)"amd64"};
    struct descriptor d = {.media_type = MEDIA_OCI_CONFIG};
    remote_entry_config(result, created_by, &platform, config);
    d.size = config->len;
    digest_of(config->data, config->len, &d.digest);
    remote_entry_manifest(key, result, created_by, &d, manifest);
}

static void test_remote_entry__what_is_written_is_read_again(void **state)
{
    (void)state;
    struct digest key;
    digest_of("key", 3, &key);
    for (int empty = 0; empty < 2; empty++) {
        AUTO(buf_release) struct buf config = BUF_INIT(0);
        AUTO(buf_release) struct buf manifest = BUF_INIT(0);
        struct step_result result = some_result();
        struct step_result again = {0};
        struct error err = {0};
        result.empty = empty;
        render(&key, &result, "RUN make \xff", &config, &manifest);
        assert_int_equal(remote_entry_parse(manifest.data, manifest.len, &key, &again, &err), 0);
        assert_int_equal(again.empty, empty);
        if (!empty) {
            assert_true(digest_equal(&again.layer.diff_id, &result.layer.diff_id));
            assert_true(digest_equal(&again.layer.blob.digest, &result.layer.blob.digest));
            assert_int_equal(again.layer.blob.size, 4);
            assert_string_equal(again.layer.blob.media_type, MEDIA_OCI_LAYER_GZIP);
        }
        /* The config is one of an image with these layers. */
        AUTO(json_freep) json_t *doc = NULL;
        struct layer layers[1] = {result.layer};
        assert_int_equal(document_parse_config(config.data, config.len, layers, empty ? 0 : 1,
                                               ERR_REMOTE, &doc, &err),
                         0);
    }
}

static void test_remote_entry__the_same_result_gives_the_same_bytes(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf config = BUF_INIT(0);
    AUTO(buf_release) struct buf manifest = BUF_INIT(0);
    struct digest key;
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    struct step_result result = some_result();
    digest_of("key", 3, &key);
    render(&key, &result, "COPY . /", &config, &manifest);
    digest_of(manifest.data, manifest.len, &digest);
    /* A change of these bytes makes every cache that is out there one of two contents. */
    assert_string_equal(digest_format(&digest, text),
                        "sha256:ecf6371166d752e5fd2ef1c113e5f280f00ea79dcaac5df3afdc07472aabfad1");
}

static char *replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    return mem_printf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void test_remote_entry__what_is_no_entry_of_the_key_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *error;
    } cases[] = {
        {"dev.slipway.step.key", "some.other.key", "it stands for no step"},
        {"dev.slipway.step.diff-id", "some.diff-id", "does not say what its layer inflates to"},
        {"image.layer.v1.tar+gzip", "image.layer.v2.tar", "its layer is a 'application/vnd"},
        {"\"size\":4}", "\"size\":0}", "cannot have 0 bytes"},
        {"\"size\":4}", "\"size\":9000000000000}", "no usable size"},
        {"\"size\":4}", "\"size\":-4}", "size"},
        {"{", "", ""},
        {"\"layers\":[", "\"layers\":[],\"x\":[", "its layer is missing"},
    };
    AUTO(buf_release) struct buf config = BUF_INIT(0);
    AUTO(buf_release) struct buf manifest = BUF_INIT(0);
    struct step_result result = some_result();
    struct step_result again = {0};
    struct digest key;
    struct digest other;
    struct error err = {0};
    digest_of("key", 3, &key);
    digest_of("other", 5, &other);
    render(&key, &result, "COPY . /", &config, &manifest);
    assert_int_equal(remote_entry_parse(manifest.data, manifest.len, &other, &again, &err), -1);
    assert_non_null(strstr(err.text, "it stands for sha256:"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *text = replace(buf_text(&manifest), cases[i].from, cases[i].to);
        error_clear(&err);
        assert_int_equal(remote_entry_parse(text, strlen(text), &key, &again, &err), -1);
        assert_int_equal(err.code, ERR_REMOTE);
        if (!strstr(err.text, cases[i].error)) {
            fail_msg("%s: %s", cases[i].to, err.text);
        }
    }
    /* Nothing was written into the result. */
    assert_int_equal(again.layer.blob.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remote_entry__what_is_written_is_read_again),
        cmocka_unit_test(test_remote_entry__the_same_result_gives_the_same_bytes),
        cmocka_unit_test(test_remote_entry__what_is_no_entry_of_the_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
