/*
 * Image references as docker reads them: [HOST/]NAME[:TAG][@DIGEST] (distribution/reference;
 * design: SLIPWAY_REGISTRY_MAP).
 */
#ifndef SLIPWAY_REGISTRY_REFERENCE_H
#define SLIPWAY_REGISTRY_REFERENCE_H

#include <stdbool.h>

#include "base/error.h"
#include "oci/digest.h"

struct reference {
    char *host;       /* "docker.io", "127.0.0.1:5000"; owned */
    char *repository; /* "library/ubuntu" */
    char *tag;        /* NULL: none given (callers use "latest" where there is no digest either) */
    bool has_digest;
    struct digest digest;
};

/* Parses TEXT; ERR_USAGE with the reason. A first component with a dot, a colon, or "localhost" is
 * a host; without one docker.io; one-word names there get "library/". */
int reference_parse(const char *text, struct reference *out, struct error *err);

/* HOST/REPOSITORY[:TAG][@DIGEST], with docker.io and library/ spelled out; the caller's. */
char *reference_format(const struct reference *ref);

/* The name under which the store keeps REF (oci/images.h): HOST/REPOSITORY:TAG ("latest" where none
 * is given), or HOST/REPOSITORY@DIGEST. The caller's. */
char *reference_key(const struct reference *ref);

/* reference_format() as people write it: docker.io/library/ left out where reference_parse() reads
 * the rest as the same. */
char *reference_familiar(const struct reference *ref);

/* The tag, or "latest". */
const char *reference_tag(const struct reference *ref);

/* A copy of its own into OUT; frees what a reference holds. */
void reference_copy(const struct reference *from, struct reference *out);

/* Frees what REF holds. */
void reference_release(struct reference *ref);

#endif
