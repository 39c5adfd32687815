/*
 * The sandbox's processes as a program of their own: linked statically, so that a RUN need not load
 * the fifty libraries of the whole program twice. It lies inside the program (sandbox_image.c).
 */
#include "builder/sandbox.h"

int main(int argc, char **argv)
{
    return sandbox_main(argc, argv);
}
