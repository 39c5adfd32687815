/* Ignore files: the last line is a path to ask about. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "builder/chmod.h"
#include "builder/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = memrchr(data, '\n', size);
    size_t len = newline ? (size_t)(newline - data) : 0;
    AUTO(mem_freep) char *raw = mem_strndup((const char *)data + len, size - len);
    AUTO(mem_freep) char *path = path_clean(raw);
    struct error err = {0};
    struct chmod mode;
    if (chmod_parse(raw + (raw[0] == '\n'), &mode, &err) == 0) {
        assert(chmod_apply(&mode, 0644, false) <= 07777);
    }
    err = (struct error){0};
    AUTO(ignore_freep) struct ignore *ig = NULL;
    if (ignore_parse((const char *)data, len, ".dockerignore", &ig, &err) != 0) {
        assert(err.code == ERR_USAGE && err.text[0]);
        return 0;
    }
    unsigned line = 0;
    bool excluded = ignore_excludes(ig, path, false, &line);
    assert(!excluded || (line > 0 && ignore_pattern_at(ig, line)));
    /* What lies in a pruned folder is never kept. */
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        AUTO(mem_freep) char *folder = mem_strndup(path, (size_t)(slash - path));
        assert(!ignore_prunes(ig, folder) || excluded);
    }
    return 0;
}
