#include "cli/build_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "cli/build_values.h"
#include "cli/cache_values.h"
#include "cli/names.h"

#define AT(MEMBER) .offset = offsetof(struct build_options, MEMBER)
#define LIST(MEMBER) .kind = OPTION_LIST, AT(MEMBER)
#define TEXT(MEMBER) .kind = OPTION_TEXT, AT(MEMBER)
#define FLAG(MEMBER) .kind = OPTION_FLAG, AT(MEMBER)
#define CALL(FN, MEMBER) .kind = OPTION_CALL, .parse = (FN), AT(MEMBER)
#define NOT_YET(NAME, WHAT)                                                                        \
    {                                                                                              \
        .name = (NAME), .kind = OPTION_REFUSE, .help = WHAT " is not possible yet"                 \
    }
#define NEVER(NAME, WHY)                                                                           \
    {                                                                                              \
        .name = (NAME), .kind = OPTION_REFUSE, .help = WHY                                         \
    }

static int parse_destination(void *member, const char *value, struct error *err)
{
    struct build_options *o = member;
    o->destination = true;
    return value_tag(&o->request.tags, value, err);
}

static int parse_output(void *member, const char *value, struct error *err)
{
    return output_parse(member, value, err);
}

/* kaniko's --tar-path and --oci-layout-path. */
static int parse_tar_path(void *member, const char *value, struct error *err)
{
    AUTO(mem_freep) char *text = mem_printf("type=docker,\"dest=%s\"", value);
    return output_parse(member, text, err);
}

static int parse_layout_path(void *member, const char *value, struct error *err)
{
    AUTO(mem_freep) char *text = mem_printf("type=oci,tar=false,\"dest=%s\"", value);
    return output_parse(member, text, err);
}

static int parse_level(void *member, const char *value, struct error *err)
{
    unsigned level = 0;
    if (options_number(value, 22, &level, err) != 0) {
        return -1;
    }
    *(int *)member = (int)level;
    return 0;
}

static int parse_jobs(void *member, const char *value, struct error *err)
{
    return options_number(value, LIMIT_JOBS, (unsigned *)member, err);
}

