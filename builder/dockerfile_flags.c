/* Flags of instructions: --name=value. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "builder/dockerfile_internal.h"
#include "builder/mount.h"
#include "builder/rune.h"

/* What a flag takes. */
enum flag_kind { FLAG_SWITCH, FLAG_VALUE, FLAG_VALUES };

static const struct {
    enum instruction_type type;
    const char *name;
    enum flag_kind kind;
} specs[] = {
    {INSTRUCTION_ADD, "chown", FLAG_VALUE},
    {INSTRUCTION_ADD, "chmod", FLAG_VALUE},
    {INSTRUCTION_ADD, "link", FLAG_SWITCH},
    {INSTRUCTION_ADD, "keep-git-dir", FLAG_SWITCH},
    {INSTRUCTION_ADD, "checksum", FLAG_VALUE},
    {INSTRUCTION_ADD, "unpack", FLAG_SWITCH},
    {INSTRUCTION_ADD, "exclude", FLAG_VALUES},
    {INSTRUCTION_COPY, "chown", FLAG_VALUE},
    {INSTRUCTION_COPY, "from", FLAG_VALUE},
    {INSTRUCTION_COPY, "chmod", FLAG_VALUE},
    {INSTRUCTION_COPY, "link", FLAG_SWITCH},
    {INSTRUCTION_COPY, "parents", FLAG_SWITCH},
    {INSTRUCTION_COPY, "exclude", FLAG_VALUES},
    {INSTRUCTION_FROM, "platform", FLAG_VALUE},
    {INSTRUCTION_RUN, "mount", FLAG_VALUES},
    {INSTRUCTION_RUN, "network", FLAG_VALUE},
    {INSTRUCTION_RUN, "security", FLAG_VALUE},
    {INSTRUCTION_HEALTHCHECK, "interval", FLAG_VALUE},
    {INSTRUCTION_HEALTHCHECK, "timeout", FLAG_VALUE},
    {INSTRUCTION_HEALTHCHECK, "start-period", FLAG_VALUE},
    {INSTRUCTION_HEALTHCHECK, "start-interval", FLAG_VALUE},
    {INSTRUCTION_HEALTHCHECK, "retries", FLAG_VALUE},
};

/* Reads one flag's word from POS on into WORD, without quotes and escapes. Returns where it ends.
 */
static size_t read_word(const struct reader *r, size_t pos, struct buf *word)
{
    char escape = r->src->df->escape;
    char quote = '\0';
    while (pos < r->end) {
        uint32_t rune = 0;
        size_t width = rune_decode(r->text + pos, r->end - pos, &rune);
        char c = r->text[pos];
        if (!quote && rune_is_space(rune)) {
            return pos;
        }
        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? '\0' : c;
            pos++;
            continue;
        }
        if (c == escape) {
            pos++;
            if (pos == r->end) {
                return pos;
            }
            width = rune_decode(r->text + pos, r->end - pos, &rune);
        }
        buf_append(word, r->text + pos, width);
        pos += width;
    }
    return pos;
}

static void add_flag(const struct reader *r, struct instruction *in, const char *word, size_t start,
                     size_t width)
{
    size_t count = in->flags_len;
    if ((count & (count - 1)) == 0) { /* full at every power of two */
        in->flags = mem_realloc(in->flags, count ? count * 2 : 1, sizeof *in->flags);
    }
    struct flag *flag = &in->flags[in->flags_len++];
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    *flag = (struct flag){.width = (unsigned)width};
    flag->name = equals ? mem_strndup(name, (size_t)(equals - name)) : mem_strdup(name);
    flag->value = equals ? mem_strdup(equals + 1) : NULL;
    logical_place(r->line, start, &flag->line, &flag->column);
}

void flags_read(const struct reader *r, size_t start, struct instruction *in, size_t *rest_out)
{
    size_t pos = start;
    while (pos < r->end) {
        uint32_t rune = 0;
        size_t width = rune_decode(r->text + pos, r->end - pos, &rune);
        if (rune_is_space(rune)) {
            pos += width;
            continue;
        }
        if (r->end - pos < 2 || r->text[pos] != '-' || r->text[pos + 1] != '-') {
            break;
        }
        AUTO(buf_release) struct buf word = BUF_INIT(0);
        size_t end = read_word(r, pos, &word);
        if (word.len == 2) { /* "--" ends the flags */
            pos = end;
            break;
        }
        add_flag(r, in, buf_text(&word), pos, end - pos);
        pos = end;
    }
    *rest_out = pos;
}

static int flag_fail(const struct reader *r, const struct flag *flag, struct error *err)
{
    return error_locate(err, r->src->file, flag->line, flag->column, flag->width);
}

