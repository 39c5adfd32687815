/*
 * How fast layers are written and read back, against zlib's level 6 (what engines written in Go
 * come near).
 *
 *     bench_layer FOLDER [THREADS]        (built with -DSLIPWAY_BENCH=ON)
 *
 * Every file below FOLDER is read into memory once, so that the disk is not measured. Prints one
 * line per measurement: what, MB/s of the uncompressed tar, files a second, and its size in
 * percent.
 */
#include <fcntl.h>
#include <fts.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"
#include "oci/deflate_tail.h"
#include "oci/deflate_walk.h"
#include "oci/folder.h"
#include "oci/layer.h"
#include "oci/unpack.h"

/* With BENCH_CPU in the environment processor time is measured, for machines that others use too.
 */
static clockid_t clock_id = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(clock_id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t entries; /* of the folder */

static void report(const char *what, double seconds, size_t raw, size_t packed)
{
    printf("%-28s %8.1f MB/s %9.0f entries/s  %6.2f %%  %.3f s\n", what,
           (double)raw / 1e6 / seconds, (double)entries / seconds,
           100.0 * (double)packed / (double)raw, seconds);
    fflush(stdout);
}

/* What comes before a layer: the folder's entries, and the digests of its files. */
static void bench_folder(const char *folder, size_t raw)
{
    struct error err = {0};
    AUTO(tree_unrefp) struct tree *tree = NULL;
    AUTO(pool_freep) struct pool *pool = pool_new(0);
    double start = now();
    if (folder_tree(folder, NULL, &tree, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    report("walk", now() - start, raw, raw);
    start = now();
    if (tree_hash_files(tree, 0, tree_len(tree), NULL, pool, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    report("read and hash the files", now() - start, raw, raw);
}

/* What a RUN needs of the layer: its blob as a folder. */
static void bench_unpack(struct store *store, const struct layer *layer, size_t raw)
{
    struct error err = {0};
    AUTO(mem_freep) char *path = NULL;
    double start = now();
    if (unpack_layer(store, layer, NULL, UNPACK_PLAIN, &path, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    report("  unpack", now() - start, raw, layer->blob.size);
}

static struct tree *load(const char *folder)
{
    char *paths[] = {(char *)folder, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    struct tree_builder *b = tree_builder_new();
    struct error err = {0};
    for (FTSENT *e = fts_read(fts); e; e = fts_read(fts)) {
        if (e->fts_info != FTS_F) {
            continue;
        }
        struct buf data = BUF_INIT(0);
        if (file_read(AT_FDCWD, e->fts_accpath, (size_t)1 << 31, &data, NULL, &err) != 0) {
            continue;
        }
        struct content_source *source = content_memory(data.data, data.len);
        struct entry entry = {.path = e->fts_path + strlen(folder) + 1,
                              .type = ENTRY_FILE,
                              .mode = 0644,
                              .size = data.len,
                              .flags = ENTRY_TIME_VOLATILE,
                              .source = data.len ? source : NULL};
        tree_builder_add(b, &entry);
        content_unref(source);
    }
    fts_close(fts);
    return tree_builder_finish(b);
}

static void bench_write(struct tree *tree, size_t raw, enum compression c, int level,
                        unsigned threads)
{
    char home[] = "/tmp/bench-layer-XXXXXX";
    struct error err = {0};
    AUTO(store_freep) struct store *store = NULL;
    if (!mkdtemp(home) || store_open(home, &store, &err) != 0) {
        abort();
    }
    AUTO(pool_freep) struct pool *pool = pool_new(threads);
    struct layer_options options = {.compression = c, .level = level};
    struct layer layer;
    double start = now();
    if (layer_write(store, pool, tree, &options, &layer, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    char what[64];
    static const char *const names[] = {"gzip", "zstd", "none"};
    snprintf(what, sizeof what, "write %s level %d, %u thr", names[c], level, threads);
    report(what, now() - start, raw, layer.blob.size);
    if (threads > 1 && level == 0) {
        start = now();
        struct layer_options fresh = options;
        fresh.compression = c;
        layer_write(store, pool, tree, &fresh, &layer, &err);
        report("  the same again", now() - start, raw, layer.blob.size);
        char path[128];
        char hex[DIGEST_HEX_SIZE];
        snprintf(path, sizeof path, "trees/%s", digest_hex(&layer.diff_id, hex));
        unlinkat(store_fd(store), path, 0);
        struct tree *back = NULL;
        start = now();
        if (layer_tree(store, &layer, &back, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        report("  index from blob", now() - start, raw, layer.blob.size);
        tree_unref(back);
        start = now();
        layer_tree(store, &layer, &back, &err);
        report("  index loaded", now() - start, raw, layer.blob.size);
        tree_unref(back);
        bench_unpack(store, &layer, raw);
    }
    store_freep(&store);
    file_remove_tree(AT_FDCWD, home, &err);
}

static void bench_bare(const struct buf *tar)
{
    uLongf bound = compressBound(tar->len);
    AUTO(mem_freep) uint8_t *out = mem_alloc(bound);
    double start = now();
    uLongf got = bound;
    compress2(out, &got, (Bytef *)tar->data, tar->len, 6);
    report("zlib level 6, 1 thread", now() - start, tar->len, got);
    for (int level = 1; level <= 7; level++) {
        struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
        size_t total = 0;
        double walked = 0;
        double searched = 0;
        size_t missed = tar->len;
        start = now();
        for (size_t at = 0; at < tar->len; at += 1 << 20) {
            size_t len = tar->len - at < 1 << 20 ? tar->len - at : 1 << 20;
            size_t one = libdeflate_deflate_compress(c, tar->data + at, len, out, bound);
            total += one;
            double walk = now();
            uint64_t last = 0;
            uint64_t end = 0;
            if (!deflate_walk(out, one, &last, &end)) {
                abort();
            }
            walked += now() - walk;
            double search = now();
            uint64_t last_from_behind = 0;
            if (deflate_tail(out, one, (uint8_t *)tar->data + at, len, &last_from_behind, &end)) {
                missed -= len;
                if (last_from_behind != last) {
                    abort();
                }
            }
            searched += now() - search;
        }
        char what[64];
        snprintf(what, sizeof what, "libdeflate level %d, 1 thread", level);
        report(what, now() - start - walked - searched, tar->len, total);
        report("  the walk alone", walked, tar->len, total);
        report("  the search from behind", searched, tar->len, total);
        printf("  which left %.1f %% to the walk\n", 100.0 * (double)missed / (double)tar->len);
        libdeflate_free_compressor(c);
    }
    start = now();
    struct digest digest;
    digest_of(tar->data, tar->len, &digest);
    report("SHA-256", now() - start, tar->len, 0);
    start = now();
    memcpy(buf_reserve(&(struct buf)BUF_INIT(0), tar->len), tar->data, tar->len);
    report("memcpy (fresh pages)", now() - start, tar->len, 0);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_layer FOLDER [THREADS]\n");
        return 2;
    }
    if (getenv("BENCH_CPU")) {
        clock_id = CLOCK_PROCESS_CPUTIME_ID;
    }
    unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : cpu_count();
    AUTO(tree_unrefp) struct tree *tree = load(argv[1]);
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    AUTO(writer_freep) struct writer *out = writer_buf(&tar);
    struct error err = {0};
    if (layer_write_tar(tree, TIMES_CONTENT, out, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    entries = tree_len(tree);
    printf("%zu files, %zu bytes of tar\n", entries, tar.len);
    bench_folder(argv[1], tar.len);
    bench_bare(&tar);
    bench_write(tree, tar.len, COMPRESS_NONE, 0, threads);
    bench_write(tree, tar.len, COMPRESS_ZSTD, 0, threads);
    for (int level = 1; level <= 6; level++) {
        bench_write(tree, tar.len, COMPRESS_GZIP, level, threads);
    }
    bench_write(tree, tar.len, COMPRESS_GZIP, 0, 1);
    bench_write(tree, tar.len, COMPRESS_GZIP, 0, threads);
    return 0;
}
