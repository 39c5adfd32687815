/* The build context: which kind it is, its Dockerfile, its .dockerignore, and the tree behind. */
#include "builder/context.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/truth.h"
#include "builder/context_part.h"
#include "git/source.h"
#include "oci/folder.h"
#include "oci/tar_read.h"

struct context {
    struct store *store;
    char *name;                   /* for records: no credentials, a folder's whole path */
    char *folder;                 /* a folder of this machine; NULL: `whole` is the source */
    struct tree *whole;           /* everything that git or the archive holds */
    struct tree *tree;            /* what .dockerignore leaves; made by the first who asks */
    struct content_source *files; /* of a folder's tree that was dropped; NULL: none was */
    pthread_mutex_t lock;         /* while `tree` is made or dropped */
    struct ignore *ignore;
    char *ignore_name;
    char *dockerfile_name;
    struct buf dockerfile;
    bool in_git;
    int64_t commit_time;
    struct git_source git;  /* where the source is a git URL */
    struct context *shared; /* borrowed: whose files these are, and whose tree where .dockerignore
                               is the same; NULL: its own */
};

void context_freep(struct context **context)
{
    struct context *c = *context;
    if (!c) {
        return;
    }
    tree_unref(c->whole);
    tree_unref(c->tree);
    content_unref(c->files);
    git_source_release(&c->git);
    ignore_freep(&c->ignore);
    free(c->name);
    free(c->folder);
    free(c->ignore_name);
    free(c->dockerfile_name);
    buf_release(&c->dockerfile);
    pthread_mutex_destroy(&c->lock);
    free(c);
    *context = NULL;
}

static struct context *context_new(struct store *store)
{
    struct context *c = mem_calloc(1, sizeof *c);
    c->store = store;
    c->dockerfile = (struct buf)BUF_INIT(LIMIT_DOCKERFILE_BYTES);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

/* Reads NAME of the context itself. */
static int read_inside(struct context *c, const char *name, size_t max, struct buf *out,
                       bool *found_out, struct error *err)
{
    *found_out = false;
    if (c->folder) {
        AUTO(fd_closep) int root = -1;
        if (file_open(AT_FDCWD, c->folder, O_PATH | O_DIRECTORY, 0, &root, err) != 0) {
            return -1;
        }
        AUTO(fd_closep) int fd = -1;
        if (file_open_in_root(root, name, O_RDONLY | O_NONBLOCK, 0, &fd, err) != 0) {
            bool missing = err->sys_errno == ENOENT || err->sys_errno == ENOTDIR;
            if (missing) {
                error_clear(err);
            }
            return missing ? 0 : -1;
        }
        *found_out = true;
        return file_read_fd(fd, name, max, out, err);
    }
    AUTO(mem_freep) char *path = NULL;
    if (!c->whole || tree_resolve(c->whole, name, true, &path, err) != 0) {
        error_clear(err);
        return 0;
    }
    const struct entry *entry = tree_find(c->whole, path);
    if (!entry || entry_inode(entry)->type != ENTRY_FILE) {
        return 0;
    }
    *found_out = true;
    return entry_read(entry, max, out, err);
}

/* Reads NAME of this machine, relative to the current folder. */
static int read_outside(const char *name, size_t max, struct buf *out, bool *found_out,
                        struct error *err)
{
    struct stat st;
    *found_out = stat(name, &st) == 0 && !S_ISDIR(st.st_mode);
    return *found_out ? file_read(AT_FDCWD, name, max, out, NULL, err) : 0;
}

static int read_stdin_dockerfile(struct context *c, struct error *err)
{
    c->dockerfile_name = mem_strdup("Dockerfile (standard input)");
    return file_read_fd(STDIN_FILENO, "standard input", LIMIT_DOCKERFILE_BYTES, &c->dockerfile,
                        err);
}

/* Reads NAME: for a folder a file of this machine first, as docker has it; for git and archives one
 * inside first. */
static int read_either(struct context *c, const char *name, bool *found_out, struct error *err)
{
    for (int i = 0; i < 2 && !*found_out; i++) {
        bool outside = (i == 0) == (c->folder != NULL);
        int r = outside
                    ? read_outside(name, LIMIT_DOCKERFILE_BYTES, &c->dockerfile, found_out, err)
                    : read_inside(c, name, LIMIT_DOCKERFILE_BYTES, &c->dockerfile, found_out, err);
        if (r != 0) {
            err->code = ERR_USAGE;
            return -1;
        }
    }
    return 0;
}

/* The Dockerfile that -f names. "dockerfile" stands in for a "Dockerfile" that is not there. */
static int read_named_dockerfile(struct context *c, const char *name, struct error *err)
{
    bool found = false;
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    c->dockerfile_name = mem_strdup(name);
    if (read_either(c, name, &found, err) != 0) {
        return -1;
    }
    if (!found && strcmp(base, "Dockerfile") == 0) {
        char *first = c->dockerfile_name + (base - name);
        *first = 'd';
        if (read_either(c, c->dockerfile_name, &found, err) != 0) {
            return -1;
        }
    }
    return found ? 0 : error_set(err, ERR_USAGE, "the Dockerfile '%s' does not exist", name);
}

static int read_dockerfile(struct context *c, const char *name, struct error *err)
{
    if (name && strcmp(name, "-") == 0) {
        return read_stdin_dockerfile(c, err);
    }
    if (name) {
        return read_named_dockerfile(c, name, err);
    }
    static const char *const names[] = {"Dockerfile", "dockerfile", "Containerfile"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bool found = false;
        if (read_inside(c, names[i], LIMIT_DOCKERFILE_BYTES, &c->dockerfile, &found, err) != 0) {
            err->code = ERR_USAGE;
            return -1;
        }
        if (found) {
            c->dockerfile_name = c->folder && strcmp(c->folder, ".") != 0
                                     ? mem_printf("%s/%s", c->folder, names[i])
                                     : mem_strdup(names[i]);
            return 0;
        }
    }
    return error_set(err, ERR_USAGE, "no Dockerfile in %s; name it with -f",
                     c->folder ? c->folder : "the build context");
}

/* <Dockerfile>.dockerignore counts before .dockerignore. */
static int read_ignore(struct context *c, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_DOCKERIGNORE_BYTES);
    bool found = false;
    if (c->dockerfile_name) {
        AUTO(mem_freep) char *name = mem_printf("%s.dockerignore", c->dockerfile_name);
        if (c->folder && read_outside(name, LIMIT_DOCKERIGNORE_BYTES, &text, &found, err) != 0) {
            return -1;
        }
        if (!found && read_inside(c, name, LIMIT_DOCKERIGNORE_BYTES, &text, &found, err) != 0) {
            return -1;
        }
        if (found) {
            c->ignore_name = MEM_STEAL(name);
        }
    }
    if (!found) {
        if (read_inside(c, ".dockerignore", LIMIT_DOCKERIGNORE_BYTES, &text, &found, err) != 0) {
            return -1;
        }
        c->ignore_name = mem_strdup(".dockerignore");
    }
    if (!found) {
        return 0;
    }
    return ignore_parse(buf_text(&text), text.len, c->ignore_name, &c->ignore, err);
}

