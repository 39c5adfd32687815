#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "oci/document.h"

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEXB "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CONFIG                                                                                     \
    "\"config\":{\"mediaType\":\"" MEDIA_OCI_CONFIG "\",\"digest\":\"sha256:" HEX "\",\"size\":7}"
#define LAYER                                                                                      \
    "{\"mediaType\":\"" MEDIA_OCI_LAYER_GZIP "\",\"digest\":\"sha256:" HEXB "\",\"size\":9}"
#define MANIFEST "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER "]}"

struct parsed {
    enum document_kind kind;
    struct descriptor config;
    struct layer *layers;
    size_t len;
    struct image_index index;
    struct error err;
    int result;
};

static struct parsed parse(const char *text, const char *media_type)
{
    struct parsed p = {0};
    p.result = document_parse(text, strlen(text), media_type, ERR_REMOTE, &p.kind, &p.config,
                              &p.layers, &p.len, &p.index, &p.err);
    return p;
}

static void release(struct parsed *p)
{
    free(p->layers);
    image_index_release(&p->index);
}

static void test_document__a_manifest_is_read(void **state)
{
    (void)state;
    AUTO(release) struct parsed p = parse(MANIFEST, NULL);
    assert_int_equal(p.result, 0);
    assert_int_equal(p.kind, DOCUMENT_MANIFEST);
    assert_int_equal(p.config.size, 7);
    assert_int_equal(p.len, 1);
    assert_int_equal(p.layers[0].blob.size, 9);
    assert_int_equal(p.layers[0].blob.digest.bytes[0], 0xbb);
    assert_string_equal(p.layers[0].blob.media_type, MEDIA_OCI_LAYER_GZIP);
}

#define DESCRIPTOR(SIZE)                                                                           \
    "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\"sha256:" HEX              \
    "\",\"size\":" SIZE "},\"layers\":[]}"

static void test_document__what_is_no_manifest_is_one_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *media_type;
        const char *message;
    } cases[] = {
        {"", NULL, "not JSON"},
        {"[]", NULL, "no schemaVersion 2"},
        {"{}", NULL, "no schemaVersion 2"},
        {"{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, "schema 1"},
        {"{\"schemaVersion\":2}", NULL, "neither"},
        {"{\"schemaVersion\":\"2\"," CONFIG ",\"layers\":[]}", NULL, "no schemaVersion 2"},
        {MANIFEST, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"},
        {MANIFEST, MEDIA_OCI_INDEX, "not what its media type"},
        {"{\"schemaVersion\":2,\"mediaType\":\"text/html\"," CONFIG ",\"layers\":[]}", NULL,
         "unknown media type 'text/html'"},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"manifests\":[]}", NULL, "both"},
        {"{\"schemaVersion\":2," CONFIG "}", NULL, "no layers"},
        {"{\"schemaVersion\":2,\"layers\":[]}", NULL, "config has no descriptor"},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[1]}", NULL, "layer 1 has no descriptor"},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":{}}", NULL, "no layers"},
        {"{\"schemaVersion\":2,\"manifests\":{}}", NULL, "no manifests"},
        {DESCRIPTOR("-1"), NULL, "no usable size"},
        {DESCRIPTOR("1e3"), NULL, "no usable size"},
        {DESCRIPTOR("99999999999999999"), NULL, "no usable size"},
        {DESCRIPTOR("99999999999999999999999999"), NULL, "not JSON"},
        {DESCRIPTOR("\"7\""), NULL, "no usable size"},
        {DESCRIPTOR("null"), NULL, "no usable size"},
        {"{\"schemaVersion\":2,\"schemaVersion\":2," CONFIG ",\"layers\":[]}", NULL, "not JSON"},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\"sha256:../../x\","
         "\"size\":1},\"layers\":[]}",
         NULL, "is not a digest"},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"\",\"digest\":\"sha256:" HEX
         "\",\"size\":1},\"layers\":[]}",
         NULL, "no usable mediaType"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(release) struct parsed p = parse(cases[i].text, cases[i].media_type);
        assert_int_equal(p.result, -1);
        assert_int_equal(p.err.code, ERR_REMOTE);
        assert_null(strchr(p.err.text, '\n'));
        if (!strstr(p.err.text, cases[i].message)) {
            fail_msg("case %zu: %s", i, p.err.text);
        }
    }
}

