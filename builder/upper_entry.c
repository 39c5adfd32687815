/* One file of the upper or a lower folder, and reading contents there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/strlist.h"
#include "builder/upper_internal.h"
#include "oci/unpack.h"

void node_release(struct node *node)
{
    for (size_t i = 0; i < node->xattrs_len; i++) {
        free((void *)(uintptr_t)node->xattrs[i].name);
        free((void *)(uintptr_t)node->xattrs[i].value);
    }
    free(node->xattrs);
    free(node->link);
    *node = (struct node){0};
}

/* Reads PATH's attribute NAME, the caller's. */
static int read_xattr(const char *proc, const char *name, void **value_out, size_t *size_out,
                      struct error *err)
{
    AUTO(mem_freep) char *value = mem_alloc(LIMIT_XATTR_BYTES);
    ssize_t size = getxattr(proc, name, value, LIMIT_XATTR_BYTES);
    if (size < 0) {
        return error_errno(err, ERR_STORE, "read the attribute %s", name);
    }
    *value_out = mem_dup(value, (size_t)size);
    *size_out = (size_t)size;
    return 0;
}

/* Takes one attribute: overlayfs' marks and our note of the owner say something about the node, the
 * others belong to it. */
static int take_xattr(const char *proc, const char *name, struct node *node, struct error *err)
{
    AUTO(mem_freep) char *value = NULL;
    size_t size = 0;
    if (read_xattr(proc, name, (void **)&value, &size, err) != 0) {
        return -1;
    }
    bool trusted = strncmp(name, "trusted.overlay.", 16) == 0;
    if (trusted || strncmp(name, "user.overlay.", 13) == 0) {
        bool is_opaque = strcmp(name + (trusted ? 16 : 13), "opaque") == 0;
        node->opaque = node->opaque || (is_opaque && size == 1 && value[0] == 'y');
        return 0;
    }
    /* Only on root's own files: another user of a RUN must not be able to give files away. */
    if (strcmp(name, UNPACK_OWNER_XATTR) == 0 && node->st.st_uid == 0) {
        unpack_owner_read(value, size, &node->st.st_uid, &node->st.st_gid);
        node->noted = true;
        return 0;
    }
    if (node->xattrs_len == LIMIT_XATTRS_PER_ENTRY) {
        return error_set(err, ERR_STORE, "more than %d extended attributes",
                         LIMIT_XATTRS_PER_ENTRY);
    }
    node->xattrs = mem_realloc(node->xattrs, node->xattrs_len + 1, sizeof *node->xattrs);
    node->xattrs[node->xattrs_len++] = (struct xattr){mem_strdup(name), MEM_STEAL(value), size};
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct xattr *x = a;
    const struct xattr *y = b;
    return strcmp(x->name, y->name);
}

static int read_xattrs(int fd, struct node *node, struct error *err)
{
    char proc[48];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    /* Most files have none: ask for the size first. */
    ssize_t len = listxattr(proc, NULL, 0);
    if (len <= 0) {
        return len == 0 || errno == ENOTSUP
                   ? 0
                   : error_errno(err, ERR_STORE, "list extended attributes");
    }
    AUTO(mem_freep) char *names = mem_alloc((size_t)len);
    len = listxattr(proc, names, (size_t)len);
    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
        if (take_xattr(proc, names + at, node, err) != 0) {
            return -1;
        }
    }
    if (node->xattrs_len > 1) {
        qsort(node->xattrs, node->xattrs_len, sizeof *node->xattrs, by_name);
    }
    return len < 0 ? error_errno(err, ERR_STORE, "list extended attributes") : 0;
}

static int read_link(int fd, struct node *node, struct error *err)
{
    char target[LIMIT_LINK_BYTES + 2];
    ssize_t len = readlinkat(fd, "", target, sizeof target);
    if (len < 0 || (size_t)len > LIMIT_LINK_BYTES) {
        return error_errno(err, ERR_STORE, "read the link");
    }
    node->link = mem_strndup(target, (size_t)len);
    return 0;
}

int node_read(int root, const char *path, struct node *out, struct error *err)
{
    struct node node = {0};
    AUTO(fd_closep) int fd = -1;
    if (root < 0) {
        *out = node;
        return 0;
    }
    if (file_open_no_links(root, path, O_PATH, 0, &fd, err) != 0) {
        if (err->sys_errno == ENOENT || err->sys_errno == ENOTDIR || err->sys_errno == ELOOP) {
            error_clear(err);
            *out = node;
            return 0;
        }
        return -1;
    }
    node.found = true;
    if (fstat(fd, &node.st) != 0) {
        return error_errno(err, ERR_STORE, "'%s'", path);
    }
    if ((S_ISLNK(node.st.st_mode) && read_link(fd, &node, err) != 0) ||
        (!node_is_whiteout(&node) && read_xattrs(fd, &node, err) != 0)) {
        node_release(&node);
        return error_wrap(err, "'%s'", path);
    }
    *out = node;
    return 0;
}

bool node_is_whiteout(const struct node *node)
{
    return S_ISCHR(node->st.st_mode) && node->st.st_rdev == makedev(0, 0);
}

static bool same_xattrs(const struct node *a, const struct node *b)
{
    if (a->xattrs_len != b->xattrs_len) {
        return false;
    }
    for (size_t i = 0; i < a->xattrs_len; i++) {
        const struct xattr *x = &a->xattrs[i];
        const struct xattr *y = &b->xattrs[i];
        if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
            memcmp(x->value, y->value, x->size) != 0) {
            return false;
        }
    }
    return true;
}

