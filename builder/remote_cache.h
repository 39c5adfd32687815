/*
 * The remote cache: results of steps in repositories of registries, one small image per key
 * (builder/remote_entry.h) under the tag "step-KEY".
 *
 *     remote_cache_open(request, &cache, err);        // NULL where no repository is given
 *     remote_cache_get(cache, &key, &found, &result); // before a step is made
 *     remote_cache_put(cache, &made);                 // after: written in the background
 *     remote_cache_finish(cache);                     // waits for what is still to be written
 *
 * Nothing here fails a build. A repository that does not answer, or refuses us, is warned of once
 * and left alone for the rest of the build; the first contact is made in the background, and nobody
 * waits long for it. An entry that is not what it should be is warned of and passed over.
 *
 * A hit brings a descriptor, not the layer: the layer's blob is fetched when its content is needed,
 * perhaps never. Where it then cannot be fetched, or is not what the entry says, the build is done
 * again without it: remote_cache_blame().
 *
 * All functions may be called from several threads; CACHE may be NULL.
 */
#ifndef SLIPWAY_BUILDER_REMOTE_CACHE_H
#define SLIPWAY_BUILDER_REMOTE_CACHE_H

#include "builder/build.h"
#include "builder/step_cache.h"

struct remote_cache;

/* The repositories of REQUEST (borrowed); the first contact begins. ERR_USAGE where a name is none.
 */
int remote_cache_open(const struct build_request *request, struct remote_cache **out,
                      struct error *err);

/* Checks a repository's name as it is given to --cache-from and --cache-to:
 * [HOST/]REPOSITORY[:PREFIX]. ERR_USAGE. */
int remote_cache_check(const char *name, struct error *err);

/* Asks the repositories of --cache-from, one after the other. A result that is found is remembered
 * in the store like one made here. */
void remote_cache_get(struct remote_cache *cache, const struct digest *key, bool *found_out,
                      struct step_result *out);

/* A result to be kept. Borrowed parts. */
struct remote_result {
    const struct digest *key;
    const struct step_result *result;
    const char *created_by;
    const struct platform *platform;
};

/* Writes the result to the repositories of --cache-to that lack it, in the background. */
void remote_cache_put(struct remote_cache *cache, const struct remote_result *made);

/* After a build that failed: whether layers from the cache were the reason. They are warned of and
 * not offered again. */
bool remote_cache_blame(struct remote_cache *cache);

/* Waits for what is still to be written, as long as it moves, and says what came of it. */
void remote_cache_finish(struct remote_cache *cache);

/* Stops what still runs and frees. Cleanup for AUTO(). */
void remote_cache_freep(struct remote_cache **cache);

#endif
