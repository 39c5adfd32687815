/* libcurl on demand. */
#include "base/curl_library.h"

#include <pthread.h>

#include "base/shared_library.h"

/* The name of the ABI that curl.h belongs to. */
#define LIBRARY_NAME "libcurl.so.4"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct curl_library library;

static void load(void)
{
    void *handle = shared_library_open(LIBRARY_NAME);
#define CURL_LOAD(NAME)                                                                            \
    library.NAME = (__typeof__(library.NAME))shared_library_symbol(handle, "curl_" #NAME);
    CURL_FUNCTIONS(CURL_LOAD)
#undef CURL_LOAD
    library.global_init(CURL_GLOBAL_ALL);
}

const struct curl_library *curl_library(void)
{
    pthread_once(&once, load);
    return &library;
}
