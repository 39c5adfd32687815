#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "registry/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_freep) char *text = mem_strndup((const char *)data, size);
    AUTO(challenges_release) struct challenges list = {0};
    challenges_parse(text, &list);
    for (size_t i = 0; i < list.len; i++) {
        assert(list.items[i].scheme && list.items[i].scheme[0]);
    }
    /* The same text as a file of credentials: neither may be upset by strangers. */
    AUTO(credentials_release) struct credentials c = {0};
    AUTO(mem_freep) char *helper = NULL;
    struct error err = {0};
    if (docker_config_parse(data, size, "fuzz", "docker.io", "a/b", &c, &helper, &err) != 0) {
        assert(err.code == ERR_AUTH);
    }
    return 0;
}
