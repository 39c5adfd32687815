#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "registry/login.h"

enum { PASSWORD_MAX = 65536 };

struct login_options {
    struct session_options session;
    const char *user;
    const char *password;
    bool from_stdin;
};

static const struct option_spec specs[] = {
    {.name = "username",
     .letter = 'u',
     .argument = "USER",
     .help = "the user's name",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct login_options, user)},
    {.name = "password-stdin",
     .help = "read the password from standard input",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct login_options, from_stdin)},
    {.name = "password",
     .letter = 'p',
     .argument = "PASSWORD",
     .help = "the password, for everyone to see in the list of processes",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct login_options, password)},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "login",
    .usage = "[OPTIONS] [REGISTRY]",
    .summary = "Checks credentials with a registry (docker.io) and keeps them where docker does.",
    .groups = {&group, &session_group},
    .max_arguments = 1,
};

/* Overwrites what was a password. */
static void forget(char *text)
{
    if (text) {
        explicit_bzero(text, strlen(text));
    }
    free(text);
}

static void forgetp(char **text)
{
    forget(*text);
    *text = NULL;
}

/* Without line ends at the end. */
static void trim_end(char *text)
{
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        text[--len] = '\0';
    }
}

/* Asks on the terminal; without ECHO the answer is not shown. The caller's. */
static int ask(const char *question, bool echo, char **out, struct error *err)
{
    struct termios old;
    char line[1024];
    if (!isatty(STDIN_FILENO)) {
        return error_set(err, ERR_USAGE,
                         "login: without a terminal give --username and --password-stdin");
    }
    bool known = tcgetattr(STDIN_FILENO, &old) == 0;
    struct termios silent = old;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    fputs(question, stderr);
    if (!echo && known) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    ssize_t len = read(STDIN_FILENO, line, sizeof line - 1);
    if (!echo && known) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        fputc('\n', stderr);
    }
    if (cancel_requested()) {
        return cancel_error(err);
    }
    line[len > 0 ? len : 0] = '\0';
    trim_end(line);
    *out = mem_strdup(line);
    explicit_bzero(line, sizeof line);
    return 0;
}

static int read_password(const struct login_options *o, char **out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(PASSWORD_MAX);
    if (o->password) {
        fputs("slipway: --password can be read by everyone on this machine: use --password-stdin\n",
              stderr);
        *out = mem_strdup(o->password);
        return 0;
    }
    if (!o->from_stdin) {
        return ask("Password: ", false, out, err);
    }
    if (file_read_fd(STDIN_FILENO, "standard input", PASSWORD_MAX - 1, &text, err) != 0) {
        return -1;
    }
    *out = buf_take(&text);
    trim_end(*out);
    return 0;
}

static int login(const struct login_options *o, const char *host, struct error *err)
{
    AUTO(mem_freep) char *user = mem_strdup(o->user);
    AUTO(forgetp) char *password = NULL;
    AUTO(mem_freep) char *where = NULL;
    AUTO(session_close) struct session session = {0};
    if (o->password && o->from_stdin) {
        return error_set(err, ERR_USAGE,
                         "login: --password and --password-stdin exclude each other");
    }
    if (o->from_stdin && !user) {
        return error_set(err, ERR_USAGE, "login: --password-stdin needs --username");
    }
    if (!user && ask("Username: ", true, &user, err) != 0) {
        return -1;
    }
    if (read_password(o, &password, err) != 0) {
        return -1;
    }
    if (!*user || !*password) {
        return error_set(err, ERR_USAGE, "login: the %s is empty",
                         *user ? "password" : "user name");
    }
    if (session_open(&o->session, &session, err) != 0 ||
        registry_login(session.registry, host, user, password, &where, err) != 0) {
        return -1;
    }
    session_end_display(&session);
    fprintf(stderr, "kept in %s\n", where);
    puts("Login Succeeded");
    return 0;
}

int cmd_login(struct invocation *call, struct error *err)
{
    struct login_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    int result = options_read(&table, call->args, &options, &arguments, &done, err);
    if (result == 0 && !done) {
        result = login(&options, arguments.len ? arguments.items[0] : NULL, err);
    }
    session_options_release(&options.session);
    return result;
}
