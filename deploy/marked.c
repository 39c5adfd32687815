/* libyaml's document with marks, turned into nodes that are easy to walk. */
#include "deploy/marked.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/json.h"
#include "base/memory.h"

struct marked_file {
    char *name;
    yaml_document_t document;
    bool loaded;
    struct marked *nodes; /* in libyaml's order: node I has the number I + 1 */
    size_t len;
    struct marked empty; /* the root of an empty document */
};

void marked_freep(struct marked_file **file)
{
    struct marked_file *f = *file;
    if (!f) {
        return;
    }
    for (size_t i = 0; i < f->len; i++) {
        free(f->nodes[i].items);
        free(f->nodes[i].members);
    }
    free(f->nodes);
    if (f->loaded) {
        yaml_document_delete(&f->document);
    }
    free(f->name);
    free(f);
    *file = NULL;
}

/* libyaml counts characters where messages and edits need bytes: walked forward, never back. */
struct byte_finder {
    const char *text;
    size_t len;
    size_t characters;
    size_t bytes;
};

static size_t find_byte(struct byte_finder *finder, size_t character)
{
    if (character < finder->characters) {
        finder->characters = 0;
        finder->bytes = 0;
    }
    while (finder->characters < character && finder->bytes < finder->len) {
        finder->bytes++;
        while (finder->bytes < finder->len &&
               ((unsigned char)finder->text[finder->bytes] & 0xC0) == 0x80) {
            finder->bytes++;
        }
        finder->characters++;
    }
    return finder->bytes;
}

static struct marked *node_at(struct marked_file *f, int number)
{
    return &f->nodes[number - 1];
}

static void take_scalar(struct marked *node, const yaml_node_t *from, struct byte_finder *finder)
{
    node->kind = MARKED_SCALAR;
    node->text = (const char *)from->data.scalar.value;
    node->quoted = from->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->start = find_byte(finder, from->start_mark.index);
    node->end = find_byte(finder, from->end_mark.index);
}

static void take_list(struct marked_file *f, struct marked *node, const yaml_node_t *from)
{
    const yaml_node_item_t *first = from->data.sequence.items.start;
    node->kind = MARKED_LIST;
    node->len = (size_t)(from->data.sequence.items.top - first);
    node->items = mem_calloc(node->len + 1, sizeof(struct marked *));
    for (size_t i = 0; i < node->len; i++) {
        node->items[i] = node_at(f, first[i]);
    }
}

static void take_map(struct marked_file *f, struct marked *node, const yaml_node_t *from)
{
    const yaml_node_pair_t *first = from->data.mapping.pairs.start;
    node->kind = MARKED_MAP;
    node->len = (size_t)(from->data.mapping.pairs.top - first);
    node->members = mem_calloc(node->len + 1, sizeof *node->members);
    for (size_t i = 0; i < node->len; i++) {
        node->members[i].key = node_at(f, first[i].key);
        node->members[i].value = node_at(f, first[i].value);
    }
}

static int take_nodes(struct marked_file *f, const char *text, size_t len, struct error *err)
{
    const yaml_node_t *first = f->document.nodes.start;
    struct byte_finder finder = {.text = text, .len = len};
    f->len = (size_t)(f->document.nodes.top - first);
    f->nodes = mem_calloc(f->len + 1, sizeof *f->nodes);
    for (size_t i = 0; i < f->len; i++) {
        struct marked *node = &f->nodes[i];
        node->line = (unsigned)first[i].start_mark.line + 1;
        node->column = (unsigned)first[i].start_mark.column + 1;
        if (first[i].type == YAML_SCALAR_NODE) {
            take_scalar(node, &first[i], &finder);
            if (strlen(node->text) != first[i].data.scalar.length) {
                return marked_error(f, node, err, "a text holds a zero byte");
            }
        } else if (first[i].type == YAML_SEQUENCE_NODE) {
            take_list(f, node, &first[i]);
        } else {
            take_map(f, node, &first[i]);
        }
    }
    return 0;
}

static int load(struct marked_file *f, const char *text, size_t len, struct error *err)
{
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        return error_set(err, ERR_STORE, "no memory for a YAML parser");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    f->loaded = yaml_parser_load(&parser, &f->document) != 0;
    int r = 0;
    if (!f->loaded) {
        error_set(err, ERR_USAGE, "not YAML: %s%s%s",
                  parser.problem ? parser.problem : "unreadable", parser.context ? " " : "",
                  parser.context ? parser.context : "");
        /* An error of the reader (encoding) has an offset, but no mark. */
        bool marked = parser.error != YAML_READER_ERROR;
        r = error_locate(err, f->name, marked ? (unsigned)parser.problem_mark.line + 1 : 0,
                         marked ? (unsigned)parser.problem_mark.column + 1 : 0, 0);
    }
    yaml_parser_delete(&parser);
    return r;
}

