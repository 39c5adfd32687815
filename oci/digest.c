#include "oci/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { GATHERED = 2048 };

struct hasher {
    EVP_MD_CTX *ctx;
    size_t len;
    /* Keys are made of fields of a few bytes, and a call of OpenSSL's costs as much as hashing a
     * hundred: short ones are gathered. */
    uint8_t gathered[GATHERED];
};

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

/* Fetched once: a look-up by name in every EVP_DigestInit costs more than hashing a small file. */
static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!sha256) {
        abort();
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse(const char *text, struct digest *out)
{
    if (strncmp(text, "sha256:", 7) != 0 || strlen(text) != DIGEST_TEXT_SIZE - 1) {
        return false;
    }
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int high = hex_value(text[7 + 2 * i]);
        int low = hex_value(text[8 + 2 * i]);
        if (high < 0 || low < 0) {
            return false;
        }
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int digest_parse(const char *text, enum error_code code, struct digest *out, struct error *err)
{
    struct digest d;
    if (!parse(text, &d)) {
        return error_set(err, code, "'%.100s' is not a digest (sha256: and 64 hex digits)", text);
    }
    *out = d;
    return 0;
}

bool digest_is_valid(const char *text)
{
    struct digest ignored;
    return parse(text, &ignored);
}

char *digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = digits[d->bytes[i] >> 4];
        out[2 * i + 1] = digits[d->bytes[i] & 15];
    }
    out[DIGEST_HEX_SIZE - 1] = '\0';
    return out;
}

char *digest_format(const struct digest *d, char out[DIGEST_TEXT_SIZE])
{
    memcpy(out, "sha256:", 7);
    digest_hex(d, out + 7);
    return out;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return digest_compare(a, b) == 0;
}

int digest_compare(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES);
}

static void start(struct hasher *h)
{
    pthread_once(&sha256_once, fetch_sha256);
    if (EVP_DigestInit_ex2(h->ctx, sha256, NULL) != 1) {
        abort();
    }
}

struct hasher *hasher_new(void)
{
    struct hasher *h = mem_calloc(1, sizeof *h);
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx) {
        abort();
    }
    start(h);
    return h;
}

static void update(struct hasher *h, const void *data, size_t len)
{
    if (len && EVP_DigestUpdate(h->ctx, data, len) != 1) {
        abort();
    }
}

static void flush(struct hasher *h)
{
    update(h, h->gathered, h->len);
    h->len = 0;
}

void hasher_add(struct hasher *h, const void *data, size_t len)
{
    if (len > GATHERED - h->len) {
        flush(h);
    }
    if (len > GATHERED / 4) {
        flush(h);
        update(h, data, len);
    } else if (len) {
        memcpy(h->gathered + h->len, data, len);
        h->len += len;
    }
}

void hasher_add_field(struct hasher *h, const void *data, size_t len)
{
    uint64_t size = len;
    hasher_add(h, &size, sizeof size);
    hasher_add(h, data, len);
}

void hasher_add_text(struct hasher *h, const char *text)
{
    if (!text) {
        uint64_t none = UINT64_MAX;
        hasher_add(h, &none, sizeof none);
        return;
    }
    hasher_add_field(h, text, strlen(text));
}

void hasher_finish(struct hasher *h, struct digest *out)
{
    unsigned len = 0;
    flush(h);
    if (EVP_DigestFinal_ex(h->ctx, out->bytes, &len) != 1 || len != DIGEST_BYTES) {
        abort();
    }
    start(h);
}

void hasher_freep(struct hasher **h)
{
    if (*h) {
        EVP_MD_CTX_free((*h)->ctx);
        free(*h);
    }
    *h = NULL;
}

void digest_of(const void *data, size_t len, struct digest *out)
{
    AUTO(hasher_freep) struct hasher *h = hasher_new();
    hasher_add(h, data, len);
    hasher_finish(h, out);
}
