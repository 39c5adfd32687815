/* Programs of other platforms. */
#include "builder/foreign.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"

#define BINFMT "/proc/sys/fs/binfmt_misc"

/* The name that QEMU's interpreters have for an architecture. */
static const char *qemu_name(const char *architecture)
{
    static const struct {
        const char *go, *qemu;
    } names[] = {{"amd64", "x86_64"},    {"386", "i386"},          {"arm64", "aarch64"},
                 {"arm", "arm"},         {"ppc64le", "ppc64le"},   {"s390x", "s390x"},
                 {"riscv64", "riscv64"}, {"mips64le", "mips64el"}, {"loong64", "loongarch64"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i].go, architecture) == 0) {
            return names[i].qemu;
        }
    }
    return architecture;
}

/* Whether ENTRY of binfmt_misc is enabled, is an interpreter for NAME, and is held open (flag F),
 * so that it is found from within any root. */
static bool interprets(const char *entry, const char *name)
{
    struct error ignored = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(64 * KIB);
    AUTO(mem_freep) char *path = mem_printf(BINFMT "/%s", entry);
    if (file_read(AT_FDCWD, path, 64 * KIB, &text, NULL, &ignored) != 0) {
        return false;
    }
    AUTO(mem_freep) char *wanted = mem_printf("qemu-%s", name);
    const char *flags = strstr(buf_text(&text), "flags: ");
    bool fixed = flags && memchr(flags, 'F', strcspn(flags, "\n"));
    return strncmp(buf_text(&text), "enabled", 7) == 0 && fixed &&
           (strstr(entry, wanted) || strstr(buf_text(&text), wanted));
}

static bool has_interpreter(const char *name)
{
    DIR *dir = opendir(BINFMT);
    bool found = false;
    if (!dir) {
        return false;
    }
    for (struct dirent *d = readdir(dir); d && !found; d = readdir(dir)) {
        found = d->d_name[0] != '.' && interprets(d->d_name, name);
    }
    closedir(dir);
    return found;
}

int foreign_check(const struct platform *platform, struct error *err)
{
    struct platform here = {0};
    platform_local(&here);
    bool same =
        strcmp(here.os, platform->os) == 0 &&
        (strcmp(here.architecture, platform->architecture) == 0 ||
         (strcmp(here.architecture, "amd64") == 0 && strcmp(platform->architecture, "386") == 0) ||
         (strcmp(here.architecture, "arm64") == 0 && strcmp(platform->architecture, "arm") == 0));
    platform_release(&here);
    if (same) {
        return 0;
    }
    AUTO(mem_freep) char *name = platform_format(platform);
    const char *qemu = qemu_name(platform->architecture);
    if (strcmp(platform->os, "linux") == 0 && has_interpreter(qemu)) {
        return 0;
    }
    return error_set(err, ERR_ISOLATION,
                     "RUN for %s: this machine cannot run its programs; register qemu-%s in "
                     "binfmt_misc with the flag F (Debian: qemu-user-static and binfmt-support)",
                     name, qemu);
}
