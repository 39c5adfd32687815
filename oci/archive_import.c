#include "oci/archive_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "oci/archive_library.h"
#include "oci/store_internal.h"

enum { CHUNK = 128 * 1024, FILES_MAX = 100000, LINKS_MAX = 16 };

/* libarchive's callbacks and our streams. */
struct tar_input {
    const struct archive_library *lib;
    struct archive *archive;
    struct reader *in;
    const char *name;
    struct error read_err; /* of IN: it must not be lost in libarchive's words */
    char chunk[CHUNK];
};

static void tar_input_freep(struct tar_input **t)
{
    if (*t) {
        if ((*t)->archive) {
            (*t)->lib->read_free((*t)->archive);
        }
        reader_freep(&(*t)->in);
        free(*t);
    }
    *t = NULL;
}

static la_ssize_t give(struct archive *archive, void *ctx, const void **data)
{
    struct tar_input *t = ctx;
    size_t got = 0;
    if (reader_read(t->in, t->chunk, sizeof t->chunk, &got, &t->read_err) != 0) {
        t->lib->set_error(archive, EIO, "%s", t->read_err.text);
        return -1;
    }
    *data = t->chunk;
    return (la_ssize_t)got;
}

static int damaged(struct tar_input *t, struct error *err)
{
    if (t->read_err.code != ERR_NONE) {
        *err = t->read_err;
        return -1;
    }
    const char *text = t->lib->error_string(t->archive);
    return error_set(err, ERR_USAGE, "'%s' is no tar archive or is damaged: %s", t->name,
                     text ? text : "unexpected end");
}

static int open_tar(struct tar_input *t, struct error *err)
{
    if (archive_library_get(&t->lib, err) != 0) {
        return -1;
    }
    t->archive = t->lib->read_new();
    if (!t->archive) {
        abort();
    }
    /* Only filters that libarchive has within itself: others would start programs. */
    t->lib->read_support_filter_gzip(t->archive);
    t->lib->read_support_filter_zstd(t->archive);
    t->lib->read_support_filter_xz(t->archive);
    t->lib->read_support_filter_bzip2(t->archive);
    t->lib->read_support_format_tar(t->archive);
    if (t->lib->read_open(t->archive, t, NULL, give, NULL) != ARCHIVE_OK) {
        return damaged(t, err);
    }
    return 0;
}

/* Copies the content of the entry at hand to the new file TEMP, hashing. */
static int copy_content(struct tar_input *t, struct import *import, struct import_file *file,
                        struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    AUTO(hasher_freep) struct hasher *hasher = hasher_new();
    AUTO(mem_freep) char *chunk = mem_alloc(CHUNK);
    if (file_open(import->store->fd, file->temp, O_WRONLY | O_CREAT | O_EXCL, STORE_FILE_MODE, &fd,
                  err) != 0) {
        return store_fault(import->store, err);
    }
    for (;;) {
        la_ssize_t got = t->lib->read_data(t->archive, chunk, CHUNK);
        if (got < 0) {
            return damaged(t, err);
        }
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (got == 0) {
            break;
        }
        file->size += (uint64_t)got;
        if (file->size > LIMIT_BLOB_BYTES) {
            return error_set(err, ERR_USAGE, "'%s': %s is too large", t->name, file->name);
        }
        hasher_add(hasher, chunk, (size_t)got);
        if (file_write_fd(fd, file->name, chunk, (size_t)got, err) != 0) {
            return store_fault(import->store, err);
        }
    }
    hasher_finish(hasher, &file->digest);
    return 0;
}

static struct import_file *add_file(struct import *import, const char *name)
{
    if (import->len == import->cap) {
        import->cap = import->cap ? import->cap * 2 : 64;
        import->files = mem_realloc(import->files, import->cap, sizeof *import->files);
    }
    struct import_file *file = &import->files[import->len];
    *file = (struct import_file){.name = path_clean(name), .order = import->len};
    import->len++;
    return file;
}

