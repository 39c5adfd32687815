/*
 * One fetch into a repository of ours: asks the server for its refs, picks the wanted one and gets
 * what is missing for it.
 */
#ifndef SLIPWAY_GIT_FETCH_H
#define SLIPWAY_GIT_FETCH_H

#include <stdbool.h>

#include "base/event.h"
#include "git/libgit2.h"
#include "git/url.h"

/* Fetches what URL's ref needs into REPO and sets REPO's refs to the server's (those that vanished
 * there are dropped). With whole commit ids the server is asked for the commit alone, and for
 * everything where it refuses. A passing network error is tried again. *BROKEN_OUT says that the
 * fault is in REPO and not at the server. ERR_USAGE for a ref that is not there, ERR_AUTH,
 * ERR_REMOTE, ERR_STORE. */
int git_fetch(git_repository *repo, const struct git_url *url, struct event_sink *events,
              bool *broken_out, struct error *err);

#endif
