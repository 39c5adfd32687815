/* The mounts of a RUN. */
#include "builder/run_mounts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "builder/agent_proxy.h"
#include "builder/cache_mount.h"
#include "builder/missing.h"
#include "builder/secret_scan.h"
#include "builder/sources.h"
#include "oci/folder.h"

#define SECRET_MAX ((size_t)512 * 1024)

void run_mounts_release(struct run_mounts *m)
{
    struct error ignored = {0};
    for (size_t i = 0; i < m->len; i++) {
        agent_proxy_stop(m->agents[i]);
        run_mount_release(&m->parsed[i]);
        free(m->targets[i]);
        tree_unref(m->sources[i]);
        if (m->secrets[i].data) {
            explicit_bzero(m->secrets[i].data, m->secrets[i].len);
        }
        buf_release(&m->secrets[i]);
        cache_mount_unlockp(&m->locks[i]);
    }
    for (size_t i = 0; i < m->temps.len; i++) {
        file_remove_tree(store_fd(m->stage->build->store), m->temps.items[i], &ignored);
    }
    free(m->parsed);
    free(m->targets);
    free(m->sources);
    free(m->secrets);
    free(m->agents);
    free(m->locks);
    free(m->list);
    strlist_release(&m->env);
    strlist_release(&m->keep);
    strlist_release(&m->temps);
    *m = (struct run_mounts){0};
}

/* Puts mount I's option in front of ERR, and names it as the place. */
static int mount_failed(const struct run_mounts *m, size_t i, struct error *err)
{
    const struct flag *flag = m->in->flags;
    for (size_t left = i + 1; left > 0; flag++) {
        left -= strcmp(flag->name, "mount") == 0;
    }
    flag--;
    dockerfile_locate_flag(err, m->stage->build->df->file, m->in, flag);
    return error_wrap(err, "RUN --mount=%.200s", flag->value);
}

/* ENTRY of TREE as it is seen from folder DIR (SKIP bytes of path are cut). */
static void add_below(struct tree_builder *b, const struct entry *entry, const char *dir,
                      size_t skip)
{
    struct entry copy = *entry;
    if (entry->type == ENTRY_HARDLINK && (!path_is_below(entry->link, dir) || !entry->target)) {
        copy = *entry_inode(entry);
    } else if (entry->type == ENTRY_HARDLINK) {
        copy.link = entry->link + skip;
    }
    copy.path = entry->path + skip;
    tree_builder_add(b, &copy);
}

/* The part of TREE at MOUNT's source as a tree of its own: a folder's content, or one file. */
static int cut_out(struct stage *stage, struct tree *tree, const struct run_mount *mount,
                   struct tree **out, struct error *err)
{
    const char *source = mount->source;
    AUTO(mem_freep) char *clean = path_clean(source ? source : "");
    AUTO(mem_freep) char *path = NULL;
    if (tree_resolve(tree, clean, true, &path, err) != 0) {
        err->code = ERR_STEP;
        return -1;
    }
    if (!path[0]) {
        *out = tree_ref(tree);
        return 0;
    }
    const struct entry *top = tree_find(tree, path);
    if (!top) {
        const struct missing what = {"source", source, mount->from};
        return missing_source(stage, &what, tree, err);
    }
    struct tree_builder *b = tree_builder_new();
    size_t skip = strlen(path) + 1;
    if (top->type != ENTRY_DIR) {
        struct entry copy = *entry_inode(top);
        copy.path = path_name(path);
        tree_builder_add(b, &copy);
    } else {
        size_t first = 0;
        size_t end = 0;
        struct entry root = *top;
        root.path = "";
        tree_builder_add(b, &root);
        tree_below(tree, path, &first, &end);
        for (size_t i = first; i < end; i++) {
            add_below(b, tree_at(tree, i), path, skip);
        }
    }
    *out = tree_builder_finish(b);
    return 0;
}

