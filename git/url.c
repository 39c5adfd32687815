#include "git/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"

static bool starts(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends_span(const char *text, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);
    return len >= n && strncmp(text + len - n, suffix, n) == 0;
}

/* The length of TEXT without its fragment; without its query and fragment. */
static size_t before_fragment(const char *text)
{
    return strcspn(text, "#");
}

static size_t before_query(const char *text)
{
    return strcspn(text, "?#");
}

/* NAME@HOST:PATH. The characters of NAME and HOST are those that docker takes, so that C:\ and a:b
 * are not. */
static bool is_scp_like(const char *text)
{
    size_t user = 0;
    while (isalnum((unsigned char)text[user]) ||
           (user > 0 && strchr("_.-+", text[user]) && text[user] != '\0') || text[user] == '_') {
        user++;
    }
    if (user == 0 || text[user] != '@') {
        return false;
    }
    const char *host = text + user + 1;
    size_t len = 0;
    while (isalnum((unsigned char)host[len]) ||
           (len > 0 && (host[len] == '-' || host[len] == '.'))) {
        len++;
    }
    return len > 0 && host[len] == ':' && host[len + 1] != '\0' && host[len + 1] != '#' &&
           strncmp(host + len, "://", 3) != 0;
}

/* The region in a CodeCommit host
 * ((vpce-.+\.)?git-codecommit(-fips)?\.REGION\.(vpce\.)?amazonaws\.com), the caller's; NULL for
 * other hosts. */
static char *codecommit_region(const char *host)
{
    const char *at = host;
    if (strncmp(host, "vpce-", 5) == 0) {
        at = strstr(host, ".git-codecommit");
        at = at ? at + 1 : host;
    }
    const char *word = "git-codecommit";
    if (strncmp(at, word, strlen(word)) != 0) {
        return NULL;
    }
    at += strlen(word);
    if (strncmp(at, "-fips", 5) == 0) {
        at += 5;
    }
    if (*at != '.') {
        return NULL;
    }
    const char *region = at + 1;
    size_t len = strcspn(region, ".");
    const char *rest = region + len;
    if (strncmp(rest, ".vpce.", 6) == 0) {
        rest += 5;
    }
    if (len == 0 ||
        (strcmp(rest, ".amazonaws.com") != 0 && strcmp(rest, ".amazonaws.com.cn") != 0)) {
        return NULL;
    }
    return mem_strndup(region, len);
}

/* Whether AUTHORITY/PATH (LEN bytes, behind "://") is on a server that only serves git at such
 * paths. */
static bool is_forge(const char *rest, size_t len)
{
    AUTO(mem_freep) char *text = mem_strndup(rest, len);
    char *path = strchr(text, '/');
    if (!path) {
        return false;
    }
    *path++ = '\0';
    const char *at = strrchr(text, '@');
    AUTO(mem_freep) char *host = mem_strdup(at ? at + 1 : text);
    host[strcspn(host, ":")] = '\0';
    AUTO(mem_freep) char *region = codecommit_region(host);
    if (region) {
        return strncmp(path, "v1/repos/", 9) == 0;
    }
    if (strcmp(host, "github.com") != 0 && strcmp(host, "gitlab.com") != 0 &&
        strcmp(host, "bitbucket.org") != 0) {
        return false;
    }
    const char *slash = strchr(path, '/');
    size_t name = slash ? strcspn(slash + 1, "/?") : 0;
    return slash && slash != path && name > 0 &&
           (slash[1 + name] == '\0' || strcmp(slash + 1 + name, "/") == 0);
}

bool git_is_url(const char *text)
{
    static const char *const always[] = {
        "git://",      "ssh://",  "git+ssh://",  "ssh+git://",   "git+http://",  "git+https://",
        "git+file://", "file://", "github.com/", "codecommit::", "codecommit://"};
    for (size_t i = 0; i < ARRAY_LEN(always); i++) {
        if (starts(text, always[i]) && text[strlen(always[i])] != '\0') {
            return true;
        }
    }
    if (starts(text, "http://") || starts(text, "https://")) {
        const char *rest = strstr(text, "://") + 3;
        size_t len = before_query(rest);
        return ends_span(rest, len, ".git") || ends_span(rest, len, ".git/") || is_forge(rest, len);
    }
    return is_scp_like(text);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

char *git_url_decode(const char *text, size_t len)
{
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '%' && i + 2 < len && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            c = (unsigned char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        }
        if (c < 0x20 || c == 0x7f) {
            return NULL;
        }
        buf_putc(&out, (char)c);
    }
    return buf_take(&out);
}

