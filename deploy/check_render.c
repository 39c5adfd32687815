/* Findings as text and as JSON. */
#include "base/memory.h"
#include "deploy/check.h"

size_t check_count(const struct check_findings *findings, enum check_level level)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->len; i++) {
        count += findings->items[i].level == level;
    }
    return count;
}

static void add_place(const struct check_place *place, struct buf *out)
{
    buf_puts(out, place->file);
    if (place->line > 0) {
        buf_printf(out, ":%u", place->line);
    }
    if (place->line > 0 && place->column > 0) {
        buf_printf(out, ":%u", place->column);
    }
}

void check_render_text(const struct check_findings *findings, struct buf *out)
{
    for (size_t i = 0; i < findings->len; i++) {
        const struct check_finding *finding = &findings->items[i];
        add_place(&finding->places[0], out);
        buf_printf(out, ": %s: %s [%s]\n", check_level_name(finding->level), finding->text,
                   finding->rule);
        for (size_t j = 0; j < finding->places_len && finding->places_len > 1; j++) {
            buf_puts(out, "    ");
            add_place(&finding->places[j], out);
            buf_printf(out, ": %s\n", finding->places[j].says ? finding->places[j].says : "");
        }
    }
}

static json_t *place_json(const struct check_place *place)
{
    json_t *object = json_object();
    json_object_set_new(object, "file", json_string(place->file));
    if (place->line > 0) {
        json_object_set_new(object, "line", json_integer(place->line));
    }
    if (place->line > 0 && place->column > 0) {
        json_object_set_new(object, "column", json_integer(place->column));
    }
    if (place->says) {
        json_object_set_new(object, "says", json_string(place->says));
    }
    return object;
}

json_t *check_render_json(const struct check_findings *findings)
{
    json_t *array = json_array();
    for (size_t i = 0; i < findings->len; i++) {
        const struct check_finding *finding = &findings->items[i];
        json_t *places = json_array();
        for (size_t j = 0; j < finding->places_len; j++) {
            json_array_append_new(places, place_json(&finding->places[j]));
        }
        json_t *object = json_object();
        json_object_set_new(object, "level", json_string(check_level_name(finding->level)));
        json_object_set_new(object, "rule", json_string(finding->rule));
        json_object_set_new(object, "message", json_string(finding->text));
        json_object_set_new(object, "places", places);
        json_array_append_new(array, object);
    }
    return array;
}
