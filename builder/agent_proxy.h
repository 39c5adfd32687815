/*
 * A socket of its own before an ssh agent's: agents answer root and their owner only, whatever the
 * mode of their socket, and a RUN's user is often another (--mount=type=ssh,uid=,gid=,mode=).
 *
 *     agent_proxy_start(dirfd, "agent", AGENT_SOCKET, &owner, &proxy, err);
 *     ... RUN ...
 *     agent_proxy_stop(proxy);
 */
#ifndef SLIPWAY_BUILDER_AGENT_PROXY_H
#define SLIPWAY_BUILDER_AGENT_PROXY_H

#include <sys/types.h>

#include "base/error.h"

struct agent_proxy;

struct agent_owner {
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

/* Makes the socket NAME in the folder DIRFD, with OWNER (which counts only where we are root), and
 * answers there by a thread of its own what the agent at AGENT (absolute) says. ERR_STORE. */
int agent_proxy_start(int dirfd, const char *name, const char *agent,
                      const struct agent_owner *owner, struct agent_proxy **out, struct error *err);

/* Ends all connections and the threads. The socket's file stays. NULL is fine. */
void agent_proxy_stop(struct agent_proxy *proxy);

#endif
