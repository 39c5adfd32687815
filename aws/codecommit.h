/*
 * The user name and password that CodeCommit's git server takes, made from AWS keys; good for about
 * 15 minutes.
 */
#ifndef SLIPWAY_AWS_CODECOMMIT_H
#define SLIPWAY_AWS_CODECOMMIT_H

#include <time.h>

#include "aws/credentials.h"

/* HOST without port, PATH as in the URL ("/v1/repos/NAME"). Both results are the caller's. */
void codecommit_password(const struct aws_keys *keys, const char *host, const char *path,
                         const char *region, time_t now, char **user_out, char **password_out);

#endif
