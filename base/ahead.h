/*
 * Reading ahead: what is slow to read (inflated, hashed) is read by a thread of its own while the
 * caller works on what came before.
 */
#ifndef SLIPWAY_BASE_AHEAD_H
#define SLIPWAY_BASE_AHEAD_H

#include "base/stream.h"

/* A reader of the bytes of IN (taken over), which a thread reads at most 1 MiB ahead. A stream that
 * ends within its first 256 KiB needs no thread. What IN did happened before the read that gave its
 * bytes, or its end, returned. */
struct reader *reader_ahead(struct reader *in);

#endif
