/*
 * Libraries that are loaded when somebody needs them, and then as sure to be there as if the
 * program had been linked with them.
 */
#ifndef SLIPWAY_BASE_SHARED_LIBRARY_H
#define SLIPWAY_BASE_SHARED_LIBRARY_H

/* Loads the library NAME ("libcurl.so.4") for the life of the process. Where it is missing the
 * process ends with the loader's words, as it does for a library it is linked with.
 */
void *shared_library_open(const char *name);

/* The function NAME of LIBRARY; one that is missing ends the process likewise. */
void *shared_library_symbol(void *library, const char *name);

#endif
