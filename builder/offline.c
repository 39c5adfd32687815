/* What a build without network lacks. */
#include "builder/offline.h"

#include <string.h>
#include <strings.h>

#include "base/http.h"
#include "base/memory.h"
#include "builder/plan_internal.h"
#include "builder/sources.h"
#include "git/source.h"

enum { LIST_MAX = ERROR_TEXT_SIZE - 200 };

/* What was found missing so far. */
struct lacking {
    struct build *build;
    struct strlist names;            /* each once */
    struct buf list;                 /* "NAME (line N), ..." */
    size_t left_out;                 /* for which a message has no room */
    const struct instruction *first; /* that wants one of them */
    char *first_name;
};

static void lacking_release(struct lacking *l)
{
    strlist_release(&l->names);
    buf_release(&l->list);
    mem_freep(&l->first_name);
}

static void note(struct lacking *l, const struct instruction *in, const char *name)
{
    if (strlist_has(&l->names, name)) {
        return;
    }
    strlist_add(&l->names, name);
    if (!l->first) {
        l->first = in;
        l->first_name = mem_strdup(name);
    }
    if (l->list.len + strlen(name) > LIST_MAX) {
        l->left_out++;
        return;
    }
    buf_printf(&l->list, "%s%s (line %u)", l->list.len ? ", " : "", name, in->line);
}

static void look_for_image(struct lacking *l, const struct instruction *in, const char *name,
                           const struct platform *platform)
{
    struct stack stack = {0};
    AUTO(json_freep) json_t *config = NULL;
    struct error failure = {0};
    if (source_base_image(l->build, name, platform, &stack, &config, &failure) == 0) {
        stack_release(&stack);
    } else if (failure.code == ERR_REMOTE) {
        note(l, in, name);
    }
}

static int look_for_base(struct lacking *l, const struct plan_stage *stage, struct error *err)
{
    AUTO(platform_release) struct platform platform = {0};
    if (stage->parent >= 0 || stage->scratch) {
        return 0;
    }
    if (!stage->platform) {
        platform_copy(&l->build->target_platform, &platform);
    } else if (platform_parse(stage->platform, &platform, err) != 0) {
        return dockerfile_locate(err, l->build->df->file, stage->from);
    }
    look_for_image(l, stage->from, stage->base, &platform);
    return 0;
}

/* What is taken from elsewhere, where that is no stage and no context. */
static int look_for_source(void *ctx, const struct source_use *use, const char *from,
                           struct error *err)
{
    struct lacking *l = ctx;
    const struct build_request *request = l->build->request;
    struct error ignored = {0};
    int other = -1;
    bool unknown = strchr(from, '$') != NULL || !*from;
    (void)err;
    for (size_t i = 0; i < request->contexts_len; i++) {
        unknown = unknown || strcmp(request->contexts[i].name, from) == 0;
    }
    if (!unknown && plan_find_stage(use->plan, from, use->stage, &other, &ignored) == 0 &&
        other < 0) {
        look_for_image(l, use->in, from, &l->build->target_platform);
    }
    return 0;
}

/* ADD's downloads are never kept, repositories are. */
static void look_for_remote(struct lacking *l, const struct instruction *in, const char *word)
{
    bool http = strncasecmp(word, "http://", 7) == 0 || strncasecmp(word, "https://", 8) == 0;
    AUTO(mem_freep) char *shown = http_redact_url(word);
    if (strchr(word, '$')) {
        return;
    }
    if (git_is_url(word)) {
        struct git_request wanted = {.store = l->build->store, .url = word, .offline = true};
        struct git_source source = {0};
        struct error failure = {0};
        if (git_source_open(&wanted, &source, &failure) != 0 && failure.code == ERR_REMOTE) {
            note(l, in, shown);
        }
        git_source_release(&source);
    } else if (http) {
        note(l, in, shown);
    }
}

static int look_for_stage(struct lacking *l, size_t index, struct error *err)
{
    const struct plan_stage *stage = &l->build->plan.stages[index];
    struct source_use use = {.plan = &l->build->plan, .stage = index};
    if (look_for_base(l, stage, err) != 0) {
        return -1;
    }
    for (size_t i = stage->first; i < stage->end; i++) {
        use.in = &l->build->df->items[i];
        if (plan_each_source(&use, look_for_source, l, err) != 0) {
            return -1;
        }
        for (size_t j = 0; use.in->type == INSTRUCTION_ADD && j + 1 < use.in->args.len; j++) {
            look_for_remote(l, use.in, use.in->args.items[j]);
        }
    }
    return 0;
}

int offline_check(struct build *build, const bool *needed, struct error *err)
{
    AUTO(lacking_release) struct lacking l = {.build = build, .list = BUF_INIT(0)};
    for (size_t i = 0; i < build->plan.len; i++) {
        if (needed[i] && look_for_stage(&l, i, err) != 0) {
            return -1;
        }
    }
    if (l.names.len < 2) {
        return 0;
    }
    AUTO(mem_freep)
    char *more = l.left_out ? mem_printf(" and %zu more", l.left_out) : mem_strdup("");
    error_set(err, ERR_REMOTE,
              "offline: this build needs %zu things that are not in the store: %s%s", l.names.len,
              buf_text(&l.list), more);
    return dockerfile_locate_word(err, build->df->file, build->df->text, l.first, l.first_name);
}