char *git_url_redact(const char *text)
{
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    const char *mark;
    while ((mark = strstr(text, "://")) != NULL) {
        const char *start = mark + 3;
        buf_append(&out, text, (size_t)(start - text));
        /* A careless password holds "/" and "#" too: the last "@" of the word counts. */
        size_t len = strcspn(start, " \t\r\n'\"");
        size_t at = len;
        while (at > 0 && start[at - 1] != '@') {
            at--;
        }
        if (at > 0) {
            buf_puts(&out, "***@");
        }
        text = start + at;
    }
    buf_puts(&out, text);
    return buf_take(&out);
}

static int bad(struct error *err, const char *text, const char *why)
{
    AUTO(mem_freep) char *safe = git_url_redact(text);
    return error_set(err, ERR_USAGE, "git URL '%.300s': %s", safe, why);
}

/* #ref[:subdir] */
static int parse_fragment(const char *fragment, struct git_url *url, struct error *err)
{
    size_t len = strcspn(fragment, ":");
    if (len > 0) {
        url->ref = mem_strndup(fragment, len);
    }
    const char *subdir = fragment[len] == ':' ? fragment + len + 1 : "";
    mem_freep(&url->subdir);
    url->subdir = path_clean(subdir);
    if (strlen(url->subdir) > LIMIT_PATH_BYTES) {
        return bad(err, fragment, "the folder behind ':' is too long");
    }
    return 0;
}

static int parse_port(const char *text, const char *digits, struct git_url *url, struct error *err)
{
    unsigned port = 0;
    for (const char *p = digits; *p; p++) {
        if (*p < '0' || *p > '9' || port > 65535) {
            return bad(err, text, "the port is not a number");
        }
        port = port * 10 + (unsigned)(*p - '0');
    }
    if (port > 65535 || (port == 0 && *digits)) {
        return bad(err, text, "the port is not between 1 and 65535");
    }
    url->port = port;
    return 0;
}

/* [USER[:PASSWORD]@]HOST[:PORT] */
static int parse_authority(const char *text, const char *authority, size_t len, struct git_url *url,
                           struct error *err)
{
    size_t at = len;
    while (at > 0 && authority[at - 1] != '@') {
        at--;
    }
    if (at > 0) {
        const char *colon = memchr(authority, ':', at - 1);
        size_t user = colon ? (size_t)(colon - authority) : at - 1;
        url->user = git_url_decode(authority, user);
        url->password = colon ? git_url_decode(colon + 1, at - 1 - user - 1) : NULL;
        if (!url->user || (colon && !url->password)) {
            return bad(err, text, "a control character in the user or password");
        }
        if (url->user[0] == '\0') {
            mem_freep(&url->user);
        }
    }
    AUTO(mem_freep) char *host = mem_strndup(authority + at, len - at);
    char *port;
    if (host[0] == '[') {
        char *end = strchr(host, ']');
        if (!end || (end[1] != '\0' && end[1] != ':')) {
            return bad(err, text, "an address in brackets without its end");
        }
        size_t address = strspn(host + 1, "0123456789abcdefABCDEF:.");
        if (host + 1 + address != end || !memchr(host + 1, ':', address)) {
            return bad(err, text, "what stands in brackets is no IPv6 address");
        }
        port = end[1] == ':' ? end + 2 : end + 1;
        *end = '\0';
        url->host = mem_strdup(host + 1);
    } else {
        port = strchr(host, ':');
        if (port) {
            *port++ = '\0';
        } else {
            port = host + strlen(host);
        }
        url->host = mem_strdup(host);
    }
    if (url->host[0] == '\0' || url->host[0] == '-' || strpbrk(url->host, "% \\<>\"'`[]")) {
        return bad(err, text, "no host that could be asked");
    }
    return parse_port(text, port, url, err);
}

