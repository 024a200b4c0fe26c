/* Where facts about a model come from. Knows JSON and metadata, and no fact. */
#include "runtime/lm_facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

/* A configuration is a page of text; what is much longer is something else. */
enum { MAX_CONFIG_BYTES = 1 << 22 };

static const char config_name[] = "config.json";

/* ------------------------------------------------------------------ opening */

static ingot_status take_architecture(struct lm_facts *facts, const ingot_value *value,
                                      const char *name, ingot_error *error)
{
    if (value->type != INGOT_VALUE_STRING || value->n_bytes == 0 ||
        value->n_bytes >= sizeof facts->architecture ||
        memchr(value->data, '\0', (size_t)value->n_bytes) != NULL) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name,
                          "is no name of an architecture");
    }
    memcpy(facts->architecture, value->data, (size_t)value->n_bytes);
    return INGOT_OK;
}

static ingot_status parse_config(const uint8_t *text, uint64_t n_bytes, struct lm_facts *facts,
                                 ingot_error *error)
{
    json_error_t wrong;
    facts->config = json_loadb((const char *)text, (size_t)n_bytes, JSON_REJECT_DUPLICATES, &wrong);
    if (facts->config == NULL) {
        return ingot_fail(error, INGOT_INVALID, (uint64_t)(wrong.position > 0 ? wrong.position : 0),
                          config_name, "is not JSON: %s", wrong.text);
    }
    if (!json_is_object(facts->config)) {
        return ingot_fail(error, INGOT_INVALID, 0, config_name, "is no object");
    }
    facts->rope = json_object_get(facts->config, "rope_parameters");
    if (!json_is_object(facts->rope)) facts->rope = json_object_get(facts->config, "rope_scaling");
    if (!json_is_object(facts->rope)) facts->rope = NULL;
    ingot_value value;
    const ingot_status status = lm_fact(facts, "model_type", NULL, &value, error);
    if (status == INGOT_NOT_FOUND) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "model_type",
                          "config.json does not tell it");
    }
    return status == INGOT_OK ? take_architecture(facts, &value, "model_type", error) : status;
}

static ingot_status read_config(const ingot_file *file, const ingot_allocator *allocator,
                                uint32_t index, struct lm_facts *facts, ingot_error *error)
{
    ingot_blob blob;
    ingot_file_blob(file, index, &blob);
    if (blob.n_bytes > MAX_CONFIG_BYTES) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, config_name,
                          "has %llu bytes: too many for a configuration",
                          (unsigned long long)blob.n_bytes);
    }
    uint8_t *text = ingot_allocate(allocator, blob.n_bytes);
    if (text == NULL) return ingot_fail_memory(error, blob.n_bytes, config_name);
    ingot_status status = ingot_file_read_blob(file, index, 0, blob.n_bytes, text, error);
    if (status == INGOT_OK) status = parse_config(text, blob.n_bytes, facts, error);
    ingot_release(allocator, text);
    return status;
}

ingot_status lm_facts_open(const ingot_file *file, const ingot_allocator *allocator,
                           struct lm_facts *facts, ingot_error *error)
{
    static const char key[] = "general.architecture";
    struct lm_facts made = {0};
    ingot_value value;
    uint32_t index;
    ingot_status status = ingot_metadata_open(file, &made.metadata, error);
    if (status != INGOT_OK) return status;
    if (ingot_metadata_find(made.metadata, key, sizeof key - 1, &value) == INGOT_OK) {
        status = take_architecture(&made, &value, key, error);
    } else if (ingot_file_find_attachment(file, config_name, sizeof config_name - 1, &index) ==
               INGOT_OK) {
        ingot_metadata_close(made.metadata);
        made.metadata = NULL;
        status = read_config(file, allocator, index, &made, error);
    } else {
        status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "model",
                            "the file has neither config.json nor the key general.architecture, "
                            "which tell what model its tensors are");
    }
    if (status != INGOT_OK) {
        lm_facts_close(&made);
        return status;
    }
    *facts = made;
    return INGOT_OK;
}

