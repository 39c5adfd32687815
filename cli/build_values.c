#include "cli/build_values.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "builder/build.h"
#include "cli/options.h"
#include "git/source.h"
#include "registry/reference.h"

struct choice {
    const char *name;
    int value;
};

/* Finds VALUE in CHOICES (ended by a NULL name); the error names all, each value once. */
static int choose(const struct choice *choices, const char *value, int *out, struct error *err)
{
    struct buf known = BUF_INIT(0);
    for (size_t i = 0; choices[i].name; i++) {
        if (strcmp(choices[i].name, value) == 0) {
            *out = choices[i].value;
            buf_release(&known);
            return 0;
        }
        buf_printf(&known, "%s%s", i ? ", " : "", choices[i].name);
    }
    error_set(err, ERR_USAGE, "'%s' is none of %s", value, buf_text(&known));
    buf_release(&known);
    return -1;
}

int value_platform(void *member, const char *value, struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    value_names(&names, value, err);
    if (names.len == 0) {
        return error_set(err, ERR_USAGE, "the name is empty");
    }
    for (size_t i = 0; i < names.len; i++) {
        struct platform platform = {0};
        if (platform_parse(names.items[i], &platform, err) != 0) {
            return -1;
        }
        AUTO(mem_freep) char *text = platform_format(&platform);
        platform_release(&platform);
        if (!strlist_has(member, text)) {
            strlist_add(member, text);
        }
    }
    return 0;
}

int value_pull(void *member, const char *value, struct error *err)
{
    static const struct choice choices[] = {{"always", PULL_ALWAYS}, {"missing", PULL_MISSING},
                                            {"never", PULL_NEVER},   {"true", PULL_ALWAYS},
                                            {"false", PULL_MISSING}, {NULL, 0}};
    int chosen = 0;
    if (choose(choices, value, &chosen, err) != 0) {
        return -1;
    }
    *(enum pull_policy *)member = (enum pull_policy)chosen;
    return 0;
}

int value_network(void *member, const char *value, struct error *err)
{
    static const struct choice choices[] = {
        {"default", NETWORK_DEFAULT}, {"none", NETWORK_NONE}, {"host", NETWORK_HOST}, {NULL, 0}};
    int chosen = 0;
    if (choose(choices, value, &chosen, err) != 0) {
        return -1;
    }
    *(enum network_mode *)member = (enum network_mode)chosen;
    return 0;
}

int value_isolation(void *member, const char *value, struct error *err)
{
    static const struct choice choices[] = {{"auto", ISOLATION_AUTO},
                                            {"overlay", ISOLATION_OVERLAY},
                                            {"userns", ISOLATION_USERNS},
                                            {"default", ISOLATION_AUTO},
                                            {NULL, 0}};
    int chosen = 0;
    if (strcmp(value, "chroot") == 0) {
        return error_set(err, ERR_USAGE, "RUN by chroot alone is not possible yet");
    }
    if (choose(choices, value, &chosen, err) != 0) {
        return -1;
    }
    *(enum isolation *)member = (enum isolation)chosen;
    return 0;
}

int value_compression(void *member, const char *value, struct error *err)
{
    static const struct choice choices[] = {{"gzip", COMPRESS_GZIP},
                                            {"zstd", COMPRESS_ZSTD},
                                            {"none", COMPRESS_NONE},
                                            {"uncompressed", COMPRESS_NONE},
                                            {NULL, 0}};
    int chosen = 0;
    if (choose(choices, value, &chosen, err) != 0) {
        return -1;
    }
    *(enum compression *)member = (enum compression)chosen;
    return 0;
}

int value_timestamps(void *member, const char *value, struct error *err)
{
    static const struct choice choices[] = {
        {"content", TIMES_CONTENT}, {"fixed", TIMES_FIXED}, {"keep", TIMES_KEEP}, {NULL, 0}};
    int chosen = 0;
    if (choose(choices, value, &chosen, err) != 0) {
        return -1;
    }
    *(enum timestamps *)member = (enum timestamps)chosen;
    return 0;
}

