#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/limits.h"
#include "builder/sandbox.h"
#include "cli/commands.h"
#include "cli/signals.h"

/* Many stages and transfers at once hold many files open, and the usual limit of 1024 is only where
 * programs begin: each may raise it. A RUN gets limits of its own. */
static void allow_open_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < LIMIT_OPEN_FILES) {
        files.rlim_cur = files.rlim_max < LIMIT_OPEN_FILES ? files.rlim_max : LIMIT_OPEN_FILES;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "__sandbox") == 0) {
        signals_reset();
        return sandbox_main(argc, argv);
    }
    allow_open_files();
    signals_install();
    int status = commands_main(argc, argv);
    /* Everything that has to be flushed is; the libraries' farewells take as long as a tenth of a
     * build that changes nothing. */
    fflush(NULL);
    _exit(status);
}