static enum folder_verdict judge(void *ctx, const char *path, bool is_dir)
{
    const struct ignore *ignore = ctx;
    if (!ignore_excludes(ignore, path, is_dir, NULL)) {
        return FOLDER_KEEP;
    }
    return is_dir && !ignore_prunes(ignore, path) ? FOLDER_ENTER : FOLDER_DROP;
}

static int scan_folder(struct context *c, struct tree **out, struct error *err)
{
    struct folder_filter filter = {.judge = judge, .ctx = c->ignore};
    /* Whose files they are on this machine is nobody's business; git knows no attributes. */
    struct folder_options options = {.filter = c->ignore ? &filter : NULL,
                                     .store = c->store,
                                     .root_owned = true,
                                     .no_xattrs = c->in_git};
    AUTO(tree_unrefp) struct tree *raw = NULL;
    if (folder_tree(c->folder, &options, &raw, err) != 0) {
        return -1;
    }
    bool in_git = false;
    int64_t time = 0;
    return git_normalise_folder(c->folder, raw, &in_git, &time, out, err);
}

/* Whether what .dockerignore leaves is the same as for the context that C shares. */
static bool same_selection(const struct context *c)
{
    const struct context *s = c->shared;
    if (!s || (c->ignore == NULL) != (s->ignore == NULL)) {
        return false;
    }
    return !c->ignore || strcmp(c->ignore_name, s->ignore_name) == 0;
}

static int make_tree(struct context *c, struct error *err)
{
    if (c->tree) {
        return 0;
    }
    if (same_selection(c)) {
        struct tree *tree = NULL;
        if (context_tree(c->shared, &tree, err) != 0) {
            return -1;
        }
        c->tree = tree_ref(tree);
        return 0;
    }
    if (c->folder) {
        return scan_folder(c, &c->tree, err);
    }
    c->tree = c->ignore ? context_without_ignored(c->whole, c->ignore) : tree_ref(c->whole);
    return 0;
}

