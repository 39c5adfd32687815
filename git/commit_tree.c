#include "git/commit_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/strlist.h"
#include "git/content.h"
#include "git/digest_cache.h"
#include "git/eol.h"
#include "git/library.h"
#include "git/submodules.h"
#include "git/tree_cache.h"

/* What all repositories of one walk share. */
struct walk {
    const struct commit_tree_request *request;
    struct tree_builder *builder;
    struct digest_cache cache;
    struct tree *cached; /* the store had it whole */
    struct buf path;     /* of the entry at hand, in the tree that is made */
    bool bare;           /* a submodule was left out */
    bool lfs;            /* a .gitattributes was seen that hands files to LFS */
    bool odd;            /* ... or that asks for what a checkout would do and is not done here */
    bool changed;        /* a file is not its blob as it is */
};

/* One repository: the outer one, or a submodule's. */
struct place {
    struct walk *walk;
    const struct git_url *url;
    git_repository *repo;
    git_odb *odb;
    struct content_source *source;
    git_oid commit;
    struct git_eol *eol;  /* NULL: no .gitattributes seen so far asks for CRLF */
    const git_tree *root; /* its whole tree: .gitmodules stands there */
    const char *subdir;   /* where in `root` the walk begins */
    size_t prefix;        /* bytes of walk->path in front of this repository's paths */
    struct submodules submodules;
    bool submodules_known;
    unsigned depth; /* of submodules */
};

static int walk_tree(struct place *place, const git_tree *tree, struct error *err);
static int walk_commit(struct walk *walk, const struct git_mirror *at, const struct git_url *url,
                       const char *subdir, unsigned depth, git_oid *tree_id_out, struct error *err);

static int damaged(const struct place *place, struct error *err)
{
    if (git_mirror_is_ours(place->repo)) {
        git_mirror_mark_broken(git_repository_path(place->repo));
    }
    return git_fault(err, ERR_STORE, "%s: read '%s'", place->url->display,
                     buf_text(&place->walk->path));
}

static enum folder_verdict judge(const struct walk *walk, bool is_dir)
{
    const struct folder_filter *filter = walk->request->filter;
    return filter && filter->judge ? filter->judge(filter->ctx, buf_text(&walk->path), is_dir)
                                   : FOLDER_KEEP;
}

static void add_folder(struct walk *walk)
{
    struct entry entry = {.path = buf_text(&walk->path),
                          .type = ENTRY_DIR,
                          .mode = 0755,
                          .flags = ENTRY_TIME_VOLATILE};
    tree_builder_add(walk->builder, &entry);
}

/* A link's target is its blob. */
static int add_link(struct place *place, const git_oid *id, struct error *err)
{
    struct walk *walk = place->walk;
    AUTO(git_odb_object_freep) git_odb_object *object = NULL;
    if (git_odb_read(&object, place->odb, id)) {
        return damaged(place, err);
    }
    size_t len = git_odb_object_size(object);
    const char *data = git_odb_object_data(object);
    if (git_odb_object_type(object) != GIT_OBJECT_BLOB || len == 0 || len > LIMIT_LINK_BYTES ||
        memchr(data, '\0', len)) {
        return error_set(err, ERR_REMOTE, "%s: '%s' is a link with an impossible target",
                         place->url->display, buf_text(&walk->path));
    }
    AUTO(mem_freep) char *link = mem_strndup(data, len);
    struct entry entry = {.path = buf_text(&walk->path),
                          .link = link,
                          .type = ENTRY_SYMLINK,
                          .mode = 0777,
                          .flags = ENTRY_TIME_VOLATILE};
    tree_builder_add(walk->builder, &entry);
    return 0;
}

