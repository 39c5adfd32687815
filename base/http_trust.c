#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/http_internal.h"
#include "base/limits.h"
#include "base/memory.h"

/* The system's certificates, which a host's own are added to. */
static int read_system_ca(struct buf *out, struct error *err)
{
    const char *file = getenv("SSL_CERT_FILE");
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    if (!file || !*file) {
        file = version->cainfo;
    }
    bool found = false;
    return file ? file_read(AT_FDCWD, file, LIMIT_TEXT_FILE_BYTES, out, &found, err) : 0;
}

static struct host_trust *entry_for(struct trust *trust, const char *host, size_t len)
{
    for (size_t i = 0; i < trust->len; i++) {
        if (strlen(trust->hosts[i].host) == len &&
            strncasecmp(trust->hosts[i].host, host, len) == 0) {
            return &trust->hosts[i];
        }
    }
    trust->hosts = mem_realloc(trust->hosts, trust->len + 1, sizeof *trust->hosts);
    struct host_trust *entry = &trust->hosts[trust->len++];
    *entry = (struct host_trust){.host = mem_strndup(host, len),
                                 .pem = BUF_INIT(4 * LIMIT_TEXT_FILE_BYTES)};
    return entry;
}

static int read_pem(const char *host, const char *file, const char *kind, struct buf *out,
                    struct error *err)
{
    if (file_read(AT_FDCWD, file, LIMIT_TEXT_FILE_BYTES, out, NULL, err) != 0) {
        err->code = ERR_USAGE;
        return error_wrap(err, "certificate for %s", host);
    }
    if (!strstr(buf_text(out), kind)) {
        bool key = strstr(kind, "KEY") != NULL;
        return error_set(err, ERR_USAGE, "certificate for %s: '%s' has no PEM %s", host, file,
                         key ? "private key" : "certificate");
    }
    return 0;
}

int trust_add(struct trust *trust, const char *entry, bool client, struct error *err)
{
    const char *equals = strchr(entry, '=');
    if (!equals || equals == entry || !equals[1]) {
        return error_set(err, ERR_USAGE, "'%s': expected HOST=FILE", entry);
    }
    struct host_trust *host = entry_for(trust, entry, (size_t)(equals - entry));
    AUTO(buf_release) struct buf own = BUF_INIT(LIMIT_TEXT_FILE_BYTES);
    if (read_pem(host->host, equals + 1, "-----BEGIN CERTIFICATE-----", &own, err) != 0) {
        return -1;
    }
    if (client) {
        buf_clear(&own);
        if (read_pem(host->host, equals + 1, "PRIVATE KEY-----", &own, err) != 0) {
            return -1;
        }
        free(host->client);
        host->client = mem_strdup(equals + 1);
        return 0;
    }
    if (host->pem.len == 0 && read_system_ca(&host->pem, err) != 0) {
        return -1;
    }
    if (host->pem.len + own.len + 1 > 4 * LIMIT_TEXT_FILE_BYTES) {
        return error_set(err, ERR_USAGE, "too many certificates for %s", host->host);
    }
    buf_putc(&host->pem, '\n');
    buf_append(&host->pem, own.data, own.len);
    return 0;
}

void trust_release(struct trust *trust)
{
    for (size_t i = 0; i < trust->len; i++) {
        free(trust->hosts[i].host);
        free(trust->hosts[i].client);
        buf_release(&trust->hosts[i].pem);
    }
    free(trust->hosts);
    *trust = (struct trust){0};
}

const struct host_trust *trust_find(const struct trust *trust, const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t len = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', len);
    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    size_t name = len;
    while (name > 0 && host[name - 1] >= '0' && host[name - 1] <= '9') {
        name--;
    }
    name = name > 0 && host[name - 1] == ':' ? name - 1 : len;
    for (size_t i = 0; i < trust->len; i++) {
        size_t wanted = strlen(trust->hosts[i].host);
        if ((wanted == len || wanted == name) &&
            strncasecmp(trust->hosts[i].host, host, wanted) == 0) {
            return &trust->hosts[i];
        }
    }
    return NULL;
}
