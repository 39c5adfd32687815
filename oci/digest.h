/*
 * SHA-256 digests as OCI writes them (image-spec, descriptor.md, "Digests"): values, text, and
 * computing while streaming.
 */
#ifndef SLIPWAY_OCI_DIGEST_H
#define SLIPWAY_OCI_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX_SIZE = 65, DIGEST_TEXT_SIZE = 72 };

/* A plain value. */
struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

/* Reads "sha256:" and 64 lower-case hex digits; anything else is an error of CODE that names TEXT.
 */
int digest_parse(const char *text, enum error_code code, struct digest *out, struct error *err);

/* Whether TEXT is a digest that digest_parse() takes. */
bool digest_is_valid(const char *text);

/* Writes "sha256:HEX", or only HEX. Returns OUT. */
char *digest_format(const struct digest *d, char out[DIGEST_TEXT_SIZE]);

/* Writes only the hex digits of D. Returns OUT. */
char *digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE]);

/* Whether two digests are the same; their order by bytes. */
bool digest_equal(const struct digest *a, const struct digest *b);

/* The order of two digests by their bytes, as memcmp says it. */
int digest_compare(const struct digest *a, const struct digest *b);

/* The digest of LEN bytes. */
void digest_of(const void *data, size_t len, struct digest *out);

/* A running computation. */
struct hasher;

/* Begins one; hasher_freep() frees it. */
struct hasher *hasher_new(void);

/* Adds LEN bytes as they are. */
void hasher_add(struct hasher *h, const void *data, size_t len);
/* Adds LEN as 8 bytes and then the bytes: for keys, whose fields must not run into each other. */
void hasher_add_field(struct hasher *h, const void *data, size_t len);
/* As hasher_add_field for a string; NULL differs from "". */
void hasher_add_text(struct hasher *h, const char *text);
/* Gives the digest and starts anew. */
void hasher_finish(struct hasher *h, struct digest *out);
/* Cleanup for AUTO(). */
void hasher_freep(struct hasher **h);

#endif
