/* One block in gzip, zstd or as it is. Compressors are large and slow to make: they are kept. */
#include <assert.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/memory.h"
#include "oci/layer_internal.h"

/* What a CI stage waits for is compressing and sending. libdeflate's level 1 takes a quarter of the
 * time of zlib's level 6 (the peers' default) and comes to between 0.5 % less and 10 % more, which
 * pays wherever more than some 15 MB/s go over the network; level 5 comes to zlib's size in twice
 * the time of level 1. See tests/bench/bench_layer.c. */
enum { GZIP_DEFAULT_LEVEL = 1, GZIP_MAX_LEVEL = 12, ZSTD_DEFAULT_LEVEL = 3, ZSTD_MAX_LEVEL = 19 };

struct layer_codec {
    enum compression compression;
    int level;
    char name[16];
    pthread_mutex_t lock;
    void **idle; /* libdeflate_compressor or ZSTD_CCtx */
    size_t idle_len;
};

static int clamp(int level, int fallback, int max)
{
    if (level <= 0) {
        return fallback;
    }
    return level < max ? level : max;
}

struct layer_codec *layer_codec_new(enum compression compression, int level)
{
    struct layer_codec *codec = mem_calloc(1, sizeof *codec);
    codec->compression = compression;
    pthread_mutex_init(&codec->lock, NULL);
    if (compression == COMPRESS_GZIP) {
        codec->level = clamp(level, GZIP_DEFAULT_LEVEL, GZIP_MAX_LEVEL);
        snprintf(codec->name, sizeof codec->name, "gzip-%d", codec->level);
    } else if (compression == COMPRESS_ZSTD) {
        codec->level = clamp(level, ZSTD_DEFAULT_LEVEL, ZSTD_MAX_LEVEL);
        snprintf(codec->name, sizeof codec->name, "zstd-%d", codec->level);
    } else {
        snprintf(codec->name, sizeof codec->name, "none");
    }
    return codec;
}

void layer_codec_freep(struct layer_codec **codec)
{
    struct layer_codec *c = *codec;
    *codec = NULL;
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->idle_len; i++) {
        if (c->compression == COMPRESS_GZIP) {
            libdeflate_free_compressor(c->idle[i]);
        } else {
            ZSTD_freeCCtx(c->idle[i]);
        }
    }
    pthread_mutex_destroy(&c->lock);
    free(c->idle);
    free(c);
}

const char *layer_codec_name(const struct layer_codec *codec)
{
    return codec->name;
}

const char *layer_codec_media_type(const struct layer_codec *codec)
{
    switch (codec->compression) {
    case COMPRESS_GZIP:
        return MEDIA_OCI_LAYER_GZIP;
    case COMPRESS_ZSTD:
        return MEDIA_OCI_LAYER_ZSTD;
    default:
        return MEDIA_OCI_LAYER;
    }
}

bool layer_codec_is_none(const struct layer_codec *codec)
{
    return codec->compression == COMPRESS_NONE;
}

static void *compressor_get(struct layer_codec *codec)
{
    void *compressor = NULL;
    pthread_mutex_lock(&codec->lock);
    if (codec->idle_len > 0) {
        compressor = codec->idle[--codec->idle_len];
    }
    pthread_mutex_unlock(&codec->lock);
    if (!compressor) {
        compressor = codec->compression == COMPRESS_GZIP
                         ? (void *)libdeflate_alloc_compressor(codec->level)
                         : (void *)ZSTD_createCCtx();
    }
    return compressor;
}

static void compressor_put(struct layer_codec *codec, void *compressor)
{
    pthread_mutex_lock(&codec->lock);
    codec->idle = mem_realloc(codec->idle, codec->idle_len + 1, sizeof *codec->idle);
    codec->idle[codec->idle_len++] = compressor;
    pthread_mutex_unlock(&codec->lock);
}

static int zstd_block(ZSTD_CCtx *context, int level, const void *raw, size_t len, struct buf *out,
                      struct error *err)
{
    size_t bound = ZSTD_compressBound(len);
    size_t got = ZSTD_compressCCtx(context, buf_reserve(out, bound), bound, raw, len, level);
    if (ZSTD_isError(got)) {
        return error_set(err, ERR_STORE, "zstd: %s", ZSTD_getErrorName(got));
    }
    out->len += got;
    return 0;
}

int layer_codec_block(struct layer_codec *codec, const void *raw, size_t len, struct buf *out,
                      struct error *err)
{
    assert(len > 0);
    if (codec->compression == COMPRESS_NONE) {
        buf_append(out, raw, len);
        return 0;
    }
    void *compressor = compressor_get(codec);
    if (!compressor) {
        return error_set(err, ERR_STORE, "no memory to compress");
    }
    int rc = codec->compression == COMPRESS_GZIP
                 ? gzip_block(compressor, raw, len, out, err)
                 : zstd_block(compressor, codec->level, raw, len, out, err);
    compressor_put(codec, compressor);
    return rc;
}

void layer_codec_head(const struct layer_codec *codec, struct buf *out)
{
    if (codec->compression == COMPRESS_GZIP) {
        gzip_head(out);
    }
}

void layer_codec_tail(const struct layer_codec *codec, const struct gzip_check *check,
                      struct buf *out)
{
    if (codec->compression == COMPRESS_GZIP) {
        gzip_tail(check, out);
    }
}
