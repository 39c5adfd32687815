#include "cli/image_info.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/memory.h"
#include "cli/names.h"

/* The first image of the index TOP; *FOUND_OUT is false where TOP is none or empty. */
static int first_of_index(struct store *store, const struct descriptor *top,
                          struct descriptor *first_out, bool *found_out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct image_index index = {0};
    struct descriptor config;
    struct layer *layers = NULL;
    size_t layers_len = 0;
    enum document_kind kind = DOCUMENT_MANIFEST;
    *found_out = false;
    if (store_read_blob(store, &top->digest, LIMIT_MANIFEST_BYTES, &text, err) != 0 ||
        document_parse(text.data, text.len, top->media_type, ERR_STORE, &kind, &config, &layers,
                       &layers_len, &index, err) != 0) {
        return -1;
    }
    free(layers);
    for (size_t i = 0; i < index.len && !*found_out; i++) {
        *found_out = !index.items[i].attestation;
        *first_out = index.items[i].descriptor;
    }
    image_index_release(&index);
    return 0;
}

int image_info_load(struct store *store, const struct descriptor *top, struct image *out,
                    struct error *err)
{
    struct error ignored = {0};
    struct descriptor first;
    bool found = false;
    if (images_load(store, top, NULL, out, err) == 0) {
        return 0;
    }
    if (err->code != ERR_USAGE || first_of_index(store, top, &first, &found, &ignored) != 0 ||
        !found) {
        return -1;
    }
    error_clear(err);
    return images_load(store, &first, NULL, out, err);
}

int64_t image_info_time(const char *text)
{
    struct tm parts = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
    if (!rest) {
        return 0;
    }
    int64_t seconds = timegm(&parts);
    rest += *rest == '.' ? 1 + strspn(rest + 1, "0123456789") : 0;
    unsigned hours = 0;
    unsigned minutes = 0;
    if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2u:%2u", &hours, &minutes) == 2) {
        int64_t shift = (int64_t)hours * 3600 + (int64_t)minutes * 60;
        seconds += *rest == '-' ? shift : -shift;
    }
    return seconds;
}

uint64_t image_info_size(const struct image *image)
{
    uint64_t size = 0;
    for (size_t i = 0; i < image->layers_len; i++) {
        size += image->layers[i].blob.size;
    }
    return size;
}

char *image_info_short_id(const struct digest *digest, char out[SHORT_ID_SIZE])
{
    char hex[DIGEST_HEX_SIZE];
    snprintf(out, SHORT_ID_SIZE, "%.12s", digest_hex(digest, hex));
    return out;
}

void image_info_split(const char *key, char **repository_out, char **tag_out)
{
    AUTO(mem_freep) char *shown = key ? names_familiar(key) : NULL;
    const char *at = shown ? strchr(shown, '@') : NULL;
    const char *colon = shown ? strrchr(shown, ':') : NULL;
    if (!shown) {
        *repository_out = mem_strdup("<none>");
        *tag_out = mem_strdup("<none>");
    } else if (at || !colon) {
        *repository_out = mem_strndup(shown, at ? (size_t)(at - shown) : strlen(shown));
        *tag_out = mem_strdup("<none>");
    } else {
        *repository_out = mem_strndup(shown, (size_t)(colon - shown));
        *tag_out = mem_strdup(colon + 1);
    }
}