static void test_document__brackets_do_not_eat_the_stack(void **state)
{
    (void)state;
    enum { DEPTH = 1000000 };
    AUTO(mem_freep) char *text = mem_alloc(DEPTH + 1);
    memset(text, '[', DEPTH);
    text[DEPTH] = '\0';
    AUTO(release) struct parsed p = parse(text, NULL);
    assert_int_equal(p.result, -1);
    assert_non_null(strstr(p.err.text, "nested"));
}

static void test_document__counts_are_limited(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    buf_puts(&text, "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER);
    for (size_t i = 0; i < LIMIT_LAYERS; i++) {
        buf_puts(&text, "," LAYER);
    }
    buf_puts(&text, "]}");
    AUTO(release) struct parsed p = parse(text.data, NULL);
    assert_int_equal(p.result, -1);
    assert_non_null(strstr(p.err.text, "513 layers"));
}

#define ENTRY(N, PLATFORM)                                                                         \
    "{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"sha256:" HEX "\",\"size\":" N PLATFORM \
    "}"
#define PLATFORM(OS, ARCH) ",\"platform\":{\"os\":\"" OS "\",\"architecture\":\"" ARCH "\"}"
#define VARIANT(OS, ARCH, V)                                                                       \
    ",\"platform\":{\"os\":\"" OS "\",\"architecture\":\"" ARCH "\",\"variant\":\"" V "\"}"

static void test_document__the_index_entry_that_fits_is_picked(void **state)
{
    (void)state;
    static const char index_text[] =
        "{\"schemaVersion\":2,\"manifests\":[" ENTRY("1", PLATFORM("unknown", "unknown")) "," ENTRY("2", PLATFORM("linux", "amd64")) "," ENTRY(
            "3",
            VARIANT(
                "linux", "arm",
                "v5")) "," ENTRY("4",
                                 VARIANT(
                                     "linux", "arm",
                                     "v7")) "," ENTRY("5",
                                                      VARIANT(
                                                          "linux", "arm64",
                                                          "v8")) "," ENTRY("6",
                                                                           PLATFORM(
                                                                               "windows",
                                                                               "amd64")) "," ENTRY("7",
                                                                                                   ",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}" PLATFORM(
                                                                                                       "linux",
                                                                                                       "s390x")) "," ENTRY("8",
                                                                                                                           VARIANT(
                                                                                                                               "linux",
                                                                                                                               "amd64",
                                                                                                                               "v3")) "]}";
    static const struct {
        const char *platform;
        uint64_t size; /* 0: none */
    } cases[] = {
        {"linux/amd64", 2},    {"amd64", 2},        {"linux/x86_64", 2},   {"linux/amd64/v3", 8},
        {"linux/amd64/v2", 2}, {"linux/arm/v5", 3}, {"linux/arm/v6", 3},   {"linux/arm/v7", 4},
        {"linux/arm", 4},      {"linux/arm64", 5},  {"linux/arm64/v8", 5}, {"linux/aarch64", 5},
        {"windows/amd64", 6},  {"linux/s390x", 0},  {"linux/riscv64", 0},  {"unknown/unknown", 0},
        {"linux/arm64/v9", 0}, {"darwin/arm64", 0},
    };
    AUTO(release) struct parsed p = parse(index_text, MEDIA_DOCKER_LIST);
    assert_int_equal(p.result, 0);
    assert_int_equal(p.kind, DOCUMENT_INDEX);
    assert_int_equal(p.index.len, 8);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(platform_release) struct platform wanted = {0};
        struct error err = {0};
        struct descriptor got = {0};
        assert_int_equal(platform_parse(cases[i].platform, &wanted, &err), 0);
        int result = image_index_pick(&p.index, &wanted, &got, &err);
        if (got.size != cases[i].size) {
            fail_msg("%s: %d", cases[i].platform, (int)got.size);
        }
        assert_int_equal(result, cases[i].size ? 0 : -1);
        if (result != 0) {
            assert_int_equal(err.code, ERR_USAGE);
            assert_non_null(strstr(err.text, "linux/arm/v7"));
            assert_null(strstr(strstr(err.text, "only for"), "s390x"));
        }
    }
}

