#include "git/blob_stream.h"

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "git/mirror.h"

/* An index of version 2: this, then tables (gitformat-pack(5)). */
static const char INDEX_MAGIC[] = "\377tOc\0\0\0\2";
enum {
    MAGIC_LEN = 8,
    FANOUT_ENTRIES = 256,
    FANOUT_BYTES = 4 * FANOUT_ENTRIES,
    TYPE_BLOB = 3,
    PACK_HEAD_MAX = 10,  /* bytes of an object's type and size */
    LOOSE_HEAD_MAX = 40, /* "blob SIZE" and a zero byte */
    INPUT_BYTES = 64 * 1024,
};
#define FAR_OFFSET ((uint32_t)1 << 31)

struct blob_stream {
    struct reader base;
    int fd;
    off_t at; /* in the file */
    z_stream zlib;
    uint64_t left; /* bytes of the blob */
    bool ended;    /* so has what zlib reads, with its checksum */
    char hex[GIT_OID_HEXSZ + 1];
    char *mirror; /* NULL: not ours */
    unsigned char input[INPUT_BYTES];
};

static void stream_free(struct reader *reader)
{
    struct blob_stream *s = (struct blob_stream *)reader;
    inflateEnd(&s->zlib);
    fd_closep(&s->fd);
    free(s->mirror);
    free(s);
}

/* Inflates at most CAP bytes. -1: damaged. */
static int inflate_some(struct blob_stream *s, void *data, size_t cap, size_t *got_out)
{
    s->zlib.next_out = data;
    s->zlib.avail_out = cap < UINT32_MAX ? (unsigned)cap : UINT32_MAX;
    unsigned before = s->zlib.avail_out;
    while (!s->ended && s->zlib.avail_out == before) {
        if (s->zlib.avail_in == 0) {
            ssize_t got = pread(s->fd, s->input, sizeof s->input, s->at);
            if (got <= 0) {
                return -1;
            }
            s->at += got;
            s->zlib.next_in = s->input;
            s->zlib.avail_in = (unsigned)got;
        }
        int result = inflate(&s->zlib, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END) {
            return -1;
        }
        s->ended = result == Z_STREAM_END;
    }
    *got_out = before - s->zlib.avail_out;
    return 0;
}

static int stream_read(struct reader *reader, void *data, size_t cap, size_t *got_out,
                       struct error *err)
{
    struct blob_stream *s = (struct blob_stream *)reader;
    char extra;
    *got_out = 0;
    if (cap == 0) {
        return 0;
    }
    /* At the end the checksum, which zlib looks at, and nothing more may come. */
    int result = s->left > 0 ? inflate_some(s, data, cap < s->left ? cap : (size_t)s->left, got_out)
                             : inflate_some(s, &extra, 1, got_out);
    if (result != 0 || (s->left == 0) != (*got_out == 0)) {
        if (s->mirror) {
            git_mirror_mark_broken(s->mirror);
        }
        return error_set(err, ERR_STORE, "the blob %s is damaged%s", s->hex,
                         s->mirror ? "; the next build fetches it anew" : "");
    }
    s->left -= *got_out;
    return 0;
}

/* What is deflated at OFFSET of the file FD, which this takes over. */
static struct blob_stream *stream_new(int fd, uint64_t offset, const git_oid *id, uint64_t size)
{
    static const struct reader_ops ops = {.read = stream_read, .free = stream_free};
    struct blob_stream *s = mem_calloc(1, sizeof *s);
    s->base.ops = &ops;
    s->fd = fd;
    s->at = (off_t)offset;
    s->left = size;
    git_oid_tostr(s->hex, sizeof s->hex, id);
    if (inflateInit(&s->zlib) != Z_OK) {
        abort(); /* for want of memory */
    }
    return s;
}

/* A file of its own: "blob SIZE", a zero byte, the content. */
static struct reader *open_loose(const char *objects, const git_oid *id, uint64_t size)
{
    char hex[GIT_OID_HEXSZ + 1];
    char head[LOOSE_HEAD_MAX];
    char expected[LOOSE_HEAD_MAX];
    git_oid_tostr(hex, sizeof hex, id);
    AUTO(mem_freep) char *path = mem_printf("%s/%.2s/%s", objects, hex, hex + 2);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return NULL;
    }
    struct blob_stream *s = stream_new(fd, 0, id, size);
    size_t len = (size_t)snprintf(expected, sizeof expected, "blob %" PRIu64, size) + 1;
    size_t have = 0;
    size_t got = 1;
    while (have < len && got > 0 && inflate_some(s, head + have, len - have, &got) == 0) {
        have += got;
    }
    if (have < len || memcmp(head, expected, len) != 0) {
        stream_free(&s->base);
        return NULL;
    }
    return &s->base;
}

static bool read_at(int fd, uint64_t offset, void *out, size_t len)
{
    return pread(fd, out, len, (off_t)offset) == (ssize_t)len;
}

