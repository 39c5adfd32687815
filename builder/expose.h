/*
 * One word of EXPOSE: "[[IP:]HOST:]PORT[-PORT][/PROTOCOL]".
 *
 * IP and HOST mean nothing in an image; they are read and left out, as BuildKit does until it makes
 * them an error (its rule ExposeInvalidFormat).
 */
#ifndef SLIPWAY_BUILDER_EXPOSE_H
#define SLIPWAY_BUILDER_EXPOSE_H

#include <stdbool.h>

#include "base/error.h"

struct exposed {
    unsigned first, last; /* ports, 0 to 65535 */
    char protocol[5];     /* tcp, udp or sctp */
    bool odd_case;        /* the protocol was not written in lower case */
    bool mapped;          /* an address or a port of the host was given */
};

/* Reads WORD (after expansion) into OUT. ERR_USAGE. */
int expose_parse(const char *word, struct exposed *out, struct error *err);

#endif
