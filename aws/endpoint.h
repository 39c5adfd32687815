/*
 * Where AWS's services answer.
 */
#ifndef SLIPWAY_AWS_ENDPOINT_H
#define SLIPWAY_AWS_ENDPOINT_H

#include <stdbool.h>

/* The domain of REGION's partition: "amazonaws.com", "amazonaws.com.cn" for China, "amazonaws.eu",
 * those of the isolated ones. */
const char *aws_domain(const char *region);

/* The domain of the names that also have an IPv6 address: "api.aws". */
const char *aws_dual_domain(const char *region);

/* Whether TEXT can be a region's name ("eu-west-1"): it becomes part of a host's name. */
bool aws_is_region(const char *text);

/* "HOST" or "HOST:PORT" of URL as it is signed and sent: without the port that is the scheme's own.
 * The caller's. */
char *aws_url_host(const char *url);

#endif
