/*
 * What every command that works has open: the store, the registry, the display.
 *
 *     struct my_options { struct session_options session; ... };   // first, for session_group
 *     AUTO(session_close) struct session s = {0};
 *     session_open(&options.session, &s, err)
 */
#ifndef SLIPWAY_CLI_SESSION_H
#define SLIPWAY_CLI_SESSION_H

#include "cli/options.h"
#include "cli/progress.h"
#include "oci/store.h"
#include "registry/registry.h"

struct session_options {
    enum progress_mode progress;
    bool offline;
    bool quiet;
    struct strlist insecure;
    struct strlist certificates;
    struct strlist registry_map; /* HOST=MIRROR */
    struct strlist client_certificates;
    int retries; /* as in base/http.h; 0: not given */
    bool hasty;  /* where they are not given, there are none */
    unsigned retry_delay_ms;
    unsigned timeout_ms; /* the budget of registry/registry.h */
    bool create_repository;
};

/* Frees what OPTIONS holds. */
void session_options_release(struct session_options *options);

/* --progress, --offline and those about registries. Offsets count from struct session_options. */
extern const struct option_group session_group;

struct session {
    struct store *store;
    struct registry *registry;
    struct progress *progress;
    struct event_sink *events; /* of `progress` */
    bool prepared;             /* http_prepare() was called */
};

/* Opens all three; opens no socket. */
int session_open(const struct session_options *options, struct session *out, struct error *err);

/* Ends the display, closes. Cleanup for AUTO(). */
void session_close(struct session *session);

/* Ends the display early, so that results can be printed. */
void session_end_display(struct session *session);

#endif