bool node_same(const struct node *a, const struct node *b)
{
    if (!a->found || !b->found || a->st.st_mode != b->st.st_mode || a->st.st_uid != b->st.st_uid ||
        a->st.st_gid != b->st.st_gid || !same_xattrs(a, b)) {
        return false;
    }
    if (S_ISREG(a->st.st_mode)) {
        return a->st.st_size == b->st.st_size;
    }
    if (S_ISLNK(a->st.st_mode)) {
        return strcmp(a->link, b->link) == 0;
    }
    return S_ISDIR(a->st.st_mode) || a->st.st_rdev == b->st.st_rdev;
}

static uint8_t type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return ENTRY_DIR;
    case S_IFLNK:
        return ENTRY_SYMLINK;
    case S_IFCHR:
        return ENTRY_CHAR;
    case S_IFBLK:
        return ENTRY_BLOCK;
    case S_IFIFO:
        return ENTRY_FIFO;
    default:
        return ENTRY_FILE;
    }
}

void node_entry(const struct node *node, const char *path, struct entry *out)
{
    const struct stat *st = &node->st;
    *out = (struct entry){
        .path = path,
        .link = node->link,
        .type = type_of(st->st_mode),
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mtime = st->st_mtim.tv_sec,
        .xattrs = node->xattrs,
        .xattrs_len = (uint16_t)node->xattrs_len,
        .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
    };
    if (entry_is_device(out)) {
        out->rdev_major = major(st->st_rdev);
        out->rdev_minor = minor(st->st_rdev);
    }
}

static int read_chunk(int fd, const char *path, char *data, size_t cap, size_t *got_out,
                      struct error *err)
{
    size_t got = 0;
    while (got < cap) {
        ssize_t more = read(fd, data + got, cap - got);
        if (more < 0 && errno != EINTR) {
            return error_errno(err, ERR_STORE, "read '%s'", path);
        }
        if (more == 0) {
            break;
        }
        got += more > 0 ? (size_t)more : 0;
    }
    *got_out = got;
    return 0;
}

int node_same_content(int a, int b, const char *path, bool *same_out, struct error *err)
{
    enum { CHUNK = 64 * 1024 };
    AUTO(fd_closep) int first = -1;
    AUTO(fd_closep) int second = -1;
    AUTO(mem_freep) char *space = mem_alloc((size_t)CHUNK * 2);
    if (file_open_no_links(a, path, O_RDONLY, 0, &first, err) != 0 ||
        file_open_no_links(b, path, O_RDONLY, 0, &second, err) != 0) {
        return -1;
    }
    for (;;) {
        size_t got = 0;
        size_t other = 0;
        if (read_chunk(first, path, space, CHUNK, &got, err) != 0 ||
            read_chunk(second, path, space + CHUNK, CHUNK, &other, err) != 0) {
            return -1;
        }
        if (got != other || memcmp(space, space + CHUNK, got) != 0 || got == 0) {
            *same_out = got == other && got == 0;
            return 0;
        }
    }
}

/* Contents of the upper folder; an entry's handle is the index of its path. */
struct source {
    struct content_source base;
    int root;
    struct strlist paths;
};

/* Ends after exactly the bytes that the difference speaks of, or fails. */
struct sized_reader {
    struct reader base;
    int fd;
    uint64_t left;
    char *path;
};

static int sized_read(struct reader *reader, void *data, size_t cap, size_t *got_out,
                      struct error *err)
{
    struct sized_reader *r = (struct sized_reader *)reader;
    size_t wanted = cap < r->left ? cap : (size_t)r->left;
    size_t got = 0;
    if (read_chunk(r->fd, r->path, data, wanted, &got, err) != 0) {
        return -1;
    }
    if (got < wanted) {
        return error_set(err, ERR_STORE, "'%s' became shorter while it was read", r->path);
    }
    r->left -= got;
    *got_out = got;
    return 0;
}

static void sized_free(struct reader *reader)
{
    struct sized_reader *r = (struct sized_reader *)reader;
    close(r->fd);
    free(r->path);
    free(r);
}

static const struct reader_ops sized_ops = {sized_read, sized_free};

static int source_open(struct content_source *base, const struct entry *entry, struct reader **out,
                       struct error *err)
{
    const struct source *source = (const struct source *)base;
    struct stat st;
    AUTO(fd_closep) int fd = -1;
    const char *path = source->paths.items[entry->handle];
    if (file_open_no_links(source->root, path, O_RDONLY | O_NONBLOCK, 0, &fd, err) != 0) {
        return -1;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != entry->size) {
        return error_set(err, ERR_STORE, "'%s' changed while it was read", path);
    }
    struct sized_reader *r = mem_calloc(1, sizeof *r);
    *r = (struct sized_reader){
        .base = {&sized_ops}, .fd = fd_steal(&fd), .left = entry->size, .path = mem_strdup(path)};
    *out = &r->base;
    return 0;
}

static void source_free(struct content_source *base)
{
    struct source *source = (struct source *)base;
    close(source->root);
    strlist_release(&source->paths);
    free(source);
}

static const struct content_ops source_ops = {.open = source_open, .free = source_free};

struct content_source *upper_source(int root)
{
    struct source *source = mem_calloc(1, sizeof *source);
    source->base.ops = &source_ops;
    source->base.refs = 1;
    source->root = fcntl(root, F_DUPFD_CLOEXEC, 0);
    return &source->base;
}

uint64_t upper_source_add(struct content_source *base, const char *path)
{
    struct source *source = (struct source *)base;
    strlist_add(&source->paths, path);
    return source->paths.len - 1;
}
