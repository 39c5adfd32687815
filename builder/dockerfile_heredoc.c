/* Here-documents of RUN, COPY and ADD. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "builder/dockerfile_internal.h"
#include "builder/expand.h"

enum { HEREDOCS_MAX = 1024 };

static size_t count_quotes(const char *text)
{
    size_t count = 0;
    for (const char *p = text; *p; p++) {
        count += *p == '\'' || *p == '"';
    }
    return count;
}

/* The single word that TEXT is, with its quotes kept or taken away; NULL if it is not one. */
static char *single_word(const char *text, bool keep_quotes)
{
    struct expander x = {.keep_unset = true, .keep_quotes = keep_quotes};
    AUTO(strlist_release) struct strlist words = {0};
    struct error ignored = {0};
    if (expand_words(&x, text, &words, &ignored) != 0 || words.len != 1) {
        return NULL;
    }
    return mem_strdup(words.items[0]);
}

bool heredoc_announced(const char *word, struct heredoc *out)
{
    size_t digits = strspn(word, "0123456789");
    const char *p = word + digits;
    if (p[0] != '<' || p[1] != '<') {
        return false;
    }
    p += 2;
    bool chomp = *p == '-';
    p += chomp;
    p += strspn(p, " \t\n\v\f\r");
    if (!*p || strchr(p, '<')) {
        return false;
    }
    AUTO(mem_freep) char *name = single_word(p, false);
    AUTO(mem_freep) char *quoted = single_word(p, true);
    if (!name || !quoted) {
        return false;
    }
    *out = (struct heredoc){.chomp = chomp, .expand = count_quotes(name) == count_quotes(quoted)};
    out->name = MEM_STEAL(name);
    unsigned long fd = strtoul(word, NULL, 10);
    out->fd = fd > 1024 ? 1024 : (unsigned)fd;
    return true;
}

/* Here-documents may follow these only in shell form. */
static bool may_have_heredocs(const struct instruction *in)
{
    const struct instruction *what = in->type == INSTRUCTION_ONBUILD ? in->trigger : in;
    enum instruction_type type = INSTRUCTION_ARG;
    return what && instruction_find(what->keyword, &type) &&
           (type == INSTRUCTION_RUN || type == INSTRUCTION_COPY || type == INSTRUCTION_ADD) &&
           !what->exec_form;
}

/* TEXT without the tabs at each line's beginning. */
static char *without_tabs(const char *text, size_t len, size_t *len_out)
{
    char *out = mem_alloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        while (i < len && text[i] == '\t') {
            i++;
        }
        const char *newline = memchr(text + i, '\n', len - i);
        size_t part = newline ? (size_t)(newline - text) + 1 - i : len - i;
        memcpy(out + n, text + i, part);
        n += part;
        i += part;
    }
    out[n] = '\0';
    *len_out = n;
    return out;
}

/* Reads the lines up to the delimiter. */
static int read_body(struct source *src, struct logical *line, struct heredoc *doc,
                     struct error *err)
{
    const char *start = src->text + src->pos;
    size_t name_len = strlen(doc->name);
    struct physical p;
    while (source_next(src, &p)) {
        line->end_line = src->line;
        size_t skip = 0;
        while (doc->chomp && skip < p.len && p.text[skip] == '\t') {
            skip++;
        }
        if (p.len - skip != name_len || memcmp(p.text + skip, doc->name, name_len) != 0) {
            continue;
        }
        size_t len = (size_t)(p.text - start);
        doc->raw = mem_strndup(start, len);
        doc->content = doc->chomp ? without_tabs(start, len, &doc->len) : mem_strndup(start, len);
        doc->len = doc->chomp ? doc->len : len;
        return 0;
    }
    error_set(err, ERR_USAGE, "here-document '<<%s%.80s' is not ended: no line holds '%.80s' alone",
              doc->chomp ? "-" : "", doc->name, doc->name);
    const char *at = strstr(buf_text(&line->text), "<<");
    size_t offset = at ? (size_t)(at - buf_text(&line->text)) : 0;
    for (const char *next = at; next; next = strstr(next + 2, "<<")) {
        const char *name = next + 2 + strspn(next + 2, "-'\" ");
        if (strncmp(name, doc->name, name_len) == 0) {
            offset = (size_t)(next - buf_text(&line->text));
            break;
        }
    }
    return logical_locate(line, src->file, offset, 2 + name_len + doc->chomp, err);
}

