/* Variable expansion: the first byte chooses the flags, the rest is the word. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "builder/expand.h"
#include "builder/mount.h"

static const char *get(void *ctx, const char *name)
{
    (void)ctx;
    switch (name[0]) {
    case 'a':
        return "value a/b.tar.gz";
    case 'b':
        return "";
    case 'c':
        return "x*y\\z $a\n";
    default:
        return NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    uint8_t flags = data[0];
    AUTO(mem_freep) char *word = mem_strndup((const char *)data + 1, size - 1);
    struct expander x = {.get = get,
                         .escape = flags & 1 ? '`' : '\\',
                         .keep_quotes = flags & 2,
                         .keep_escapes = flags & 4,
                         .ignore_quotes = flags & 8,
                         .keep_unset = flags & 16};
    struct error err = {0};
    AUTO(mem_freep) char *out = NULL;
    if (expand_word(&x, word, &out, &err) == 0) {
        assert(strlen(out) <= LIMIT_WORD_BYTES);
    } else {
        assert(err.code == ERR_USAGE && err.text[0]);
    }
    AUTO(strlist_release) struct strlist words = {0};
    expand_words(&x, word, &words, &err);
    for (size_t i = 0; i < words.len; i++) {
        assert(words.items[i][0]);
    }
    AUTO(mem_freep) char *content = NULL;
    expand_heredoc(&x, word, &content, &err);
    struct run_mount mount = {0};
    struct error mount_err = {0};
    if (mount_parse(word, flags & 32 ? &x : NULL, &mount, &mount_err) != 0) {
        assert(mount_err.code == ERR_USAGE);
    }
    run_mount_release(&mount);
    return 0;
}