int value_add_host(void *member, const char *value, struct error *err)
{
    unsigned char address[sizeof(struct in6_addr)];
    size_t name = strcspn(value, ":=");
    if (name == 0 || value[name] == '\0') {
        return error_set(err, ERR_USAGE, "'%s' is not of the form NAME:IP", value);
    }
    const char *ip = value + name + 1;
    size_t len = strlen(ip);
    bool brackets = len > 2 && ip[0] == '[' && ip[len - 1] == ']';
    AUTO(mem_freep) char *bare = brackets ? mem_strndup(ip + 1, len - 2) : mem_strdup(ip);
    if (inet_pton(AF_INET, bare, address) != 1 && inet_pton(AF_INET6, bare, address) != 1) {
        return error_set(err, ERR_USAGE, "'%s' is no IP address", bare);
    }
    strlist_addf(member, "%.*s:%s", (int)name, value, bare);
    return 0;
}

int value_names(void *member, const char *value, struct error *err)
{
    (void)err;
    while (*value) {
        size_t len = strcspn(value, ",");
        if (len > 0) {
            strlist_take(member, mem_strndup(value, len));
        }
        value += len + (value[len] == ',');
    }
    return 0;
}

int value_label(void *member, const char *value, struct error *err)
{
    size_t name = strcspn(value, "=");
    if (name == 0) {
        return error_set(err, ERR_USAGE, "'%s' is not of the form KEY=VALUE", value);
    }
    strlist_addf(member, "%s%s", value, value[name] ? "" : "=");
    return 0;
}

int value_annotation(void *member, const char *value, struct error *err)
{
    static const char prefix[] = "manifest:";
    static const char *const elsewhere[] = {"index:", "index-descriptor:", "manifest-descriptor:"};
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        if (strncmp(value, elsewhere[i], strlen(elsewhere[i])) == 0) {
            return error_set(err, ERR_USAGE,
                             "'%s': there is no index, annotations go to the manifest", value);
        }
    }
    if (strncmp(value, prefix, sizeof prefix - 1) == 0) {
        value += sizeof prefix - 1;
    }
    const char *equals = strchr(value, '=');
    if (!equals || equals == value) {
        return error_set(err, ERR_USAGE, "'%s' is not of the form KEY=VALUE", value);
    }
    strlist_add(member, value);
    return 0;
}

int value_build_arg(void *member, const char *value, struct error *err)
{
    if (*value == '=' || *value == '\0') {
        return error_set(err, ERR_USAGE, "'%s' is not of the form KEY=VALUE", value);
    }
    strlist_add(member, value);
    return 0;
}

int value_tag(void *member, const char *value, struct error *err)
{
    struct reference ref = {0};
    if (reference_parse(value, &ref, err) != 0) {
        return -1;
    }
    bool digest = ref.has_digest;
    reference_release(&ref);
    if (digest) {
        return error_set(err, ERR_USAGE, "'%s': a name to be given cannot hold a digest", value);
    }
    if (!strlist_has(member, value)) {
        strlist_add(member, value);
    }
    return 0;
}

int value_ssh(void *member, const char *value, struct error *err)
{
    struct stat st;
    struct strlist *agents = member;
    const char *agent = getenv("SSH_AUTH_SOCK");
    size_t len = strcspn(value, "=");
    const char *socket = value[len] ? value + len + 1 : agent;
    AUTO(mem_freep) char *id = mem_strndup(value, len);
    if (len == 0) {
        return error_set(err, ERR_USAGE, "'%s' is not of the form ID[=SOCKET]", value);
    }
    if (!socket || !*socket) {
        return error_set(err, ERR_USAGE, "SSH_AUTH_SOCK names no agent");
    }
    if (stat(socket, &st) != 0) {
        return error_errno(err, ERR_USAGE, "'%s'", socket);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return error_set(err, ERR_USAGE,
                         "'%s' is no agent's socket (give a key to ssh-agent, not to the build)",
                         socket);
    }
    const char *given = strlist_env_get(agents, id);
    if (given) {
        return strcmp(given, socket) == 0
                   ? 0
                   : error_set(err, ERR_USAGE, "the agent '%s' is named twice", id);
    }
    strlist_addf(agents, "%s=%s", id, socket);
    /* Whoever fetches over ssh finds the agent by this name (libssh2 knows no other way). */
    bool for_git = agents->len == 1 || strcmp(id, "default") == 0;
    if (value[len] && for_git && setenv("SSH_AUTH_SOCK", socket, 1) != 0) {
        return error_errno(err, ERR_USAGE, "--ssh");
    }
    return 0;
}