static const struct option_spec specs[] = {
    {.name = "file",
     .letter = 'f',
     .argument = "FILE",
     .help = "the Dockerfile (CONTEXT/Dockerfile)",
     TEXT(request.dockerfile)},
    {.name = "dockerfile", .argument = "FILE", TEXT(request.dockerfile)},
    {.name = "target",
     .argument = "STAGE",
     .help = "build up to this stage, by name or number",
     TEXT(request.target)},
    {.name = "platform",
     .argument = "OS/ARCH,...",
     .help = "what to build for; several make an index",
     CALL(value_platform, request.platforms)},
    {.name = "build-arg",
     .argument = "KEY=VALUE",
     .help = "set an ARG; KEY alone takes it from the environment",
     CALL(value_build_arg, request.build_args)},
    {.name = "build-context",
     .argument = "NAME=WHERE",
     .help = "folder, git URL, docker-image://... or oci-layout://...",
     CALL(value_context, request)},
    {.name = "secret",
     .argument = "id=ID,...",
     .help = "id=ID,src=FILE or id=ID,env=NAME, for RUN --mount=type=secret",
     CALL(value_secret, request)},
    {.name = "ssh",
     .argument = "ID[=SOCKET]",
     .help = "the ssh agent, for RUN --mount=type=ssh and git",
     CALL(value_ssh, request.ssh)},
    {.name = "label",
     .argument = "KEY=VALUE",
     .help = "add a label; --annotation KEY=VALUE: one to the manifest",
     CALL(value_label, request.labels)},
    {.name = "annotation",
     .argument = "KEY=VALUE",
     .help = "",
     CALL(value_annotation, request.annotations)},
    {.name = "add-host",
     .argument = "NAME:IP",
     .help = "one more line in a RUN's /etc/hosts",
     CALL(value_add_host, request.add_hosts)},
    {.name = "network",
     .argument = "MODE",
     .help = "of RUN: default, none or host",
     CALL(value_network, request.network)},
    {.name = "isolation",
     .argument = "RUNG",
     .help = "of RUN: auto, overlay or userns; another one is an error",
     CALL(value_isolation, request.isolation)},
    {.name = "pull",
     .argument = NULL,
     .help = "ask the registry for the bases' newest digests; =never: do not",
     .kind = OPTION_FLAG_CALL,
     .parse = value_pull,
     AT(request.pull)},
    {.name = "no-cache",
     .help = "run every step; --no-cache-filter STAGE,...: of these stages",
     FLAG(request.no_cache)},
    {.name = "explain", .help = "say why a step is not cached", FLAG(request.explain)},
    {.name = "no-cache-filter",
     .argument = "STAGE,...",
     .help = "",
     CALL(value_names, request.no_cache_filter)},
    {.name = "cache-from",
     .argument = "REPOSITORY",
     .help = "take steps from a registry; --cache-to REPOSITORY: keep them",
     CALL(value_cache_from, request.cache_from)},
    {.name = "cache-to",
     .argument = "REPOSITORY",
     .help = "",
     CALL(value_cache_to, request.cache_to)},
    {.name = "cache-repo", .argument = "REPOSITORY", CALL(value_cache_to, cache_repo)},
    {.name = "cache", .kind = OPTION_FLAG_CALL, .parse = value_cache_switch, AT(cache_switch)},
    {.name = "cache-run-layers", .kind = OPTION_FLAG_CALL, .parse = value_always_true},
    {.name = "cache-copy-layers", .kind = OPTION_FLAG_CALL, .parse = value_always_true},
    {.name = "compression",
     .argument = "METHOD",
     .help = "gzip, zstd or none; --compression-level N: 1 to 12, zstd to 22",
     CALL(value_compression, request.layer.compression)},
    {.name = "compression-level",
     .argument = "N",
     .help = "",
     CALL(parse_level, request.layer.level)},
    {.name = "timestamps",
     .argument = "MODE",
     .help = "in layers: content, fixed or keep (see README)",
     CALL(value_timestamps, request.layer.timestamps)},
    {.name = "jobs",
     .argument = "N",
     .help = "threads (one per core)",
     CALL(parse_jobs, request.jobs)},
    {.name = "context", .letter = 'c', .argument = "CONTEXT", TEXT(context)},
    NOT_YET("attest", "an attestation"),
    NOT_YET("sbom", "a list of the image's software"),
    NEVER("squash", "layers are not joined: use a last stage with COPY --from"),
    NEVER("builder", "there is no builder to choose: slipway builds in this process"),
    NEVER("allow", "a RUN gets no more rights than the sandbox gives"),
    NEVER("ulimit", "a RUN has the limits of this shell: set them with ulimit"),
    NEVER("shm-size", "the size of a RUN's /dev/shm is fixed: use RUN --mount=type=tmpfs"),
    NEVER("cgroup-parent", "slipway makes no cgroups: start it inside the one you want"),
    NEVER("memory", "slipway makes no cgroups: start it inside one with this limit"),
};
const struct option_group build_group = {"What to build, and how", specs, ARRAY_LEN(specs)};

