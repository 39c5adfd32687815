/*
 * An ordered list of owned strings, and what is asked of lists of names: sort, search, the nearest
 * name.
 *
 * `AUTO(strlist_release) struct strlist names = {0};`. `items[len]` is always NULL once something
 * was added, so that `items` serves as an argv or envp.
 */
#ifndef SLIPWAY_BASE_STRLIST_H
#define SLIPWAY_BASE_STRLIST_H

#include <stdbool.h>
#include <stddef.h>

struct strlist {
    char **items;
    size_t len;
    size_t cap;
};

/* Frees all strings; the list is empty and usable again. */
void strlist_release(struct strlist *list);

/* Adds a copy of TEXT. */
void strlist_add(struct strlist *list, const char *text);

/* Adds TEXT itself, which the list now owns. */
void strlist_take(struct strlist *list, char *text);

/* Adds a string made as by printf. */
void strlist_addf(struct strlist *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds copies of all of FROM's strings. */
void strlist_add_all(struct strlist *list, const struct strlist *from);

/* Removes the item at INDEX, keeping the order. */
void strlist_remove(struct strlist *list, size_t index);

/* Whether TEXT is one of the strings. */
bool strlist_has(const struct strlist *list, const char *text);

/* Sorts by bytes. */
void strlist_sort(struct strlist *list);

/* For lists of KEY=VALUE (an environment): the value of KEY, borrowed, or NULL. The first match
 * counts. */
const char *strlist_env_get(const struct strlist *env, const char *key);

/* Sets KEY=VALUE in place if KEY is there (names compare by bytes), else adds it at the end. */
void strlist_env_set(struct strlist *env, const char *key, const char *value);

/* The one of COUNT names that is nearest to WORD by edits (insert, delete, change, swap of
 * neighbours), borrowed from NAMES; NULL if none is near enough to be what was meant. Case does not
 * count. */
const char *nearest_name(const char *word, const char *const *names, size_t count);

#endif
