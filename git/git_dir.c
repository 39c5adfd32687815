#include "git/git_dir.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "git/library.h"
#include "git/pack.h"
#include "git/submodules.h"

/* One repository: the outer one, or a submodule's. */
struct place {
    const struct commit_tree_request *request; /* its url is this repository's */
    const struct git_mirror *mirror;
    const char *dir;  /* of its files: ".git", ".git/modules/NAME" ... */
    const char *work; /* of its work tree; "" for the outer one */
    unsigned depth;
    struct tree_builder *builder; /* all places' */
    struct submodules submodules;
    struct buf config;
    struct buf index; /* entries, without the head */
    uint32_t index_len;
    git_oid *ids; /* objects of the pack */
    size_t ids_len;
    size_t ids_cap;
};

static void place_release(struct place *place)
{
    submodules_release(&place->submodules);
    buf_release(&place->config);
    buf_release(&place->index);
    free(place->ids);
}

static void add_id(struct place *place, const git_oid *id)
{
    if (place->ids_len == place->ids_cap) {
        place->ids_cap = place->ids_cap ? place->ids_cap * 2 : 256;
        place->ids = mem_realloc(place->ids, place->ids_cap, sizeof *place->ids);
    }
    place->ids[place->ids_len++] = *id;
}

static void add_folder(struct place *place, const char *name)
{
    AUTO(mem_freep) char *path = path_join(place->dir, name);
    struct entry entry = {
        .path = path, .type = ENTRY_DIR, .mode = 0755, .flags = ENTRY_TIME_VOLATILE};
    tree_builder_add(place->builder, &entry);
}

/* A file at PATH with DATA, whose bytes go over. */
static void add_file(struct place *place, const char *path, struct buf *data)
{
    struct entry entry = {.path = path,
                          .type = ENTRY_FILE,
                          .mode = 0644,
                          .size = data->len,
                          .flags = ENTRY_TIME_VOLATILE | ENTRY_HAS_DIGEST};
    digest_of(buf_text(data), data->len, &entry.digest);
    AUTO(content_unrefp) struct content_source *source = content_memory(buf_take(data), entry.size);
    entry.source = entry.size > 0 ? source : NULL;
    tree_builder_add(place->builder, &entry);
}

/* A file NAME of the repository. */
static void add_text(struct place *place, const char *name, const char *text)
{
    AUTO(mem_freep) char *path = path_join(place->dir, name);
    AUTO(buf_release) struct buf data = BUF_INIT(0);
    buf_puts(&data, text);
    add_file(place, path, &data);
}

/* A file NAME that holds an object's id. */
static void add_id_file(struct place *place, const char *name, const git_oid *id)
{
    char text[GIT_OID_HEXSZ + 2];
    git_oid_tostr(text, GIT_OID_HEXSZ + 1, id);
    text[GIT_OID_HEXSZ] = '\n';
    text[GIT_OID_HEXSZ + 1] = '\0';
    add_text(place, name, text);
}

/* The folders of NAME, which has slashes, below the repository's folder PARENT. */
static void add_folders_of(struct place *place, const char *parent, const char *name)
{
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        AUTO(mem_freep) char *folder = mem_printf("%s/%.*s", parent, (int)(slash - name), name);
        add_folder(place, folder);
    }
}

static void put32(struct buf *out, uint32_t value)
{
    value = htobe32(value);
    buf_append(out, &value, sizeof value);
}

/* One entry of the index, version 2, without times and size (gitformat-index(5)). */
static void index_entry(struct place *place, const char *path, uint32_t mode, const git_oid *id)
{
    static const char zeros[24];
    size_t len = strlen(path);
    buf_append(&place->index, zeros, 24); /* ctime, mtime, dev, ino */
    put32(&place->index, mode);
    buf_append(&place->index, zeros, 12); /* uid, gid, size */
    buf_append(&place->index, id->id, GIT_OID_RAWSZ);
    uint16_t flags = htobe16((uint16_t)(len < 0xfff ? len : 0xfff));
    buf_append(&place->index, &flags, sizeof flags);
    buf_append(&place->index, path, len);
    /* 62 bytes stand in front of the path; one to eight zeros behind it. */
    buf_append(&place->index, zeros, 8 - (62 + len) % 8);
    place->index_len++;
}

static void add_index(struct place *place)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    AUTO(mem_freep) char *path = path_join(place->dir, "index");
    AUTO(buf_release) struct buf data = BUF_INIT(0);
    buf_puts(&data, "DIRC");
    put32(&data, 2);
    put32(&data, place->index_len);
    if (place->index.len > 0) {
        buf_append(&data, place->index.data, place->index.len);
    }
    EVP_Digest(data.data, data.len, sum, &len, EVP_sha1(), NULL);
    buf_append(&data, sum, len);
    add_file(place, path, &data);
}

/* VALUE as git's configuration has it, in quotes. */
static void put_value(struct buf *out, const char *value)
{
    buf_putc(out, '"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\') {
            buf_putc(out, '\\');
        }
        if (*value == '\n') {
            buf_puts(out, "\\n");
        } else {
            buf_putc(out, *value);
        }
    }
    buf_putc(out, '"');
}

