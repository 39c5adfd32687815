#include "base/shared_library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As the loader does it where the program is linked with what is missing. */
static void __attribute__((noreturn)) missing(const char *words)
{
    static const char front[] = "slipway: error while loading shared libraries: ";
    ssize_t ignored = write(STDERR_FILENO, front, sizeof front - 1);
    ignored = write(STDERR_FILENO, words, strlen(words));
    ignored = write(STDERR_FILENO, "\n", 1);
    (void)ignored;
    abort();
}

void *shared_library_open(const char *name)
{
    void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (!library) {
        missing(dlerror());
    }
    return library;
}

void *shared_library_symbol(void *library, const char *name)
{
    void *symbol = dlsym(library, name);
    if (!symbol) {
        missing(dlerror());
    }
    return symbol;
}