static int find_source(struct run_mounts *m, size_t i, struct error *err)
{
    const struct run_mount *mount = &m->parsed[i];
    bool wanted = mount->type == MOUNT_BIND || (mount->type == MOUNT_CACHE && mount->from);
    struct tree *tree = NULL;
    if (!wanted || m->sources[i]) {
        return 0;
    }
    if (source_tree(m->stage->build, m->stage, mount->from, &tree, err) != 0) {
        return -1;
    }
    return cut_out(m->stage, tree, mount, &m->sources[i], err);
}

static void *one_more(void *list, size_t len, size_t size)
{
    char *grown = mem_realloc(list, len + 1, size);
    memset(grown + len * size, 0, size);
    return grown;
}

/* A mount names a stage only: a number would be an image's name (BuildKit). */
static int check_from(const char *from, struct error *err)
{
    if (!from || !from[0] || from[strspn(from, "0123456789")]) {
        return 0;
    }
    return error_set(err, ERR_USAGE, "from=%s: a mount takes a stage by its name, not by a number",
                     from);
}

/* How many of the first N mounts are of agents. */
static unsigned agents_before(const struct run_mounts *m, size_t n)
{
    unsigned count = 0;
    for (size_t i = 0; i < n; i++) {
        count += m->parsed[i].type == MOUNT_SSH;
    }
    return count;
}

int run_mounts_read(struct stage *stage, const struct instruction *in, struct run_mounts *m,
                    struct error *err)
{
    struct expander x = stage_expander(stage);
    m->stage = stage;
    m->in = in;
    for (size_t i = 0; i < in->flags_len; i++) {
        if (strcmp(in->flags[i].name, "mount") != 0) {
            continue;
        }
        size_t at = m->len;
        m->parsed = one_more(m->parsed, at, sizeof *m->parsed);
        m->targets = one_more((void *)m->targets, at, sizeof *m->targets);
        m->sources = one_more((void *)m->sources, at, sizeof *m->sources);
        m->secrets = one_more(m->secrets, at, sizeof *m->secrets);
        m->locks = one_more(m->locks, at, sizeof *m->locks);
        m->agents = one_more((void *)m->agents, at, sizeof *m->agents);
        m->secrets[at].max = SECRET_MAX;
        m->locks[at] = -1;
        m->len++;
        if (mount_parse(in->flags[i].value, &x, &m->parsed[at], err) != 0) {
            err->column = 0;
            return dockerfile_locate_flag(err, stage->build->df->file, in, &in->flags[i]);
        }
        if (check_from(m->parsed[at].from, err) != 0 ||
            mount_target(&m->parsed[at], stage->workdir, agents_before(m, at), &m->targets[at],
                         err) != 0) {
            return mount_failed(m, at, err);
        }
    }
    return 0;
}

int run_mounts_find(struct run_mounts *m, struct error *err)
{
    for (size_t i = 0; i < m->len; i++) {
        if (find_source(m, i, err) != 0) {
            return mount_failed(m, i, err);
        }
    }
    return 0;
}

bool run_mounts_have_layers(const struct run_mounts *m)
{
    for (size_t i = 0; i < m->len; i++) {
        const char *from = m->parsed[i].from;
        if (from && strcmp(from, "scratch") != 0) {
            return true;
        }
    }
    return false;
}

static int key_source(struct run_mounts *m, struct tree *tree, const char *where,
                      struct step_key *key, struct error *err)
{
    struct build *build = m->stage->build;
    const size_t len = tree_len(tree);
    if (tree_hash_files(tree, 0, len, build->store, build->pool, err) != 0) {
        return -1;
    }
    step_key_data(key, "the number of files mounted", &len, sizeof len);
    for (size_t i = 0; i < len; i++) {
        step_key_entry(key, where, tree_at(tree, i)->path, tree_at(tree, i),
                       build->request->layer.timestamps);
    }
    return 0;
}

