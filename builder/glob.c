#include "builder/glob.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/rune.h"

enum token_type {
    TOKEN_RUNE,    /* one given character */
    TOKEN_ANY,     /* ? */
    TOKEN_CLASS,   /* [...] */
    TOKEN_STAR,    /* * */
    TOKEN_MAYBE,   /* the next token or none: stands in front of FOLDERS */
    TOKEN_FOLDERS, /* anything that ends with / */
    TOKEN_ALL,     /* anything */
};

struct token {
    enum token_type type;
    bool negated;        /* CLASS */
    uint32_t rune;       /* RUNE */
    uint32_t ranges;     /* CLASS: index of the first range */
    uint32_t ranges_len; /* CLASS */
};

struct range {
    uint32_t low;
    uint32_t high;
};

struct glob {
    struct token *tokens;
    size_t len;
    struct range *ranges;
    size_t ranges_len;
    char *prefix;
    size_t prefix_len;
    bool literal;
};

/* A compilation in progress. */
struct compiler {
    struct glob *glob;
    const char *text;
    size_t len;
    size_t pos;
    enum glob_style style;
};

static struct token *add_token(struct glob *glob, enum token_type type)
{
    struct token *token = &glob->tokens[glob->len++];
    *token = (struct token){.type = type};
    return token;
}

static int bad(const struct compiler *c, const char *why, struct error *err)
{
    return error_set(err, ERR_USAGE, "bad pattern '%.*s': %s", (int)(c->len < 200 ? c->len : 200),
                     c->text, why);
}

static uint32_t next_rune(struct compiler *c)
{
    uint32_t rune = 0;
    size_t width = rune_decode(c->text + c->pos, c->len - c->pos, &rune);
    if (rune == RUNE_INVALID && width == 1) {
        /* Bytes that are no UTF-8 stand for themselves only. */
        rune = 0x110000u + (unsigned char)c->text[c->pos];
    }
    c->pos += width;
    return rune;
}

/* One end of a range in a class. */
static int class_rune(struct compiler *c, uint32_t *rune_out, struct error *err)
{
    if (c->pos >= c->len) {
        return bad(c, "'[' without ']'", err);
    }
    char first = c->text[c->pos];
    if (first == '-' || first == ']') {
        return bad(c, first == '-' ? "a range without a beginning" : "an empty [] or range", err);
    }
    if (first == '\\') {
        c->pos++;
        if (c->pos >= c->len) {
            return bad(c, "'\\' at the end", err);
        }
    }
    *rune_out = next_rune(c);
    if (c->pos >= c->len) {
        return bad(c, "'[' without ']'", err);
    }
    return 0;
}

static int compile_class(struct compiler *c, struct error *err)
{
    struct glob *glob = c->glob;
    struct token *token = add_token(glob, TOKEN_CLASS);
    token->ranges = (uint32_t)glob->ranges_len;
    c->pos++;
    if (c->pos < c->len && c->text[c->pos] == '^') {
        token->negated = true;
        c->pos++;
    }
    while (true) {
        if (c->pos < c->len && c->text[c->pos] == ']' && token->ranges_len > 0) {
            c->pos++;
            return 0;
        }
        struct range range = {0};
        if (class_rune(c, &range.low, err) != 0) {
            return -1;
        }
        range.high = range.low;
        if (c->text[c->pos] == '-') {
            c->pos++;
            if (class_rune(c, &range.high, err) != 0) {
                return -1;
            }
        }
        glob->ranges[glob->ranges_len++] = range;
        token->ranges_len++;
    }
}

/* Whether nothing in TEXT is a wildcard. */
static bool is_plain(const char *text, size_t len)
{
    return !memchr(text, '*', len) && !memchr(text, '?', len) && !memchr(text, '[', len) &&
           !memchr(text, '\\', len);
}

/* Stars from the current one on. */
static void compile_stars(struct compiler *c)
{
    bool twice = c->pos + 1 < c->len && c->text[c->pos + 1] == '*';
    if (c->style == GLOB_PLAIN || !twice) {
        c->pos++;
        if (c->glob->len == 0 || c->glob->tokens[c->glob->len - 1].type != TOKEN_STAR) {
            add_token(c->glob, TOKEN_STAR);
        }
        return;
    }
    bool at_start = c->pos == 0;
    c->pos += 2;
    bool slash = c->pos < c->len && c->text[c->pos] == '/';
    c->pos += slash;
    /* moby: "**" in front of a plain name without a slash between is any ending. */
    bool ending = at_start && !slash && is_plain(c->text + c->pos, c->len - c->pos);
    enum token_type type = c->pos == c->len || ending ? TOKEN_ALL : TOKEN_FOLDERS;
    if (c->glob->len > 0 && c->glob->tokens[c->glob->len - 1].type == type) {
        return;
    }
    if (type == TOKEN_FOLDERS) {
        add_token(c->glob, TOKEN_MAYBE);
    }
    add_token(c->glob, type);
}

static int compile_next(struct compiler *c, struct error *err)
{
    switch (c->text[c->pos]) {
    case '*':
        compile_stars(c);
        return 0;
    case '?':
        c->pos++;
        add_token(c->glob, TOKEN_ANY);
        return 0;
    case '[':
        return compile_class(c, err);
    case '\\':
        c->pos++;
        if (c->pos == c->len) {
            return bad(c, "'\\' at the end", err);
        }
        break;
    default:
        break;
    }
    size_t start = c->pos;
    add_token(c->glob, TOKEN_RUNE)->rune = next_rune(c);
    if (c->glob->literal) {
        memcpy(c->glob->prefix + c->glob->prefix_len, c->text + start, c->pos - start);
        c->glob->prefix_len += c->pos - start;
    }
    return 0;
}