static void test_document__a_lone_manifest_without_platform_is_it(void **state)
{
    (void)state;
    AUTO(platform_release) struct platform local = {0};
    platform_local(&local);
    struct descriptor got = {0};
    struct error err = {0};
    AUTO(release)
    struct parsed one = parse("{\"schemaVersion\":2,\"manifests\":[" ENTRY("1", "") "]}", NULL);
    assert_int_equal(image_index_pick(&one.index, &local, &got, &err), 0);
    assert_int_equal(got.size, 1);
    AUTO(release)
    struct parsed two =
        parse("{\"schemaVersion\":2,\"manifests\":[" ENTRY("1", "") "," ENTRY("2", "") "]}", NULL);
    assert_int_equal(image_index_pick(&two.index, &local, &got, &err), -1);
}

static void test_document__platforms_in_every_spelling(void **state)
{
    (void)state;
    AUTO(platform_release) struct platform local = {0};
    platform_local(&local);
    AUTO(mem_freep) char *local_text = platform_format(&local);
    const struct {
        const char *text;
        const char *normal; /* NULL: refused */
    } cases[] = {
        {"linux", local_text},
        {"arm64", "linux/arm64"},
        {"linux/arm64/v8", "linux/arm64"},
        {"Linux/ARM64", "linux/arm64"},
        {"linux/armhf", "linux/arm/v7"},
        {"linux/arm/6", "linux/arm/v6"},
        {"linux/arm", "linux/arm"},
        {"linux/amd64/v1", "linux/amd64"},
        {"i386", "linux/386"},
        {"macos/aarch64", "darwin/arm64"},
        {"windows/amd64", "windows/amd64"},
        {"", NULL},
        {"/", NULL},
        {"linux/", NULL},
        {"linux//v7", NULL},
        {"linux/arm/v7/x", NULL},
        {"nonsense", NULL},
        {"linux/am d64", NULL},
        {"linux/arm64,linux/amd64", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(platform_release) struct platform p = {0};
        struct error err = {0};
        int result = platform_parse(cases[i].text, &p, &err);
        if (result != (cases[i].normal ? 0 : -1)) {
            fail_msg("'%s': %d %s", cases[i].text, result, err.text);
        }
        if (cases[i].normal) {
            AUTO(mem_freep) char *text = platform_format(&p);
            assert_string_equal(text, cases[i].normal);
        } else {
            assert_int_equal(err.code, ERR_USAGE);
        }
    }
}

static void test_document__a_config_agrees_with_its_manifest(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t layers;
        const char *message; /* NULL: taken */
    } cases[] = {
        {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]}}", 1, NULL},
        {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null}}", 0, NULL},
        {"{\"rootfs\":{\"type\":\"layers\"},\"config\":null}", 0, NULL},
        {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]}}", 2, "1 layers"},
        {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}", 1, "names 0 layers"},
        {"{\"rootfs\":{\"type\":\"layers\"}}", 1, "no diff_ids"},
        {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[7]}}", 1, "diff id 1"},
        {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"md5:" HEX "\"]}}", 1, "diff id 1"},
        {"{\"rootfs\":{\"type\":\"volumes\",\"diff_ids\":[]}}", 0, "not that of an image"},
        {"{\"rootfs\":[],\"config\":{}}", 0, "not that of an image"},
        {"{\"rootfs\":{\"diff_ids\":[]},\"config\":[]}", 0, "not that of an image"},
        {"{}", 0, "not that of an image"},
        {"nonsense", 0, "not JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct layer layers[2] = {0};
        struct error err = {0};
        AUTO(json_freep) json_t *config = NULL;
        int result = document_parse_config(cases[i].text, strlen(cases[i].text), layers,
                                           cases[i].layers, ERR_REMOTE, &config, &err);
        assert_int_equal(result, cases[i].message ? -1 : 0);
        if (cases[i].message && !strstr(err.text, cases[i].message)) {
            fail_msg("case %zu: %s", i, err.text);
        }
        if (!cases[i].message && cases[i].layers) {
            assert_int_equal(layers[0].diff_id.bytes[31], 0xaa);
        }
    }
}

