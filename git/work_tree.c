/* A folder of this machine that is a git work tree, seen as git would commit it. */
#include "git/source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/path.h"
#include "git/library.h"

/* The repository around a folder. */
struct work_tree {
    git_repository *repo;
    git_index *
        index; /* NULL where libgit2 cannot read it (a sparse index): the files' own x bits count */
    char *prefix;     /* where the folder lies in the work tree: "" or "a/b/" */
    bool trust_modes; /* core.fileMode: the disk's x bits mean something */
};

static void work_tree_release(struct work_tree *w)
{
    git_index_freep(&w->index);
    git_repository_freep(&w->repo);
    mem_freep(&w->prefix);
}

/* Whether something below FOLDER ("" or with a slash at its end) is tracked. */
static bool tracks_below(const struct work_tree *w, const char *folder)
{
    AUTO(mem_freep) char *prefix = mem_printf("%s%s", w->prefix, folder);
    return prefix[0] ? git_index_find_prefix(NULL, w->index, prefix) == 0
                     : git_index_entrycount(w->index) > 0;
}

static const git_index_entry *tracked(const struct work_tree *w, const char *path)
{
    if (!w->index) {
        return NULL;
    }
    AUTO(mem_freep) char *whole = mem_printf("%s%s", w->prefix, path);
    return git_index_get_bypath(w->index, whole, 0);
}

static void read_config(struct work_tree *w)
{
    AUTO(git_config_freep) git_config *config = NULL;
    int value = 1;
    w->trust_modes = git_repository_config_snapshot(&config, w->repo) != 0 ||
                     git_config_get_bool(&value, config, "core.filemode") != 0 || value;
}

/* Finds the work tree around PATH. False where there is none. Nothing of the repository's
 * configuration is run and only its index and HEAD are read, so it does not matter here whose it
 * is: a checkout that belongs to another user is common in CI. */
static bool find_work_tree(const char *path, struct work_tree *w)
{
    AUTO(mem_freep) char *real = realpath(path, NULL);
    if (!real || git_library_open(real, true, true, &w->repo) != 0) {
        return false;
    }
    const char *workdir = git_repository_workdir(w->repo);
    AUTO(mem_freep) char *root = workdir ? realpath(workdir, NULL) : NULL;
    if (!root) {
        return false;
    }
    size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(real, root, len) != 0 || (real[len] != '/' && real[len] != '\0')) {
        return false;
    }
    AUTO(mem_freep) char *below = path_clean(real + len);
    w->prefix = mem_printf("%s%s", below, below[0] ? "/" : "");
    /* Inside .git there is no work tree. */
    if (strcmp(below, ".git") == 0 || path_is_below(below, ".git")) {
        return false;
    }
    if (git_repository_index(&w->index, w->repo) != 0) {
        w->index = NULL;
    } else if (!tracks_below(w, "")) {
        return false;
    }
    read_config(w);
    return true;
}

static int64_t head_time(git_repository *repo)
{
    git_oid id;
    AUTO(git_object_freep) git_object *object = NULL;
    AUTO(git_object_freep) git_object *commit = NULL;
    if (git_reference_name_to_id(&id, repo, "HEAD") ||
        git_object_lookup(&object, repo, &id, GIT_OBJECT_ANY) ||
        git_object_peel(&commit, object, GIT_OBJECT_COMMIT)) {
        return 0; /* no commit yet */
    }
    return git_commit_time((git_commit *)commit);
}

/* Whether a folder at or above PATH is a submodule. */
static bool is_below_submodule(const struct work_tree *w, const char *path)
{
    AUTO(mem_freep) char *folder = path_parent(path);
    while (folder[0]) {
        const git_index_entry *entry = tracked(w, folder);
        if (entry && entry->mode == GIT_FILEMODE_COMMIT) {
            return true;
        }
        char *up = path_parent(folder);
        free(folder);
        folder = up;
    }
    return false;
}

