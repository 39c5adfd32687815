/*
 * The tar reader: headers into entries, and every check of a stranger's names.
 *
 * Our own and not libarchive's: that one converts names between character sets by the process's
 * locale and to composed Unicode forms, so that files would get other names than the layer says.
 */
#include "oci/tar_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "oci/tar_read_internal.h"
#include "oci/tar_write.h"

static const char whiteout_prefix[] = ".wh.";
static const char opaque_name[] = ".wh..wh..opq";
static const char whiteout_meta_prefix[] = ".wh..wh.";

/* Whether NAME has a ".." that a layer may not have, or that an archive would leave its root by. */
static bool escapes(enum tar_flavour flavour, const char *name)
{
    long depth = 0;
    for (const char *p = name; *p;) {
        size_t len = strcspn(p, "/");
        if (len == 2 && memcmp(p, "..", 2) == 0) {
            depth--;
            if (flavour == TAR_LAYER || depth < 0) {
                return true;
            }
        } else if (len > 0 && !(len == 1 && *p == '.')) {
            depth++;
        }
        p += len;
        p += strspn(p, "/");
    }
    return false;
}

/* A stranger's NAME in tree form; absolute ones begin at the root. WHOSE is the entry. */
static int clean_name(struct tar_reader *t, const char *whose, const char *name, char **out,
                      struct error *err)
{
    if (strlen(name) > LIMIT_PATH_BYTES) {
        return tar_refuse(t, whose, "its name is too long", err);
    }
    if (escapes(t->flavour, name)) {
        return tar_refuse(t, whose, "it leads out of the root by '..'", err);
    }
    AUTO(mem_freep) char *clean = path_clean(name);
    for (const char *p = clean; *p;) {
        size_t len = strcspn(p, "/");
        if (len > 255) {
            return tar_refuse(t, whose, "a component of its name is longer than 255 bytes", err);
        }
        p += len + (p[len] == '/');
    }
    free(*out);
    *out = MEM_STEAL(clean);
    return 0;
}

static int type_of(struct tar_reader *t, const struct tar_overrides *o, uint8_t *out,
                   struct error *err)
{
    size_t len = strlen(o->name);
    bool has_slash = len > 0 && o->name[len - 1] == '/';
    if (t->header.type == 'S' || o->is_sparse) {
        return tar_refuse(t, o->name,
                          "sparse files are not supported (write the tar without --sparse)", err);
    }
    switch (t->header.type) {
    case '\0':
        *out = has_slash ? ENTRY_DIR : ENTRY_FILE;
        return 0;
    case '0':
    case '7':
        *out = ENTRY_FILE;
        return 0;
    case '1':
        *out = ENTRY_HARDLINK;
        return 0;
    case '2':
        *out = ENTRY_SYMLINK;
        return 0;
    case '3':
        *out = ENTRY_CHAR;
        return 0;
    case '4':
        *out = ENTRY_BLOCK;
        return 0;
    case '5':
        *out = ENTRY_DIR;
        return 0;
    case '6':
        *out = ENTRY_FIFO;
        return 0;
    default:
        return tar_refuse(t, o->name, "its type is unknown", err);
    }
}

static int check_numbers(struct tar_reader *t, struct error *err)
{
    const struct tar_header *h = &t->header;
    if (h->uid < 0 || h->uid > UINT32_MAX || h->gid < 0 || h->gid > UINT32_MAX) {
        return tar_refuse(t, t->path, "its owner is impossible", err);
    }
    if (h->size < 0 || (uint64_t)h->size > LIMIT_BLOB_BYTES) {
        return tar_refuse(t, t->path, "its size is impossible", err);
    }
    if (h->major < 0 || h->major > 0xffffff || h->minor < 0 || h->minor > 0xffffff) {
        return tar_refuse(t, t->path, "its device number is impossible", err);
    }
    return 0;
}

static int make_link(struct tar_reader *t, const struct tar_overrides *o, struct entry *entry,
                     struct error *err)
{
    if (entry->type == ENTRY_HARDLINK) {
        if (clean_name(t, o->name, o->link, &t->link, err) != 0) {
            return -1;
        }
        if (!t->link[0] || strcmp(t->link, t->path) == 0) {
            return tar_refuse(t, o->name, "a hard link to itself or to nothing", err);
        }
        entry->link = t->link;
    }
    if (entry->type == ENTRY_SYMLINK) {
        if (!o->link[0] || strlen(o->link) > LIMIT_LINK_BYTES) {
            return tar_refuse(t, o->name, "a symbolic link whose target is empty or too long", err);
        }
        free(t->link);
        t->link = mem_strdup(o->link);
        entry->link = t->link;
    }
    return 0;
}

