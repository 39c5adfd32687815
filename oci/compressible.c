#include "oci/compressible.h"

#include <libdeflate.h>
#include <stdint.h>

#include "base/memory.h"

enum {
    SMALLEST = 64 * 1024, /* what is not longer takes no time worth saving */
    SAMPLES = 4,
    SAMPLE_BYTES = 8 * 1024,
    TRIAL_BYTES = 64 * 1024, /* twice the distance that deflate looks back */
};

/* Whether the bytes of a sample come equally often: the sum of the squares of their counts is then
 * N * (N - 1) / 256 + N, and a tenth of a bit less of entropy makes it 1.15 times that. */
static bool looks_like_noise(const uint8_t *sample)
{
    uint32_t counts[256] = {0};
    for (size_t i = 0; i < SAMPLE_BYTES; i++) {
        counts[sample[i]]++;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        sum += (uint64_t)counts[i] * counts[i];
    }
    const uint64_t expected = (uint64_t)SAMPLE_BYTES * (SAMPLE_BYTES - 1) / 256 + SAMPLE_BYTES;
    return sum < expected + expected / 16;
}

bool is_compressible(struct libdeflate_compressor *compressor, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    if (len <= SMALLEST) {
        return true;
    }
    for (size_t i = 0; i < SAMPLES; i++) {
        if (!looks_like_noise(bytes + (len - SAMPLE_BYTES) / (SAMPLES - 1) * i)) {
            return true;
        }
    }
    /* Noise that repeats itself. */
    size_t enough = TRIAL_BYTES - TRIAL_BYTES / 128;
    AUTO(mem_freep) void *out = mem_alloc(enough);
    return libdeflate_deflate_compress(compressor, bytes + (len - TRIAL_BYTES) / 2, TRIAL_BYTES,
                                       out, enough) != 0;
}
