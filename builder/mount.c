#include "builder/mount.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/truth.h"

static const char *const type_names[] = {
    [MOUNT_BIND] = "bind",     [MOUNT_CACHE] = "cache", [MOUNT_TMPFS] = "tmpfs",
    [MOUNT_SECRET] = "secret", [MOUNT_SSH] = "ssh",
};

static const char *const sharing_names[] = {
    [MOUNT_SHARED] = "shared", [MOUNT_PRIVATE] = "private", [MOUNT_LOCKED] = "locked"};

const char *mount_type_name(enum run_mount_type type)
{
    return type_names[type];
}

void run_mount_release(struct run_mount *m)
{
    free(m->target);
    free(m->source);
    free(m->from);
    free(m->id);
    free(m->env);
    *m = (struct run_mount){0};
}

/* A mount being read. */
struct mount_reader {
    struct run_mount mount;
    bool mode_given;    /* readonly or readwrite */
    bool sharing_given; /* sharing */
    const char *key;    /* of the current option, in lower case */
    const char *value;  /* expanded; NULL: the option stands alone */
    unsigned column;    /* of the current option in the text, from 1 */
    unsigned width;
};

static int fail(const struct mount_reader *r, struct error *err)
{
    err->column = r->column;
    err->width = r->width;
    return -1;
}

/* The index of WORD in NAMES whatever its case, or an error that names the nearest. */
static int choose(const struct mount_reader *r, const char *const *names, size_t count,
                  size_t *index_out, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(names[i], r->value) == 0) {
            *index_out = i;
            return 0;
        }
    }
    AUTO(buf_release) struct buf known = BUF_INIT(0);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&known, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", names[i]);
    }
    const char *nearest = nearest_name(r->value, names, count);
    error_set(err, ERR_USAGE, "--mount %s=%.80s: it must be %s%s%s%s", r->key, r->value,
              buf_text(&known), nearest ? "; did you mean " : "", nearest ? nearest : "",
              nearest ? "?" : "");
    return fail(r, err);
}

static int bad_value(const struct mount_reader *r, const char *what, struct error *err)
{
    error_set(err, ERR_USAGE, "--mount %s=%.80s: it must be %s", r->key, r->value ? r->value : "",
              what);
    return fail(r, err);
}

static int wrong_type(const struct mount_reader *r, const char *fits, struct error *err)
{
    error_set(err, ERR_USAGE, "--mount: %s does not go with type=%s, only with %s (%s)", r->key,
              type_names[r->mount.type], fits, "type must stand before it");
    return fail(r, err);
}

static int read_bool(const struct mount_reader *r, bool *out, struct error *err)
{
    if (truth_parse(r->value ? r->value : "true", out)) {
        return 0;
    }
    return bad_value(r, "true or false", err);
}

static int read_number(const struct mount_reader *r, int base, uint32_t *out, struct error *err)
{
    uint64_t number = 0;
    const char *p = r->value;
    for (; *p >= '0' && *p < '0' + base && number <= UINT32_MAX; p++) {
        number = number * (uint64_t)base + (uint64_t)(*p - '0');
    }
    if (!r->value[0] || *p || number > UINT32_MAX) {
        return bad_value(r, base == 8 ? "an octal number" : "a number", err);
    }
    *out = (uint32_t)number;
    return 0;
}

/* "64m", "1.5GiB", "4096": powers of 1024 (docker's units.RAMInBytes). */
static int read_size(const struct mount_reader *r, uint64_t *out, struct error *err)
{
    static const char *const what = "a size as 64m, 1g or a number of bytes";
    char *end = NULL;
    if (!isdigit((unsigned char)r->value[0]) && r->value[0] != '.') {
        return bad_value(r, what, err);
    }
    if (r->value[0] == '0' && (r->value[1] == 'x' || r->value[1] == 'X')) {
        return bad_value(r, what, err);
    }
    double number = strtod(r->value, &end);
    while (*end == ' ') {
        end++;
    }
    double factor = 1;
    if (*end && strchr("kKmMgGtTpP", *end)) {
        const char *at = strchr("kmgtp", tolower((unsigned char)*end));
        for (const char *p = "kmgtp"; *p; p++) {
            factor *= 1024;
            if (*p == *at) {
                break;
            }
        }
        end++;
        end += *end == 'i' || *end == 'I';
    }
    end += *end == 'b' || *end == 'B';
    if (end == r->value || *end || !(number * factor < 9e18)) {
        return bad_value(r, what, err);
    }
    *out = (uint64_t)(number * factor);
    return 0;
}

