/* Checks model.safetensors.index.json. */
#include "convert/shard_index.h"

#include "format/json.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/source.h"

struct checker {
    struct json_pull pull;
    const ingot_allocator *allocator;
    shard_holds_function *holds;
    const void *context;
    struct shard_index_total *total;
    ingot_error *error;
};

static ingot_status check_pair(const struct checker *c, const struct json_event *key,
                               const struct json_event *value, char *tensor, char *shard)
{
    bool exists;
    json_event_text(key, tensor);
    json_event_text(value, shard);
    shard[value->text_bytes] = '\0';
    const struct shown_name shown = name_shown(shard, value->text_bytes);
    const bool plain = safe_path(shard, value->text_bytes) && strchr(shard, '/') == NULL;
    if (!plain) {
        return ingot_fail(c->error, INGOT_REFUSED, value->offset, SHARD_INDEX_NAME,
                          "weight_map names '%s', which is not the name of a file in this folder",
                          shown.text);
    }
    const bool held = c->holds(c->context, shard, tensor, key->text_bytes, &exists);
    if (!exists) {
        return ingot_fail(c->error, INGOT_INVALID, value->offset, SHARD_INDEX_NAME,
                          "weight_map names '%s', which is not there", shown.text);
    }
    if (!held) {
        return ingot_fail(c->error, INGOT_INVALID, key->offset, SHARD_INDEX_NAME,
                          "'%s' is not in %s", name_shown(tensor, key->text_bytes).text,
                          shown.text);
    }
    return INGOT_OK;
}

static ingot_status check_map(struct checker *c)
{
    struct json_event key, value;
    ingot_status status = json_pull_next(&c->pull, &value, c->error);
    if (status != INGOT_OK) return status;
    if (value.kind != JSON_KIND_OBJECT) {
        return ingot_fail(c->error, INGOT_INVALID, value.offset, SHARD_INDEX_NAME,
                          "weight_map is not an object");
    }
    for (;;) {
        status = json_pull_next(&c->pull, &key, c->error);
        if (status != INGOT_OK || key.kind == JSON_KIND_OBJECT_END) return status;
        status = json_pull_next(&c->pull, &value, c->error);
        if (status != INGOT_OK) return status;
        if (value.kind != JSON_KIND_STRING) {
            return ingot_fail(c->error, INGOT_INVALID, value.offset, SHARD_INDEX_NAME,
                              "weight_map has a value that is not a string");
        }
        const uint64_t n_bytes = key.text_bytes + value.text_bytes + 1;
        char *texts = ingot_allocate(c->allocator, n_bytes);
        if (texts == NULL) return ingot_fail_memory(c->error, n_bytes, SHARD_INDEX_NAME);
        status = check_pair(c, &key, &value, texts, texts + key.text_bytes);
        ingot_release(c->allocator, texts);
        if (status != INGOT_OK) return status;
    }
}

static ingot_status skip_value(struct checker *c, struct json_event *value)
{
    const ingot_status status = json_pull_next(&c->pull, value, c->error);
    return status == INGOT_OK ? json_pull_skip(&c->pull, value, c->error) : status;
}

static ingot_status read_metadata(struct checker *c)
{
    struct json_event key, value;
    ingot_status status = json_pull_next(&c->pull, &value, c->error);
    if (status != INGOT_OK) return status;
    if (value.kind != JSON_KIND_OBJECT) return json_pull_skip(&c->pull, &value, c->error);
    for (;;) {
        status = json_pull_next(&c->pull, &key, c->error);
        if (status != INGOT_OK || key.kind == JSON_KIND_OBJECT_END) return status;
        status = skip_value(c, &value);
        if (status != INGOT_OK) return status;
        if (!json_event_is(&key, "total_size") || value.kind != JSON_KIND_NUMBER) continue;
        c->total->found = json_event_u64(&value, &c->total->n_bytes);
    }
}

static ingot_status check_object(struct checker *c)
{
    for (;;) {
        struct json_event event;
        ingot_status status = json_pull_next(&c->pull, &event, c->error);
        if (status != INGOT_OK || event.kind == JSON_KIND_OBJECT_END) return status;
        if (json_event_is(&event, "weight_map")) {
            status = check_map(c);
        } else if (json_event_is(&event, "metadata")) {
            status = read_metadata(c);
        } else {
            status = skip_value(c, &event);
        }
        if (status != INGOT_OK) return status;
    }
}

ingot_status shard_index_check(struct span text, const ingot_allocator *allocator,
                               shard_holds_function *holds, const void *context,
                               struct shard_index_total *total, ingot_error *error)
{
    struct shard_index_total found = {0};
    struct checker c = {
        json_pull_open(text, 0, SHARD_INDEX_NAME), allocator, holds, context, &found, error};
    struct json_event event;
    ingot_status status = json_pull_next(&c.pull, &event, error);
    if (status != INGOT_OK) return status;
    if (event.kind != JSON_KIND_OBJECT) {
        return ingot_fail(error, INGOT_INVALID, event.offset, SHARD_INDEX_NAME, "not an object");
    }
    status = check_object(&c);
    if (status == INGOT_OK) status = json_pull_next(&c.pull, &event, error);
    if (status == INGOT_END) *total = found;
    return status == INGOT_END ? INGOT_OK : status;
}
