#include "builder/upper_diff.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/strlist.h"
#include "builder/inode_names.h"
#include "builder/upper_internal.h"

/* The walk through the upper folder. No descriptor stays open from one folder to those below it: a
 * RUN may nest them as deep as it likes. */
struct walk {
    const struct upper_diff *diff;
    struct tree_builder *builder;
    struct content_source *source;
    struct inode_names names;
    size_t added; /* entries so far, those of unchanged parents not counted */
};

/* One folder on the way. */
struct place {
    const char *path; /* tree form */
    bool in_view;     /* a folder there, too */
    bool hidden;      /* what lies below it in the view is to be deleted */
    bool gives_group; /* setgid, of a group that does not exist here: what is new gets GROUP */
    gid_t group;
};

/* Whether a time says only when something was written, or copied from what was. */
static bool is_volatile(const struct upper_diff *diff, const struct timespec *t)
{
    const struct timespec *start = &diff->start;
    if (t->tv_sec > start->tv_sec || (t->tv_sec == start->tv_sec && t->tv_nsec >= start->tv_nsec)) {
        return true;
    }
    for (size_t i = 0; i < diff->stamps_len; i++) {
        if (t->tv_sec == diff->stamps[i]) {
            return true;
        }
    }
    return false;
}

static void add_node(struct walk *walk, const struct node *node, const char *path, uint8_t flags)
{
    struct entry entry;
    node_entry(node, path, &entry);
    entry.flags = flags;
    if (is_volatile(walk->diff, &node->st.st_mtim)) {
        entry.flags |= ENTRY_TIME_VOLATILE;
    }
    if (entry.type == ENTRY_FILE && node->st.st_nlink > 1) {
        const char *first = inode_names_first(&walk->names, node->st.st_ino, path);
        if (strcmp(first, path) != 0) {
            entry.type = ENTRY_HARDLINK;
            entry.link = first;
            entry.size = 0;
        }
    }
    if (entry.type == ENTRY_FILE && entry.size > 0) {
        entry.source = walk->source;
        entry.handle = upper_source_add(walk->source, entry.path);
    }
    tree_builder_add(walk->builder, &entry);
    walk->added++;
}

static void add_whiteout(struct walk *walk, const char *path)
{
    struct entry entry = {.path = path, .type = ENTRY_WHITEOUT};
    tree_builder_add(walk->builder, &entry);
    walk->added++;
}

/* A socket is no part of an image: it goes, and what it replaced is deleted. */
static int drop_socket(struct walk *walk, const char *path, const struct node *below,
                       struct error *err)
{
    int upper = walk->diff->upper;
    if (unlinkat(upper, path, 0) != 0) {
        return error_errno(err, ERR_STORE, "remove the socket '%s'", path);
    }
    if (below->found) {
        if (mknodat(upper, path, S_IFCHR, makedev(0, 0)) != 0) {
            return error_errno(err, ERR_STORE, "mark '%s' as deleted", path);
        }
        add_whiteout(walk, path);
    }
    return 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* What is no folder. */
static int visit_file(struct walk *walk, const char *path, const struct node *node,
                      const struct node *below, struct error *err)
{
    const struct upper_diff *diff = walk->diff;
    if (node_is_whiteout(node)) {
        if (below->found) {
            add_whiteout(walk, path);
            return 0;
        }
        /* It deleted something that was there only for a mount, or of this RUN. */
        return unlinkat(diff->upper, path, 0) == 0
                   ? 0
                   : error_errno(err, ERR_STORE, "remove the mark '%s'", path);
    }
    if (S_ISSOCK(node->st.st_mode)) {
        return drop_socket(walk, path, below, err);
    }
    /* Opened for writing and left alone. Names of one file stay together, changed or not. */
    bool same = node_same(node, below) && same_time(&node->st.st_mtim, &below->st.st_mtim) &&
                node->st.st_nlink == 1;
    if (same && S_ISREG(node->st.st_mode) &&
        node_same_content(diff->upper, diff->view, path, &same, err) != 0) {
        return -1;
    }
    if (!same) {
        add_node(walk, node, path, 0);
    }
    return 0;
}

static int list_names(int root, const char *path, struct strlist *out, struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (file_open_no_links(root, path, O_RDONLY | O_DIRECTORY, 0, &fd, err) != 0) {
        return -1;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        return error_errno(err, ERR_STORE, "list '%s'", path);
    }
    fd = -1;
    errno = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            strlist_add(out, e->d_name);
        }
    }
    int saved = errno;
    closedir(dir);
    errno = saved;
    strlist_sort(out);
    return saved ? error_errno(err, ERR_STORE, "list '%s'", path) : 0;
}

static char *below_path(const char *dir, const char *name)
{
    return dir[0] ? mem_printf("%s/%s", dir, name) : mem_strdup(name);
}