int context_tree(struct context *context, struct tree **out, struct error *err)
{
    pthread_mutex_lock(&context->lock);
    int r = make_tree(context, err);
    pthread_mutex_unlock(&context->lock);
    if (r == 0) {
        *out = context->tree;
    }
    return r;
}

/* BuildKit's build argument; the URL's query goes before it. */
static bool keeps_git_dir(const struct build_request *request)
{
    const char *value = strlist_env_get(&request->build_args, "BUILDKIT_CONTEXT_KEEP_GIT_DIR");
    bool keep = false;
    return value && truth_parse(value, &keep) && keep;
}

static int open_git(struct context *c, const struct build_request *request, const char *url,
                    struct error *err)
{
    struct git_request wanted = {.store = request->store,
                                 .url = url,
                                 .events = request->events,
                                 .offline = request->offline,
                                 .keep_git_dir = keeps_git_dir(request)};
    if (git_source_open(&wanted, &c->git, err) != 0) {
        return -1;
    }
    c->whole = tree_ref(c->git.tree);
    c->name = mem_strdup(c->git.url);
    c->in_git = true;
    c->commit_time = c->git.commit_time;
    return 0;
}

/* Standard input into a temporary file, as an archive is read more than once. */
static int spool_stdin(struct context *c, int *fd_out, struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (store_temp_file(c->store, &fd, err) != 0) {
        return -1;
    }
    AUTO(reader_freep) struct reader *in = reader_fd(dup(STDIN_FILENO), "standard input");
    AUTO(writer_freep) struct writer *out = writer_fd(dup(fd), "the store's temporary file");
    if (stream_copy(in, out, NULL, err) != 0) {
        return -1;
    }
    lseek(fd, 0, SEEK_SET);
    *fd_out = fd_steal(&fd);
    return 0;
}

static int open_archive(struct context *c, int fd, const char *name, struct error *err)
{
    bool is_archive = false;
    if (tar_file_tree(c->store, fd, name, &c->whole, &is_archive, err) != 0) {
        return -1;
    }
    if (is_archive) {
        return 0;
    }
    if (strcmp(name, "standard input") != 0) {
        return error_set(err, ERR_USAGE,
                         "the build context '%s' is neither a folder nor an archive", name);
    }
    /* docker's `build -` takes a Dockerfile alone, too. */
    c->whole = tree_empty();
    c->dockerfile_name = mem_strdup("Dockerfile (standard input)");
    lseek(fd, 0, SEEK_SET);
    return file_read_fd(fd, name, LIMIT_DOCKERFILE_BYTES, &c->dockerfile, err);
}

static int open_file(struct context *c, const char *path, struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (strcmp(path, "-") == 0) {
        return spool_stdin(c, &fd, err) == 0 ? open_archive(c, fd, "standard input", err) : -1;
    }
    if (file_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, &fd, err) != 0) {
        err->code = ERR_USAGE;
        return error_wrap(err, "the build context");
    }
    return open_archive(c, fd, path, err);
}

static int open_source(struct context *c, const struct build_request *request, const char *value,
                       struct error *err)
{
    struct stat st;
    if (strcmp(value, "-") != 0 && stat(value, &st) == 0 && S_ISDIR(st.st_mode)) {
        c->folder = mem_strdup(value);
        c->name = realpath(value, NULL);
        /* The time alone; the files are read when a step asks for them. */
        AUTO(tree_unrefp) struct tree *none = tree_empty();
        AUTO(tree_unrefp) struct tree *normal = NULL;
        return git_normalise_folder(value, none, &c->in_git, &c->commit_time, &normal, err);
    }
    if (git_is_url(value)) {
        return open_git(c, request, value, err);
    }
    return open_file(c, value, err);
}

static int take_part(struct context *c, const struct context *shared, const char *part,
                     struct error *err)
{
    if (shared->folder) {
        AUTO(fd_closep) int root = -1;
        AUTO(fd_closep) int fd = -1;
        struct error ignored = {0};
        c->folder = mem_printf("%s/%s", shared->folder, part);
        /* No links: in a commit there is nothing that they could lead to, either. */
        if (file_open(AT_FDCWD, shared->folder, O_PATH | O_DIRECTORY, 0, &root, err) != 0) {
            return -1;
        }
        if (file_open_no_links(root, part, O_PATH | O_DIRECTORY, 0, &fd, &ignored) == 0) {
            return 0;
        }
    } else {
        const struct entry *entry = tree_find(shared->whole, part);
        if (entry && entry->type == ENTRY_DIR) {
            c->whole = context_part(shared->whole, part);
            return 0;
        }
    }
    return error_set(err, ERR_USAGE, "the build context has no folder '%s'", part);
}