static const char *scheme_text(enum git_scheme scheme)
{
    static const char *const names[] = {"http", "https", "ssh", "git", "file"};
    return names[scheme];
}

/* Puts `fetch` and `display` together from the parts. */
static void compose(struct git_url *url)
{
    bool ssh = url->scheme == GIT_URL_SSH;
    AUTO(buf_release) struct buf b = BUF_INIT(0);
    buf_printf(&b, "%s://", scheme_text(url->scheme));
    if (ssh && url->user && !strpbrk(url->user, "@:/ ")) {
        buf_printf(&b, "%s@", url->user);
    }
    bool brackets = strchr(url->host, ':') != NULL;
    buf_printf(&b, "%s%s%s", brackets ? "[" : "", url->host, brackets ? "]" : "");
    if (url->port) {
        buf_printf(&b, ":%u", url->port);
    }
    buf_puts(&b, url->path);
    mem_freep(&url->fetch);
    mem_freep(&url->display);
    url->fetch = buf_take(&b);
    url->display = mem_strdup(url->fetch);
}

static int parse_file(const char *text, const char *path, size_t len, struct git_url *url,
                      struct error *err)
{
    if (len >= 10 && strncmp(path, "localhost/", 10) == 0) {
        path += 9;
        len -= 9;
    }
    AUTO(mem_freep) char *decoded = git_url_decode(path, len);
    if (!decoded || decoded[0] != '/') {
        return bad(err, text, "file:// takes an absolute path (file:///folder/repository)");
    }
    url->scheme = GIT_URL_FILE;
    url->path = path_clean_absolute(decoded);
    url->fetch = mem_strdup(url->path);
    url->display = mem_printf("file://%s", url->path);
    return 0;
}

/* USER@HOST:PATH, LEN bytes. A path without a leading slash is relative to the user's home: libgit2
 * writes that "/~/" nowhere, so the scp-like form itself is what it is given. */
static int parse_scp(const char *text, size_t len, struct git_url *url, struct error *err)
{
    const char *colon = strchr(text, ':');
    size_t at = (size_t)(colon - text);
    url->scheme = GIT_URL_SSH;
    if (parse_authority(text, text, at, url, err)) {
        return -1;
    }
    url->path = mem_strndup(colon + 1, len - at - 1);
    url->fetch = mem_printf("%s@%s:%s", url->user, url->host, url->path);
    url->display = mem_strdup(url->fetch);
    return 0;
}

/* The region is what START says (LEN bytes), else the profile's or the environment's. */
static int find_region(const char *text, const char *start, size_t len, struct git_url *url,
                       struct error *err)
{
    if (len > 0) {
        url->region = mem_strndup(start, len);
    } else if (aws_profile_region(url->profile, &url->region, err)) {
        return -1;
    }
    if (!url->region) {
        return bad(err, text, "no region: write codecommit::REGION://NAME or set AWS_REGION");
    }
    if (!aws_is_region(url->region) || !strchr(url->region, '-')) {
        return bad(err, text, "that is no AWS region");
    }
    return 0;
}

/* codecommit::REGION://[PROFILE@]NAME, codecommit://[PROFILE@]NAME; LEN bytes. */
static int parse_codecommit(const char *text, size_t len, struct git_url *url, struct error *err)
{
    const char *start = text + strlen("codecommit");
    start += start[1] == ':' ? 2 : 0; /* "::" */
    const char *mark = strstr(start, "://");
    if (!mark || (size_t)(mark - text) + 3 >= len) {
        return bad(err, text, "CodeCommit is written codecommit::REGION://NAME");
    }
    AUTO(mem_freep) char *rest = mem_strndup(mark + 3, len - (size_t)(mark + 3 - text));
    char *name = strrchr(rest, '@');
    if (name) {
        *name++ = '\0';
        url->profile = mem_strdup(rest);
    } else {
        name = rest;
    }
    size_t valid =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (valid == 0 || valid > 100 || name[valid]) {
        return bad(err, text,
                   "a CodeCommit repository has 1 to 100 letters, digits, '.', '_', '-'");
    }
    if (find_region(text, start, (size_t)(mark - start), url, err)) {
        return -1;
    }
    const char *endpoint = getenv("CODE_COMMIT_ENDPOINT");
    url->scheme = GIT_URL_HTTPS;
    url->codecommit = true;
    AUTO(mem_freep)
    char *authority = endpoint && *endpoint ? mem_strdup(endpoint)
                                            : mem_printf("git-codecommit.%s.%s", url->region,
                                                         aws_domain(url->region));
    if (parse_authority(text, authority, strlen(authority), url, err)) {
        return -1;
    }
    url->path = mem_printf("/v1/repos/%s", name);
    compose(url);
    return 0;
}

