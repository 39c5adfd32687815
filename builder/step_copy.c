/* COPY and ADD: what is taken, its key, and the edit that puts it in place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "builder/hash_ahead.h"
#include "builder/missing.h"
#include "builder/step_copy_internal.h"
#include "oci/config.h"

static void release_items(struct copy_step *c)
{
    for (size_t i = 0; i < c->items_len; i++) {
        copy_sources_release(&c->items[i].sources);
        tree_unref(c->items[i].tree);
    }
    free(c->items);
    c->items = NULL;
    c->items_len = 0;
}

static void copy_step_release(struct copy_step *c)
{
    release_items(c);
    free(c->dest);
    free(c->chown_text);
    ignore_freep(&c->exclude);
}

void copy_add_item(struct copy_step *c, const struct copy_item *item)
{
    c->items = mem_realloc(c->items, c->items_len + 1, sizeof *c->items);
    c->items[c->items_len] = *item;
    c->items_len++;
}

/* Puts the scene in front of ERR, and FLAG as its place. */
static int flag_failed(struct copy_step *c, const struct flag *flag, struct error *err)
{
    dockerfile_locate_flag(err, c->stage->build->df->file, c->in, flag);
    return error_wrap(err, "%s --%s", instruction_name(c->in->type), flag->name);
}

/* --exclude: patterns as they stand, without variables (BuildKit). */
static int read_excludes(struct copy_step *c, struct error *err)
{
    const struct instruction *in = c->in;
    AUTO(strlist_release) struct strlist excludes = {0};
    for (size_t i = 0; i < in->flags_len; i++) {
        const char *pattern = in->flags[i].value;
        if (strcmp(in->flags[i].name, "exclude") != 0) {
            continue;
        }
        strlist_add(&excludes, pattern);
        AUTO(ignore_freep) struct ignore *alone = NULL;
        if (ignore_parse_patterns(&pattern, 1, &alone, err) != 0) {
            return flag_failed(c, &in->flags[i], err);
        }
    }
    if (excludes.len > 0 && ignore_parse_patterns((const char *const *)excludes.items, excludes.len,
                                                  &c->exclude, err) != 0) {
        return -1;
    }
    c->plan.exclude = c->exclude;
    return 0;
}

/* --chown, --chmod, --exclude, --parents, --link. */
static int read_flags(struct copy_step *c, struct error *err)
{
    const struct instruction *in = c->in;
    const char *chown = instruction_flag(in, "chown");
    const char *chmod = instruction_flag(in, "chmod");
    if (chown && stage_expand(c->stage, in, chown, &c->chown_text, err) != 0) {
        return -1;
    }
    if (chmod) {
        AUTO(mem_freep) char *text = NULL;
        if (stage_expand(c->stage, in, chmod, &text, err) != 0) {
            return -1;
        }
        if (text[0] && chmod_parse(text, &c->chmod, err) != 0) {
            return flag_failed(c, instruction_find_flag(in, "chmod"), err);
        }
        c->plan.chmod = text[0] ? &c->chmod : NULL;
    }
    c->plan.parents = instruction_switch(in, "parents");
    /* With --chmod there is no layer of its own (BuildKit). */
    c->link = instruction_switch(in, "link") && !c->plan.chmod;
    if (c->link && c->chown_text && !account_is_numeric(c->chown_text)) {
        error_set(
            err, ERR_USAGE,
            "'%.200s' cannot be looked up, as a layer of --link does not know the image; write "
            "numbers, or leave --link out",
            c->chown_text);
        return flag_failed(c, instruction_find_flag(in, "chown"), err);
    }
    return read_excludes(c, err);
}

static int read_dest(struct copy_step *c, struct error *err)
{
    const struct strlist *args = &c->in->args;
    AUTO(mem_freep) char *word = NULL;
    if (stage_expand(c->stage, c->in, args->items[args->len - 1], &word, err) != 0) {
        return -1;
    }
    c->dest = word[0] ? stage_path(c->stage, word) : mem_printf("%s/", c->stage->workdir);
    c->plan.dest = c->dest;
    return 0;
}