static int take_secret(void *ctx, const char *key, const char *value, struct error *err)
{
    struct build_secret *secret = ctx;
    static const char *const keys[] = {"id", "src", "source", "env", "type"};
    if (!value) {
        return error_set(err, ERR_USAGE, "'%s' is not of the form key=value", key);
    }
    char **member = strcmp(key, "id") == 0                                  ? &secret->id
                    : strcmp(key, "env") == 0                               ? &secret->env
                    : strcmp(key, "src") == 0 || strcmp(key, "source") == 0 ? &secret->file
                                                                            : NULL;
    bool type = strcmp(key, "type") == 0;
    if (type && strcmp(value, "env") != 0 && strcmp(value, "file") != 0) {
        return error_set(err, ERR_USAGE, "no type '%s': file or env", value);
    }
    if (!member && !type) {
        const char *near = nearest_name(key, keys, ARRAY_LEN(keys));
        return error_set(err, ERR_USAGE, "no key '%s'%s%s", key,
                         near ? ", did you mean " : ": id, src, env and type are known",
                         near ? near : "");
    }
    if (member) {
        free(*member);
        *member = mem_strdup(value);
    }
    return 0;
}

/* As docker: type=env reads src as a variable; with neither src nor env, ID names the variable or
 * file. */
static int complete_secret(struct build_secret *secret, bool type_env, struct error *err)
{
    if (!secret->id || !*secret->id) {
        return error_set(err, ERR_USAGE, "id=NAME is missing");
    }
    if (type_env && !secret->env) {
        secret->env = MEM_STEAL(secret->file);
    }
    if (!secret->file && !secret->env) {
        bool variable = type_env || getenv(secret->id) != NULL;
        *(variable ? &secret->env : &secret->file) = mem_strdup(secret->id);
    }
    if (secret->env && secret->file) {
        return error_set(err, ERR_USAGE, "src= and env= exclude each other");
    }
    if (secret->env && !getenv(secret->env)) {
        return error_set(err, ERR_USAGE, "the variable %s is not set", secret->env);
    }
    if (secret->file && access(secret->file, R_OK) != 0) {
        return error_errno(err, ERR_USAGE, "'%s'", secret->file);
    }
    return 0;
}

static int is_env_type(void *ctx, const char *key, const char *value, struct error *err)
{
    (void)err;
    if (value && strcmp(key, "type") == 0) {
        *(bool *)ctx = strcmp(value, "env") == 0;
    }
    return 0;
}

int value_secret(void *member, const char *value, struct error *err)
{
    struct build_request *request = member;
    bool type_env = false;
    request->secrets =
        mem_realloc(request->secrets, request->secrets_len + 1, sizeof *request->secrets);
    struct build_secret *secret = &request->secrets[request->secrets_len++];
    *secret = (struct build_secret){0};
    if (options_fields(value, take_secret, secret, err) != 0 ||
        options_fields(value, is_env_type, &type_env, err) != 0) {
        return -1;
    }
    return complete_secret(secret, type_env, err);
}

int value_context(void *member, const char *value, struct error *err)
{
    struct build_request *request = member;
    const char *equals = strchr(value, '=');
    if (!equals || equals == value || equals[1] == '\0') {
        return error_set(err, ERR_USAGE, "'%s' is not of the form NAME=WHERE", value);
    }
    const char *where = equals + 1;
    if (!strstr(where, "://") && !git_is_url(where) && access(where, F_OK) != 0) {
        return error_errno(err, ERR_USAGE, "'%s'", where);
    }
    request->contexts =
        mem_realloc(request->contexts, request->contexts_len + 1, sizeof *request->contexts);
    request->contexts[request->contexts_len++] = (struct named_context){
        .name = mem_strndup(value, (size_t)(equals - value)), .value = mem_strdup(where)};
    return 0;
}

static int confirm(const char *value, bool wanted, struct error *err)
{
    bool is = false;
    if (options_bool(value, &is, err) != 0) {
        return -1;
    }
    if (is != wanted) {
        return error_set(err, ERR_USAGE, "%s is not possible here", is ? "true" : "false");
    }
    return 0;
}

int value_always_true(void *member, const char *value, struct error *err)
{
    (void)member;
    return confirm(value, true, err);
}

int value_always_false(void *member, const char *value, struct error *err)
{
    (void)member;
    return confirm(value, false, err);
}

int value_ignored(void *member, const char *value, struct error *err)
{
    (void)member;
    (void)value;
    (void)err;
    return 0;
}

int value_either(void *member, const char *value, struct error *err)
{
    bool ignored = false;
    (void)member;
    return options_bool(value, &ignored, err);
}
