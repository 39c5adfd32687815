#include "base/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum {
    LARGE = 256 * 1024,        /* what is smaller is the process's own */
    OWN_MAX = 8 * 1024 * 1024, /* bytes of large ones that are, too */
    LOOKED_MAX = 32768,        /* elements after which all are let go */
    LOOKED_BY_THREAD = 512,    /* that a thread counts for itself */
};

/* What lies in a file. */
struct block {
    char *address;
    size_t size; /* of the mapping: whole pages */
    int fd;      /* -1: a file of somebody else's */
};

bool spill_is_used;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The lock guards what follows. */
static int home = -1;
static struct block *blocks;
static size_t blocks_len;
static size_t blocks_cap;
static size_t own; /* bytes of large ones that are the process's */

/* Where a file's room can be had beforehand: writing into a mapping must not find the disk full. */
static bool promises_room(int fd)
{
    static const uint32_t known[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
                                     OVERLAYFS_SUPER_MAGIC};
    return file_is_on(fd, known, ARRAY_LEN(known));
}

void spill_set_home(int fd)
{
    int copy = promises_room(fd) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    pthread_mutex_lock(&lock);
    fd_closep(&home);
    home = copy;
    pthread_mutex_unlock(&lock);
}

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

/* The lock is held. NULL: PTR is the process's own. */
static struct block *find_block(const void *ptr)
{
    for (size_t i = blocks_len; i > 0; i--) {
        if (blocks[i - 1].address == ptr) {
            return &blocks[i - 1];
        }
    }
    return NULL;
}

/* The lock is held. */
static struct block *keep_block(const struct block *block)
{
    if (blocks_len == blocks_cap) {
        blocks_cap = blocks_cap ? blocks_cap * 2 : 16;
        blocks = mem_realloc(blocks, blocks_cap, sizeof *blocks);
    }
    blocks[blocks_len] = *block;
    __atomic_store_n(&spill_is_used, true, __ATOMIC_RELAXED);
    return &blocks[blocks_len++];
}

