#include "git/fetch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/cancel.h"
#include "base/memory.h"
#include "base/strlist.h"
#include "git/credentials.h"
#include "git/library.h"
#include "git/refs.h"
#include "git/trust.h"

enum { TRIES = 3, FIRST_PAUSE_MS = 1000, PROGRESS_STEP = 256 * 1024 };

/* One exchange with the server. */
struct fetch {
    struct git_auth auth;      /* first: the payload of all callbacks is both */
    const struct git_url *url; /* for messages and its ref */
    struct git_url effective;  /* after url.X.insteadOf of the user's git configuration */
    git_repository *repo;
    struct event_sink *events;
    git_remote *remote;
    struct ref_list refs; /* the server's */
    char *head_branch;    /* what the server's HEAD names; NULL: no branch */
    size_t posted;        /* bytes at the last event */
    bool broken;          /* the fault is in `repo` */
    bool passing;         /* it may be gone in a second */
};

static void post(struct fetch *f, enum event_status status, uint64_t bytes)
{
    struct event event = {.type = EVENT_TRANSFER,
                          .name = f->url->display,
                          .status = status,
                          .direction = TRANSFER_DOWN,
                          .current = bytes};
    event_post(f->events, &event);
}

static int on_progress(const git_indexer_progress *stats, void *payload)
{
    struct fetch *f = payload;
    if (stats->received_bytes >= f->posted + PROGRESS_STEP) {
        f->posted = stats->received_bytes;
        post(f, STATUS_RUNNING, stats->received_bytes);
    }
    return cancel_requested() ? GIT_EUSER : 0;
}

static int on_sideband(const char *text, int len, void *payload)
{
    (void)text;
    (void)len;
    (void)payload;
    return cancel_requested() ? GIT_EUSER : 0;
}

static void fill_options(struct fetch *f, git_fetch_options *options)
{
    git_fetch_options_init(options, GIT_FETCH_OPTIONS_VERSION);
    options->download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options->prune = GIT_FETCH_NO_PRUNE;
    options->proxy_opts.type = GIT_PROXY_AUTO;
    /* Over plain HTTP a redirect to somebody else cannot be seen: none is followed with
     * credentials. */
    bool blind = f->auth.header && f->effective.scheme == GIT_URL_HTTP;
    options->follow_redirects = blind ? GIT_REMOTE_REDIRECT_NONE : GIT_REMOTE_REDIRECT_INITIAL;
    if (f->auth.header) {
        options->custom_headers.strings = &f->auth.header;
        options->custom_headers.count = 1;
    }
    options->callbacks.credentials = git_auth_credentials;
    options->callbacks.certificate_check = git_auth_certificate;
    options->callbacks.transfer_progress = on_progress;
    options->callbacks.sideband_progress = on_sideband;
    options->callbacks.payload = f;
}

/* What failed, in the words of the person who wrote the URL. */
static int fault(struct fetch *f, int result, struct error *err)
{
    const git_error *last = git_error_last();
    int class = last ? last->klass : GIT_ERROR_NONE;
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (f->auth.error.code) {
        *err = f->auth.error;
        return -1;
    }
    const char *words = last && last->message ? last->message : "";
    bool refused = strstr(words, "401") || strstr(words, "403");
    if (result == GIT_EAUTH || (class == GIT_ERROR_HTTP && refused) ||
        (class == GIT_ERROR_SSH && strstr(words, "authenticate"))) {
        return git_fault(err, ERR_AUTH, "%s refused us%s", f->url->display,
                         f->auth.asked ? "" : " without asking for credentials");
    }
    if (class == GIT_ERROR_SSH && strstr(words, "exchange encryption keys")) {
        /* libssh2 1.10 asks for the kinds of key that known_hosts has, and knows RSA with SHA-1
         * only. */
        return git_fault(err, ERR_REMOTE,
                         "%s: no kind of host key in common; put the server's ed25519 or ecdsa key "
                         "into ~/.ssh/known_hosts (ssh-keyscan prints it)",
                         f->url->display);
    }
    const int full[] = {ENOSPC, EDQUOT, EROFS};
    for (size_t i = 0; i < ARRAY_LEN(full); i++) {
        if (strstr(words, strerror(full[i]))) {
            git_fault(err, ERR_STORE, "fetch %s", f->url->display);
            err->sys_errno = full[i];
            return -1;
        }
    }
    f->passing = class == GIT_ERROR_NET || class == GIT_ERROR_OS ||
                 (class == GIT_ERROR_HTTP && (strstr(words, " 5") || strstr(words, "429")));
    f->broken = class == GIT_ERROR_ODB || class == GIT_ERROR_ZLIB || class == GIT_ERROR_OBJECT ||
                class == GIT_ERROR_REFERENCE || class == GIT_ERROR_REPOSITORY;
    return git_fault(err, f->broken ? ERR_STORE : ERR_REMOTE, "fetch %s%s%s", f->url->display,
                     f->url->ref ? " ref " : "", f->url->ref ? f->url->ref : "");
}

