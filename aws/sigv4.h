/*
 * AWS Signature Version 4 in its header form (IAM User Guide, "Create a signed AWS API request"),
 * and the signing key that CodeCommit's password is made with.
 */
#ifndef SLIPWAY_AWS_SIGV4_H
#define SLIPWAY_AWS_SIGV4_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "aws/credentials.h"
#include "base/strlist.h"
#include "oci/digest.h"

/* "YYYYMMDDTHHMMSSZ" and its end. */
enum { SIGV4_TIME_SIZE = 17 };
/* NOW as the form that SigV4 signs: "20150830T123600Z". */
void sigv4_time(time_t now, char out[SIGV4_TIME_SIZE]);

/* HMAC-SHA256 of DATA under KEY. */
void sigv4_hmac(const void *key, size_t key_len, const void *data, size_t len,
                uint8_t out[DIGEST_BYTES]);

/* kSigning for the day that TIMESTAMP (its first 8 characters) names. */
void sigv4_key(const char *secret, const char *timestamp, const char *region, const char *service,
               uint8_t out[DIGEST_BYTES]);

/* A request to sign. All borrowed. */
struct sigv4_request {
    const char *method;
    const char *host;              /* with ":PORT" only where it is not the scheme's own */
    const char *path;              /* as sent; NULL or "": "/" */
    const struct strlist *query;   /* "NAME=VALUE", not encoded, any order; NULL: none */
    const struct strlist *headers; /* "Name: value" that are sent and signed, without Host and
                                      X-Amz-Date; NULL: none */
    const void *body;
    size_t body_len;
    const char *region;
    const char *service;
};

/* Adds to HEADERS_OUT "X-Amz-Date: ...", "X-Amz-Security-Token: ..." (temporary keys) and
 * "Authorization: ...". */
void sigv4_sign(const struct sigv4_request *request, const struct aws_keys *keys, time_t now,
                struct strlist *headers_out);

/* The query in canonical form, which is also how it must be sent; the caller's. */
char *sigv4_query(const struct strlist *query);

#endif
