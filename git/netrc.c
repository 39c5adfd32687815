/* netrc as curl and git read it: machine, default, login, password, account, macdef; words may be
 * quoted. */
#include "git/credentials.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/memory.h"

/* The entry at hand. */
struct entry {
    bool matches; /* the host is the wanted one, or it is the default */
    char *login;
    char *password;
};

static void entry_release(struct entry *entry)
{
    mem_freep(&entry->login);
    mem_freep(&entry->password);
    entry->matches = false;
}

/* The next word, the caller's; NULL at the end. A "#" begins a comment where a word may begin. */
static char *next_word(const char **at)
{
    for (;;) {
        *at += strspn(*at, " \t\r\n");
        if (**at != '#') {
            break;
        }
        *at += strcspn(*at, "\n");
    }
    if (**at == '\0') {
        return NULL;
    }
    AUTO(buf_release) struct buf word = BUF_INIT(0);
    if (**at != '"') {
        size_t len = strcspn(*at, " \t\r\n");
        buf_append(&word, *at, len);
        *at += len;
        return buf_take(&word);
    }
    for (++*at; **at && **at != '"'; ++*at) {
        if (**at == '\\' && (*at)[1]) {
            ++*at;
        }
        buf_putc(&word, **at);
    }
    *at += **at == '"';
    return buf_take(&word);
}

/* A password may begin with "#". */
static char *value_word(const char **at)
{
    *at += strspn(*at, " \t\r\n");
    if (**at == '#') {
        size_t len = strcspn(*at, " \t\r\n");
        char *value = mem_strndup(*at, len);
        *at += len;
        return value;
    }
    return next_word(at);
}

/* Whether ENTRY answers for USER; then OUT takes it. */
static bool take(struct entry *entry, const char *user, struct git_login *out)
{
    if (!entry->matches || !entry->password ||
        (user && entry->login && strcmp(user, entry->login) != 0)) {
        return false;
    }
    out->user = entry->login ? MEM_STEAL(entry->login) : mem_strdup(user ? user : "");
    out->password = MEM_STEAL(entry->password);
    return true;
}

static void skip_macro(const char **at)
{
    const char *end = strstr(*at, "\n\n");
    *at = end ? end + 2 : *at + strlen(*at);
}

bool netrc_find(const char *text, const char *host, const char *user, struct git_login *out)
{
    AUTO(entry_release) struct entry entry = {0};
    const char *at = text;
    for (;;) {
        AUTO(mem_freep) char *word = next_word(&at);
        bool starts = !word || strcmp(word, "machine") == 0 || strcmp(word, "default") == 0;
        if (starts && take(&entry, user, out)) {
            return true;
        }
        if (!word) {
            return false;
        }
        if (starts) {
            entry_release(&entry);
            AUTO(mem_freep) char *name = *word == 'm' ? next_word(&at) : NULL;
            entry.matches = *word == 'd' || (name && strcasecmp(name, host) == 0);
        } else if (strcmp(word, "macdef") == 0) {
            skip_macro(&at);
        } else if (strcmp(word, "login") == 0) {
            mem_freep(&entry.login);
            entry.login = value_word(&at);
        } else if (strcmp(word, "password") == 0) {
            mem_freep(&entry.password);
            entry.password = value_word(&at);
        } else if (strcmp(word, "account") == 0) {
            AUTO(mem_freep) char *ignored = value_word(&at);
        }
    }
}
