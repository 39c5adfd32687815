#include "aws/endpoint.h"

#include <string.h>
#include <strings.h>

#include "base/memory.h"

const char *aws_domain(const char *region)
{
    static const struct {
        const char *start;
        const char *domain;
    } partitions[] = {{"cn-", "amazonaws.com.cn"},    {"eusc-", "amazonaws.eu"},
                      {"us-isob-", "sc2s.sgov.gov"},  {"us-isof-", "csp.hci.ic.gov"},
                      {"eu-isoe-", "cloud.adc-e.uk"}, {"us-iso-", "c2s.ic.gov"}};
    for (size_t i = 0; i < ARRAY_LEN(partitions); i++) {
        if (strncmp(region, partitions[i].start, strlen(partitions[i].start)) == 0) {
            return partitions[i].domain;
        }
    }
    return "amazonaws.com";
}

bool aws_is_region(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len < 64 && *text != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

char *aws_url_host(const char *url)
{
    const char *host = strstr(url, "://");
    bool https = strncasecmp(url, "https:", 6) == 0;
    host = host ? host + 3 : url;
    size_t len = strcspn(host, "/?#");
    const char *port = https ? ":443" : ":80";
    size_t port_len = strlen(port);
    if (len > port_len && strncmp(host + len - port_len, port, port_len) == 0) {
        len -= port_len;
    }
    return mem_strndup(host, len);
}
