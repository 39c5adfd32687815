/* How a connection comes about: through which proxy, and with which certificates. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/http_internal.h"

static bool is_loopback_url(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    const char *at = memrchr(host, '@', strcspn(host, "/?#"));
    return http_is_loopback(at ? at + 1 : host);
}

/* Loopback is never asked through a proxy. curl reads http_proxy in lower case only, because a
 * CGI's HTTP_PROXY is the client's; this program is none, and all of its peers take the upper case
 * too. */
static void set_proxy(CURL *easy, const struct http_exchange *x)
{
    if (x->request->no_proxy || is_loopback_url(x->url)) {
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        return;
    }
    const char *upper = getenv("HTTP_PROXY");
    if (upper && *upper && strncasecmp(x->url, "http://", 7) == 0 && !getenv("http_proxy") &&
        !getenv("REQUEST_METHOD")) {
        curl_easy_setopt(easy, CURLOPT_PROXY, upper);
    }
}

static void set_tls(CURL *easy, const struct http_exchange *x)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    const struct host_trust *trust = x->trust;
    if (trust && trust->client) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, trust->client);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, trust->client);
    }
    if (trust && trust->pem.len > 0) {
        struct curl_blob blob = {
            .data = trust->pem.data, .len = trust->pem.len, .flags = CURL_BLOB_NOCOPY};
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
        return;
    }
    const char *file = getenv("SSL_CERT_FILE");
    if (file && *file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    }
}

void http_set_connection(CURL *easy, const struct http_exchange *exchange)
{
    set_proxy(easy, exchange);
    set_tls(easy, exchange);
}

void http_hear_alert(const struct http_exchange *x, char text[CURL_ERROR_SIZE])
{
    enum { PATIENCE_MS = 2000 };
    char words[CURL_ERROR_SIZE] = "";
    char byte;
    size_t got = 0;
    curl_socket_t fd = CURL_SOCKET_BAD;
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, x->url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)PATIENCE_MS);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, words);
    http_set_connection(easy, x);
    if (curl_easy_perform(easy) == CURLE_OK &&
        curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        poll(&readable, 1, PATIENCE_MS);
        curl_easy_recv(easy, &byte, 1, &got);
    }
    if (strstr(words, "alert")) {
        memcpy(text, words, sizeof words);
    }
    curl_easy_cleanup(easy);
}
