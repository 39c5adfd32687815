/* ARG: which value a build argument has in a stage. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/stage.h"

/* The value of KEY where the instruction itself gives none: a global ARG's, else the automatic one.
 */
static const char *inherited(const struct stage *stage, const char *key)
{
    const struct plan *plan = &stage->build->plan;
    const char *value = strlist_env_get(&plan->globals, key);
    return value ? value : strlist_env_get(&plan->automatic, key);
}

static void declare(struct build *build, const char *key)
{
    pthread_mutex_lock(&build->lock);
    if (!strlist_has(&build->plan.declared, key)) {
        strlist_add(&build->plan.declared, key);
    }
    pthread_mutex_unlock(&build->lock);
}

int stage_arg(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    buf_puts(&line, "ARG");
    for (size_t i = 0; i < in->pairs_len; i++) {
        const struct pair *pair = &in->pairs[i];
        AUTO(mem_freep) char *key = NULL;
        AUTO(mem_freep) char *value = NULL;
        if (stage_expand(stage, in, pair->key, &key, err) != 0 ||
            (pair->value && stage_expand(stage, in, pair->value, &value, err) != 0)) {
            return -1;
        }
        declare(stage->build, key);
        const char *chosen = strlist_env_get(&stage->build->build_args, key);
        if (!chosen) {
            chosen = value ? value : inherited(stage, key);
        }
        if (chosen) {
            strlist_env_set(&stage->args, key, chosen);
        }
        buf_printf(&line, " %s%s%s", key, chosen ? "=" : "", chosen ? chosen : "");
    }
    stage_note(stage, buf_text(&line));
    return 0;
}