/* Everything that lies in the view's folder and not in the upper one (NAMES, sorted). */
static int delete_hidden(struct walk *walk, const struct place *place, const struct strlist *names,
                         struct error *err)
{
    AUTO(strlist_release) struct strlist lower = {0};
    if (list_names(walk->diff->view, place->path, &lower, err) != 0) {
        return -1;
    }
    size_t at = 0;
    for (size_t i = 0; i < lower.len; i++) {
        while (at < names->len && strcmp(names->items[at], lower.items[i]) < 0) {
            at++;
        }
        if (at == names->len || strcmp(names->items[at], lower.items[i]) != 0) {
            AUTO(mem_freep) char *path = below_path(place->path, lower.items[i]);
            add_whiteout(walk, path);
        }
    }
    return 0;
}

static int walk_folder(struct walk *walk, const struct place *place, struct error *err);

/* Gives a folder that counts as unchanged the time it had. */
static int restore_time(struct walk *walk, const char *path, const struct node *below,
                        struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, below->st.st_mtim};
    if (utimensat(walk->diff->upper, path[0] ? path : ".", times, AT_SYMLINK_NOFOLLOW) != 0) {
        return error_errno(err, ERR_STORE, "set the time of '%s'", path);
    }
    return 0;
}

/* What the kernel would have done in a setgid folder if its group existed here. */
static bool inherit_group(const struct place *parent, struct node *node, const struct node *below)
{
    if (!parent->gives_group || below->found || node->noted) {
        return false;
    }
    node->st.st_gid = parent->group;
    return true;
}

/* A folder, after what lies below it. */
static int visit_folder(struct walk *walk, const char *path, const struct place *parent,
                        struct node *node, struct error *err)
{
    struct node below = {0};
    if (node_read(walk->diff->view, path, &below, err) != 0) {
        return -1;
    }
    struct place place = {.path = path,
                          .in_view = below.found && S_ISDIR(below.st.st_mode),
                          .hidden = parent->hidden || node->opaque};
    bool inherits = inherit_group(parent, node, &below);
    place.gives_group = (node->st.st_mode & S_ISGID) && (node->noted || inherits);
    place.group = node->st.st_gid;
    size_t before = walk->added;
    int result = walk_folder(walk, &place, err);
    bool changed_below = walk->added > before;
    /* What hides the lower folder was made anew. */
    bool same = !place.hidden && node_same(node, &below) &&
                (same_time(&node->st.st_mtim, &below.st.st_mtim) ||
                 is_volatile(walk->diff, &node->st.st_mtim));
    if (result == 0 && same) {
        result = restore_time(walk, path, &below, err);
        if (result == 0 && changed_below && path[0]) {
            node->st.st_mtim = below.st.st_mtim;
            add_node(walk, node, path, ENTRY_PARENT);
        }
    } else if (result == 0) {
        add_node(walk, node, path, 0);
    }
    node_release(&below);
    return result;
}

/* NAME, unless it is a folder: those are added to FOLDERS. */
static int visit(struct walk *walk, const struct place *place, const char *name,
                 struct strlist *folders, struct error *err)
{
    AUTO(mem_freep) char *path = below_path(place->path, name);
    AUTO(node_release) struct node node = {0};
    AUTO(node_release) struct node below = {0};
    if (strlen(path) > LIMIT_PATH_BYTES) {
        return error_set(err, ERR_STEP, "'%.100s...': longer than %zu bytes", path,
                         LIMIT_PATH_BYTES);
    }
    if (node_read(walk->diff->upper, path, &node, err) != 0) {
        return -1;
    }
    if (S_ISDIR(node.st.st_mode)) {
        strlist_take(folders, MEM_STEAL(path));
        return 0;
    }
    if (place->in_view && node_read(walk->diff->view, path, &below, err) != 0) {
        return -1;
    }
    inherit_group(place, &node, &below);
    return visit_file(walk, path, &node, &below, err);
}

static int walk_folder(struct walk *walk, const struct place *place, struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    AUTO(strlist_release) struct strlist folders = {0};
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (list_names(walk->diff->upper, place->path, &names, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < names.len; i++) {
        if (visit(walk, place, names.items[i], &folders, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < folders.len; i++) {
        AUTO(node_release) struct node node = {0};
        if (node_read(walk->diff->upper, folders.items[i], &node, err) != 0 ||
            visit_folder(walk, folders.items[i], place, &node, err) != 0) {
            return -1;
        }
    }
    if (place->hidden && place->in_view) {
        return delete_hidden(walk, place, &names, err);
    }
    return 0;
}

static void free_walk(struct walk *walk)
{
    inode_names_release(&walk->names);
    content_unref(walk->source);
    tree_builder_freep(&walk->builder);
}

int upper_diff(const struct upper_diff *diff, struct tree **out, struct error *err)
{
    AUTO(free_walk)
    struct walk walk = {
        .diff = diff, .builder = tree_builder_new(), .source = upper_source(diff->upper)};
    AUTO(node_release) struct node root = {0};
    if (node_read(diff->upper, "", &root, err) != 0 ||
        visit_folder(&walk, "", &(struct place){.path = ""}, &root, err) != 0) {
        return error_wrap(err, "%s", "what RUN changed");
    }
    struct tree_builder *builder = MEM_STEAL(walk.builder);
    *out = tree_builder_finish(builder);
    return 0;
}
