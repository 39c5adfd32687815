#include "base/memory.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "registry/login.h"

static const struct option_table table = {
    .command = "logout",
    .usage = "[REGISTRY]",
    .summary = "Forgets the credentials for a registry (docker.io).",
    .max_arguments = 1,
};

int cmd_logout(struct invocation *call, struct error *err)
{
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    bool found = false;
    if (options_read(&table, call->args, NULL, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    const char *host = arguments.len ? arguments.items[0] : NULL;
    if (registry_logout(host, &found, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *shown = registry_login_host(host);
    if (found) {
        printf("Removed the credentials for %s\n", shown);
    } else {
        printf("There were no credentials for %s\n", shown);
    }
    return 0;
}