/* Whether the bytes have WORD by itself. */
static bool has_word(const char *text, size_t len, const char *word)
{
    size_t size = strlen(word);
    const char *end = text + len;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), word, size)) != NULL; at++) {
        bool begins = at > text && strchr(" \t", at[-1]);
        bool ends = at + size == end || strchr(" \t\r\n=", at[size]);
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

/* What the .gitattributes of FOLDER has to say to us; what cannot be read says nothing. */
static int look_at_attributes(struct place *place, const git_tree *folder, struct error *err)
{
    AUTO(git_odb_object_freep) git_odb_object *object = NULL;
    const git_tree_entry *item = git_tree_entry_byname(folder, ".gitattributes");
    if (!item || git_tree_entry_type(item) != GIT_OBJECT_BLOB ||
        git_odb_read(&object, place->odb, git_tree_entry_id(item))) {
        return 0;
    }
    const char *text = git_odb_object_data(object);
    size_t len = git_odb_object_size(object);
    if (len >= LIMIT_TEXT_FILE_BYTES) {
        return 0;
    }
    place->walk->lfs |= memmem(text, len, "filter=lfs", 10) != NULL;
    place->walk->odd |=
        has_word(text, len, "ident") || has_word(text, len, "working-tree-encoding");
    if (!place->eol && git_eol_may_matter(text, len)) {
        place->eol = git_eol_of_commit(place->odb, &place->commit);
        return place->eol ? 0 : damaged(place, err);
    }
    return 0;
}

/* Whether the file at hand is checked out with CRLF; then ENTRY says so. */
static bool take_crlf(struct place *place, const git_oid *id, struct entry *entry)
{
    struct walk *walk = place->walk;
    AUTO(git_odb_object_freep) git_odb_object *object = NULL;
    AUTO(buf_release) struct buf content = BUF_INIT(0);
    AUTO(mem_freep)
    char *path = path_join(place->subdir, buf_text(&walk->path) + place->prefix);
    enum eol_wish wish = git_eol_wish(place->eol, path);
    if (wish == EOL_AS_IT_IS || git_odb_read(&object, place->odb, id)) {
        return false; /* what cannot be read is seen again when it is needed */
    }
    const char *data = git_odb_object_data(object);
    size_t len = git_odb_object_size(object);
    if (!git_eol_is_crlf(wish, data, len)) {
        return false;
    }
    git_eol_to_crlf(data, len, &content);
    entry->size = content.len;
    digest_of(content.data, content.len, &entry->digest);
    entry->flags |= ENTRY_HAS_DIGEST;
    entry->source = place->source;
    entry->handle = git_content_add_crlf(place->source, id);
    walk->changed = true;
    return true;
}

static int add_file(struct place *place, const git_oid *id, bool executable, struct error *err)
{
    struct walk *walk = place->walk;
    size_t size;
    git_object_t type;
    if (git_odb_read_header(&size, &type, place->odb, id)) {
        return damaged(place, err);
    }
    if (type != GIT_OBJECT_BLOB) {
        return error_set(err, ERR_REMOTE, "%s: '%s' is no file though its folder says so",
                         place->url->display, buf_text(&walk->path));
    }
    struct entry entry = {.path = buf_text(&walk->path),
                          .type = ENTRY_FILE,
                          .mode = executable ? 0755 : 0644,
                          .size = size,
                          .flags = ENTRY_TIME_VOLATILE};
    if (place->eol && size > 0 && take_crlf(place, id, &entry)) {
        tree_builder_add(walk->builder, &entry);
        return 0;
    }
    bool known = digest_cache_find(&walk->cache, id, &entry.digest);
    if (size == 0) {
        digest_of("", 0, &entry.digest);
        known = true;
    } else {
        entry.source = place->source;
        entry.handle = git_content_add(place->source, id);
    }
    entry.flags |= known ? ENTRY_HAS_DIGEST : 0;
    tree_builder_add(walk->builder, &entry);
    return 0;
}

static int enter_submodule(struct place *place, const git_oid *commit, struct error *err)
{
    struct walk *walk = place->walk;
    if (walk->request->no_submodules) {
        walk->bare = true;
        return 0;
    }
    if (place->depth >= LIMIT_SUBMODULE_DEPTH) {
        return error_set(err, ERR_REMOTE, "%s: submodules are nested more than %d deep at '%s'",
                         place->url->display, LIMIT_SUBMODULE_DEPTH, buf_text(&walk->path));
    }
    if (!place->submodules_known) {
        if (submodules_read(place->repo, place->root, &place->submodules, err)) {
            return error_wrap(err, "%s", place->url->display);
        }
        place->submodules_known = true;
    }
    AUTO(mem_freep)
    char *path = path_join(place->subdir, buf_text(&walk->path) + place->prefix);
    AUTO(git_url_release) struct git_url url = {0};
    AUTO(git_mirror_release) struct git_mirror mirror = {0};
    struct commit_tree_request request = *walk->request;
    request.url = place->url;
    if (submodule_open(&request, &place->submodules, path, commit, &url, &mirror, err)) {
        return -1;
    }
    git_oid tree_id;
    return walk_commit(walk, &mirror, &url, "", place->depth + 1, &tree_id, err);
}

static int enter_folder(struct place *place, const git_tree_entry *item, struct error *err)
{
    if (git_tree_entry_type(item) == GIT_OBJECT_COMMIT) {
        return enter_submodule(place, git_tree_entry_id(item), err);
    }
    AUTO(git_tree_freep) git_tree *tree = NULL;
    if (git_tree_lookup(&tree, place->repo, git_tree_entry_id(item))) {
        return damaged(place, err);
    }
    return walk_tree(place, tree, err);
}

/* A folder or submodule at the path at hand. */
static int take_folder(struct place *place, const git_tree_entry *item, struct error *err)
{
    struct walk *walk = place->walk;
    enum folder_verdict verdict = judge(walk, true);
    if (verdict == FOLDER_DROP) {
        return 0;
    }
    size_t before = tree_builder_len(walk->builder);
    if (enter_folder(place, item, err)) {
        return -1;
    }
    if (verdict == FOLDER_KEEP || tree_builder_len(walk->builder) > before) {
        add_folder(walk);
    }
    return 0;
}

static int take_entry(struct place *place, const git_tree_entry *item, struct error *err)
{
    git_object_t type = git_tree_entry_type(item);
    if (type == GIT_OBJECT_TREE || type == GIT_OBJECT_COMMIT) {
        return take_folder(place, item, err);
    }
    if (judge(place->walk, false) != FOLDER_KEEP) {
        return 0;
    }
    git_filemode_t mode = git_tree_entry_filemode(item);
    if (mode == GIT_FILEMODE_LINK) {
        return add_link(place, git_tree_entry_id(item), err);
    }
    return add_file(place, git_tree_entry_id(item), mode == GIT_FILEMODE_BLOB_EXECUTABLE, err);
}

static int walk_tree(struct place *place, const git_tree *tree, struct error *err)
{
    struct walk *walk = place->walk;
    size_t len = walk->path.len;
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (look_at_attributes(place, tree, err)) {
        return -1;
    }
    size_t count = git_tree_entrycount(tree);
    for (size_t i = 0; i < count; i++) {
        const git_tree_entry *item = git_tree_entry_byindex(tree, i);
        const char *name = git_tree_entry_name(item);
        if (!git_name_is_safe(name)) {
            return error_set(err, ERR_REMOTE, "%s: the name '%.255s' in folder '%s' is not allowed",
                             place->url->display, name, buf_text(&walk->path));
        }
        if (len + strlen(name) + 1 > LIMIT_PATH_BYTES ||
            tree_builder_len(walk->builder) >= LIMIT_ENTRIES) {
            return error_set(err, ERR_REMOTE, "%s: %s in folder '%.200s'", place->url->display,
                             len > LIMIT_PATH_BYTES - 256 ? "a path is too long"
                                                          : "there are too many files",
                             buf_text(&walk->path));
        }
        buf_printf(&walk->path, "%s%s", len ? "/" : "", name);
        int failed = take_entry(place, item, err);
        walk->path.len = len;
        if (walk->path.data) {
            walk->path.data[len] = '\0';
        }
        if (failed) {
            return -1;
        }
    }
    return 0;
}

/* No folder SUBDIR: names the nearest there is. Returns -1. */
static int missing_folder(const struct place *place, const char *subdir, struct error *err)
{
    AUTO(mem_freep) char *parent = path_parent(subdir);
    AUTO(strlist_release) struct strlist names = {0};
    AUTO(git_tree_freep) git_tree *tree = NULL;
    git_tree_entry *entry = NULL;
    if (parent[0] && git_tree_entry_bypath(&entry, place->root, parent) == 0) {
        git_tree_lookup(&tree, place->repo, git_tree_entry_id(entry));
        git_tree_entry_free(entry);
    }
    const git_tree *in = tree ? tree : place->root;
    for (size_t i = 0; i < git_tree_entrycount(in); i++) {
        const git_tree_entry *item = git_tree_entry_byindex(in, i);
        if (git_tree_entry_type(item) == GIT_OBJECT_TREE) {
            strlist_add(&names, git_tree_entry_name(item));
        }
    }
    const char *near = nearest_name(path_name(subdir), (const char *const *)names.items, names.len);
    return error_set(err, ERR_USAGE, "%s has no folder '%.200s'%s%.200s%s", place->url->display,
                     subdir, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The tree at SUBDIR of PLACE's root. */
static int find_subdir(const struct place *place, const char *subdir, git_tree **out,
                       struct error *err)
{
    git_tree_entry *entry = NULL;
    int result = git_tree_entry_bypath(&entry, place->root, subdir);
    if (result == GIT_ENOTFOUND) {
        return missing_folder(place, subdir, err);
    }
    if (result) {
        return damaged(place, err);
    }
    git_object_t type = git_tree_entry_type(entry);
    if (type == GIT_OBJECT_TREE) {
        result = git_tree_lookup(out, place->repo, git_tree_entry_id(entry));
    }
    git_tree_entry_free(entry);
    if (type != GIT_OBJECT_TREE) {
        return error_set(err, ERR_USAGE, "'%s' in %s is %s", subdir, place->url->display,
                         type == GIT_OBJECT_COMMIT ? "a submodule: give its own URL" : "no folder");
    }
    return result ? damaged(place, err) : 0;
}

/* The attributes of the folders above SUBDIR, which count below it too. */
static int look_above(struct place *place, const char *subdir, struct error *err)
{
    AUTO(mem_freep) char *path = mem_strdup(subdir);
    if (look_at_attributes(place, place->root, err)) {
        return -1;
    }
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        AUTO(git_tree_freep) git_tree *folder = NULL;
        *slash = '\0';
        int failed =
            find_subdir(place, path, &folder, err) || look_at_attributes(place, folder, err);
        *slash = '/';
        if (failed) {
            return -1;
        }
    }
    return 0;
}

static void place_release(struct place *place)
{
    git_odb_freep(&place->odb);
    git_eol_freep(&place->eol);
    content_unrefp(&place->source);
    submodules_release(&place->submodules);
}

/* Whether the store has the outer repository's tree ID as it is to be; else what it knows of single
 * files is read. */
static bool load_cached(struct place *place, const git_oid *id)
{
    struct walk *walk = place->walk;
    struct store *store = walk->request->store;
    AUTO(mem_freep) char *name = tree_cache_name(place->url->display, place->subdir);
    if (!walk->request->filter && !walk->request->no_submodules) {
        walk->cached = tree_cache_load(store, name, id, place->source);
    }
    if (!walk->cached) {
        digest_cache_load(store, place->url->display, &walk->cache);
    }
    return walk->cached != NULL;
}

/* Walks the commit AT below SUBDIR, into walk->path. */
static int walk_commit(struct walk *walk, const struct git_mirror *at, const struct git_url *url,
                       const char *subdir, unsigned depth, git_oid *tree_id_out, struct error *err)
{
    AUTO(git_commit_freep) git_commit *commit = NULL;
    AUTO(git_tree_freep) git_tree *root = NULL;
    AUTO(git_tree_freep) git_tree *below = NULL;
    AUTO(place_release)
    struct place place = {.walk = walk,
                          .url = url,
                          .repo = at->repo,
                          .commit = at->commit,
                          .subdir = subdir,
                          .prefix = walk->path.len ? walk->path.len + 1 : 0,
                          .depth = depth};
    if (git_commit_lookup(&commit, at->repo, &at->commit) || git_commit_tree(&root, commit) ||
        git_repository_odb(&place.odb, at->repo)) {
        return damaged(&place, err);
    }
    place.source = git_content_new(at->repo, url->display);
    place.root = root;
    if (!place.source) {
        return damaged(&place, err);
    }
    if (subdir[0] &&
        (find_subdir(&place, subdir, &below, err) || look_above(&place, subdir, err))) {
        return -1;
    }
    const git_tree *top = below ? below : root;
    *tree_id_out = *git_tree_id(top);
    return depth == 0 && load_cached(&place, git_tree_id(top)) ? 0 : walk_tree(&place, top, err);
}

/* A file with something below it: two entries of one name, in a tree that git itself would not have
 * made. */
static int check_shape(const struct tree *tree, const char *display, struct error *err)
{
    for (size_t i = 0; i < tree_len(tree); i++) {
        const struct entry *entry = tree_at(tree, i);
        size_t first;
        size_t end;
        if (entry->type == ENTRY_DIR) {
            continue;
        }
        tree_below(tree, entry->path, &first, &end);
        if (first != end) {
            return error_set(err, ERR_REMOTE, "%s: '%s' is a file and a folder at once", display,
                             entry->path);
        }
    }
    return 0;
}

/* Pointers to files that lie on an LFS server stay as they are; that is worth a word. */
static void warn_of_lfs(const struct tree *tree, struct event_sink *events)
{
    static const char magic[] = "version https://git-lfs.github.com/spec/";
    for (size_t i = 0; i < tree_len(tree); i++) {
        const struct entry *entry = tree_at(tree, i);
        struct error ignored = {0};
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        if (entry->type == ENTRY_FILE && entry->size > sizeof magic && entry->size < 1024 &&
            entry_read(entry, 1024, &text, &ignored) == 0 &&
            memcmp(text.data, magic, sizeof magic - 1) == 0) {
            event_warning(
                events, NULL, 0,
                "'%s' is a Git LFS pointer: the image gets the pointer, not the file behind it",
                entry->path);
            return;
        }
    }
}

static void warn_of_attributes(const struct git_url *url, struct event_sink *events)
{
    event_warning(
        events, NULL, 0,
        "%s: .gitattributes has 'ident' or 'working-tree-encoding', which are not applied: "
        "files are as they were committed, and not as a checkout makes them",
        url->display);
}

int commit_tree_open(const struct commit_tree_request *request, git_repository *repo,
                     const git_oid *commit, const char *subdir, struct commit_tree *out,
                     struct error *err)
{
    AUTO(tree_builder_freep) struct tree_builder *builder = tree_builder_new();
    struct walk walk = {.request = request, .builder = builder, .path = BUF_INIT(0)};
    git_oid id;
    struct git_mirror at = {.repo = repo, .commit = *commit};
    int failed = walk_commit(&walk, &at, request->url, subdir, 0, &id, err);
    digest_cache_release(&walk.cache);
    buf_release(&walk.path);
    if (failed) {
        return -1;
    }
    if (walk.cached) {
        *out =
            (struct commit_tree){.id = id, .tree = walk.cached, .cached = true, .cacheable = true};
        return 0;
    }
    AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(MEM_STEAL(builder));
    if (check_shape(tree, request->url->display, err)) {
        return -1;
    }
    if (walk.lfs) {
        warn_of_lfs(tree, request->events);
    }
    if (walk.odd) {
        warn_of_attributes(request->url, request->events);
    }
    *out = (struct commit_tree){.id = id,
                                .tree = MEM_STEAL(tree),
                                .cacheable = !walk.lfs && !walk.odd && !walk.bare &&
                                             !walk.changed && !request->filter};
    return 0;
}

void commit_tree_save_digests(const struct tree *tree, struct store *store, const char *name)
{
    AUTO(digest_cache_release) struct digest_cache cache = {0};
    for (size_t i = 0; i < tree_len(tree); i++) {
        const struct entry *entry = tree_at(tree, i);
        const git_oid *id = entry->type == ENTRY_FILE ? git_content_id(entry) : NULL;
        if (id && (entry->flags & ENTRY_HAS_DIGEST)) {
            digest_cache_add(&cache, id, &entry->digest);
        }
    }
    digest_cache_save(store, name, &cache);
}
