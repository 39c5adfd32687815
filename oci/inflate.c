/* Readers that inflate: gzip with any number of members, zstd with any number of frames, or as it
 * is. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#ifdef SLIPWAY_ISAL
#include <isa-l/igzip_lib.h>
#endif

#include "base/limits.h"
#include "base/memory.h"
#include "oci/layer_internal.h"

enum { INPUT_BYTES = 256 * 1024 };

struct inflate {
    struct reader base;
    struct reader *in;
    unsigned char *input;
    size_t at; /* of the input */
    size_t len;
    bool in_ended;
    bool within; /* a member or frame has begun and not ended */
    z_stream zlib;
    ZSTD_DStream *zstd;
#ifdef SLIPWAY_ISAL
    struct inflate_state *isal; /* NULL: zlib does it all */
    bool in_isal;               /* the current member is ISA-L's */
#endif
};

static int corrupt(struct error *err, const char *what)
{
    return error_set(err, ERR_REMOTE, "corrupt compressed data: %s", what);
}

/* Makes sure that there is input unless it has ended. */
static int fill(struct inflate *r, struct error *err)
{
    if (r->at < r->len || r->in_ended) {
        return 0;
    }
    size_t got = 0;
    if (reader_read(r->in, r->input, INPUT_BYTES, &got, err) != 0) {
        return -1;
    }
    r->at = 0;
    r->len = got;
    r->in_ended = got == 0;
    return 0;
}

static int plain_read(struct reader *base, void *data, size_t cap, size_t *got_out,
                      struct error *err)
{
    struct inflate *r = (struct inflate *)base;
    if (r->at == r->len) {
        return reader_read(r->in, data, cap, got_out, err);
    }
    size_t got = r->len - r->at < cap ? r->len - r->at : cap;
    memcpy(data, r->input + r->at, got);
    r->at += got;
    *got_out = got;
    return 0;
}

/* One call of zlib. */
static int gzip_step(struct inflate *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    if (!r->within && inflateReset2(&r->zlib, 16 + MAX_WBITS) != Z_OK) {
        return corrupt(err, "zlib");
    }
    r->within = true;
    uInt room = cap < UINT32_MAX ? (uInt)cap : UINT32_MAX;
    r->zlib.next_in = r->input + r->at;
    r->zlib.avail_in = (uInt)(r->len - r->at);
    r->zlib.next_out = data;
    r->zlib.avail_out = room;
    int rc = inflate(&r->zlib, Z_NO_FLUSH);
    r->at = r->len - r->zlib.avail_in;
    *got_out = room - r->zlib.avail_out;
    if (rc == Z_STREAM_END) {
        r->within = false;
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
        return corrupt(err, r->zlib.msg ? r->zlib.msg : "not gzip");
    }
    return 0;
}

#ifdef SLIPWAY_ISAL
static const char *isal_problem(int rc)
{
    switch (rc) {
    case ISAL_INVALID_BLOCK:
        return "invalid block";
    case ISAL_INVALID_SYMBOL:
        return "invalid code";
    case ISAL_INVALID_LOOKBACK:
        return "invalid distance too far back";
    case ISAL_INCORRECT_CHECKSUM:
        return "incorrect data check";
    default:
        return "not gzip";
    }
}

/* Whether ISA-L takes the member that begins here: one whose header it reads as zlib does. Rare
 * flags (a checksum of the header, reserved ones), and a header cut off by the end of the input,
 * are left to zlib. */
static bool isal_takes(const struct inflate *r)
{
    enum { HEAD_BYTES = 10, RARE_FLAGS = 0xe2, DEFLATE = 8 };
    const unsigned char *head = r->input + r->at;
    return r->isal && r->len - r->at >= HEAD_BYTES && head[0] == 0x1f && head[1] == 0x8b &&
           head[2] == DEFLATE && (head[3] & RARE_FLAGS) == 0;
}

/* One call of ISA-L, which inflates at twice zlib's speed. */
static int isal_step(struct inflate *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    struct inflate_state *s = r->isal;
    uint32_t room = cap < UINT32_MAX / 2 ? (uint32_t)cap : UINT32_MAX / 2;
    if (!r->within) {
        isal_inflate_reset(s);
        s->crc_flag = ISAL_GZIP;
    }
    r->within = true;
    s->next_in = r->input + r->at;
    s->avail_in = (uint32_t)(r->len - r->at);
    s->next_out = data;
    s->avail_out = room;
    const enum isal_block_state before = s->block_state;
    int rc = isal_inflate(s);
    bool stands_still = s->block_state == before && r->at == r->len - s->avail_in &&
                        r->at < r->len && s->avail_out == room;
    r->at = r->len - s->avail_in;
    *got_out = room - s->avail_out;
    if (rc < 0 || rc == ISAL_NEED_DICT || (stands_still && room > 0)) {
        return corrupt(err, isal_problem(rc));
    }
    if (s->block_state == ISAL_BLOCK_FINISH) {
        r->within = false;
    }
    return 0;
}

