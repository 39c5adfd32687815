#include "registry/login.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "registry/docker_config_internal.h"
#include "registry/registry_internal.h"

char *registry_login_host(const char *host)
{
    if (!host || !*host) {
        return mem_strdup("docker.io");
    }
    char *name = auth_file_key_normal(host);
    name[strcspn(name, "/")] = '\0';
    return name;
}

int registry_check_login(struct registry *registry, const char *host, const char *user,
                         const char *password, struct error *err)
{
    AUTO(place_release) struct place place = {0};
    AUTO(strlist_release) struct strlist scopes = {0};
    AUTO(http_response_release) struct http_response response = {0};
    registry_place(registry, host, "", PLACE_PUSH, &place);
    AUTO(mem_freep) char *url = mem_printf("%s/v2/", place.endpoint->base_url);
    struct endpoint endpoint = *place.endpoint;
    AUTO(auth_freep)
    struct auth *auth = auth_new_with(registry->client, host, endpoint.base_url, user, password);
    endpoint.auth = auth;
    struct http_request request = {.url = url};
    if (registry_call(registry, &endpoint, &scopes, &request, &response, err) != 0) {
        return error_wrap(err, "login to %s", host);
    }
    if (http_check(&request, &response, err) != 0) {
        return error_wrap(err, "login to %s", host);
    }
    return 0;
}

int registry_login(struct registry *registry, const char *host, const char *user,
                   const char *password, char **where_out, struct error *err)
{
    AUTO(mem_freep) char *name = registry_login_host(host);
    if (registry_check_login(registry, name, user, password, err) != 0) {
        return -1;
    }
    return docker_config_store(name, user, password, where_out, err);
}

int registry_logout(const char *host, bool *found_out, struct error *err)
{
    AUTO(mem_freep) char *name = registry_login_host(host);
    return docker_config_erase(name, found_out, err);
}
