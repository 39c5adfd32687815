/*
 * The mounts of a RUN: from `--mount=...` to what the sandbox is told.
 *
 *     run_mounts_read(stage, in, &mounts, err)       parses
 *     run_mounts_find(&mounts, err)                  finds sources; no slot may be held
 *     run_mounts_key(&mounts, key, false, err)       what of them the step depends on
 *     run_mounts_prepare(&mounts, err)               folders, caches, secrets: fills list and env
 *     run_mounts_scan(&mounts, diff, err)            after the command: no secret in the layer
 *     run_mounts_release(&mounts)                    always: gives caches back, removes folders
 */
#ifndef SLIPWAY_BUILDER_RUN_MOUNTS_H
#define SLIPWAY_BUILDER_RUN_MOUNTS_H

#include "builder/mount.h"
#include "builder/stage.h"

struct run_mounts {
    struct stage *stage;
    const struct instruction *in;
    struct run_mount *parsed;
    char **targets;        /* absolute; NULL: a secret that only goes to its variable */
    struct tree **sources; /* bind, and cache with from: what it starts with, from its root */
    size_t len;

    struct sandbox_mount *list; /* after run_mounts_prepare() */
    size_t list_len;
    struct strlist env;          /* KEY=VALUE that mounts bring */
    struct strlist keep;         /* strings that `list` borrows */
    struct strlist temps;        /* folders to remove, relative to store_fd() */
    struct buf *secrets;         /* contents, one per mount */
    struct agent_proxy **agents; /* of ssh mounts, one per mount; NULL: none */
    int *locks;                  /* of cache mounts, one per mount, -1: none */
};

/* Reads the --mount flags of the RUN IN. ERR_USAGE with place. The other functions' errors are
 * those of the rooms below. */
int run_mounts_read(struct stage *stage, const struct instruction *in, struct run_mounts *out,
                    struct error *err);
/* Whether something is mounted from another stage or an image. */
bool run_mounts_have_layers(const struct run_mounts *mounts);
/* BY_LAYERS: that counts by its layers, none of which is read; needs no run_mounts_find(), but no
 * slot may be held. */
int run_mounts_key(struct run_mounts *mounts, struct step_key *key, bool by_layers,
                   struct error *err);

/* Finds what is mounted from stages, images and the context. Errors: those of the rooms below. */
int run_mounts_find(struct run_mounts *mounts, struct error *err);

/* Makes the folders, files and sockets that the sandbox will mount, cache mounts locked as they
 * say. */
int run_mounts_prepare(struct run_mounts *mounts, struct error *err);

/* Looks for the bytes of the mounted secrets in the files of DIFF. ERR_STEP names the file that
 * holds one. */
int run_mounts_scan(const struct run_mounts *mounts, struct tree *diff, struct error *err);

/* Unlocks the cache mounts, removes what was prepared and frees what MOUNTS holds. */
void run_mounts_release(struct run_mounts *mounts);

/* Adds a file that is mounted at TARGET (a script of a here-document); DATA is borrowed. */
void run_mounts_add_file(struct run_mounts *mounts, const char *target, const void *data,
                         size_t len, uint32_t mode);

#endif
