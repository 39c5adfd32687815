/*
 * Memory for what grows with the number of files. The first megabytes are the process's own; larger
 * ones beyond them lie in files without a name, of which only what is being looked at is in memory.
 *
 *     spill_set_home(fd)                           where such files are made
 *     array = spill_realloc(array, old, new)       as realloc(), with the sizes in bytes
 *     spill_looked(1)                              for every element that is looked at
 *     spill_free(array, size)
 *
 * Meant for what is gone through from the front to the end; what is read at random costs time.
 */
#ifndef SLIPWAY_BASE_SPILL_H
#define SLIPWAY_BASE_SPILL_H

#include <stdbool.h>
#include <stddef.h>

/* From now on files are made in the folder FD (a copy is taken), if its file system can promise
 * their room: else all stays the process's own. The last home counts. */
void spill_set_home(int fd);

/* As realloc(), never NULL: OLD_SIZE is what PTR (NULL: 0) was allocated with. What is added is not
 * cleared. Free it with spill_free(). Any thread. */
void *spill_realloc(void *ptr, size_t old_size, size_t new_size) __attribute__((returns_nonnull));

/* The array PTR of *CAP elements of SIZE bytes with room for more, which *CAP then says. */
void *spill_grow(void *ptr, size_t *cap, size_t size) __attribute__((returns_nonnull));

/* COUNT elements of SIZE bytes, all zero. */
void *spill_calloc(size_t count, size_t size) __attribute__((returns_nonnull));

/* Frees SIZE bytes. NULL is fine. */
void spill_free(void *ptr, size_t size);

/* The same bytes as memory that free() takes; PTR is gone. */
void *spill_take(void *ptr, size_t size) __attribute__((returns_nonnull));

/* The SIZE bytes of the file FD, to be read only, as one more of those files: what was looked at is
 * let go. NULL with errno where it cannot be mapped. The file must not become shorter. Free it with
 * spill_unmap(). */
const void *spill_map(int fd, size_t size);

/* NULL is fine. */
void spill_unmap(const void *mapping);

/* Whether anything lies in a file. */
extern bool spill_is_used;

/* Call it through spill_looked(). */
void spill_count(size_t elements);

/* Says that so many ELEMENTS (some 100 bytes each) were looked at: now and then those that were are
 * let go from memory. Their addresses stay good. Any thread. */
static inline void spill_looked(size_t elements)
{
    if (__atomic_load_n(&spill_is_used, __ATOMIC_RELAXED)) {
        spill_count(elements);
    }
}

/* The same for BYTES. */
static inline void spill_looked_bytes(size_t bytes)
{
    spill_looked(bytes / 128 + 1);
}

#endif
