/*
 * Allocation that cannot fail, and cleanup attributes.
 *
 * A failing allocation ends the process in memory.c, the one place that may. Every size that comes
 * from outside is therefore checked against a maximum of base/limits.h before it gets here.
 */
#ifndef SLIPWAY_BASE_MEMORY_H
#define SLIPWAY_BASE_MEMORY_H

#include <stddef.h>
#include <stdio.h>

/* Declares an owner: FN is called with the variable's address when it leaves its scope. */
#define AUTO(FN) __attribute__((cleanup(FN)))

/* Number of elements of an array. */
#define ARRAY_LEN(A) (sizeof(A) / sizeof((A)[0]))

/* malloc that does not return NULL; SIZE 0 gives a unique pointer. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* As mem_alloc, zero-filled, COUNT elements of SIZE bytes; an overflowing product ends the process.
 */
void *mem_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* realloc to COUNT elements of SIZE bytes. PTR may be NULL. */
void *mem_realloc(void *ptr, size_t count, size_t size) __attribute__((returns_nonnull));

/* A heap copy of TEXT, or NULL for NULL. */
char *mem_strdup(const char *text);

/* A heap copy of the first LEN bytes of TEXT, terminated. */
char *mem_strndup(const char *text, size_t len) __attribute__((returns_nonnull));

/* A heap copy of SIZE bytes. */
void *mem_dup(const void *data, size_t size) __attribute__((returns_nonnull));

/* A heap string made as by printf. */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Cleanup helpers for AUTO(): each takes the address of the owner, tolerates NULL or -1, and keeps
 * errno. */
void mem_freep(void *pointer_to_pointer);

/* Cleanup for AUTO(): closes *FD; -1 is fine. */
void fd_closep(int *fd);

/* Cleanup for AUTO(): closes *FILE; NULL is fine. */
void file_closep(FILE **file);

/* Hands over what *FD holds and leaves -1 behind. */
int fd_steal(int *fd);

/* Hands over what *POINTER_TO_POINTER holds and leaves NULL behind. */
#define MEM_STEAL(P)                                                                               \
    ({                                                                                             \
        __typeof__(P) stolen_ = (P);                                                               \
        (P) = NULL;                                                                                \
        stolen_;                                                                                   \
    })

#endif