static int make_entry(struct tar_reader *t, const struct tar_overrides *o, struct entry *entry,
                      struct error *err)
{
    const struct tar_header *h = &t->header;
    *entry = (struct entry){0};
    if (type_of(t, o, &entry->type, err) != 0 ||
        clean_name(t, o->name, o->name, &t->path, err) != 0 || check_numbers(t, err) != 0 ||
        make_link(t, o, entry, err) != 0) {
        return -1;
    }
    if (!t->path[0] && entry->type != ENTRY_DIR) {
        return tar_refuse(t, o->name, "the root can only be a folder", err);
    }
    entry->path = t->path;
    entry->mode = (uint32_t)(h->mode & 07777);
    entry->uid = (uint32_t)h->uid;
    entry->gid = (uint32_t)h->gid;
    entry->mtime = h->mtime;
    entry->xattrs = t->xattrs;
    entry->xattrs_len = (uint16_t)t->xattrs_len;
    entry->handle = t->offset;
    if (entry_is_device(entry)) {
        entry->rdev_major = (uint32_t)h->major;
        entry->rdev_minor = (uint32_t)h->minor;
    }
    if (entry->type == ENTRY_FILE) {
        entry->size = (uint64_t)h->size;
        t->content = entry->size;
        t->padding = tar_padding(entry->size);
    }
    return 0;
}

/* Makes of a layer's ".wh.NAME" what it says. *SKIP_OUT: the entry means nothing (aufs's own
 * files). */
static int interpret_whiteout(struct tar_reader *t, struct entry *entry, bool *skip_out,
                              struct error *err)
{
    char *last = t->path + (path_name(t->path) - t->path);
    bool in_meta = !strncmp(t->path, whiteout_meta_prefix, strlen(whiteout_meta_prefix)) ||
                   strstr(t->path, "/.wh..wh.");
    *skip_out = false;
    if (strcmp(last, opaque_name) == 0) {
        if (last > t->path) {
            last--;
        }
        *last = '\0';
        *entry = (struct entry){
            .path = t->path, .type = ENTRY_DIR, .flags = ENTRY_OPAQUE, .mode = UINT32_MAX};
    } else if (in_meta) {
        *skip_out = true;
    } else if (!strncmp(last, whiteout_prefix, strlen(whiteout_prefix))) {
        const char *name = last + strlen(whiteout_prefix);
        if (!name[0] || !strcmp(name, ".") || !strcmp(name, "..")) {
            return tar_refuse(t, t->path, "a deletion of nothing", err);
        }
        memmove(last, name, strlen(name) + 1);
        *entry = (struct entry){.path = t->path, .type = ENTRY_WHITEOUT};
    } else if (!strncmp(t->path, whiteout_prefix, strlen(whiteout_prefix)) ||
               strstr(t->path, "/.wh.")) {
        return tar_refuse(t, t->path, "it lies below a deletion", err);
    } else {
        return 0;
    }
    /* A mark has no content, whatever its header says. */
    t->padding += t->content;
    t->content = 0;
    return 0;
}

int tar_reader_next(struct tar_reader *t, struct entry *entry, bool *more_out, struct error *err)
{
    bool again = true;
    while (again) {
        bool more = false;
        if (t->ended || tar_skip(t, t->content + t->padding, err) != 0) {
            *more_out = false;
            return t->ended ? 0 : -1;
        }
        t->content = 0;
        t->padding = 0;
        if (tar_read_headers(t, &more, err) != 0) {
            return -1;
        }
        *more_out = more;
        if (!more) {
            t->ended = true;
            return 0;
        }
        AUTO(tar_overrides_release) struct tar_overrides overrides = {0};
        if (tar_resolve_overrides(t, &overrides, err) != 0 ||
            make_entry(t, &overrides, entry, err) != 0) {
            return -1;
        }
        again = false;
        if (t->flavour == TAR_LAYER && interpret_whiteout(t, entry, &again, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int tar_reader_data(struct tar_reader *t, void *data, size_t cap, size_t *got_out,
                    struct error *err)
{
    size_t want = cap < t->content ? cap : (size_t)t->content;
    size_t got = 0;
    if (want > 0) {
        if (tar_some(t, data, want, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            return tar_damaged(t, "it ends within a file", err);
        }
    }
    t->content -= got;
    *got_out = got;
    return 0;
}

int tar_reader_view(struct tar_reader *t, const void **data_out, size_t *got_out, struct error *err)
{
    size_t want = t->content < TAR_BUFFER_BYTES ? (size_t)t->content : TAR_BUFFER_BYTES - 1;
    size_t got = 0;
    if (want > 0) {
        if (tar_some(t, NULL, want, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            return tar_damaged(t, "it ends within a file", err);
        }
    }
    *data_out = t->buffer + t->at - got;
    t->content -= got;
    *got_out = got;
    return 0;
}

int tar_reader_drain(struct tar_reader *t, struct error *err)
{
    size_t got = 1;
    while (got > 0) {
        if (tar_some(t, NULL, TAR_BUFFER_BYTES - 1, &got, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int tar_reader_open(struct reader *in, enum tar_flavour flavour, struct tar_reader **out,
                    struct error *err)
{
    (void)err;
    struct tar_reader *t = mem_calloc(1, sizeof *t);
    t->in = in;
    t->flavour = flavour;
    t->buffer = mem_alloc(TAR_BUFFER_BYTES);
    *out = t;
    return 0;
}

void tar_reader_freep(struct tar_reader **t)
{
    if (*t) {
        tar_drop_xattrs(*t);
        reader_freep(&(*t)->in);
        buf_release(&(*t)->pax);
        buf_release(&(*t)->long_name);
        buf_release(&(*t)->long_link);
        free((*t)->buffer);
        free((*t)->path);
        free((*t)->link);
        free(*t);
    }
    *t = NULL;
}
