/*
 * Values of `build` options that have a form of their own. Each takes VALUE into the member that an
 * option_spec names (cli/options.h); ERR_USAGE.
 */
#ifndef SLIPWAY_CLI_BUILD_VALUES_H
#define SLIPWAY_CLI_BUILD_VALUES_H

#include "base/error.h"

/* struct strlist: os/arch[/variant], several with commas between them; kept in their normal form.
 */
int value_platform(void *member, const char *value, struct error *err);
/* enum pull_policy: a truth value, always, missing or never. */
int value_pull(void *member, const char *value, struct error *err);
/* enum network_mode, enum isolation, enum compression, enum timestamps. */
int value_network(void *member, const char *value, struct error *err);

/* enum isolation. */
int value_isolation(void *member, const char *value, struct error *err);

/* enum compression. */
int value_compression(void *member, const char *value, struct error *err);

/* enum timestamps. */
int value_timestamps(void *member, const char *value, struct error *err);
/* struct strlist: NAME:IP or NAME=IP, kept as NAME:IP. */
int value_add_host(void *member, const char *value, struct error *err);
/* struct strlist: names with commas between them. */
int value_names(void *member, const char *value, struct error *err);
/* struct strlist: KEY=VALUE or KEY (an empty value). */
int value_label(void *member, const char *value, struct error *err);
/* struct strlist: [manifest:]KEY=VALUE. */
int value_annotation(void *member, const char *value, struct error *err);
/* struct strlist: KEY=VALUE or KEY. */
int value_build_arg(void *member, const char *value, struct error *err);
/* struct strlist: an image's name. */
int value_tag(void *member, const char *value, struct error *err);
/* struct strlist: ID or ID=SOCKET, each ID once. */
int value_ssh(void *member, const char *value, struct error *err);
/* struct build_request: one more secret, one more context. */
int value_secret(void *member, const char *value, struct error *err);

/* struct build_request: one more named context. */
int value_context(void *member, const char *value, struct error *err);
/* Truth values that only confirm what slipway does anyway. */
int value_always_true(void *member, const char *value, struct error *err);

/* As value_always_true, for what must be false. */
int value_always_false(void *member, const char *value, struct error *err);

/* A value that changes nothing, whatever it is. */
int value_ignored(void *member, const char *value, struct error *err);

/* A truth value of either kind that changes nothing. */
int value_either(void *member, const char *value, struct error *err);

#endif
