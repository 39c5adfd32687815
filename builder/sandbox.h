/*
 * RUN: one command in a root made of unpacked layers, on the best rung of isolation that the
 * machine allows (design: "RUN's isolation is a ladder").
 *
 *     sandbox_probe(&rung, err)                  which rung this process gets, without doing
 * anything lasting sandbox_enter(argc, argv, &status)         called first thing by commands that
 * build: as an ordinary user, re-executes the program inside a user namespace sandbox_run(store,
 * &spec, &result, err)    runs the command; the difference comes back as a tree
 *
 * The child is made by re-executing the program with the hidden command "__sandbox" (sandbox_main),
 * so that no threaded process clones namespaces.
 */
#ifndef SLIPWAY_BUILDER_SANDBOX_H
#define SLIPWAY_BUILDER_SANDBOX_H

#include "base/event.h"
#include "builder/build.h"
#include "oci/store.h"
#include "oci/tree.h"
#include "oci/unpack.h"

enum sandbox_rung { RUNG_NONE, RUNG_OVERLAY, RUNG_USERNS };

/* One mount inside the root. */
struct sandbox_mount {
    enum { SANDBOX_BIND, SANDBOX_TMPFS, SANDBOX_FILE } type;
    const char *source; /* BIND: absolute path on this machine; FILE: NULL */
    const void *data;   /* FILE: content that lives only in a tmpfs (secrets) */
    size_t data_len;
    const char *target; /* absolute path inside the root; missing folders (or the file) are made for
                           the mount and do not stay in the layer unless they hold something */
    bool readonly;
    uint64_t size_bytes;     /* TMPFS: 0 = default */
    uint32_t uid, gid, mode; /* FILE, TMPFS (mode 0: as the folder that is there, else 1777) */
};

struct sandbox_spec {
    const char *const
        *lowers; /* unpacked layers relative to store_fd(), lowest first (unpack_layer) */
    size_t lowers_len;
    const char *const *argv;
    const char *const *env; /* KEY=VALUE; NULL-terminated */
    const char
        *cwd; /* absolute inside the root; made if missing (and then part of the difference) */
    uint32_t uid, gid;
    const uint32_t *groups; /* supplementary */
    size_t groups_len;
    enum network_mode network; /* with NETWORK_DEFAULT, AWS's endpoints that hand out keys are out
                                  of reach (sandbox_endpoints.c) */
    const struct strlist *add_hosts; /* NAME:IP */
    const struct sandbox_mount *mounts;
    size_t mounts_len;
    const char *stdin_data; /* NULL: /dev/null */
    size_t stdin_len;
    struct event_sink *events; /* EVENT_STEP_OUTPUT with `step` */
    uint64_t step;
};

struct sandbox_result {
    int exit_status;   /* 0-255; 128+N for a signal */
    char *tail;        /* the last lines of the output, owned */
    struct tree *diff; /* what changed (NULL where exit_status is not 0): files read from the upper
                          folder; volatile times flagged */
    char *upper; /* the upper folder, relative to store_fd(): sandbox_keep_upper() makes it the
                    unpacked form of the layer; owned */
};

/* Frees it, and removes the upper folder if it is still there. */
void sandbox_result_release(struct store *store, struct sandbox_result *result);

/* The best rung that this machine allows, and (the caller's) why no better one. */
int sandbox_probe(enum sandbox_rung *rung_out, char **why_out, struct error *err);
/* Whether overlays can lie in STORE's file system, tried out for the rung RUNG: *WHY_OUT (the
 * caller's) is NULL, or why not. Call it before any thread exists. */
int sandbox_probe_store(struct store *store, enum sandbox_rung rung, char **why_out,
                        struct error *err);
/* How base layers have to be unpacked for that rung. */
enum unpack_style sandbox_style(enum sandbox_rung rung);

/* Whether the address IP ("169.254.169.254", "fd00:ec2::254") is one at which AWS hands out keys:
 * no RUN and no ADD gets there. */
bool sandbox_is_key_address(const char *ip);

/* Why RUNs of this process cannot be kept from those addresses; NULL: they can, unless another
 * program listens to our system calls. *SETTING_OUT (may be NULL): the one that would help. */
const char *sandbox_cannot_guard(const char **setting_out);

/* As an ordinary user outside a user namespace of ours: makes one (subordinate ids by
 * newuidmap/newgidmap where /etc/subuid has any, else only our own id), re-executes the program in
 * it, passes signals on, and returns true with its exit status. Otherwise (root, already inside,
 * not possible) returns false. Call it before any thread exists. */
bool sandbox_enter(int argc, char **argv, int *status_out);

/* The hidden command's entry point: never returns to normal operation; the return value is the exit
 * status. */
int sandbox_main(int argc, char **argv);

/* Runs. Not being able to isolate is ERR_ISOLATION with the reason and the one setting that would
 * help; a command that fails is no error (exit_status). */
int sandbox_run(struct store *store, const struct sandbox_spec *spec, struct sandbox_result *result,
                struct error *err);

/* Makes the upper folder of a finished run the unpacked form of the layer DIFF_ID, so that the next
 * RUN need not unpack it (rename; the times that were volatile become the layer's stamp, as
 * unpack_layer does). */
int sandbox_keep_upper(struct store *store, struct sandbox_result *result,
                       const struct digest *diff_id, struct error *err);

#endif
