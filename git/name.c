/* Names in git trees, as git's own verify_path() judges them: what HFS+ and NTFS take for ".git"
 * counts as that. */
#include "git/commit_tree.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"

/* The length of a character at P that HFS+ does not see (U+200C..F, U+202A..E, U+206A..F, U+FEFF),
 * else 0. */
static size_t ignorable(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    if (b[0] == 0xe2 && b[1] == 0x80 &&
        ((b[2] >= 0x8c && b[2] <= 0x8f) || (b[2] >= 0xaa && b[2] <= 0xae))) {
        return 3;
    }
    if (b[0] == 0xe2 && b[1] == 0x81 && b[2] >= 0xaa && b[2] <= 0xaf) {
        return 3;
    }
    return b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf ? 3 : 0;
}

static bool is_git_folder(const char *name)
{
    char seen[8];
    size_t len = 0;
    const char *p = name;
    while (*p && len < sizeof seen - 1) {
        size_t skip = ignorable(p);
        if (skip) {
            p += skip;
        } else {
            seen[len++] = *p++;
        }
    }
    seen[len] = '\0';
    if (strcasecmp(seen, ".git") == 0 && !*p) {
        return true;
    }
    /* NTFS drops dots and spaces at the end, and what follows a colon is a stream of the file. */
    size_t head = strncasecmp(name, ".git", 4) == 0    ? 4
                  : strncasecmp(name, "git~1", 5) == 0 ? 5
                                                       : 0;
    if (head == 0) {
        return false;
    }
    size_t end = head + strspn(name + head, ". ");
    return name[end] == '\0' || name[end] == ':' || name[end] == '\\';
}

bool git_name_is_safe(const char *name)
{
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') ||
        strlen(name) > 255) {
        return false;
    }
    return !is_git_folder(name);
}
