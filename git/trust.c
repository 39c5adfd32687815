#include "git/trust.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/shared_library.h"
#include "git/libgit2.h"

struct mbedtls_x509_crt;

/* As in mbedtls/x509_crt.h. The program exports it (CMakeLists.txt), so libgit2 finds this one. */
int mbedtls_x509_crt_parse_file(struct mbedtls_x509_crt *chain, const char *path);

enum { FILE_IO_ERROR = -0x2900 };

static void *mbedtls; /* libgit2, by which its libraries are found */
static bool starting;
static char *system_file; /* what libgit2 would have read */
static pthread_once_t once = PTHREAD_ONCE_INIT;

int mbedtls_x509_crt_parse_file(struct mbedtls_x509_crt *chain, const char *path)
{
    if (starting) {
        free(system_file);
        system_file = mem_strdup(path);
        return FILE_IO_ERROR;
    }
    int (*parse)(struct mbedtls_x509_crt *, const char *) =
        (__typeof__(parse))shared_library_symbol(mbedtls, "mbedtls_x509_crt_parse_file");
    return parse(chain, path);
}

void git_trust_starting(void *library)
{
    mbedtls = library;
    starting = true;
}

void git_trust_started(void)
{
    starting = false;
}

/* libgit2 verifies with mbedTLS, which knows nothing of the variables that curl and git heed. */
static void load(void)
{
    static const char *const names[] = {"GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "SSL_CERT_FILE"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *file = getenv(names[i]);
        if (file && *file) {
            if (git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, file, NULL) == 0) {
                return;
            }
            break;
        }
    }
    if (system_file) {
        git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, system_file, NULL);
    }
}

void git_trust_load(void)
{
    pthread_once(&once, load);
}