/* "../" for each component of PATH. */
static char *way_up(const char *path)
{
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    for (const char *at = path; at && *at; at = strchr(at, '/')) {
        at += *at == '/';
        buf_puts(&out, "../");
    }
    return buf_take(&out);
}

static void begin_config(struct place *place)
{
    struct buf *out = &place->config;
    buf_puts(out, "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
                  "\tlogallrefupdates = true\n");
    if (place->depth > 0) {
        AUTO(mem_freep) char *up = way_up(place->dir);
        AUTO(mem_freep) char *way = mem_printf("%s%s", up, place->work);
        buf_puts(out, "\tworktree = ");
        put_value(out, way);
        buf_putc(out, '\n');
    }
    buf_puts(out, "[remote \"origin\"]\n\turl = ");
    put_value(out, place->request->url->display);
    buf_puts(out, "\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n");
}

static int make_place(struct place *place, struct error *err);

/* A name out of .gitmodules becomes a folder of .git/modules: it must not lead out
 * (CVE-2018-11235), nor into another submodule's. */
static int check_name(const struct place *place, const char *name, struct error *err)
{
    if (!path_is_clean(name) || !name[0] || strpbrk(name, "\n\r") || strlen(name) > 1024) {
        return error_set(err, ERR_REMOTE, "%s: .gitmodules: the name '%.200s' is not allowed",
                         place->request->url->display, name);
    }
    for (size_t i = 0; i < place->submodules.len; i++) {
        const char *other = place->submodules.items[i].name;
        size_t len = other ? strlen(other) : 0;
        if (len > 0 && strncmp(name, other, len) == 0 && name[len] == '/') {
            return error_set(err, ERR_REMOTE,
                             "%s: the submodule '%.200s' would lie inside of '%.200s'; "
                             "--keep-git-dir cannot have both",
                             place->request->url->display, name, other);
        }
    }
    return 0;
}

static const char *submodule_name(const struct submodules *list, const char *path)
{
    const char *name = NULL;
    for (size_t i = 0; i < list->len; i++) {
        if (list->items[i].path && strcmp(list->items[i].path, path) == 0) {
            name = list->items[i].name;
        }
    }
    return name ? name : path;
}

/* The submodule at PATH of PLACE's work tree stands at COMMIT. */
static int add_submodule(struct place *place, const char *path, const git_oid *commit,
                         struct error *err)
{
    if (place->request->no_submodules) {
        return 0;
    }
    const char *name = submodule_name(&place->submodules, path);
    AUTO(git_url_release) struct git_url url = {0};
    AUTO(git_mirror_release) struct git_mirror mirror = {0};
    if (check_name(place, name, err) ||
        submodule_open(place->request, &place->submodules, path, commit, &url, &mirror, err)) {
        return -1;
    }
    struct commit_tree_request request = *place->request;
    request.url = &url;
    AUTO(mem_freep) char *dir = mem_printf("%s/modules/%s", place->dir, name);
    AUTO(mem_freep) char *work = path_join(place->work, path);
    AUTO(place_release)
    struct place inner = {.request = &request,
                          .mirror = &mirror,
                          .dir = dir,
                          .work = work,
                          .depth = place->depth + 1,
                          .builder = place->builder};
    buf_puts(&place->config, "[submodule ");
    put_value(&place->config, name);
    buf_puts(&place->config, "]\n\tactive = true\n\turl = ");
    put_value(&place->config, url.display);
    buf_putc(&place->config, '\n');
    add_folder(place, "modules");
    add_folders_of(place, "modules", name);
    AUTO(mem_freep) char *link = path_join(work, ".git");
    AUTO(mem_freep) char *up = way_up(work);
    AUTO(buf_release) struct buf data = BUF_INIT(0);
    buf_printf(&data, "gitdir: %s%s\n", up, dir);
    add_file(place, link, &data);
    return make_place(&inner, err);
}

static int walk(struct place *place, const git_tree *tree, struct buf *path, struct error *err);

static int take_entry(struct place *place, const git_tree_entry *item, struct buf *path,
                      struct error *err)
{
    const git_oid *id = git_tree_entry_id(item);
    switch (git_tree_entry_type(item)) {
    case GIT_OBJECT_TREE: {
        AUTO(git_tree_freep) git_tree *below = NULL;
        if (git_tree_lookup(&below, place->mirror->repo, id)) {
            return git_fault(err, ERR_STORE, "%s: read '%s'", place->request->url->display,
                             buf_text(path));
        }
        return walk(place, below, path, err);
    }
    case GIT_OBJECT_COMMIT:
        index_entry(place, buf_text(path), GIT_FILEMODE_COMMIT, id);
        return add_submodule(place, buf_text(path), id, err);
    default:
        add_id(place, id);
        index_entry(place, buf_text(path), git_tree_entry_filemode(item), id);
        return 0;
    }
}

/* The objects and the index's entries of TREE at PATH. The order of a tree, where a folder sorts as
 * if its name ended in a slash, is that of the paths in an index. */
