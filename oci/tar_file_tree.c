/*
 * A user's archive as a tree (ADD). What it is, its first bytes say, as in BuildKit: a known
 * compression or none, and then a valid tar header; anything else is a plain file.
 */
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
#include "oci/archive_library.h"
#include "oci/content_range.h"
#include "oci/layer.h"
#include "oci/store.h"
#include "oci/tar_parse.h"
#include "oci/tar_read.h"

/* ---- bzip2 and xz, which libarchive knows ---- */

struct archive_reader {
    struct reader base;
    struct reader *in;
    const struct archive_library *lib;
    struct archive *archive;
    struct error error; /* of `in` */
    char buffer[64 * 1024];
};

static la_ssize_t archive_in(struct archive *a, void *arg, const void **data)
{
    struct archive_reader *r = arg;
    size_t got = 0;
    if (reader_read(r->in, r->buffer, sizeof r->buffer, &got, &r->error) != 0) {
        r->lib->set_error(a, EIO, "read");
        return -1;
    }
    *data = r->buffer;
    return (la_ssize_t)got;
}

static int archive_fault(struct archive_reader *r, struct error *err)
{
    if (r->error.code != ERR_NONE) {
        *err = r->error;
        return -1;
    }
    const char *words = r->lib->error_string(r->archive);
    return error_set(err, ERR_STEP, "corrupt compressed data: %s", words ? words : "unknown");
}

static int archive_reader_read(struct reader *base, void *data, size_t cap, size_t *got_out,
                               struct error *err)
{
    struct archive_reader *r = (struct archive_reader *)base;
    la_ssize_t got = r->lib->read_data(r->archive, data, cap);
    if (got < 0) {
        return archive_fault(r, err);
    }
    *got_out = (size_t)got;
    return 0;
}

static void archive_reader_free(struct reader *base)
{
    struct archive_reader *r = (struct archive_reader *)base;
    if (r->archive) {
        r->lib->read_free(r->archive);
    }
    reader_freep(&r->in);
    free(r);
}

/* Inflates IN, which is taken over. */
static int archive_reader(struct reader *in, struct reader **out, struct error *err)
{
    static const struct reader_ops ops = {archive_reader_read, archive_reader_free};
    struct archive_reader *r = mem_calloc(1, sizeof *r);
    r->base.ops = &ops;
    r->in = in;
    AUTO(reader_freep) struct reader *owner = &r->base;
    if (archive_library_get(&r->lib, err) != 0) {
        return -1;
    }
    r->archive = r->lib->read_new();
    r->lib->read_support_filter_bzip2(r->archive);
    r->lib->read_support_filter_xz(r->archive);
    r->lib->read_support_format_raw(r->archive);
    struct archive_entry *entry = NULL;
    if (r->lib->read_open(r->archive, r, NULL, archive_in, NULL) != ARCHIVE_OK ||
        r->lib->read_next_header(r->archive, &entry) != ARCHIVE_OK) {
        return archive_fault(r, err);
    }
    *out = MEM_STEAL(owner);
    return 0;
}

/* ---- what a file is ---- */

enum packing { PACKED_NOT, PACKED_OURS, PACKED_LIBARCHIVE };

static enum packing packing_of(const unsigned char *head, size_t len)
{
    static const struct {
        const char *magic;
        size_t len;
        enum packing packing;
    } known[] = {
        {"\x1f\x8b\x08", 3, PACKED_OURS},
        {"\x28\xb5\x2f\xfd", 4, PACKED_OURS},
        {"BZh", 3, PACKED_LIBARCHIVE},
        {"\xfd"
         "7zXZ\0",
         6, PACKED_LIBARCHIVE},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (len >= known[i].len && memcmp(head, known[i].magic, known[i].len) == 0) {
            return known[i].packing;
        }
    }
    return PACKED_NOT;
}

/* Opens the unpacked bytes of FD from its start. */
static int open_unpacked(int fd, const char *name, enum packing packing, struct reader **out,
                         struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return error_errno(err, ERR_STEP, "stat");
    }
    struct reader *plain = reader_fd_range(fd, name, 0, (uint64_t)st.st_size);
    if (packing == PACKED_LIBARCHIVE) {
        return archive_reader(plain, out, err);
    }
    if (packing == PACKED_OURS) {
        return inflate_reader_stream(plain, out, err);
    }
    *out = plain;
    return 0;
}

