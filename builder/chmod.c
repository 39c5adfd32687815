#include "builder/chmod.h"

#include <string.h>

enum {
    USER_BITS = 04700,
    GROUP_BITS = 02070,
    OTHER_BITS = 00007,
    STICKY = 01000,
    ALL_BITS = 07777
};

static int parse_octal(const char *text, struct chmod *out, struct error *err)
{
    unsigned mode = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '7') {
            return error_set(err, ERR_USAGE, "mode '%.64s': '%c' is no octal digit", text, *p);
        }
        mode = mode * 8 + (unsigned)(*p - '0');
        if (mode > ALL_BITS) {
            return error_set(err, ERR_USAGE, "mode '%.64s' is larger than 7777", text);
        }
    }
    *out = (struct chmod){.octal = true, .mode = (uint16_t)mode};
    return 0;
}

static int add_op(struct chmod *c, struct chmod_op op, const char *text, struct error *err)
{
    if (c->ops_len == CHMOD_OPS_MAX) {
        return error_set(err, ERR_USAGE, "mode '%.64s...' has more than %d clauses", text,
                         CHMOD_OPS_MAX);
    }
    c->ops[c->ops_len++] = op;
    return 0;
}

/* The letters u, g, o and a; 0: none given. */
static uint16_t parse_who(const char **p)
{
    unsigned who = 0;
    for (;; (*p)++) {
        switch (**p) {
        case 'u':
            who |= USER_BITS;
            break;
        case 'g':
            who |= GROUP_BITS;
            break;
        case 'o':
            who |= OTHER_BITS;
            break;
        case 'a':
            who |= USER_BITS | GROUP_BITS | OTHER_BITS;
            break;
        default:
            return (uint16_t)who;
        }
    }
}

/* What the letters behind one operator have said so far. */
struct letters {
    uint16_t bits;
    bool exec_if;
    bool sticky; /* t was among them: = clears it too */
    bool clears; /* = that nothing has carried out yet */
};

/* Takes in one letter; SPECIAL: s and t count. Returns false where it is no such letter. */
static bool take_letter(char letter, char op, bool special, struct letters *l)
{
    unsigned bits = 0;
    switch (letter) {
    case 'r':
        bits = 0444;
        break;
    case 'w':
        bits = 0222;
        break;
    case 'x':
        bits = 0111;
        break;
    case 'X':
        /* Taking rights away is not conditional. */
        bits = op == '-' ? 0111 : 0;
        l->exec_if = op != '-';
        break;
    case 's':
        bits = special ? 06000 : 0;
        break;
    case 't':
        bits = special ? STICKY : 0;
        l->sticky = l->sticky || special;
        break;
    default:
        return false;
    }
    l->bits |= (uint16_t)bits;
    return true;
}

/* Adds what the letters say, if anything; = without letters clears. */
static int flush_letters(struct chmod *out, const struct chmod_op *base, const struct letters *l,
                         const char *text, struct error *err)
{
    uint16_t touched = (uint16_t)(base->who | (l->sticky ? STICKY : 0));
    if (l->bits || l->clears) {
        struct chmod_op plain = {.op = base->op, .who = touched, .bits = l->bits & touched};
        if (add_op(out, plain, text, err) != 0) {
            return -1;
        }
    }
    if (l->exec_if) {
        struct chmod_op exec = {.op = '+', .who = touched, .exec_if = true};
        return add_op(out, exec, text, err);
    }
    return 0;
}

/* One operator and what follows it. WHO 0: nobody was named. */
static int parse_op(const char **p, uint16_t who, struct chmod *out, const char *text,
                    struct error *err)
{
    if (!**p || !strchr("+-=", **p)) {
        return error_set(err, ERR_USAGE,
                         "mode '%.64s': expected one of + - = at '%.16s' (or an octal number)",
                         text, *p);
    }
    struct chmod_op base = {.op = *(*p)++, .who = who};
    if (who == 0) {
        base.who = USER_BITS | GROUP_BITS | OTHER_BITS;
    }
    bool special = (base.who & ~OTHER_BITS) != 0;
    struct letters l = {.clears = base.op == '='};
    for (; **p && **p != ',' && !strchr("+-=", **p); (*p)++) {
        if (take_letter(**p, base.op, special, &l)) {
            continue;
        }
        if (!strchr("ugo", **p)) {
            return error_set(err, ERR_USAGE, "mode '%.64s': '%c' is none of r w x X s t u g o",
                             text, **p);
        }
        l.clears = false;
        struct chmod_op copy = base;
        copy.copy = **p;
        if (flush_letters(out, &base, &l, text, err) != 0 || add_op(out, copy, text, err) != 0) {
            return -1;
        }
        l = (struct letters){0};
    }
    return flush_letters(out, &base, &l, text, err);
}

int chmod_parse(const char *text, struct chmod *out, struct error *err)
{
    if (!text[0]) {
        return error_set(err, ERR_USAGE, "the mode is empty");
    }
    if (text[0] >= '0' && text[0] <= '9') {
        return parse_octal(text, out, err);
    }
    struct chmod parsed = {0};
    const char *p = text;
    for (;;) {
        uint16_t who = parse_who(&p);
        do {
            if (parse_op(&p, who, &parsed, text, err) != 0) {
                return -1;
            }
        } while (*p && *p != ',');
        if (!*p) {
            break;
        }
        p++;
    }
    *out = parsed;
    return 0;
}

/* The three bits that one of u, g, o has in MODE, repeated for all three. */
static uint32_t copied_bits(char from, uint32_t mode)
{
    uint32_t bits = from == 'u' ? mode >> 6 : from == 'g' ? mode >> 3 : mode;
    bits &= 7;
    return bits << 6 | bits << 3 | bits;
}

static uint32_t apply_op(const struct chmod_op *op, uint32_t mode, bool may_execute)
{
    uint32_t bits = op->bits;
    uint32_t clear = op->who;
    if (op->copy) {
        bits = copied_bits(op->copy, mode);
        clear &= 0777; /* copying rights leaves the set-id bits alone */
    }
    if (op->exec_if && may_execute) {
        bits |= 0111;
    }
    bits &= op->who;
    switch (op->op) {
    case '=':
        return (mode & ~clear) | bits;
    case '+':
        return mode | bits;
    default:
        return mode & ~bits;
    }
}

uint32_t chmod_apply(const struct chmod *c, uint32_t mode, bool is_dir)
{
    if (c->octal) {
        return c->mode;
    }
    uint32_t result = mode & ALL_BITS;
    bool may_execute = is_dir || (mode & 0111) != 0;
    for (size_t i = 0; i < c->ops_len; i++) {
        result = apply_op(&c->ops[i], result, may_execute);
    }
    return result;
}
