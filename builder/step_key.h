/*
 * A step's key: the hash of everything that its result depends on; and beside it, by name, what
 * went in, so that a miss can be explained by the first input that differs from the last time.
 *
 *     struct step_key *key = step_key_new(&chain, options, "RUN");
 *     step_key_text(key, "the command", text);
 *     step_key_finish(key, &digest);
 *     step_key_inputs(key)                         for builder/explain.h
 */
#ifndef SLIPWAY_BUILDER_STEP_KEY_H
#define SLIPWAY_BUILDER_STEP_KEY_H

#include "base/buf.h"
#include "oci/layer.h"
#include "oci/tree.h"

struct step_key;

/* Begins a key: the root file system that the step starts from, how layers are written, and WHAT
 * kind of step it is. The caller's. */
struct step_key *step_key_new(const struct digest *chain, const struct layer_options *options,
                              const char *what);

/* Cleanup for AUTO(). */
void step_key_freep(struct step_key **key);

/* Adds TEXT (NULL differs from ""), or LEN bytes, as the input called NAME in explanations. */
void step_key_text(struct step_key *key, const char *name, const char *text);

/* Adds LEN bytes as the input called NAME in explanations. */
void step_key_data(struct step_key *key, const char *name, const void *data, size_t len);

/* Adds an entry (a hard link with its file) under the path that it will have: type, mode, owner,
 * link, attributes, the time that a layer gives it, and the content's digest (which must be there:
 * tree_hash_files()). Explanations call it "file WHERE/PATH". */
void step_key_entry(struct step_key *key, const char *where, const char *path,
                    const struct entry *link, enum timestamps timestamps);

/* The key. Nothing can be added afterwards. */
void step_key_finish(struct step_key *key, struct digest *out);

/* What went in: for each input 8 bytes of hash, its name, and a zero byte. Borrowed. */
const struct buf *step_key_inputs(const struct step_key *key);

#endif