/* A here-document as a tree of one file. */
static int add_heredoc(struct copy_step *c, const struct heredoc *doc, struct error *err)
{
    AUTO(mem_freep) char *content = NULL;
    if (doc->expand) {
        struct expander x = stage_expander(c->stage);
        if (expand_heredoc(&x, doc->content, &content, err) != 0) {
            err->column = 0; /* a byte of the content */
            return error_wrap(err, "%s <<%.80s", instruction_name(c->in->type), doc->name);
        }
    } else {
        content = mem_strndup(doc->content, doc->len);
    }
    size_t len = strlen(content);
    AUTO(mem_freep) char *name = path_clean(doc->name);
    if (!name[0] || strchr(name, '/')) {
        return error_set(
            err, ERR_USAGE,
            "%s <<%.80s: a here-document has no folder; name the file by the destination",
            instruction_name(c->in->type), doc->name);
    }
    AUTO(content_unrefp) struct content_source *source = content_memory(MEM_STEAL(content), len);
    struct entry entry = {.path = name,
                          .type = ENTRY_FILE,
                          .mode = 0644,
                          .size = len,
                          .source = source,
                          .flags = ENTRY_TIME_VOLATILE};
    struct tree_builder *b = tree_builder_new();
    tree_builder_add(b, &entry);
    struct copy_item item = {.tree = tree_builder_finish(b)};
    const struct copy_plan plain = {.dest = c->plan.dest}; /* --parents is not for it */
    if (copy_select(item.tree, name, false, &plain, &item.sources, err) != 0) {
        tree_unref(item.tree);
        return -1;
    }
    copy_add_item(c, &item);
    return 0;
}

static int add_paths(struct copy_step *c, struct tree *tree, const char *word, struct error *err)
{
    const char *from = instruction_flag(c->in, "from");
    struct copy_item item = {.tree = tree_ref(tree)};
    if (copy_select(tree, word, true, &c->plan, &item.sources, err) != 0) {
        if (err->code == ERR_STEP && err->sys_errno == ENOENT) {
            const struct missing what = {instruction_name(c->in->type), word, from};
            missing_source(c->stage, &what, tree, err);
        } else {
            error_wrap(err, "%s %.200s", instruction_name(c->in->type), word);
        }
        tree_unref(item.tree);
        return -1;
    }
    if (c->in->type == INSTRUCTION_ADD) {
        return add_local(c, &item, err);
    }
    copy_add_item(c, &item);
    return 0;
}

static int take_source(struct copy_step *c, const char *written, struct error *err)
{
    const struct heredoc *doc = instruction_heredoc(c->in, written);
    if (doc) {
        return add_heredoc(c, doc, err);
    }
    AUTO(mem_freep) char *word = NULL;
    if (stage_expand(c->stage, c->in, written, &word, err) != 0) {
        return -1;
    }
    if (c->in->type == INSTRUCTION_ADD) {
        bool taken = false;
        if (add_remote(c, word, &taken, err) != 0 || taken) {
            return taken ? 0 : -1;
        }
    }
    struct tree *tree = NULL;
    const char *from = instruction_flag(c->in, "from");
    if (source_tree(c->stage->build, c->stage, from, &tree, err) != 0) {
        const struct flag *flag = instruction_find_flag(c->in, "from");
        if (flag) {
            dockerfile_locate_flag(err, c->stage->build->df->file, c->in, flag);
            error_wrap(err, "%s --from=%.200s", instruction_name(c->in->type), from);
        }
        return -1;
    }
    return add_paths(c, tree, word, err);
}

static int read_source(struct copy_step *c, const char *written, struct error *err)
{
    return take_source(c, written, err) == 0 ? 0 : stage_locate(c->stage, c->in, written, err);
}

/* Hashes what an entry holds before it goes into the key. */
struct keying {
    struct copy_step *c;
    const struct copy_item *item;
    struct step_key *key;
    const char *where; /* what paths are relative to */
};

