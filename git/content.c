#include "git/content.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/spill.h"
#include "git/blob_stream.h"
#include "git/eol.h"
#include "git/library.h"
#include "git/mirror.h"

struct git_content {
    struct content_source base;
    git_odb *odb; /* safe from any thread */
    char *name;
    char *path;    /* of the repository where it is a mirror of ours, else NULL */
    char *objects; /* its folder of objects */
    git_oid *ids;
    size_t len;
    size_t cap;
    uint64_t *crlf; /* handles whose content has CRLF, in order */
    size_t crlf_len;
};

/* A blob being read. libgit2 reads blobs whole: packed ones are differences that have to be put
 * together. */
struct blob_reader {
    struct reader base;
    git_odb_object *object;
    struct buf changed; /* the content where it is not the blob itself */
    const char *data;
    size_t size;
    size_t offset;
};

static int blob_read(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    (void)err;
    struct blob_reader *b = (struct blob_reader *)r;
    size_t left = b->size - b->offset;
    size_t len = left < cap ? left : cap;
    if (len > 0) {
        memcpy(data, b->data + b->offset, len);
    }
    b->offset += len;
    *got_out = len;
    return 0;
}

static void blob_free(struct reader *r)
{
    struct blob_reader *b = (struct blob_reader *)r;
    git_odb_object_free(b->object);
    buf_release(&b->changed);
    free(b);
}

static int compare_handles(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a;
    uint64_t other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

static bool has_crlf(const struct git_content *c, uint64_t handle)
{
    return c->crlf_len && bsearch(&handle, c->crlf, c->crlf_len, sizeof handle, compare_handles);
}

/* A reader of the blob OBJECT, which it takes; with CRLF where asked. */
static struct blob_reader *reader_new(git_odb_object *object, bool crlf)
{
    static const struct reader_ops ops = {.read = blob_read, .free = blob_free};
    struct blob_reader *reader = mem_calloc(1, sizeof *reader);
    reader->base.ops = &ops;
    reader->object = object;
    reader->data = git_odb_object_data(object);
    reader->size = git_odb_object_size(object);
    if (crlf) {
        git_eol_to_crlf(reader->data, reader->size, &reader->changed);
        reader->data = buf_text(&reader->changed);
        reader->size = reader->changed.len;
    }
    return reader;
}

static int content_open(struct content_source *source, const struct entry *entry,
                        struct reader **out, struct error *err)
{
    struct git_content *c = (struct git_content *)source;
    AUTO(git_odb_object_freep) git_odb_object *object = NULL;
    struct blob_reader *reader = NULL;
    if (entry->size >= BLOB_STREAM_MIN && !has_crlf(c, entry->handle)) {
        *out = blob_stream_open(c->objects, &c->ids[entry->handle], entry->size, c->path);
        if (*out) {
            return 0;
        }
    }
    int result = git_odb_read(&object, c->odb, &c->ids[entry->handle]);
    if (result == 0 && git_odb_object_type(object) == GIT_OBJECT_BLOB) {
        reader = reader_new(MEM_STEAL(object), has_crlf(c, entry->handle));
    }
    if (!reader || reader->size != entry->size) {
        if (reader) {
            blob_free(&reader->base);
        }
        if (c->path) {
            git_mirror_mark_broken(c->path);
        }
        const char *next = c->path ? "; the next build fetches it anew" : "";
        return result == 0
                   ? error_set(err, ERR_STORE, "%s: '%s' is damaged%s", c->name, entry->path, next)
                   : git_fault(err, ERR_STORE, "%s: read '%s'%s", c->name, entry->path, next);
    }
    *out = &reader->base;
    return 0;
}

static void content_free(struct content_source *source)
{
    struct git_content *c = (struct git_content *)source;
    git_odb_free(c->odb);
    free(c->name);
    free(c->path);
    free(c->objects);
    spill_free(c->ids, c->cap * sizeof *c->ids);
    free(c->crlf);
    free(c);
}

static const struct content_ops git_content_ops = {.open = content_open, .free = content_free};

struct content_source *git_content_new(git_repository *repo, const char *name)
{
    git_odb *odb;
    if (git_repository_odb(&odb, repo)) {
        return NULL;
    }
    struct git_content *c = mem_calloc(1, sizeof *c);
    c->base = (struct content_source){.ops = &git_content_ops, .refs = 1};
    c->odb = odb;
    c->name = mem_strdup(name);
    c->path = git_mirror_is_ours(repo) ? mem_strdup(git_repository_path(repo)) : NULL;
    c->objects = mem_printf("%sobjects", git_repository_commondir(repo));
    return &c->base;
}

uint64_t git_content_add(struct content_source *source, const git_oid *id)
{
    struct git_content *c = (struct git_content *)source;
    if (c->len == c->cap) {
        c->ids = spill_grow(c->ids, &c->cap, sizeof *c->ids);
    }
    c->ids[c->len] = *id;
    return c->len++;
}

uint64_t git_content_add_crlf(struct content_source *source, const git_oid *id)
{
    struct git_content *c = (struct git_content *)source;
    uint64_t handle = git_content_add(source, id);
    c->crlf = mem_realloc(c->crlf, c->crlf_len + 1, sizeof *c->crlf);
    c->crlf[c->crlf_len++] = handle;
    return handle;
}

const git_oid *git_content_id(const struct entry *entry)
{
    if (!entry->source || entry->source->ops != &git_content_ops) {
        return NULL;
    }
    const struct git_content *c = (const struct git_content *)entry->source;
    return entry->handle < c->len && !has_crlf(c, entry->handle) ? &c->ids[entry->handle] : NULL;
}

const git_oid *git_content_ids(const struct content_source *source, size_t *len_out)
{
    const struct git_content *c = (const struct git_content *)source;
    if (source->ops != &git_content_ops) {
        return NULL;
    }
    *len_out = c->len;
    return c->ids;
}
