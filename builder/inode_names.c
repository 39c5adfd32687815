/* A file of its own, because <search.h> has another `struct entry` than oci/tree.h. */
#include "builder/inode_names.h"

#include <search.h>
#include <stdlib.h>

#include "base/memory.h"

struct inode {
    ino_t number;
    char *path;
};

static int by_number(const void *a, const void *b)
{
    const struct inode *x = a;
    const struct inode *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void free_inode(void *node)
{
    struct inode *inode = node;
    free(inode->path);
    free(inode);
}

void inode_names_release(struct inode_names *names)
{
    tdestroy(names->root, free_inode);
    names->root = NULL;
}

const char *inode_names_first(struct inode_names *names, ino_t number, const char *path)
{
    struct inode *inode = mem_calloc(1, sizeof *inode);
    *inode = (struct inode){number, mem_strdup(path)};
    struct inode **found = tsearch(inode, &names->root, by_number);
    if (*found != inode) {
        free_inode(inode);
    }
    return (*found)->path;
}
