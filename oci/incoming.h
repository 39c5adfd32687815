/*
 * Blobs that can be read while they are still being fetched.
 *
 *     struct incoming *incoming = store_expect(store, &digest);
 *     on another thread: fetch the blob into the store; incoming_over(incoming);
 *     store_blob_reader(store, &digest, &reader, err)     its bytes as they come
 *     incoming_freep(&incoming);
 *
 * The bytes come from the file that the fetching blob writer writes (blob_writer_expected()), so
 * the reader takes no memory and never slows the transfer down. The end is told only when digest
 * and size have been confirmed. A transfer that begins anew leaves those who have read of the old
 * one with an error: what they made of it is worth nothing, and the whole blob is read instead.
 */
#ifndef SLIPWAY_OCI_INCOMING_H
#define SLIPWAY_OCI_INCOMING_H

#include "base/stream.h"
#include "oci/digest.h"
#include "oci/store.h"

struct incoming;

/* Says that the blob DIGEST is about to be fetched by this process. Several may expect the same;
 * each calls incoming_over() once and then incoming_freep(). */
struct incoming *store_expect(struct store *store, const struct digest *digest);

/* The fetch has ended, well or not: who waits for bytes that did not come gets an error. */
void incoming_over(struct incoming *incoming);

/* Cleanup for AUTO(). */
void incoming_freep(struct incoming **incoming);

/* The bytes of blob DIGEST: of one that is expected as they come, else of the one in the store. */
int store_blob_reader(struct store *store, const struct digest *digest, struct reader **out,
                      struct error *err);

#endif
