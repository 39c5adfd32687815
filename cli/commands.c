#include "cli/commands.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "base/strlist.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/version.h"

/* Sorted by name. */
static const struct command commands[] = {
    {"build", "Build an image from a Dockerfile", cmd_build},
    {"check", "Find fault with a Dockerfile without building it", cmd_check},
    {"doctor", "Show what this machine allows, and what would better it", cmd_doctor},
    {"du", "Show what the store holds", cmd_du},
    {"history", "Show the steps that made an image", cmd_history},
    {"images", "List the images in the store", cmd_images},
    {"init", "Write a slipway.json from what a repository has", cmd_init},
    {"inspect", "Show an image's configuration as JSON", cmd_inspect},
    {"load", "Read images from an archive into the store", cmd_load},
    {"login", "Check and keep credentials for a registry", cmd_login},
    {"logout", "Forget the credentials for a registry", cmd_logout},
    {"plan", "Show what a build would do and what is cached", cmd_plan},
    {"prune", "Make room in the store", cmd_prune},
    {"pull", "Fetch an image from its registry into the store", cmd_pull},
    {"push", "Send an image from the store to its registry", cmd_push},
    {"rmi", "Remove names and images from the store", cmd_rmi},
    {"save", "Write images to an archive", cmd_save},
    {"ship", "Build, push and write imagedefinitions.json", cmd_ship},
    {"tag", "Give an image in the store another name", cmd_tag},
    {"version", "Show the versions of slipway and its libraries", cmd_version},
};

/* docker's management commands, where the program is called docker. */
static const struct {
    const char *group;
    const char *name;
    const char *command;
} docker_forms[] = {
    {"builder", "build", "build"},   {"builder", "prune", "prune"}, {"buildx", "build", "build"},
    {"buildx", "du", "du"},          {"buildx", "prune", "prune"},  {"system", "df", "du"},
    {"system", "prune", "prune"},    {"image", "build", "build"},   {"image", "history", "history"},
    {"image", "inspect", "inspect"}, {"image", "list", "images"},   {"image", "load", "load"},
    {"image", "ls", "images"},       {"image", "pull", "pull"},     {"image", "push", "push"},
    {"image", "remove", "rmi"},      {"image", "rm", "rmi"},        {"image", "save", "save"},
    {"image", "tag", "tag"},
};

