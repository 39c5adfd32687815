#include "builder/expand_pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/rune.h"

enum { PATTERN_STAR = 0x200000, PATTERN_ANY = 0x200001 };
#define NO_MATCH SIZE_MAX

/* Characters of a text (or the parts of a pattern) with where each begins. */
struct runes {
    uint32_t *items;
    size_t *offsets; /* len + 1 of them */
    size_t len;
};

static void runes_release(struct runes *runes)
{
    free(runes->items);
    free(runes->offsets);
}

static struct runes runes_of(const char *text)
{
    size_t len = strlen(text);
    struct runes runes = {.items = mem_calloc(len + 1, sizeof *runes.items),
                          .offsets = mem_calloc(len + 1, sizeof *runes.offsets)};
    size_t pos = 0;
    while (pos < len) {
        uint32_t rune = 0;
        size_t width = rune_decode(text + pos, len - pos, &rune);
        if (rune == RUNE_INVALID && width == 1) {
            rune = 0x110000u + (unsigned char)text[pos]; /* equal to itself only */
        }
        runes.items[runes.len] = rune;
        runes.offsets[runes.len++] = pos;
        pos += width;
    }
    runes.offsets[runes.len] = len;
    return runes;
}

/* PATTERN with the escapes taken away and the wildcards marked. */
static int compile(const char *pattern, struct runes *out, struct error *err)
{
    struct runes runes = runes_of(pattern);
    size_t len = 0;
    for (size_t i = 0; i < runes.len; i++) {
        uint32_t rune = runes.items[i];
        if (rune == '*' || rune == '?') {
            rune = rune == '*' ? PATTERN_STAR : PATTERN_ANY;
        } else if (rune == '\\') {
            uint32_t next = i + 1 < runes.len ? runes.items[i + 1] : 0;
            if (next == 0 || !strchr("*?\\/}", (int)(next < 128 ? next : 'x'))) {
                runes_release(&runes);
                return error_set(err, ERR_USAGE,
                                 "pattern '%.200s': '\\' may stand only before * ? \\ / }",
                                 pattern);
            }
            rune = next;
            i++;
        }
        runes.items[len++] = rune;
    }
    runes.len = len;
    *out = runes;
    return 0;
}

static void reverse(struct runes *runes)
{
    for (size_t i = 0, j = runes->len; i + 1 < j; i++) {
        j--;
        uint32_t swap = runes->items[i];
        runes->items[i] = runes->items[j];
        runes->items[j] = swap;
    }
}

/* A search: for each place in the pattern the smallest start of a match that has got there. */
struct search {
    const struct runes *pattern;
    size_t *now;
    size_t *next;
    size_t start; /* of the best match so far */
    size_t end;
};

/* Puts START at PLACE and, over stars, behind it. */
static void reach(const struct search *s, size_t *places, size_t place, size_t start)
{
    while (start < places[place]) {
        places[place] = start;
        if (place == s->pattern->len || s->pattern->items[place] != PATTERN_STAR) {
            return;
        }
        place++;
    }
}

/* Moves all places over RUNE. Returns whether any is left that may still count. */
static bool advance(struct search *s, uint32_t rune)
{
    size_t len = s->pattern->len;
    bool alive = false;
    for (size_t place = 0; place <= len; place++) {
        s->next[place] = NO_MATCH;
    }
    for (size_t place = 0; place < len; place++) {
        size_t start = s->now[place];
        if (start == NO_MATCH || start > s->start) {
            continue;
        }
        uint32_t want = s->pattern->items[place];
        if (want == PATTERN_STAR && rune != '\n') {
            reach(s, s->next, place, start);
            alive = true;
        } else if (want == rune || (want == PATTERN_ANY && rune != '\n')) {
            reach(s, s->next, place + 1, start);
            alive = true;
        }
    }
    size_t *swap = s->now;
    s->now = s->next;
    s->next = swap;
    return alive;
}

/* How to search. */
struct search_plan {
    bool anchored; /* only at FROM itself */
    bool greedy;
    size_t from;
};

/* The leftmost match of PATTERN in TEXT from plan->from on. *START_OUT is NO_MATCH if there is
 * none.
 */
static int find(const struct runes *pattern, const struct runes *text,
                const struct search_plan *plan, struct expand_budget *budget, size_t range_out[2],
                struct error *err)
{
    AUTO(mem_freep) size_t *places = mem_calloc(2 * (pattern->len + 1), sizeof *places);
    struct search s = {.pattern = pattern, .now = places, .next = places + pattern->len + 1};
    s.start = NO_MATCH;
    for (size_t i = 0; i < 2 * (pattern->len + 1); i++) {
        places[i] = NO_MATCH;
    }
    for (size_t i = plan->from;; i++) {
        if (s.start == NO_MATCH && (i == plan->from || !plan->anchored)) {
            reach(&s, s.now, 0, i);
        }
        size_t here = s.now[pattern->len];
        if (here != NO_MATCH && here <= s.start) {
            s.start = here;
            s.end = i;
            if (!plan->greedy) {
                break;
            }
        }
        budget->left -= (int64_t)pattern->len + 1;
        if (budget->left < 0) {
            return error_set(err, ERR_USAGE, "the expansion takes too long");
        }
        if (i == text->len) {
            break;
        }
        bool alive = advance(&s, text->items[i]);
        if (!alive && (plan->anchored || s.start != NO_MATCH)) {
            break;
        }
    }
    range_out[0] = s.start;
    range_out[1] = s.end;
    return 0;
}