static int set_text(const struct mount_reader *r, char **slot)
{
    free(*slot);
    *slot = mem_strdup(r->value);
    return 0;
}

enum option {
    OPTION_TYPE,
    OPTION_FROM,
    OPTION_SOURCE,
    OPTION_TARGET,
    OPTION_READONLY,
    OPTION_READWRITE,
    OPTION_ID,
    OPTION_SHARING,
    OPTION_REQUIRED,
    OPTION_SIZE,
    OPTION_MODE,
    OPTION_UID,
    OPTION_GID,
    OPTION_ENV,
};

static const char *const option_names[] = {
    "type",     "from", "source",    "src", "target", "dst",     "destination",
    "readonly", "ro",   "readwrite", "rw",  "id",     "sharing", "required",
    "size",     "mode", "uid",       "gid", "env",
};
static const enum option option_ids[] = {
    OPTION_TYPE,      OPTION_FROM,   OPTION_SOURCE,   OPTION_SOURCE,   OPTION_TARGET,
    OPTION_TARGET,    OPTION_TARGET, OPTION_READONLY, OPTION_READONLY, OPTION_READWRITE,
    OPTION_READWRITE, OPTION_ID,     OPTION_SHARING,  OPTION_REQUIRED, OPTION_SIZE,
    OPTION_MODE,      OPTION_UID,    OPTION_GID,      OPTION_ENV,
};
_Static_assert(ARRAY_LEN(option_names) == ARRAY_LEN(option_ids), "one id per name");

static int find_option(const struct mount_reader *r, enum option *out, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(option_names); i++) {
        if (strcmp(option_names[i], r->key) == 0) {
            *out = option_ids[i];
            return 0;
        }
    }
    const char *nearest = nearest_name(r->key, option_names, ARRAY_LEN(option_names));
    error_set(err, ERR_USAGE, "--mount has no option '%.80s'%s%s%s", r->key,
              nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return fail(r, err);
}

static int set_choice(struct mount_reader *r, enum option option, struct error *err)
{
    size_t index = 0;
    if (option == OPTION_TYPE) {
        if (choose(r, type_names, ARRAY_LEN(type_names), &index, err) != 0) {
            return -1;
        }
        r->mount.type = (enum run_mount_type)index;
        return 0;
    }
    if (choose(r, sharing_names, ARRAY_LEN(sharing_names), &index, err) != 0) {
        return -1;
    }
    r->mount.sharing = (enum run_mount_sharing)index;
    r->sharing_given = true;
    return 0;
}

static int set_switch(struct mount_reader *r, enum option option, struct error *err)
{
    bool value = false;
    if (read_bool(r, &value, err) != 0) {
        return -1;
    }
    if (option == OPTION_REQUIRED) {
        if (r->mount.type != MOUNT_SECRET && r->mount.type != MOUNT_SSH) {
            return wrong_type(r, "secret and ssh", err);
        }
        r->mount.required = value;
        return 0;
    }
    r->mount.readonly = option == OPTION_READONLY ? value : !value;
    r->mode_given = true;
    return 0;
}

