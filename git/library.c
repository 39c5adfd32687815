#include "git/library.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/shared_library.h"
#include "git/trust.h"
#include "git/url.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_result;
/* Held while a repository is opened: the check of the owner is a switch of the whole library. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static struct git_functions functions;
static void *library;

/* The name of the ABI that git2.h belongs to. */
#define LIBRARY_NAME "libgit2.so." LIBGIT2_SOVERSION

static void load(void)
{
    library = shared_library_open(LIBRARY_NAME);
#define GIT_LOAD(NAME)                                                                             \
    functions.NAME = (__typeof__(functions.NAME))shared_library_symbol(library, "git_" #NAME);
    GIT_FUNCTIONS(GIT_LOAD)
#undef GIT_LOAD
}

const struct git_functions *git_functions(void)
{
    pthread_once(&load_once, load);
    return &functions;
}

static void init(void)
{
    git_functions();
    git_trust_starting(library);
    init_result = git_libgit2_init();
    git_trust_started();
    if (init_result < 0) {
        return;
    }
    git_error_clear();
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
    /* By default all of a pack stays mapped. */
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)(4 * MIB));
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)(32 * MIB));
    /* What these mean does not touch how objects are read; libgit2 1.5 refuses repositories that
     * name them. */
    static const char *extensions[] = {"worktreeconfig", "partialclone", "preciousobjects",
                                       "relativeworktrees"};
    git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, ARRAY_LEN(extensions));
}

int git_library_init(struct error *err)
{
    pthread_once(&once, init);
    return init_result >= 0 ? 0 : git_fault(err, ERR_STORE, "start libgit2");
}

int git_fault(struct error *err, enum error_code code, const char *format, ...)
{
    /* Its text is the thread's, and the next call into it changes it. */
    const git_error *last = git_error_last();
    AUTO(mem_freep)
    char *words = git_url_redact(last && last->message ? last->message : "unknown error");
    for (char *p = words; *p; p++) {
        if ((unsigned char)*p < 0x20) {
            *p = ' ';
        }
    }
    char front[ERROR_TEXT_SIZE / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(front, sizeof front, format, args);
    va_end(args);
    return error_set(err, code, "%s: %.800s", front, words);
}

int git_library_open(const char *path, bool search, bool trusted, git_repository **out)
{
    unsigned flags = search ? 0 : GIT_REPOSITORY_OPEN_NO_SEARCH;
    pthread_mutex_lock(&open_lock);
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, trusted ? 0 : 1);
    int result = git_repository_open_ext(out, path, flags, NULL);
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_repository *other = NULL;
    if (result == GIT_ENOTFOUND && !trusted &&
        git_repository_open_ext(&other, path, flags, NULL) == 0) {
        /* libgit2 1.5 says "not found" of another user's repository where there is no ~/.gitconfig.
         */
        git_repository_free(other);
        result = GIT_EOWNER;
    }
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 1);
    pthread_mutex_unlock(&open_lock);
    return result;
}

#define DEFINE_FREEP(NAME, TYPE, FREE)                                                             \
    void NAME(TYPE **pointer)                                                                      \
    {                                                                                              \
        if (*pointer) {                                                                            \
            FREE(*pointer);                                                                        \
        }                                                                                          \
        *pointer = NULL;                                                                           \
    }

DEFINE_FREEP(git_repository_freep, git_repository, git_repository_free)
DEFINE_FREEP(git_reference_freep, git_reference, git_reference_free)
DEFINE_FREEP(git_object_freep, git_object, git_object_free)
DEFINE_FREEP(git_commit_freep, git_commit, git_commit_free)
DEFINE_FREEP(git_tree_freep, git_tree, git_tree_free)
DEFINE_FREEP(git_remote_freep, git_remote, git_remote_free)
DEFINE_FREEP(git_odb_freep, git_odb, git_odb_free)
DEFINE_FREEP(git_odb_object_freep, git_odb_object, git_odb_object_free)
DEFINE_FREEP(git_config_freep, git_config, git_config_free)
DEFINE_FREEP(git_index_freep, git_index, git_index_free)
DEFINE_FREEP(git_index_iterator_freep, git_index_iterator, git_index_iterator_free)

void git_buf_disposep(git_buf *buf)
{
    if (buf->ptr) {
        git_buf_dispose(buf);
    }
}
