#include "git/source.h"

#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "git/commit_tree.h"
#include "git/git_dir.h"
#include "git/library.h"
#include "git/mirror.h"
#include "git/tree_cache.h"
#include "git/url.h"

void git_source_release(struct git_source *source)
{
    mem_freep(&source->url);
    mem_freep(&source->ref);
    mem_freep(&source->subdir);
    tree_unref(source->tree);
    *source = (struct git_source){0};
}

static size_t count_digests(const struct tree *tree)
{
    size_t count = 0;
    for (size_t i = 0; i < tree_len(tree); i++) {
        count += (tree_at(tree, i)->flags & ENTRY_HAS_DIGEST) != 0;
    }
    return count;
}

static bool begins(const git_oid *id, const char *hex)
{
    char text[GIT_OID_HEXSZ + 1];
    git_oid_tostr(text, sizeof text, id);
    return strncasecmp(text, hex, strlen(hex)) == 0;
}

static int verify(const struct git_url *url, const struct git_mirror *mirror, struct error *err)
{
    char commit[GIT_OID_HEXSZ + 1];
    char tag[GIT_OID_HEXSZ + 1];
    if (!url->checksum || begins(&mirror->commit, url->checksum) ||
        begins(&mirror->object, url->checksum)) {
        return 0;
    }
    bool tagged = !git_oid_equal(&mirror->commit, &mirror->object);
    git_oid_tostr(commit, sizeof commit, &mirror->commit);
    git_oid_tostr(tag, sizeof tag, &mirror->object);
    return error_set(err, ERR_STEP, "%s%s%s: expected checksum to match %.200s, got %s%s%s",
                     url->display, url->ref ? "#" : "", url->ref ? url->ref : "", url->checksum,
                     tagged ? tag : commit, tagged ? " or " : "", tagged ? commit : "");
}

/* TREE with the time of the commit (mtime=commit). The caller's. */
static struct tree *with_times(const struct tree *tree, int64_t time)
{
    struct tree_builder *builder = tree_builder_new();
    for (size_t i = 0; i < tree_len(tree); i++) {
        struct entry entry = *tree_at(tree, i);
        entry.mtime = time;
        entry.flags &= (uint8_t)~ENTRY_TIME_VOLATILE;
        tree_builder_add(builder, &entry);
    }
    return tree_builder_finish(builder);
}

/* What the URL asks for besides the commit's own tree. */
static int complete(const struct commit_tree_request *request, const struct git_mirror *mirror,
                    struct git_source *source, struct error *err)
{
    const struct git_url *url = request->url;
    if (url->keep_git_dir && url->subdir[0]) {
        event_warning(request->events, NULL, 0,
                      "%s: of the folder '%s' alone no .git is kept, as BuildKit has it",
                      url->display, url->subdir);
    } else if (url->keep_git_dir) {
        AUTO(tree_unrefp) struct tree *git_dir = NULL;
        if (git_dir_make(request, mirror, &git_dir, err)) {
            return -1;
        }
        struct tree *whole = tree_merge(source->tree, git_dir);
        tree_unref(source->tree);
        source->tree = whole;
        source->cacheable = false;
    }
    if (url->commit_times) {
        struct tree *timed = with_times(source->tree, source->commit_time);
        tree_unref(source->tree);
        source->tree = timed;
        source->cacheable = false;
    }
    return 0;
}

static int open_once(const struct commit_tree_request *request, struct git_source *out,
                     struct error *err)
{
    const struct git_url *url = request->url;
    AUTO(git_mirror_release) struct git_mirror mirror = {0};
    if (git_mirror_open(request->store, url, request->offline, request->events, &mirror, err)) {
        return -1;
    }
    AUTO(git_commit_freep) git_commit *commit = NULL;
    struct commit_tree at = {0};
    if (verify(url, &mirror, err) ||
        commit_tree_open(request, mirror.repo, &mirror.commit, url->subdir, &at, err)) {
        return -1;
    }
    AUTO(tree_unrefp) struct tree *tree = at.tree;
    if (git_commit_lookup(&commit, mirror.repo, &mirror.commit)) {
        return git_fault(err, ERR_STORE, "%s: read its commit", url->display);
    }
    *out = (struct git_source){.url = mem_strdup(url->display),
                               .ref = mem_strdup(url->ref),
                               .subdir = mem_strdup(url->subdir),
                               .commit_time = git_commit_time(commit),
                               .cacheable = at.cacheable,
                               .digests = at.cached ? count_digests(tree) : 0,
                               .tree = MEM_STEAL(tree)};
    git_oid_tostr(out->commit, sizeof out->commit, &mirror.commit);
    git_oid_tostr(out->tree_id, sizeof out->tree_id, &at.id);
    if (complete(request, &mirror, out, err)) {
        git_source_release(out);
        return -1;
    }
    return 0;
}

