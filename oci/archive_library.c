/* libarchive on demand. */
#include "oci/archive_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

/* The name of the ABI that archive.h belongs to. */
#define LIBRARY_NAME "libarchive.so.13"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct archive_library library;
static struct error failure;

static void load(void)
{
    void *handle = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        error_set(&failure, ERR_STORE, "load the library: %s", dlerror());
        return;
    }
#define ARCHIVE_LOAD(NAME)                                                                         \
    library.NAME = (__typeof__(library.NAME))dlsym(handle, "archive_" #NAME);                      \
    if (!library.NAME) {                                                                           \
        error_set(&failure, ERR_STORE, LIBRARY_NAME " has no archive_" #NAME);                     \
    }
    ARCHIVE_FUNCTIONS(ARCHIVE_LOAD)
#undef ARCHIVE_LOAD
}

int archive_library_get(const struct archive_library **out, struct error *err)
{
    pthread_once(&once, load);
    if (failure.code != ERR_NONE) {
        *err = failure;
        return -1;
    }
    *out = &library;
    return 0;
}
