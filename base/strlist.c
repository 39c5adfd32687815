#include "base/strlist.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void strlist_release(struct strlist *list)
{
    for (size_t i = 0; i < list->len; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct strlist){0};
}

void strlist_take(struct strlist *list, char *text)
{
    if (list->len + 1 >= list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->items = mem_realloc(list->items, list->cap, sizeof *list->items);
    }
    list->items[list->len++] = text;
    list->items[list->len] = NULL;
}

void strlist_add(struct strlist *list, const char *text)
{
    strlist_take(list, mem_strdup(text));
}

void strlist_addf(struct strlist *list, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    strlist_take(list, len < 0 ? mem_strdup("") : text);
}

void strlist_add_all(struct strlist *list, const struct strlist *from)
{
    for (size_t i = 0; i < from->len; i++) {
        strlist_add(list, from->items[i]);
    }
}

void strlist_remove(struct strlist *list, size_t index)
{
    free(list->items[index]);
    memmove(list->items + index, list->items + index + 1,
            (list->len - index) * sizeof *list->items);
    list->len--;
}

bool strlist_has(const struct strlist *list, const char *text)
{
    for (size_t i = 0; i < list->len; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *list)
{
    if (list->len > 1) {
        qsort(list->items, list->len, sizeof *list->items, by_bytes);
    }
}

static char **env_find(const struct strlist *env, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < env->len; i++) {
        if (strncmp(env->items[i], key, len) == 0 && env->items[i][len] == '=') {
            return &env->items[i];
        }
    }
    return NULL;
}

const char *strlist_env_get(const struct strlist *env, const char *key)
{
    char **item = env_find(env, key);
    return item ? *item + strlen(key) + 1 : NULL;
}

void strlist_env_set(struct strlist *env, const char *key, const char *value)
{
    char **item = env_find(env, key);
    char *text = mem_printf("%s=%s", key, value);
    if (!item) {
        strlist_take(env, text);
        return;
    }
    free(*item);
    *item = text;
}

enum { NEAREST_MAX_LEN = 64 };

/* Edit distance with swaps of neighbours (optimal string alignment), case folded. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NEAREST_MAX_LEN + 1];
    size_t la = strlen(a);
    size_t lb = strlen(b);
    if (la > NEAREST_MAX_LEN || lb > NEAREST_MAX_LEN) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= lb; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        size_t *now = rows[i % 3];
        const size_t *prev = rows[(i + 2) % 3];
        const size_t *prev2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            int ca = tolower((unsigned char)a[i - 1]);
            int cb = tolower((unsigned char)b[j - 1]);
            size_t best = prev[j - 1] + (ca != cb);
            best = prev[j] + 1 < best ? prev[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]) && prev2[j - 2] + 1 < best) {
                best = prev2[j - 2] + 1;
            }
            now[j] = best;
        }
    }
    return rows[la % 3][lb];
}

const char *nearest_name(const char *word, const char *const *names, size_t count)
{
    size_t len = strlen(word);
    size_t best = len < 3 ? 1 : len / 3 + 1;
    const char *found = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, names[i]);
        if (d < best || (d == best && !found)) {
            best = d;
            found = names[i];
        }
    }
    return found;
}
