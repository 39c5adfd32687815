/* Wildcards: the pattern up to the first newline, then the name. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "builder/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = memchr(data, '\n', size);
    size_t len = newline ? (size_t)(newline - data) : size;
    AUTO(mem_freep) char *pattern = mem_strndup((const char *)data, len);
    AUTO(mem_freep)
    char *name =
        mem_strndup((const char *)data + len + (newline != NULL), size - len - (newline != NULL));
    struct error err = {0};
    bool plain = false;
    bool folders = false;
    int result = pattern_match(pattern, name, false, &plain, &err);
    assert(result == 0 || err.code == ERR_USAGE);
    assert(pattern_match(pattern, name, true, &folders, &err) == result);
    if (result == 0 && !strstr(pattern, "**")) {
        assert(plain == folders);
    }
    return 0;
}
