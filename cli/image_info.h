/* What is shown of an image in several places. */
#ifndef SLIPWAY_CLI_IMAGE_INFO_H
#define SLIPWAY_CLI_IMAGE_INFO_H

#include "oci/images.h"

/* The image TOP for this machine, or where an index has none for it, its first. As images_load().
 */
int image_info_load(struct store *store, const struct descriptor *top, struct image *out,
                    struct error *err);

/* Seconds since 1970 of an RFC 3339 text; 0 where it is none (or NULL). */
int64_t image_info_time(const char *text);

/* Bytes of all layers as they lie in the registry. */
uint64_t image_info_size(const struct image *image);

/* The first 12 digits of a digest, as docker shows ids; into OUT, which is returned. */
enum { SHORT_ID_SIZE = 13 };

/* Writes the short id of DIGEST into OUT, which is returned. */
char *image_info_short_id(const struct digest *digest, char out[SHORT_ID_SIZE]);

/* Splits a store name into what docker calls repository and tag ("<none>" where it has none). Both
 * are the caller's. NULL gives "<none>" twice. */
void image_info_split(const char *key, char **repository_out, char **tag_out);

#endif
