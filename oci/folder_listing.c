/* The names in one folder, sorted so that a walk meets all paths in their order. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/folder_internal.h"

/* What the names of one folder are read with. */
struct reading {
    const struct folder_source *source;
    const struct folder_filter *filter;
    struct buf path; /* of the folder, with a "/" behind it, and then of a name */
    size_t path_base;
    int fd; /* borrowed */
    struct folder_listing *out;
};

void folder_listing_release(struct folder_listing *listing)
{
    buf_release(&listing->texts);
    free(listing->names);
    free(listing->places);
    *listing = (struct folder_listing){0};
}

static int fault(const struct reading *r, const char *what, struct error *err)
{
    return error_errno(err, ERR_USAGE, "%s '%s/%s'", what, r->source->path, buf_text(&r->path));
}

static enum folder_verdict judge(const struct reading *r, bool is_dir)
{
    if (!r->filter || !r->filter->judge) {
        return FOLDER_KEEP;
    }
    enum folder_verdict verdict = r->filter->judge(r->filter->ctx, r->path.data, is_dir);
    return verdict == FOLDER_ENTER && !is_dir ? FOLDER_DROP : verdict;
}

static void put_name(struct folder_listing *listing, const char *text, bool is_dir,
                     enum folder_verdict verdict)
{
    if (listing->names_len == listing->names_cap) {
        listing->names_cap = listing->names_cap ? listing->names_cap * 2 : 16;
        listing->names = mem_realloc(listing->names, listing->names_cap, sizeof *listing->names);
    }
    size_t len = strlen(text);
    listing->names[listing->names_len++] = (struct folder_name){
        .text = listing->texts.len, .len = len, .verdict = verdict, .is_dir = is_dir};
    buf_append(&listing->texts, text, len + 1);
}

/* One name that readdir() gave. What is excluded costs no stat. */
static int add_name(struct reading *r, const struct dirent *e, struct error *err)
{
    r->path.len = r->path_base;
    buf_puts(&r->path, e->d_name);
    if (r->path.len > LIMIT_PATH_BYTES) {
        return error_set(err, ERR_USAGE, "a path in '%s' is longer than %zu bytes: %.200s...",
                         r->source->path, LIMIT_PATH_BYTES, r->path.data);
    }
    bool is_dir = e->d_type == DT_DIR;
    if (e->d_type == DT_UNKNOWN) { /* a file system that does not tell */
        struct stat st;
        if (fstatat(r->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            return errno == ENOENT ? 0 : fault(r, "stat", err);
        }
        is_dir = S_ISDIR(st.st_mode);
    }
    enum folder_verdict verdict = judge(r, is_dir);
    if (verdict != FOLDER_DROP) {
        put_name(r->out, e->d_name, is_dir, verdict);
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct folder_place *x = a;
    const struct folder_place *y = b;
    size_t shared = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, shared);
    if (order != 0) {
        return order;
    }
    /* Below "a" all paths begin with "a/", and "a-b" comes before them. */
    unsigned char next_x = (unsigned char)(x->len > shared ? x->text[shared] : x->below ? '/' : 0);
    unsigned char next_y = (unsigned char)(y->len > shared ? y->text[shared] : y->below ? '/' : 0);
    return next_x - next_y;
}

static void sort_names(struct folder_listing *listing)
{
    listing->places = mem_calloc(2 * listing->names_len + 1, sizeof *listing->places);
    for (size_t i = 0; i < listing->names_len; i++) {
        const struct folder_name *name = &listing->names[i];
        struct folder_place place = {listing->texts.data + name->text, name->len, i, false};
        listing->places[listing->places_len++] = place;
        if (name->is_dir) {
            place.below = true;
            listing->places[listing->places_len++] = place;
        }
    }
    qsort(listing->places, listing->places_len, sizeof *listing->places, by_place);
}

static void dir_closep(DIR **dir)
{
    if (*dir) {
        closedir(*dir);
    }
}

static int read_names(struct reading *r, DIR *dir, struct error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (!e && errno != 0) {
            return fault(r, "list", err);
        }
        if (!e) {
            return 0;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        if (add_name(r, e, err) != 0) {
            return -1;
        }
    }
}

static void reading_release(struct reading *r)
{
    buf_release(&r->path);
}

/* Folders are opened from the root, one at a time: holding one descriptor for each level would let
 * a deep folder use them all up. */
int folder_listing_read(const struct folder_source *source, const struct folder_filter *filter,
                        const char *path, struct folder_listing *out, struct error *err)
{
    AUTO(reading_release) struct reading r = {.source = source, .filter = filter, .out = out};
    AUTO(fd_closep) int fd = -1;
    if (file_open_no_links(source->fd, path, O_RDONLY | O_DIRECTORY, 0, &fd, err) != 0) {
        if (err->sys_errno == ENOENT && path[0]) {
            error_clear(err); /* deleted since its name was read */
            return 0;
        }
        err->code = ERR_USAGE;
        return error_wrap(err, "'%s'", source->path);
    }
    buf_puts(&r.path, path);
    AUTO(dir_closep) DIR *dir = fdopendir(fd);
    if (!dir) {
        return fault(&r, "list", err);
    }
    r.fd = fd_steal(&fd);
    if (path[0]) {
        buf_putc(&r.path, '/');
    }
    r.path_base = r.path.len;
    if (read_names(&r, dir, err) != 0) {
        return -1;
    }
    sort_names(out);
    return 0;
}
