/* Credentials and the environment. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "cli/doctor.h"
#include "registry/docker_config.h"

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Whether PROGRAM is somewhere on PATH. */
static bool is_on_path(const char *program)
{
    const char *path = variable("PATH");
    while (path && *path) {
        size_t len = strcspn(path, ":");
        AUTO(mem_freep) char *file = mem_printf("%.*s/%s", (int)len, path, program);
        if (len > 0 && access(file, X_OK) == 0) {
            return true;
        }
        path += len;
        path += *path == ':';
    }
    return false;
}

/* "docker-credential-NAME for WHAT", and in MISSING the program if it is not there. */
static void add_helper(const char *name, const char *what, struct buf *text, struct buf *missing)
{
    AUTO(mem_freep) char *program = mem_printf("docker-credential-%s", name);
    buf_printf(text, "; %s for %s", program, what);
    if (!is_on_path(program)) {
        buf_printf(missing, "%s%s", missing->len ? ", " : "", program);
    }
}

static void read_auth_file(const char *path, const json_t *root, struct findings *findings)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(buf_release) struct buf missing = BUF_INIT(0);
    const char *key = NULL;
    json_t *value = NULL;
    json_t *auths = json_object_get(root, "auths");
    const char *store = json_get_string(root, "credsStore");
    buf_printf(&text, "%s: %zu hosts", path, json_object_size(auths));
    json_object_foreach(auths, key, value)
    {
        buf_printf(&text, " %s", key);
    }
    json_object_foreach(json_object_get(root, "credHelpers"), key, value)
    {
        if (json_is_string(value)) {
            add_helper(json_string_value(value), key, &text, &missing);
        }
    }
    if (store) {
        add_helper(store, "all hosts", &text, &missing);
    }
    findings_add(findings, "credentials", missing.len ? FINDING_PROBLEM : FINDING_OK,
                 mem_strdup(buf_text(&text)),
                 missing.len
                     ? mem_printf("install %s, or take it out of that file", buf_text(&missing))
                     : NULL);
}

static void look_at_auth_file(const char *path, struct findings *findings, size_t *seen)
{
    AUTO(buf_release) struct buf data = BUF_INIT(0);
    AUTO(json_freep) json_t *root = NULL;
    struct error err = {0};
    bool found = false;
    if (file_read(AT_FDCWD, path, LIMIT_JSON_BYTES, &data, &found, &err) == 0 && !found) {
        return;
    }
    (*seen)++;
    if (err.code != ERR_NONE ||
        json_parse(buf_text(&data), data.len, LIMIT_JSON_BYTES, path, ERR_AUTH, &root, &err) != 0) {
        findings_add(findings, "credentials", FINDING_PROBLEM, mem_strdup(err.text),
                     mem_strdup("mend the file, or remove it and 'slipway login' again"));
        return;
    }
    read_auth_file(path, root, findings);
}

static void look_at_credentials(struct findings *findings)
{
    AUTO(strlist_release) struct strlist paths = {0};
    AUTO(buf_release) struct buf all = BUF_INIT(0);
    size_t seen = 0;
    auth_file_paths(&paths);
    for (size_t i = 0; i < paths.len; i++) {
        look_at_auth_file(paths.items[i], findings, &seen);
        buf_printf(&all, "%s%s", i ? ", " : "", paths.items[i]);
    }
    if (seen == 0) {
        findings_add(findings, "credentials", FINDING_NOTE,
                     mem_printf("no file with credentials (%s): all registries are asked "
                                "anonymously, but ECR with AWS's own",
                                buf_text(&all)),
                     mem_strdup("slipway login HOST"));
    }
}

/* Which of the places where AWS's keys can lie answers. */
static void look_at_aws(struct findings *findings)
{
    struct error err = {0};
    bool found = false;
    AUTO(aws_identity_freep) struct aws_identity *who = aws_identity_new(NULL, NULL);
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    AUTO(mem_freep) char *region = NULL;
    if (aws_identity_keys(who, &keys, &found, &err) != 0) {
        findings_add(findings, "AWS credentials", FINDING_PROBLEM, mem_strdup(err.text), NULL);
        return;
    }
    if (!found) {
        findings_add(findings, "AWS credentials", FINDING_OK,
                     mem_strdup("none: neither the environment, the shared files, a container's "
                                "endpoint nor the machine has any"),
                     NULL);
        return;
    }
    struct error ignored = {0};
    aws_identity_region(who, &region, &ignored);
    findings_add(findings, "AWS credentials", FINDING_OK,
                 mem_printf("from %s; %s%s", keys.source, region ? "region " : "no region is set",
                            region ? region : ""),
                 NULL);
}

/* VALUE, a proxy's address with or without scheme, without user and password; the caller's. */
static char *without_user(const char *value)
{
    const char *at = strrchr(value, '@');
    const char *scheme = strstr(value, "://");
    int scheme_len = scheme && (!at || scheme < at) ? (int)(scheme - value) + 3 : 0;
    return at ? mem_printf("%.*s%s", scheme_len, value, at + 1) : mem_strdup(value);
}

/* The variables that change where connections go. Passwords in URLs are left out. */
static void look_at_environment(struct findings *findings)
{
    static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY",
                                          "all_proxy",   "ALL_PROXY",   "no_proxy",   "NO_PROXY"};
    static const char *const others[] = {"SLIPWAY_REGISTRY_MAP", "SLIPWAY_INSECURE_REGISTRIES",
                                         "SSL_CERT_FILE", "SOURCE_DATE_EPOCH"};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    for (size_t i = 0; i < ARRAY_LEN(proxies); i++) {
        const char *value = variable(proxies[i]);
        AUTO(mem_freep) char *shown = value ? without_user(value) : NULL;
        if (shown) {
            buf_printf(&text, "%s%s=%s", text.len ? " " : "", proxies[i], shown);
        }
    }
    findings_add(findings, "proxies", FINDING_OK, mem_strdup(text.len ? buf_text(&text) : "none"),
                 NULL);
    buf_clear(&text);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        const char *value = variable(others[i]);
        if (value) {
            buf_printf(&text, "%s%s=%s", text.len ? " " : "", others[i], value);
        }
    }
    if (text.len > 0) {
        findings_add(findings, "environment", FINDING_OK, mem_strdup(buf_text(&text)), NULL);
    }
}

void doctor_access(struct findings *findings)
{
    look_at_credentials(findings);
    look_at_aws(findings);
    look_at_environment(findings);
}