/* The request's wishes and the query's in one place: URL. */
static int agree(const struct git_request *wanted, struct git_url *url, struct error *err)
{
    if (wanted->keep_git_dir && url->drop_git_dir) {
        return error_set(err, ERR_USAGE, "--keep-git-dir and keep-git-dir=false in %s",
                         url->display);
    }
    url->keep_git_dir |= wanted->keep_git_dir;
    if (wanted->checksum && url->checksum && strcmp(wanted->checksum, url->checksum) != 0) {
        return error_set(err, ERR_USAGE, "%s: the checksum %.200s is not the query's %.200s",
                         url->display, wanted->checksum, url->checksum);
    }
    if (wanted->checksum && !url->checksum) {
        url->checksum = mem_strdup(wanted->checksum);
    }
    const char *hex = url->checksum;
    if (hex && (!hex[0] || hex[strspn(hex, "0123456789abcdefABCDEF")])) {
        return error_set(err, ERR_USAGE,
                         "invalid checksum %.200s for the git URL %s: expected the hex id of a "
                         "commit",
                         hex, url->display);
    }
    return 0;
}

int git_source_open(const struct git_request *wanted, struct git_source *out, struct error *err)
{
    AUTO(git_url_release) struct git_url url = {0};
    if (git_url_parse(wanted->url, &url, err) || agree(wanted, &url, err)) {
        return -1;
    }
    struct commit_tree_request request = {.store = wanted->store,
                                          .url = &url,
                                          .filter = wanted->filter,
                                          .events = wanted->events,
                                          .offline = wanted->offline,
                                          .no_submodules = url.no_submodules};
    if (open_once(&request, out, err) == 0) {
        return 0;
    }
    if (err->code != ERR_STORE || err->sys_errno || wanted->offline) {
        return -1;
    }
    /* A damaged mirror has been marked as such: the second time it is made anew. */
    struct error first = *err;
    error_clear(err);
    if (open_once(&request, out, err) == 0) {
        return 0;
    }
    *err = first;
    return -1;
}

/* WHOLE with the digests that entries of USED, some of its own, have by now. */
static struct tree *with_digests(const struct tree *whole, const struct tree *used)
{
    struct tree_builder *builder = tree_builder_new();
    size_t at = 0;
    for (size_t i = 0; i < tree_len(whole); i++) {
        struct entry entry = *tree_at(whole, i);
        while (at < tree_len(used) && strcmp(tree_at(used, at)->path, entry.path) < 0) {
            at++;
        }
        const struct entry *seen = at < tree_len(used) ? tree_at(used, at) : NULL;
        if (seen && seen->flags & ENTRY_HAS_DIGEST && strcmp(seen->path, entry.path) == 0) {
            entry.digest = seen->digest;
            entry.flags |= ENTRY_HAS_DIGEST;
        }
        tree_builder_add(builder, &entry);
    }
    return tree_builder_finish(builder);
}

void git_source_save_digests(const struct git_source *source, const struct tree *used,
                             struct store *store)
{
    AUTO(tree_unrefp)
    struct tree *whole =
        used == source->tree ? tree_ref(source->tree) : with_digests(source->tree, used);
    size_t digests = count_digests(whole);
    git_oid id;
    if (source->digests > 0 && digests == source->digests) {
        return; /* nothing new since it was read */
    }
    commit_tree_save_digests(whole, store, source->url);
    if (source->cacheable && git_oid_fromstr(&id, source->tree_id) == 0) {
        AUTO(mem_freep) char *name = tree_cache_name(source->url, source->subdir);
        tree_cache_save(store, name, &id, whole);
    }
}