/* What C's files are where another context has them open already. */
static int take_shared(struct context *c, const struct build_request *request, struct error *err)
{
    struct context *shared = request->shared;
    AUTO(mem_freep) char *part = request->part ? path_clean(request->part) : NULL;
    c->in_git = shared->in_git;
    c->commit_time = shared->commit_time;
    if (part && part[0]) {
        return take_part(c, shared, part, err);
    }
    c->shared = shared;
    c->folder = mem_strdup(shared->folder);
    c->whole = shared->whole ? tree_ref(shared->whole) : NULL;
    if (shared->dockerfile_name && !request->dockerfile) {
        c->dockerfile_name = mem_strdup(shared->dockerfile_name);
        buf_append(&c->dockerfile, buf_text(&shared->dockerfile), shared->dockerfile.len);
    }
    return 0;
}

int context_open(const struct build_request *request, struct context **out, struct error *err)
{
    AUTO(context_freep) struct context *c = context_new(request->store);
    const char *value = request->context && request->context[0] ? request->context : ".";
    bool both =
        strcmp(value, "-") == 0 && request->dockerfile && strcmp(request->dockerfile, "-") == 0;
    if (both) {
        return error_set(err, ERR_USAGE,
                         "standard input cannot be both the build context and the Dockerfile");
    }
    int r = request->shared ? take_shared(c, request, err) : open_source(c, request, value, err);
    if (r != 0) {
        return -1;
    }
    if (!c->dockerfile_name && read_dockerfile(c, request->dockerfile, err) != 0) {
        return -1;
    }
    if (read_ignore(c, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(c);
    return 0;
}

int context_open_named(const struct build_request *request, const char *value, struct context **out,
                       struct error *err)
{
    AUTO(context_freep) struct context *c = context_new(request->store);
    if (open_source(c, request, value, err) != 0 || read_ignore(c, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(c);
    return 0;
}

int context_read(struct context *context, const char *name, size_t max, struct buf *out,
                 bool *found_out, struct error *err)
{
    return read_inside(context, name, max, out, found_out, err);
}

void context_drop_tree(struct context *context)
{
    pthread_mutex_lock(&context->lock);
    if (context->folder && !context->shared && context->tree) {
        struct content_source *files = folder_tree_source(context->tree);
        content_unref(context->files);
        context->files = files ? content_ref(files) : NULL;
        tree_unref(context->tree);
        context->tree = NULL;
    }
    pthread_mutex_unlock(&context->lock);
}

void context_save(struct context *context)
{
    if (context->files) {
        folder_save_cache(context->files, context->store);
    }
    if (!context->tree || (context->shared && context->tree == context->shared->tree)) {
        return;
    }
    if (context->folder) {
        folder_save_cache(folder_tree_source(context->tree), context->store);
    } else if (context->git.tree) {
        /* The digests are known to the entries that were used: those of the filtered tree. */
        git_source_save_digests(&context->git, context->tree, context->store);
    }
}

bool context_is_folder(const struct context *context)
{
    return context->folder != NULL;
}

const char *context_name(const struct context *context)
{
    return context->name ? context->name : "archive";
}

const char *context_dockerfile_name(const struct context *context)
{
    return context->dockerfile_name;
}

const struct buf *context_dockerfile(const struct context *context)
{
    return &context->dockerfile;
}

const struct ignore *context_ignore(const struct context *context)
{
    return context->ignore;
}

/* Whether PATH is there at all, excluded or not. */
static bool is_there(const struct context *context, const char *path)
{
    struct error ignored = {0};
    AUTO(fd_closep) int root = -1;
    AUTO(fd_closep) int fd = -1;
    if (!context->folder) {
        return tree_find(context->whole, path) != NULL;
    }
    return file_open(AT_FDCWD, context->folder, O_PATH | O_DIRECTORY, 0, &root, &ignored) == 0 &&
           file_open_in_root(root, path, O_PATH, 0, &fd, &ignored) == 0;
}

char *context_why_excluded(struct context *context, const char *path)
{
    unsigned line = 0;
    if (!context->ignore || !ignore_excludes(context->ignore, path, false, &line) ||
        !is_there(context, path)) {
        return NULL;
    }
    return mem_printf("excluded by %s line %u: %.80s", context->ignore_name, line,
                      ignore_pattern_at(context->ignore, line));
}

bool context_commit_time(const struct context *context, int64_t *seconds_out)
{
    if (context->in_git) {
        *seconds_out = context->commit_time;
    }
    return context->in_git;
}
