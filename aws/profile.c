#include "aws/profile.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials_internal.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"

void aws_profiles_release(struct aws_profiles *profiles)
{
    for (size_t i = 0; i < profiles->len; i++) {
        free(profiles->items[i].section);
        free(profiles->items[i].name);
        free(profiles->items[i].value);
    }
    free(profiles->items);
    free(profiles->paths[AWS_FILE_CONFIG]);
    free(profiles->paths[AWS_FILE_CREDENTIALS]);
    *profiles = (struct aws_profiles){0};
}

/* LEN bytes of TEXT without white space at either end; the caller's. */
static char *trimmed(const char *text, size_t len)
{
    while (len > 0 && isspace((unsigned char)*text)) {
        text++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)text[len - 1])) {
        len--;
    }
    return mem_strndup(text, len);
}

/* The name behind KIND and white space in a section's title, quotes taken off; NULL for another
 * kind. The caller's. */
static char *name_behind(const char *title, const char *kind)
{
    size_t len = strlen(kind);
    if (strncmp(title, kind, len) != 0 || !isspace((unsigned char)title[len])) {
        return NULL;
    }
    char *name = trimmed(title + len, strlen(title + len));
    size_t name_len = strlen(name);
    if (name_len >= 2 && (*name == '"' || *name == '\'') && name[name_len - 1] == *name) {
        memmove(name, name + 1, name_len - 2);
        name[name_len - 2] = '\0';
    }
    return name;
}

/* How a section is kept, from its title; NULL for one that is not ours. The caller's. */
static char *section_of(enum aws_file file, const char *title)
{
    if (file == AWS_FILE_CREDENTIALS || strcmp(title, "default") == 0) {
        return mem_printf("profile %s", title);
    }
    AUTO(mem_freep) char *profile = name_behind(title, "profile");
    if (profile) {
        return mem_printf("profile %s", profile);
    }
    static const char *const kinds[] = {"sso-session", "services"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        AUTO(mem_freep) char *name = name_behind(title, kinds[i]);
        if (name) {
            return mem_printf("%s %s", kinds[i], name);
        }
    }
    return NULL;
}

static void add(struct aws_profiles *profiles, struct aws_setting setting)
{
    profiles->items = mem_realloc(profiles->items, profiles->len + 1, sizeof *profiles->items);
    profiles->items[profiles->len++] = setting;
}

/* Where the parser stands. */
struct parser {
    struct aws_profiles *profiles;
    enum aws_file file;
    char *section; /* NULL: none of ours */
    char *setting; /* the last one, whose nested settings may follow; NULL: none */
    size_t indent; /* of its line */
};

static void parser_release(struct parser *p)
{
    free(p->section);
    free(p->setting);
}

