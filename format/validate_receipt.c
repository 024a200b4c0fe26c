/* The validator's part for receipts, piece by piece: a tree of a million entries would take several
 * times their text. */
#include <jansson.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/json.h"
#include "format/rules.h"
#include "format/validate.h"

static ingot_status wrong(uint64_t offset, const char *what, ingot_error *error)
{
    return ingot_fail_rule(error, R_730, offset, "receipt", "%s", what);
}

/* What breaks the grammar breaks the rule. */
static ingot_status next_event(struct json_pull *pull, struct json_event *event, ingot_error *error)
{
    const ingot_status status = json_pull_next(pull, event, error);
    if (status == INGOT_INVALID) error->rule = R_730;
    return status;
}

/* A value of which the first event was read: numbers in their ranges, no key twice. */
static ingot_status check_value(struct json_pull *pull, const struct json_event *begin,
                                ingot_error *error)
{
    json_error_t found;
    const ingot_status status = json_pull_skip(pull, begin, error);
    if (status != INGOT_OK) {
        error->rule = R_730;
        return status;
    }
    json_t *json = json_loadb((const char *)pull->text.data + begin->offset,
                              (size_t)(pull->at - begin->offset),
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &found);
    if (json == NULL) {
        return wrong(begin->offset + (uint64_t)found.position, found.text, error);
    }
    json_decref(json);
    return INGOT_OK;
}

static ingot_status check_member(struct json_pull *pull, ingot_error *error)
{
    struct json_event event;
    ingot_status status = next_event(pull, &event, error);
    if (status != INGOT_OK || event.kind != JSON_KIND_ARRAY) {
        return status == INGOT_OK ? check_value(pull, &event, error) : status;
    }
    while ((status = next_event(pull, &event, error)) == INGOT_OK) {
        if (event.kind == JSON_KIND_ARRAY_END) return INGOT_OK;
        status = check_value(pull, &event, error);
        if (status != INGOT_OK) return status;
    }
    return status;
}

static ingot_status check_key(struct intern *seen, const struct json_event *key, ingot_error *error)
{
    if (key->text_bytes > UINT32_MAX) return wrong(key->offset, "a key is too long", error);
    char *text = ingot_allocate(seen->allocator, key->text_bytes + 1);
    if (text == NULL) return ingot_fail_memory(error, key->text_bytes, "receipt");
    json_event_text(key, text);
    ingot_status status =
        memchr(text, 0, (size_t)key->text_bytes)
            ? wrong(key->offset, "a key holds U+0000", error)
            : validate_unique(seen, text, (uint32_t)key->text_bytes, R_730, key->offset, error);
    ingot_release(seen->allocator, text);
    return status;
}

ingot_status validate_receipt(struct span bytes, const ingot_allocator *allocator,
                              ingot_error *error)
{
    struct json_pull pull = json_pull_open(bytes, 0, "receipt");
    struct intern seen = {.allocator = allocator};
    struct json_event event;
    ingot_status status = next_event(&pull, &event, error);
    if (status == INGOT_OK && event.kind != JSON_KIND_OBJECT) {
        status = wrong(INGOT_NO_OFFSET, "not an object", error);
    }
    while (status == INGOT_OK && (status = next_event(&pull, &event, error)) == INGOT_OK) {
        if (event.kind != JSON_KIND_KEY) continue;
        status = check_key(&seen, &event, error);
        if (status == INGOT_OK) status = check_member(&pull, error);
    }
    intern_release(&seen);
    return status == INGOT_END ? INGOT_OK : status;
}
