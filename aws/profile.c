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
    AUTO(mem_freep) char *session = name_behind(title, "sso-session");
    return session ? mem_printf("sso-session %s", session) : NULL;
}

static void add(struct aws_profiles *profiles, struct aws_setting setting)
{
    profiles->items = mem_realloc(profiles->items, profiles->len + 1, sizeof *profiles->items);
    profiles->items[profiles->len++] = setting;
}

static void add_line(struct aws_profiles *profiles, enum aws_file file, const char *section,
                     const char *line, size_t len)
{
    const char *equals = memchr(line, '=', len);
    if (!equals) {
        return;
    }
    struct aws_setting setting = {
        .file = file,
        .section = mem_strdup(section),
        .name = trimmed(line, (size_t)(equals - line)),
        .value = trimmed(equals + 1, len - (size_t)(equals + 1 - line)),
    };
    for (char *p = setting.name; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    add(profiles, setting);
}

void aws_profiles_parse(struct aws_profiles *profiles, enum aws_file file, const char *text)
{
    AUTO(mem_freep) char *section = NULL;
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (*text == '[') {
            const char *end = memchr(text, ']', len);
            AUTO(mem_freep)
            char *title = trimmed(text + 1, end ? (size_t)(end - text - 1) : len - 1);
            free(section);
            section = section_of(file, title);
            if (section) {
                add(profiles, (struct aws_setting){.file = file, .section = mem_strdup(section)});
            }
        } else if (section && !strchr("#; \t\r\n", *text)) {
            add_line(profiles, file, section, text, len);
        }
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
