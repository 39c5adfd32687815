/* RUN: what the command is, what it depends on, and its life in the sandbox. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/path.h"
#include "builder/account.h"
#include "builder/run_account.h"
#include "builder/run_mounts.h"
#include "builder/stage.h"
#include "oci/config.h"

/* Arguments that need no ARG and are only there while a command runs: neither key nor history.
 * Given in whatever case, they are there in both, and before what the Dockerfile sets (BuildKit).
 */
static const char *const proxy_names[][2] = {{"HTTP_PROXY", "http_proxy"},
                                             {"HTTPS_PROXY", "https_proxy"},
                                             {"FTP_PROXY", "ftp_proxy"},
                                             {"NO_PROXY", "no_proxy"},
                                             {"ALL_PROXY", "all_proxy"}};

/* Tools that write times into what they make take this one. It is the time that layers carry where
 * they know no better, and the same for every commit: else every commit would make every layer
 * anew. */
#define EPOCH_NAME "SOURCE_DATE_EPOCH"

struct run_step {
    struct stage *stage;
    const struct instruction *in;
    struct strlist argv;
    char *script; /* shell form */
    bool script_is_file;
    struct strlist env; /* what the command sees, without what is secret or of this machine */
    enum network_mode network;
    struct run_mounts mounts;
    struct sandbox_result result;
};

static void run_step_release(struct run_step *r)
{
    sandbox_result_release(r->stage->build->store, &r->result);
    run_mounts_release(&r->mounts);
    strlist_release(&r->argv);
    strlist_release(&r->env);
    free(r->script);
}

static const char *script_name(const struct run_step *r)
{
    return r->in->heredocs[0].name;
}

static int read_command(struct run_step *r, struct error *err)
{
    const struct instruction *in = r->in;
    if (in->exec_form && in->heredocs_len == 0) {
        strlist_add_all(&r->argv, &in->args);
        return r->argv.len > 0 ? 0 : error_set(err, ERR_USAGE, "RUN: there is no command");
    }
    /* Without a command the shell has nothing to do, and does that (BuildKit). */
    r->script = instruction_script(in, &r->script_is_file);
    strlist_add_all(&r->argv, &r->stage->shell);
    if (r->script_is_file) {
        strlist_addf(&r->argv, "/dev/pipes/%s", script_name(r));
    } else {
        strlist_add(&r->argv, r->script);
    }
    return 0;
}

static int read_flags(struct run_step *r, struct error *err)
{
    const char *network = instruction_flag(r->in, "network");
    const char *security = instruction_flag(r->in, "security");
    r->network = r->stage->build->request->network;
    if (network && strcmp(network, "none") == 0) {
        r->network = NETWORK_NONE;
    } else if (network && strcmp(network, "host") == 0) {
        /* The default is the machine's network already; what more "host" opens (sandbox.h) is for
         * the command line to give, not for a Dockerfile to take. */
        enum network_mode wanted = r->stage->build->request->network;
        r->network = wanted == NETWORK_HOST ? NETWORK_HOST : NETWORK_DEFAULT;
    } else if (network && strcmp(network, "default") != 0) {
        return error_set(err, ERR_USAGE, "RUN --network=%s: takes none, host or default", network);
    }
    if (security && strcmp(security, "sandbox") != 0) {
        return error_set(err, ERR_USAGE,
                         "RUN --security=%s: a build never gets more rights than the sandbox has; "
                         "leave the flag out",
                         security);
    }
    return 0;
}

/* ARG and ENV, of those of one name the later. */
static void read_env(struct run_step *r)
{
    const struct stage *stage = r->stage;
    strlist_add_all(&r->env, &stage->env);
    for (size_t i = 0; i < stage->args.len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(stage->args.items[i]);
        *strchrnul(name, '=') = '\0';
        strlist_env_set(&r->env, name, stage_variable(stage, name));
    }
    const char *epoch = strlist_env_get(&stage->build->build_args, EPOCH_NAME);
    if (!strlist_env_get(&r->env, EPOCH_NAME)) {
        AUTO(mem_freep) char *fixed = mem_printf("%lld", (long long)TIME_BASE);
        strlist_env_set(&r->env, EPOCH_NAME, epoch ? epoch : fixed);
    }
}

/* NAME=VALUE as an input that explanations call "variable NAME". */
static void key_variable(struct step_key *key, const char *variable)
{
    AUTO(mem_freep) char *name = mem_strdup(variable);
    *strchrnul(name, '=') = '\0';
    AUTO(mem_freep) char *label = mem_printf("variable %s", name);
    step_key_text(key, label, variable);
}