static const struct option_spec result_specs[] = {
    {.name = "tag",
     .letter = 't',
     .argument = "NAME[:TAG]",
     .help = "the image's name; may be given several times",
     CALL(value_tag, request.tags)},
    {.name = "push", .help = "send the image to its registry", FLAG(request.push)},
    {.name = "destination",
     .letter = 'd',
     .argument = "NAME",
     .kind = OPTION_CALL,
     .parse = parse_destination},
    {.name = "no-push", FLAG(no_push)},
    {.name = "output",
     .letter = 'o',
     .argument = "DIR|type=TYPE,...",
     .help = "oci|docker|tar (dest=FILE), local (dest=DIR); oci,tar=false",
     CALL(parse_output, outputs)},
    {.name = "tar-path", .argument = "FILE", CALL(parse_tar_path, outputs)},
    {.name = "tarPath", .argument = "FILE", CALL(parse_tar_path, outputs)},
    {.name = "oci-layout-path", .argument = "DIR", CALL(parse_layout_path, outputs)},
    {.name = "iidfile",
     .argument = "FILE",
     .help = "write the config's digest to FILE; --digest-file: the manifest's",
     TEXT(iidfile)},
    {.name = "digest-file", .argument = "FILE", .help = "", TEXT(digest_file)},
    {.name = "metadata-file",
     .argument = "FILE",
     .help = "write names and digests to FILE as JSON",
     TEXT(metadata_file)},
    {.name = "load", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "rm", .kind = OPTION_FLAG_CALL, .parse = value_always_true},
    {.name = "force-rm", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "reproducible", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "provenance", .kind = OPTION_FLAG_CALL, .parse = value_always_false},
    {.name = "compress", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "disable-content-trust", .kind = OPTION_FLAG_CALL, .parse = value_always_true},
    {.name = "cleanup", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "compressed-caching", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "force", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "log-timestamp", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "skip-unused-stages", .kind = OPTION_FLAG_CALL, .parse = value_always_true},
    {.name = "skip-push-permission-check", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "use-new-run", .kind = OPTION_FLAG_CALL, .parse = value_either},
    {.name = "log-format", .argument = "FORMAT", CALL(value_ignored, request)},
    {.name = "snapshot-mode", .argument = "MODE", CALL(value_ignored, request)},
    {.name = "verbosity", .letter = 'v', .argument = "LEVEL", CALL(value_ignored, request)},
    NEVER("single-snapshot", "layers are not joined: use a last stage with COPY --from"),
    NEVER("ignore-path", "a RUN has its own root: nothing of this machine is in it"),
    NEVER("cache-ttl", "what a registry keeps is for its own rules; here: slipway prune"),
    NEVER("cache-dir", "bases are kept in the store: SLIPWAY_HOME says where"),
};
const struct option_group build_result_group = {"What comes of it", result_specs,
                                                ARRAY_LEN(result_specs)};

void build_options_release(struct build_options *o)
{
    struct build_request *r = &o->request;
    struct strlist *const lists[] = {
        &r->build_args,      &r->labels,     &r->annotations, &r->add_hosts,
        &r->no_cache_filter, &r->platforms,  &r->tags,        &r->cache_from,
        &r->cache_to,        &o->cache_repo, &r->ssh};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        strlist_release(lists[i]);
    }
    for (size_t i = 0; i < r->secrets_len; i++) {
        free(r->secrets[i].id);
        free(r->secrets[i].file);
        free(r->secrets[i].env);
    }
    for (size_t i = 0; i < r->contexts_len; i++) {
        free(r->contexts[i].name);
        free(r->contexts[i].value);
    }
    free(r->secrets);
    free(r->contexts);
    free(o->context_text);
    output_list_release(&o->outputs);
    session_options_release(&o->session);
}

/* kaniko marks the kind of context by a scheme; what slipway tells by itself loses it. */
static int plain_context(struct build_options *o, const char *text, struct error *err)
{
    static const char *const local[] = {"dir://", "tar://"};
    static const char *const foreign[] = {"s3://", "gs://"};
    o->request.context = text;
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        if (strncmp(text, local[i], strlen(local[i])) == 0) {
            o->request.context = text + strlen(local[i]);
        }
        if (strncmp(text, foreign[i], strlen(foreign[i])) == 0) {
            return error_set(
                err, ERR_USAGE,
                "context '%s': buckets are not read; fetch the archive first and name it", text);
        }
    }
    if (strcmp(o->request.context, "stdin") == 0 && o->request.context != text) {
        o->request.context = "-";
    }
    if (strncmp(text, "git://github.com/", 17) == 0) {
        o->context_text = mem_printf("https://%s", text + strlen("git://"));
        o->request.context = o->context_text;
    }
    return 0;
}