static void add_line(struct parser *p, const char *line, size_t len, bool nested)
{
    /* Python's parser, and so AWS's own tools, take a colon too. */
    const char *end = line + len;
    const char *sign = line;
    while (sign < end && *sign != '=' && *sign != ':') {
        sign++;
    }
    if (sign == end || !p->section) {
        return;
    }
    AUTO(mem_freep) char *own = trimmed(line, (size_t)(sign - line));
    struct aws_setting setting = {
        .file = p->file,
        .section = mem_strdup(p->section),
        .name = nested ? mem_printf("%s.%s", p->setting, own) : mem_strdup(own),
        .value = trimmed(sign + 1, (size_t)(end - sign - 1)),
    };
    for (char *c = setting.name; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    add(p->profiles, setting);
    if (!nested) {
        free(p->setting);
        p->setting = mem_strdup(setting.name);
    }
}

static void begin_section(struct parser *p, const char *line, size_t len)
{
    const char *end = memchr(line, ']', len);
    AUTO(mem_freep) char *title = trimmed(line + 1, end ? (size_t)(end - line - 1) : len - 1);
    free(p->section);
    free(p->setting);
    p->setting = NULL;
    p->section = section_of(p->file, title);
    if (p->section) {
        add(p->profiles, (struct aws_setting){.file = p->file, .section = mem_strdup(p->section)});
    }
}

static void parse_line(struct parser *p, const char *line, size_t len)
{
    size_t indent = 0;
    while (indent < len && isspace((unsigned char)line[indent])) {
        indent++;
    }
    line += indent;
    len -= indent;
    if (len == 0 || *line == '#' || *line == ';') {
        return;
    }
    /* Deeper than the setting above: a part of its value. */
    bool nested = p->setting && indent > p->indent;
    if (!nested) {
        p->indent = indent;
    }
    if (*line == '[' && !nested) {
        begin_section(p, line, len);
    } else {
        add_line(p, line, len, nested);
    }
}

void aws_profiles_parse(struct aws_profiles *profiles, enum aws_file file, const char *text)
{
    AUTO(parser_release) struct parser parser = {.profiles = profiles, .file = file};
    text += strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (*text) {
        size_t len = strcspn(text, "\n");
        parse_line(&parser, text, len);
        text += len;
        text += *text == '\n';
    }
}

static int load(struct aws_profiles *profiles, enum aws_file file, struct error *err)
{
    static const struct {
        const char *variable;
        const char *path;
    } places[] = {[AWS_FILE_CONFIG] = {"AWS_CONFIG_FILE", "config"},
                  [AWS_FILE_CREDENTIALS] = {"AWS_SHARED_CREDENTIALS_FILE", "credentials"}};
    const char *named = aws_variable(places[file].variable);
    profiles->paths[file] = named && *named != '~'
                                ? mem_strdup(named)
                                : aws_home_path(named ? named : "~/.aws", named ? "" : "/",
                                                named ? "" : places[file].path);
    if (!profiles->paths[file]) {
        return 0;
    }
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    bool there = false;
    if (file_read(AT_FDCWD, profiles->paths[file], LIMIT_TEXT_FILE_BYTES, &text, &there, err)) {
        err->code = ERR_AUTH;
        return -1;
    }
    aws_profiles_parse(profiles, file, buf_text(&text));
    return 0;
}

int aws_profiles_load(struct aws_profiles *out, struct error *err)
{
    AUTO(aws_profiles_release) struct aws_profiles profiles = {0};
    if (load(&profiles, AWS_FILE_CREDENTIALS, err) != 0 ||
        load(&profiles, AWS_FILE_CONFIG, err) != 0) {
        return -1;
    }
    *out = profiles;
    profiles = (struct aws_profiles){0};
    return 0;
}

/* The last one counts where a setting is repeated. */
static const char *find(const struct aws_profiles *profiles, enum aws_file file,
                        const char *section, const char *name)
{
    for (size_t i = profiles->len; i-- > 0;) {
        const struct aws_setting *s = &profiles->items[i];
        if (s->file == file && s->name && *s->value && strcmp(s->section, section) == 0 &&
            strcmp(s->name, name) == 0) {
            return s->value;
        }
    }
    return NULL;
}

const char *aws_profile_get_from(const struct aws_profiles *profiles, enum aws_file file,
                                 const char *profile, const char *name)
{
    AUTO(mem_freep) char *section = mem_printf("profile %s", profile);
    return find(profiles, file, section, name);
}

const char *aws_profile_get(const struct aws_profiles *profiles, const char *profile,
                            const char *name)
{
    const char *value = aws_profile_get_from(profiles, AWS_FILE_CREDENTIALS, profile, name);
    return value ? value : aws_profile_get_from(profiles, AWS_FILE_CONFIG, profile, name);
}

const char *aws_sso_session_get(const struct aws_profiles *profiles, const char *session,
                                const char *name)
{
    AUTO(mem_freep) char *section = mem_printf("sso-session %s", session);
    return find(profiles, AWS_FILE_CONFIG, section, name);
}

const char *aws_services_get(const struct aws_profiles *profiles, const char *services,
                             const char *name)
{
    AUTO(mem_freep) char *section = mem_printf("services %s", services);
    return find(profiles, AWS_FILE_CONFIG, section, name);
}

bool aws_profile_exists(const struct aws_profiles *profiles, const char *profile)
{
    AUTO(mem_freep) char *section = mem_printf("profile %s", profile);
    for (size_t i = 0; i < profiles->len; i++) {
        if (strcmp(profiles->items[i].section, section) == 0) {
            return true;
        }
    }
    return false;
}
