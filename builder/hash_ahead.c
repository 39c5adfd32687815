/* What a stage copies is looked at and hashed while its base is asked for, and comes. */
#include "builder/hash_ahead.h"

#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "base/thread.h"
#include "builder/context_use.h"
#include "oci/folder.h"
#include "oci/tree_index.h"

/* A source whose files are known without variables and patterns. */
static bool is_simple(const char *word)
{
    return !strpbrk(word, "$*?[\\") && !strstr(word, "://") && strncmp(word, "<<", 2) != 0 &&
           strncmp(word, "git@", 4) != 0;
}

static void hash_word(struct build *build, struct tree *tree, const char *word)
{
    AUTO(mem_freep) char *path = path_clean(word);
    struct error ignored = {0};
    size_t first = 0;
    size_t end = 0;
    tree_below(tree, path, &first, &end);
    if (first < end) {
        tree_hash_files(tree, first, end, build->store, build->pool, &ignored);
    }
}

static void hash_instruction(struct build *build, const struct instruction *in)
{
    struct error ignored = {0};
    struct tree *tree = NULL;
    if ((in->type != INSTRUCTION_COPY && in->type != INSTRUCTION_ADD) ||
        instruction_find_flag(in, "from") || instruction_find_flag(in, "exclude") ||
        context_tree(build->context, &tree, &ignored) != 0) {
        return;
    }
    for (size_t i = 0; i + 1 < in->args.len; i++) {
        if (is_simple(in->args.items[i])) {
            hash_word(build, tree, in->args.items[i]);
        }
    }
}

static void *hash_thread(void *arg)
{
    struct stage *stage = arg;
    struct build *build = stage->build;
    /* Stages that copy the same do not hash it side by side. */
    pthread_mutex_lock(&build->hash_lock);
    for (size_t i = stage->plan->first; i < stage->plan->end; i++) {
        const struct instruction *in = &build->df->items[i];
        if (in->type == INSTRUCTION_RUN) {
            break;
        }
        hash_instruction(build, in);
    }
    pthread_mutex_unlock(&build->hash_lock);
    context_use_end(build);
    return NULL;
}

/* Whether a COPY or ADD in front of the first RUN takes something out of the context. */
static bool copies_at_once(const struct stage *stage)
{
    if (stage->build->dry || !stage->build->context) {
        return false;
    }
    const struct instruction *items = stage->build->df->items;
    size_t i = stage->plan->first;
    while (i < stage->plan->end && items[i].type != INSTRUCTION_RUN &&
           !context_use_is_one(&items[i])) {
        i++;
    }
    return i < stage->plan->end && items[i].type != INSTRUCTION_RUN;
}

/* Whether a WORKDIR comes first, which has to look at a base that nobody has read yet. */
static bool waits_for_base(const struct stage *stage)
{
    const struct instruction *items = stage->build->df->items;
    size_t i = stage->plan->first;
    while (i < stage->plan->end && items[i].type != INSTRUCTION_WORKDIR &&
           items[i].type != INSTRUCTION_COPY && items[i].type != INSTRUCTION_ADD &&
           items[i].type != INSTRUCTION_RUN) {
        i++;
    }
    if (i == stage->plan->end || items[i].type != INSTRUCTION_WORKDIR) {
        return false;
    }
    for (size_t j = 0; j < stage->stack.len; j++) {
        if (!tree_index_is_there(stage->build->store, &stage->stack.layers[j].diff_id)) {
            return true;
        }
    }
    return false;
}

static void start(struct stage *stage)
{
    stage->hashing = true;
    context_use_begin(stage->build);
    thread_start(&stage->hash_thread, hash_thread, stage);
}

void hash_ahead_of_base(struct stage *stage)
{
    /* A commit's files need no hashing where their tree's id is known. A stage that another one
     * comes before has time. */
    if (stage->plan->parent < 0 && copies_at_once(stage) &&
        context_is_folder(stage->build->context)) {
        start(stage);
    }
}

void hash_ahead_of_workdir(struct stage *stage)
{
    if (!stage->hashing && copies_at_once(stage) && waits_for_base(stage)) {
        start(stage);
    }
}

void hash_ahead_wait(struct stage *stage)
{
    if (stage->hashing) {
        pthread_join(stage->hash_thread, NULL);
        stage->hashing = false;
    }
}
