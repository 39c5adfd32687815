#include <jansson.h>
#include <libdeflate.h>
#include <openssl/crypto.h>
#include <seccomp.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

#include "base/curl_library.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/version.h"
#include "git/libgit2.h"
#include "oci/archive_library.h"

static const struct option_table table = {
    .command = "version",
    .usage = "",
    .summary = "Shows the versions of slipway and of the libraries that it runs with.",
};

/* The three that are loaded when they are needed: what they say themselves takes 7 ms to ask, for
 * what the headers say they need not be loaded. */
static void print_loaded(void)
{
    int major = 0;
    int minor = 0;
    int patch = 0;
    const struct archive_library *archive = NULL;
    struct error missing = {0};
    if (archive_library_get(&archive, &missing) == 0) {
        printf("libarchive %s\n", archive->version_details() + sizeof "libarchive " - 1);
    } else {
        printf("libarchive (%s)\n", missing.text);
    }
    printf("libcurl %s\n", curl_version() + sizeof "libcurl/" - 1);
    git_libgit2_version(&major, &minor, &patch);
    printf("libgit2 %d.%d.%d\n", major, minor, patch);
}

static void print_built_with(void)
{
    printf("libarchive %s\n", ARCHIVE_VERSION_ONLY_STRING);
    printf("libcurl %s\n", LIBCURL_VERSION);
    printf("libgit2 %s\n", LIBGIT2_VERSION);
}

void version_print(bool load)
{
    int major = 0;
    int minor = 0;
    int patch = 0;
    const struct scmp_version *seccomp = seccomp_version();
    printf("slipway %s\n", SLIPWAY_VERSION);
    if (load) {
        print_loaded();
    } else {
        print_built_with();
    }
    printf("libdeflate %s\n", LIBDEFLATE_VERSION_STRING);
    printf("jansson %s\n", jansson_version_str());
    if (seccomp) {
        printf("libseccomp %u.%u.%u\n", seccomp->major, seccomp->minor, seccomp->micro);
    }
    yaml_get_version(&major, &minor, &patch);
    printf("libyaml %d.%d.%d\n", major, minor, patch);
    printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
    printf("zlib %s\n", zlibVersion());
    printf("zstd %s\n", ZSTD_versionString());
}

int cmd_version(struct invocation *call, struct error *err)
{
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    if (options_read(&table, call->args, NULL, &arguments, &done, err) != 0) {
        return -1;
    }
    if (!done) {
        version_print(true);
    }
    return 0;
}
