/* The query of a git URL, in the words that BuildKit knows (frontend/dockerfile/dfgitutil). */
#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "base/strlist.h"
#include "base/truth.h"
#include "git/refs.h"
#include "git/url.h"

enum word {
    WORD_REF,
    WORD_TAG,
    WORD_BRANCH,
    WORD_SUBDIR,
    WORD_CHECKSUM,
    WORD_COMMIT,
    WORD_MTIME,
    WORD_KEEP_GIT_DIR, /* from here on: yes or no, and yes without a value */
    WORD_SUBMODULES,
    WORD_FETCH_BY_COMMIT,
    WORDS
};

static const char *const names[WORDS] = {
    "ref",    "tag",   "branch",       "subdir",     "checksum",
    "commit", "mtime", "keep-git-dir", "submodules", "fetch-by-commit"};

/* The values by their words; NULL: not there. */
struct query {
    char *values[WORDS];
};

static void query_release(struct query *query)
{
    for (size_t i = 0; i < WORDS; i++) {
        mem_freep(&query->values[i]);
    }
}

/* In a query "+" is a space. */
static char *decode_part(const char *text, size_t len)
{
    AUTO(mem_freep) char *plain = mem_strndup(text, len);
    for (char *p = strchr(plain, '+'); p; p = strchr(p, '+')) {
        *p = ' ';
    }
    return git_url_decode(plain, len);
}

static int take_pair(struct query *query, const char *text, size_t len, struct error *err)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : len;
    AUTO(mem_freep) char *name = decode_part(text, name_len);
    AUTO(mem_freep) char *value = equals ? decode_part(equals + 1, len - name_len - 1) : NULL;
    size_t word = 0;
    while (word < WORDS && strcmp(name ? name : "", names[word]) != 0) {
        word++;
    }
    if (word == WORDS) {
        const char *near = nearest_name(name ? name : "", names, WORDS);
        return error_set(err, ERR_USAGE, "unexpected query '%.100s'%s%s%s", name ? name : "",
                         near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (query->values[word]) {
        return error_set(err, ERR_USAGE, "query '%s' has multiple values", names[word]);
    }
    if (word < WORD_KEEP_GIT_DIR && (!value || !value[0])) {
        return error_set(err, ERR_USAGE, "query '%s' has no value", names[word]);
    }
    query->values[word] = value && value[0] ? MEM_STEAL(value) : mem_strdup("true");
    return 0;
}

/* *OUT stays where the word is not there. */
static int take_switch(const struct query *query, enum word word, bool *out, struct error *err)
{
    const char *value = query->values[word];
    if (!value || truth_parse(value, out)) {
        return 0;
    }
    return error_set(err, ERR_USAGE, "invalid %s value: '%.100s'", names[word], value);
}

/* Sets *SLOT to VALUE (taken over), with which what stands there must agree. */
static int agree(char **slot, char *value, const char *what, struct error *err)
{
    if (*slot && (*slot)[0] && strcmp(*slot, value) != 0) {
        error_set(err, ERR_USAGE, "%s conflicts: '%.200s' and '%.200s'", what, *slot, value);
        mem_freep(&value);
        return -1;
    }
    mem_freep(slot);
    *slot = value;
    return 0;
}

static char *with_prefix(const char *prefix, const char *name)
{
    bool has = strncmp(name, prefix, strlen(prefix)) == 0;
    return mem_printf("%s%s", has ? "" : prefix, name);
}

static int take_refs(const struct query *query, struct git_url *url, struct error *err)
{
    const char *tag = query->values[WORD_TAG];
    const char *branch = query->values[WORD_BRANCH];
    const char *ref = query->values[WORD_REF];
    const char *subdir = query->values[WORD_SUBDIR];
    if (tag && branch) {
        return error_set(err, ERR_USAGE, "branch conflicts with tag");
    }
    if ((ref && agree(&url->ref, mem_strdup(ref), "ref", err)) ||
        (subdir && agree(&url->subdir, path_clean(subdir), "subdir", err)) ||
        (tag && agree(&url->ref, with_prefix("refs/tags/", tag), "ref", err)) ||
        (branch && agree(&url->ref, with_prefix("refs/heads/", branch), "ref", err))) {
        return -1;
    }
    return 0;
}

static int take_checksum(const struct query *query, struct git_url *url, struct error *err)
{
    const char *checksum = query->values[WORD_CHECKSUM];
    const char *commit = query->values[WORD_COMMIT];
    if (checksum && agree(&url->checksum, mem_strdup(checksum), "checksum", err)) {
        return -1;
    }
    return commit ? agree(&url->checksum, mem_strdup(commit), "checksum", err) : 0;
}

/* The commit is what is fetched, and the ref only the name that it gets. */
static int fetch_by_commit(struct git_url *url, struct error *err)
{
    if (url->ref && ref_is_commit_id(url->ref)) {
        return 0;
    }
    if (!url->checksum || !ref_is_commit_id(url->checksum)) {
        return error_set(err, ERR_USAGE, "fetch-by-commit needs a whole commit id as checksum");
    }
    if (url->ref) {
        bool whole = strncmp(url->ref, "refs/", 5) == 0;
        url->as_ref = mem_printf("%s%s", whole ? "" : "refs/heads/", url->ref);
    }
    mem_freep(&url->ref);
    url->ref = mem_strdup(url->checksum);
    return 0;
}

static int apply(const struct query *query, struct git_url *url, struct error *err)
{
    bool keep = false;
    bool submodules = true;
    bool by_commit = false;
    const char *mtime = query->values[WORD_MTIME];
    if (take_switch(query, WORD_KEEP_GIT_DIR, &keep, err) ||
        take_switch(query, WORD_SUBMODULES, &submodules, err) ||
        take_switch(query, WORD_FETCH_BY_COMMIT, &by_commit, err) || take_refs(query, url, err) ||
        take_checksum(query, url, err)) {
        return -1;
    }
    if (mtime && strcmp(mtime, "checkout") != 0 && strcmp(mtime, "commit") != 0) {
        return error_set(err, ERR_USAGE,
                         "invalid mtime value: '%.100s' (must be \"checkout\" or \"commit\")",
                         mtime);
    }
    url->keep_git_dir = keep;
    url->drop_git_dir = query->values[WORD_KEEP_GIT_DIR] && !keep;
    url->no_submodules = !submodules;
    url->commit_times = mtime && strcmp(mtime, "commit") == 0;
    return by_commit ? fetch_by_commit(url, err) : 0;
}

int git_url_query(const char *text, size_t len, struct git_url *out, struct error *err)
{
    AUTO(query_release) struct query query = {0};
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '&', len - at);
        size_t part = end ? (size_t)(end - text) - at : len - at;
        if (part > 0 && take_pair(&query, text + at, part, err)) {
            return -1;
        }
        at += part + 1;
    }
    return apply(&query, out, err);
}
