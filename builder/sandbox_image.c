/* The sandbox's program in memory. */
#include "builder/sandbox_image.h"

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* Above the numbers that the child's own descriptors get. */
enum { IMAGE_FD_MIN = 100 };

/* Where the linker put it; absent in tests and in sanitizer builds. */
extern const char _binary_sandbox_static_start[] __attribute__((weak));
extern const char _binary_sandbox_static_end[] __attribute__((weak));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int image_fd = -1;

/* Never writable again, so that nobody can change what all later steps execute. */
static void make_image(void)
{
    struct error ignored = {0};
    const char *start = _binary_sandbox_static_start;
    if (!start) {
        return;
    }
    size_t len = (size_t)(_binary_sandbox_static_end - start);
    AUTO(fd_closep) int fd = memfd_create("slipway", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0) {
        fd = memfd_create("slipway", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (fd < 0 || file_write_fd(fd, "the sandbox's program", start, len, &ignored) != 0 ||
        fchmod(fd, 0500) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        return;
    }
    int high = fcntl(fd, F_DUPFD_CLOEXEC, IMAGE_FD_MIN);
    char path[SANDBOX_IMAGE_PATH_SIZE];
    snprintf(path, sizeof path, "/proc/self/fd/%d", high);
    if (high >= 0 && access(path, X_OK) == 0) {
        image_fd = high;
    }
}

char *sandbox_image_path(char out[SANDBOX_IMAGE_PATH_SIZE])
{
    pthread_once(&once, make_image);
    if (image_fd >= 0) {
        snprintf(out, SANDBOX_IMAGE_PATH_SIZE, "/proc/self/fd/%d", image_fd);
    } else {
        snprintf(out, SANDBOX_IMAGE_PATH_SIZE, "/proc/self/exe");
    }
    return out;
}