int glob_compile(const char *pattern, size_t len, enum glob_style style, struct glob **out,
                 struct error *err)
{
    if (len > GLOB_BYTES_MAX) {
        return error_set(err, ERR_USAGE, "pattern '%.40s...' has %zu bytes, more than %d", pattern,
                         len, GLOB_BYTES_MAX);
    }
    AUTO(glob_freep) struct glob *glob = mem_calloc(1, sizeof *glob);
    glob->tokens = mem_calloc(len + 1, sizeof *glob->tokens);
    glob->ranges = mem_calloc(len + 1, sizeof *glob->ranges);
    glob->prefix = mem_calloc(len + 1, 1);
    glob->literal = true;
    struct compiler c = {.glob = glob, .text = pattern, .len = len, .style = style};
    while (c.pos < len) {
        char first = pattern[c.pos];
        if (first == '*' || first == '?' || first == '[') {
            glob->literal = false;
        }
        if (compile_next(&c, err) != 0) {
            return -1;
        }
    }
    *out = MEM_STEAL(glob);
    return 0;
}

const char *glob_prefix(const struct glob *glob, size_t *len_out)
{
    *len_out = glob->prefix_len;
    return glob->prefix;
}

bool glob_is_literal(const struct glob *glob)
{
    return glob->literal;
}

void glob_freep(struct glob **glob)
{
    if (*glob) {
        free((*glob)->tokens);
        free((*glob)->ranges);
        free((*glob)->prefix);
        free(*glob);
        *glob = NULL;
    }
}

static bool class_has(const struct glob *glob, const struct token *token, uint32_t rune)
{
    for (uint32_t i = 0; i < token->ranges_len; i++) {
        const struct range *range = &glob->ranges[token->ranges + i];
        if (rune >= range->low && rune <= range->high) {
            return !token->negated;
        }
    }
    return token->negated;
}

/* The places in the pattern that may be next, one bit each. */
enum { PLACES_WORDS = (GLOB_BYTES_MAX + 1 + 63) / 64 };
struct places {
    uint64_t bits[PLACES_WORDS];
};

/* Adds place AT and those behind it that are reached over what may be empty. */
static void add_place(const struct glob *glob, struct places *places, size_t at)
{
    while (!(places->bits[at / 64] >> (at % 64) & 1)) {
        places->bits[at / 64] |= (uint64_t)1 << (at % 64);
        if (at == glob->len) {
            return;
        }
        enum token_type type = glob->tokens[at].type;
        if (type == TOKEN_MAYBE) {
            at++;
            places->bits[at / 64] |= (uint64_t)1 << (at % 64);
        } else if (type != TOKEN_STAR && type != TOKEN_ALL) {
            return;
        }
        at++;
    }
}

/* Moves on from place AT over RUNE. */
static void step(const struct glob *glob, size_t at, uint32_t rune, struct places *next)
{
    const struct token *token = &glob->tokens[at];
    switch (token->type) {
    case TOKEN_RUNE:
        if (rune == token->rune) {
            add_place(glob, next, at + 1);
        }
        return;
    case TOKEN_ANY:
        if (rune != '/') {
            add_place(glob, next, at + 1);
        }
        return;
    case TOKEN_CLASS:
        if (class_has(glob, token, rune)) {
            add_place(glob, next, at + 1);
        }
        return;
    case TOKEN_STAR:
        if (rune != '/') {
            add_place(glob, next, at);
        }
        return;
    case TOKEN_ALL:
        add_place(glob, next, at);
        return;
    case TOKEN_MAYBE:
        return;
    case TOKEN_FOLDERS:
        next->bits[at / 64] |= (uint64_t)1 << (at % 64);
        if (rune == '/') {
            add_place(glob, next, at + 1);
        }
        return;
    }
}

static bool step_all(const struct glob *glob, const struct places *now, uint32_t rune,
                     struct places *next, size_t words)
{
    uint64_t any = 0;
    for (size_t w = 0; w < words; w++) {
        for (uint64_t left = now->bits[w]; left; left &= left - 1) {
            size_t at = w * 64 + (size_t)__builtin_ctzll(left);
            if (at < glob->len) {
                step(glob, at, rune, next);
            }
        }
    }
    for (size_t w = 0; w < words; w++) {
        any |= next->bits[w];
    }
    return any != 0;
}

bool glob_match(const struct glob *glob, const char *name, size_t len)
{
    if (len < glob->prefix_len || memcmp(name, glob->prefix, glob->prefix_len) != 0) {
        return false;
    }
    if (glob->literal) {
        return len == glob->prefix_len;
    }
    size_t words = glob->len / 64 + 1;
    struct places a;
    struct places b;
    struct places *now = &a;
    struct places *next = &b;
    memset(now->bits, 0, words * sizeof *now->bits);
    add_place(glob, now, 0);
    for (size_t pos = 0; pos < len;) {
        struct compiler reader = {.text = name, .len = len, .pos = pos};
        uint32_t rune = next_rune(&reader);
        pos = reader.pos;
        memset(next->bits, 0, words * sizeof *next->bits);
        if (!step_all(glob, now, rune, next, words)) {
            return false;
        }
        struct places *swap = now;
        now = next;
        next = swap;
    }
    return now->bits[glob->len / 64] >> (glob->len % 64) & 1;
}
