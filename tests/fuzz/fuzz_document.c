/* Manifests, indexes, configs and platform names of strangers. What was taken must be usable. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "oci/document.h"

static void use_index(const struct image_index *index)
{
    AUTO(platform_release) struct platform local = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct descriptor picked;
    struct error err = {0};
    platform_local(&local);
    image_index_pick(index, &local, &picked, &err);
    index_render(index->items, index->len, NULL, &text);
}

/* A manifest that was taken is rendered into one that is taken again. */
static void use_manifest(const struct descriptor *config, const struct layer *layers, size_t len)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(mem_freep) struct layer *again = NULL;
    struct image_index index = {0};
    struct descriptor config_again;
    enum document_kind kind;
    size_t len_again = 0;
    struct error err = {0};
    struct digest chain;
    manifest_render(config, layers, len, NULL, &text);
    chain_id(layers, len, &chain);
    if (document_parse(text.data, text.len, NULL, ERR_REMOTE, &kind, &config_again, &again,
                       &len_again, &index, &err) != 0 ||
        kind != DOCUMENT_MANIFEST || len_again != len) {
        abort();
    }
}

static void try_document(const char *data, size_t len, const char *media_type)
{
    AUTO(mem_freep) struct layer *layers = NULL;
    AUTO(image_index_release) struct image_index index = {0};
    struct descriptor config;
    enum document_kind kind;
    size_t layers_len = 0;
    struct error err = {0};
    if (document_parse(data, len, media_type, ERR_REMOTE, &kind, &config, &layers, &layers_len,
                       &index, &err) != 0) {
        if (err.code != ERR_REMOTE || !err.text[0]) {
            abort();
        }
        return;
    }
    if (kind == DOCUMENT_INDEX) {
        use_index(&index);
    } else {
        use_manifest(&config, layers, layers_len);
    }
}

static void try_config(const char *data, size_t len)
{
    for (size_t count = 0; count < 3; count++) {
        struct layer layers[3] = {0};
        AUTO(json_freep) json_t *config = NULL;
        struct error err = {0};
        document_parse_config(data, len, layers, count, ERR_REMOTE, &config, &err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_freep) char *text = mem_strndup((const char *)data, size);
    AUTO(platform_release) struct platform platform = {0};
    struct error err = {0};
    try_document((const char *)data, size, NULL);
    try_document((const char *)data, size, MEDIA_OCI_INDEX);
    try_config((const char *)data, size);
    if (platform_parse(text, &platform, &err) == 0) {
        AUTO(mem_freep) char *normal = platform_format(&platform);
        AUTO(platform_release) struct platform again = {0};
        /* "6" becomes "v6": the longest that is taken can be a little longer afterwards. */
        bool too_long = strlen(normal) > 100;
        if ((!too_long && platform_parse(normal, &again, &err) != 0) ||
            (!too_long && !platform_matches(&platform, &again))) {
            abort();
        }
    }
    return 0;
}
