#include "aws/credentials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/credentials_internal.h"
#include "base/memory.h"

enum {
    RENEW_BEFORE_S = 10 * 60, /* a request of some minutes must still be covered by the keys */
    RENEW_PAUSE_S = 30,       /* keys that are new and short-lived are not fetched at each use */
};

struct aws_identity {
    pthread_mutex_t lock; /* held while keys are fetched: who wants them waits */
    struct http_client *client;
    struct http_client *own_client;
    char *named; /* the profile given, or NULL */
    bool profiles_loaded;
    struct aws_profiles profiles;
    bool asked;
    bool found;
    struct aws_keys keys;
    int64_t fetched_at; /* Unix time */
};

/* The order in which the providers are asked. */
static aws_provider *const providers[] = {
    aws_from_environment,      aws_from_role,    aws_from_web_identity, aws_from_sso,
    aws_from_credentials_file, aws_from_process, aws_from_config_file,  aws_from_container,
    aws_from_metadata,
};

static const char NOBODY[] =
    "no AWS credentials: neither in the environment (AWS_ACCESS_KEY_ID), nor in the shared config "
    "and credentials files, nor from a web identity, the container's endpoint or the machine's "
    "metadata service";

/* Memory that is given back must not hold secrets. */
static void forget(char **text)
{
    if (*text) {
        explicit_bzero(*text, strlen(*text));
    }
    mem_freep(text);
}

void aws_keys_release(struct aws_keys *keys)
{
    mem_freep(&keys->id);
    forget(&keys->secret);
    forget(&keys->token);
    mem_freep(&keys->source);
    keys->expires_at = 0;
}

void aws_keys_copy(const struct aws_keys *from, struct aws_keys *out)
{
    *out = (struct aws_keys){.id = mem_strdup(from->id),
                             .secret = mem_strdup(from->secret),
                             .token = mem_strdup(from->token),
                             .source = mem_strdup(from->source),
                             .expires_at = from->expires_at};
}

struct aws_identity *aws_identity_new(struct http_client *client, const char *profile)
{
    struct aws_identity *identity = mem_calloc(1, sizeof *identity);
    identity->client = client;
    identity->named = mem_strdup(profile);
    pthread_mutex_init(&identity->lock, NULL);
    return identity;
}

void aws_identity_freep(struct aws_identity **pointer)
{
    struct aws_identity *identity = *pointer;
    *pointer = NULL;
    if (!identity) {
        return;
    }
    aws_keys_release(&identity->keys);
    aws_profiles_release(&identity->profiles);
    http_client_freep(&identity->own_client);
    pthread_mutex_destroy(&identity->lock);
    free(identity->named);
    free(identity);
}

/* The profile that the user named, by argument or environment; NULL: none. */
static const char *named_profile(const struct aws_identity *identity)
{
    if (identity->named) {
        return identity->named;
    }
    const char *name = aws_variable("AWS_PROFILE");
    return name ? name : aws_variable("AWS_DEFAULT_PROFILE");
}

static int open_client(struct aws_identity *identity, struct error *err)
{
    if (!identity->client && http_client_open(NULL, &identity->own_client, err) != 0) {
        return -1;
    }
    identity->client = identity->client ? identity->client : identity->own_client;
    return 0;
}

static int load_profiles(struct aws_identity *identity, struct error *err)
{
    if (identity->profiles_loaded) {
        return 0;
    }
    if (aws_profiles_load(&identity->profiles, err) != 0) {
        return -1;
    }
    identity->profiles_loaded = true;
    return 0;
}

static struct aws_search search_of(const struct aws_identity *identity)
{
    const char *name = named_profile(identity);
    return (struct aws_search){.client = identity->client,
                               .profiles = &identity->profiles,
                               .profile = name ? name : "default",
                               .argument = identity->named != NULL};
}

static int no_such_profile(const struct aws_identity *identity, const char *name, struct error *err)
{
    const char *config = identity->profiles.paths[AWS_FILE_CONFIG];
    const char *keys = identity->profiles.paths[AWS_FILE_CREDENTIALS];
    return error_set(err, ERR_AUTH, "the AWS profile '%s' is neither in %s nor in %s", name,
                     config ? config : "~/.aws/config", keys ? keys : "~/.aws/credentials");
}

static int ask_providers(struct aws_identity *identity, struct aws_keys *out, bool *found_out,
                         struct error *err)
{
    if (open_client(identity, err) != 0 || load_profiles(identity, err) != 0) {
        return -1;
    }
    struct aws_search search = search_of(identity);
    const char *named = named_profile(identity);
    *found_out = false;
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        /* Behind the environment's keys the profile counts, which must therefore be there. */
        if (i == 1 && named && !aws_profile_exists(&identity->profiles, named)) {
            return no_such_profile(identity, named, err);
        }
        if (providers[i](&search, out, found_out, err) != 0) {
            err->code = err->code == ERR_CANCELLED ? ERR_CANCELLED : ERR_AUTH;
            return -1;
        }
        if (*found_out) {
            return aws_keys_check(out, out->source, err);
        }
    }
    return 0;
}

static int fetch(struct aws_identity *identity, struct error *err)
{
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    bool found = false;
    if (ask_providers(identity, &keys, &found, err) != 0) {
        return -1;
    }
    aws_keys_release(&identity->keys);
    identity->keys = keys;
    keys = (struct aws_keys){0};
    identity->asked = true;
    identity->found = found;
    identity->fetched_at = time(NULL);
    return 0;
}

