/* Any bytes as a compressed layer. Where two libraries can inflate gzip, both must give the same
 * bytes and refuse the same streams. */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "oci/layer_internal.h"

enum { TOTAL_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*open_fn)(struct reader *in, struct reader **out, struct error *err);

/* Returns the bytes that came out; *REFUSED_OUT where the stream is wrong somewhere. */
static size_t inflate_with(open_fn open, const uint8_t *data, size_t size, char *out,
                           bool *refused_out)
{
    struct error err = {0};
    AUTO(reader_freep) struct reader *r = NULL;
    size_t step = 1 + size * 977 % 70000;
    size_t total = 0;
    size_t got = 1;
    int rc = open(reader_memory((void *)data, size, false), &r, &err);
    while (rc == 0 && got > 0 && total < TOTAL_MAX) {
        size_t room = TOTAL_MAX - total;
        rc = reader_read(r, out + total, step < room ? step : room, &got, &err);
        total += rc == 0 ? got : 0;
    }
    if ((rc != 0) != (err.code != ERR_NONE)) {
        __builtin_trap();
    }
    *refused_out = rc != 0;
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char one[TOTAL_MAX];
    static char other[TOTAL_MAX];
    bool one_refused = false;
    bool other_refused = false;
    size_t one_len = inflate_with(inflate_reader_stream, data, size, one, &one_refused);
    size_t other_len = inflate_with(inflate_reader_zlib, data, size, other, &other_refused);
    /* How far each gets in a stream that it refuses is its own affair. */
    bool same = one_refused == other_refused;
    if (!one_refused && !other_refused) {
        same = one_len == other_len && memcmp(one, other, one_len) == 0;
    }
    if (!same) {
        __builtin_trap();
    }
    return 0;
}