static int choose_context(struct build_options *o, const struct strlist *arguments,
                          const char *default_context, struct error *err)
{
    const char *argument = arguments->len ? arguments->items[0] : NULL;
    if (argument && o->context) {
        return error_set(err, ERR_USAGE, "two contexts are given: '%s' and --context '%s'",
                         argument, o->context);
    }
    const char *text = argument ? argument : o->context ? o->context : default_context;
    if (!text || !*text) {
        return error_set(err, ERR_USAGE,
                         "the CONTEXT is missing: a folder (.), a git URL, a tar archive or -");
    }
    return plain_context(o, text, err);
}

/* -o type=image and type=registry say what -t and --push say. */
static void take_image_outputs(struct build_options *o)
{
    for (size_t i = 0; i < o->outputs.len; i++) {
        const struct output *output = &o->outputs.items[i];
        if (output->type != OUTPUT_IMAGE) {
            continue;
        }
        o->request.push = o->request.push || output->push;
        for (size_t j = 0; j < output->names.len; j++) {
            if (!strlist_has(&o->request.tags, output->names.items[j])) {
                strlist_add(&o->request.tags, output->names.items[j]);
            }
        }
    }
}

static int check_names(struct build_options *o, struct error *err)
{
    if (o->request.tags.len == 0) {
        char *name = names_from_environment();
        if (name) {
            strlist_take(&o->request.tags, name);
        }
    }
    for (size_t i = 0; i < o->request.tags.len; i++) {
        struct reference ref = {0};
        if (reference_parse(o->request.tags.items[i], &ref, err) != 0) {
            return -1;
        }
        reference_release(&ref);
    }
    if (o->request.push && o->request.tags.len == 0) {
        AUTO(mem_freep) char *missing = names_missing_environment();
        return error_set(err, ERR_USAGE,
                         "to push, the image needs a name: -t REGISTRY/NAME:TAG, or set %s",
                         missing);
    }
    return 0;
}

static int check_level(const struct build_options *o, struct error *err)
{
    if (o->request.layer.compression == COMPRESS_GZIP && o->request.layer.level > 12) {
        return error_set(err, ERR_USAGE, "--compression-level: gzip has levels 1 to 12");
    }
    return 0;
}

/* kaniko's --cache and --cache-repo; without the latter it is DESTINATION/cache. */
static int take_cache_repo(struct build_options *o, struct error *err)
{
    if (o->cache_switch < 0) {
        return 0;
    }
    if (o->cache_switch > 0 && o->cache_repo.len == 0 && o->request.cache_to.len == 0) {
        struct reference ref = {0};
        if (o->request.tags.len == 0) {
            return error_set(err, ERR_USAGE,
                             "--cache: in which repository? --cache-repo "
                             "HOST/REPOSITORY");
        }
        if (reference_parse(o->request.tags.items[0], &ref, err) != 0) {
            return -1;
        }
        strlist_addf(&o->cache_repo, "%s/%s/cache", ref.host, ref.repository);
        reference_release(&ref);
    }
    strlist_add_all(&o->request.cache_from, &o->cache_repo);
    strlist_add_all(&o->request.cache_to, &o->cache_repo);
    return 0;
}

/* Whether an output needs the layers themselves. */
static bool needs_contents(const struct build_options *o)
{
    for (size_t i = 0; i < o->outputs.len; i++) {
        if (o->outputs.items[i].type != OUTPUT_IMAGE) {
            return true;
        }
    }
    return false;
}

int build_options_complete(struct build_options *o, const struct strlist *arguments,
                           const char *default_context, struct error *err)
{
    take_image_outputs(o);
    if (o->no_push && o->request.push) {
        return error_set(err, ERR_USAGE, "--push and --no-push exclude each other");
    }
    o->request.push = o->request.push || (o->destination && !o->no_push);
    o->request.offline = o->session.offline;
    if (o->request.push && o->request.offline) {
        return error_set(err, ERR_USAGE, "--push and --offline exclude each other");
    }
    o->request.contents = needs_contents(o);
    if (choose_context(o, arguments, default_context, err) != 0 || check_names(o, err) != 0 ||
        take_cache_repo(o, err) != 0) {
        return -1;
    }
    return check_level(o, err);
}
