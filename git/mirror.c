#include "git/mirror.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "git/fetch.h"
#include "git/library.h"
#include "git/refs.h"

/* Put into a mirror by whoever could not read an object in it. */
#define BROKEN_MARK "slipway-broken"
/* Tells a mirror of ours from other repositories. */
#define MIRROR_MARK "slipway-mirror"

/* A mirror at work. */
struct site {
    struct store *store;
    const struct git_url *url;
    struct event_sink *events;
    char *path;     /* "git/HEX", relative to the store */
    char *absolute; /* the same as libgit2 needs it */
};

static void site_release(struct site *site)
{
    mem_freep(&site->path);
    mem_freep(&site->absolute);
}

static void site_init(struct site *site, struct store *store, const struct git_url *url,
                      struct event_sink *events)
{
    struct digest key;
    char hex[DIGEST_HEX_SIZE];
    digest_of(url->display, strlen(url->display), &key);
    digest_hex(&key, hex);
    *site = (struct site){.store = store, .url = url, .events = events};
    site->path = mem_printf("git/%s", hex);
    site->absolute = mem_printf("%s/%s", store_path(store), site->path);
}

/* Peels ID to a commit whose tree is there too. */
static int peel(git_repository *repo, const git_oid *id, git_oid *commit_out)
{
    AUTO(git_object_freep) git_object *object = NULL;
    AUTO(git_object_freep) git_object *commit = NULL;
    AUTO(git_tree_freep) git_tree *tree = NULL;
    int result = git_object_lookup(&object, repo, id, GIT_OBJECT_ANY);
    if (result == 0) {
        result = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    }
    if (result == 0) {
        result = git_commit_tree(&tree, (git_commit *)commit);
    }
    if (result == 0) {
        *commit_out = *git_object_id(commit);
    }
    return result;
}

/* A commit id, short or whole, in REPO. *BROKEN_OUT: a whole one is there and cannot be read. */
static bool find_commit(git_repository *repo, const char *hex, struct git_mirror *out,
                        bool *broken_out)
{
    git_oid id;
    AUTO(git_object_freep) git_object *object = NULL;
    *broken_out = false;
    if (git_oid_fromstrn(&id, hex, strlen(hex))) {
        return false;
    }
    int result = git_object_lookup_prefix(&object, repo, &id, strlen(hex), GIT_OBJECT_COMMIT);
    bool found = result == 0;
    if (!found || peel(repo, git_object_id(object), &out->commit)) {
        *broken_out = ref_is_commit_id(hex) && (found || result != GIT_ENOTFOUND);
        return false;
    }
    out->object = out->commit;
    return true;
}

/* The branch that HEAD is on: of the remote for a mirror. The caller's; NULL: none. */
static char *branch_of_head(git_repository *repo)
{
    AUTO(git_reference_freep) git_reference *ref = NULL;
    AUTO(git_config_freep) git_config *config = NULL;
    git_buf name = {0};
    if (git_mirror_is_ours(repo)) {
        bool found = git_repository_config(&config, repo) == 0 &&
                     git_config_get_string_buf(&name, config, CONFIG_MIRROR_BRANCH) == 0;
        char *branch = found ? mem_strdup(name.ptr) : NULL;
        git_buf_dispose(&name);
        return branch;
    }
    bool symbolic = git_reference_lookup(&ref, repo, "HEAD") == 0 &&
                    git_reference_type(ref) == GIT_REFERENCE_SYMBOLIC;
    return symbolic ? mem_strdup(git_reference_symbolic_target(ref)) : NULL;
}

/* What REF stands for, and by which name. */
static void take_ref(struct git_mirror *out, git_repository *repo, const struct ref *ref)
{
    out->object = ref->id;
    mem_freep(&out->ref);
    out->ref = strcmp(ref->name, "HEAD") == 0 ? branch_of_head(repo) : mem_strdup(ref->name);
}

/* Resolves URL's ref among what REPO holds. *BROKEN_OUT: the ref is there and its objects are not.
 */