static int member_step(struct inflate *r, void *data, size_t cap, size_t *got_out,
                       struct error *err)
{
    if (!r->within) {
        r->in_isal = isal_takes(r);
    }
    return (r->in_isal ? isal_step : gzip_step)(r, data, cap, got_out, err);
}
#else
#define member_step gzip_step
#endif

/* One call of libzstd. */
static int zstd_step(struct inflate *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    ZSTD_inBuffer in = {r->input + r->at, r->len - r->at, 0};
    ZSTD_outBuffer out = {data, cap, 0};
    size_t rc = ZSTD_decompressStream(r->zstd, &out, &in);
    if (ZSTD_isError(rc)) {
        return corrupt(err, ZSTD_getErrorName(rc));
    }
    r->at += in.pos;
    r->within = rc != 0;
    *got_out = out.pos;
    return 0;
}

typedef int (*step_fn)(struct inflate *r, void *data, size_t cap, size_t *got_out,
                       struct error *err);

static int steps_read(struct inflate *r, step_fn step, void *data, size_t cap, size_t *got_out,
                      struct error *err)
{
    for (;;) {
        if (fill(r, err) != 0) {
            return -1;
        }
        if (r->in_ended && !r->within) {
            *got_out = 0;
            return 0;
        }
        size_t got = 0;
        if (step(r, data, cap, &got, err) != 0) {
            return -1;
        }
        if (got > 0) {
            *got_out = got;
            return 0;
        }
        if (r->in_ended && r->within) {
            return corrupt(err, "it ends too early");
        }
    }
}

static int gzip_read(struct reader *base, void *data, size_t cap, size_t *got_out,
                     struct error *err)
{
    return steps_read((struct inflate *)base, member_step, data, cap, got_out, err);
}

static int zstd_read(struct reader *base, void *data, size_t cap, size_t *got_out,
                     struct error *err)
{
    return steps_read((struct inflate *)base, zstd_step, data, cap, got_out, err);
}

static void inflate_free(struct reader *base)
{
    struct inflate *r = (struct inflate *)base;
    reader_freep(&r->in);
    free(r->input);
    inflateEnd(&r->zlib);
    ZSTD_freeDStream(r->zstd);
#ifdef SLIPWAY_ISAL
    free(r->isal);
#endif
    free(r);
}

static const struct reader_ops plain_ops = {plain_read, inflate_free};
static const struct reader_ops gzip_ops = {gzip_read, inflate_free};
static const struct reader_ops zstd_ops = {zstd_read, inflate_free};

static bool is_zstd(const unsigned char *head, size_t len)
{
    static const unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd};
    static const unsigned char skippable[] = {0x2a, 0x4d, 0x18};
    return len >= 4 && (memcmp(head, frame, 4) == 0 ||
                        ((head[0] & 0xf0) == 0x50 && memcmp(head + 1, skippable, 3) == 0));
}

static int choose(struct inflate *r, bool only_zlib, struct error *err)
{
    if (reader_read_full(r->in, r->input, INPUT_BYTES, &r->len, err) != 0) {
        return -1;
    }
    if (r->len >= 2 && r->input[0] == 0x1f && r->input[1] == 0x8b) {
        r->base.ops = &gzip_ops;
        if (inflateInit2(&r->zlib, 16 + MAX_WBITS) != Z_OK) {
            return error_set(err, ERR_STORE, "no memory to inflate");
        }
#ifdef SLIPWAY_ISAL
        if (!only_zlib) {
            r->isal = mem_alloc(sizeof *r->isal);
            isal_inflate_init(r->isal);
        }
#else
        (void)only_zlib;
#endif
    } else if (is_zstd(r->input, r->len)) {
        r->base.ops = &zstd_ops;
        r->zstd = ZSTD_createDStream();
        if (!r->zstd) {
            return error_set(err, ERR_STORE, "no memory to inflate");
        }
    }
    return 0;
}

static int open_stream(struct reader *in, bool only_zlib, struct reader **out, struct error *err)
{
    struct inflate *r = mem_calloc(1, sizeof *r);
    r->base.ops = &plain_ops;
    r->in = in;
    r->input = mem_alloc(INPUT_BYTES);
    AUTO(reader_freep) struct reader *owner = &r->base;
    if (choose(r, only_zlib, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(owner);
    return 0;
}

int inflate_reader_stream(struct reader *in, struct reader **out, struct error *err)
{
    return open_stream(in, false, out, err);
}

int inflate_reader_zlib(struct reader *in, struct reader **out, struct error *err)
{
    return open_stream(in, true, out, err);
}