static int take_entry(struct tar_input *t, struct import *import, struct archive_entry *entry,
                      struct error *err)
{
    const char *name = t->lib->entry_pathname(entry);
    const char *hard = t->lib->entry_hardlink(entry);
    const char *soft = t->lib->entry_symlink(entry);
    if (!name || strlen(name) > LIMIT_PATH_BYTES) {
        return 0; /* no name that an image's documents could have */
    }
    if (import->len == FILES_MAX) {
        return error_set(err, ERR_USAGE, "'%s' has more than %d files", t->name, FILES_MAX);
    }
    if (hard || (soft && t->lib->entry_filetype(entry) == AE_IFLNK)) {
        struct import_file *file = add_file(import, name);
        AUTO(mem_freep) char *parent = path_parent(file->name);
        file->link = hard ? path_clean(hard) : path_join(parent, soft);
        return 0;
    }
    if (t->lib->entry_filetype(entry) != AE_IFREG) {
        return 0;
    }
    AUTO(mem_freep) char *temp = NULL;
    if (store_temp_name(import->store, &temp, err) != 0) {
        return -1;
    }
    struct import_file *file = add_file(import, name);
    file->temp = MEM_STEAL(temp);
    return copy_content(t, import, file, err);
}

static void drop_file(struct import *import, struct import_file *file)
{
    if (file->temp) {
        unlinkat(import->store->fd, file->temp, 0);
    }
    free(file->name);
    free(file->link);
    free(file->temp);
}

void import_release(struct import *import)
{
    for (size_t i = 0; i < import->len; i++) {
        drop_file(import, &import->files[i]);
    }
    free(import->files);
    *import = (struct import){0};
}

static int by_name_and_order(const void *a, const void *b)
{
    const struct import_file *x = a;
    const struct import_file *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

/* Sorts, and keeps the last of equal names, as unpacking would. */
static void settle(struct import *import)
{
    if (import->len == 0) {
        return;
    }
    qsort(import->files, import->len, sizeof *import->files, by_name_and_order);
    size_t kept = 0;
    for (size_t i = 0; i < import->len; i++) {
        bool last =
            i + 1 == import->len || strcmp(import->files[i].name, import->files[i + 1].name) != 0;
        if (last) {
            import->files[kept++] = import->files[i];
        } else {
            drop_file(import, &import->files[i]);
        }
    }
    import->len = kept;
}

int import_archive(struct store *store, struct reader *in, const char *name, struct import *out,
                   struct error *err)
{
    AUTO(tar_input_freep) struct tar_input *t = mem_calloc(1, sizeof *t);
    t->in = in;
    t->name = name;
    AUTO(import_release) struct import import = {.store = store};
    if (open_tar(t, err) != 0) {
        return -1;
    }
    for (;;) {
        struct archive_entry *entry = NULL;
        int status = t->lib->read_next_header(t->archive, &entry);
        if (status == ARCHIVE_EOF) {
            break;
        }
        /* ARCHIVE_WARN: a name that this locale cannot show; the bytes are there. */
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
            return damaged(t, err);
        }
        if (take_entry(t, &import, entry, err) != 0) {
            return -1;
        }
    }
    settle(&import);
    *out = import;
    import = (struct import){0};
    return 0;
}

static int by_name(const void *key, const void *item)
{
    return strcmp(key, ((const struct import_file *)item)->name);
}

struct import_file *import_find(struct import *import, const char *name)
{
    AUTO(mem_freep) char *wanted = path_clean(name);
    for (int hops = 0; hops < LINKS_MAX && import->len > 0; hops++) {
        struct import_file *file =
            bsearch(wanted, import->files, import->len, sizeof *import->files, by_name);
        if (!file || !file->link) {
            return file;
        }
        free(wanted);
        wanted = mem_strdup(file->link);
    }
    return NULL;
}

struct import_file *import_find_digest(struct import *import, const struct digest *digest)
{
    for (size_t i = 0; i < import->len; i++) {
        if (!import->files[i].link && digest_equal(&import->files[i].digest, digest)) {
            return &import->files[i];
        }
    }
    return NULL;
}

int import_open(struct import *import, const struct import_file *file, int *fd_out,
                struct error *err)
{
    if (!file->temp) {
        return store_open_blob(import->store, &file->digest, fd_out, NULL, err);
    }
    if (file_open(import->store->fd, file->temp, O_RDONLY, 0, fd_out, err) != 0) {
        return store_fault(import->store, err);
    }
    return 0;
}

int import_read(struct import *import, const struct import_file *file, size_t max, struct buf *out,
                struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (import_open(import, file, &fd, err) != 0) {
        return -1;
    }
    return file_read_fd(fd, file->name, max, out, err);
}

int import_keep(struct import *import, struct import_file *file, struct error *err)
{
    bool taken = false;
    if (!file->temp) {
        return 0;
    }
    if (store_adopt_file(import->store, file->temp, &file->digest, file->size, &taken, err) != 0) {
        return -1;
    }
    if (!taken) {
        unlinkat(import->store->fd, file->temp, 0);
    }
    mem_freep(&file->temp);
    return 0;
}