void commands_print_help(FILE *out)
{
    fputs("Usage: slipway COMMAND [OPTIONS] [ARGUMENTS]\n"
          "Turns a git commit into a running deployment's image, without a daemon.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n'slipway COMMAND --help' shows a command's options; 'slipway version' the "
          "libraries.\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int unknown_command(const char *name, struct error *err)
{
    static const char *const of_containers[] = {"attach", "commit", "cp",   "create",  "exec",
                                                "kill",   "logs",   "ps",   "restart", "rm",
                                                "run",    "start",  "stop", "wait"};
    for (size_t i = 0; i < ARRAY_LEN(of_containers); i++) {
        if (strcmp(name, of_containers[i]) == 0) {
            return error_set(
                err, ERR_USAGE,
                "no command '%s': slipway builds and ships images, it runs no containers", name);
        }
    }
    static const char *const options[] = {"--help", "--version"};
    const char *names[ARRAY_LEN(commands)];
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        names[i] = commands[i].name;
    }
    bool option = name[0] == '-';
    const char *near = option ? nearest_name(name, options, ARRAY_LEN(options))
                              : nearest_name(name, names, ARRAY_LEN(commands));
    const char *what = option ? "option" : "command";
    if (near) {
        return error_set(err, ERR_USAGE, "no %s '%s', did you mean '%s'?", what, name, near);
    }
    return error_set(err, ERR_USAGE, "no %s '%s', see 'slipway --help'", what, name);
}

/* Whether ARG begins an option of `build`: kaniko has no command, only options. */
static bool is_build_option(const char *arg)
{
    return strncmp(arg, "--context", 9) == 0 || strncmp(arg, "--dockerfile", 12) == 0 ||
           strncmp(arg, "--destination", 13) == 0;
}

/* The command that ARGS (behind the program's name) ask for; *ARGS_OUT gets what stands behind it.
 */
static const struct command *choose(bool docker, char **args, char ***args_out)
{
    if (is_build_option(args[0])) {
        *args_out = args;
        return find_command("build");
    }
    for (size_t i = 0; docker && args[1] && i < ARRAY_LEN(docker_forms); i++) {
        if (strcmp(args[0], docker_forms[i].group) == 0 &&
            strcmp(args[1], docker_forms[i].name) == 0) {
            *args_out = args + 2;
            return find_command(docker_forms[i].command);
        }
    }
    *args_out = args + 1;
    return find_command(args[0]);
}

/* What docker takes in front of its command: *ARGS moves behind it. */
static int skip_docker_options(char ***args, struct error *err)
{
    static const char *const with_value[] = {"--config", "--log-level", "-l"};
    for (char **at = *args; *at; at++) {
        if (strcmp(*at, "--debug") == 0 || strcmp(*at, "-D") == 0) {
            *args = at + 1;
            continue;
        }
        const char *value = NULL;
        const char *option = NULL;
        for (size_t i = 0; i < ARRAY_LEN(with_value) && !option; i++) {
            size_t len = strlen(with_value[i]);
            if (strncmp(*at, with_value[i], len) == 0 &&
                ((*at)[len] == '\0' || (*at)[len] == '=')) {
                option = with_value[i];
                value = (*at)[len] ? *at + len + 1 : *++at;
            }
        }
        if (!option) {
            return 0;
        }
        if (!value) {
            return error_set(err, ERR_USAGE, "%s needs a value", option);
        }
        if (option == with_value[0]) {
            setenv("DOCKER_CONFIG", value, 1);
        }
        *args = at + 1;
    }
    return 0;
}

/* `slipway help [COMMAND]`, --help and --version, as commands of the table. */
static int run_words(struct invocation *call, bool docker, struct error *err)
{
    char **args = call->argv + 1;
    char *help[] = {NULL, NULL};
    char option[] = "--help";
    if (docker && skip_docker_options(&args, err) != 0) {
        return -1;
    }
    if (!args[0]) {
        return error_set(err, ERR_USAGE, "no command, see 'slipway --help'");
    }
    if (strcmp(args[0], "help") == 0 && args[1]) {
        help[0] = option;
        call->args = help;
        const struct command *command = find_command(args[1]);
        return command ? command->run(call, err) : unknown_command(args[1], err);
    }
    if (strcmp(args[0], "--help") == 0 || strcmp(args[0], "-h") == 0 ||
        strcmp(args[0], "help") == 0) {
        commands_print_help(stdout);
        return 0;
    }
    if (strcmp(args[0], "--version") == 0 || strcmp(args[0], "-v") == 0) {
        if (args[1]) {
            return error_set(err, ERR_USAGE, "%s takes no argument, and has '%s'", args[0],
                             args[1]);
        }
        version_print(false);
        return 0;
    }
    const struct command *command = choose(docker, args, &call->args);
    return command ? command->run(call, err) : unknown_command(args[0], err);
}

static int exit_status(const struct error *err)
{
    if (signals_received()) {
        return 128 + signals_received();
    }
    return err->code == ERR_NONE ? ERR_USAGE : (int)err->code;
}

int commands_main(int argc, char **argv)
{
    struct error err = {0};
    struct invocation call = {.argc = argc, .argv = argv, .args = argv + argc, .status = 0};
    if (argc < 2) {
        commands_print_help(stderr);
        return ERR_USAGE;
    }
    bool docker = strcmp(path_name(argv[0]), "docker") == 0;
    int result = run_words(&call, docker, &err);
    if (result == 0 && fflush(stdout) != 0) {
        result = error_errno(&err, ERR_STORE, "write standard output");
    }
    if (result != 0) {
        struct report_source source = {.name = call.source_name, .text = call.source_text};
        report_error(&err, &source, stderr);
        call.status = exit_status(&err);
    }
    free(call.source_name);
    free(call.source_text);
    return call.status;
}