static int unknown_flag(const struct reader *r, const struct instruction *in,
                        const struct flag *flag, struct error *err)
{
    const char *names[ARRAY_LEN(specs)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        if (specs[i].type == in->type) {
            names[count++] = specs[i].name;
        }
    }
    const char *nearest = nearest_name(flag->name, names, count);
    const char *value = flag->value ? flag->value : "";
    error_set(err, ERR_USAGE, "%s --%.80s%s%.80s: no flag --%.80s%s%s%s",
              instruction_name(in->type), flag->name, flag->value ? "=" : "", value, flag->name,
              nearest ? ", did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "");
    return flag_fail(r, flag, err);
}

/* Switches: "--x" and "--x=true" are the same. */
static int check_switch(const struct reader *r, const struct instruction *in, struct flag *flag,
                        struct error *err)
{
    bool yes = !flag->value || strcasecmp(flag->value, "true") == 0;
    if (!yes && strcasecmp(flag->value, "false") != 0) {
        error_set(err, ERR_USAGE, "%s --%s=%.80s: the flag is true or false",
                  instruction_name(in->type), flag->name, flag->value);
        return flag_fail(r, flag, err);
    }
    free(flag->value);
    flag->value = mem_strdup(yes ? "true" : "false");
    return 0;
}

static bool given_before(const struct instruction *in, const struct flag *flag)
{
    for (const struct flag *f = in->flags; f < flag; f++) {
        if (strcmp(f->name, flag->name) == 0) {
            return true;
        }
    }
    return false;
}

static int check_network(const struct reader *r, const struct flag *flag, struct error *err)
{
    static const char *const modes[] = {"default", "none", "host"};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (strcmp(flag->value, modes[i]) == 0) {
            return 0;
        }
    }
    error_set(err, ERR_USAGE, "RUN --network=%.80s: the network is default, none or host",
              flag->value);
    return flag_fail(r, flag, err);
}

static int check_security(const struct reader *r, const struct flag *flag, struct error *err)
{
    if (strcmp(flag->value, "sandbox") == 0) {
        return 0;
    }
    if (strcmp(flag->value, "insecure") == 0) {
        error_set(err, ERR_USAGE,
                  "RUN --security=insecure: a RUN is always isolated here and never gets the "
                  "machine's devices and capabilities; take the flag out");
    } else {
        error_set(err, ERR_USAGE, "RUN --security=%.80s: the only mode is sandbox", flag->value);
    }
    return flag_fail(r, flag, err);
}

/* What can be said about a mount before its variables are known. */
static int check_mount(const struct reader *r, const struct flag *flag, struct error *err)
{
    struct run_mount mount = {0};
    int result = mount_parse(flag->value, NULL, &mount, err);
    run_mount_release(&mount);
    if (result == 0) {
        return 0;
    }
    /* Without quotes and escapes the option's place in the value is its place in the file. */
    size_t plain = strlen("--mount=") + strlen(flag->value);
    if (err->column > 0 && plain == flag->width) {
        unsigned column = flag->column + (unsigned)strlen("--mount=") + err->column - 1;
        return error_locate(err, r->src->file, flag->line, column, err->width);
    }
    return flag_fail(r, flag, err);
}

/* A flag that its instruction knows. */
static int check_flag(const struct reader *r, struct instruction *in, struct flag *flag,
                      enum flag_kind kind, struct error *err)
{
    if (kind != FLAG_VALUES && given_before(in, flag)) {
        error_set(err, ERR_USAGE, "%s --%s is given twice", instruction_name(in->type), flag->name);
        return flag_fail(r, flag, err);
    }
    if (kind == FLAG_SWITCH) {
        return check_switch(r, in, flag, err);
    }
    if (!flag->value) {
        error_set(err, ERR_USAGE, "%s --%s needs a value: --%s=...", instruction_name(in->type),
                  flag->name, flag->name);
        return flag_fail(r, flag, err);
    }
    if (in->type != INSTRUCTION_RUN) {
        return 0;
    }
    if (kind == FLAG_VALUES) {
        return check_mount(r, flag, err);
    }
    return strcmp(flag->name, "network") == 0 ? check_network(r, flag, err)
                                              : check_security(r, flag, err);
}

int flags_check(const struct reader *r, struct instruction *in, struct error *err)
{
    for (size_t i = 0; i < in->flags_len; i++) {
        struct flag *flag = &in->flags[i];
        size_t s = 0;
        while (s < ARRAY_LEN(specs) &&
               (specs[s].type != in->type || strcmp(specs[s].name, flag->name) != 0)) {
            s++;
        }
        if (s == ARRAY_LEN(specs)) {
            return unknown_flag(r, in, flag, err);
        }
        if (check_flag(r, in, flag, specs[s].kind, err) != 0) {
            return -1;
        }
    }
    return 0;
}

const struct flag *instruction_find_flag(const struct instruction *in, const char *name)
{
    for (size_t i = 0; i < in->flags_len; i++) {
        if (strcmp(in->flags[i].name, name) == 0) {
            return &in->flags[i];
        }
    }
    return NULL;
}

const char *instruction_flag(const struct instruction *in, const char *name)
{
    const struct flag *flag = instruction_find_flag(in, name);
    return flag ? flag->value : NULL;
}

bool instruction_switch(const struct instruction *in, const char *name)
{
    const char *value = instruction_flag(in, name);
    return value && strcmp(value, "true") == 0;
}
