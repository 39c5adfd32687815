#include "builder/link_map.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"

struct link_pair {
    uintptr_t inode;
    char *path;
};

static int by_inode(const void *a, const void *b)
{
    const struct link_pair *x = a;
    const struct link_pair *y = b;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

static void free_pair(void *p)
{
    struct link_pair *pair = p;
    free(pair->path);
    free(pair);
}

const char *link_map_seen(struct link_map *map, const void *inode, const char *path)
{
    struct link_pair *pair = mem_calloc(1, sizeof *pair);
    pair->inode = (uintptr_t)inode;
    struct link_pair **slot = tsearch(pair, &map->root, by_inode);
    if (*slot != pair) {
        free(pair);
        return (*slot)->path;
    }
    pair->path = mem_strdup(path);
    return NULL;
}

void link_map_release(struct link_map *map)
{
    tdestroy(map->root, free_pair);
    map->root = NULL;
}