/* The last of IN's here-documents that is called NAME. */
static const struct heredoc *find(const struct instruction *in, const char *name)
{
    for (size_t i = in->heredocs_len; i > 0; i--) {
        if (strcmp(in->heredocs[i - 1].name, name) == 0) {
            return &in->heredocs[i - 1];
        }
    }
    return NULL;
}

/* Adds DOC, or refuses and frees its name where there are too many. */
static int add(struct instruction *in, struct heredoc *doc, struct error *err)
{
    if (in->heredocs_len == HEREDOCS_MAX) {
        free(doc->name);
        return error_set(err, ERR_USAGE, "more than %d here-documents in one instruction",
                         HEREDOCS_MAX);
    }
    in->heredocs = mem_realloc(in->heredocs, in->heredocs_len + 1, sizeof *in->heredocs);
    in->heredocs[in->heredocs_len++] = *doc;
    return 0;
}

int heredocs_complete(const struct reader *r, struct instruction *in, struct error *err)
{
    for (size_t i = 0; i + 1 < in->args.len; i++) {
        struct heredoc doc = {0};
        if (!strstr(in->args.items[i], "<<") || !heredoc_announced(in->args.items[i], &doc)) {
            continue;
        }
        if (find(in, doc.name)) {
            free(doc.name);
            continue;
        }
        if (add(in, &doc, err) != 0) {
            return logical_locate(r->line, r->src->file, 0, 0, err);
        }
        struct heredoc *added = &in->heredocs[in->heredocs_len - 1];
        added->content = mem_strdup("");
        added->raw = mem_strdup("");
    }
    return 0;
}

int heredocs_read(struct source *src, struct logical *line, struct instruction *in,
                  struct error *err)
{
    const char *text = buf_text(&line->text);
    if (!strstr(text, "<<") || !may_have_heredocs(in)) {
        return 0;
    }
    struct expander x = {.keep_unset = true,
                         .keep_quotes = true,
                         .keep_escapes = true,
                         .max_bytes = 2 * LIMIT_DOCKERFILE_BYTES};
    AUTO(strlist_release) struct strlist words = {0};
    struct error ignored = {0};
    if (expand_words(&x, text, &words, &ignored) != 0) {
        return 0; /* quotes that only the shell understands: no here-documents (BuildKit) */
    }
    for (size_t i = 0; i < words.len; i++) {
        struct heredoc doc = {0};
        if (!heredoc_announced(words.items[i], &doc)) {
            continue;
        }
        if (add(in, &doc, err) != 0) {
            return logical_locate(line, src->file, 0, 0, err);
        }
        if (read_body(src, line, &in->heredocs[in->heredocs_len - 1], err) != 0) {
            return -1;
        }
    }
    in->end_line = line->end_line;
    return 0;
}

const struct heredoc *instruction_heredoc(const struct instruction *in, const char *word)
{
    struct heredoc announced = {0};
    if (in->heredocs_len == 0 || !strstr(word, "<<") || !heredoc_announced(word, &announced)) {
        return NULL;
    }
    AUTO(mem_freep) char *name = announced.name;
    return find(in, name);
}

char *instruction_script(const struct instruction *in, bool *is_file_out)
{
    *is_file_out = false;
    const char *line = in->args.len > 0 ? in->args.items[0] : "";
    if (in->heredocs_len == 0) {
        return mem_strdup(line);
    }
    struct heredoc announced = {0};
    if (heredoc_announced(line, &announced)) {
        free(announced.name);
        const struct heredoc *doc = &in->heredocs[0];
        *is_file_out = strncmp(doc->raw, "#!", 2) == 0;
        return mem_strdup(doc->content);
    }
    struct buf out = BUF_INIT(0);
    buf_puts(&out, line);
    for (size_t i = 0; i < in->heredocs_len; i++) {
        buf_puts(&out, "\n");
        buf_puts(&out, in->heredocs[i].raw);
        buf_puts(&out, in->heredocs[i].name);
    }
    return buf_take(&out);
}
