#include "cli/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/http.h"
#include "base/memory.h"
#include "cli/version.h"

void session_options_release(struct session_options *options)
{
    strlist_release(&options->insecure);
    strlist_release(&options->certificates);
    strlist_release(&options->client_certificates);
    strlist_release(&options->registry_map);
}

static int parse_progress(void *member, const char *value, struct error *err)
{
    return progress_parse(value, member, err);
}

static int parse_retries(void *member, const char *value, struct error *err)
{
    unsigned count = 0;
    if (options_number(value, 1000, &count, err) != 0) {
        return -1;
    }
    *(int *)member = count == 0 ? HTTP_NO_RETRIES : (int)count;
    return 0;
}

static int parse_duration(void *member, const char *value, struct error *err)
{
    return options_duration(value, member, err);
}

static int parse_map(void *member, const char *value, struct error *err)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value || equals[1] == '\0' || strpbrk(value, ",;")) {
        return error_set(err, ERR_USAGE, "'%s' is not of the form HOST=MIRROR[/PREFIX]", value);
    }
    strlist_add(member, value);
    return 0;
}

static int parse_mirror(void *member, const char *value, struct error *err)
{
    if (*value == '\0' || strpbrk(value, "=,;")) {
        return error_set(err, ERR_USAGE, "'%s' is no host", value);
    }
    strlist_addf(member, "docker.io=%s", value);
    return 0;
}

static const struct option_spec specs[] = {
    {.name = "progress",
     .argument = "MODE",
     .help = "auto, plain, tty, json or quiet",
     .kind = OPTION_CALL,
     .offset = offsetof(struct session_options, progress),
     .parse = parse_progress},
    {.name = "quiet",
     .letter = 'q',
     .help = "no progress, only the result",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct session_options, quiet)},
    {.name = "offline",
     .help = "open no connection: what is missing is an error",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct session_options, offline)},
    {.name = "registry-map",
     .argument = "HOST=MIRROR",
     .help = "ask MIRROR for HOST's images (--registry-mirror M: docker.io=M)",
     .kind = OPTION_CALL,
     .offset = offsetof(struct session_options, registry_map),
     .parse = parse_map},
    {.name = "registry-mirror",
     .argument = "HOST",
     .help = "",
     .kind = OPTION_CALL,
     .offset = offsetof(struct session_options, registry_map),
     .parse = parse_mirror},
    {.name = "insecure-registry",
     .argument = "HOST",
     .help = "speak plain HTTP with HOST[:PORT]",
     .kind = OPTION_LIST,
     .offset = offsetof(struct session_options, insecure)},
    {.name = "registry-certificate",
     .argument = "H=PEM",
     .help = "trust PEM for host H (--client-certificate H=PEM: show it one)",
     .kind = OPTION_LIST,
     .offset = offsetof(struct session_options, certificates)},
    {.name = "client-certificate",
     .argument = "H=PEM",
     .help = "",
     .kind = OPTION_LIST,
     .offset = offsetof(struct session_options, client_certificates)},
    {.name = "retry",
     .argument = "N",
     .help = "try again at most N times, first after --retry-delay TIME (500ms)",
     .kind = OPTION_CALL,
     .offset = offsetof(struct session_options, retries),
     .parse = parse_retries},
    {.name = "retry-delay",
     .argument = "TIME",
     .help = "",
     .kind = OPTION_CALL,
     .offset = offsetof(struct session_options, retry_delay_ms),
     .parse = parse_duration},
    {.name = "push-retry",
     .argument = "N",
     .kind = OPTION_CALL,
     .offset = offsetof(struct session_options, retries),
     .parse = parse_retries},
    {.name = "image-download-retry",
     .argument = "N",
     .kind = OPTION_CALL,
     .offset = offsetof(struct session_options, retries),
     .parse = parse_retries},
    {.name = "timeout",
     .argument = "TIME",
     .help = "give a transfer up that gets no further for TIME (5m)",
     .kind = OPTION_CALL,
     .offset = offsetof(struct session_options, timeout_ms),
     .parse = parse_duration},
    {.name = "create-repository",
     .help = "make the repository before a push where ECR lacks it",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct session_options, create_repository)},
    {.name = "insecure",
     .kind = OPTION_REFUSE,
     .help = "name the registry that speaks plain HTTP: --insecure-registry HOST"},
    {.name = "skip-tls-verify",
     .kind = OPTION_REFUSE,
     .help =
         "certificates are always checked; trust your own with --registry-certificate HOST=PEM"},
};
const struct option_group session_group = {"Display and registries", specs, ARRAY_LEN(specs)};

