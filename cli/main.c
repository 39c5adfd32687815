#include <string.h>
#include <unistd.h>

#include "builder/sandbox.h"
#include "cli/commands.h"
#include "cli/signals.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "__sandbox") == 0) {
        signals_reset();
        return sandbox_main(argc, argv);
    }
    signals_install();
    return commands_main(argc, argv);
}
