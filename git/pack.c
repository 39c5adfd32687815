#include "git/pack.h"

#include <endian.h>
#include <libdeflate.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/memory.h"
#include "git/library.h"
#include "git/mirror.h"

/* As git's own default. */
enum { LEVEL = 6, SHA1_BYTES = 20 };

/* Offsets from here on stand in a table of their own. */
#define FAR_OFFSET ((uint64_t)1 << 31)

struct place {
    uint64_t offset;
    uint32_t crc;
};

struct packer {
    git_odb *odb;
    EVP_MD_CTX *sha1;
    struct hasher *sha256;
    struct libdeflate_compressor *deflate;
    struct buf room; /* of one object */
    struct pack *pack;
};

void pack_release(struct pack *pack)
{
    fd_closep(&pack->fd);
    buf_release(&pack->index);
}

static void packer_release(struct packer *p)
{
    git_odb_freep(&p->odb);
    EVP_MD_CTX_free(p->sha1);
    hasher_freep(&p->sha256);
    libdeflate_free_compressor(p->deflate);
    buf_release(&p->room);
}

/* What the allocator gives is checked here once. */
static void packer_init(struct packer *p, struct pack *pack)
{
    *p = (struct packer){.sha1 = EVP_MD_CTX_new(),
                         .sha256 = hasher_new(),
                         .deflate = libdeflate_alloc_compressor(LEVEL),
                         .pack = pack};
    if (!p->sha1 || !p->deflate || !EVP_DigestInit_ex(p->sha1, EVP_sha1(), NULL)) {
        abort();
    }
}

static int put(struct packer *p, const void *data, size_t len, struct error *err)
{
    EVP_DigestUpdate(p->sha1, data, len);
    hasher_add(p->sha256, data, len);
    p->pack->size += len;
    return file_write_fd(p->pack->fd, "a pack", data, len, err);
}

/* Type and size in front of an object: four bits of the size, then seven in each further byte. */
static size_t head_of(git_object_t type, uint64_t size, unsigned char head[10])
{
    size_t len = 0;
    head[0] = (unsigned char)((unsigned)type << 4 | (size & 15));
    for (size >>= 4; size > 0; size >>= 7) {
        head[len++] |= 0x80;
        head[len] = size & 0x7f;
    }
    return len + 1;
}

static int put_object(struct packer *p, const git_oid *id, struct place *place, struct error *err)
{
    AUTO(git_odb_object_freep) git_odb_object *object = NULL;
    unsigned char head[10];
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (git_odb_read(&object, p->odb, id)) {
        return -1;
    }
    size_t size = git_odb_object_size(object);
    size_t head_len = head_of(git_odb_object_type(object), size, head);
    size_t bound = libdeflate_zlib_compress_bound(p->deflate, size);
    buf_clear(&p->room);
    buf_append(&p->room, head, head_len);
    char *to = buf_reserve(&p->room, bound);
    p->room.len +=
        libdeflate_zlib_compress(p->deflate, git_odb_object_data(object), size, to, bound);
    place->offset = p->pack->size;
    place->crc = libdeflate_crc32(0, p->room.data, p->room.len);
    return put(p, p->room.data, p->room.len, err);
}

static void put32(struct buf *out, uint32_t value)
{
    value = htobe32(value);
    buf_append(out, &value, sizeof value);
}

static void sha1_of(const struct buf *data, unsigned char out[SHA1_BYTES])
{
    EVP_Digest(data->data, data->len, out, NULL, EVP_sha1(), NULL);
}

/* The index of the objects IDS at PLACES in the pack with TRAILER. */
static void make_index(const git_oid *ids, const struct place *places, size_t len,
                       const unsigned char trailer[SHA1_BYTES], struct buf *out)
{
    buf_append(out, "\377tOc\0\0\0\2", 8);
    size_t at = 0;
    for (unsigned first = 0; first < 256; first++) {
        while (at < len && ids[at].id[0] <= first) {
            at++;
        }
        put32(out, (uint32_t)at);
    }
    for (size_t i = 0; i < len; i++) {
        buf_append(out, ids[i].id, SHA1_BYTES);
    }
    for (size_t i = 0; i < len; i++) {
        put32(out, places[i].crc);
    }
    uint32_t far = 0;
    for (size_t i = 0; i < len; i++) {
        bool near = places[i].offset < FAR_OFFSET;
        put32(out, near ? (uint32_t)places[i].offset : (uint32_t)FAR_OFFSET | far++);
    }
    for (size_t i = 0; i < len && far > 0; i++) {
        uint64_t offset = htobe64(places[i].offset);
        if (places[i].offset >= FAR_OFFSET) {
            buf_append(out, &offset, sizeof offset);
        }
    }
    unsigned char sum[SHA1_BYTES];
    buf_append(out, trailer, SHA1_BYTES);
    sha1_of(out, sum);
    buf_append(out, sum, sizeof sum);
}

static int write_pack(struct packer *p, const git_oid *ids, size_t len, struct place *places,
                      struct error *err)
{
    AUTO(buf_release) struct buf head = BUF_INIT(0);
    unsigned char trailer[SHA1_BYTES];
    buf_puts(&head, "PACK");
    put32(&head, 2);
    put32(&head, (uint32_t)len);
    if (put(p, head.data, head.len, err)) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        if (put_object(p, &ids[i], &places[i], err)) {
            return -1;
        }
    }
    EVP_DigestFinal_ex(p->sha1, trailer, NULL);
    hasher_add(p->sha256, trailer, sizeof trailer);
    hasher_finish(p->sha256, &p->pack->digest);
    p->pack->size += sizeof trailer;
    make_index(ids, places, len, trailer, &p->pack->index);
    for (size_t i = 0; i < SHA1_BYTES; i++) {
        snprintf(p->pack->name + 2 * i, 3, "%02x", trailer[i]);
    }
    return file_write_fd(p->pack->fd, "a pack", trailer, sizeof trailer, err);
}

static int compare(const void *a, const void *b)
{
    return git_oid_cmp(a, b);
}

static size_t sort_once(git_oid *ids, size_t len)
{
    size_t kept = 0;
    qsort(ids, len, sizeof *ids, compare);
    for (size_t i = 0; i < len; i++) {
        if (kept == 0 || !git_oid_equal(&ids[kept - 1], &ids[i])) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}

int pack_make(struct store *store, git_repository *repo, git_oid *ids, size_t len, struct pack *out,
              struct error *err)
{
    AUTO(pack_release) struct pack pack = PACK_INIT;
    AUTO(packer_release) struct packer p;
    packer_init(&p, &pack);
    len = sort_once(ids, len);
    AUTO(mem_freep) struct place *places = mem_calloc(len + 1, sizeof *places);
    if (store_temp_file(store, &pack.fd, err)) {
        return -1;
    }
    error_clear(err);
    if (git_repository_odb(&p.odb, repo) || write_pack(&p, ids, len, places, err)) {
        if (err->code != ERR_NONE) {
            return -1;
        }
        if (git_mirror_is_ours(repo)) {
            git_mirror_mark_broken(git_repository_path(repo));
        }
        return git_fault(err, ERR_STORE, "read an object of %s", git_repository_path(repo));
    }
    *out = pack;
    pack = (struct pack)PACK_INIT;
    return 0;
}
