#include "git/eol.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "git/library.h"

struct git_eol {
    git_repository *repo;
    bool owned; /* `repo` is ours */
    git_attr_options options;
};

/* A repository that is nothing but the database: no configuration, no index and no work tree whose
 * attributes could count. */
static int bare_of(git_odb *odb, git_repository **out)
{
    AUTO(git_config_freep) git_config *config = NULL;
    AUTO(git_index_freep) git_index *index = NULL;
    AUTO(git_repository_freep) git_repository *repo = NULL;
    if (git_repository_wrap_odb(&repo, odb) || git_config_new(&config) || git_index_new(&index) ||
        git_repository_set_config(repo, config) || git_repository_set_index(repo, index)) {
        return -1;
    }
    *out = MEM_STEAL(repo);
    return 0;
}

static struct git_eol *eol_new(git_repository *repo, bool owned)
{
    struct git_eol *eol = mem_calloc(1, sizeof *eol);
    eol->repo = repo;
    eol->owned = owned;
    eol->options.version = GIT_ATTR_OPTIONS_VERSION;
    eol->options.flags = GIT_ATTR_CHECK_NO_SYSTEM;
    return eol;
}

struct git_eol *git_eol_of_commit(git_odb *odb, const git_oid *commit)
{
    git_repository *repo = NULL;
    if (bare_of(odb, &repo)) {
        return NULL;
    }
    struct git_eol *eol = eol_new(repo, true);
    eol->options.flags |= GIT_ATTR_CHECK_INDEX_ONLY | GIT_ATTR_CHECK_INCLUDE_COMMIT;
    eol->options.attr_commit_id = *commit;
    return eol;
}

struct git_eol *git_eol_of_work_tree(git_repository *repo)
{
    return eol_new(repo, false);
}

void git_eol_freep(struct git_eol **eol)
{
    if (*eol && (*eol)->owned) {
        git_repository_free((*eol)->repo);
    }
    free(*eol);
    *eol = NULL;
}

bool git_eol_may_matter(const char *text, size_t len)
{
    return memmem(text, len, "crlf", 4) != NULL;
}

static bool is_word(const char *value, const char *word)
{
    return git_attr_value(value) == GIT_ATTR_VALUE_STRING && strcmp(value, word) == 0;
}

static bool decides(const char *text)
{
    git_attr_value_t kind = git_attr_value(text);
    return kind == GIT_ATTR_VALUE_TRUE || kind == GIT_ATTR_VALUE_FALSE || is_word(text, "auto") ||
           is_word(text, "input");
}

enum eol_wish git_eol_wish(struct git_eol *eol, const char *path)
{
    const char *names[] = {"text", "eol", "crlf"};
    const char *values[ARRAY_LEN(names)] = {NULL};
    if (git_attr_get_many_ext(values, eol->repo, &eol->options, path, ARRAY_LEN(names), names)) {
        return EOL_AS_IT_IS;
    }
    /* "crlf" is what "text" was called before git 1.7.2. */
    const char *text = decides(values[0]) ? values[0] : values[2];
    if (git_attr_value(text) == GIT_ATTR_VALUE_FALSE || !is_word(values[1], "crlf")) {
        return EOL_AS_IT_IS;
    }
    return is_word(text, "auto") ? EOL_CRLF_IF_TEXT : EOL_CRLF;
}

/* Whether git takes the bytes for text that has only LF: what it would change unasked. */
static bool is_plain_text(const char *data, size_t len)
{
    size_t printable = 0;
    size_t other = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c == '\r' || c == '\0') {
            return false;
        }
        bool odd = c == 0x7f || (c < 0x20 && !strchr("\b\t\n\f\033", c));
        printable += !odd && c != '\n';
        other += odd;
    }
    other -= other > 0 && data[len - 1] == '\032';
    return other <= printable >> 7;
}

static bool has_lone_lf(const char *data, size_t len)
{
    const char *end = data + len;
    for (const char *at = data; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
        if (at == data || at[-1] != '\r') {
            return true;
        }
    }
    return false;
}

bool git_eol_is_crlf(enum eol_wish wish, const char *data, size_t len)
{
    if (wish == EOL_AS_IT_IS || !has_lone_lf(data, len)) {
        return false;
    }
    return wish == EOL_CRLF || is_plain_text(data, len);
}

void git_eol_to_crlf(const char *data, size_t len, struct buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n' && (i == 0 || data[i - 1] != '\r')) {
            buf_append(out, data + from, i - from);
            buf_puts(out, "\r\n");
            from = i + 1;
        }
    }
    buf_append(out, data + from, len - from);
}

void git_eol_to_lf(const char *data, size_t len, struct buf *out)
{
    size_t from = 0;
    for (size_t i = 1; i < len; i++) {
        if (data[i] == '\n' && data[i - 1] == '\r') {
            buf_append(out, data + from, i - 1 - from);
            from = i;
        }
    }
    buf_append(out, data + from, len - from);
}