static bool number_at(int fd, uint64_t offset, uint32_t *out)
{
    uint32_t number = 0;
    bool there = read_at(fd, offset, &number, sizeof number);
    *out = be32toh(number);
    return there;
}

/* Where an index has the id's entry, of how many. */
static bool find_entry(int index, const git_oid *id, uint32_t *at_out, uint32_t *count_out)
{
    uint32_t low = 0;
    uint32_t high = 0;
    char magic[MAGIC_LEN];
    unsigned first = id->id[0];
    if (!read_at(index, 0, magic, MAGIC_LEN) || memcmp(magic, INDEX_MAGIC, MAGIC_LEN) != 0 ||
        (first > 0 && !number_at(index, MAGIC_LEN + 4 * (first - 1), &low)) ||
        !number_at(index, MAGIC_LEN + 4 * first, &high) ||
        !number_at(index, MAGIC_LEN + FANOUT_BYTES - 4, count_out)) {
        return false;
    }
    while (low < high && high <= *count_out) {
        git_oid there;
        uint32_t mid = low + (high - low) / 2;
        if (!read_at(index, MAGIC_LEN + FANOUT_BYTES + (uint64_t)mid * GIT_OID_RAWSZ, there.id,
                     GIT_OID_RAWSZ)) {
            return false;
        }
        int order = memcmp(there.id, id->id, GIT_OID_RAWSZ);
        if (order == 0) {
            *at_out = mid;
            return true;
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    return false;
}

/* Where the pack of an index has the object. */
static bool find_offset(int index, const git_oid *id, uint64_t *offset_out)
{
    uint32_t at = 0;
    uint32_t count = 0;
    uint32_t near = 0;
    if (!find_entry(index, id, &at, &count)) {
        return false;
    }
    /* Behind the ids a checksum of each, then the offsets, then those that 31 bits cannot hold. */
    uint64_t offsets =
        MAGIC_LEN + FANOUT_BYTES + (uint64_t)count * (GIT_OID_RAWSZ + sizeof(uint32_t));
    if (!number_at(index, offsets + 4 * (uint64_t)at, &near)) {
        return false;
    }
    uint64_t far = 0;
    if (near & FAR_OFFSET) {
        uint64_t table = offsets + 4 * (uint64_t)count;
        if (!read_at(index, table + 8 * (uint64_t)(near & ~FAR_OFFSET), &far, sizeof far)) {
            return false;
        }
    }
    *offset_out = near & FAR_OFFSET ? be64toh(far) : near;
    return *offset_out <= INT64_MAX;
}

/* The object at OFFSET of PACK, which this takes over, if it is that blob and whole. */
static struct reader *open_whole(int pack, uint64_t offset, const git_oid *id, uint64_t size)
{
    unsigned char head[PACK_HEAD_MAX] = {0};
    ssize_t got = pread(pack, head, sizeof head, (off_t)offset);
    uint64_t said = head[0] & 15;
    size_t len = 1;
    for (unsigned shift = 4; len < sizeof head && (head[len - 1] & 0x80); shift += 7) {
        said |= (uint64_t)(head[len++] & 0x7f) << shift;
    }
    if (got < (ssize_t)len || (head[0] >> 4 & 7) != TYPE_BLOB || said != size) {
        close(pack);
        return NULL;
    }
    return &stream_new(pack, offset + len, id, size)->base;
}

static struct reader *open_in_pack(int folder, const char *index_name, const git_oid *id,
                                   uint64_t size)
{
    uint64_t offset = 0;
    AUTO(fd_closep) int index = openat(folder, index_name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (index < 0 || !find_offset(index, id, &offset)) {
        return NULL;
    }
    size_t stem = strlen(index_name) - strlen(".idx");
    AUTO(mem_freep) char *name = mem_printf("%.*s.pack", (int)stem, index_name);
    int pack = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return pack < 0 ? NULL : open_whole(pack, offset, id, size);
}

static struct reader *open_packed(const char *objects, const git_oid *id, uint64_t size)
{
    AUTO(mem_freep) char *path = mem_printf("%s/pack", objects);
    struct reader *found = NULL;
    DIR *folder = opendir(path);
    if (!folder) {
        return NULL;
    }
    for (struct dirent *e = readdir(folder); e && !found; e = readdir(folder)) {
        size_t len = strlen(e->d_name);
        if (len > 4 && strcmp(e->d_name + len - 4, ".idx") == 0) {
            found = open_in_pack(dirfd(folder), e->d_name, id, size);
        }
    }
    closedir(folder);
    return found;
}

struct reader *blob_stream_open(const char *objects, const git_oid *id, uint64_t size,
                                const char *mirror)
{
    struct reader *reader = open_loose(objects, id, size);
    reader = reader ? reader : open_packed(objects, id, size);
    if (reader) {
        ((struct blob_stream *)reader)->mirror = mem_strdup(mirror);
    }
    return reader;
}
