/* Owner, mode and extended attributes of what is unpacked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "oci/unpack_internal.h"

static bool is_overlays_own(const char *name)
{
    return strncmp(name, "trusted.overlay.", 16) == 0 || strncmp(name, "user.overlay.", 13) == 0 ||
           strcmp(name, UNPACK_OWNER_XATTR) == 0;
}

/* Attributes follow the owner, whose change drops file capabilities. PROC is a /proc/self/fd path.
 */
int unpack_xattrs(const char *proc, const struct entry *entry, struct error *err)
{
    for (uint32_t i = 0; i < entry->xattrs_len; i++) {
        const struct xattr *x = &entry->xattrs[i];
        if (is_overlays_own(x->name)) {
            continue;
        }
        /* Not every file system and not every user can hold every attribute. */
        if (setxattr(proc, x->name, x->value, x->size, 0) != 0 && errno != ENOTSUP &&
            errno != EPERM && errno != EINVAL) {
            return error_errno(err, ERR_STORE, "set the attribute %s", x->name);
        }
    }
    return 0;
}

static int set_owner(enum unpack_style style, const char *proc, const struct entry *entry,
                     struct error *err)
{
    /* Files for people get owners only where we may give them away. */
    bool set = style != UNPACK_PLAIN || geteuid() == 0;
    if (!set || chown(proc, entry->uid, entry->gid) == 0) {
        return 0;
    }
    if (errno != EINVAL || style == UNPACK_OVERLAY) {
        return error_errno(err, ERR_STORE, "change the owner to %u:%u", entry->uid, entry->gid);
    }
    char owner[32];
    int len = snprintf(owner, sizeof owner, "%u:%u", entry->uid, entry->gid);
    /* Links and devices cannot carry it: they lose their owner. */
    if (setxattr(proc, UNPACK_OWNER_XATTR, owner, (size_t)len, 0) != 0 && errno != EPERM &&
        errno != ENOTSUP) {
        return error_errno(err, ERR_STORE, "note the owner %s", owner);
    }
    return 0;
}

void unpack_owner_read(const void *value, size_t size, uint32_t *uid, uint32_t *gid)
{
    char text[32];
    unsigned u = 0;
    unsigned g = 0;
    int end = 0;
    if (size >= sizeof text) {
        return;
    }
    memcpy(text, value, size);
    text[size] = '\0';
    if (sscanf(text, "%u:%u%n", &u, &g, &end) == 2 && (size_t)end == size) {
        *uid = u;
        *gid = g;
    }
}

int unpack_attributes(enum unpack_style style, int fd, const struct entry *entry, struct error *err)
{
    char proc[48];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    if (set_owner(style, proc, entry, err) != 0) {
        return -1;
    }
    /* After the owner, whose change clears setuid. Links have no mode. */
    if (entry->type != ENTRY_SYMLINK && entry->type != ENTRY_DIR &&
        chmod(proc, entry->mode & 07777) != 0) {
        return error_errno(err, ERR_STORE, "set the mode");
    }
    return unpack_xattrs(proc, entry, err);
}