/* What the command line maps stands in front of what the environment does. */
static void export_registry_map(const struct strlist *map)
{
    static const char name[] = "SLIPWAY_REGISTRY_MAP";
    AUTO(buf_release) struct buf value = BUF_INIT(0);
    const char *old = getenv(name);
    for (size_t i = 0; i < map->len; i++) {
        buf_printf(&value, "%s%s", i ? "," : "", map->items[i]);
    }
    if (map->len > 0 && old && *old) {
        buf_printf(&value, ",%s", old);
    }
    if (map->len > 0) {
        setenv(name, buf_text(&value), 1);
    }
}

/* What the command line does not say, the environment may. */
static int read_environment(struct session_options *options, struct error *err)
{
    const struct {
        const char *name;
        bool given;
        void *member;
        int (*parse)(void *member, const char *value, struct error *err);
    } variables[] = {
        {"SLIPWAY_RETRY", options->retries != 0, &options->retries, parse_retries},
        {"SLIPWAY_RETRY_DELAY", options->retry_delay_ms != 0, &options->retry_delay_ms,
         parse_duration},
        {"SLIPWAY_TIMEOUT", options->timeout_ms != 0, &options->timeout_ms, parse_duration},
    };
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        const char *value = getenv(variables[i].name);
        if (!variables[i].given && value && *value &&
            variables[i].parse(variables[i].member, value, err) != 0) {
            return error_wrap(err, "%s", variables[i].name);
        }
    }
    return 0;
}

int session_open(const struct session_options *options, struct session *out, struct error *err)
{
    AUTO(session_close) struct session s = {0};
    struct session_options patience = {.retries = options->retries,
                                       .retry_delay_ms = options->retry_delay_ms,
                                       .timeout_ms = options->timeout_ms};
    if (read_environment(&patience, err) != 0) {
        return -1;
    }
    if (options->hasty && patience.retries == 0) {
        patience.retries = HTTP_NO_RETRIES;
    }
    enum progress_mode mode = options->quiet ? PROGRESS_QUIET : options->progress;
    export_registry_map(&options->registry_map);
    s.progress = progress_new(mode, STDERR_FILENO);
    s.events = progress_sink(s.progress);
    if (!options->offline) {
        http_prepare();
        s.prepared = true;
    }
    if (store_open(NULL, &s.store, err) != 0 || store_hold(s.store, err) != 0) {
        return -1;
    }
    struct registry_options registry = {.offline = options->offline,
                                        .insecure = &options->insecure,
                                        .certificates = &options->certificates,
                                        .user_agent = "slipway/" SLIPWAY_VERSION,
                                        .client_certificates = &options->client_certificates,
                                        .retries = patience.retries,
                                        .retry_delay_ms = patience.retry_delay_ms,
                                        .budget_ms = patience.timeout_ms,
                                        .create_repository = options->create_repository,
                                        .events = s.events};
    if (registry_open(s.store, &registry, &s.registry, err) != 0) {
        return -1;
    }
    *out = s;
    s = (struct session){0};
    return 0;
}

void session_end_display(struct session *session)
{
    session->events = NULL;
    if (session->progress) {
        progress_end(session->progress);
    }
}

void session_close(struct session *session)
{
    registry_freep(&session->registry);
    store_freep(&session->store);
    progress_freep(&session->progress);
    session->events = NULL;
    if (session->prepared) {
        http_prepare_end();
    }
}
