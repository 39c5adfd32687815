/* Accounts out of unpacked layers. */
#include "builder/run_account.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"

enum lookup { FOUND, ABSENT, UNCLEAR };

/* PATH in one unpacked layer: its file, nothing, or something that only the whole tree can tell
 * (a link, a deletion). */
static enum lookup look_in(int root, const char *path, struct buf *out)
{
    struct error ignored = {0};
    struct stat st;
    AUTO(fd_closep) int fd = -1;
    if (file_open_no_links(root, path, O_RDONLY | O_NONBLOCK, 0, &fd, &ignored) != 0) {
        return ignored.sys_errno == ENOENT ? ABSENT : UNCLEAR;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        file_read_fd(fd, path, LIMIT_TEXT_FILE_BYTES, out, &ignored) != 0) {
        return UNCLEAR;
    }
    return FOUND;
}

static enum lookup look_up(struct stack *stack, const struct strlist *lowers, const char *path,
                           struct buf *out)
{
    for (size_t i = lowers->len; i > 0; i--) {
        struct error ignored = {0};
        AUTO(fd_closep) int root = -1;
        if (file_open(store_fd(stack->store), lowers->items[i - 1], O_PATH | O_DIRECTORY, 0, &root,
                      &ignored) != 0) {
            return UNCLEAR;
        }
        enum lookup result = look_in(root, path, out);
        if (result != ABSENT) {
            return result;
        }
    }
    return ABSENT;
}

static void add_file(struct tree_builder *b, const char *path, struct buf *text)
{
    size_t len = text->len;
    AUTO(content_unrefp) struct content_source *source = content_memory(buf_take(text), len);
    struct entry entry = {
        .path = path, .type = ENTRY_FILE, .mode = 0644, .size = len, .source = source};
    tree_builder_add(b, &entry);
}

/* A tree of only the two files; NULL where it takes the whole tree to tell. */
static struct tree *account_files(struct stack *stack, const struct strlist *lowers)
{
    static const char *const paths[] = {"etc/passwd", "etc/group"};
    AUTO(tree_builder_freep) struct tree_builder *b = tree_builder_new();
    struct entry etc = {.path = "etc", .type = ENTRY_DIR, .mode = 0755};
    tree_builder_add(b, &etc);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_TEXT_FILE_BYTES);
        enum lookup result = look_up(stack, lowers, paths[i], &text);
        if (result == UNCLEAR) {
            return NULL;
        }
        if (result == FOUND) {
            add_file(b, paths[i], &text);
        }
    }
    return tree_builder_finish(MEM_STEAL(b));
}

int run_account(struct stack *stack, const struct strlist *lowers, const char *user,
                struct account *out, struct error *err)
{
    AUTO(tree_unrefp) struct tree *files = account_files(stack, lowers);
    if (files) {
        return account_of_user(files, user, out, err);
    }
    struct tree *whole = NULL;
    return stack_tree(stack, &whole, err) == 0 ? account_of_user(whole, user, out, err) : -1;
}
