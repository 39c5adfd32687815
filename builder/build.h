/*
 * One build: a context and a Dockerfile become an image (design, "One build, in one direction").
 *
 *     struct build_request request = BUILD_REQUEST_INIT;   // fill it in
 *     struct build_result result = {0};
 *     build_run(&request, &result, err);
 *     build_result_release(&result);
 */
#ifndef SLIPWAY_BUILDER_BUILD_H
#define SLIPWAY_BUILDER_BUILD_H

#include "base/event.h"
#include "base/strlist.h"
#include "oci/document.h"
#include "oci/layer.h"
#include "oci/store.h"
#include "registry/registry.h"

/* --secret id=ID,src=FILE | id=ID,env=NAME */
struct build_secret {
    char *id;
    char *file; /* or */
    char *env;
};

/* --build-context NAME=VALUE */
struct named_context {
    char *name;
    char *value; /* folder, git URL, docker-image://REF, oci-layout://DIR[:TAG] */
};

enum pull_policy { PULL_MISSING, PULL_ALWAYS, PULL_NEVER };
enum network_mode { NETWORK_DEFAULT, NETWORK_NONE, NETWORK_HOST };
enum isolation { ISOLATION_AUTO, ISOLATION_OVERLAY, ISOLATION_USERNS, ISOLATION_CHROOT };

struct context;

/* What the user asked for. Strings are borrowed for the call. */
struct build_request {
    const char *context;    /* folder, git URL[#ref[:subdir]], tar archive, "-" */
    struct context *shared; /* the context, opened before with context_open_named(), for builds that
                               share it; NULL: this build opens it */
    const char *part;       /* folder of `shared` that is this build's context; NULL: all of it */
    const char *dockerfile; /* -f; NULL: "Dockerfile" in the context; an existing file of this
                               machine counts before one in the context */
    const char *target;     /* stage by name or number; NULL: the last */
    struct strlist build_args;      /* KEY=VALUE, or KEY to take it from the environment */
    struct strlist labels;          /* KEY=VALUE */
    struct strlist annotations;     /* KEY=VALUE, on the manifest */
    struct strlist add_hosts;       /* NAME:IP */
    struct strlist no_cache_filter; /* stage names */
    struct strlist platforms;       /* "os/arch[/variant]"; empty: this machine's */
    struct strlist tags;            /* names to push to (with `push`) and to tag in the store */
    struct strlist cache_from;      /* repositories that are asked for steps' results */
    struct strlist cache_to;        /* and that they are written to */
    struct build_secret *secrets;
    size_t secrets_len;
    struct named_context *contexts;
    size_t contexts_len;
    struct strlist ssh; /* agents: ID=SOCKET */
    bool no_cache;
    bool contents; /* the result's layers are needed here, all of them */
    bool push;
    bool offline;
    bool explain;
    enum pull_policy pull;
    enum network_mode network;
    enum isolation isolation;
    struct layer_options layer; /* compression, level, timestamps */
    unsigned jobs;              /* 0: one per core */
    struct store *store;
    struct registry *registry;
    struct event_sink *events;
};
#define BUILD_REQUEST_INIT                                                                         \
    {                                                                                              \
        0                                                                                          \
    }

/* What came of it. */
struct build_result {
    struct image image; /* the image (of the first platform) in the store; base layers may be absent
                           from the store */
    struct descriptor
        top; /* what the tags point to: the manifest, or the index of several platforms */
    struct strlist
        pushed;      /* references that the registry has confirmed, with "@sha256:..." of `top` */
    int64_t created; /* seconds: the epoch used */
    /* The Dockerfile's name in errors and its text, where it was read: set even where the build
     * fails, since its lines are shown then and the file may lie in a commit. */
    char *dockerfile_name;
    char *dockerfile_text;
};

/* Builds. Errors: ERR_USAGE with place in the Dockerfile, ERR_STEP, and those of the rooms below.
 */
int build_run(const struct build_request *request, struct build_result *result, struct error *err);

/* Frees what RESULT holds. */
void build_result_release(struct build_result *result);

#endif
