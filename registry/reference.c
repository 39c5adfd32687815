#include "registry/reference.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"

enum { NAME_MAX_LEN = 255, TAG_MAX_LEN = 128 };

static const char DEFAULT_HOST[] = "docker.io";

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool is_path_component(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        size_t word = i;
        while (i < len && is_lower_alnum(text[i])) {
            i++;
        }
        if (i == word) {
            return false;
        }
        if (i == len) {
            return true;
        }
        if (text[i] == '-') {
            while (i < len && text[i] == '-') {
                i++;
            }
        } else if (text[i] == '_') {
            i += i + 1 < len && text[i + 1] == '_' ? 2 : 1;
        } else if (text[i] == '.') {
            i++;
        } else {
            return false;
        }
    }
    return false;
}

static bool is_path(const char *text)
{
    for (;;) {
        size_t len = strcspn(text, "/");
        if (!is_path_component(text, len)) {
            return false;
        }
        if (text[len] == '\0') {
            return true;
        }
        text += len + 1;
    }
}

static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && text[digits] == '\0';
}

/* Names of letters, digits and inner hyphens between dots; or an IPv6 address in brackets; then
 * perhaps a port. */
static bool is_host(const char *text)
{
    if (text[0] == '[') {
        size_t len = strspn(text + 1, "0123456789abcdefABCDEF:");
        const char *rest = text + 1 + len;
        return len > 0 && rest[0] == ']' &&
               (rest[1] == '\0' || (rest[1] == ':' && is_port(rest + 2)));
    }
    const char *p = text;
    for (;;) {
        const char *label = p;
        while (is_alnum(*p) || *p == '-') {
            p++;
        }
        if (p == label || label[0] == '-' || p[-1] == '-') {
            return false;
        }
        if (*p != '.') {
            break;
        }
        p++;
    }
    return *p == '\0' || (*p == ':' && is_port(p + 1));
}

static bool is_tag(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > TAG_MAX_LEN || !(is_alnum(text[0]) || text[0] == '_')) {
        return false;
    }
    for (const char *p = text; *p; p++) {
        if (!is_alnum(*p) && !strchr("_.-", *p)) {
            return false;
        }
    }
    return true;
}

static bool has_upper(const char *text)
{
    for (; *text; text++) {
        if (isupper((unsigned char)*text)) {
            return true;
        }
    }
    return false;
}