static int resolve(git_repository *repo, const struct git_url *url, struct git_mirror *out,
                   bool *broken_out, struct error *err)
{
    const char *want = url->ref;
    *broken_out = false;
    if (want && ref_is_commit_id(want) && find_commit(repo, want, out, broken_out)) {
        return 0;
    }
    if (*broken_out) {
        return git_fault(err, ERR_STORE, "read %s of %s", want, url->display);
    }
    AUTO(ref_list_release) struct ref_list refs = {0};
    if (ref_list_read(&refs, repo, err)) {
        *broken_out = true;
        return -1;
    }
    const struct ref *ref = ref_list_named(&refs, want);
    if (!ref && want && ref_is_hex(want) && find_commit(repo, want, out, broken_out)) {
        return 0;
    }
    if (!ref && want) {
        ref = ref_list_special(&refs, want);
    }
    if (!ref) {
        return ref_list_missing(&refs, want, url->display, err);
    }
    int result = peel(repo, &ref->id, &out->commit);
    if (result == 0) {
        take_ref(out, repo, ref);
        return 0;
    }
    if (result == GIT_EPEEL || result == GIT_EINVALIDSPEC) {
        return error_set(err, ERR_USAGE, "%s in %s is no commit", ref->name, url->display);
    }
    *broken_out = true;
    return git_fault(err, ERR_STORE, "read %s of %s", ref->name, url->display);
}

static bool is_marked_broken(const struct site *site)
{
    AUTO(mem_freep) char *mark = mem_printf("%s/%s", site->path, BROKEN_MARK);
    return faccessat(store_fd(site->store), mark, F_OK, 0) == 0;
}

/* The mirror if it is there and sound; NULL where it must be made. */
static git_repository *open_existing(const struct site *site)
{
    git_repository *repo = NULL;
    store_touch(site->store, site->path);
    if (is_marked_broken(site) || git_library_open(site->absolute, false, true, &repo)) {
        return NULL;
    }
    return repo;
}

/* Takes what is at the mirror's place away: other processes that still read it keep their open
 * files. */
static int discard(const struct site *site, struct error *err)
{
    AUTO(mem_freep) char *old = NULL;
    if (store_temp_name(site->store, &old, err)) {
        return -1;
    }
    int fd = store_fd(site->store);
    if (renameat(fd, site->path, fd, old)) {
        struct stat st;
        if (fstatat(fd, site->path, &st, AT_SYMLINK_NOFOLLOW)) {
            return 0;
        }
        return error_errno(err, ERR_STORE, "move the broken %s away", site->absolute);
    }
    return file_remove_tree(fd, old, err);
}

/* A kill in the middle of a fetch leaves libgit2's unfinished packs ("pack_git2_XXXXXX"); we hold
 * the lock, so none is in use. */
static void sweep(const struct site *site)
{
    AUTO(mem_freep) char *folder = mem_printf("%s/objects/pack", site->path);
    int fd = openat(store_fd(site->store), folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        return;
    }
    const struct dirent *item;
    while ((item = readdir(dir)) != NULL) {
        if (strncmp(item->d_name, "pack_git2_", 10) == 0) {
            unlinkat(fd, item->d_name, 0);
        }
    }
    closedir(dir);
}

/* Makes the mirror: all of the first fetch under a temporary name. */
static int create(const struct site *site, struct error *err)
{
    AUTO(mem_freep) char *temp = NULL;
    if (store_temp_dir(site->store, &temp, err)) {
        return -1;
    }
    AUTO(mem_freep) char *absolute = mem_printf("%s/%s", store_path(site->store), temp);
    git_repository_init_options options;
    git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
    AUTO(git_repository_freep) git_repository *repo = NULL;
    if (git_repository_init_ext(&repo, absolute, &options)) {
        return git_fault(err, ERR_STORE, "make a mirror in %s", absolute);
    }
    bool broken;
    AUTO(mem_freep) char *mark = mem_printf("%s/%s", temp, MIRROR_MARK);
    AUTO(mem_freep) char *text = mem_printf("%s\n", site->url->display);
    if (file_write_atomic(store_fd(site->store), mark, text, strlen(text), 0600, false, err)) {
        return -1;
    }
    if (git_fetch(repo, site->url, site->events, &broken, err)) {
        struct error ignored = {0};
        file_remove_tree(store_fd(site->store), temp, &ignored);
        return -1;
    }
    git_repository_freep(&repo);
    int fd = store_fd(site->store);
    if (file_make_dirs(fd, "git", 0700, err) || discard(site, err)) {
        return -1;
    }
    if (renameat(fd, temp, fd, site->path)) {
        return error_errno(err, ERR_STORE, "rename %s to %s", temp, site->absolute);
    }
    return 0;
}

