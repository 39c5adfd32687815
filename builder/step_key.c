/* A step's key, and what went into it by name. */
#include "builder/step_key.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Raised when the meaning of a key or the bytes of a layer change: old records are then not found.
 */
#define KEY_VERSION "slipway step 3"

struct step_key {
    struct hasher *hasher;
    struct buf inputs;
    struct buf before; /* the name of the last input */
    struct buf name;   /* of a file */
    uint64_t part;     /* of the input that is being added */
};

/* Only tells apart what differs from the last time; the key itself is SHA-256. As FNV-1a, eight
 * bytes at a time. */
static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    uint64_t word = len;
    while (len >= sizeof word) {
        hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
        hash ^= hash >> 32;
        memcpy(&word, bytes, sizeof word);
        bytes += sizeof word;
        len -= sizeof word;
    }
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 32;
    word = 0;
    memcpy(&word, bytes, len);
    return (hash ^ word) * 0x9E3779B97F4A7C15ULL;
}

static void part_begin(struct step_key *key)
{
    key->part = 0xcbf29ce484222325ULL;
}

static void part_data(struct step_key *key, const void *data, size_t len)
{
    hasher_add_field(key->hasher, data, len);
    key->part = mix(key->part, data, len);
}

static void part_text(struct step_key *key, const char *text)
{
    hasher_add_text(key->hasher, text);
    key->part = mix(key->part, text ? text : "\xff", text ? strlen(text) + 1 : 1);
}

/* Many names are paths of one folder: what a name shares with the one before is left out. */
static void part_end(struct step_key *key, const char *name)
{
    const char *before = buf_text(&key->before);
    uint16_t shared = 0;
    while (before[shared] && before[shared] == name[shared] && shared < UINT16_MAX) {
        shared++;
    }
    buf_append(&key->inputs, &key->part, sizeof key->part);
    buf_append(&key->inputs, &shared, sizeof shared);
    buf_append(&key->inputs, name + shared, strlen(name + shared) + 1);
    key->before.len = shared;
    buf_puts(&key->before, name + shared);
}

struct step_key *step_key_new(const struct digest *chain, const struct layer_options *options,
                              const char *what)
{
    const int how[] = {(int)options->compression, options->level, (int)options->timestamps};
    struct step_key *key = mem_calloc(1, sizeof *key);
    key->inputs = (struct buf)BUF_INIT_LARGE(0);
    key->hasher = hasher_new();
    hasher_add_text(key->hasher, KEY_VERSION);
    hasher_add_text(key->hasher, what);
    step_key_data(key, "what the step starts from (the base or an earlier step)", chain->bytes,
                  sizeof chain->bytes);
    step_key_data(key, "the compression or the timestamps asked for", how, sizeof how);
    return key;
}

void step_key_freep(struct step_key **key)
{
    if (*key) {
        hasher_freep(&(*key)->hasher);
        buf_release(&(*key)->inputs);
        buf_release(&(*key)->before);
        buf_release(&(*key)->name);
        free(*key);
    }
    *key = NULL;
}

void step_key_text(struct step_key *key, const char *name, const char *text)
{
    part_begin(key);
    part_text(key, text);
    part_end(key, name);
}

void step_key_data(struct step_key *key, const char *name, const void *data, size_t len)
{
    part_begin(key);
    part_data(key, data, len);
    part_end(key, name);
}

/* A file that a stage just wrote and the same file out of that stage's cached layer must look the
 * same: so not the flag counts but the time that the layer gives. */
static int64_t time_of(const struct entry *entry, enum timestamps timestamps)
{
    struct digest content = entry->digest;
    if (entry->type == ENTRY_FILE && entry->size == 0) {
        digest_of("", 0, &content);
    }
    return layer_entry_time(entry, timestamps, &content);
}

void step_key_entry(struct step_key *key, const char *where, const char *path,
                    const struct entry *link, enum timestamps timestamps)
{
    const struct entry *entry = entry_inode(link);
    const bool device = entry_is_device(entry);
    const uint64_t numbers[] = {entry->type,
                                entry->mode,
                                entry->uid,
                                entry->gid,
                                device ? entry->rdev_major : 0,
                                device ? entry->rdev_minor : 0,
                                entry->xattrs_len,
                                entry->size,
                                (uint64_t)time_of(entry, timestamps)};
    part_begin(key);
    part_text(key, path);
    part_data(key, numbers, sizeof numbers);
    if (link->type == ENTRY_SYMLINK || link->type == ENTRY_HARDLINK) {
        part_text(key, link->link);
    }
    for (uint32_t i = 0; i < entry->xattrs_len; i++) {
        part_text(key, entry->xattrs[i].name);
        part_data(key, entry->xattrs[i].value, entry->xattrs[i].size);
    }
    if (entry->type == ENTRY_FILE && entry->size > 0) {
        part_data(key, entry->digest.bytes, sizeof entry->digest.bytes);
    }
    buf_clear(&key->name);
    buf_puts(&key->name, "file ");
    buf_puts(&key->name, where);
    buf_puts(&key->name, where[0] && path[0] ? "/" : where[0] || path[0] ? "" : ".");
    buf_puts(&key->name, path);
    part_end(key, buf_text(&key->name));
}

void step_key_finish(struct step_key *key, struct digest *out)
{
    hasher_finish(key->hasher, out);
}

const struct buf *step_key_inputs(const struct step_key *key)
{
    return &key->inputs;
}
