/* Parts of JSON text as they are written. */
#include "convert/json_text.h"

#include "format/json.h"
#include "format/alloc.h"

static struct json_pull pull_of(struct span text)
{
    return json_pull_open(text, 0, "JSON");
}

/* Passes over a value of which the first event was read; *value becomes its text. */
static bool take_value(struct json_pull *pull, const struct json_event *begin, struct span *value)
{
    if (json_pull_skip(pull, begin, NULL) != INGOT_OK) return false;
    *value = (struct span){pull->text.data + begin->offset, pull->at - begin->offset};
    return true;
}

static bool next_is(struct json_pull *pull, enum json_kind kind)
{
    struct json_event event;
    return json_pull_next(pull, &event, NULL) == INGOT_OK && event.kind == kind;
}

static bool ends(struct json_pull *pull)
{
    struct json_event event;
    return json_pull_next(pull, &event, NULL) == INGOT_END;
}

bool json_text_members(struct span object, const char *const *keys, uint32_t n_keys,
                       struct span *values)
{
    struct json_pull pull = pull_of(object);
    struct json_event key, begin;
    for (uint32_t i = 0; i < n_keys; i++) values[i] = (struct span){0};
    if (!next_is(&pull, JSON_KIND_OBJECT)) return false;
    while (json_pull_next(&pull, &key, NULL) == INGOT_OK) {
        struct span value;
        if (key.kind == JSON_KIND_OBJECT_END) return ends(&pull);
        if (json_pull_next(&pull, &begin, NULL) != INGOT_OK) return false;
        if (!take_value(&pull, &begin, &value)) return false;
        for (uint32_t i = 0; i < n_keys; i++) {
            if (json_event_is(&key, keys[i])) values[i] = value;
        }
    }
    return false;
}

bool json_text_elements(struct span array, struct byte_buffer *elements)
{
    struct json_pull pull = pull_of(array);
    struct json_event begin;
    if (!next_is(&pull, JSON_KIND_ARRAY)) return false;
    while (json_pull_next(&pull, &begin, NULL) == INGOT_OK) {
        struct span value;
        if (begin.kind == JSON_KIND_ARRAY_END) return ends(&pull);
        if (!take_value(&pull, &begin, &value)) return false;
        buffer_append(elements, &value, sizeof value);
    }
    return false;
}

bool json_text_is(struct span text, const char *string, uint64_t n_bytes)
{
    struct json_pull pull = pull_of(text);
    struct json_event event;
    return json_pull_next(&pull, &event, NULL) == INGOT_OK && event.kind == JSON_KIND_STRING &&
           json_event_is_bytes(&event, string, n_bytes);
}
