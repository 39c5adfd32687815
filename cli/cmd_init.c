/* init: a first slipway.json for a repository. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/text.h"
#include "deploy/init.h"
#include "deploy/pipeline.h"

struct init_options {
    bool force;
    const char *file;
};

static const struct option_spec specs[] = {
    {.name = "force",
     .help = "replace a slipway.json that is there",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct init_options, force)},
    {.name = "output",
     .letter = 'o',
     .argument = "FILE",
     .help = "write to FILE (FOLDER/slipway.json); -: standard output",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct init_options, file)},
};
static const struct option_group init_group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "init",
    .usage = "[OPTIONS] [FOLDER]",
    .summary = "Writes slipway.json from the Dockerfiles, buildspec.yml, taskdef.json and "
               "appspec.yaml in\nFOLDER (.).",
    .groups = {&init_group},
    .max_arguments = 1,
};

enum { DEPTH_MAX = 3 };

static bool is_dockerfile(const char *name)
{
    size_t len = strlen(name);
    bool ignore = len > 13 && strcmp(name + len - 13, ".dockerignore") == 0;
    return !ignore && (strcmp(name, "Dockerfile") == 0 || strncmp(name, "Dockerfile.", 11) == 0 ||
                       (len > 11 && strcmp(name + len - 11, ".Dockerfile") == 0));
}

/* Folders that hold other people's work. */
static bool is_skipped(const char *name)
{
    return name[0] == '.' || strcmp(name, "node_modules") == 0 || strcmp(name, "vendor") == 0 ||
           strcmp(name, "target") == 0 || strcmp(name, "venv") == 0;
}

/* Adds the Dockerfiles in PATH ("" for ROOT itself) and the folders below. */
static int find_dockerfiles(int root, const char *path, unsigned depth, struct strlist *out,
                            struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (file_open(root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, err) !=
        0) {
        return -1;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        return error_errno(err, ERR_STORE, "%s", path);
    }
    fd = -1;
    int r = 0;
    for (struct dirent *entry = readdir(dir); entry && r == 0; entry = readdir(dir)) {
        AUTO(mem_freep)
        char *name = mem_printf("%s%s%s", path, path[0] ? "/" : "", entry->d_name);
        struct stat st;
        if (fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (S_ISREG(st.st_mode) && is_dockerfile(entry->d_name)) {
            strlist_add(out, name);
        } else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX && !is_skipped(entry->d_name)) {
            r = find_dockerfiles(root, name, depth + 1, out, err);
        }
    }
    closedir(dir);
    return r;
}

static int read_in_folder(void *ctx, const char *name, size_t max, struct buf *out, bool *found_out,
                          struct error *err)
{
    const int *root = ctx;
    AUTO(fd_closep) int fd = -1;
    *found_out = false;
    if (file_open_in_root(*root, name, O_RDONLY | O_NONBLOCK, 0, &fd, err) != 0) {
        bool missing = err->sys_errno == ENOENT || err->sys_errno == ENOTDIR;
        if (missing) {
            error_clear(err);
        }
        return missing ? 0 : -1;
    }
    *found_out = true;
    return file_read_fd(fd, name, max, out, err);
}

static int write_result(const struct init_options *o, const char *folder,
                        const struct init_result *result, struct error *err)
{
    AUTO(mem_freep) char *usual = mem_printf("%s/%s", folder, PIPELINE_FILE);
    const char *path = o->file ? o->file : strcmp(folder, ".") == 0 ? PIPELINE_FILE : usual;
    if (strcmp(path, "-") == 0) {
        fputs(buf_text(&result->text), stdout);
        return 0;
    }
    if (!o->force && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return error_set(err, ERR_USAGE, "%s is there already: --force replaces it", path);
    }
    if (file_write_atomic(AT_FDCWD, path, buf_text(&result->text), result->text.len, 0644, true,
                          err) != 0) {
        return -1;
    }
    printf("wrote %s\n", path);
    return 0;
}

/* One line about what was found, with nothing of a stranger's file that steers a terminal. */
static void say(const char *prefix, const struct strlist *lines)
{
    for (size_t i = 0; i < lines->len; i++) {
        AUTO(buf_release) struct buf clean = BUF_INIT(0);
        text_clean(lines->items[i], strlen(lines->items[i]), &clean);
        fprintf(stderr, "%s%s\n", prefix, buf_text(&clean));
    }
}

static int run(const struct init_options *o, const char *folder, struct error *err)
{
    AUTO(fd_closep) int root = -1;
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(strlist_release) struct strlist dockerfiles = {0};
    AUTO(mem_freep) char *path = realpath(folder, NULL);
    if (file_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0, &root, err) != 0 ||
        find_dockerfiles(root, "", 0, &dockerfiles, err) != 0) {
        err->code = ERR_USAGE;
        return -1;
    }
    strlist_sort(&dockerfiles);
    struct init_inputs inputs = {.files = {.read = read_in_folder, .ctx = &root},
                                 .dockerfiles = dockerfiles,
                                 .name = path ? path_name(path) : ""};
    if (pipeline_init(&inputs, &result, err) != 0) {
        return error_wrap(err, "%s", folder);
    }
    if (write_result(o, folder, &result, err) != 0) {
        return -1;
    }
    say("", &result.concluded);
    say("still open: ", &result.open);
    return 0;
}

int cmd_init(struct invocation *call, struct error *err)
{
    struct init_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    return run(&options, arguments.len ? arguments.items[0] : ".", err) != 0
               ? error_wrap(err, "init")
               : 0;
}
