#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "registry/auth.h"

enum { MAX_CHALLENGES = 16 };

static void challenge_release(struct challenge *c)
{
    free(c->scheme);
    free(c->realm);
    free(c->service);
    free(c->scope);
    free(c->error);
    *c = (struct challenge){0};
}

void challenges_release(struct challenges *list)
{
    for (size_t i = 0; i < list->len; i++) {
        challenge_release(&list->items[i]);
    }
    free(list->items);
    *list = (struct challenges){0};
}

static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip(const char *p, const char *what)
{
    return p + strspn(p, what);
}

/* A token or a quoted string; NULL where there is neither. *AT moves behind it. */
static char *take_value(const char **at)
{
    const char *p = *at;
    struct buf out = BUF_INIT(0);
    if (*p != '"') {
        /* Tokens only by the book; in the wild values with a slash or a colon stand without quotes.
         */
        size_t len = strcspn(p, ", \t\"");
        *at = p + len;
        return len ? mem_strndup(p, len) : NULL;
    }
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        }
        buf_putc(&out, *p);
    }
    *at = *p == '"' ? p + 1 : p;
    return buf_take(&out);
}

static void set_param(struct challenge *c, const char *name, size_t len, char *value)
{
    struct {
        const char *name;
        char **member;
    } known[] = {
        {"realm", &c->realm},
        {"service", &c->service},
        {"scope", &c->scope},
        {"error", &c->error},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strlen(known[i].name) == len && strncasecmp(known[i].name, name, len) == 0 &&
            !*known[i].member) {
            *known[i].member = value;
            return;
        }
    }
    free(value);
}

static struct challenge *add_challenge(struct challenges *out, const char *scheme, size_t len)
{
    out->items = mem_realloc(out->items, out->len + 1, sizeof *out->items);
    struct challenge *c = &out->items[out->len++];
    *c = (struct challenge){.scheme = mem_strndup(scheme, len)};
    for (char *p = c->scheme; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    return c;
}

void challenges_parse(const char *value, struct challenges *out)
{
    struct challenge *current = NULL;
    const char *p = skip(value, ", \t");
    while (*p && out->len <= MAX_CHALLENGES) {
        size_t len = 0;
        while (is_token_char(p[len])) {
            len++;
        }
        if (len == 0) {
            p++;
            continue;
        }
        const char *after = skip(p + len, " \t");
        if (*after == '=') {
            const char *at = skip(after + 1, " \t");
            char *text = take_value(&at);
            if (current && text) {
                set_param(current, p, len, text);
            } else {
                free(text);
            }
            p = at;
        } else {
            if (out->len == MAX_CHALLENGES) {
                return;
            }
            current = add_challenge(out, p, len);
            p += len;
        }
        p = skip(p, ", \t");
    }
}