/* What --chown and --chmod override does not count: ENTRY as it will be. */
static void override(const struct copy_step *c, struct entry *entry)
{
    if (c->chown_text && c->chown_text[0]) {
        entry->uid = 0;
        entry->gid = 0;
    }
    if (c->plan.chmod && entry->type != ENTRY_SYMLINK) {
        entry->mode = chmod_apply(c->plan.chmod, entry->mode, entry->type == ENTRY_DIR);
    }
}

static int key_entry(void *ctx, size_t index, const struct entry *entry, const char *relative,
                     struct error *err)
{
    struct keying *k = ctx;
    struct build *build = k->c->stage->build;
    const struct entry *inode = entry_inode(entry);
    struct tree *tree = k->item->tree;
    if (inode->type == ENTRY_FILE && !(inode->flags & ENTRY_HAS_DIGEST)) {
        size_t at = inode == entry ? index : tree_lower_bound(tree, inode->path);
        if (tree_hash_files(tree, at, at + 1, build->store, build->pool, err) != 0) {
            return -1;
        }
    }
    struct entry seen = *entry;
    struct entry file = *inode;
    if (!k->item->archive) {
        override(k->c, &seen);
        override(k->c, &file);
    }
    if (seen.type == ENTRY_HARDLINK) {
        seen.target = &file;
    }
    step_key_entry(k->key, k->where, relative, &seen, build->request->layer.timestamps);
    return 0;
}

/* A folder that --parents makes above a source. */
static int key_parent(void *ctx, const struct entry *dir, size_t len, struct error *err)
{
    const struct keying *k = ctx;
    (void)len;
    (void)err;
    step_key_entry(k->key, dir->path, "", dir, k->c->stage->build->request->layer.timestamps);
    return 0;
}

/* All files of a source at once and in parallel; the rest (excluded ones are not worth it) one by
 * one in key_entry(). */
static int hash_source(struct copy_step *c, const struct copy_item *item,
                       const struct copy_source *source, struct error *err)
{
    struct build *build = c->stage->build;
    size_t first = 0;
    size_t end = 0;
    if (c->exclude || copy_is_nothing(source)) {
        return 0;
    }
    tree_below(item->tree, source->path, &first, &end);
    return first < end ? tree_hash_files(item->tree, first, end, build->store, build->pool, err)
                       : 0;
}

static int key_item(struct copy_step *c, const struct copy_item *item, struct step_key *key,
                    struct error *err)
{
    struct keying keying = {.c = c, .item = item, .key = key};
    step_key_text(key, "the sources", item->archive ? "archive" : "files");
    for (size_t i = 0; i < item->sources.len; i++) {
        const struct copy_source *source = &item->sources.items[i];
        keying.where = source->path;
        step_key_text(key, "the sources' names", path_name(source->name));
        step_key_text(key, "the sources' folders", source->below);
        if (copy_each_parent(item->tree, source, key_parent, &keying, err) != 0 ||
            hash_source(c, item, source, err) != 0 ||
            copy_visit(item->tree, source, &c->plan, key_entry, &keying, err) != 0) {
            return -1;
        }
    }
    return 0;
}

bool copy_stands_alone(const struct copy_step *c)
{
    return c->link && (!c->chown_text || account_is_numeric(c->chown_text));
}

static int make_key(struct copy_step *c, struct step_key **out, struct error *err)
{
    static const struct digest nothing;
    const struct layer_options *layer = &c->stage->build->request->layer;
    /* A linked layer does not depend on what lies below, unless a name is to be looked up there. */
    bool alone = copy_stands_alone(c);
    AUTO(step_key_freep)
    struct step_key *key =
        alone ? step_key_new(&nothing, layer, "COPY --link") : stage_key(c->stage, "COPY");
    step_key_text(key, "the destination", c->dest);
    step_key_text(key, "--chown", c->chown_text);
    step_key_text(key, "--chmod", instruction_flag(c->in, "chmod"));
    step_key_data(key, "--chmod", &c->chmod, sizeof c->chmod);
    step_key_data(key, "--parents", &c->plan.parents, sizeof c->plan.parents);
    step_key_data(key, "--link", &c->link, sizeof c->link);
    hash_ahead_wait(c->stage);
    for (size_t i = 0; i < c->items_len; i++) {
        if (key_item(c, &c->items[i], key, err) != 0) {
            return -1;
        }
    }
    *out = MEM_STEAL(key);
    return 0;
}