static int set_option(struct mount_reader *r, enum option option, struct error *err)
{
    struct run_mount *m = &r->mount;
    switch (option) {
    case OPTION_TYPE:
    case OPTION_SHARING:
        return set_choice(r, option, err);
    case OPTION_READONLY:
    case OPTION_READWRITE:
    case OPTION_REQUIRED:
        return set_switch(r, option, err);
    case OPTION_FROM:
        return set_text(r, &m->from);
    case OPTION_SOURCE:
        return set_text(r, &m->source);
    case OPTION_TARGET:
        return set_text(r, &m->target);
    case OPTION_ID:
        return set_text(r, &m->id);
    case OPTION_ENV:
        return set_text(r, &m->env);
    case OPTION_SIZE:
        return m->type == MOUNT_TMPFS ? read_size(r, &m->size_bytes, err)
                                      : wrong_type(r, "tmpfs", err);
    case OPTION_MODE:
        m->has_mode = true;
        return read_number(r, 8, &m->mode, err);
    case OPTION_UID:
        m->has_uid = true;
        return read_number(r, 10, &m->uid, err);
    case OPTION_GID:
        m->has_gid = true;
        return read_number(r, 10, &m->gid, err);
    }
    return 0;
}

/* Whether a value's meaning is not known before the build. */
static bool has_variable(const char *value)
{
    return value && strpbrk(value, "$\\`'\"") != NULL;
}