void lm_facts_close(struct lm_facts *facts)
{
    json_decref(facts->config);
    ingot_metadata_close(facts->metadata);
    *facts = (struct lm_facts){0};
}

/* ------------------------------------------------------------------ looking up */

static ingot_status from_json(const json_t *json, const char *key, ingot_value *value,
                              ingot_error *error)
{
    ingot_value v = {0};
    if (json == NULL || json_is_null(json)) return INGOT_NOT_FOUND;
    if (json_is_integer(json)) {
        v.type = INGOT_VALUE_I64;
        v.i = json_integer_value(json);
    } else if (json_is_real(json)) {
        v.type = INGOT_VALUE_F64;
        v.f = json_real_value(json);
    } else if (json_is_boolean(json)) {
        v.type = INGOT_VALUE_BOOL;
        v.u = json_is_true(json);
    } else if (json_is_string(json)) {
        v.type = INGOT_VALUE_STRING;
        v.data = json_string_value(json);
        v.n_bytes = json_string_length(json);
    } else {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, key,
                          "config.json has it as something other than a number, truth or text");
    }
    *value = v;
    return INGOT_OK;
}

static ingot_status from_metadata(const struct lm_facts *facts, const char *key, ingot_value *value,
                                  ingot_error *error)
{
    char name[160];
    const int n = snprintf(name, sizeof name, "%s.%s", facts->architecture, key);
    const ingot_status status = ingot_metadata_find(facts->metadata, name, (size_t)n, value);
    if (status != INGOT_OK) return status;
    if (value->type != INGOT_VALUE_ARRAY) return INGOT_OK;
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, name,
                      "it differs from layer to layer, which is not supported");
}

ingot_status lm_fact(const struct lm_facts *facts, const char *key, const char *gguf_key,
                     ingot_value *value, ingot_error *error)
{
    if (facts->config == NULL) {
        return gguf_key ? from_metadata(facts, gguf_key, value, error) : INGOT_NOT_FOUND;
    }
    return key ? from_json(json_object_get(facts->config, key), key, value, error)
               : INGOT_NOT_FOUND;
}

ingot_status lm_fact_of_rope(const struct lm_facts *facts, const char *key, const char *gguf_key,
                             ingot_value *value, ingot_error *error)
{
    if (facts->config != NULL && key != NULL) {
        const ingot_status status = from_json(json_object_get(facts->rope, key), key, value, error);
        if (status != INGOT_NOT_FOUND) return status;
    }
    return lm_fact(facts, key, gguf_key, value, error);
}

/* ------------------------------------------------------------------ values */

ingot_status lm_value_number(const ingot_value *value, const char *name, double *number,
                             ingot_error *error)
{
    double n = NAN;
    switch (value->type) {
    case INGOT_VALUE_U8:
    case INGOT_VALUE_U16:
    case INGOT_VALUE_U32:
    case INGOT_VALUE_U64:
    case INGOT_VALUE_BOOL: n = (double)value->u; break;
    case INGOT_VALUE_I8:
    case INGOT_VALUE_I16:
    case INGOT_VALUE_I32:
    case INGOT_VALUE_I64: n = (double)value->i; break;
    case INGOT_VALUE_F32:
    case INGOT_VALUE_F64: n = value->f; break;
    case INGOT_VALUE_STRING:
    case INGOT_VALUE_ARRAY: break;
    }
    if (!isfinite(n)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name, "is no finite number");
    }
    *number = n;
    return INGOT_OK;
}

ingot_status lm_value_count(const ingot_value *value, const char *name, uint32_t most,
                            uint32_t *count, ingot_error *error)
{
    double number = 0;
    const ingot_status status = lm_value_number(value, name, &number, error);
    if (status != INGOT_OK) return status;
    if (!(number >= 0 && number <= most) || floor(number) < number) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name,
                          "%.10g is no whole number from 0 to %lu", number, (unsigned long)most);
    }
    *count = (uint32_t)number;
    return INGOT_OK;
}

bool lm_value_is(const ingot_value *value, const char *text)
{
    return value->type == INGOT_VALUE_STRING && value->n_bytes == strlen(text) &&
           memcmp(value->data, text, (size_t)value->n_bytes) == 0;
}
