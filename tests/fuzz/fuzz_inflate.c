/* Any bytes as a compressed layer. */
#include <stdint.h>

#include "base/memory.h"
#include "oci/layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    AUTO(reader_freep) struct reader *r = NULL;
    if (inflate_reader_stream(reader_memory((void *)data, size, false), &r, &err) != 0) {
        return 0;
    }
    static char out[65536];
    size_t got = 1;
    size_t total = 0;
    while (got > 0 && total < (size_t)16 << 20) {
        if (reader_read(r, out, 1 + size % sizeof out, &got, &err) != 0) {
            if (err.code == ERR_NONE) {
                __builtin_trap();
            }
            return 0;
        }
        total += got;
    }
    return 0;
}
