#include "builder/ignore.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/strlist.h"
#include "builder/glob.h"
#include "builder/rune.h"

struct rule {
    bool keeps;    /* "!": takes back in */
    unsigned line; /* from 1 */
    char *text;    /* as written */
    struct glob *glob;
};

struct ignore {
    struct rule *rules;
    size_t len;
    size_t cap;
    bool any_keeps;
    bool is_file; /* an ignore file, not --exclude */
};

void ignore_freep(struct ignore **ig)
{
    if (!*ig) {
        return;
    }
    for (size_t i = 0; i < (*ig)->len; i++) {
        free((*ig)->rules[i].text);
        glob_freep(&(*ig)->rules[i].glob);
    }
    free((*ig)->rules);
    free(*ig);
    *ig = NULL;
}

/* Go's filepath.Clean: like path_clean(), but a relative path may rise, and "/" and "." stay what
 * they are. */
static char *clean_pattern(const char *text)
{
    bool rooted = text[0] == '/';
    char *out = mem_alloc(strlen(text) + 2);
    size_t len = 0;
    size_t floor = rooted ? 1 : 0; /* never cut below: the root or leading ".." */
    if (rooted) {
        out[len++] = '/';
    }
    for (const char *p = text; *p;) {
        size_t part = strcspn(p, "/");
        if (part == 2 && memcmp(p, "..", 2) == 0 && len > floor) {
            while (len > floor && out[len - 1] != '/') {
                len--;
            }
            len -= len > floor ? 1 : 0;
        } else if (part == 2 && memcmp(p, "..", 2) == 0 && rooted) {
            /* nothing lies above the root */
        } else if (part > 0 && !(part == 1 && *p == '.')) {
            if (len > (rooted ? 1u : 0u)) {
                out[len++] = '/';
            }
            memcpy(out + len, p, part);
            len += part;
            floor = part == 2 && memcmp(p, "..", 2) == 0 ? len : floor;
        }
        p += part;
        p += *p == '/';
    }
    if (len == 0) {
        out[len++] = '.';
    }
    out[len] = '\0';
    return out;
}

static int add_rule(struct ignore *ig, const char *text, size_t len, unsigned line,
                    struct error *err)
{
    const char *start = NULL;
    len = text_trim(text, len, &start);
    if (len == 0) {
        return 0;
    }
    bool keeps = start[0] == '!';
    const char *body = start;
    size_t body_len = len;
    if (keeps) {
        body_len = text_trim(start + 1, len - 1, &body);
        if (body_len == 0) {
            return error_set(err, ERR_USAGE, "'!' without a pattern takes nothing back in");
        }
    }
    if (body_len > GLOB_BYTES_MAX) {
        return error_set(err, ERR_USAGE, "a pattern has %zu bytes, more than %d", body_len,
                         GLOB_BYTES_MAX);
    }
    AUTO(mem_freep) char *copy = mem_strndup(body, body_len);
    AUTO(mem_freep) char *clean = clean_pattern(copy);
    /* Only an ignore file takes a leading slash for the context's root (moby). */
    bool strip = ig->is_file && clean[0] == '/' && clean[1];
    const char *pattern = strip ? clean + 1 : clean;
    struct glob *glob = NULL;
    if (glob_compile(pattern, strlen(pattern), GLOB_FOLDERS, &glob, err) != 0) {
        return -1;
    }
    if (ig->len == ig->cap) {
        ig->cap = ig->cap ? ig->cap * 2 : 16;
        ig->rules = mem_realloc(ig->rules, ig->cap, sizeof *ig->rules);
    }
    ig->rules[ig->len++] =
        (struct rule){.keeps = keeps, .line = line, .text = mem_strndup(start, len), .glob = glob};
    ig->any_keeps = ig->any_keeps || keeps;
    return 0;
}

int ignore_parse(const char *text, size_t len, const char *file, struct ignore **out,
                 struct error *err)
{
    if (len > LIMIT_DOCKERIGNORE_BYTES) {
        return error_set(err, ERR_USAGE, "%s has %zu bytes, more than %zu", file, len,
                         LIMIT_DOCKERIGNORE_BYTES);
    }
    AUTO(ignore_freep) struct ignore *ig = mem_calloc(1, sizeof *ig);
    ig->is_file = true;
    const char *p = text;
    const char *end = text + len;
    if (len >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        p += 3;
    }
    for (unsigned line = 1; p < end; line++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t line_len = (size_t)((newline ? newline : end) - p);
        /* A comment begins in the first column only. */
        if (*p != '#') {
            if (memchr(p, '\0', line_len)) {
                error_set(err, ERR_USAGE, "a pattern holds a zero byte");
                return error_locate(err, file, line, 0, 0);
            }
            if (add_rule(ig, p, line_len, line, err) != 0) {
                return error_locate(err, file, line, 1, (unsigned)line_len);
            }
        }
        p += line_len + (newline ? 1 : 0);
    }
    *out = MEM_STEAL(ig);
    return 0;
}