static void test_document__rendered_bytes_are_fixed(void **state)
{
    (void)state;
    AUTO(release) struct parsed p = parse(MANIFEST, NULL);
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    snprintf(p.config.media_type, sizeof p.config.media_type, "%s", MEDIA_DOCKER_CONFIG);
    snprintf(p.layers[0].blob.media_type, sizeof p.layers[0].blob.media_type, "%s",
             MEDIA_DOCKER_LAYER_GZIP);
    manifest_render(&p.config, p.layers, p.len, NULL, &out);
    assert_string_equal(out.data, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
                                  "\"," CONFIG ",\"layers\":[" LAYER "]}");
    buf_clear(&out);
    char os[] = "linux";
    char arch[] = "arm";
    char variant[] = "v7";
    struct index_entry entry = {.descriptor = p.config, .platform = {os, arch, variant}};
    snprintf(entry.descriptor.media_type, sizeof entry.descriptor.media_type, "%s",
             MEDIA_OCI_MANIFEST);
    AUTO(json_freep) json_t *annotations = json_pack("{s:s}", "a", "b");
    index_render(&entry, 1, annotations, &out);
    assert_string_equal(out.data, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
                                  "\",\"manifests\":[{\"mediaType\":\"" MEDIA_OCI_MANIFEST
                                  "\",\"digest\":\"sha256:" HEX "\",\"size\":7,\"platform\":{"
                                  "\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}}],"
                                  "\"annotations\":{\"a\":\"b\"}}");
    AUTO(release) struct parsed again = parse(out.data, NULL);
    assert_int_equal(again.result, 0);
    assert_int_equal(again.kind, DOCUMENT_INDEX);
}

/* Values from `printf 'sha256:... sha256:...' | sha256sum`. */
static void test_document__chain_ids(void **state)
{
    (void)state;
    struct layer layers[3] = {0};
    struct digest chain;
    char text[DIGEST_TEXT_SIZE];
    memset(layers[0].diff_id.bytes, 0xaa, DIGEST_BYTES);
    memset(layers[1].diff_id.bytes, 0xbb, DIGEST_BYTES);
    memset(layers[2].diff_id.bytes, 0xcc, DIGEST_BYTES);
    chain_id(layers, 0, &chain);
    assert_int_equal(chain.bytes[0], 0);
    chain_id(layers, 1, &chain);
    assert_true(digest_equal(&chain, &layers[0].diff_id));
    chain_id(layers, 2, &chain);
    assert_string_equal(digest_format(&chain, text),
                        "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c");
    chain_id(layers, 3, &chain);
    assert_string_equal(digest_format(&chain, text),
                        "sha256:c1377126441fb2f5ec2c21ae2a60255331d639e830f0ee1b40a36e52d4c40588");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document__a_manifest_is_read),
        cmocka_unit_test(test_document__what_is_no_manifest_is_one_sentence),
        cmocka_unit_test(test_document__brackets_do_not_eat_the_stack),
        cmocka_unit_test(test_document__counts_are_limited),
        cmocka_unit_test(test_document__the_index_entry_that_fits_is_picked),
        cmocka_unit_test(test_document__a_lone_manifest_without_platform_is_it),
        cmocka_unit_test(test_document__platforms_in_every_spelling),
        cmocka_unit_test(test_document__a_config_agrees_with_its_manifest),
        cmocka_unit_test(test_document__rendered_bytes_are_fixed),
        cmocka_unit_test(test_document__chain_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
