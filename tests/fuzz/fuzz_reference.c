#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "registry/reference.h"

/* What is taken is taken again in its full form and means the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_freep) char *text = mem_strndup((const char *)data, size);
    struct error err = {0};
    AUTO(reference_release) struct reference ref = {0};
    if (reference_parse(text, &ref, &err) != 0) {
        assert(err.code == ERR_USAGE);
        return 0;
    }
    AUTO(mem_freep) char *full = reference_format(&ref);
    AUTO(mem_freep) char *familiar = reference_familiar(&ref);
    AUTO(reference_release) struct reference again = {0};
    AUTO(reference_release) struct reference short_form = {0};
    assert(reference_parse(full, &again, &err) == 0);
    assert(reference_parse(familiar, &short_form, &err) == 0);
    AUTO(mem_freep) char *twice = reference_format(&again);
    AUTO(mem_freep) char *thrice = reference_format(&short_form);
    assert(strcmp(full, twice) == 0);
    assert(strcmp(full, thrice) == 0);
    return 0;
}
