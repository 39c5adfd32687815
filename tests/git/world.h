/* What the git tests share: a temporary folder, the git program, a server (fixtures/git-server).
 * Run from the repository's root. */
#ifndef SLIPWAY_TESTS_GIT_WORLD_H
#define SLIPWAY_TESTS_GIT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "git/library.h"
#include "git/source.h"

/* libgit2 1.5 loses some bytes of each connection; seen whole stacks tell them from what we lose.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2-8.so\nleak:git_strarray_copy\nleak:git_remote_connect_ext\n";
}

struct world {
    char dir[64];
    struct store *store;
    unsigned port;
};

static void shell(const struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3), unused));
static void shell(const struct world *w, const char *format, ...)
{
    char command[8192];
    int len = snprintf(command, sizeof command,
                       "set -e; W=%s; export HOME=$W/home GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a "
                       "GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b "
                       "GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'; "
                       "exec >>$W/log 2>&1; ",
                       w->dir);
    va_list args;
    va_start(args, format);
    vsnprintf(command + len, sizeof command - (size_t)len, format, args);
    va_end(args);
    FILE *p = popen(command, "r");
    int status = p ? pclose(p) : -1;
    if (status != 0) {
        fail_msg("status %d of: %s", status, command + len);
    }
}

static void world_open_store(struct world *w) __attribute__((unused));
static void world_open_store(struct world *w)
{
    struct error err = {0};
    char path[96];
    snprintf(path, sizeof path, "%s/store", w->dir);
    store_freep(&w->store);
    if (store_open(path, &w->store, &err)) {
        fail_msg("%s", err.text);
    }
}

static int world_setup(void **state) __attribute__((unused));
static int world_setup(void **state)
{
    struct world *w = mem_calloc(1, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/slipway-git-XXXXXX");
    if (!mkdtemp(w->dir)) {
        return -1;
    }
    char home[96];
    snprintf(home, sizeof home, "%s/home", w->dir);
    setenv("HOME", home, 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    /* libgit2 remembers where home was when it started. */
    struct error err = {0};
    git_library_init(&err);
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, home);
    unsetenv("NETRC");
    unsetenv("SSH_AUTH_SOCK");
    unsetenv("GIT_ASKPASS");
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    shell(w, "mkdir -p $W/home $W/srv; git config --global init.defaultBranch main; "
             "git config --global safe.directory '*'; "
             "git config --global protocol.file.allow always");
    world_open_store(w);
    *state = w;
    return 0;
}

static void world_serve(struct world *w, const char *login) __attribute__((unused));
static void world_serve(struct world *w, const char *login)
{
    shell(w, "fixtures/git-server start $W/server $W/srv %s %s </dev/null", login ? "--user" : "",
          login ? login : "");
    char path[96];
    snprintf(path, sizeof path, "%s/server/port", w->dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &w->port), 1);
    fclose(f);
}

static int world_teardown(void **state) __attribute__((unused));
static int world_teardown(void **state)
{
    struct world *w = *state;
    store_freep(&w->store);
    shell(w, "fixtures/git-server stop $W/server");
    shell(w, "rm -rf $W");
    free(w);
    return 0;
}

/* A repository with two branches, a tag, an executable, a link and folders: $W/srv/app.git, work
 * tree $W/app. */
static void world_app(const struct world *w) __attribute__((unused));
static void world_app(const struct world *w)
{
    shell(w,
          "git init -q $W/app; cd $W/app; mkdir -p src/deep; echo hello >README; "
          "echo 'int main;' >src/main.c; echo x >src/deep/x; printf '#!/bin/sh\\n' >run.sh; "
          "chmod 755 run.sh; ln -s src/main.c link; git add -A; git commit -qm one; "
          "git tag -a v1 -m v1; git checkout -q -b feature; echo more >>README; "
          "git commit -qam two; git checkout -q main; git clone -q --bare $W/app $W/srv/app.git");
}

static char *world_capture(const struct world *w, const char *command) __attribute__((unused));
static char *world_capture(const struct world *w, const char *command)
{
    char line[1024];
    snprintf(line, sizeof line, "cd %s && %s", w->dir, command);
    FILE *p = popen(line, "r");
    assert_non_null(p);
    char text[4096] = "";
    size_t got = fread(text, 1, sizeof text - 1, p);
    assert_int_equal(pclose(p), 0);
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return mem_strdup(text);
}

/* Opens the source or fails the test. */
static void world_source(struct world *w, const char *url, struct git_source *out)
    __attribute__((unused));
static void world_source(struct world *w, const char *url, struct git_source *out)
{
    struct error err = {0};
    if (git_source_open(&(struct git_request){.store = w->store, .url = url}, out, &err)) {
        fail_msg("%s: %s", url, err.text);
    }
}

/* Opens the source, which must fail with CODE and a text that holds WORDS. */
static void world_refused(struct world *w, const char *url, enum error_code code, const char *words)
    __attribute__((unused));
static void world_refused(struct world *w, const char *url, enum error_code code, const char *words)
{
    struct error err = {0};
    struct git_source source = {0};
    assert_int_equal(
        git_source_open(&(struct git_request){.store = w->store, .url = url}, &source, &err), -1);
    if (!strstr(err.text, words) || strchr(err.text, '\n')) {
        fail_msg("got: %s", err.text);
    }
    assert_int_equal(err.code, code);
}

#endif