/* .git of the repository or of a submodule, or something in it. */
static bool is_gits_own(const struct work_tree *w, const char *path)
{
    if (strcmp(path, ".git") == 0 || path_is_below(path, ".git")) {
        return w->prefix[0] == '\0';
    }
    const char *name = strstr(path, "/.git");
    if (!name || (name[5] != '\0' && name[5] != '/')) {
        return false;
    }
    AUTO(mem_freep) char *own = mem_strndup(path, (size_t)(name - path) + 5);
    return is_below_submodule(w, own);
}

/* Git knows no folders: one that holds nothing is not there, unless git will say otherwise by what
 * is tracked below. */
static bool keeps_folder(const struct work_tree *w, const struct tree *tree, const char *path)
{
    size_t at;
    size_t end;
    tree_below(tree, path, &at, &end);
    for (; at < end; at++) {
        const struct entry *entry = tree_at(tree, at);
        if (entry->type != ENTRY_DIR && !is_gits_own(w, entry->path)) {
            return true;
        }
    }
    AUTO(mem_freep) char *folder = mem_printf("%s/", path);
    const git_index_entry *submodule = tracked(w, path);
    return submodule || (w->index && tracks_below(w, folder));
}

static uint32_t git_mode(const struct work_tree *w, const struct entry *entry)
{
    const git_index_entry *known = w->trust_modes ? NULL : tracked(w, entry->path);
    bool executable =
        known ? known->mode == GIT_FILEMODE_BLOB_EXECUTABLE : (entry->mode & 0100) != 0;
    return executable ? 0755 : 0644;
}

static void add_normalised(struct tree_builder *b, const struct work_tree *w,
                           const struct tree *tree, const struct entry *from)
{
    if (from->path[0] == '\0' || is_gits_own(w, from->path) ||
        (from->type == ENTRY_DIR && !keeps_folder(w, tree, from->path))) {
        return;
    }
    /* Two names of one file are two files to git. */
    const struct entry *inode = entry_inode(from);
    struct entry entry = inode ? *inode : *from;
    entry.path = from->path;
    entry.uid = entry.gid = 0;
    entry.xattrs = NULL;
    entry.xattrs_len = 0;
    entry.flags |= ENTRY_TIME_VOLATILE;
    if (entry.type == ENTRY_DIR) {
        entry.mode = 0755;
    } else if (entry.type == ENTRY_SYMLINK) {
        entry.mode = 0777;
    } else if (entry.type == ENTRY_FILE) {
        entry.mode = git_mode(w, &entry);
    }
    tree_builder_add(b, &entry);
}

/* Whether PATH or a folder above it has a .git: only then is the library worth its start, which
 * reads all certificates of the system. */
static bool has_dot_git(const char *path)
{
    struct stat st;
    AUTO(mem_freep) char *at = realpath(path, NULL);
    while (at && at[0]) {
        AUTO(mem_freep) char *name = mem_printf("%s/.git", at);
        if (lstat(name, &st) == 0) {
            return true;
        }
        *strrchr(at, '/') = '\0';
    }
    return at && lstat("/.git", &st) == 0;
}

int git_normalise_folder(const char *path, struct tree *tree, bool *is_work_tree_out,
                         int64_t *commit_time_out, struct tree **out, struct error *err)
{
    AUTO(work_tree_release) struct work_tree w = {0};
    bool possible = has_dot_git(path) || getenv("GIT_DIR");
    if (possible && git_library_init(err) != 0) {
        return -1;
    }
    if (!possible || !find_work_tree(path, &w)) {
        *is_work_tree_out = false;
        *commit_time_out = 0;
        *out = tree_ref(tree);
        return 0;
    }
    AUTO(tree_builder_freep) struct tree_builder *b = tree_builder_new();
    for (size_t i = 0; i < tree_len(tree); i++) {
        add_normalised(b, &w, tree, tree_at(tree, i));
    }
    *is_work_tree_out = true;
    *commit_time_out = head_time(w.repo);
    *out = tree_builder_finish(MEM_STEAL(b));
    return 0;
}
