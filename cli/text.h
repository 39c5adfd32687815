/*
 * Text for people: what strangers' programs printed made harmless for a terminal, widths, sizes,
 * times, tables.
 */
#ifndef SLIPWAY_CLI_TEXT_H
#define SLIPWAY_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

/* Adds TEXT without anything that steers a terminal: escape sequences (CSI, OSC, DCS, ...) vanish,
 * tabs become a space, other control characters and what is no UTF-8 become '?'. The result is one
 * line. */
void text_clean(const char *text, size_t len, struct buf *out);

/* As text_clean, and line feeds stay. */
void text_clean_lines(const char *text, size_t len, struct buf *out);

/* Adds TEXT with every byte that is no UTF-8 replaced by U+FFFD; nothing else changes. */
void text_utf8(const char *text, size_t len, struct buf *out);

/* Columns that TEXT (clean, UTF-8) takes on a terminal. */
size_t text_columns(const char *text);

/* Bytes of TEXT (clean, UTF-8) that fit into COLUMNS. */
size_t text_fit(const char *text, size_t columns);

/* "12.3 MB" (powers of ten, as docker), into OUT, which is returned. */
enum { TEXT_SIZE_SIZE = 24 };

/* Writes BYTES with its unit into OUT, which is returned. */
char *text_bytes(uint64_t bytes, char out[TEXT_SIZE_SIZE]);

/* Rows of cells as columns wide enough for all. CELLS are COUNT rows of WIDTH strings. */
void text_table(const char *const *cells, size_t rows, size_t width, FILE *out);

/* How long ago a moment (seconds since 1970) is: "5 minutes ago"; into OUT, which is returned. */
enum { TEXT_AGO_SIZE = 40 };

/* Writes how long before now THEN (Unix time) was into OUT, which is returned. */
char *text_ago(int64_t then, char out[TEXT_AGO_SIZE]);

#endif