int expand_trim(const char *pattern, const char *value, bool at_end, bool greedy,
                struct expand_budget *budget, size_t *start_out, size_t *end_out, struct error *err)
{
    AUTO(runes_release) struct runes parts = {0};
    if (compile(pattern, &parts, err) != 0) {
        return -1;
    }
    AUTO(runes_release) struct runes text = runes_of(value);
    budget->left -= (int64_t)text.len;
    if (at_end) {
        reverse(&parts);
        reverse(&text);
    }
    struct search_plan plan = {.anchored = true, .greedy = greedy};
    size_t range[2];
    if (find(&parts, &text, &plan, budget, range, err) != 0) {
        return -1;
    }
    size_t cut = range[0] == NO_MATCH ? 0 : range[1];
    *start_out = at_end ? 0 : text.offsets[cut];
    *end_out = text.offsets[at_end ? text.len - cut : text.len];
    return 0;
}

static int add(struct buf *out, const char *data, size_t len, struct error *err)
{
    if (!buf_try_append(out, data, len)) {
        return error_set(err, ERR_USAGE, "the expanded text is longer than %zu bytes", out->max);
    }
    return 0;
}

/* In ${x//p/r} BuildKit reads r as Go's regexp does: $0 is the match, $$ a dollar, other names are
 * empty. Returns how many bytes at P, which begins with $, were read. */
static size_t template_name(const char *p, bool *is_match)
{
    bool braces = p[1] == '{';
    const char *name = p + (braces ? 2 : 1);
    size_t len = 0;
    while (isalnum((unsigned char)name[len]) || name[len] == '_') {
        len++;
    }
    if (len == 0 || (braces && name[len] != '}')) {
        return 0;
    }
    *is_match = len == 1 && name[0] == '0';
    return (size_t)(name - p) + len + (braces ? 1 : 0);
}

static int add_template(struct buf *out, const char *text, const char *match, size_t match_len,
                        struct error *err)
{
    for (const char *p = text; *p;) {
        size_t plain = strcspn(p, "$");
        if (add(out, p, plain, err) != 0) {
            return -1;
        }
        p += plain;
        if (!*p) {
            break;
        }
        bool is_match = false;
        size_t name = template_name(p, &is_match);
        if (name == 0) {
            if (add(out, "$", 1, err) != 0) {
                return -1;
            }
            p += p[1] == '$' ? 2 : 1;
            continue;
        }
        if (is_match && add(out, match, match_len, err) != 0) {
            return -1;
        }
        p += name;
    }
    return 0;
}

static int replace_all(const struct expand_replacement *r, const struct runes *parts,
                       const char *value, struct expand_budget *budget, struct buf *out,
                       struct error *err)
{
    AUTO(runes_release) struct runes text = runes_of(value);
    size_t done = 0;     /* characters of VALUE that are in OUT or replaced */
    size_t last_end = 0; /* end of the last match */
    size_t from = 0;
    while (from <= text.len) {
        struct search_plan plan = {.greedy = true, .from = from};
        size_t range[2];
        if (find(parts, &text, &plan, budget, range, err) != 0) {
            return -1;
        }
        if (range[0] == NO_MATCH) {
            break;
        }
        const char *match = value + text.offsets[range[0]];
        if (add(out, value + text.offsets[done], text.offsets[range[0]] - text.offsets[done],
                err) != 0) {
            return -1;
        }
        /* No empty match right behind a match. */
        size_t match_len = text.offsets[range[1]] - text.offsets[range[0]];
        if ((range[1] > last_end || range[0] == 0) &&
            add_template(out, r->text, match, match_len, err) != 0) {
            return -1;
        }
        done = last_end = range[1];
        from = range[1] > from ? range[1] : from + 1;
    }
    return add(out, value + text.offsets[done], text.offsets[text.len] - text.offsets[done], err);
}

int expand_replace(const struct expand_replacement *r, const char *value,
                   struct expand_budget *budget, struct buf *out, struct error *err)
{
    AUTO(runes_release) struct runes parts = {0};
    if (compile(r->pattern, &parts, err) != 0) {
        return -1;
    }
    if (r->all) {
        return replace_all(r, &parts, value, budget, out, err);
    }
    AUTO(runes_release) struct runes text = runes_of(value);
    struct search_plan plan = {.greedy = true};
    size_t range[2];
    if (find(&parts, &text, &plan, budget, range, err) != 0) {
        return -1;
    }
    if (range[0] == NO_MATCH) {
        return add(out, value, strlen(value), err);
    }
    const char *behind = value + text.offsets[range[1]];
    return add(out, value, text.offsets[range[0]], err) != 0 ||
                   add(out, r->text, strlen(r->text), err) != 0 ||
                   add(out, behind, strlen(behind), err) != 0
               ? -1
               : 0;
}
