#include "git/source.h"

#include <string.h>

#include "base/memory.h"
#include "git/commit_tree.h"
#include "git/library.h"
#include "git/mirror.h"
#include "git/url.h"

void git_source_release(struct git_source *source)
{
    mem_freep(&source->url);
    mem_freep(&source->ref);
    mem_freep(&source->subdir);
    tree_unref(source->tree);
    *source = (struct git_source){0};
}

static int open_once(const struct commit_tree_request *request, struct git_source *out,
                     struct error *err)
{
    const struct git_url *url = request->url;
    AUTO(git_mirror_release) struct git_mirror mirror = {0};
    if (git_mirror_open(request->store, url, request->offline, request->events, &mirror, err)) {
        return -1;
    }
    git_oid tree_id;
    AUTO(tree_unrefp) struct tree *tree = NULL;
    if (commit_tree_open(request, mirror.repo, &mirror.commit, url->subdir, &tree_id, &tree, err)) {
        return -1;
    }
    AUTO(git_commit_freep) git_commit *commit = NULL;
    if (git_commit_lookup(&commit, mirror.repo, &mirror.commit)) {
        return git_fault(err, ERR_STORE, "%s: read its commit", url->display);
    }
    *out = (struct git_source){.url = mem_strdup(url->display),
                               .ref = mem_strdup(url->ref),
                               .subdir = mem_strdup(url->subdir),
                               .commit_time = git_commit_time(commit),
                               .tree = MEM_STEAL(tree)};
    git_oid_tostr(out->commit, sizeof out->commit, &mirror.commit);
    git_oid_tostr(out->tree_id, sizeof out->tree_id, &tree_id);
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

void git_source_save_digests(const struct git_source *source, struct store *store)
{
    commit_tree_save_digests(source->tree, store, source->url);
}
