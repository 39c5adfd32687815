#include "base/path.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"

char *path_clean(const char *path)
{
    char *out = mem_alloc(strlen(path) + 1);
    size_t len = 0;
    const char *p = path;
    while (*p) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (len > 0 && out[len - 1] != '/') {
                len--;
            }
            len -= len > 0;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (len) {
                out[len++] = '/';
            }
            memcpy(out + len, p, n);
            len += n;
        }
        p += n;
        p += *p == '/';
    }
    out[len] = '\0';
    return out;
}

char *path_clean_absolute(const char *path)
{
    AUTO(mem_freep) char *clean = path_clean(path);
    return mem_printf("/%s", clean);
}

char *path_join(const char *dir, const char *name)
{
    if (name[0] == '/') {
        return path_clean(name);
    }
    AUTO(mem_freep) char *both = mem_printf("%s/%s", dir, name);
    return path_clean(both);
}

bool path_is_clean(const char *path)
{
    size_t total = strlen(path);
    if (total == 0) {
        return true;
    }
    if (total > LIMIT_PATH_BYTES) {
        return false;
    }
    const char *p = path;
    for (;;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) {
            return false;
        }
        p += n;
        if (!*p) {
            return true;
        }
        p++;
    }
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup("");
}

bool path_is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return len == 0 || (strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/'));
}