/* Fetches into the mirror that is there. */
static int update(const struct site *site, struct git_mirror *out, bool *broken_out,
                  struct error *err)
{
    AUTO(git_repository_freep) git_repository *repo = open_existing(site);
    *broken_out = !repo;
    if (!repo) {
        return error_set(err, ERR_STORE, "no sound mirror at %s", site->absolute);
    }
    sweep(site);
    if (git_fetch(repo, site->url, site->events, broken_out, err) ||
        resolve(repo, site->url, out, broken_out, err)) {
        return -1;
    }
    out->repo = MEM_STEAL(repo);
    return 0;
}

static int fetch_locked(const struct site *site, struct git_mirror *out, struct error *err)
{
    AUTO(store_unlockp) int lock = -1;
    AUTO(mem_freep) char *name = mem_printf("git-%s", site->path + strlen("git/"));
    bool broken;
    if (store_lock(site->store, name, &lock, err)) {
        return -1;
    }
    if (update(site, out, &broken, err) == 0) {
        return 0;
    }
    if (!broken) {
        return -1;
    }
    error_clear(err);
    if (create(site, err)) {
        return -1;
    }
    AUTO(git_repository_freep) git_repository *repo = NULL;
    if (git_library_open(site->absolute, false, true, &repo)) {
        return git_fault(err, ERR_STORE, "open the mirror %s", site->absolute);
    }
    if (resolve(repo, site->url, out, &broken, err)) {
        return -1;
    }
    out->repo = MEM_STEAL(repo);
    return 0;
}

/* Without the network: offline, or a whole commit id that is there. 1: it must be fetched. */
static int open_as_is(const struct site *site, bool offline, struct git_mirror *out,
                      struct error *err)
{
    bool whole = site->url->ref && ref_is_commit_id(site->url->ref);
    if (!offline && !whole) {
        return 1;
    }
    AUTO(git_repository_freep) git_repository *repo = open_existing(site);
    if (!repo) {
        return offline ? error_set(err, ERR_REMOTE, "offline, and %s was never fetched",
                                   site->url->display)
                       : 1;
    }
    bool broken;
    if (offline ? resolve(repo, site->url, out, &broken, err) != 0
                : !find_commit(repo, site->url->ref, out, &broken)) {
        return offline ? error_wrap(err, "offline") : 1;
    }
    struct event event = {
        .type = EVENT_TRANSFER, .name = site->url->display, .status = STATUS_CACHED};
    event_post(site->events, &event);
    out->repo = MEM_STEAL(repo);
    return 0;
}

/* A repository of this machine is read where it lies, if git would trust it. */
static int open_local(const struct git_url *url, struct git_mirror *out, struct error *err)
{
    AUTO(git_repository_freep) git_repository *repo = NULL;
    int result = git_library_open(url->path, false, false, &repo);
    if (result == GIT_EOWNER) {
        return error_set(
            err, ERR_USAGE,
            "%s belongs to another user: git config --global --add safe.directory '%s'",
            url->display, url->path);
    }
    if (result == GIT_ENOTFOUND) {
        return error_set(err, ERR_USAGE, "%s: no git repository there", url->display);
    }
    if (result) {
        return git_fault(err, ERR_USAGE, "open %s", url->display);
    }
    bool broken;
    if (resolve(repo, url, out, &broken, err)) {
        return -1;
    }
    out->repo = MEM_STEAL(repo);
    return 0;
}

int git_mirror_open(struct store *store, const struct git_url *url, bool offline,
                    struct event_sink *events, struct git_mirror *out, struct error *err)
{
    if (git_library_init(err)) {
        return -1;
    }
    struct git_mirror mirror = {0};
    int failed;
    if (url->scheme == GIT_URL_FILE) {
        failed = open_local(url, &mirror, err);
    } else {
        AUTO(site_release) struct site site;
        site_init(&site, store, url, events);
        failed = open_as_is(&site, offline, &mirror, err);
        if (failed == 1) {
            failed = fetch_locked(&site, &mirror, err);
        }
    }
    if (failed) {
        git_mirror_release(&mirror);
        return -1;
    }
    *out = mirror;
    return 0;
}

void git_mirror_mark_broken(const char *repository_path)
{
    AUTO(mem_freep) char *mark = mem_printf("%s/%s", repository_path, BROKEN_MARK);
    AUTO(fd_closep) int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    (void)fd; /* that it exists is all */
}

bool git_mirror_is_ours(git_repository *repo)
{
    AUTO(mem_freep) char *mark = mem_printf("%s/%s", git_repository_path(repo), MIRROR_MARK);
    return access(mark, F_OK) == 0;
}

void git_mirror_release(struct git_mirror *mirror)
{
    git_repository_freep(&mirror->repo);
    mem_freep(&mirror->ref);
}
