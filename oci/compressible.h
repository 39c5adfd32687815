/*
 * Whether deflating is worth its time: archives, images and models that are compressed already take
 * longer than anything else and become no smaller.
 */
#ifndef SLIPWAY_OCI_COMPRESSIBLE_H
#define SLIPWAY_OCI_COMPRESSIBLE_H

#include <stdbool.h>
#include <stddef.h>

struct libdeflate_compressor;

/* Whether LEN bytes of DATA may become smaller. Looks at samples, and where all of these look like
 * noise, has COMPRESSOR try a part. The answer depends on nothing but the bytes and the level. */
bool is_compressible(struct libdeflate_compressor *compressor, const void *data, size_t len);

#endif
