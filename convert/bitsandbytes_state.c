/* The JSON beside a weight of bitsandbytes: one function a key. */
#include "convert/bitsandbytes_state.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"

static const char not_json[] = "its quant_state is no JSON object";

static const struct {
    const char *name;
    ingot_dtype dtype;
} dtypes[] = {{"float32", INGOT_F32}, {"float16", INGOT_F16}, {"bfloat16", INGOT_BF16}};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

const char *quant_state_dtype(ingot_dtype dtype)
{
    for (size_t i = 0; i < N_DTYPES; i++) {
        if (dtypes[i].dtype == dtype) return dtypes[i].name;
    }
    return NULL;
}

/* A value: the event that begins it, of an array the reader behind it. */
struct state_value {
    const struct json_event *event;
    struct json_pull *pull;
};

static bool take_count(const struct state_value *v, uint64_t most, uint64_t *n)
{
    return v->event->kind == JSON_KIND_NUMBER && json_event_u64(v->event, n) && *n > 0 &&
           *n <= most;
}

static bool take_type(const struct state_value *v, struct quant_state *q)
{
    if (v->event->kind != JSON_KIND_STRING || v->event->text_bytes >= sizeof q->type) return false;
    json_event_text(v->event, q->type);
    return true;
}

static bool take_block(const struct state_value *v, struct quant_state *q)
{
    return take_count(v, 1 << 20, &q->block);
}

static bool take_dtype(const struct state_value *v, struct quant_state *q)
{
    for (size_t i = 0; v->event->kind == JSON_KIND_STRING && i < N_DTYPES; i++) {
        if (!json_event_is(v->event, dtypes[i].name)) continue;
        q->dtype = dtypes[i].dtype;
        return true;
    }
    return false;
}

static bool take_shape(const struct state_value *v, struct quant_state *q)
{
    struct json_event event;
    q->n = 1;
    q->rank = 0;
    if (v->event->kind != JSON_KIND_ARRAY) return false;
    while (json_pull_next(v->pull, &event, NULL) == INGOT_OK) {
        const struct state_value extent = {&event, v->pull};
        if (event.kind == JSON_KIND_ARRAY_END) return q->rank > 0;
        if (q->rank == INGOT_MAX_RANK ||
            !take_count(&extent, UINT64_C(1) << 56, &q->dims[q->rank]) ||
            !mul_u64(q->n, q->dims[q->rank], &q->n) || q->n >> 57) {
            return false;
        }
        q->rank++;
    }
    return false;
}

static bool take_nested_block(const struct state_value *v, struct quant_state *q)
{
    q->nested = true;
    return take_count(v, 1 << 20, &q->nested_block);
}

static bool take_nested_dtype(const struct state_value *v, struct quant_state *q)
{
    (void)q;
    return v->event->kind == JSON_KIND_STRING && json_event_is(v->event, "float32");
}

/* JSON's point is not that of every locale. */
static bool take_offset(const struct state_value *v, struct quant_state *q)
{
    char text[64];
    char *end;
    const uint64_t n = v->event->text.n_bytes;
    if (v->event->kind != JSON_KIND_NUMBER || n >= sizeof text) return false;
    memcpy(text, v->event->text.data, (size_t)n);
    text[n] = '\0';
    char *point = strchr(text, '.');
    if (point) *point = *localeconv()->decimal_point;
    q->offset = (float)strtod(text, &end);
    q->has_offset = true;
    return *end == '\0' && isfinite(q->offset);
}

static const struct state_key {
    const char *name;
    bool (*take)(const struct state_value *v, struct quant_state *q);
    const char *why; /* when it is not taken */
    bool required;
} keys[] = {
    {"quant_type", take_type, "it has no quant_type", true},
    {"blocksize", take_block, "its block size is none", true},
    {"dtype", take_dtype, "its dtype is not a float of 16 or 32 bits", true},
    {"shape", take_shape, "its shape is none", true},
    {"nested_blocksize", take_nested_block, "its nested block size is none", false},
    {"nested_dtype", take_nested_dtype, "its nested scales are not f32", false},
    {"nested_offset", take_offset, "its nested offset is no finite number", false},
};
enum { N_KEYS = sizeof keys / sizeof *keys };

/* A key and its value. */
static const char *read_key(struct json_pull *pull, const struct json_event *key,
                            struct quant_state *q, uint32_t *seen)
{
    struct json_event event;
    const struct state_value value = {&event, pull};
    if (json_pull_next(pull, &event, NULL) != INGOT_OK) return not_json;
    for (uint32_t i = 0; i < N_KEYS; i++) {
        if (!json_event_is(key, keys[i].name)) continue;
        if (*seen & 1u << i) return "its quant_state has a key twice";
        *seen |= 1u << i;
        return keys[i].take(&value, q) ? NULL : keys[i].why;
    }
    return json_pull_skip(pull, &event, NULL) == INGOT_OK ? NULL : not_json;
}

const char *quant_state_read(struct span text, struct quant_state *q)
{
    struct json_pull pull = json_pull_open(text, 0, "quant_state");
    struct json_event event;
    uint32_t seen = 0;
    ingot_status status = json_pull_next(&pull, &event, NULL);
    if (status != INGOT_OK || event.kind != JSON_KIND_OBJECT) return not_json;
    while ((status = json_pull_next(&pull, &event, NULL)) == INGOT_OK) {
        if (event.kind == JSON_KIND_OBJECT_END) continue;
        const char *why = read_key(&pull, &event, q, &seen);
        if (why) return why;
    }
    if (status != INGOT_END) return not_json;
    for (uint32_t i = 0; i < N_KEYS; i++) {
        if (keys[i].required && !(seen & 1u << i)) return keys[i].why;
    }
    return q->nested == q->has_offset ? NULL : keys[N_KEYS - 1].why;
}