static int walk(struct place *place, const git_tree *tree, struct buf *path, struct error *err)
{
    size_t len = path->len;
    if (cancel_requested()) {
        return cancel_error(err);
    }
    add_id(place, git_tree_id(tree));
    for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *item = git_tree_entry_byindex(tree, i);
        buf_printf(path, "%s%s", len ? "/" : "", git_tree_entry_name(item));
        int failed = take_entry(place, item, path, err);
        path->len = len;
        path->data[len] = '\0';
        if (failed) {
            return -1;
        }
    }
    return 0;
}

/* The pack as objects/pack/pack-X.pack and .idx, read-only as git makes them. */
static int add_pack(struct place *place, struct error *err)
{
    AUTO(pack_release) struct pack pack = PACK_INIT;
    if (pack_make(place->request->store, place->mirror->repo, place->ids, place->ids_len, &pack,
                  err)) {
        return error_wrap(err, "%s", place->request->url->display);
    }
    AUTO(mem_freep) char *path = mem_printf("%s/objects/pack/pack-%s.pack", place->dir, pack.name);
    AUTO(mem_freep) char *index = mem_printf("%s/objects/pack/pack-%s.idx", place->dir, pack.name);
    AUTO(content_unrefp) struct content_source *source = content_file(fd_steal(&pack.fd));
    struct entry entry = {.path = path,
                          .source = source,
                          .type = ENTRY_FILE,
                          .mode = 0444,
                          .size = pack.size,
                          .flags = ENTRY_TIME_VOLATILE | ENTRY_HAS_DIGEST,
                          .digest = pack.digest};
    tree_builder_add(place->builder, &entry);
    add_file(place, index, &pack.index);
    entry = *tree_builder_get(place->builder, index);
    entry.mode = 0444;
    tree_builder_add(place->builder, &entry);
    return 0;
}

/* The tag's object, and those of tags that it names. */
static int add_tags(struct place *place, struct error *err)
{
    git_oid at = place->mirror->object;
    while (!git_oid_equal(&at, &place->mirror->commit)) {
        git_tag *tag = NULL;
        if (git_tag_lookup(&tag, place->mirror->repo, &at)) {
            return git_fault(err, ERR_STORE, "%s: read a tag", place->request->url->display);
        }
        add_id(place, &at);
        at = *git_tag_target_id(tag);
        git_tag_free(tag);
    }
    return 0;
}

/* HEAD, the ref that was asked for, and what says that the commit's parents are not here. */
static int add_refs(struct place *place, const git_commit *commit, struct error *err)
{
    const struct git_mirror *mirror = place->mirror;
    const struct git_url *url = place->request->url;
    const char *ref = url->as_ref ? url->as_ref : mirror->ref;
    add_id_file(place, "HEAD", &mirror->commit);
    if (git_commit_parentcount(commit) > 0) {
        add_id_file(place, "shallow", &mirror->commit);
    }
    if (ref && place->depth == 0) {
        add_folders_of(place, "refs", ref + strlen("refs/"));
        add_id_file(place, ref, &mirror->object);
    }
    return add_tags(place, err);
}

static int walk_commit(struct place *place, struct error *err)
{
    const struct git_mirror *mirror = place->mirror;
    AUTO(git_commit_freep) git_commit *commit = NULL;
    AUTO(git_tree_freep) git_tree *root = NULL;
    AUTO(buf_release) struct buf path = BUF_INIT(0);
    if (git_commit_lookup(&commit, mirror->repo, &mirror->commit) ||
        git_commit_tree(&root, commit)) {
        return git_fault(err, ERR_STORE, "%s: read its commit", place->request->url->display);
    }
    add_id(place, &mirror->commit);
    if (add_refs(place, commit, err) ||
        submodules_read(mirror->repo, root, &place->submodules, err)) {
        return -1;
    }
    return walk(place, root, &path, err);
}

static int make_place(struct place *place, struct error *err)
{
    static const char *const folders[] = {
        "",           "branches",  "hooks",   "info",         "refs",
        "refs/heads", "refs/tags", "objects", "objects/info", "objects/pack"};
    if (place->depth > LIMIT_SUBMODULE_DEPTH) {
        return error_set(err, ERR_REMOTE, "%s: submodules are nested more than %d deep",
                         place->request->url->display, LIMIT_SUBMODULE_DEPTH);
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        add_folder(place, folders[i]);
    }
    begin_config(place);
    if (walk_commit(place, err) || add_pack(place, err)) {
        return -1;
    }
    add_text(place, "config", buf_text(&place->config));
    add_text(place, "description",
             "Unnamed repository; edit this file 'description' to name the repository.\n");
    add_text(place, "info/exclude", "");
    add_index(place);
    return 0;
}

int git_dir_make(const struct commit_tree_request *request, const struct git_mirror *mirror,
                 struct tree **out, struct error *err)
{
    AUTO(tree_builder_freep) struct tree_builder *builder = tree_builder_new();
    AUTO(place_release)
    struct place place = {
        .request = request, .mirror = mirror, .dir = ".git", .work = "", .builder = builder};
    if (make_place(&place, err)) {
        return -1;
    }
    *out = tree_builder_finish(MEM_STEAL(builder));
    return 0;
}
