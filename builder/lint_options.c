/* check=skip=A,B;error=true;experimental=C: which rules are asked. */
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/truth.h"
#include "builder/lint_internal.h"
#include "builder/rune.h"

void lint_options_release(struct lint_options *options)
{
    strlist_release(&options->skip);
    strlist_release(&options->experimental);
    *options = (struct lint_options){0};
}

static char *trimmed(const char *text, size_t len)
{
    const char *start = NULL;
    len = text_trim(text, len, &start);
    return mem_strndup(start, len);
}

static void add_names(const char *value, bool *all, struct strlist *names)
{
    if (strcmp(value, "all") == 0) {
        *all = true;
        return;
    }
    while (*value) {
        size_t len = strcspn(value, ",");
        strlist_take(names, trimmed(value, len));
        value += len + (value[len] == ',');
    }
}

static int read_truth(const char *value, bool *out, struct error *err)
{
    if (truth_parse(value, out)) {
        return 0;
    }
    return error_set(err, ERR_USAGE, "check: error=%.60s: it is true or false", value);
}

static int add_option(struct lint_options *options, const char *text, size_t len, struct error *err)
{
    static const char *const keys[] = {"skip", "error", "experimental"};
    const char *equals = memchr(text, '=', len);
    AUTO(mem_freep) char *key = trimmed(text, equals ? (size_t)(equals - text) : len);
    AUTO(mem_freep)
    char *value = equals ? trimmed(equals + 1, len - (size_t)(equals + 1 - text)) : mem_strdup("");
    if (equals && strcmp(key, "skip") == 0) {
        add_names(value, &options->skip_all, &options->skip);
        return 0;
    }
    if (equals && strcmp(key, "experimental") == 0) {
        add_names(value, &options->experimental_all, &options->experimental);
        return 0;
    }
    if (equals && strcmp(key, "error") == 0) {
        return read_truth(value, &options->error, err);
    }
    const char *near = nearest_name(key, keys, ARRAY_LEN(keys));
    return error_set(err, ERR_USAGE,
                     "check: no option '%.60s'%s%s%s; it is skip=RULE,... error=true or "
                     "experimental=RULE,... with ';' between",
                     key, near ? ", did you mean " : "", near ? near : "", near ? "=" : "");
}

int lint_options_add(struct lint_options *options, const char *text, struct error *err)
{
    const char *p = text + strspn(text, " \t");
    if (!*p) {
        return 0;
    }
    while (true) {
        size_t len = strcspn(p, ";");
        if (add_option(options, p, len, err) != 0) {
            return -1;
        }
        if (!p[len]) {
            return 0;
        }
        p += len + 1;
    }
}

/* Whether line NUMBER is one of the parser's directives, which are no comments. */
static bool is_directive(const struct dockerfile *df, unsigned number)
{
    return number == df->syntax.line || number == df->check.line ||
           number == df->escape_directive.line;
}

/* The comments between instruction INDEX and the one before; an empty one forgets those above it.
 * Where a blank line follows, "" is added too. */
static void read_comments(const struct linter *l, size_t index, struct strlist *out)
{
    const struct dockerfile *df = l->df;
    unsigned first = index > 0 ? df->items[index - 1].end_line + 1 : 1;
    for (unsigned number = first; number < df->items[index].line; number++) {
        const char *p = l->lines[number - 1];
        AUTO(mem_freep) char *line = trimmed(p, strcspn(p, "\n"));
        if (line[0] == '#' && !is_directive(df, number)) {
            AUTO(mem_freep) char *comment = trimmed(line + 1, strlen(line + 1));
            if (!comment[0]) {
                strlist_release(out);
            } else {
                strlist_add(out, comment);
            }
        } else if (!line[0]) {
            strlist_add(out, "");
        }
    }
}

void lint_options_add_comments(struct lint_options *options, const struct linter *l, size_t index)
{
    AUTO(strlist_release) struct strlist comments = {0};
    read_comments(l, index, &comments);
    for (size_t i = 0; i < comments.len; i++) {
        const char *p = comments.items[i];
        if (strncasecmp(p, "check", 5) != 0) {
            continue;
        }
        p += 5 + strspn(p + 5, " \t");
        if (*p != '=') {
            continue;
        }
        p += 1 + strspn(p + 1, " \t");
        struct error ignored = {0};
        AUTO(mem_freep) char *value = mem_strndup(p, strcspn(p, " "));
        bool error = options->error; /* not a matter of one instruction */
        lint_options_add(options, value, &ignored);
        options->error = error;
        return; /* the first one counts (BuildKit) */
    }
}

char *lint_comment_above(const struct linter *l, size_t index)
{
    AUTO(strlist_release) struct strlist comments = {0};
    read_comments(l, index, &comments);
    const char *last = comments.len > 0 ? comments.items[comments.len - 1] : "";
    return last[0] ? mem_strdup(last) : NULL;
}
