/*
 * What the files of the credential store share: which file, and asking helpers.
 */
#ifndef SLIPWAY_REGISTRY_DOCKER_CONFIG_INTERNAL_H
#define SLIPWAY_REGISTRY_DOCKER_CONFIG_INTERNAL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strlist.h"
#include "registry/docker_config.h"

/* The file that login writes: the caller's. ERR_USAGE where no home is known. */
int auth_file_to_write(char **path_out, struct error *err);

/* The key under which docker keeps HOST: "https://index.docker.io/v1/" for Docker Hub, else HOST.
 */
const char *auth_file_key(const char *host);

/* A key as a host and perhaps a path: without scheme, slashes at the end, "v1" and "v2"; docker.io
 * for Docker Hub's names. The caller's. */
char *auth_file_key_normal(const char *key);

/* Runs "docker-credential-NAME ACTION" with INPUT on its stdin; OUT gets its stdout. *STATUS_OUT is
 * its exit status. ERR_AUTH where it cannot be run or takes longer than a minute. */
int credential_helper_run(const char *name, const char *action, const char *input, struct buf *out,
                          int *status_out, struct error *err);

/* Asks NAME for HOST's credentials; none found leaves OUT empty. */
int credential_helper_get(const char *name, const char *host, struct credentials *out,
                          struct error *err);
int credential_helper_store(const char *name, const char *host, const char *user,
                            const char *password, struct error *err);
int credential_helper_erase(const char *name, const char *host, bool *found_out, struct error *err);

#endif
