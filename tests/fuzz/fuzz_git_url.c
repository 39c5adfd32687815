/* URLs, submodules' URLs relative to them, netrc and known_hosts: never a crash, and what comes out
 * keeps its promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "git/credentials.h"
#include "git/known_hosts.h"
#include "git/source.h"
#include "git/url.h"

static void check(const struct git_url *url)
{
    if (!url->fetch || !url->display || !url->path || !path_is_clean(url->subdir)) {
        abort();
    }
    for (const char *p = url->fetch; *p; p++) {
        if ((unsigned char)*p < 0x20) {
            abort();
        }
    }
    /* Taken apart again, what is shown gives the same place and no secret. A submodule's URL may
     * have a query, which belongs to the place there and to the ref in a context's URL. */
    bool web =
        (url->scheme == GIT_URL_HTTP || url->scheme == GIT_URL_HTTPS) && !strchr(url->fetch, '?');
    struct error err = {0};
    struct git_url again;
    if (web) {
        if (git_url_parse(url->display, &again, &err) != 0 || again.user || again.password ||
            strcmp(again.fetch, url->fetch) != 0) {
            abort();
        }
        git_url_release(&again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096) {
        return 0;
    }
    AUTO(mem_freep) char *text = mem_strndup((const char *)data, size);
    struct error err = {0};
    AUTO(git_url_release) struct git_url url = {0};
    AUTO(git_url_release) struct git_url below = {0};
    AUTO(mem_freep) char *redacted = git_url_redact(text);
    git_is_url(text);
    /* The part behind the first newline is a submodule's URL. */
    char *second = strchr(text, '\n');
    if (second) {
        *second++ = '\0';
    }
    if (git_url_parse(text, &url, &err) == 0) {
        check(&url);
        if (second && git_url_resolve(&url, second, &below, &err) == 0) {
            check(&below);
            if (below.scheme == GIT_URL_FILE && url.scheme != GIT_URL_FILE) {
                abort();
            }
        }
    } else if (strpbrk(err.text, "\r\n")) {
        abort();
    }
    struct git_login login = {0};
    if (netrc_find(second ? second : text, "host", NULL, &login)) {
        git_login_release(&login);
    }
    known_hosts_find(second ? second : text, "host", 22, "\0\0\0\x07ssh-rsaRRRR", 15);
    return 0;
}
