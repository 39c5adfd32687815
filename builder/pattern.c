#include "builder/pattern.h"

#include <string.h>

#include "base/memory.h"
#include "builder/glob.h"

int pattern_match(const char *pattern, const char *name, bool doublestar, bool *matched,
                  struct error *err)
{
    AUTO(glob_freep) struct glob *glob = NULL;
    enum glob_style style = doublestar ? GLOB_FOLDERS : GLOB_PLAIN;
    if (glob_compile(pattern, strlen(pattern), style, &glob, err) != 0) {
        return -1;
    }
    *matched = glob_match(glob, name, strlen(name));
    return 0;
}