/* Whether the first unpacked bytes are a tar header. What cannot be unpacked is no archive. */
static bool has_tar_header(int fd, const char *name, enum packing packing)
{
    AUTO(reader_freep) struct reader *in = NULL;
    struct error ignored = {0};
    uint8_t block[512];
    struct tar_header header;
    size_t got = 0;
    return open_unpacked(fd, name, packing, &in, &ignored) == 0 &&
           reader_read_full(in, block, sizeof block, &got, &ignored) == 0 && got == sizeof block &&
           !tar_block_is_zero(block) && !tar_header_parse(block, &header);
}

/* ---- the tree ---- */

/* A file without a name that holds the unpacked archive. */
static int unpack(struct store *store, int fd, const char *name, enum packing packing, int *out,
                  struct error *err)
{
    AUTO(reader_freep) struct reader *in = NULL;
    AUTO(fd_closep) int to = -1;
    if (open_unpacked(fd, name, packing, &in, err) != 0 || store_temp_file(store, &to, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *data = mem_alloc(256 * KIB);
    size_t got = 1;
    while (got > 0) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (reader_read(in, data, 256 * KIB, &got, err) != 0 ||
            file_write_fd(to, "the store's temporary file", data, got, err) != 0) {
            return -1;
        }
    }
    *out = fd_steal(&to);
    return 0;
}

static int read_tree(int fd, const char *name, struct content_source *source, struct tree **out,
                     struct error *err)
{
    struct reader *in = NULL;
    AUTO(tar_reader_freep) struct tar_reader *tar = NULL;
    AUTO(tree_builder_freep) struct tree_builder *builder = tree_builder_new();
    if (open_unpacked(fd, name, PACKED_NOT, &in, err) != 0 ||
        tar_reader_open(in, TAR_ARCHIVE, &tar, err) != 0) {
        return -1;
    }
    bool more = true;
    while (more) {
        struct entry entry;
        if (tar_reader_next(tar, &entry, &more, err) != 0) {
            return -1;
        }
        if (more && tree_builder_len(builder) >= LIMIT_ENTRIES) {
            return error_set(err, ERR_STEP, "more than %zu entries", LIMIT_ENTRIES);
        }
        if (more) {
            entry.source = entry.type == ENTRY_FILE && entry.size > 0 ? source : NULL;
            tree_builder_add(builder, &entry);
        }
    }
    *out = tree_builder_finish(MEM_STEAL(builder));
    return 0;
}

/* The archive unpacked: a descriptor of its own. */
static int own_fd(struct store *store, int fd, const char *name, enum packing packing, int *out,
                  struct error *err)
{
    if (packing != PACKED_NOT) {
        return unpack(store, fd, name, packing, out, err);
    }
    *out = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return *out >= 0 ? 0 : error_errno(err, ERR_STEP, "duplicate descriptor");
}

int tar_file_tree(struct store *store, int fd, const char *name, struct tree **out,
                  bool *is_archive_out, struct error *err)
{
    unsigned char head[8];
    ssize_t got = pread(fd, head, sizeof head, 0);
    if (got < 0) {
        return error_errno(err, ERR_STEP, "read '%s'", name);
    }
    enum packing packing = packing_of(head, (size_t)got);
    if (!has_tar_header(fd, name, packing)) {
        *is_archive_out = false;
        return 0;
    }
    int own = -1;
    struct tree *tree = NULL;
    if (own_fd(store, fd, name, packing, &own, err) != 0) {
        err->code = err->code == ERR_REMOTE ? ERR_STEP : err->code;
        return error_wrap(err, "%s", name);
    }
    AUTO(content_unrefp) struct content_source *source = content_fd(own);
    if (read_tree(own, name, source, &tree, err) != 0) {
        return error_wrap(err, "%s", name);
    }
    *out = tree;
    *is_archive_out = true;
    return 0;
}