/* JSON is YAML but for two things: YAML knows no surrogate pairs, and no tabs where a line may
 * begin. OUT becomes TEXT, byte for byte in the same place, with tabs as blanks and the halves of
 * pairs as U+FFFD: no name that is compared here may hold either. */
static void json_as_yaml(const char *text, size_t len, char *out)
{
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        out[i] = text[i];
        if (text[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && text[i] == '\t') {
            out[i] = ' ';
        } else if (quoted && text[i] == '\\' && i + 1 < len) {
            out[i + 1] = text[i + 1];
            bool half = len - i >= 6 && text[i + 1] == 'u' && tolower(text[i + 2]) == 'd' &&
                        strchr("89abABcdefCDEF", text[i + 3]);
            if (half) {
                memcpy(out + i + 2, "FFFD", 4);
            }
            i += half ? 5 : 1;
        }
    }
}

/* jansson judges what JSON is, and says the line; it keeps no places of values. */
static int check_json(const char *text, size_t len, const char *name, struct error *err)
{
    json_error_t fault;
    AUTO(json_freep) json_t *value = NULL;
    if (json_parse(text, len, LIMIT_MARKED_BYTES, "the file", ERR_USAGE, &value, err) == 0) {
        return 0;
    }
    if (!strstr(err->text, "is not JSON")) {
        return error_locate(err, name, 0, 0, 0);
    }
    /* Once more, for the column. */
    error_clear(err);
    value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &fault);
    bool bom = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
    error_set(err, ERR_USAGE, "not JSON: %s",
              bom ? "it begins with a byte order mark, which AWS refuses" : fault.text);
    return error_locate(err, name, fault.line > 0 ? (unsigned)fault.line : 0,
                        fault.column > 0 ? (unsigned)fault.column : 0, 0);
}

int marked_parse(const char *text, size_t len, const char *name, enum marked_format format,
                 struct marked_file **out, struct error *err)
{
    AUTO(marked_freep) struct marked_file *f = mem_calloc(1, sizeof *f);
    AUTO(mem_freep) char *copy = NULL;
    f->name = mem_strdup(name);
    if (len > LIMIT_MARKED_BYTES) {
        error_set(err, ERR_USAGE, "larger than %zu bytes", LIMIT_MARKED_BYTES);
        return error_locate(err, name, 0, 0, 0);
    }
    if (format == MARKED_JSON) {
        if (check_json(text, len, name, err) != 0) {
            return -1;
        }
        copy = mem_alloc(len + 1);
        json_as_yaml(text, len, copy);
        copy[len] = '\0';
    }
    if (load(f, copy ? copy : text, len, err) != 0 || take_nodes(f, text, len, err) != 0) {
        return -1;
    }
    f->empty = (struct marked){.kind = MARKED_MAP, .line = 1, .column = 1};
    *out = MEM_STEAL(f);
    return 0;
}

const char *marked_name(const struct marked_file *file)
{
    return file->name;
}

const struct marked *marked_root(const struct marked_file *file)
{
    return file->len > 0 ? &file->nodes[0] : &file->empty;
}

size_t marked_len(const struct marked_file *file)
{
    return file->len;
}

const struct marked *marked_at(const struct marked_file *file, size_t index)
{
    return &file->nodes[index];
}

const struct marked_member *marked_member(const struct marked *node, const char *key)
{
    if (!node || node->kind != MARKED_MAP) {
        return NULL;
    }
    for (size_t i = node->len; i > 0; i--) {
        const char *text = marked_text(node->members[i - 1].key);
        if (text && strcmp(text, key) == 0) {
            return &node->members[i - 1];
        }
    }
    return NULL;
}

const struct marked *marked_get(const struct marked *node, const char *key)
{
    const struct marked_member *member = marked_member(node, key);
    return member ? member->value : NULL;
}

const char *marked_text(const struct marked *node)
{
    return node && node->kind == MARKED_SCALAR ? node->text : NULL;
}

const char *marked_get_text(const struct marked *node, const char *key)
{
    return marked_text(marked_get(node, key));
}

bool marked_number(const struct marked *node, unsigned long max, unsigned long *out)
{
    const char *text = marked_text(node);
    if (!text || !isdigit((unsigned char)text[0]) || strlen(text) > 18 ||
        text[strspn(text, "0123456789")] != '\0') {
        return false;
    }
    unsigned long value = strtoul(text, NULL, 10);
    if (value > max) {
        return false;
    }
    *out = value;
    return true;
}

int marked_error(const struct marked_file *file, const struct marked *node, struct error *err,
                 const char *format, ...)
{
    char text[ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(err, ERR_USAGE, "%s", text);
    return error_locate(err, file->name, node ? node->line : 0, node ? node->column : 0, 0);
}
