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

/* The versions that were loaded, not those of the headers, where a library tells. */
static void print_versions(void)
{
    int major = 0;
    int minor = 0;
    int patch = 0;
    const struct scmp_version *seccomp = seccomp_version();
    printf("slipway %s\n", SLIPWAY_VERSION);
    const struct archive_library *archive = NULL;
    struct error missing = {0};
    if (archive_library_get(&archive, &missing) == 0) {
        printf("libarchive %s\n", archive->version_details() + sizeof "libarchive " - 1);
    } else {
        printf("libarchive (%s)\n", missing.text);
    }
    printf("libcurl %s\n", curl_version() + sizeof "libcurl/" - 1);
    printf("libdeflate %s\n", LIBDEFLATE_VERSION_STRING);
    git_libgit2_version(&major, &minor, &patch);
    printf("libgit2 %d.%d.%d\n", major, minor, patch);
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
        print_versions();
    }
    return 0;
}
