/*
 * Names of images as people type them, and what they mean in the store.
 */
#ifndef SLIPWAY_CLI_NAMES_H
#define SLIPWAY_CLI_NAMES_H

#include "oci/images.h"
#include "registry/reference.h"

/* KEY, a name of the store (reference_key()), without "docker.io/library/": for showing. The
 * caller's. */
char *names_familiar(const char *key);

/* An image of the store that somebody named. */
struct named_image {
    char *key; /* NULL: named by its id */
    struct descriptor top;
};

/* Frees what IMAGE holds. */
void named_image_release(struct named_image *image);

/* Finds TEXT: a name, or the beginning of an id or digest. ERR_USAGE where the store has none. */
int names_find(struct store *store, const char *text, struct named_image *out, struct error *err);

/* The name that the pipeline's environment gives: AWS_ACCOUNT_ID, AWS_DEFAULT_REGION (or
 * AWS_REGION), IMAGE_REPO_NAME and IMAGE_TAG (latest). NULL where one of them is missing. The
 * caller's. */
char *names_from_environment(void);

/* The registry alone: AWS_ACCOUNT_ID and AWS_DEFAULT_REGION (or AWS_REGION). NULL where one is
 * missing. The caller's. */
char *names_registry_from_environment(void);

/* Which of those variables are missing, as words for a message. The caller's. */
char *names_missing_environment(void);

#endif
