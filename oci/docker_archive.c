/* Reading what `docker save` and its kin write. */
#include "oci/docker_archive.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/pool.h"
#include "oci/gzip_blocks.h"
#include "oci/layout_internal.h"

enum { GZIP_BLOCK_BYTES = 1024 * 1024, GZIP_LEVEL = 6, IMAGES_MAX = 1024, TAGS_MAX = 1024 };

/* A layer that is to become a blob: as it is, or deflated. */
struct layer_job {
    struct store *store;
    struct import *import;
    struct import_file *file; /* its bytes; NULL: a blob of the store, `from` */
    struct digest from;       /* digest of the bytes */
    struct descriptor *out;
    struct error err;
};

static int compress_fd(int fd, const char *name, struct blob_writer *out, struct error *err)
{
    AUTO(mem_freep) char *raw = mem_alloc(GZIP_BLOCK_BYTES);
    AUTO(buf_release) struct buf packed = BUF_INIT(0);
    AUTO(reader_freep) struct reader *in = reader_fd(fd, name);
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(GZIP_LEVEL);
    struct gzip_check check = {0};
    int result = 0;
    if (!compressor) {
        abort();
    }
    gzip_head(&packed);
    for (;;) {
        size_t got = 0;
        result = cancel_requested() ? cancel_error(err)
                                    : reader_read_full(in, raw, GZIP_BLOCK_BYTES, &got, err);
        if (result != 0 || got == 0) {
            break;
        }
        gzip_check_add(&check, gzip_crc(raw, got), got);
        result = gzip_block(compressor, raw, got, &packed, err);
        if (result == 0) {
            result = writer_write(blob_writer_stream(out), packed.data, packed.len, err);
        }
        if (result != 0) {
            break;
        }
        buf_clear(&packed);
    }
    libdeflate_free_compressor(compressor);
    if (result != 0) {
        return -1;
    }
    gzip_tail(&check, &packed);
    return writer_write(blob_writer_stream(out), packed.data, packed.len, err);
}

static int compress_layer(struct layer_job *job, struct error *err)
{
    AUTO(blob_writer_freep) struct blob_writer *out = NULL;
    char name[DIGEST_TEXT_SIZE];
    int fd = -1;
    int opened = job->file ? import_open(job->import, job->file, &fd, err)
                           : store_open_blob(job->store, &job->from, &fd, NULL, err);
    if (opened != 0) {
        return -1;
    }
    if (blob_writer_open(job->store, &out, err) != 0) {
        close(fd);
        return -1;
    }
    struct descriptor d = {.media_type = MEDIA_OCI_LAYER_GZIP};
    if (compress_fd(fd, digest_format(&job->from, name), out, err) != 0 ||
        blob_writer_commit(out, NULL, UINT64_MAX, &d.digest, &d.size, err) != 0) {
        return -1;
    }
    *job->out = d;
    return 0;
}

/* A task of the pool. */
static void run_layer_job(void *arg)
{
    struct layer_job *job = arg;
    struct error err = {0};
    if (compress_layer(job, &err) != 0) {
        job->err = err;
    }
}

static int run_layer_jobs(struct layer_job *jobs, size_t len, struct error *err)
{
    AUTO(pool_freep) struct pool *pool = pool_new(0);
    struct pool_group group = POOL_GROUP_INIT;
    for (size_t i = 0; i < len; i++) {
        pool_submit(pool, &group, run_layer_job, &jobs[i]);
    }
    pool_wait(pool, &group);
    for (size_t i = 0; i < len; i++) {
        if (jobs[i].err.code != ERR_NONE) {
            *err = jobs[i].err;
            return -1;
        }
    }
    return 0;
}

/* Stores the manifest of CONFIG and LAYERS; *OUT describes it. */
static int put_manifest(struct store *store, const struct descriptor *config,
                        const struct layer *layers, size_t len, struct descriptor *out,
                        struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct descriptor d = {.media_type = MEDIA_OCI_MANIFEST};
    manifest_render(config, layers, len, NULL, &text);
    d.size = text.len;
    if (store_put_blob(store, text.data, text.len, &d.digest, err) != 0) {
        return -1;
    }
    *out = d;
    return 0;
}

