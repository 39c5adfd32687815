#include "registry/docker_config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/http.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "registry/docker_config_internal.h"

static const char HUB_KEY[] = "https://index.docker.io/v1/";
static const char HUB[] = "docker.io";

void credentials_release(struct credentials *c)
{
    free(c->user);
    free(c->password);
    free(c->identity_token);
    free(c->registry_token);
    free(c->source);
    *c = (struct credentials){0};
}

void credentials_copy(const struct credentials *from, struct credentials *out)
{
    *out = (struct credentials){
        .user = mem_strdup(from->user),
        .password = mem_strdup(from->password),
        .identity_token = mem_strdup(from->identity_token),
        .registry_token = mem_strdup(from->registry_token),
        .source = mem_strdup(from->source),
    };
}

bool credentials_empty(const struct credentials *c)
{
    return !c->password && !c->identity_token && !c->registry_token;
}

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

void auth_file_paths(struct strlist *out)
{
    const char *own = env("REGISTRY_AUTH_FILE");
    if (own) {
        strlist_add(out, own);
        return;
    }
    const char *docker = env("DOCKER_CONFIG");
    if (docker) {
        strlist_addf(out, "%s/config.json", docker);
        return;
    }
    const char *runtime = env("XDG_RUNTIME_DIR");
    const char *config = env("XDG_CONFIG_HOME");
    const char *home = env("HOME");
    if (runtime) {
        strlist_addf(out, "%s/containers/auth.json", runtime);
    }
    if (config) {
        strlist_addf(out, "%s/containers/auth.json", config);
    } else if (home) {
        strlist_addf(out, "%s/.config/containers/auth.json", home);
    }
    if (home) {
        strlist_addf(out, "%s/.docker/config.json", home);
    }
}

int auth_file_to_write(char **path_out, struct error *err)
{
    const char *own = env("REGISTRY_AUTH_FILE");
    const char *docker = env("DOCKER_CONFIG");
    const char *home = env("HOME");
    if (own) {
        *path_out = mem_strdup(own);
    } else if (docker) {
        *path_out = mem_printf("%s/config.json", docker);
    } else if (home) {
        *path_out = mem_printf("%s/.docker/config.json", home);
    } else {
        return error_set(err, ERR_USAGE,
                         "nowhere to keep credentials: neither HOME nor DOCKER_CONFIG is set");
    }
    return 0;
}

const char *auth_file_key(const char *host)
{
    return strcmp(host, HUB) == 0 ? HUB_KEY : host;
}

char *auth_file_key_normal(const char *key)
{
    const char *scheme = strstr(key, "://");
    AUTO(mem_freep) char *text = mem_strdup(scheme ? scheme + 3 : key);
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/') {
        text[--len] = '\0';
    }
    /* Keys with a scheme are of docker, where the path says nothing; without one they may be
     * HOST/NAMESPACE. */
    char *slash = strchr(text, '/');
    if (slash && (scheme || strcmp(slash, "/v1") == 0 || strcmp(slash, "/v2") == 0)) {
        *slash = '\0';
        slash = NULL;
    }
    size_t host_len = strcspn(text, "/");
    static const char *const aliases[] = {"index.docker.io", "registry-1.docker.io"};
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (strlen(aliases[i]) == host_len && strncasecmp(text, aliases[i], host_len) == 0) {
            return mem_printf("%s%s", HUB, text + host_len);
        }
    }
    return MEM_STEAL(text);
}

/* The member of OBJECT whose key stands for WANTED; *KEY_OUT (may be NULL) gets the key, borrowed.
 */
static json_t *find_key(json_t *object, const char *wanted, const char **key_out)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value)
    {
        AUTO(mem_freep) char *normal = auth_file_key_normal(key);
        if (strcasecmp(normal, wanted) == 0) {
            if (key_out) {
                *key_out = key;
            }
            return value;
        }
    }
    return NULL;
}

static char *take_member(const json_t *entry, const char *name)
{
    const char *text = json_get_string(entry, name);
    return text && *text ? mem_strdup(text) : NULL;
}

