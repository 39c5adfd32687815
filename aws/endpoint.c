#include "aws/endpoint.h"

#include <string.h>
#include <strings.h>

#include "aws/credentials_internal.h"
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

const char *aws_dual_domain(const char *region)
{
    return strncmp(region, "cn-", 3) == 0     ? "api.amazonwebservices.com.cn"
           : strncmp(region, "eusc-", 5) == 0 ? "api.amazonwebservices.eu"
                                              : "api.aws";
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

void aws_search_wishes(const struct aws_search *search, bool *fips_out, bool *dual_out)
{
    *fips_out = aws_setting_is_true(search, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    *dual_out = aws_setting_is_true(search, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
}

char *aws_service_url(const struct aws_search *search, const struct aws_service *service,
                      const char *region)
{
    char *given = aws_configured_endpoint(search, service->variable);
    bool fips = false;
    bool dual = false;
    aws_search_wishes(search, &fips, &dual);
    return given ? given
                 : mem_printf("https://%s.%s.%s", fips ? service->fips : service->name, region,
                              dual ? aws_dual_domain(region) : aws_domain(region));
}
