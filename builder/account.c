#include "builder/account.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/strlist.h"

void account_release(struct account *account)
{
    free(account->groups);
    free(account->home);
    *account = (struct account){0};
}

static bool parse_id(const char *text, uint32_t *out)
{
    if (!text[0] || strspn(text, "0123456789") != strlen(text) || strlen(text) > 10) {
        return false;
    }
    unsigned long long value = strtoull(text, NULL, 10);
    if (value > UINT32_MAX - 1) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

/* Cuts TEXT at its first colon; GROUP is "" without one. */
static void split(const char *text, char **user_out, char **group_out)
{
    const char *colon = strchr(text, ':');
    *user_out = colon ? mem_strndup(text, (size_t)(colon - text)) : mem_strdup(text);
    *group_out = mem_strdup(colon ? colon + 1 : "");
}

/* A number of a file operation: root has one, and all fit 31 bits. */
static bool file_id(const char *text, uint32_t *out)
{
    if (!text[0] || strcmp(text, "root") == 0) {
        *out = 0;
        return true;
    }
    return parse_id(text, out) && *out <= INT32_MAX;
}

bool account_is_numeric(const char *text)
{
    AUTO(mem_freep) char *user = NULL;
    AUTO(mem_freep) char *group = NULL;
    split(text, &user, &group);
    uint32_t id = 0;
    return file_id(user, &id) && file_id(group, &id);
}

/* The text of a file of the image; empty if there is none. Links are followed inside the image. */
static int read_file(struct tree *tree, const char *path, struct buf *out, struct error *err)
{
    if (!tree) {
        return 0;
    }
    AUTO(mem_freep) char *real = NULL;
    if (tree_resolve(tree, path, true, &real, err) != 0) {
        error_clear(err);
        return 0;
    }
    const struct entry *entry = tree_find(tree, real);
    if (!entry || entry_inode(entry)->type != ENTRY_FILE) {
        return 0;
    }
    return entry_read(entry, LIMIT_TEXT_FILE_BYTES, out, err);
}

/* The next line of *AT cut into at most MAX fields at colons, in place. Returns how many, 0 at the
 * end. */
static size_t next_fields(char **at, char *fields[], size_t max)
{
    while (**at) {
        char *line = *at;
        char *end = line + strcspn(line, "\n");
        *at = *end ? end + 1 : end;
        *end = '\0';
        if (!line[0] || line[0] == '#') {
            continue;
        }
        size_t n = 0;
        while (line && n < max) {
            fields[n++] = strsep(&line, ":");
        }
        return n;
    }
    return 0;
}

enum { PASSWD_FIELDS = 7, GROUP_FIELDS = 4 };

struct passwd_line {
    char *name;
    uint32_t uid;
    uint32_t gid;
    char *home;
};

static void passwd_release(struct passwd_line *line)
{
    free(line->name);
    free(line->home);
}

/* The line of USER: by name first, then by number. */
static bool find_passwd(const char *passwd, const char *user, struct passwd_line *out)
{
    uint32_t id = 0;
    bool numeric = parse_id(user, &id);
    bool found = false;
    for (int pass = 0; pass < 2 && !found && (pass == 0 || numeric); pass++) {
        AUTO(mem_freep) char *copy = mem_strdup(passwd);
        char *at = copy;
        char *f[PASSWD_FIELDS];
        for (size_t n = next_fields(&at, f, PASSWD_FIELDS); n > 0 && !found;
             n = found ? n : next_fields(&at, f, PASSWD_FIELDS)) {
            uint32_t uid = 0;
            uint32_t gid = 0;
            /* What is missing or no number counts as 0. */
            bool has_uid = n > 2 && parse_id(f[2], &uid);
            if (n > 3) {
                parse_id(f[3], &gid);
            }
            found = pass == 0 ? strcmp(f[0], user) == 0 : has_uid && uid == id;
            if (found) {
                *out =
                    (struct passwd_line){mem_strdup(f[0]), uid, gid, mem_strdup(n > 5 ? f[5] : "")};
            }
        }
    }
    return found;
}

static bool find_group(const char *groups, const char *group, uint32_t *out)
{
    AUTO(mem_freep) char *copy = mem_strdup(groups);
    char *at = copy;
    char *f[GROUP_FIELDS];
    for (size_t n = next_fields(&at, f, GROUP_FIELDS); n > 0;
         n = next_fields(&at, f, GROUP_FIELDS)) {
        if (n >= 3 && strcmp(f[0], group) == 0 && parse_id(f[2], out)) {
            return true;
        }
    }
    return parse_id(group, out);
}

/* Groups that list USER as a member. */
static void find_memberships(const char *groups, const char *user, struct account *out)
{
    AUTO(mem_freep) char *copy = mem_strdup(groups);
    char *at = copy;
    char *f[GROUP_FIELDS];
    for (size_t n = next_fields(&at, f, GROUP_FIELDS); n > 0;
         n = next_fields(&at, f, GROUP_FIELDS)) {
        uint32_t gid = 0;
        if (n < 4 || !parse_id(f[2], &gid)) {
            continue;
        }
        char *members = f[3];
        for (char *member = strsep(&members, ","); member; member = strsep(&members, ",")) {
            if (strcmp(member, user) == 0) {
                out->groups = mem_realloc(out->groups, out->groups_len + 1, sizeof *out->groups);
                out->groups[out->groups_len++] = gid;
            }
        }
    }
}

static int no_such(struct error *err, const char *what, const char *name, const char *file)
{
    return error_set(err, ERR_STEP, "no such %s in the image: %s not found in %s", what, name,
                     file);
}

int account_owner(struct tree *tree, const char *text, struct owner *out, const char **missing_out,
                  struct error *err)
{
    AUTO(mem_freep) char *user = NULL;
    AUTO(mem_freep) char *group = NULL;
    split(text, &user, &group);
    AUTO(buf_release) struct buf passwd = BUF_INIT(0);
    AUTO(buf_release) struct buf groups = BUF_INIT(0);
    const char *colon = strchr(text, ':');
    struct owner owner = {0, 0};
    uint32_t gid = 0;
    /* A number needs no file, which lies deep in a layer that perhaps nobody else wants to read. */
    bool by_name = !file_id(user, &owner.uid);
    bool group_by_name = colon && !file_id(group, &gid);
    if ((by_name && read_file(tree, "etc/passwd", &passwd, err) != 0) ||
        (group_by_name && read_file(tree, "etc/group", &groups, err) != 0)) {
        return -1;
    }
    struct passwd_line line = {0};
    *missing_out = NULL;
    owner.gid = owner.uid;
    if (by_name && find_passwd(buf_text(&passwd), user, &line)) {
        owner = (struct owner){line.uid, line.gid};
        passwd_release(&line);
    } else if (by_name) {
        *missing_out = text;
    }
    if (group_by_name && !find_group(buf_text(&groups), group, &gid)) {
        *missing_out = colon + 1;
    } else if (colon) {
        owner.gid = gid;
    }
    *out = owner;
    return 0;
}

int account_of_user(struct tree *tree, const char *text, struct account *out, struct error *err)
{
    AUTO(mem_freep) char *user = NULL;
    AUTO(mem_freep) char *group = NULL;
    split(text ? text : "", &user, &group);
    if (!user[0]) { /* ":group" is root's, too */
        free(user);
        user = mem_strdup("0");
    }
    AUTO(buf_release) struct buf passwd = BUF_INIT(0);
    AUTO(buf_release) struct buf groups = BUF_INIT(0);
    if (read_file(tree, "etc/passwd", &passwd, err) != 0 ||
        read_file(tree, "etc/group", &groups, err) != 0) {
        return -1;
    }
    struct account account = {0};
    struct passwd_line line = {0};
    if (find_passwd(buf_text(&passwd), user, &line)) {
        account.uid = line.uid;
        account.gid = line.gid;
        account.home = mem_strdup(line.home && line.home[0] ? line.home : "/");
        if (!group[0]) {
            find_memberships(buf_text(&groups), line.name, &account);
        }
        passwd_release(&line);
    } else if (!parse_id(user, &account.uid)) {
        return no_such(err, "user", user, "/etc/passwd");
    }
    if (group[0] && !find_group(buf_text(&groups), group, &account.gid)) {
        account_release(&account);
        return no_such(err, "group", group, "/etc/group");
    }
    if (!account.home) {
        account.home = mem_strdup("/");
    }
    *out = account;
    return 0;
}
