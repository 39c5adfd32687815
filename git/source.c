#include "git/source.h"

#include <string.h>

#include "base/memory.h"
#include "git/commit_tree.h"
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
    if (commit_tree_open(request, mirror.repo, &mirror.commit, url->subdir, &at, err)) {
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
    return 0;
}

int git_source_open(struct store *store, const char *url_text, bool offline,
                    const struct folder_filter *filter, struct event_sink *events,
                    struct git_source *out, struct error *err)
{
    AUTO(git_url_release) struct git_url url = {0};
    if (git_url_parse(url_text, &url, err)) {
        return -1;
    }
    struct commit_tree_request request = {
        .store = store, .url = &url, .filter = filter, .events = events, .offline = offline};
    if (open_once(&request, out, err) == 0) {
        return 0;
    }
    if (err->code != ERR_STORE || offline) {
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
