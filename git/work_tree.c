/* A folder of this machine that is a git work tree, seen as git would commit it. */
#include "git/source.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/path.h"
#include "git/content.h"
#include "git/eol.h"
#include "git/library.h"

/* The repository around a folder. */
struct work_tree {
    git_repository *repo;
    git_index *
        index; /* NULL where libgit2 cannot read it (a sparse index): the files' own x bits count */
    char *prefix;      /* where the folder lies in the work tree: "" or "a/b/" */
    bool trust_modes;  /* core.fileMode: the disk's x bits mean something */
    bool crlf_by_user; /* core.autocrlf or core.eol ask for CRLF, which nobody else knows of */
    /* NULL where nothing asks for CRLF: line ends are then what they are. */
    struct git_eol *eol;
    git_odb *odb;
    struct content_source *blobs;
};

static void work_tree_release(struct work_tree *w)
{
    git_eol_freep(&w->eol);
    git_odb_freep(&w->odb);
    content_unrefp(&w->blobs);
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

static bool config_says(const git_config *config, const char *key, const char *value)
{
    AUTO(git_buf_disposep) git_buf text = {0};
    return git_config_get_string_buf(&text, config, key) == 0 && strcasecmp(text.ptr, value) == 0;
}

static void read_config(struct work_tree *w)
{
    AUTO(git_config_freep) git_config *config = NULL;
    int value = 1;
    int crlf = 0;
    w->trust_modes = true;
    if (git_repository_config_snapshot(&config, w->repo)) {
        return;
    }
    w->trust_modes = git_config_get_bool(&value, config, "core.filemode") != 0 || value;
    w->crlf_by_user = (git_config_get_bool(&crlf, config, "core.autocrlf") == 0 && crlf) ||
                      config_says(config, "core.eol", "crlf");
}

/* Whether a tracked .gitattributes may ask for CRLF. */
static bool attributes_may_matter(const struct work_tree *w)
{
    size_t count = git_index_entrycount(w->index);
    for (size_t i = 0; i < count; i++) {
        const git_index_entry *entry = git_index_get_byindex(w->index, i);
        AUTO(git_odb_object_freep) git_odb_object *object = NULL;
        if (strcmp(path_name(entry->path), ".gitattributes") == 0 &&
            git_odb_read(&object, w->odb, &entry->id) == 0 &&
            git_eol_may_matter(git_odb_object_data(object), git_odb_object_size(object))) {
            return true;
        }
    }
    return false;
}

static void prepare_line_ends(struct work_tree *w)
{
    if (!w->index || git_repository_odb(&w->odb, w->repo) ||
        (!w->crlf_by_user && !attributes_may_matter(w))) {
        return;
    }
    w->blobs = git_content_new(w->repo, git_repository_path(w->repo));
    w->eol = w->blobs ? git_eol_of_work_tree(w->repo) : NULL;
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
    prepare_line_ends(w);
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

/* Whether ENTRY's content is DATA, LEN bytes, but for line ends. */
static bool is_same_text(const struct entry *entry, const char *data, size_t len)
{
    AUTO(buf_release) struct buf content = BUF_INIT(0);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    if (entry->size < len || entry->size > 2 * len ||
        entry_read(entry, entry->size, &content, &ignored)) {
        return false;
    }
    git_eol_to_lf(content.data, content.len, &text);
    return text.len == len && memcmp(text.data, data, len) == 0;
}

/* Gives a file that is as it was committed the line ends that a checkout of the commit gives. */
static void take_line_ends(const struct work_tree *w, struct entry *entry)
{
    const git_index_entry *known = w->eol && entry->size > 0 ? tracked(w, entry->path) : NULL;
    if (!known) {
        return;
    }
    AUTO(git_odb_object_freep) git_odb_object *object = NULL;
    AUTO(mem_freep) char *path = mem_printf("%s%s", w->prefix, entry->path);
    enum eol_wish wish = git_eol_wish(w->eol, path);
    if ((wish == EOL_AS_IT_IS && !w->crlf_by_user) || git_odb_read(&object, w->odb, &known->id) ||
        git_odb_object_type(object) != GIT_OBJECT_BLOB) {
        return;
    }
    const char *data = git_odb_object_data(object);
    size_t len = git_odb_object_size(object);
    AUTO(buf_release) struct buf changed = BUF_INIT(0);
    bool crlf = git_eol_is_crlf(wish, data, len);
    if (crlf) {
        git_eol_to_crlf(data, len, &changed);
    }
    size_t wanted = crlf ? changed.len : len;
    if (wanted == entry->size || !is_same_text(entry, data, len)) {
        return;
    }
    entry->size = wanted;
    entry->source = w->blobs;
    entry->handle =
        crlf ? git_content_add_crlf(w->blobs, &known->id) : git_content_add(w->blobs, &known->id);
    entry->flags &= (uint8_t)~ENTRY_HAS_DIGEST;
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
        take_line_ends(w, &entry);
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
