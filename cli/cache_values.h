/*
 * Values of --cache-from, --cache-to and kaniko's --cache-repo: HOST/REPOSITORY, or docker's
 * type=registry,ref=HOST/REPOSITORY.
 */
#ifndef SLIPWAY_CLI_CACHE_VALUES_H
#define SLIPWAY_CLI_CACHE_VALUES_H

#include "base/error.h"

/* For OPTION_CALL: MEMBER is a struct strlist that gets the repositories. */
int value_cache_from(void *member, const char *value, struct error *err);

/* As value_cache_from, for --cache-to. */
int value_cache_to(void *member, const char *value, struct error *err);

/* kaniko's --cache[=BOOL]: MEMBER is an int, 1 for true, -1 for false. */
int value_cache_switch(void *member, const char *value, struct error *err);

#endif