/* Fetches where need be. Keys that still hold are used where they cannot be renewed just now. */
static int keep_fresh(struct aws_identity *identity, struct error *err)
{
    int64_t now = time(NULL);
    int64_t end = identity->keys.expires_at;
    bool due = end && now >= end - RENEW_BEFORE_S && now >= identity->fetched_at + RENEW_PAUSE_S;
    bool over = end && now >= end;
    if (identity->asked && !due && !over) {
        return 0;
    }
    if (fetch(identity, err) == 0) {
        return 0;
    }
    if (identity->asked && end > now + RENEW_PAUSE_S && err->code != ERR_CANCELLED) {
        identity->fetched_at = now;
        error_clear(err);
        return 0;
    }
    return -1;
}

int aws_identity_keys(struct aws_identity *identity, struct aws_keys *out, bool *found_out,
                      struct error *err)
{
    pthread_mutex_lock(&identity->lock);
    int rc = keep_fresh(identity, err);
    if (rc == 0) {
        *found_out = identity->found;
        aws_keys_copy(&identity->keys, out);
    }
    pthread_mutex_unlock(&identity->lock);
    return rc;
}

int aws_identity_need_keys(struct aws_identity *identity, struct aws_keys *out, struct error *err)
{
    bool found = false;
    if (aws_identity_keys(identity, out, &found, err) != 0) {
        return -1;
    }
    if (found) {
        return 0;
    }
    const char *named = named_profile(identity);
    return named ? error_set(err, ERR_AUTH, "no AWS credentials in the profile '%s'", named)
                 : error_set(err, ERR_AUTH, "%s", NOBODY);
}

static bool same_keys(const struct aws_keys *a, const struct aws_keys *b)
{
    return strcmp(a->id ? a->id : "", b->id ? b->id : "") == 0 &&
           strcmp(a->token ? a->token : "", b->token ? b->token : "") == 0;
}

static int renew(struct aws_identity *identity, const struct aws_keys *refused, struct error *err)
{
    if (!same_keys(&identity->keys, refused)) {
        return 0; /* somebody else was quicker */
    }
    /* Keys in a file may have been replaced there. */
    aws_profiles_release(&identity->profiles);
    identity->profiles_loaded = false;
    return fetch(identity, err);
}

int aws_identity_renew(struct aws_identity *identity, const struct aws_keys *refused,
                       bool *changed_out, struct error *err)
{
    pthread_mutex_lock(&identity->lock);
    int rc = renew(identity, refused, err);
    if (rc == 0) {
        *changed_out = identity->found && !same_keys(&identity->keys, refused);
    }
    pthread_mutex_unlock(&identity->lock);
    return rc;
}

int aws_profile_region(const char *profile, char **region_out, struct error *err)
{
    AUTO(aws_identity_freep) struct aws_identity *identity = aws_identity_new(NULL, profile);
    if (load_profiles(identity, err) != 0) {
        return -1;
    }
    const char *named = named_profile(identity);
    if (named && !aws_profile_exists(&identity->profiles, named)) {
        return no_such_profile(identity, named, err);
    }
    struct aws_search search = search_of(identity);
    *region_out = mem_strdup(aws_search_region(&search));
    return 0;
}

const char *aws_search_region(const struct aws_search *search)
{
    const char *profile = aws_profile_get(search->profiles, search->profile, "region");
    const char *first = search->argument ? profile : aws_variable("AWS_REGION");
    const char *second = search->argument ? aws_variable("AWS_REGION") : NULL;
    first = first ? first : second;
    first = first ? first : aws_variable("AWS_DEFAULT_REGION");
    return first ? first : profile;
}

int aws_identity_region(struct aws_identity *identity, char **region_out, struct error *err)
{
    pthread_mutex_lock(&identity->lock);
    int rc = open_client(identity, err) != 0 ? -1 : load_profiles(identity, err);
    if (rc == 0) {
        struct aws_search search = search_of(identity);
        *region_out = mem_strdup(aws_search_region(&search));
        if (!*region_out) {
            rc = aws_metadata_region(&search, region_out, err);
        }
    }
    pthread_mutex_unlock(&identity->lock);
    return rc;
}

int aws_identity_client(struct aws_identity *identity, struct http_client **out, struct error *err)
{
    pthread_mutex_lock(&identity->lock);
    int rc = open_client(identity, err);
    *out = identity->client;
    pthread_mutex_unlock(&identity->lock);
    return rc;
}

int aws_identity_endpoint(struct aws_identity *identity, const char *service, char **url_out,
                          struct error *err)
{
    pthread_mutex_lock(&identity->lock);
    int rc = load_profiles(identity, err);
    if (rc == 0) {
        struct aws_search search = search_of(identity);
        *url_out = aws_configured_endpoint(&search, service);
    }
    pthread_mutex_unlock(&identity->lock);
    return rc;
}

int aws_identity_wishes(struct aws_identity *identity, bool *fips_out, bool *dual_out,
                        struct error *err)
{
    pthread_mutex_lock(&identity->lock);
    int rc = load_profiles(identity, err);
    if (rc == 0) {
        struct aws_search search = search_of(identity);
        aws_search_wishes(&search, fips_out, dual_out);
    }
    pthread_mutex_unlock(&identity->lock);
    return rc;
}

int aws_keys_find(const char *profile, struct aws_keys *out, bool *found_out, struct error *err)
{
    AUTO(aws_identity_freep) struct aws_identity *identity = aws_identity_new(NULL, profile);
    return aws_identity_keys(identity, out, found_out, err);
}
