/*
 * The images that the store knows: tags, and the images themselves by digest.
 *
 * A tag is a record: a canonical name, HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:HEX, and the
 * descriptor of the manifest or index that it stands for. An image without a tag is remembered by
 * its digest alone. Names are made by the room above (registry/reference.h); here they are text.
 *
 *     images_tag(store, "docker.io/library/app:1", &top, err);
 *     images_resolve(store, "docker.io/library/app:1", &top, &found, err);
 *     images_load(store, &top, &platform, &image, err);
 */
#ifndef SLIPWAY_OCI_IMAGES_H
#define SLIPWAY_OCI_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/document.h"
#include "oci/store.h"

struct image_tag {
    char *name;            /* owned; NULL: an image that has no tag */
    struct descriptor top; /* its manifest or index */
    int64_t tagged;        /* when the tag was put, seconds since 1970 */
};

/* Lets NAME stand for TOP from now on, and remembers TOP. The blobs of TOP should be in the store
 * already. ERR_STORE. */
int images_tag(struct store *store, const char *name, const struct descriptor *top,
               struct error *err);

/* Remembers TOP, an image that need not have a tag. */
int images_add(struct store *store, const struct descriptor *top, struct error *err);

/* Removes the tag; a missing one is fine. The image stays known by its digest. */
int images_untag(struct store *store, const char *name, struct error *err);

/* Forgets an image by its digest; its tags and blobs stay. A missing one is fine. */
int images_forget(struct store *store, const struct digest *digest, struct error *err);

/* What NAME stands for; *FOUND_OUT is false if there is no such tag. */
int images_resolve(struct store *store, const char *name, struct descriptor *top_out,
                   bool *found_out, struct error *err);

/* All tags, sorted by name, and then the images without one (name NULL), by digest. The caller's:
 * images_list_release(). */
int images_list(struct store *store, struct image_tag **items_out, size_t *len_out,
                struct error *err);

/* Frees the LEN items that images_list() gave. */
void images_list_release(struct image_tag *items, size_t len);

/* The known image whose manifest's (index's) or config's digest begins with PREFIX: at least 4 hex
 * digits, with or without "sha256:". *FOUND_OUT is false if there is none or PREFIX is no such
 * text; several are ERR_USAGE that names two. */
int images_find_id(struct store *store, const char *prefix, struct descriptor *top_out,
                   bool *found_out, struct error *err);

/* The image TOP: its manifest (of an index the one for PLATFORM, which may be NULL: this machine's)
 * and config from the store, verified. The layers' blobs need not be there. `origin` is where the
 * manifest is known to be. A blob that is missing or damaged is ERR_STORE, a document that makes no
 * sense ERR_REMOTE, a platform that is not there ERR_USAGE. */
int images_load(struct store *store, const struct descriptor *top, const struct platform *platform,
                struct image *out, struct error *err);

#endif