static int parse_host_url(const char *text, const char *rest, size_t len, enum git_scheme scheme,
                          struct git_url *url, struct error *err)
{
    url->scheme = scheme;
    size_t authority = strcspn(rest, "/?#");
    if (authority > len) {
        authority = len;
    }
    if (parse_authority(text, rest, authority, url, err)) {
        return -1;
    }
    if (authority + 1 >= len) {
        return bad(err, text, "no repository behind the host");
    }
    url->path = mem_strndup(rest + authority, len - authority);
    if (scheme == GIT_URL_HTTP || scheme == GIT_URL_HTTPS) {
        url->region = codecommit_region(url->host);
        url->codecommit = url->region != NULL;
    }
    compose(url);
    return 0;
}

static int parse_whole(const char *text, size_t len, struct git_url *url, struct error *err)
{
    static const struct {
        const char *prefix;
        enum git_scheme scheme;
    } schemes[] = {{"https://", GIT_URL_HTTPS},     {"http://", GIT_URL_HTTP},
                   {"git+https://", GIT_URL_HTTPS}, {"git+http://", GIT_URL_HTTP},
                   {"ssh://", GIT_URL_SSH},         {"git+ssh://", GIT_URL_SSH},
                   {"ssh+git://", GIT_URL_SSH},     {"git://", GIT_URL_GIT},
                   {"file://", GIT_URL_FILE},       {"git+file://", GIT_URL_FILE}};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i].prefix);
        if (!starts(text, schemes[i].prefix)) {
            continue;
        }
        if (schemes[i].scheme == GIT_URL_FILE) {
            return parse_file(text, text + n, len - n, url, err);
        }
        return parse_host_url(text, text + n, len - n, schemes[i].scheme, url, err);
    }
    if (starts(text, "codecommit::") || starts(text, "codecommit://")) {
        return parse_codecommit(text, len, url, err);
    }
    if (starts(text, "github.com/")) {
        return parse_host_url(text, text, len, GIT_URL_HTTPS, url, err);
    }
    if (text[0] == '/') {
        return parse_file(text, text, len, url, err);
    }
    if (is_scp_like(text)) {
        return parse_scp(text, len, url, err);
    }
    return bad(err, text,
               "not a git URL: https://HOST/NAME.git, ssh://, git://, file:///, USER@HOST:PATH "
               "or codecommit::REGION://NAME");
}

/* Fragment and query of TEXT, which begin at HEAD. */
static int parse_wishes(const char *text, size_t head, struct git_url *url, struct error *err)
{
    size_t fragment = before_fragment(text);
    if (text[fragment] == '#' && parse_fragment(text + fragment + 1, url, err)) {
        return -1;
    }
    if (text[head] != '?') {
        return 0;
    }
    if (git_url_query(text + head + 1, fragment - head - 1, url, err)) {
        return error_wrap(err, "git URL '%.300s'", url->display);
    }
    return 0;
}

/* A submodule's URL is git's own: it has no QUERY of ours. */
static int parse(const char *text, bool query, struct git_url *out, struct error *err)
{
    struct git_url url = {.subdir = mem_strdup("")};
    size_t len = strlen(text);
    AUTO(mem_freep) char *plain = len <= LIMIT_PATH_BYTES * 2 ? git_url_decode(text, len) : NULL;
    int failed;
    if (!plain) {
        failed =
            error_set(err, ERR_USAGE, "git URL: %s",
                      len > LIMIT_PATH_BYTES * 2 ? "it is too long" : "a control character in it");
    } else {
        size_t head = query && text[0] != '/' ? before_query(text) : before_fragment(text);
        failed = parse_whole(text, head, &url, err) || parse_wishes(text, head, &url, err);
    }
    if (failed) {
        git_url_release(&url);
        return -1;
    }
    *out = url;
    return 0;
}