/* What the first bytes say that a layer is; NULL: a plain tar. */
static int sniff(struct import *import, const struct import_file *file, const char **media_out,
                 struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    unsigned char head[4] = {0};
    if (import_open(import, file, &fd, err) != 0) {
        return -1;
    }
    if (read(fd, head, sizeof head) < 0) {
        return error_errno(err, ERR_STORE, "read '%s'", file->name);
    }
    bool gzip = head[0] == 0x1f && head[1] == 0x8b;
    bool zstd = memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0;
    *media_out = gzip ? MEDIA_OCI_LAYER_GZIP : zstd ? MEDIA_OCI_LAYER_ZSTD : NULL;
    return 0;
}

/* Decides about the layer named NAME, whose diff id is known: it is kept as it is, or becomes JOB
 * (with `file` set) for later. */
static int take_layer(struct import *import, const char *name, struct layer *layer,
                      struct layer_job *job, struct error *err)
{
    struct import_file *file = import_find(import, name);
    const char *media = NULL;
    if (!file) {
        return error_set(err, ERR_USAGE, "its layer '%.200s' is missing", name);
    }
    if (sniff(import, file, &media, err) != 0) {
        return -1;
    }
    if (media) {
        layer->blob.digest = file->digest;
        layer->blob.size = file->size;
        snprintf(layer->blob.media_type, sizeof layer->blob.media_type, "%s", media);
        return import_keep(import, file, err);
    }
    if (!digest_equal(&file->digest, &layer->diff_id)) {
        return error_set(err, ERR_USAGE, "its layer '%.200s' is not what the config says", name);
    }
    *job = (struct layer_job){.store = import->store,
                              .import = import,
                              .file = file,
                              .from = file->digest,
                              .out = &layer->blob};
    return 0;
}

static int take_layers(struct import *import, const json_t *names, struct layer *layers, size_t len,
                       struct error *err)
{
    AUTO(mem_freep) struct layer_job *jobs = mem_calloc(len ? len : 1, sizeof *jobs);
    size_t jobs_len = 0;
    for (size_t i = 0; i < len; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (take_layer(import, name ? name : "", &layers[i], &jobs[jobs_len], err) != 0) {
            return -1;
        }
        jobs_len += jobs[jobs_len].file != NULL;
    }
    return run_layer_jobs(jobs, jobs_len, err);
}

/* One image of manifest.json. */
static int take_image(struct store *store, struct import *import, const json_t *item,
                      struct descriptor *out, struct error *err)
{
    const char *config_name = json_get_string(item, "Config");
    const json_t *names = json_object_get(item, "Layers");
    size_t len = json_array_size(names);
    struct import_file *file = config_name ? import_find(import, config_name) : NULL;
    if (!file) {
        return error_set(err, ERR_USAGE, "its config '%.200s' is missing",
                         config_name ? config_name : "");
    }
    if (len > LIMIT_LAYERS) {
        return error_set(err, ERR_USAGE, "it has %zu layers, more than %zu", len, LIMIT_LAYERS);
    }
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(json_freep) json_t *config_json = NULL;
    AUTO(mem_freep) struct layer *layers = mem_calloc(len ? len : 1, sizeof *layers);
    struct descriptor config = {
        .media_type = MEDIA_OCI_CONFIG, .digest = file->digest, .size = file->size};
    if (import_read(import, file, LIMIT_CONFIG_BYTES, &text, err) != 0 ||
        document_parse_config(buf_text(&text), text.len, layers, len, ERR_USAGE, &config_json,
                              err) != 0 ||
        import_keep(import, file, err) != 0 || take_layers(import, names, layers, len, err) != 0) {
        return -1;
    }
    return put_manifest(store, &config, layers, len, out, err);
}

