#include "cli/names.h"

#include <stdlib.h>
#include <string.h>

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "base/memory.h"

char *names_familiar(const char *key)
{
    static const char *const prefixes[] = {"docker.io/library/", "docker.io/"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0) {
            return mem_strdup(key + strlen(prefixes[i]));
        }
    }
    return mem_strdup(key);
}

void named_image_release(struct named_image *image)
{
    free(image->key);
    image->key = NULL;
}

/* Says what was looked for, and which name of the store may have been meant. */
static int not_found(struct store *store, const char *text, struct error *err)
{
    struct error ignored = {0};
    struct image_tag *tags = NULL;
    AUTO(strlist_release) struct strlist names = {0};
    size_t len = 0;
    if (images_list(store, &tags, &len, &ignored) == 0) {
        for (size_t i = 0; i < len && tags[i].name; i++) {
            strlist_take(&names, names_familiar(tags[i].name));
        }
        images_list_release(tags, len);
    }
    const char *near =
        names.len ? nearest_name(text, (const char *const *)names.items, names.len) : NULL;
    if (near && strcmp(near, text) != 0) {
        return error_set(err, ERR_USAGE, "%s: no such image in the store, did you mean %s?", text,
                         near);
    }
    return error_set(err, ERR_USAGE, "%s: no such image in the store ('slipway images' lists them)",
                     text);
}

/* A name with a digest stands for that image even where only another name of it is known. */
static int find_by_name(struct store *store, const struct reference *ref, struct named_image *out,
                        bool *found_out, struct error *err)
{
    char digest[DIGEST_TEXT_SIZE];
    AUTO(mem_freep) char *key = reference_key(ref);
    bool found = false;
    if (images_resolve(store, key, &out->top, &found, err) != 0) {
        return -1;
    }
    if (!found && ref->has_digest &&
        images_find_id(store, digest_format(&ref->digest, digest), &out->top, &found, err) != 0) {
        return -1;
    }
    if (found) {
        out->key = MEM_STEAL(key);
    }
    *found_out = found;
    return 0;
}

int names_find(struct store *store, const char *text, struct named_image *out, struct error *err)
{
    struct error name_error = {0};
    struct reference ref = {0};
    struct named_image image = {0};
    bool found = false;
    bool is_name = reference_parse(text, &ref, &name_error) == 0;
    int result = is_name ? find_by_name(store, &ref, &image, &found, err) : 0;
    reference_release(&ref);
    if (result == 0 && !found) {
        result = images_find_id(store, text, &image.top, &found, err);
    }
    if (result != 0) {
        return -1;
    }
    if (!found) {
        return not_found(store, text, err);
    }
    *out = image;
    return 0;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The region of the registry, the caller's: AWS_DEFAULT_REGION, with which buildspecs make its
 * name, before what AWS's tools go by. NULL: nobody says. */
static char *region(void)
{
    struct error ignored = {0};
    char *found = mem_strdup(variable("AWS_DEFAULT_REGION"));
    if (!found && aws_profile_region(NULL, &found, &ignored) != 0) {
        return NULL;
    }
    return found;
}

char *names_registry_from_environment(void)
{
    const char *account = variable("AWS_ACCOUNT_ID");
    AUTO(mem_freep) char *place = account ? region() : NULL;
    return place ? mem_printf("%s.dkr.ecr.%s.%s", account, place, aws_domain(place)) : NULL;
}

char *names_from_environment(void)
{
    AUTO(mem_freep) char *registry = names_registry_from_environment();
    const char *repository = variable("IMAGE_REPO_NAME");
    const char *tag = variable("IMAGE_TAG");
    if (!registry || !repository) {
        return NULL;
    }
    return mem_printf("%s/%s:%s", registry, repository, tag ? tag : "latest");
}

char *names_missing_environment(void)
{
    struct buf text = BUF_INIT(0);
    const char *const names[] = {"IMAGE_REPO_NAME", "AWS_ACCOUNT_ID"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!variable(names[i])) {
            buf_printf(&text, "%s%s", text.len ? ", " : "", names[i]);
        }
    }
    AUTO(mem_freep) char *place = region();
    if (!place) {
        buf_printf(&text, "%sAWS_DEFAULT_REGION", text.len ? ", " : "");
    }
    return buf_take(&text);
}
