#include "git/submodules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "git/library.h"

/* A .gitmodules being read (git-config(1), "Syntax", as far as git itself writes it). */
struct parser {
    const char *at;
    struct submodules *list;
    struct submodule *current; /* the section at hand, NULL outside [submodule "..."] */
};

void submodules_release(struct submodules *list)
{
    for (size_t i = 0; i < list->len; i++) {
        free(list->items[i].name);
        free(list->items[i].path);
        free(list->items[i].url);
    }
    free(list->items);
    *list = (struct submodules){0};
}

static void skip_line(struct parser *p)
{
    p->at += strcspn(p->at, "\n");
    p->at += *p->at == '\n';
}

/* "name"] with backslashes before quotes and backslashes; NULL where it does not end. The caller's.
 */
static char *read_name(const char *at)
{
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    at += strspn(at, " \t");
    if (*at++ != '"') {
        return NULL;
    }
    for (; *at != '"'; at++) {
        at += *at == '\\';
        if (*at == '\0' || *at == '\n') {
            return NULL;
        }
        buf_putc(&out, *at);
    }
    return buf_take(&out);
}

/* [submodule "name"] */
static void read_section(struct parser *p)
{
    p->current = NULL;
    if (strncasecmp(p->at, "[submodule", 10) == 0 && strchr(" \t\"", p->at[10])) {
        struct submodules *list = p->list;
        list->items = mem_realloc(list->items, list->len + 1, sizeof *list->items);
        p->current = &list->items[list->len++];
        *p->current = (struct submodule){.name = read_name(p->at + 10)};
    }
    skip_line(p);
}

/* The value up to the end of its line; quotes, escapes and comments as git reads them. The
 * caller's. */
static char *read_value(struct parser *p)
{
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    bool quoted = false;
    size_t kept = 0; /* bytes without white space at the end */
    for (; *p->at && *p->at != '\n'; p->at++) {
        char c = *p->at;
        if (c == '"') {
            quoted = !quoted;
            kept = out.len;
            continue;
        }
        if (!quoted && (c == '#' || c == ';')) {
            break;
        }
        if (c == '\\' && p->at[1] && p->at[1] != '\r') {
            c = *++p->at;
            if (c == '\n') {
                continue;
            }
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
            buf_putc(&out, c);
            kept = out.len;
            continue;
        }
        buf_putc(&out, c);
        if (quoted || !isspace((unsigned char)c)) {
            kept = out.len;
        }
    }
    char *value = buf_take(&out);
    value[kept] = '\0';
    skip_line(p);
    return value;
}

static void read_key(struct parser *p)
{
    const char *name = p->at;
    size_t len = strcspn(name, "= \t\r\n#;");
    p->at += len;
    p->at += strspn(p->at, " \t");
    if (*p->at != '=') {
        skip_line(p);
        return;
    }
    p->at++;
    p->at += strspn(p->at, " \t");
    char *value = read_value(p);
    char **slot = NULL;
    if (p->current && len == 4 && strncasecmp(name, "path", 4) == 0) {
        slot = &p->current->path;
    } else if (p->current && len == 3 && strncasecmp(name, "url", 3) == 0) {
        slot = &p->current->url;
    }
    if (slot) {
        free(*slot);
        *slot = value;
    } else {
        free(value);
    }
}

static void parse(const char *text, struct submodules *out)
{
    struct parser p = {.at = text, .list = out};
    while (*p.at) {
        p.at += strspn(p.at, " \t\r\n");
        if (*p.at == '[') {
            read_section(&p);
        } else if (*p.at == '#' || *p.at == ';') {
            skip_line(&p);
        } else if (*p.at) {
            read_key(&p);
        }
    }
}

/* A path that leads out of the work tree or into .git is an attack (CVE-2018-11235 and its kin). */
static bool path_is_safe(const char *path)
{
    if (!path_is_clean(path) || path[0] == '\0') {
        return false;
    }
    AUTO(mem_freep) char *copy = mem_strdup(path);
    char *rest = copy;
    for (char *name = strsep(&rest, "/"); name; name = strsep(&rest, "/")) {
        if (!git_name_is_safe(name)) {
            return false;
        }
    }
    return true;
}

static int check(const struct submodules *list, struct error *err)
{
    for (size_t i = 0; i < list->len; i++) {
        char *path = list->items[i].path;
        size_t len = path ? strlen(path) : 0;
        while (len > 1 && path[len - 1] == '/') {
            path[--len] = '\0';
        }
        if (path && !path_is_safe(path)) {
            return error_set(err, ERR_REMOTE, ".gitmodules: the path '%.200s' is not allowed",
                             path);
        }
        if (list->items[i].url && list->items[i].url[0] == '-') {
            return error_set(err, ERR_REMOTE, ".gitmodules: the URL '%.200s' is not allowed",
                             list->items[i].url);
        }
    }
    return 0;
}

int submodules_read(git_repository *repo, const git_tree *root, struct submodules *out,
                    struct error *err)
{
    const git_tree_entry *entry = git_tree_entry_byname(root, ".gitmodules");
    git_filemode_t mode = entry ? git_tree_entry_filemode(entry) : GIT_FILEMODE_UNREADABLE;
    if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE) {
        *out = (struct submodules){0};
        return 0;
    }
    git_blob *blob;
    if (git_blob_lookup(&blob, repo, git_tree_entry_id(entry))) {
        return git_fault(err, ERR_STORE, "read .gitmodules");
    }
    struct submodules list = {0};
    size_t len = (size_t)git_blob_rawsize(blob);
    int failed = 0;
    if (len > LIMIT_TEXT_FILE_BYTES) {
        failed = error_set(err, ERR_REMOTE, ".gitmodules has more than %zu bytes",
                           LIMIT_TEXT_FILE_BYTES);
    } else {
        AUTO(mem_freep) char *text = mem_strndup(git_blob_rawcontent(blob), len);
        parse(text, &list);
        failed = check(&list, err);
    }
    git_blob_free(blob);
    if (failed) {
        submodules_release(&list);
        return -1;
    }
    *out = list;
    return 0;
}

int submodule_open(const struct commit_tree_request *request, const struct submodules *list,
                   const char *path, const git_oid *commit, struct git_url *url_out,
                   struct git_mirror *out, struct error *err)
{
    const char *text = NULL;
    for (size_t i = 0; i < list->len; i++) {
        if (list->items[i].path && strcmp(list->items[i].path, path) == 0) {
            text = list->items[i].url;
        }
    }
    if (!text) {
        return error_set(err, ERR_REMOTE, "%s: .gitmodules names no URL for the submodule '%s'",
                         request->url->display, path);
    }
    struct git_url url;
    if (git_url_resolve(request->url, text, &url, err)) {
        return -1;
    }
    char hex[GIT_OID_HEXSZ + 1];
    mem_freep(&url.ref);
    url.ref = mem_strdup(git_oid_tostr(hex, sizeof hex, commit));
    if (git_mirror_open(request->store, &url, request->offline, request->events, out, err)) {
        git_url_release(&url);
        return error_wrap(err, "submodule '%s'", path);
    }
    *url_out = url;
    return 0;
}