/* The URL behind git's own rewriting, without what it carries of credentials. */
static int find_effective(struct fetch *f, struct error *err)
{
    AUTO(git_remote_freep) git_remote *remote = NULL;
    if (git_remote_create_anonymous(&remote, f->repo, f->url->fetch)) {
        return fault(f, -1, err);
    }
    const char *rewritten = git_remote_url(remote);
    if (strcmp(rewritten, f->url->fetch) == 0) {
        git_url_copy(f->url, &f->effective);
        return 0;
    }
    if (git_url_parse(rewritten, &f->effective, err)) {
        return error_wrap(err, "url.*.insteadOf for %s", f->url->display);
    }
    return 0;
}

static int connect_once(struct fetch *f)
{
    if (f->effective.scheme == GIT_URL_HTTPS || f->effective.scheme == GIT_URL_HTTP) {
        git_trust_load();
    }
    git_fetch_options options;
    git_remote_connect_options connect;
    git_remote_create_options create;
    fill_options(f, &options);
    git_remote_connect_options_init(&connect, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    git_remote_create_options_init(&create, GIT_REMOTE_CREATE_OPTIONS_VERSION);
    connect.callbacks = options.callbacks;
    connect.proxy_opts = options.proxy_opts;
    connect.follow_redirects = options.follow_redirects;
    connect.custom_headers = options.custom_headers;
    create.repository = f->repo;
    create.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
    git_remote_freep(&f->remote);
    f->auth.asked = false;
    int result = git_remote_create_with_opts(&f->remote, f->effective.fetch, &create);
    return result ? result : git_remote_connect_ext(f->remote, GIT_DIRECTION_FETCH, &connect);
}

/* Connects, with credentials once the server wants some, and reads its refs. */
static int connect_and_list(struct fetch *f, struct error *err)
{
    ref_list_release(&f->refs);
    int result = connect_once(f);
    while (result && f->auth.asked && f->auth.error.code == ERR_NONE &&
           f->effective.scheme != GIT_URL_SSH && git_auth_next(&f->auth)) {
        result = connect_once(f);
    }
    const git_remote_head **heads = NULL;
    size_t count = 0;
    if (result == 0) {
        result = git_remote_ls(&heads, &count, f->remote);
    }
    if (result != 0) {
        return fault(f, result, err);
    }
    mem_freep(&f->head_branch);
    for (size_t i = 0; i < count; i++) {
        ref_list_add(&f->refs, heads[i]->name, &heads[i]->oid);
        if (heads[i]->symref_target && strcmp(heads[i]->name, "HEAD") == 0) {
            f->head_branch = mem_strdup(heads[i]->symref_target);
        }
    }
    return 0;
}

static const char *local_name(const char *name)
{
    return strcmp(name, "HEAD") == 0 ? REF_MIRROR_HEAD : name;
}

/* Drops refs of ours that the server has no more: "a" must go before "a/b" can come. */
static int drop_vanished(struct fetch *f, struct error *err)
{
    git_strarray names = {0};
    if (git_reference_list(&names, f->repo) < 0) {
        f->broken = true;
        return git_fault(err, ERR_STORE, "list the refs of %s", git_repository_path(f->repo));
    }
    for (size_t i = 0; i < names.count; i++) {
        bool there = strncmp(names.strings[i], "refs/slipway/", 13) == 0;
        for (size_t k = 0; k < f->refs.len && !there; k++) {
            there = strcmp(f->refs.items[k].name, names.strings[i]) == 0;
        }
        if (!there) {
            git_reference_remove(f->repo, names.strings[i]);
        }
    }
    git_strarray_dispose(&names);
    return 0;
}

static int set_ref(struct fetch *f, const char *name, const git_oid *id, struct error *err)
{
    AUTO(git_reference_freep) git_reference *ref = NULL;
    if (git_reference_create(&ref, f->repo, name, id, 1, NULL) < 0) {
        f->broken = true;
        return git_fault(err, ERR_STORE, "write %s in %s", name, git_repository_path(f->repo));
    }
    return 0;
}

/* Remembers which branch HEAD is on. The name is the server's: git's rules for names are asked. */
static int set_head_branch(struct fetch *f, struct error *err)
{
    AUTO(git_config_freep) git_config *config = NULL;
    int valid = 0;
    int result = git_repository_config(&config, f->repo);
    if (result == 0 && f->head_branch && strncmp(f->head_branch, "refs/heads/", 11) == 0 &&
        git_reference_name_is_valid(&valid, f->head_branch) == 0 && valid) {
        result = git_config_set_string(config, CONFIG_MIRROR_BRANCH, f->head_branch);
    } else if (result == 0) {
        git_config_delete_entry(config, CONFIG_MIRROR_BRANCH);
    }
    if (result != 0) {
        f->broken = true;
        return git_fault(err, ERR_STORE, "write the configuration of %s",
                         git_repository_path(f->repo));
    }
    return 0;
}

static int download(struct fetch *f, const struct strlist *specs, struct error *err)
{
    git_fetch_options options;
    fill_options(f, &options);
    git_strarray array = {.strings = specs->items, .count = specs->len};
    int result = git_remote_download(f->remote, &array, &options);
    return result == 0 ? 0 : fault(f, result, err);
}

static int fetch_ref(struct fetch *f, const struct ref *ref, struct error *err)
{
    AUTO(strlist_release) struct strlist specs = {0};
    strlist_addf(&specs, "+%s:%s", ref->name, local_name(ref->name));
    if (drop_vanished(f, err) || download(f, &specs, err) ||
        (strcmp(ref->name, "HEAD") == 0 && set_head_branch(f, err))) {
        return -1;
    }
    return set_ref(f, local_name(ref->name), &ref->id, err);
}

static bool is_branch_or_tag(const char *name)
{
    return (strncmp(name, "refs/heads/", 11) == 0 || strncmp(name, "refs/tags/", 10) == 0) &&
           !strchr(name, '^');
}

static int fetch_all(struct fetch *f, struct error *err)
{
    AUTO(strlist_release) struct strlist specs = {0};
    strlist_add(&specs, "+refs/heads/*:refs/heads/*");
    strlist_add(&specs, "+refs/tags/*:refs/tags/*");
    if (drop_vanished(f, err) || download(f, &specs, err)) {
        return -1;
    }
    for (size_t i = 0; i < f->refs.len; i++) {
        const struct ref *ref = &f->refs.items[i];
        if (is_branch_or_tag(ref->name) && set_ref(f, ref->name, &ref->id, err)) {
            return -1;
        }
    }
    return 0;
}

static bool has_commit(git_repository *repo, const char *hex)
{
    git_oid id;
    AUTO(git_object_freep) git_object *object = NULL;
    return git_oid_fromstr(&id, hex) == 0 &&
           git_object_lookup(&object, repo, &id, GIT_OBJECT_COMMIT) == 0;
}

/* A whole commit id: the commit alone where the server gives it, else everything. */
static int fetch_commit(struct fetch *f, const char *hex, struct error *err)
{
    git_oid id;
    git_oid_fromstr(&id, hex);
    for (size_t i = 0; i < f->refs.len; i++) {
        const char *name = f->refs.items[i].name;
        if (git_oid_equal(&f->refs.items[i].id, &id) && !strchr(name, '^')) {
            return fetch_ref(f, &f->refs.items[i], err);
        }
    }
    AUTO(strlist_release) struct strlist specs = {0};
    strlist_addf(&specs, "%s:refs/slipway/commits/%s", hex, hex);
    struct error refused = {0};
    if (download(f, &specs, &refused) == 0 && has_commit(f->repo, hex)) {
        AUTO(mem_freep) char *name = mem_printf("refs/slipway/commits/%s", hex);
        return set_ref(f, name, &id, err);
    }
    if (refused.code == ERR_AUTH || refused.code == ERR_CANCELLED) {
        *err = refused;
        return -1;
    }
    f->broken = false;
    if (connect_and_list(f, err)) {
        return -1;
    }
    return fetch_all(f, err);
}

static int pick_and_fetch(struct fetch *f, struct error *err)
{
    const char *want = f->url->ref;
    if (want && ref_is_commit_id(want)) {
        return fetch_commit(f, want, err);
    }
    const struct ref *ref = ref_list_named(&f->refs, want);
    if (!ref && want && ref_is_hex(want)) {
        return fetch_all(f, err);
    }
    if (!ref && want) {
        ref = ref_list_special(&f->refs, want);
    }
    return ref ? fetch_ref(f, ref, err) : ref_list_missing(&f->refs, want, f->url->display, err);
}

static int attempt(struct fetch *f, struct error *err)
{
    git_auth_release(&f->auth);
    git_auth_init(&f->auth, &f->effective);
    f->broken = f->passing = false;
    return connect_and_list(f, err) ? -1 : pick_and_fetch(f, err);
}

static int fetch_patiently(struct fetch *f, struct error *err)
{
    for (int i = 0;; i++) {
        git_error_clear();
        if (attempt(f, err) == 0) {
            return 0;
        }
        struct pollfd wish = {.fd = cancel_fd(), .events = POLLIN};
        if (!f->passing || i + 1 == TRIES || poll(&wish, 1, FIRST_PAUSE_MS << i) > 0) {
            return -1;
        }
        error_clear(err);
    }
}

int git_fetch(git_repository *repo, const struct git_url *url, struct event_sink *events,
              bool *broken_out, struct error *err)
{
    struct fetch f = {.url = url, .repo = repo, .events = events};
    int failed = find_effective(&f, err) || fetch_patiently(&f, err) ? -1 : 0;
    size_t bytes = failed ? 0 : git_remote_stats(f.remote)->received_bytes;
    post(&f, failed ? STATUS_FAILED : bytes ? STATUS_DONE : STATUS_CACHED, bytes);
    git_remote_freep(&f.remote);
    git_auth_release(&f.auth);
    git_url_release(&f.effective);
    ref_list_release(&f.refs);
    mem_freep(&f.head_branch);
    *broken_out = f.broken;
    return failed;
}