/* BY_LAYERS: what is mounted from other stages and images counts by its layers, not its files. */
static int make_key(struct run_step *r, bool by_layers, struct step_key **out, struct error *err)
{
    struct stage *stage = r->stage;
    AUTO(step_key_freep)
    struct step_key *key = stage_key(stage, by_layers ? "RUN with layers" : "RUN");
    const bool alone = r->network == NETWORK_NONE;
    const struct strlist *hosts = &stage->build->request->add_hosts;
    step_key_data(key, "the number of words", &r->argv.len, sizeof r->argv.len);
    for (size_t i = 0; i < r->argv.len; i++) {
        step_key_text(key, "the command", r->argv.items[i]);
    }
    step_key_text(key, "the here-document", r->script);
    step_key_data(key, "the number of variables", &r->env.len, sizeof r->env.len);
    for (size_t i = 0; i < r->env.len; i++) {
        key_variable(key, r->env.items[i]);
    }
    step_key_text(key, "USER", config_get_text(stage->config, "User"));
    step_key_text(key, "WORKDIR", stage->workdir);
    step_key_data(key, "--network", &alone, sizeof alone);
    step_key_data(key, "the number of --add-host", &hosts->len, sizeof hosts->len);
    for (size_t i = 0; i < hosts->len; i++) {
        step_key_text(key, "--add-host", hosts->items[i]);
    }
    if (run_mounts_key(&r->mounts, key, by_layers, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(key);
    return 0;
}

/* The build argument NAME in whatever case, borrowed; NULL: not given. */
static const char *proxy_value(const struct strlist *build_args, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < build_args->len; i++) {
        const char *item = build_args->items[i];
        if (strncasecmp(item, name, len) == 0 && item[len] == '=') {
            return item + len + 1;
        }
    }
    return NULL;
}

/* What is only for this machine and moment: proxies, secrets, HOME. */
static void add_local_env(struct run_step *r, const struct account *account, struct strlist *env)
{
    strlist_add_all(env, &r->env);
    for (size_t i = 0; i < ARRAY_LEN(proxy_names); i++) {
        const char *value = proxy_value(&r->stage->build->build_args, proxy_names[i][0]);
        for (size_t n = 0; value && value[0] && n < 2; n++) {
            strlist_env_set(env, proxy_names[i][n], value);
        }
    }
    for (size_t i = 0; i < r->mounts.env.len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(r->mounts.env.items[i]);
        char *equals = strchr(name, '=');
        *equals = '\0';
        strlist_env_set(env, name, equals + 1);
    }
    if (!strlist_env_get(env, "HOME")) {
        strlist_env_set(env, "HOME", account->home);
    }
}

static int failed(struct run_step *r, struct error *err)
{
    AUTO(buf_release) struct buf command = BUF_INIT(0);
    for (size_t i = 0; i < r->argv.len; i++) {
        buf_printf(&command, "%s%s", i ? " " : "", r->argv.items[i]);
    }
    AUTO(mem_freep) char *line = mem_strdup(buf_text(&command));
    line[strcspn(line, "\n")] = '\0';
    const char *tail = r->result.tail ? r->result.tail : "";
    size_t len = strlen(tail);
    while (len > 0 && tail[len - 1] == '\n') {
        len--;
    }
    size_t skip = len > 1200 ? len - 1200 : 0;
    return error_set(err, ERR_STEP, "RUN %.300s: exit status %d%s%.*s", line, r->result.exit_status,
                     len ? "; the last lines of its output:\n" : "", (int)(len - skip),
                     tail + skip);
}

static int execute(struct run_step *r, const struct strlist *lowers, uint64_t number,
                   struct error *err)
{
    struct stage *stage = r->stage;
    struct account account = {0};
    AUTO(strlist_release) struct strlist env = {0};
    const char *user = config_get_text(stage->config, "User");
    if (run_account(&stage->stack, lowers, user, &account, err) != 0) {
        return -1;
    }
    add_local_env(r, &account, &env);
    struct sandbox_spec spec = {
        .lowers = (const char *const *)lowers->items,
        .lowers_len = lowers->len,
        .argv = (const char *const *)r->argv.items,
        .env = (const char *const *)env.items,
        .cwd = stage->workdir,
        .uid = account.uid,
        .gid = account.gid,
        .groups = account.groups,
        .groups_len = account.groups_len,
        .network = r->network,
        .add_hosts = &stage->build->request->add_hosts,
        .mounts = r->mounts.list,
        .mounts_len = r->mounts.list_len,
        .events = stage->build->events,
        .step = number,
    };
    int result = sandbox_run(stage->build->store, &spec, &r->result, err);
    account_release(&account);
    if (result == 0 && r->result.exit_status != 0) {
        return failed(r, err);
    }
    return result;
}

static int make_run(void *ctx, uint64_t number, struct tree **diff_out, struct error *err)
{
    struct run_step *r = ctx;
    AUTO(strlist_release) struct strlist lowers = {0};
    AUTO(mem_freep) char *script_path = NULL;
    enum sandbox_rung rung = RUNG_NONE;
    if (build_rung(r->stage->build, &rung, err) != 0 ||
        stack_unpack(&r->stage->stack, sandbox_style(rung), &lowers, err) != 0 ||
        run_mounts_prepare(&r->mounts, err) != 0) {
        return -1;
    }
    if (r->script_is_file) {
        script_path = mem_printf("/dev/pipes/%s", script_name(r));
        run_mounts_add_file(&r->mounts, script_path, r->script, strlen(r->script), 0755);
    }
    if (execute(r, &lowers, number, err) != 0) {
        return -1;
    }
    if (!r->result.diff) {
        return 0;
    }
    if (run_mounts_scan(&r->mounts, r->result.diff, err) != 0) {
        return -1;
    }
    *diff_out = tree_ref(r->result.diff);
    return 0;
}

/* The folder that the command wrote is what the next RUN needs: it need not be unpacked. */
static int keep_run(void *ctx, const struct layer *layer, bool *lasts_out, struct error *err)
{
    struct run_step *r = ctx;
    if (sandbox_keep_upper(r->stage->build->store, &r->result, &layer->diff_id, err) != 0) {
        return -1;
    }
    /* Where the same layer was unpacked before, this folder goes. */
    *lasts_out = r->result.upper == NULL;
    return 0;
}

/* As docker writes it: "RUN |1 A=1 /bin/sh -c make". */
static char *history_line(const struct run_step *r)
{
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    const struct strlist *args = &r->stage->args;
    const struct strlist *unset = &r->stage->unset;
    buf_puts(&line, "RUN");
    if (args->len + unset->len > 0) {
        buf_printf(&line, " |%zu", args->len + unset->len);
    }
    for (size_t i = 0; i < args->len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(args->items[i]);
        *strchrnul(name, '=') = '\0';
        buf_printf(&line, " %s=%s", name, stage_variable(r->stage, name));
    }
    for (size_t i = 0; i < unset->len; i++) {
        const char *value = stage_variable(r->stage, unset->items[i]);
        buf_printf(&line, " %s=%s", unset->items[i], value ? value : "");
    }
    for (size_t i = 0; i < r->argv.len; i++) {
        buf_printf(&line, " %s", r->argv.items[i]);
    }
    return buf_take(&line);
}

/* The step by the files that are mounted: reads them. */
static int run_files(struct run_step *r, struct step *step, struct error *err)
{
    AUTO(step_key_freep) struct step_key *key = NULL;
    if (run_mounts_find(&r->mounts, err) != 0 || make_key(r, false, &key, err) != 0) {
        return -1;
    }
    step->key = key;
    return stage_step(r->stage, step, err);
}

/* A key of a RUN that mounts from stages or images, made without reading them. */
static int make_layers_key(struct run_step *r, bool *known_out, struct digest *out,
                           struct error *err)
{
    AUTO(step_key_freep) struct step_key *key = NULL;
    *known_out = !r->stage->build->dry && run_mounts_have_layers(&r->mounts);
    if (!*known_out) {
        return 0;
    }
    if (make_key(r, true, &key, err) != 0) {
        return -1;
    }
    step_key_finish(key, out);
    return 0;
}

static int run_step(struct run_step *r, struct error *err)
{
    struct digest layers_key;
    bool known = false;
    bool taken = false;
    if (read_command(r, err) != 0 || read_flags(r, err) != 0 ||
        run_mounts_read(r->stage, r->in, &r->mounts, err) != 0) {
        return -1;
    }
    read_env(r);
    if (make_layers_key(r, &known, &layers_key, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *line = history_line(r);
    struct step step = {.in = r->in,
                        .created_by = line,
                        .also = known ? &layers_key : NULL,
                        .exclusive = true,
                        .make = make_run,
                        .keep = keep_run,
                        .ctx = r};
    if (known && stage_step_known(r->stage, &step, &layers_key, &taken, err) != 0) {
        return -1;
    }
    return taken ? 0 : run_files(r, &step, err);
}

int stage_run_command(struct stage *stage, const struct instruction *in, struct error *err)
{
    struct run_step r = {.stage = stage, .in = in, .mounts = {.stage = stage}};
    int result = run_step(&r, err);
    run_step_release(&r);
    return result;
}