/* Whether TEXT, a line of the base's history or one of its settings, speaks of /NAME. */
static bool mentions(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = strstr(text, name); p; p = strstr(p + 1, name)) {
        bool begins = p > text && p[-1] == '/' && (p - 1 == text || !strchr("/", p[-2]));
        char next = p[len];
        if (begins && (next == '\0' || strchr("/ \t\"';,&|)", next))) {
            return true;
        }
    }
    return false;
}

/* Whether a layer of this build, whose files are known at no cost, has something called NAME. */
static int built_here(struct copy_step *c, const char *name, bool *yes_out, struct error *err)
{
    struct stack *stack = &c->stage->stack;
    *yes_out = false;
    for (size_t i = stack->base.layers_len; i < stack->len && !*yes_out; i++) {
        struct tree *diff = NULL;
        if (stack_layer(stack, i, &diff, err) != 0) {
            return -1;
        }
        *yes_out = tree_find(diff, name) != NULL;
    }
    return 0;
}

static bool base_mentions(const struct stage *stage, const char *name)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    json_render(stage->config, &text);
    return mentions(buf_text(&text), name);
}

/* Names that images commonly have as folders of their root. */
static bool is_usual(const char *name)
{
    static const char *const usual[] = {
        "bin",   "boot",   "dev",   "etc",  "home", "lib",  "lib32",     "lib64", "libx32",
        "media", "mnt",    "opt",   "proc", "root", "run",  "sbin",      "srv",   "sys",
        "tmp",   "usr",    "var",   "app",  "data", "work", "workspace", "src",   "code",
        "host",  "config", "cache", "go",   "nix",  "snap", "build",     "dist",  "public"};
    for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
        if (strcmp(name, usual[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool only_files(const struct copy_step *c)
{
    for (size_t i = 0; i < c->items_len; i++) {
        const struct copy_item *item = &c->items[i];
        for (size_t j = 0; j < item->sources.len; j++) {
            const struct entry *entry = tree_find(item->tree, item->sources.items[j].path);
            if (item->archive || !entry || entry_inode(entry)->type != ENTRY_FILE) {
                return false;
            }
        }
    }
    return true;
}

/* Whether files go to the root under names that no base has as folders. Then the step needs
 * nothing of the base, not even the list of its files: "/" is there in any case, and a file's own
 * name that neither the usual layout of a root, nor the base's own config and history, nor a layer
 * of this build knows is taken to be free. */
static int lands_in_root(struct copy_step *c, bool *yes_out, struct error *err)
{
    bool known = false;
    const char *name = c->dest + 1;
    *yes_out = !c->plan.parents && only_files(c);
    if (!*yes_out || !name[0]) {
        return 0;
    }
    *yes_out = c->items_len == 1 && c->items[0].sources.len == 1 && !strchr(name, '/') &&
               strcmp(name, path_name(c->items[0].sources.items[0].name)) == 0 && !is_usual(name) &&
               !base_mentions(c->stage, name);
    if (*yes_out && built_here(c, name, &known, err) != 0) {
        return -1;
    }
    *yes_out = *yes_out && !known;
    return 0;
}

/* The tree that the copy looks at, NULL: none is needed. */
static int base_tree(struct copy_step *c, struct tree **out, struct error *err)
{
    bool names = c->chown_text && !account_is_numeric(c->chown_text);
    bool free_of_base = c->link;
    *out = NULL;
    if (!names && !free_of_base && lands_in_root(c, &free_of_base, err) != 0) {
        return -1;
    }
    return free_of_base && !names ? 0 : stack_tree(&c->stage->stack, out, err);
}

/* What goes wrong while files are put in place is the destination's fault. */
static int dest_failed(struct copy_step *c, struct error *err)
{
    const struct strlist *args = &c->in->args;
    const char *written = args->items[args->len - 1];
    error_wrap(err, "%s to %.200s", instruction_name(c->in->type), written);
    return stage_locate(c->stage, c->in, written, err);
}

static int make_copy(void *ctx, uint64_t number, struct tree **diff_out, struct error *err)
{
    (void)number;
    struct copy_step *c = ctx;
    struct tree *base = NULL;
    struct owner owner = {0};
    if (base_tree(c, &base, err) != 0) {
        return -1;
    }
    if (c->chown_text && c->chown_text[0]) {
        if (stage_owner(c->stage, base, c->chown_text, &owner, err) != 0) {
            return flag_failed(c, instruction_find_flag(c->in, "chown"), err);
        }
        c->plan.chown = &owner;
    }
    AUTO(edit_freep) struct edit *edit = edit_new(c->link ? NULL : base);
    for (size_t i = 0; i < c->items_len; i++) {
        struct copy_item *item = &c->items[i];
        if (item->archive && copy_unpack(edit, item->tree, &c->plan, err) != 0) {
            return dest_failed(c, err);
        }
        for (size_t j = 0; j < item->sources.len && !item->archive; j++) {
            if (copy_into(edit, item->tree, &item->sources.items[j], &c->plan, err) != 0) {
                return dest_failed(c, err);
            }
        }
    }
    c->plan.chown = NULL;
    *diff_out = edit_finish(MEM_STEAL(edit));
    release_items(c);
    stage_leave_context(c->stage);
    return 0;
}

/* The line of history. */
static void describe(const struct copy_step *c, struct buf *out)
{
    const struct instruction *in = c->in;
    buf_puts(out, instruction_name(in->type));
    for (size_t i = 0; i < in->flags_len; i++) {
        buf_printf(out, " --%s=%s", in->flags[i].name, in->flags[i].value);
    }
    for (size_t i = 0; i + 1 < in->args.len; i++) {
        buf_printf(out, " %s", in->args.items[i]);
    }
    buf_printf(out, " %s", c->dest);
}

/* Reads the sources: paths first, then here-documents, so that these win (BuildKit). */
static int read_sources(struct copy_step *c, struct error *err)
{
    for (int documents = 0; documents <= 1; documents++) {
        for (size_t i = 0; i + 1 < c->in->args.len; i++) {
            const char *written = c->in->args.items[i];
            bool is_document = instruction_heredoc(c->in, written) != NULL;
            if (is_document == documents && read_source(c, written, err) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* The step by its files: reads the sources. */
static int copy_files(struct copy_step *c, struct step *step, struct error *err)
{
    if (read_sources(c, err) != 0) {
        return -1;
    }
    AUTO(step_key_freep) struct step_key *key = NULL;
    if (make_key(c, &key, err) != 0) {
        return -1;
    }
    step->key = key;
    return stage_step(c->stage, step, err);
}

static int copy_all(struct copy_step *c, struct error *err)
{
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    struct digest layers_key;
    bool known = false;
    bool taken = false;
    if (read_flags(c, err) != 0 || read_dest(c, err) != 0 ||
        copy_layers_key(c, &known, &layers_key, err) != 0) {
        return -1;
    }
    describe(c, &line);
    struct step step = {.in = c->in,
                        .created_by = buf_text(&line),
                        .also = known ? &layers_key : NULL,
                        .make = make_copy,
                        .ctx = c};
    if (known && stage_step_known(c->stage, &step, &layers_key, &taken, err) != 0) {
        return -1;
    }
    return taken ? 0 : copy_files(c, &step, err);
}

int stage_copy(struct stage *stage, const struct instruction *in, struct error *err)
{
    struct copy_step c = {.stage = stage, .in = in};
    int r = copy_all(&c, err);
    copy_step_release(&c);
    return r;
}
