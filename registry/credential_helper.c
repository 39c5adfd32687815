#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/program.h"
#include "registry/docker_config_internal.h"

enum { TIMEOUT_S = 60, ANSWER_MAX = 1024 * 1024 };

static const char NOT_FOUND[] = "credentials not found in native keychain";

/* The name becomes part of a program's name: no paths. */
static bool is_name(const char *name)
{
    return *name &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               strlen(name);
}

int credential_helper_run(const char *name, const char *action, const char *input, struct buf *out,
                          int *status_out, struct error *err)
{
    if (!is_name(name)) {
        return error_set(err, ERR_AUTH, "'%.100s' is no name of a credential helper", name);
    }
    AUTO(mem_freep) char *file = mem_printf("docker-credential-%s", name);
    AUTO(mem_freep) char *shown = mem_printf("the credential helper '%s'", file);
    char *argv[] = {file, (char *)action, NULL};
    struct program helper = {.argv = argv,
                             .name = shown,
                             .input = input,
                             .max_answer = ANSWER_MAX,
                             .timeout_s = TIMEOUT_S,
                             .code = ERR_AUTH};
    return program_ask(&helper, out, status_out, err);
}

/* What the helper said, on one line. */
static int refused(const char *name, const char *action, const struct buf *answer, int status,
                   struct error *err)
{
    AUTO(mem_freep) char *words = mem_strdup(buf_text(answer));
    words[strcspn(words, "\r\n")] = '\0';
    return error_set(err, ERR_AUTH, "docker-credential-%s %s: %.500s", name, action,
                     *words          ? words
                     : status == 127 ? "not found"
                                     : "failed without a word");
}

static bool says_not_found(const struct buf *answer)
{
    return strncmp(buf_text(answer), NOT_FOUND, sizeof NOT_FOUND - 1) == 0;
}

int credential_helper_get(const char *name, const char *host, struct credentials *out,
                          struct error *err)
{
    AUTO(buf_release) struct buf answer = BUF_INIT(0);
    int status = 0;
    if (credential_helper_run(name, "get", auth_file_key(host), &answer, &status, err) != 0) {
        return error_wrap(err, "credentials for %s", host);
    }
    if (status != 0) {
        if (says_not_found(&answer)) {
            return 0;
        }
        refused(name, "get", &answer, status, err);
        return error_wrap(err, "credentials for %s", host);
    }
    AUTO(json_freep) json_t *root = NULL;
    AUTO(mem_freep) char *source = mem_printf("docker-credential-%s", name);
    if (json_parse(answer.data, answer.len, ANSWER_MAX, source, ERR_AUTH, &root, err) != 0) {
        /* The parser's words could quote the secret. */
        return error_set(err, ERR_AUTH, "credentials for %s: %s get: the answer is not JSON", host,
                         source);
    }
    const char *user = json_get_string(root, "Username");
    const char *secret = json_get_string(root, "Secret");
    if (!secret || !*secret) {
        return 0;
    }
    if (user && strcmp(user, "<token>") == 0) {
        out->identity_token = mem_strdup(secret);
    } else {
        out->user = mem_strdup(user ? user : "");
        out->password = mem_strdup(secret);
    }
    out->source = MEM_STEAL(source);
    return 0;
}

int credential_helper_store(const char *name, const char *host, const char *user,
                            const char *password, struct error *err)
{
    AUTO(json_freep)
    json_t *root = json_pack("{s:s, s:s, s:s}", "ServerURL", auth_file_key(host), "Username", user,
                             "Secret", password);
    if (!root) {
        return error_set(err, ERR_USAGE, "user name or password is not UTF-8");
    }
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(buf_release) struct buf answer = BUF_INIT(0);
    int status = 0;
    json_render(root, &text);
    if (credential_helper_run(name, "store", buf_text(&text), &answer, &status, err) != 0) {
        return -1;
    }
    return status == 0 ? 0 : refused(name, "store", &answer, status, err);
}

int credential_helper_erase(const char *name, const char *host, bool *found_out, struct error *err)
{
    AUTO(buf_release) struct buf answer = BUF_INIT(0);
    int status = 0;
    if (credential_helper_run(name, "erase", auth_file_key(host), &answer, &status, err) != 0) {
        return -1;
    }
    *found_out = status == 0;
    return status == 0 || says_not_found(&answer) ? 0
                                                  : refused(name, "erase", &answer, status, err);
}
