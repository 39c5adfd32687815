#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/http.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "registry/docker_config_internal.h"

/* Reads the file to be changed; an empty object where there is none. */
static int load(const char *path, json_t **out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
    bool found = false;
    if (file_read(AT_FDCWD, path, LIMIT_JSON_BYTES, &text, &found, err) != 0) {
        return -1;
    }
    if (!found || text.len == 0) {
        *out = json_object();
        return 0;
    }
    AUTO(json_freep) json_t *root = NULL;
    if (json_parse(text.data, text.len, LIMIT_JSON_BYTES, path, ERR_USAGE, &root, err) != 0) {
        return -1;
    }
    if (!json_is_object(root)) {
        return error_set(err, ERR_USAGE, "%s: not a JSON object", path);
    }
    *out = MEM_STEAL(root);
    return 0;
}

/* A link (to a file in a repository of dotfiles, say) stays one: what it points to is replaced. */
static int save(const char *path, const json_t *root, struct error *err)
{
    AUTO(mem_freep) char *real = realpath(path, NULL);
    const char *target = real ? real : path;
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    json_render_pretty(root, &text);
    const char *slash = strrchr(target, '/');
    if (slash && slash != target) {
        AUTO(mem_freep) char *folder = mem_strndup(target, (size_t)(slash - target));
        if (file_make_dirs(AT_FDCWD, folder, 0700, err) != 0) {
            return -1;
        }
    }
    return file_write_atomic(AT_FDCWD, target, text.data, text.len, 0600, true, err);
}

static bool stands_for(const char *key, const char *host)
{
    AUTO(mem_freep) char *normal = auth_file_key_normal(key);
    return strcasecmp(normal, host) == 0;
}

/* Removes every key that stands for HOST; whether there was one. */
static bool drop_keys(json_t *object, const char *host)
{
    AUTO(strlist_release) struct strlist keys = {0};
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value)
    {
        if (stands_for(key, host)) {
            strlist_add(&keys, key);
        }
    }
    for (size_t i = 0; i < keys.len; i++) {
        json_object_del(object, keys.items[i]);
    }
    return keys.len > 0;
}

/* The helper that keeps HOST's credentials, borrowed from ROOT; NULL: the file itself. */
static const char *helper_for(const json_t *root, const char *host)
{
    const json_t *helpers = json_object_get(root, "credHelpers");
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)helpers, key, value)
    {
        if (stands_for(key, host) && json_is_string(value) && *json_string_value(value)) {
            return json_string_value(value);
        }
    }
    const char *store = json_get_string(root, "credsStore");
    return store && *store ? store : NULL;
}

static json_t *make_entry(const char *helper, const char *user, const char *password)
{
    if (helper) {
        return json_object(); /* docker's mark for "the helper has it" */
    }
    AUTO(mem_freep) char *plain = mem_printf("%s:%s", user, password);
    AUTO(buf_release) struct buf auth = BUF_INIT(0);
    base64_encode(plain, strlen(plain), &auth);
    return json_pack("{s:s}", "auth", buf_text(&auth));
}

int docker_config_store(const char *host, const char *user, const char *password, char **where_out,
                        struct error *err)
{
    AUTO(mem_freep) char *path = NULL;
    AUTO(json_freep) json_t *root = NULL;
    if (strchr(user, ':')) {
        return error_set(err, ERR_USAGE, "a user name cannot contain ':'");
    }
    if (auth_file_to_write(&path, err) != 0 || load(path, &root, err) != 0) {
        return -1;
    }
    const char *helper = helper_for(root, host);
    if (helper && credential_helper_store(helper, host, user, password, err) != 0) {
        return error_wrap(err, "%s", path);
    }
    json_t *auths = json_object_get(root, "auths");
    if (!json_is_object(auths)) {
        json_object_set_new(root, "auths", json_object());
        auths = json_object_get(root, "auths");
    }
    drop_keys(auths, host);
    json_object_set_new(auths, auth_file_key(host), make_entry(helper, user, password));
    if (save(path, root, err) != 0) {
        return -1;
    }
    if (where_out) {
        *where_out = helper ? mem_printf("docker-credential-%s", helper) : MEM_STEAL(path);
    }
    return 0;
}

int docker_config_erase(const char *host, bool *found_out, struct error *err)
{
    AUTO(mem_freep) char *path = NULL;
    AUTO(json_freep) json_t *root = NULL;
    bool found = false;
    if (auth_file_to_write(&path, err) != 0 || load(path, &root, err) != 0) {
        return -1;
    }
    const char *helper = helper_for(root, host);
    if (helper && credential_helper_erase(helper, host, &found, err) != 0) {
        return error_wrap(err, "%s", path);
    }
    if (drop_keys(json_object_get(root, "auths"), host)) {
        found = true;
        if (save(path, root, err) != 0) {
            return -1;
        }
    }
    if (found_out) {
        *found_out = found;
    }
    return 0;
}
