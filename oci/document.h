/*
 * The documents of an image (image-spec 1.1): descriptor, manifest, index, config; and Docker's
 * schema 2 forms of them, read alike.
 */
#ifndef SLIPWAY_OCI_DOCUMENT_H
#define SLIPWAY_OCI_DOCUMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strlist.h"
#include "oci/digest.h"

#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"

struct platform {
    char *os; /* owned */
    char *architecture;
    char *variant; /* NULL: none */
};
/* Reads os[/arch[/variant]] as docker does ("amd64" alone is an architecture; x86_64, aarch64 are
 * normalised). ERR_USAGE. */
int platform_parse(const char *text, struct platform *out, struct error *err);
/* This machine's. */
void platform_local(struct platform *out);

/* Copies FROM into OUT, which is overwritten; the caller releases it. */
void platform_copy(const struct platform *from, struct platform *out);
/* "linux/amd64" or "linux/arm/v7"; the caller's. */
char *platform_format(const struct platform *p);

/* Whether an image for OFFERED runs where WANTED is asked for (OCI image index, platform). */
bool platform_matches(const struct platform *wanted, const struct platform *offered);

/* Frees what P holds and leaves it empty. */
void platform_release(struct platform *p);

struct descriptor {
    char media_type[128];
    struct digest digest;
    uint64_t size;
};

/* Reads a descriptor's JSON object: media type, sha256 digest, size. WHAT names it in messages
 * ("the manifest's config"). */
int descriptor_parse(const json_t *json, const char *what, enum error_code code,
                     struct descriptor *out, struct error *err);
/* {"mediaType","digest","size"}; the reference is the caller's. */
json_t *descriptor_json(const struct descriptor *d);

/* One layer of an image: the blob and what it inflates to. */
struct layer {
    struct descriptor blob;
    struct digest diff_id;
};

/* An image as it stands in the store: manifest and config are blobs there; layers may be absent
 * (fetched when needed). Owned parts. */
struct image {
    struct descriptor manifest;
    struct descriptor config;
    json_t *config_json; /* the config document */
    struct layer *layers;
    size_t layers_len;
    char *origin; /* "HOST/REPOSITORY" that it came from, NULL: built here */
};

/* Frees what IMAGE holds and leaves it empty. */
void image_release(struct image *image);

/* Copies FROM into OUT, which is overwritten; the caller releases it. */
void image_copy(const struct image *from, struct image *out);

/* Parsed index: manifests with their platforms. */
struct index_entry {
    struct descriptor descriptor;
    struct platform platform; /* os NULL: not given */
    bool attestation;         /* an attestation manifest of BuildKit: never the image */
};
struct image_index {
    struct index_entry *items;
    size_t len;
};

/* Frees what INDEX holds and leaves it empty. */
void image_index_release(struct image_index *index);

/* What a manifest's bytes are. */
enum document_kind { DOCUMENT_MANIFEST, DOCUMENT_INDEX };

/* Reads a manifest or index of OCI or Docker schema 2 (MEDIA_TYPE from the HTTP header, may be
 * NULL; the document's own counts). Docker schema 1 and anything else is an error of CODE in one
 * line. For a manifest fills CONFIG and LAYERS (blob only; diff ids come with the config); for an
 * index fills INDEX. LAYERS is malloc'd. */
int document_parse(const void *data, size_t len, const char *media_type, enum error_code code,
                   enum document_kind *kind_out, struct descriptor *config_out,
                   struct layer **layers_out, size_t *layers_len_out, struct image_index *index_out,
                   struct error *err);

/* Parses a config and fills the layers' diff ids; their number must agree. */
int document_parse_config(const void *data, size_t len, struct layer *layers, size_t layers_len,
                          enum error_code code, json_t **config_out, struct error *err);

/* Picks the entry for WANTED: exact variant first, then any; ERR_USAGE that lists what there is. */
int image_index_pick(const struct image_index *index, const struct platform *wanted,
                     struct descriptor *out, struct error *err);

/* Renders an OCI manifest (fixed member order; mediaType present; ANNOTATIONS may be NULL). */
void manifest_render(const struct descriptor *config, const struct layer *layers, size_t layers_len,
                     const json_t *annotations, struct buf *out);
/* Renders an OCI index over manifests with their platforms. */
void index_render(const struct index_entry *items, size_t len, const json_t *annotations,
                  struct buf *out);

/* ChainID of the first COUNT layers (image-spec, config.md, "Layer ChainID"); for 0 layers all zero
 * bytes. */
void chain_id(const struct layer *layers, size_t count, struct digest *out);

#endif