static int read_manifest_json(struct store *store, struct import *import,
                              const struct import_file *file, struct layout_list *out,
                              struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(json_freep) json_t *list = NULL;
    if (import_read(import, file, LIMIT_MANIFEST_BYTES, &text, err) != 0 ||
        json_parse(buf_text(&text), text.len, LIMIT_MANIFEST_BYTES, "its manifest.json", ERR_USAGE,
                   &list, err) != 0) {
        return -1;
    }
    size_t len = json_array_size(list);
    if (!json_is_array(list) || len == 0 || len > IMAGES_MAX) {
        return error_set(err, ERR_USAGE, "its manifest.json names no images");
    }
    for (size_t i = 0; i < len; i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *tags = json_object_get(item, "RepoTags");
        struct descriptor top;
        if (take_image(store, import, item, &top, err) != 0) {
            return -1;
        }
        size_t named = 0;
        for (size_t k = 0; k < json_array_size(tags) && k < TAGS_MAX; k++) {
            const char *tag = json_string_value(json_array_get(tags, k));
            if (tag && tag[0]) {
                layout_list_add(out, &top, tag);
                named++;
            }
        }
        if (named == 0) {
            layout_list_add(out, &top, NULL);
        }
    }
    return 0;
}

static bool is_plain(const struct descriptor *blob)
{
    size_t len = strlen(blob->media_type);
    return len > 4 && strcmp(blob->media_type + len - 4, ".tar") == 0;
}

/* docker 25 and later save plain layers, which nobody wants to push: an image that has some gets a
 * manifest with deflated ones. Its config, and so its id, stays. An index, or anything that has no
 * plain layers, stays as it is. */
static int compress_image(struct store *store, struct descriptor *top, struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    AUTO(mem_freep) struct layer *layers = NULL;
    AUTO(image_index_release) struct image_index index = {0};
    enum document_kind kind = DOCUMENT_MANIFEST;
    struct descriptor config;
    size_t len = 0;
    if (store_read_blob(store, &top->digest, LIMIT_MANIFEST_BYTES, &bytes, err) != 0 ||
        document_parse(buf_text(&bytes), bytes.len, top->media_type, ERR_USAGE, &kind, &config,
                       &layers, &len, &index, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) struct layer_job *jobs = mem_calloc(len ? len : 1, sizeof *jobs);
    size_t jobs_len = 0;
    for (size_t i = 0; i < len; i++) {
        if (is_plain(&layers[i].blob)) {
            jobs[jobs_len++] = (struct layer_job){
                .store = store, .from = layers[i].blob.digest, .out = &layers[i].blob};
        }
    }
    if (jobs_len == 0) {
        return 0;
    }
    if (run_layer_jobs(jobs, jobs_len, err) != 0) {
        return -1;
    }
    return put_manifest(store, &config, layers, len, top, err);
}

static int read_archive(struct store *store, struct import *import, const char *name,
                        struct layout_list *out, struct error *err)
{
    const struct import_file *manifest = import_find(import, "manifest.json");
    bool is_layout = import_find(import, "oci-layout") && import_find(import, "index.json");
    if (!is_layout && !manifest) {
        return error_set(err, ERR_USAGE,
                         "'%s' is neither an archive of 'docker save' nor an OCI layout", name);
    }
    if (!is_layout) {
        return read_manifest_json(store, import, manifest, out, err) == 0
                   ? 0
                   : error_wrap(err, "'%s'", name);
    }
    if (layout_read_import(store, import, name, out, err) != 0) {
        return -1;
    }
    for (size_t i = 0; manifest && i < out->len; i++) {
        if (compress_image(store, &out->items[i].descriptor, err) != 0) {
            return error_wrap(err, "'%s'", name);
        }
    }
    return 0;
}

int docker_archive_read(struct store *store, struct reader *in, const char *name,
                        struct layout_image **images_out, size_t *len_out, struct error *err)
{
    AUTO(import_release) struct import import = {0};
    AUTO(layout_list_release) struct layout_list list = {0};
    if (import_archive(store, in, name, &import, err) != 0 ||
        read_archive(store, &import, name, &list, err) != 0) {
        return -1;
    }
    *images_out = list.items;
    *len_out = list.len;
    list = (struct layout_list){0};
    return 0;
}