int git_url_parse(const char *text, struct git_url *out, struct error *err)
{
    return parse(text, true, out, err);
}

/* BASE's URL with RELATIVE ("./", "../" ...) laid over its path, as git-submodule does it. */
static int resolve_relative(const struct git_url *base, const char *relative, char **out,
                            struct error *err)
{
    AUTO(mem_freep) char *whole = mem_strdup(base->fetch);
    size_t len = strlen(whole);
    while (len > 0 && whole[len - 1] == '/') {
        whole[--len] = '\0';
    }
    /* Nothing before this may be cut: "https://host". */
    char *scheme = strstr(whole, "://");
    size_t keep = scheme ? (size_t)(scheme + 3 - whole) + strcspn(scheme + 3, "/") : 0;
    for (;;) {
        if (strncmp(relative, "./", 2) == 0) {
            relative += 2;
        } else if (strncmp(relative, "../", 3) == 0) {
            relative += 3;
            char *slash = strrchr(whole, '/');
            char *cut = slash ? slash : strrchr(whole, ':');
            if (!cut || (size_t)(cut - whole) < keep || (!slash && !cut[1])) {
                return error_set(err, ERR_REMOTE, "submodule URL leads out of '%s'", base->display);
            }
            cut[slash ? 0 : 1] = '\0';
        } else {
            break;
        }
    }
    size_t end = strlen(whole);
    bool joined = end > 0 && whole[end - 1] == ':' && !scheme;
    *out = mem_printf("%s%s%s", whole, joined ? "" : "/", relative);
    return 0;
}

int git_url_resolve(const struct git_url *base, const char *text, struct git_url *out,
                    struct error *err)
{
    AUTO(mem_freep) char *whole = NULL;
    if (strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0) {
        if (resolve_relative(base, text, &whole, err)) {
            return -1;
        }
    } else {
        whole = mem_strdup(text);
    }
    whole[before_fragment(whole)] = '\0';
    struct git_url url;
    if (parse(whole, false, &url, err)) {
        err->code = ERR_REMOTE;
        return error_wrap(err, "submodule");
    }
    if (url.scheme == GIT_URL_FILE && base->scheme != GIT_URL_FILE) {
        git_url_release(&url);
        return error_set(err, ERR_REMOTE, "submodule of '%s' wants the local folder '%.300s'",
                         base->display, text);
    }
    bool same = url.scheme == base->scheme && url.host && base->host && url.port == base->port &&
                strcmp(url.host, base->host) == 0;
    if (same && !url.user) {
        url.user = mem_strdup(base->user);
        url.password = mem_strdup(base->password);
    }
    if (same && base->profile && !url.profile) {
        url.profile = mem_strdup(base->profile);
    }
    *out = url;
    return 0;
}

void git_url_copy(const struct git_url *from, struct git_url *out)
{
    *out = (struct git_url){.scheme = from->scheme,
                            .fetch = mem_strdup(from->fetch),
                            .display = mem_strdup(from->display),
                            .user = mem_strdup(from->user),
                            .password = mem_strdup(from->password),
                            .host = mem_strdup(from->host),
                            .port = from->port,
                            .path = mem_strdup(from->path),
                            .ref = mem_strdup(from->ref),
                            .subdir = mem_strdup(from->subdir),
                            .region = mem_strdup(from->region),
                            .profile = mem_strdup(from->profile),
                            .codecommit = from->codecommit,
                            .checksum = mem_strdup(from->checksum),
                            .as_ref = mem_strdup(from->as_ref),
                            .keep_git_dir = from->keep_git_dir,
                            .drop_git_dir = from->drop_git_dir,
                            .no_submodules = from->no_submodules,
                            .commit_times = from->commit_times};
}

void git_url_release(struct git_url *url)
{
    char **parts[] = {&url->fetch,  &url->display, &url->user,     &url->password,
                      &url->host,   &url->path,    &url->ref,      &url->subdir,
                      &url->region, &url->profile, &url->checksum, &url->as_ref};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        mem_freep(parts[i]);
    }
}
