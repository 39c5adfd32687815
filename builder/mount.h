/*
 * RUN --mount=...: one mount (Dockerfile reference, "RUN --mount").
 *
 *     struct run_mount m = {0};
 *     mount_parse(flag->value, &expander, &m, err);
 *     ... run_mount_release(&m);
 */
#ifndef SLIPWAY_BUILDER_MOUNT_H
#define SLIPWAY_BUILDER_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "builder/expand.h"

enum run_mount_type { MOUNT_BIND, MOUNT_CACHE, MOUNT_TMPFS, MOUNT_SECRET, MOUNT_SSH };
enum run_mount_sharing { MOUNT_SHARED, MOUNT_PRIVATE, MOUNT_LOCKED };

/* Strings are owned; NULL where not given. */
struct run_mount {
    enum run_mount_type type;
    char *target; /* as written, may be relative to WORKDIR (mount_target) */
    char *source;
    char *from; /* stage, context or image; never has variables */
    char *id;
    char *env; /* secret: the variable that gets it */
    enum run_mount_sharing sharing;
    bool readonly; /* with the type's default: bind, secret and ssh are */
    bool required;
    bool has_uid, has_gid, has_mode;
    uint32_t uid, gid, mode;
    uint64_t size_bytes; /* tmpfs; 0: default */
};

/* Frees what M holds. */
void run_mount_release(struct run_mount *m);

/* Reads TEXT ("type=cache,target=/x", docker's csv). Values are expanded with X; X NULL: only the
 * form and options' names are checked as far as possible without knowing variables (this is what
 * the parser does), and OUT holds only what has no variables. Errors are ERR_USAGE and name the
 * option, the nearest known one, and in err->column and width its place in TEXT (from 1). */
int mount_parse(const char *text, const struct expander *x, struct run_mount *out,
                struct error *err);

/* Where it goes: absolute and clean. A bind, cache or tmpfs goes below WORKDIR (absolute) unless
 * its target is absolute, without a target to WORKDIR itself; a secret without one goes to
 * /run/secrets/NAME, the ssh agent to /run/buildkit/ssh_agent.INDEX. "/" is ERR_USAGE. A secret
 * that only goes to its variable (env without target) gives NULL. The result is the caller's. */
int mount_target(const struct run_mount *m, const char *workdir, unsigned index, char **out,
                 struct error *err);

/* The secret's id: id, else source, else the target's last component; the ssh agent's: id, else
 * "default"; a cache's: id, which is the clean target where none was given. Others have
 * "". Borrowed from M. */
const char *mount_id(const struct run_mount *m);

/* The type's word ("bind"). */
const char *mount_type_name(enum run_mount_type type);

#endif