/* One option, "key=value" or "key". */
static int read_option(struct mount_reader *r, char *text, const struct expander *x,
                       struct error *err)
{
    char *equals = strchr(text, '=');
    if (equals) {
        *equals = '\0';
    }
    for (char *p = text; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    r->key = text;
    r->value = equals ? equals + 1 : NULL;
    enum option option = OPTION_TYPE;
    if (find_option(r, &option, err) != 0) {
        return -1;
    }
    bool alone =
        option == OPTION_READONLY || option == OPTION_READWRITE || option == OPTION_REQUIRED;
    if (!equals && !alone) {
        error_set(err, ERR_USAGE, "--mount: %s needs a value: %s=...", text, text);
        return fail(r, err);
    }
    const char *dollar = r->value ? strchr(r->value, '$') : NULL;
    if (option == OPTION_FROM && dollar && dollar[1]) {
        error_set(err, ERR_USAGE,
                  "--mount from=%.80s: no variables here; name a stage with FROM ... AS and use "
                  "that name",
                  r->value);
        return fail(r, err);
    }
    if (!x) {
        /* Only what an expansion would leave as it is can be judged, and only its words: what fits
         * together is checked with the values. */
        return r->value && !has_variable(r->value) &&
                       (option == OPTION_TYPE || option == OPTION_SHARING || option == OPTION_FROM)
                   ? set_option(r, option, err)
                   : 0;
    }
    AUTO(mem_freep) char *value = NULL;
    if (r->value && expand_word(x, r->value, &value, err) != 0) {
        return fail(r, err);
    }
    r->value = value;
    int result = set_option(r, option, err);
    r->value = NULL;
    return result;
}

static bool given(const char *text)
{
    return text && text[0];
}

static int combination(const char *text, struct error *err)
{
    err->column = 0;
    return error_set(err, ERR_USAGE, "--mount: %s", text);
}

/* What the options must be together. */
static int check(struct mount_reader *r, struct error *err)
{
    struct run_mount *m = &r->mount;
    bool owned = m->type == MOUNT_SECRET || m->type == MOUNT_SSH || m->type == MOUNT_CACHE;
    if (!owned && (m->has_mode || m->has_uid || m->has_gid)) {
        return error_set(err, ERR_USAGE,
                         "--mount: %s does not go with type=%s, only with cache, secret and ssh",
                         m->has_mode  ? "mode"
                         : m->has_uid ? "uid"
                                      : "gid",
                         type_names[m->type]);
    }
    if (!r->mode_given) {
        m->readonly = m->type != MOUNT_CACHE && m->type != MOUNT_TMPFS;
    }
    if (m->type == MOUNT_SECRET && given(m->from)) {
        return combination("a secret has no from", err);
    }
    if (m->type == MOUNT_SECRET && !given(m->source) && !given(m->target) && !given(m->id)) {
        return combination("a secret needs an id (or a target)", err);
    }
    if (m->type == MOUNT_SECRET && given(m->source) && given(m->id)) {
        return combination("a secret's source and id are the same thing; give one", err);
    }
    if (r->sharing_given && m->type != MOUNT_CACHE) {
        return combination("sharing goes with type=cache only", err);
    }
    return 0;
}

/* A cache without an id is called as its target. */
static void name_cache(struct run_mount *m)
{
    if (m->type != MOUNT_CACHE || given(m->id)) {
        return;
    }
    const char *target = m->target ? m->target : "";
    free(m->id);
    m->id = target[0] == '/' ? path_clean_absolute(target) : path_clean(target);
    if (!m->id[0]) {
        free(m->id);
        m->id = mem_strdup(".");
    }
}

/* Takes the next field of comma-separated TEXT at *POS: quoted as a whole with "" for a quote, or
 * plain. */
static int next_field(const char *text, size_t *pos, struct buf *field, struct error *err)
{
    const char *p = text + *pos;
    if (*p != '"') {
        size_t len = strcspn(p, ",");
        if (memchr(p, '"', len)) {
            error_set(err, ERR_USAGE, "--mount: a quote (\") must stand around the whole option");
            err->column = (unsigned)*pos + 1;
            return -1;
        }
        buf_append(field, p, len);
        *pos += len;
        return 0;
    }
    for (p++; *p && !(p[0] == '"' && p[1] != '"'); p++) {
        p += *p == '"';
        buf_append(field, p, 1);
    }
    if (*p != '"' || (p[1] && p[1] != ',')) {
        error_set(err, ERR_USAGE, "--mount: a quote (\") is not closed around an option");
        err->column = (unsigned)*pos + 1;
        return -1;
    }
    *pos = (size_t)(p + 1 - text);
    return 0;
}

int mount_parse(const char *text, const struct expander *x, struct run_mount *out,
                struct error *err)
{
    struct mount_reader r = {0};
    size_t pos = 0;
    int result = 0;
    if (!text[0]) {
        return error_set(err, ERR_USAGE, "--mount has no options");
    }
    for (bool more = true; more && result == 0;) {
        AUTO(buf_release) struct buf field = BUF_INIT(0);
        size_t start = pos;
        result = next_field(text, &pos, &field, err);
        r.column = (unsigned)start + 1;
        r.width = (unsigned)(pos - start);
        AUTO(mem_freep) char *option = mem_strdup(buf_text(&field));
        result = result == 0 ? read_option(&r, option, x, err) : -1;
        more = text[pos] == ',';
        pos += more;
    }
    if (result == 0 && x) {
        result = check(&r, err);
        name_cache(&r.mount);
    }
    if (result != 0) {
        run_mount_release(&r.mount);
        return -1;
    }
    *out = r.mount;
    return 0;
}

const char *mount_id(const struct run_mount *m)
{
    if (given(m->id)) {
        return m->id;
    }
    if (m->type == MOUNT_SSH) {
        return "default";
    }
    if (m->type != MOUNT_SECRET) {
        return "";
    }
    if (given(m->source)) {
        return m->source;
    }
    return m->target ? path_name(m->target) : "";
}

int mount_target(const struct run_mount *m, const char *workdir, unsigned index, char **out,
                 struct error *err)
{
    *out = NULL;
    if (m->type == MOUNT_SECRET && !given(m->target)) {
        if (!m->env) {
            *out = mem_printf("/run/secrets/%s", path_name(mount_id(m)));
        }
        return 0;
    }
    if (m->type == MOUNT_SSH && !given(m->target)) {
        *out = mem_printf("/run/buildkit/ssh_agent.%u", index);
        return 0;
    }
    bool in_workdir = m->type != MOUNT_SECRET && m->type != MOUNT_SSH;
    AUTO(mem_freep) char *clean = path_join(in_workdir ? workdir : "", m->target ? m->target : "");
    if (!clean[0]) {
        return error_set(err, ERR_USAGE, "--mount: target '%.200s' is the root; it must be below",
                         m->target ? m->target : "");
    }
    *out = mem_printf("/%s", clean);
    return 0;
}
