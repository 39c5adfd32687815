#include "git/refs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/strlist.h"
#include "git/library.h"

void ref_list_release(struct ref_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        free(list->items[i].name);
    }
    free(list->items);
    *list = (struct ref_list){0};
}

void ref_list_add(struct ref_list *list, const char *name, const git_oid *id)
{
    size_t len = strlen(name);
    size_t peeled = len > 3 && strcmp(name + len - 3, "^{}") == 0 ? 3 : 0;
    AUTO(mem_freep) char *plain = mem_strndup(name, len - peeled);
    int valid = 0;
    if (git_reference_name_is_valid(&valid, plain) || !valid) {
        return;
    }
    if (list->len == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->items = mem_realloc(list->items, list->cap, sizeof *list->items);
    }
    list->items[list->len++] = (struct ref){.name = mem_strdup(name), .id = *id};
}

static int add_reference(struct ref_list *list, git_repository *repo, const char *name)
{
    git_oid id;
    int found = git_reference_name_to_id(&id, repo, name);
    if (found == 0) {
        ref_list_add(list, strcmp(name, REF_MIRROR_HEAD) == 0 ? "HEAD" : name, &id);
    }
    return found == GIT_ENOTFOUND ? 0 : found; /* a branch without commits */
}

int ref_list_read(struct ref_list *list, git_repository *repo, struct error *err)
{
    git_strarray names = {0};
    if (git_reference_list(&names, repo) < 0) {
        return git_fault(err, ERR_STORE, "list the refs of '%s'", git_repository_path(repo));
    }
    int failed = 0;
    for (size_t i = 0; i < names.count && !failed; i++) {
        failed = add_reference(list, repo, names.strings[i]);
    }
    git_strarray_dispose(&names);
    if (!failed) {
        failed = add_reference(list, repo, "HEAD");
    }
    return failed ? git_fault(err, ERR_STORE, "read the refs of '%s'", git_repository_path(repo))
                  : 0;
}

static const struct ref *find(const struct ref_list *list, const char *prefix, const char *name)
{
    size_t len = strlen(prefix);
    for (size_t i = 0; i < list->len; i++) {
        if (strncmp(list->items[i].name, prefix, len) == 0 &&
            strcmp(list->items[i].name + len, name) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

const struct ref *ref_list_named(const struct ref_list *list, const char *want)
{
    if (!want) {
        return find(list, "", "HEAD");
    }
    const struct ref *branch = find(list, "refs/heads/", want);
    return branch ? branch : find(list, "refs/tags/", want);
}

const struct ref *ref_list_special(const struct ref_list *list, const char *want)
{
    if (strcmp(want, "HEAD") == 0 || strncmp(want, "refs/", 5) == 0) {
        return find(list, "", want);
    }
    return find(list, "refs/", want);
}

int ref_list_missing(const struct ref_list *list, const char *want, const char *display,
                     struct error *err)
{
    if (list->len == 0) {
        return error_set(err, ERR_USAGE, "%s has no commits", display);
    }
    if (!want) {
        return error_set(err, ERR_USAGE, "%s has no HEAD: name a branch (%s#BRANCH)", display,
                         display);
    }
    AUTO(mem_freep) const char **names = mem_calloc(list->len, sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < list->len; i++) {
        const char *name = list->items[i].name;
        bool short_name =
            strncmp(name, "refs/heads/", 11) == 0 || strncmp(name, "refs/tags/", 10) == 0;
        if (short_name && !strchr(name, '^')) {
            names[count++] = strchr(name + 5, '/') + 1;
        }
    }
    const char *near = nearest_name(want, names, count);
    return error_set(err, ERR_USAGE, "%s has no branch, tag or commit '%.200s'%s%.200s%s", display,
                     want, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool ref_is_hex(const char *want)
{
    size_t len = strspn(want, "0123456789abcdefABCDEF");
    return len >= 4 && len <= GIT_OID_HEXSZ && want[len] == '\0';
}

bool ref_is_commit_id(const char *want)
{
    return ref_is_hex(want) && strlen(want) == GIT_OID_HEXSZ;
}