/* The lock is held. NULL where no file can be had. */
static struct block *new_block(size_t size)
{
    struct block block = {.size = whole_pages(size), .fd = -1};
    if (home < 0) {
        return NULL;
    }
    block.fd = openat(home, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (block.fd < 0 || fallocate(block.fd, 0, 0, (off_t)block.size) != 0) {
        fd_closep(&block.fd);
        return NULL;
    }
    block.address = mmap(NULL, block.size, PROT_READ | PROT_WRITE, MAP_SHARED, block.fd, 0);
    if (block.address == MAP_FAILED) {
        fd_closep(&block.fd);
        return NULL;
    }
    return keep_block(&block);
}

/* The lock is held. */
static void free_block(struct block *block)
{
    munmap(block->address, block->size);
    fd_closep(&block->fd);
    *block = blocks[--blocks_len];
    __atomic_store_n(&spill_is_used, blocks_len > 0, __ATOMIC_RELAXED);
}

/* The lock is held. Whether it could be done. */
static bool resize_block(struct block *block, size_t size)
{
    size_t wanted = whole_pages(size);
    if (wanted > block->size && fallocate(block->fd, 0, 0, (off_t)wanted) != 0) {
        return false;
    }
    char *moved = mremap(block->address, block->size, wanted, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
        return false;
    }
    if (wanted < block->size && ftruncate(block->fd, (off_t)wanted) != 0) {
        errno = 0; /* it only takes more room than it must */
    }
    block->address = moved;
    block->size = wanted;
    return true;
}

static void count_own(size_t old_size, size_t new_size)
{
    own -= old_size >= LARGE ? old_size : 0;
    own += new_size >= LARGE ? new_size : 0;
}

/* The lock is held. A block's bytes move into the process's own memory, or into another file. */
static void *move(void *ptr, size_t old_size, size_t new_size, struct block *to)
{
    size_t kept = old_size < new_size ? old_size : new_size;
    void *moved = to ? to->address : mem_alloc(new_size);
    if (kept > 0) {
        memcpy(moved, ptr, kept);
    }
    struct block *from = find_block(ptr);
    if (from) {
        free_block(from);
    } else {
        count_own(old_size, 0);
        free(ptr);
    }
    if (!to) {
        count_own(0, new_size);
    }
    return moved;
}

/* The lock is held. */
static void *resize(void *ptr, size_t old_size, size_t new_size)
{
    struct block *block = old_size >= LARGE ? find_block(ptr) : NULL;
    if (block && new_size >= LARGE && resize_block(block, new_size)) {
        return block->address;
    }
    if (!block && new_size >= LARGE && own + new_size > OWN_MAX) {
        struct block *to = new_block(new_size);
        if (to) {
            return move(ptr, old_size, new_size, to);
        }
    }
    if (block) {
        return move(ptr, old_size, new_size, NULL);
    }
    count_own(old_size, new_size);
    return mem_realloc(ptr, new_size, 1);
}

void *spill_realloc(void *ptr, size_t old_size, size_t new_size)
{
    if (old_size < LARGE && new_size < LARGE) {
        return mem_realloc(ptr, new_size, 1);
    }
    pthread_mutex_lock(&lock);
    void *moved = resize(ptr, old_size, new_size);
    pthread_mutex_unlock(&lock);
    return moved;
}

void *spill_grow(void *ptr, size_t *cap, size_t size)
{
    const size_t first = 64;
    size_t old = *cap;
    *cap = old + old / 2 + first;
    return spill_realloc(ptr, old * size, *cap * size);
}

void *spill_calloc(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes < LARGE) {
        return mem_calloc(count, size);
    }
    pthread_mutex_lock(&lock);
    struct block *block = own + bytes > OWN_MAX ? new_block(bytes) : NULL;
    void *made = block ? block->address : mem_calloc(count, size);
    if (!block) {
        count_own(0, bytes);
    }
    pthread_mutex_unlock(&lock);
    return made;
}

void spill_free(void *ptr, size_t size)
{
    if (!ptr || size < LARGE) {
        free(ptr);
        return;
    }
    pthread_mutex_lock(&lock);
    struct block *block = find_block(ptr);
    if (block) {
        free_block(block);
    } else {
        count_own(size, 0);
        free(ptr);
    }
    pthread_mutex_unlock(&lock);
}

void *spill_take(void *ptr, size_t size)
{
    if (size < LARGE) {
        return ptr;
    }
    pthread_mutex_lock(&lock);
    struct block *block = find_block(ptr);
    void *taken = block ? mem_dup(ptr, size) : ptr;
    if (block) {
        free_block(block);
    } else {
        count_own(size, 0);
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

const void *spill_map(int fd, size_t size)
{
    struct block block = {.size = size, .fd = -1};
    block.address = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (block.address == MAP_FAILED) {
        return NULL;
    }
    pthread_mutex_lock(&lock);
    keep_block(&block);
    pthread_mutex_unlock(&lock);
    return block.address;
}

void spill_unmap(const void *mapping)
{
    pthread_mutex_lock(&lock);
    struct block *block = mapping ? find_block(mapping) : NULL;
    if (block) {
        free_block(block);
    }
    pthread_mutex_unlock(&lock);
}

/* The file keeps what was written. */
static void let_go(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < blocks_len; i++) {
        madvise(blocks[i].address, blocks[i].size, MADV_DONTNEED);
    }
    pthread_mutex_unlock(&lock);
}

void spill_count(size_t elements)
{
    static __thread size_t here;
    static size_t all;
    here += elements;
    if (here < LOOKED_BY_THREAD) {
        return;
    }
    size_t before = __atomic_fetch_add(&all, here, __ATOMIC_RELAXED);
    if (before / LOOKED_MAX != (before + here) / LOOKED_MAX) {
        let_go();
    }
    here = 0;
}
