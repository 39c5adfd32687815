/* How a tree is made: entries copied into an arena, sorted, hard links tied. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/spill.h"
#include "oci/tree_internal.h"

enum { FIRST_CHUNK = 64 * 1024, LARGEST_CHUNK = 4 * 1024 * 1024 };

struct tree_builder {
    struct arena *arena;
    bool unsorted; /* a path did not come behind the one before */
    /* Then a hash set of paths, made with the first tree_builder_has(): indices + 1 into the
     * arena's entries. */
    uint32_t *slots; /* LIMIT_ENTRIES fits */
    size_t slots_cap;
    size_t slots_filled; /* entries that are in the set */
};

struct arena *arena_new(void)
{
    struct arena *arena = mem_calloc(1, sizeof *arena);
    arena->refs = 1;
    return arena;
}

struct arena *arena_ref(struct arena *arena)
{
    __atomic_add_fetch(&arena->refs, 1, __ATOMIC_RELAXED);
    return arena;
}

void arena_unref(struct arena *arena)
{
    if (!arena || __atomic_sub_fetch(&arena->refs, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }
    for (size_t i = 0; i < arena->chunks_len; i++) {
        spill_free(arena->chunks[i].data, arena->chunks[i].size);
    }
    for (size_t i = 0; i < arena->sources_len; i++) {
        content_unref(arena->sources[i]);
    }
    free(arena->chunks);
    free(arena->sources);
    spill_free(arena->entries, arena->entries_cap * sizeof *arena->entries);
    free(arena);
}

/* A chunk for at least SIZE bytes: the more there are, the larger. */
static void add_chunk(struct arena *arena, size_t size)
{
    size_t wanted = FIRST_CHUNK;
    for (size_t i = 1; i < arena->chunks_len && wanted < LARGEST_CHUNK; i += 2) {
        wanted *= 2;
    }
    struct arena_chunk chunk = {.size = size > wanted ? size : wanted};
    chunk.data = spill_realloc(NULL, 0, chunk.size);
    arena->chunks = mem_realloc(arena->chunks, arena->chunks_len + 1, sizeof *arena->chunks);
    arena->chunks[arena->chunks_len++] = chunk;
    arena->used = 0;
}

/* ALIGN is a power of two. Chunks begin aligned to anything. */
static void *arena_alloc(struct arena *arena, size_t size, size_t align)
{
    size_t room = arena->chunks_len ? arena->chunks[arena->chunks_len - 1].size : 0;
    arena->used = (arena->used + align - 1) & ~(align - 1);
    if (arena->used > room || room - arena->used < size) {
        add_chunk(arena, size);
    }
    void *p = arena->chunks[arena->chunks_len - 1].data + arena->used;
    arena->used += size;
    return p;
}

const char *arena_text(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(arena_alloc(arena, size, 1), text, size);
}

static const struct xattr *arena_xattrs(struct arena *arena, const struct xattr *xattrs, size_t len)
{
    struct xattr *copy = arena_alloc(arena, len * sizeof *copy, _Alignof(struct xattr));
    for (size_t i = 0; i < len; i++) {
        copy[i].name = arena_text(arena, xattrs[i].name);
        void *value = arena_alloc(arena, xattrs[i].size + 1, 1);
        memcpy(value, xattrs[i].value, xattrs[i].size);
        copy[i].value = value;
        copy[i].size = xattrs[i].size;
    }
    return copy;
}

static void arena_hold(struct arena *arena, struct content_source *source)
{
    for (size_t i = arena->sources_len; i > 0; i--) {
        if (arena->sources[i - 1] == source) {
            return;
        }
    }
    if (arena->sources_len == arena->sources_cap) {
        arena->sources_cap = arena->sources_cap ? arena->sources_cap * 2 : 4;
        arena->sources = mem_realloc(arena->sources, arena->sources_cap, sizeof(*arena->sources));
    }
    arena->sources[arena->sources_len++] = content_ref(source);
}

struct tree_builder *tree_builder_new(void)
{
    struct tree_builder *b = mem_calloc(1, sizeof *b);
    b->arena = arena_new();
    return b;
}

static void add(struct tree_builder *b, const struct entry *entry, const char *path)
{
    struct arena *arena = b->arena;
    if (arena->entries_len == arena->entries_cap) {
        arena->entries = spill_grow(arena->entries, &arena->entries_cap, sizeof *arena->entries);
    }
    spill_looked(1);
    b->unsorted = b->unsorted || (arena->entries_len > 0 &&
                                  strcmp(arena->entries[arena->entries_len - 1].path, path) >= 0);
    struct entry *copy = &arena->entries[arena->entries_len++];
    *copy = *entry;
    copy->target = NULL;
    copy->path = path;
    copy->link = entry->link ? arena_text(arena, entry->link) : NULL;
    copy->xattrs = entry->xattrs_len ? arena_xattrs(arena, entry->xattrs, entry->xattrs_len) : NULL;
    if (entry->source) {
        arena_hold(arena, entry->source);
    }
}

void tree_builder_add(struct tree_builder *b, const struct entry *entry)
{
    add(b, entry, arena_text(b->arena, entry->path));
}

void tree_builder_add_kept(struct tree_builder *b, const struct entry *entry)
{
    assert(entry->source);
    add(b, entry, entry->path);
}

static size_t hash_text(const char *text)
{
    size_t h = 14695981039346656037U;
    for (const char *p = text; *p; p++) {
        h = (h ^ (unsigned char)*p) * 1099511628211U;
    }
    return h ^ h >> 29;
}

/* The slot of PATH, or the free one where it belongs. */
static uint32_t *slot_of(struct tree_builder *b, const char *path)
{
    size_t at = hash_text(path) & (b->slots_cap - 1);
    while (b->slots[at] && strcmp(b->arena->entries[b->slots[at] - 1].path, path) != 0) {
        at = (at + 1) & (b->slots_cap - 1);
    }
    return &b->slots[at];
}

static void fill_slots(struct tree_builder *b)
{
    if (b->arena->entries_len * 3 / 2 >= b->slots_cap) {
        b->slots_cap = b->slots_cap ? b->slots_cap : 256;
        while (b->slots_cap <= b->arena->entries_len * 2) {
            b->slots_cap *= 2;
        }
        free(b->slots);
        b->slots = mem_calloc(b->slots_cap, sizeof *b->slots);
        b->slots_filled = 0;
    }
    for (; b->slots_filled < b->arena->entries_len; b->slots_filled++) {
        *slot_of(b, b->arena->entries[b->slots_filled].path) = (uint32_t)b->slots_filled + 1;
    }
}

/* The paths have come in their order. Mostly asked for is the next one. */
static const struct entry *find_sorted(const struct arena *arena, const char *path)
{
    size_t low = 0;
    size_t high = arena->entries_len;
    if (high == 0 || strcmp(arena->entries[high - 1].path, path) < 0) {
        return NULL;
    }
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(arena->entries[mid].path, path);
        if (order == 0) {
            return &arena->entries[mid];
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    return NULL;
}

const struct entry *tree_builder_get(struct tree_builder *b, const char *path)
{
    if (!b->unsorted) {
        return find_sorted(b->arena, path);
    }
    fill_slots(b);
    size_t index = *slot_of(b, path);
    return index ? &b->arena->entries[index - 1] : NULL;
}

bool tree_builder_has(struct tree_builder *b, const char *path)
{
    return tree_builder_get(b, path) != NULL;
}

size_t tree_builder_len(const struct tree_builder *b)
{
    return b->arena->entries_len;
}

/* By path, and of equal paths the one added last comes last (entries lie in one array in the order
 * of adding). */
static int by_path(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a;
    const struct entry *y = *(const struct entry *const *)b;
    int order = strcmp(x->path, y->path);
    if (order != 0) {
        return order;
    }
    return x < y ? -1 : x > y;
}

/* LINK comes before FILE: it becomes the file, and FILE a link to it. */
static void swap_roles(struct entry *link, struct entry *file)
{
    struct entry was_link = *link;
    struct entry was_file = *file;
    *link = was_file;
    link->path = was_link.path;
    *file = was_link;
    file->path = was_file.path;
    file->link = link->path;
    file->target = link;
}

static void tie_hard_links(struct tree *tree)
{
    for (size_t i = 0; i < tree->len; i++) {
        struct entry *entry = (struct entry *)tree_at(tree, i);
        const struct entry *target = entry;
        for (int hops = 0; target && target->type == ENTRY_HARDLINK && hops < 40; hops++) {
            target = tree_find(tree, target->link);
        }
        if (entry->type == ENTRY_HARDLINK && target && target->type == ENTRY_FILE) {
            entry->target = target;
            entry->link = target->path;
            if (strcmp(entry->path, target->path) < 0) {
                swap_roles(entry, (struct entry *)target);
            }
        }
    }
}

struct tree *tree_builder_finish(struct tree_builder *b)
{
    struct arena *arena = b->arena;
    /* A large tree lives long: what growing left over is given back. */
    const size_t one = sizeof *arena->entries;
    arena->entries =
        spill_realloc(arena->entries, arena->entries_cap * one, arena->entries_len * one);
    arena->entries_cap = arena->entries_len;
    struct tree *tree = tree_alloc(arena->entries_len, NULL, NULL);
    tree->arenas[tree->arenas_len++] = MEM_STEAL(b->arena);
    for (size_t i = 0; i < arena->entries_len; i++) {
        tree->entries[i] = &arena->entries[i];
        spill_looked(1);
    }
    if (b->unsorted) {
        qsort(tree->entries, arena->entries_len, sizeof(*tree->entries), by_path);
    }
    for (size_t i = 0; i < arena->entries_len; i++) {
        spill_looked(1);
        bool last = i + 1 == arena->entries_len ||
                    strcmp(tree->entries[i]->path, tree->entries[i + 1]->path) != 0;
        if (last) {
            tree->entries[tree->len++] = tree->entries[i];
        }
    }
    tie_hard_links(tree);
    tree_builder_freep(&b);
    return tree;
}

void tree_builder_freep(struct tree_builder **b)
{
    if (*b) {
        arena_unref((*b)->arena);
        free((*b)->slots);
        free(*b);
    }
    *b = NULL;
}