int ignore_parse_patterns(const char *const *patterns, size_t count, struct ignore **out,
                          struct error *err)
{
    AUTO(ignore_freep) struct ignore *ig = mem_calloc(1, sizeof *ig);
    for (size_t i = 0; i < count; i++) {
        if (add_rule(ig, patterns[i], strlen(patterns[i]), (unsigned)(i + 1), err) != 0) {
            return -1;
        }
    }
    *out = MEM_STEAL(ig);
    return 0;
}

/* Without "!", a path is left out if it or a folder above it matches anything: the folders need no
 * looking at one by one where a pattern is a plain name. */
static const struct rule *first_match(const struct ignore *ig, const char *path, size_t len)
{
    for (size_t i = 0; i < ig->len; i++) {
        const struct glob *glob = ig->rules[i].glob;
        size_t prefix_len = 0;
        const char *prefix = glob_prefix(glob, &prefix_len);
        if (prefix_len > len || memcmp(path, prefix, prefix_len) != 0) {
            continue;
        }
        if (glob_is_literal(glob)) {
            if (prefix_len == len || path[prefix_len] == '/') {
                return &ig->rules[i];
            }
            continue;
        }
        for (size_t end = prefix_len; end <= len; end++) {
            if ((end == len || path[end] == '/') && end > 0 && glob_match(glob, path, end)) {
                return &ig->rules[i];
            }
        }
    }
    return NULL;
}

/* One step of moby's MatchesUsingParentResults: the rules' verdict on the first LEN bytes of PATH,
 * given which rules matched the folder above (HIT), which become those that matched here. A rule
 * that could change nothing is not asked, and so does not count for what lies below either. */
static const struct rule *verdict(const struct ignore *ig, const char *path, size_t len, bool *hit)
{
    const struct rule *last = NULL;
    bool excluded = false;
    for (size_t i = 0; i < ig->len; i++) {
        const struct rule *rule = &ig->rules[i];
        if (!hit[i]) {
            hit[i] = rule->keeps == excluded && glob_match(rule->glob, path, len);
        }
        if (hit[i]) {
            last = rule;
            excluded = !rule->keeps;
        }
    }
    return last;
}

enum { FEW_RULES = 256 };

static const struct rule *last_match(const struct ignore *ig, const char *path, size_t len)
{
    bool few[FEW_RULES];
    AUTO(mem_freep) bool *many = ig->len > FEW_RULES ? mem_calloc(ig->len, sizeof *many) : NULL;
    bool *hit = many ? many : few;
    memset(hit, 0, ig->len * sizeof *hit);
    const struct rule *last = NULL;
    for (size_t end = 1; end <= len; end++) {
        if (end == len || path[end] == '/') {
            last = verdict(ig, path, end, hit);
        }
    }
    return last;
}

static const struct rule *deciding_rule(const struct ignore *ig, const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || ig->len == 0) {
        return NULL;
    }
    return ig->any_keeps ? last_match(ig, path, len) : first_match(ig, path, len);
}

bool ignore_excludes(const struct ignore *ig, const char *path, bool is_dir, unsigned *line_out)
{
    (void)is_dir;
    const struct rule *rule = ig ? deciding_rule(ig, path) : NULL;
    if (line_out) {
        *line_out = rule ? rule->line : 0;
    }
    return rule && !rule->keeps;
}

/* Whether something below folder PATH might match RULE: its plain beginning leads there or lies
 * inside. */
static bool reaches_below(const struct rule *rule, const char *path, size_t len)
{
    size_t prefix_len = 0;
    const char *prefix = glob_prefix(rule->glob, &prefix_len);
    if (prefix_len > len) {
        return memcmp(prefix, path, len) == 0 && prefix[len] == '/';
    }
    if (memcmp(prefix, path, prefix_len) != 0) {
        return false;
    }
    return !glob_is_literal(rule->glob) || prefix_len == len || path[prefix_len] == '/';
}

bool ignore_prunes(const struct ignore *ig, const char *path)
{
    if (!ignore_excludes(ig, path, true, NULL)) {
        return false;
    }
    size_t len = strlen(path);
    for (size_t i = 0; ig->any_keeps && i < ig->len; i++) {
        if (ig->rules[i].keeps && reaches_below(&ig->rules[i], path, len)) {
            return false;
        }
    }
    return true;
}

const char *ignore_pattern_at(const struct ignore *ig, unsigned line)
{
    for (size_t i = 0; ig && i < ig->len; i++) {
        if (ig->rules[i].line == line) {
            return ig->rules[i].text;
        }
    }
    return NULL;
}

bool ignore_has_exceptions(const struct ignore *ig)
{
    return ig && ig->any_keeps;
}

bool ignore_takes_all(const struct ignore *ig)
{
    for (size_t i = 0; ig && i < ig->len; i++) {
        const char *text = ig->rules[i].text;
        if (strcmp(text, "*") == 0 || strcmp(text, "**") == 0 || strcmp(text, "**/*") == 0) {
            return true;
        }
    }
    return false;
}

size_t ignore_count(const struct ignore *ig)
{
    return ig ? ig->len : 0;
}
