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

static void forget(struct strlist *list, const char *name)
{
    for (size_t i = list->len; i > 0; i--) {
        if (strcmp(list->items[i - 1], name) == 0) {
            strlist_remove(list, i - 1);
        }
    }
}

int stage_arg(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    buf_puts(&line, "ARG");
    for (size_t i = 0; i < in->pairs_len; i++) {
        const char *key = in->pairs[i].key;
        const char *written = in->pairs[i].value;
        AUTO(mem_freep) char *value = NULL;
        declare(stage->build, key);
        /* The name is as it stands; a default that does not count is not looked at. */
        const char *chosen = strlist_env_get(&stage->build->build_args, key);
        if (!chosen && written && stage_expand(stage, in, written, &value, err) != 0) {
            return -1;
        }
        if (!chosen) {
            chosen = written ? value : inherited(stage, key);
        }
        if (chosen) {
            strlist_env_set(&stage->args, key, chosen);
            forget(&stage->unset, key);
            forget(&stage->under, key);
        } else if (!strlist_env_get(&stage->args, key) && !strlist_has(&stage->unset, key)) {
            strlist_add(&stage->unset, key);
        }
        buf_printf(&line, " %s%s%s", key, chosen ? "=" : "", chosen ? chosen : "");
    }
    stage_note(stage, buf_text(&line));
    return 0;
}