/* base64(user:password); docker and containers/image drop NUL bytes around the password. */
static int read_auth(const char *text, const char *file, const char *host, struct credentials *out,
                     struct error *err)
{
    AUTO(buf_release) struct buf plain = BUF_INIT(0);
    const char *colon = NULL;
    if (base64_decode(text, &plain) && plain.len > 0) {
        while (plain.len > 0 && plain.data[plain.len - 1] == '\0') {
            plain.len--;
        }
        colon = memchr(plain.data, ':', plain.len);
    }
    if (!colon) {
        return error_set(err, ERR_AUTH, "%s: auths: %s: 'auth' is not base64 of user:password",
                         file, host);
    }
    const char *word = colon + 1;
    const char *end = plain.data + plain.len;
    while (word < end && *word == '\0') {
        word++;
    }
    out->user = mem_strndup(plain.data, (size_t)(colon - plain.data));
    out->password = mem_strndup(word, (size_t)(end - word));
    return 0;
}

static int read_entry(const json_t *entry, const char *file, const char *host,
                      struct credentials *out, struct error *err)
{
    AUTO(credentials_release) struct credentials c = {0};
    c.identity_token = take_member(entry, "identitytoken");
    c.registry_token = take_member(entry, "registrytoken");
    const char *auth = json_get_string(entry, "auth");
    if (auth && *auth) {
        if (read_auth(auth, file, host, &c, err) != 0) {
            return -1;
        }
    } else {
        c.user = take_member(entry, "username");
        c.password = take_member(entry, "password");
    }
    if (credentials_empty(&c)) {
        return 0;
    }
    c.source = mem_strdup(file);
    *out = c;
    c = (struct credentials){0};
    return 0;
}

/* auths: host/ns/repo, host/ns, host, the most specific first. */
static json_t *find_auth(json_t *auths, const char *host, const char *repository)
{
    AUTO(mem_freep)
    char *wanted = repository ? mem_printf("%s/%s", host, repository) : mem_strdup(host);
    for (;;) {
        json_t *entry = find_key(auths, wanted, NULL);
        if (entry) {
            return entry;
        }
        char *slash = strrchr(wanted, '/');
        if (!slash) {
            return NULL;
        }
        *slash = '\0';
    }
}

int docker_config_parse(const void *data, size_t len, const char *name, const char *host,
                        const char *repository, struct credentials *out, char **helper_out,
                        struct error *err)
{
    AUTO(json_freep) json_t *root = NULL;
    if (json_parse(data, len, LIMIT_JSON_BYTES, name, ERR_AUTH, &root, err) != 0) {
        return -1;
    }
    *helper_out = NULL;
    json_t *helper = find_key(json_object_get(root, "credHelpers"), host, NULL);
    const char *store = json_get_string(root, "credsStore");
    if (json_is_string(helper) && *json_string_value(helper)) {
        *helper_out = mem_strdup(json_string_value(helper));
        return 0;
    }
    json_t *entry = find_auth(json_object_get(root, "auths"), host, repository);
    if (entry && read_entry(entry, name, host, out, err) != 0) {
        return -1;
    }
    if (store && *store) {
        *helper_out = mem_strdup(store);
    }
    return 0;
}

/* One file; what is not there has nothing. */
static int get_from(const char *path, const char *host, const char *repository,
                    struct credentials *out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
    AUTO(mem_freep) char *helper = NULL;
    AUTO(credentials_release) struct credentials in_file = {0};
    bool found = false;
    if (file_read(AT_FDCWD, path, LIMIT_JSON_BYTES, &text, &found, err) != 0) {
        err->code = ERR_AUTH;
        return -1;
    }
    if (!found || text.len == 0) {
        return 0;
    }
    if (docker_config_parse(text.data, text.len, path, host, repository, &in_file, &helper, err) !=
        0) {
        return -1;
    }
    /* A helper's word comes first; docker, too, leaves old entries in the file. */
    if (helper && credential_helper_get(helper, host, out, err) != 0) {
        return error_wrap(err, "%s", path);
    }
    if (credentials_empty(out)) {
        credentials_release(out);
        *out = in_file;
        in_file = (struct credentials){0};
    }
    return 0;
}

int docker_config_get(const char *host, const char *repository, struct credentials *out,
                      struct error *err)
{
    AUTO(strlist_release) struct strlist paths = {0};
    AUTO(credentials_release) struct credentials found = {0};
    auth_file_paths(&paths);
    for (size_t i = 0; i < paths.len && credentials_empty(&found); i++) {
        if (get_from(paths.items[i], host, repository, &found, err) != 0) {
            return -1;
        }
    }
    *out = found;
    found = (struct credentials){0};
    return 0;
}