static bool is_hex64(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* Cuts "@DIGEST" off WORK. */
static int take_digest(const char *text, char *work, struct reference *ref, struct error *err)
{
    char *at = strchr(work, '@');
    if (!at) {
        return 0;
    }
    *at = '\0';
    if (digest_parse(at + 1, ERR_USAGE, &ref->digest, err) != 0) {
        return error_wrap(err, "invalid reference '%.300s'", text);
    }
    ref->has_digest = true;
    return 0;
}

/* Cuts ":TAG" off WORK: the last colon, if no slash follows it. */
static int take_tag(const char *text, char *work, struct reference *ref, struct error *err)
{
    char *colon = strrchr(work, ':');
    if (!colon || strchr(colon, '/') || colon == work) {
        return 0;
    }
    *colon = '\0';
    if (!is_tag(colon + 1)) {
        return error_set(err, ERR_USAGE,
                         "invalid reference '%.300s': a tag has 1 to 128 letters, digits, '_', '.' "
                         "and '-', and begins with a letter, a digit or '_'",
                         text);
    }
    ref->tag = mem_strdup(colon + 1);
    return 0;
}

/* Whether what stands before the first slash is a host and not part of the name. */
static bool names_host(const char *first)
{
    return strpbrk(first, ".:") || strcmp(first, "localhost") == 0 || has_upper(first);
}

/* Splits WORK into host and repository. */
static void take_name(char *work, struct reference *ref)
{
    char *slash = strchr(work, '/');
    const char *path = work;
    if (slash) {
        *slash = '\0';
        if (names_host(work)) {
            ref->host = mem_strdup(strcasecmp(work, "index.docker.io") == 0 ||
                                           strcasecmp(work, "registry-1.docker.io") == 0
                                       ? DEFAULT_HOST
                                       : work);
            path = slash + 1;
        } else {
            *slash = '/';
        }
    }
    if (!ref->host) {
        ref->host = mem_strdup(DEFAULT_HOST);
    }
    bool official = strcmp(ref->host, DEFAULT_HOST) == 0 && !strchr(path, '/');
    ref->repository = mem_printf("%s%s", official ? "library/" : "", path);
}

/* TEXT with its name, not its tag, in lower case. */
static char *lower_name(const char *text)
{
    char *lower = mem_strdup(text);
    size_t end = strcspn(lower, "@");
    const char *colon = memrchr(lower, ':', end);
    const char *slash = memrchr(lower, '/', end);
    if (colon && (!slash || colon > slash)) {
        end = (size_t)(colon - lower);
    }
    for (size_t i = 0; i < end; i++) {
        lower[i] = (char)tolower((unsigned char)lower[i]);
    }
    return lower;
}

static int check_name(const char *text, const struct reference *ref, struct error *err)
{
    if (!is_host(ref->host)) {
        return error_set(err, ERR_USAGE, "invalid reference '%.300s': '%.200s' is no host name",
                         text, ref->host);
    }
    if (has_upper(ref->repository)) {
        AUTO(mem_freep) char *lower = lower_name(text);
        return error_set(
            err, ERR_USAGE,
            "invalid reference '%.300s': repository name must be lowercase, did you mean '%.300s'?",
            text, lower);
    }
    if (!is_path(ref->repository)) {
        return error_set(err, ERR_USAGE,
                         "invalid reference '%.300s': a repository name is made of lower-case "
                         "letters and digits, separated by '.', '_', '__', '-' or '/'",
                         text);
    }
    if (strlen(ref->repository) > NAME_MAX_LEN) {
        return error_set(
            err, ERR_USAGE,
            "invalid reference '%.60s...': the repository name is longer than %d characters", text,
            NAME_MAX_LEN);
    }
    return 0;
}

int reference_parse(const char *text, struct reference *out, struct error *err)
{
    if (*text == '\0') {
        return error_set(err, ERR_USAGE, "invalid reference '': it is empty");
    }
    if (strstr(text, "://")) {
        return error_set(err, ERR_USAGE,
                         "invalid reference '%.300s': an image is named without 'https://'", text);
    }
    if (is_hex64(text)) {
        return error_set(
            err, ERR_USAGE,
            "invalid reference '%s': a repository name cannot be 64 hexadecimal digits", text);
    }
    AUTO(reference_release) struct reference ref = {0};
    AUTO(mem_freep) char *work = mem_strdup(text);
    if (take_digest(text, work, &ref, err) != 0 || take_tag(text, work, &ref, err) != 0) {
        return -1;
    }
    take_name(work, &ref);
    if (check_name(text, &ref, err) != 0) {
        return -1;
    }
    *out = ref;
    ref = (struct reference){0};
    return 0;
}

static void append_rest(const struct reference *ref, struct buf *out)
{
    if (ref->tag) {
        buf_printf(out, ":%s", ref->tag);
    }
    if (ref->has_digest) {
        char digest[DIGEST_TEXT_SIZE];
        buf_printf(out, "@%s", digest_format(&ref->digest, digest));
    }
}

char *reference_format(const struct reference *ref)
{
    struct buf out = BUF_INIT(0);
    buf_printf(&out, "%s/%s", ref->host, ref->repository);
    append_rest(ref, &out);
    return buf_take(&out);
}

/* Whether REPOSITORY alone would be read as HOST/NAME. */
static bool looks_hosted(const char *repository)
{
    const char *slash = strchr(repository, '/');
    AUTO(mem_freep)
    char *first = slash ? mem_strndup(repository, (size_t)(slash - repository)) : NULL;
    return first && names_host(first);
}

char *reference_familiar(const struct reference *ref)
{
    struct buf out = BUF_INIT(0);
    bool hub = strcmp(ref->host, DEFAULT_HOST) == 0;
    bool official = hub && strncmp(ref->repository, "library/", 8) == 0 &&
                    !strchr(ref->repository + 8, '/') && !is_hex64(ref->repository + 8);
    if (!hub || looks_hosted(ref->repository)) {
        buf_printf(&out, "%s/", ref->host);
    }
    buf_puts(&out, official ? ref->repository + 8 : ref->repository);
    append_rest(ref, &out);
    return buf_take(&out);
}

const char *reference_tag(const struct reference *ref)
{
    return ref->tag ? ref->tag : "latest";
}

void reference_copy(const struct reference *from, struct reference *out)
{
    *out = (struct reference){
        .host = mem_strdup(from->host),
        .repository = mem_strdup(from->repository),
        .tag = mem_strdup(from->tag),
        .has_digest = from->has_digest,
        .digest = from->digest,
    };
}

void reference_release(struct reference *ref)
{
    free(ref->host);
    free(ref->repository);
    free(ref->tag);
    *ref = (struct reference){0};
}

char *reference_key(const struct reference *ref)
{
    if (ref->has_digest) {
        char digest[DIGEST_TEXT_SIZE];
        return mem_printf("%s/%s@%s", ref->host, ref->repository,
                          digest_format(&ref->digest, digest));
    }
    return mem_printf("%s/%s:%s", ref->host, ref->repository, reference_tag(ref));
}
