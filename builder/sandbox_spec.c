/* A job as bytes: counts and lengths as 64-bit numbers, strings with their terminator. */
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

static void put_number(struct buf *out, uint64_t value)
{
    buf_append(out, &value, sizeof value);
}

/* NULL is kept apart from the empty string by its length. */
static void put_bytes(struct buf *out, const void *data, size_t len)
{
    put_number(out, data ? len + 1 : 0);
    if (data) {
        buf_append(out, data, len);
        buf_putc(out, '\0');
    }
}

static void put_text(struct buf *out, const char *text)
{
    put_bytes(out, text, text ? strlen(text) : 0);
}

static void put_list(struct buf *out, const char *const *items, size_t len)
{
    put_number(out, len);
    for (size_t i = 0; i < len; i++) {
        put_text(out, items[i]);
    }
}

static size_t count_items(const char *const *items)
{
    size_t len = 0;
    while (items && items[len]) {
        len++;
    }
    return len;
}

static void put_mount(struct buf *out, const struct sandbox_mount *mount)
{
    put_number(out, (uint64_t)mount->type);
    put_text(out, mount->source);
    put_bytes(out, mount->data, mount->data_len);
    put_text(out, mount->target);
    put_number(out, mount->readonly);
    put_number(out, mount->size_bytes);
    put_number(out, mount->uid);
    put_number(out, mount->gid);
    put_number(out, mount->mode);
}

void sandbox_job_write(const struct sandbox_job *job, struct buf *out)
{
    const struct sandbox_spec *spec = &job->spec;
    put_number(out, (uint64_t)job->rung);
    put_text(out, job->store);
    put_text(out, job->work);
    put_bytes(out, job->filter, job->filter_len);
    put_list(out, spec->lowers, spec->lowers_len);
    put_list(out, spec->argv, count_items(spec->argv));
    put_list(out, spec->env, count_items(spec->env));
    put_text(out, spec->cwd);
    put_number(out, spec->uid);
    put_number(out, spec->gid);
    put_number(out, spec->groups_len);
    for (size_t i = 0; i < spec->groups_len; i++) {
        put_number(out, spec->groups[i]);
    }
    put_number(out, (uint64_t)spec->network);
    const struct strlist *hosts = spec->add_hosts;
    put_list(out, hosts ? (const char *const *)hosts->items : NULL, hosts ? hosts->len : 0);
    put_number(out, spec->stdin_data != NULL);
    put_number(out, spec->mounts_len);
    for (size_t i = 0; i < spec->mounts_len; i++) {
        put_mount(out, &spec->mounts[i]);
    }
}

/* What is still to be read; `bad` once something did not fit. */
struct cursor {
    const char *at;
    size_t left;
    bool bad;
};

static uint64_t get_number(struct cursor *c)
{
    uint64_t value = 0;
    if (c->left < sizeof value) {
        c->bad = true;
        return 0;
    }
    memcpy(&value, c->at, sizeof value);
    c->at += sizeof value;
    c->left -= sizeof value;
    return value;
}

static const char *get_bytes(struct cursor *c, size_t *len_out)
{
    uint64_t size = get_number(c);
    *len_out = 0;
    if (size > c->left || (size > 0 && c->at[size - 1] != '\0')) {
        c->bad = true;
    }
    if (c->bad || size == 0) {
        return NULL;
    }
    const char *bytes = c->at;
    c->at += size;
    c->left -= (size_t)size;
    *len_out = (size_t)size - 1;
    return bytes;
}

static const char *get_text(struct cursor *c)
{
    size_t len = 0;
    return get_bytes(c, &len);
}

/* A count of things that take at least 8 bytes each. */
static size_t get_count(struct cursor *c)
{
    uint64_t count = get_number(c);
    if (count > c->left / sizeof(uint64_t)) {
        c->bad = true;
        return 0;
    }
    return (size_t)count;
}

static const char *const *get_list(struct cursor *c, size_t *len_out)
{
    size_t len = get_count(c);
    const char **items = mem_calloc(len + 1, sizeof *items);
    for (size_t i = 0; i < len; i++) {
        items[i] = get_text(c);
    }
    *len_out = len;
    return items;
}

static void get_mount(struct cursor *c, struct sandbox_mount *mount)
{
    mount->type = (__typeof__(mount->type))get_number(c);
    mount->source = get_text(c);
    mount->data = get_bytes(c, &mount->data_len);
    mount->target = get_text(c);
    mount->readonly = get_number(c) != 0;
    mount->size_bytes = get_number(c);
    mount->uid = (uint32_t)get_number(c);
    mount->gid = (uint32_t)get_number(c);
    mount->mode = (uint32_t)get_number(c);
}

static void get_groups(struct cursor *c, struct sandbox_spec *spec)
{
    spec->groups_len = get_count(c);
    uint32_t *groups = mem_calloc(spec->groups_len + 1, sizeof *groups);
    for (size_t i = 0; i < spec->groups_len; i++) {
        groups[i] = (uint32_t)get_number(c);
    }
    spec->groups = groups;
}

static void get_hosts(struct cursor *c, struct sandbox_spec *spec)
{
    struct strlist *hosts = mem_calloc(1, sizeof *hosts);
    size_t len = 0;
    const char *const *items = get_list(c, &len);
    for (size_t i = 0; i < len; i++) {
        strlist_add(hosts, items[i] ? items[i] : "");
    }
    spec->add_hosts = hosts;
}

int sandbox_job_read(const char *data, size_t len, struct sandbox_job *out, struct error *err)
{
    struct cursor c = {.at = data, .left = len};
    struct sandbox_job job = {0};
    struct sandbox_spec *spec = &job.spec;
    size_t ignored = 0;
    job.rung = (enum sandbox_rung)get_number(&c);
    job.store = get_text(&c);
    job.work = get_text(&c);
    job.filter = get_bytes(&c, &job.filter_len);
    spec->lowers = get_list(&c, &spec->lowers_len);
    spec->argv = get_list(&c, &ignored);
    spec->env = get_list(&c, &ignored);
    spec->cwd = get_text(&c);
    spec->uid = (uint32_t)get_number(&c);
    spec->gid = (uint32_t)get_number(&c);
    get_groups(&c, spec);
    spec->network = (enum network_mode)get_number(&c);
    get_hosts(&c, spec);
    spec->stdin_data = get_number(&c) ? "" : NULL;
    spec->mounts_len = get_count(&c);
    struct sandbox_mount *mounts = mem_calloc(spec->mounts_len + 1, sizeof *mounts);
    for (size_t i = 0; i < spec->mounts_len; i++) {
        get_mount(&c, &mounts[i]);
    }
    spec->mounts = mounts;
    if (c.bad || c.left > 0 || !job.store || !job.work || !spec->argv[0] || !spec->cwd) {
        return error_set(err, ERR_ISOLATION, "the sandbox got a damaged job");
    }
    *out = job;
    return 0;
}
