/*
 * The program that the sandbox's processes are made from.
 */
#ifndef SLIPWAY_BUILDER_SANDBOX_IMAGE_H
#define SLIPWAY_BUILDER_SANDBOX_IMAGE_H

enum { SANDBOX_IMAGE_PATH_SIZE = 40 };

/* Writes the path to execute: the small static program that was linked into this one, from memory;
 * where it was not linked in, or memory cannot be executed on this machine, the program itself.
 * Returns OUT. */
char *sandbox_image_path(char out[SANDBOX_IMAGE_PATH_SIZE]);

#endif