/* A bound source: by its layers, where it has such and BY_LAYERS, else by its files. */
static int key_bound(struct run_mounts *m, size_t i, struct step_key *key, bool by_layers,
                     struct error *err)
{
    const struct run_mount *mount = &m->parsed[i];
    const char *where = mount->source ? mount->source : "";
    struct digest chain;
    bool known = false;
    bool layers = by_layers && mount->from && strcmp(mount->from, "scratch") != 0;
    if (layers && source_chain(m->stage->build, m->stage, mount->from, &known, &chain, err) != 0) {
        return mount_failed(m, i, err);
    }
    if (known) {
        step_key_data(key, "the layers mounted", chain.bytes, sizeof chain.bytes);
        step_key_text(key, "the folder mounted", where);
        return 0;
    }
    if (find_source(m, i, err) != 0) {
        return mount_failed(m, i, err);
    }
    return key_source(m, m->sources[i], where, key, err);
}

int run_mounts_key(struct run_mounts *m, struct step_key *key, bool by_layers, struct error *err)
{
    step_key_data(key, "the number of mounts", &m->len, sizeof m->len);
    for (size_t i = 0; i < m->len; i++) {
        const struct run_mount *mount = &m->parsed[i];
        const uint64_t numbers[] = {mount->readonly, mount->has_uid,   mount->has_gid,
                                    mount->has_mode, mount->uid,       mount->gid,
                                    mount->mode,     mount->size_bytes};
        bool named = mount->type != MOUNT_BIND && mount->type != MOUNT_TMPFS;
        step_key_text(key, "a mount's type", mount_type_name(mount->type));
        step_key_text(key, "a mount's target", m->targets[i]);
        step_key_text(key, "a mount's variable", mount->env);
        step_key_text(key, "a mount's id", named ? mount_id(mount) : NULL);
        step_key_data(key, "a mount's options", numbers, sizeof numbers);
        if (mount->type == MOUNT_BIND && key_bound(m, i, key, by_layers, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static struct sandbox_mount *add_mount(struct run_mounts *m, const char *target)
{
    m->list = mem_realloc(m->list, m->list_len + 1, sizeof *m->list);
    struct sandbox_mount *mount = &m->list[m->list_len];
    *mount = (struct sandbox_mount){.target = target};
    m->list_len++;
    return mount;
}

void run_mounts_add_file(struct run_mounts *m, const char *target, const void *data, size_t len,
                         uint32_t mode)
{
    struct sandbox_mount *mount = add_mount(m, target);
    mount->type = SANDBOX_FILE;
    mount->data = data;
    mount->data_len = len;
    mount->mode = mode;
    mount->readonly = true;
}

/* An absolute path in the store; kept until the release. */
static const char *store_file(struct run_mounts *m, const char *relative)
{
    strlist_addf(&m->keep, "%s/%s", store_path(m->stage->build->store), relative);
    return m->keep.items[m->keep.len - 1];
}

static int prepare_bind(struct run_mounts *m, size_t i, struct error *err)
{
    struct store *store = m->stage->build->store;
    struct tree *tree = m->sources[i];
    char *temp = NULL;
    AUTO(fd_closep) int fd = -1;
    if (store_temp_dir(store, &temp, err) != 0) {
        return -1;
    }
    strlist_take(&m->temps, temp);
    if (file_open(store_fd(store), temp, O_RDONLY | O_DIRECTORY, 0, &fd, err) != 0) {
        return -1;
    }
    const struct entry *only = tree_len(tree) == 1 ? tree_at(tree, 0) : NULL;
    bool file = m->parsed[i].source && only && only->type != ENTRY_DIR && only->path[0] &&
                strcmp(path_name(m->parsed[i].source), only->path) == 0;
    fchmod(fd, 0755);
    if (unpack_tree(tree, fd, UNPACK_PLAIN, TIMES_KEEP, err) != 0) {
        return error_wrap(err, "preparing the mount on %s", m->targets[i]);
    }
    AUTO(mem_freep) char *path = file ? path_join(temp, only->path) : mem_strdup(temp);
    struct sandbox_mount *mount = add_mount(m, m->targets[i]);
    mount->type = SANDBOX_BIND;
    mount->source = store_file(m, path);
    mount->readonly = m->parsed[i].readonly;
    return 0;
}

static int prepare_cache(struct run_mounts *m, size_t i, struct error *err)
{
    const struct run_mount *parsed = &m->parsed[i];
    struct cache_mount_spec spec = {.id = mount_id(parsed),
                                    .sharing = parsed->sharing,
                                    .uid = parsed->has_uid ? parsed->uid : 0,
                                    .gid = parsed->has_gid ? parsed->gid : 0,
                                    .mode = parsed->has_mode ? parsed->mode : 0755,
                                    .content = m->sources[i]};
    char *path = NULL;
    if (cache_mount_open(m->stage->build->store, &spec, &path, &m->locks[i], err) != 0) {
        return error_wrap(err, "cache mount '%s'", spec.id);
    }
    strlist_take(&m->keep, path);
    struct sandbox_mount *mount = add_mount(m, m->targets[i]);
    mount->type = SANDBOX_BIND;
    mount->source = store_file(m, path);
    mount->readonly = parsed->readonly;
    return 0;
}

static const struct build_secret *find_secret(const struct build_request *request, const char *id)
{
    for (size_t i = 0; i < request->secrets_len; i++) {
        if (strcmp(request->secrets[i].id, id) == 0) {
            return &request->secrets[i];
        }
    }
    return NULL;
}

static int read_secret(const struct build_secret *secret, struct buf *out, struct error *err)
{
    if (!secret->env) {
        if (file_read(AT_FDCWD, secret->file, SECRET_MAX, out, NULL, err) != 0) {
            err->code = ERR_USAGE;
            return -1;
        }
        return 0;
    }
    const char *value = getenv(secret->env);
    if (!value || !buf_try_append(out, value, strlen(value))) {
        return error_set(err, ERR_USAGE, "the environment has no %s for the secret '%s'",
                         secret->env, secret->id);
    }
    return 0;
}

static int prepare_secret(struct run_mounts *m, size_t i, struct error *err)
{
    const struct run_mount *parsed = &m->parsed[i];
    const char *id = mount_id(parsed);
    const struct build_secret *secret = find_secret(m->stage->build->request, id);
    if (!secret && parsed->env && !parsed->required) {
        strlist_addf(&m->env, "%s=", parsed->env);
        return 0;
    }
    if (!secret) {
        return parsed->required ? error_set(err, ERR_USAGE,
                                            "the secret '%s' is required; pass --secret "
                                            "id=%s,src=FILE",
                                            id, id)
                                : 0;
    }
    if (read_secret(secret, &m->secrets[i], err) != 0) {
        return -1;
    }
    if (parsed->env) {
        strlist_addf(&m->env, "%s=%s", parsed->env, buf_text(&m->secrets[i]));
    }
    if (m->targets[i]) {
        run_mounts_add_file(m, m->targets[i], buf_text(&m->secrets[i]), m->secrets[i].len,
                            parsed->has_mode ? parsed->mode : 0400);
        m->list[m->list_len - 1].uid = parsed->has_uid ? parsed->uid : 0;
        m->list[m->list_len - 1].gid = parsed->has_gid ? parsed->gid : 0;
    }
    return 0;
}

/* Who may speak to the agent. Only root can give a socket away: elsewhere all that is possible is
 * to let everybody in the RUN have it who is not root there. */
static struct agent_owner agent_owner(const struct run_mount *parsed)
{
    struct agent_owner owner = {.uid = parsed->has_uid ? parsed->uid : 0,
                                .gid = parsed->has_gid ? parsed->gid : 0,
                                .mode = parsed->has_mode ? parsed->mode & 0777 : 0600};
    if (geteuid() != 0 && (owner.uid != 0 || owner.gid != 0)) {
        owner.mode |= (owner.mode >> 6 & 7) | (owner.mode >> 3 & 7);
    }
    return owner;
}

/* A socket with the owner and mode that are asked for, before the agent's at SOCKET. */
static int start_proxy(struct run_mounts *m, size_t i, const char *socket, struct error *err)
{
    struct store *store = m->stage->build->store;
    struct agent_owner owner = agent_owner(&m->parsed[i]);
    AUTO(mem_freep) char *temp = NULL;
    AUTO(fd_closep) int fd = -1;
    if (store_temp_dir(store, &temp, err) != 0) {
        return -1;
    }
    strlist_add(&m->temps, temp);
    if (file_open(store_fd(store), temp, O_PATH | O_DIRECTORY, 0, &fd, err) != 0 ||
        agent_proxy_start(fd, "agent", socket, &owner, &m->agents[i], err) != 0) {
        return -1;
    }
    strlist_addf(&m->keep, "%s/%s/agent", store_path(store), temp);
    return 0;
}

static int prepare_ssh(struct run_mounts *m, size_t i, struct error *err)
{
    const struct run_mount *parsed = &m->parsed[i];
    const char *id = mount_id(parsed);
    const char *socket = strlist_env_get(&m->stage->build->request->ssh, id);
    if (!socket) {
        return parsed->required
                   ? error_set(err, ERR_USAGE, "an ssh agent is required; pass --ssh %s=SOCKET", id)
                   : 0;
    }
    if (parsed->has_uid || parsed->has_gid || parsed->has_mode) {
        if (start_proxy(m, i, socket, err) != 0) {
            return -1;
        }
        socket = m->keep.items[m->keep.len - 1];
    }
    struct sandbox_mount *mount = add_mount(m, m->targets[i]);
    mount->type = SANDBOX_BIND;
    mount->source = socket;
    return 0;
}

/* Programs find the first agent's socket by a variable, which is there also where no agent is
 * (BuildKit). */
static void name_agent(struct run_mounts *m)
{
    for (size_t i = 0; i < m->len; i++) {
        if (m->parsed[i].type == MOUNT_SSH && !stage_variable(m->stage, "SSH_AUTH_SOCK")) {
            strlist_addf(&m->env, "SSH_AUTH_SOCK=%s", m->targets[i]);
            return;
        }
    }
}

static void prepare_tmpfs(struct run_mounts *m, size_t i)
{
    struct sandbox_mount *mount = add_mount(m, m->targets[i]);
    mount->type = SANDBOX_TMPFS;
    mount->size_bytes = m->parsed[i].size_bytes;
}

static int by_target(const void *a, const void *b)
{
    const struct sandbox_mount *x = a;
    const struct sandbox_mount *y = b;
    return strcmp(x->target, y->target);
}

int run_mounts_prepare(struct run_mounts *m, struct error *err)
{
    for (size_t i = 0; i < m->len; i++) {
        int r = 0;
        switch (m->parsed[i].type) {
        case MOUNT_BIND:
            r = prepare_bind(m, i, err);
            break;
        case MOUNT_CACHE:
            r = prepare_cache(m, i, err);
            break;
        case MOUNT_TMPFS:
            prepare_tmpfs(m, i);
            break;
        case MOUNT_SECRET:
            r = prepare_secret(m, i, err);
            break;
        case MOUNT_SSH:
            r = prepare_ssh(m, i, err);
            break;
        }
        if (r != 0) {
            return mount_failed(m, i, err);
        }
    }
    name_agent(m);
    if (m->list_len > 1) { /* a folder before what is mounted in it, however they are written */
        qsort(m->list, m->list_len, sizeof *m->list, by_target);
    }
    return 0;
}

int run_mounts_scan(const struct run_mounts *m, struct tree *diff, struct error *err)
{
    for (size_t i = 0; i < m->len; i++) {
        if (m->parsed[i].type == MOUNT_SECRET && m->secrets[i].len > 0 &&
            secret_scan(diff, mount_id(&m->parsed[i]), &m->secrets[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}
