/* Recipes from JSON: one function a key. What they may hold is written in docs/recipes.md. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/encoding.h"
#include "convert/recipe.h"
#include "format/fail.h"

struct owned {
    json_t *root; /* whose texts the rules point to */
    struct rule *rules;
};

struct reading {
    const char *path;
    uint32_t rule; /* from 1 on; 0: outside the rules */
    ingot_error *error;
};

/* "recipe.json", "rule 2: encode: ..." */
static bool refuse(const struct reading *r, const char *key, const char *format, ...)
    INGOT_PRINTF(3, 4);
static bool refuse(const struct reading *r, const char *key, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (r->rule) {
        ingot_fail(r->error, INGOT_INVALID, INGOT_NO_OFFSET, r->path, "rule %u: %s: %s", r->rule,
                   key, text);
    } else {
        ingot_fail(r->error, INGOT_INVALID, INGOT_NO_OFFSET, r->path, "%s: %s", key, text);
    }
    return false;
}

static bool take_count(const struct reading *r, const char *key, const json_t *value, uint64_t most,
                       uint64_t *out)
{
    const json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || (uint64_t)n > most) {
        return refuse(r, key, "it is to be a whole number from 1 to %llu",
                      (unsigned long long)most);
    }
    *out = (uint64_t)n;
    return true;
}

static bool take_name(const struct reading *r, const json_t *value, struct rule *rule)
{
    rule->name = json_string_value(value);
    return rule->name ? true : refuse(r, "name", "it is to be a pattern, a string");
}

static bool take_role_word(const struct reading *r, const json_t *value, struct rule *rule)
{
    const char *word = json_string_value(value);
    const uint32_t role = word ? role_named(word) : 0;
    char known[256] = "";
    rule->roles |= role;
    if (role) return true;
    for (uint32_t i = 0; role_word_at(i); i++) {
        const size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", role_word_at(i));
    }
    return refuse(r, "role", "'%.40s' is none; there are: %s", word ? word : "not a string", known);
}

static bool take_role(const struct reading *r, const json_t *value, struct rule *rule)
{
    if (!json_is_array(value)) return take_role_word(r, value, rule);
    if (json_array_size(value) == 0) return refuse(r, "role", "the list is empty");
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!take_role_word(r, json_array_get(value, i), rule)) return false;
    }
    return true;
}

static bool take_layers(const struct reading *r, const json_t *value, struct rule *rule)
{
    struct layer_rule *layers = &rule->layers;
    const struct {
        const char *key;
        uint32_t *at;
    } counts[] = {
        {"first", &layers->first}, {"last", &layers->last}, {"first_part", &layers->first_part}};
    const char *key;
    json_t *member;
    if (!json_is_object(value) || json_object_size(value) == 0) {
        return refuse(r, "layers", "it is to be an object of first, last, first_part, more");
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        uint64_t n = 0;
        size_t i = 0;
        while (i < 3 && strcmp(counts[i].key, key) != 0) i++;
        if (i < 3) {
            if (!take_count(r, "layers", member, UINT32_MAX / 8, &n)) return false;
            *counts[i].at = (uint32_t)n;
        } else if (strcmp(key, "more") == 0 && json_is_true(member)) {
            layers->more = true;
        } else {
            return refuse(r, "layers",
                          "'%.40s' is none of first, last, first_part with a number, and more with "
                          "true",
                          key);
        }
    }
    return true;
}

static bool take_min_weights(const struct reading *r, const json_t *value, struct rule *rule)
{
    return take_count(r, "min_weights", value, INT64_MAX, &rule->min_weights);
}

static bool take_cols_multiple(const struct reading *r, const json_t *value, struct rule *rule)
{
    return take_count(r, "cols_multiple", value, UINT32_MAX, &rule->cols_multiple);
}

static bool take_encoding(const struct reading *r, const json_t *value, const char **encode)
{
    const char *text = json_string_value(value);
    struct encoding encoding;
    ingot_error error = {0};
    if (text == NULL) return refuse(r, "encode", "it is to be \"keep\" or an encoding, a string");
    *encode = text;
    if (strcmp(text, "keep") == 0 || encoding_parse(text, &encoding, &error) == INGOT_OK) {
        return true;
    }
    return refuse(r, "encode", "%.400s", error.what);
}

static bool take_encode(const struct reading *r, const json_t *value, struct rule *rule)
{
    if (!json_is_array(value)) return take_encoding(r, value, &rule->encode[0]);
    const size_t n = json_array_size(value);
    if (n == 0 || n > RULE_MAX_ENCODINGS) {
        return refuse(r, "encode", "a list is to have from 1 to %d encodings", RULE_MAX_ENCODINGS);
    }
    for (size_t i = 0; i < n; i++) {
        if (!take_encoding(r, json_array_get(value, i), &rule->encode[i])) return false;
    }
    return true;
}

static const struct {
    const char *key;
    bool (*take)(const struct reading *r, const json_t *value, struct rule *rule);
} keys[] = {
    {"name", take_name},
    {"role", take_role},
    {"layers", take_layers},
    {"min_weights", take_min_weights},
    {"cols_multiple", take_cols_multiple},
    {"encode", take_encode},
};
enum { N_KEYS = sizeof keys / sizeof *keys };

static bool read_rule(const struct reading *r, const json_t *value, struct rule *rule)
{
    const char *key;
    json_t *member;
    if (!json_is_object(value)) return refuse(r, "rule", "it is to be an object");
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        size_t i = 0;
        while (i < N_KEYS && strcmp(keys[i].key, key) != 0) i++;
        if (i == N_KEYS) {
            return refuse(r, key,
                          "there is no such key: there are name, role, layers, min_weights, "
                          "cols_multiple and encode");
        }
        if (!keys[i].take(r, member, rule)) return false;
    }
    return rule->encode[0] ? true : refuse(r, "encode", "it is missing");
}

static bool read_rules(struct reading *r, struct owned *owned, struct recipe *recipe)
{
    const json_t *rules = json_object_get(owned->root, "rules");
    const char *key;
    json_t *member;
    json_object_foreach(owned->root, key, member)
    {
        if (strcmp(key, "rules") != 0 && strcmp(key, "about") != 0) {
            return refuse(r, key, "there is no such key: there are rules and about");
        }
    }
    const size_t n = json_array_size(rules);
    if (n == 0 || n > 65536) return refuse(r, "rules", "it is to be a list of 1 to 65536 rules");
    owned->rules = calloc(n, sizeof *owned->rules);
    if (owned->rules == NULL) {
        ingot_fail_memory(r->error, n * sizeof *owned->rules, "recipe");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        r->rule = (uint32_t)i + 1;
        if (!read_rule(r, json_array_get(rules, i), &owned->rules[i])) return false;
    }
    *recipe = (struct recipe){(uint32_t)n, owned->rules, owned};
    return true;
}

static void release(struct owned *owned)
{
    if (owned == NULL) return;
    free(owned->rules);
    json_decref(owned->root);
    free(owned);
}

/* Takes over a root, which may be NULL for the reason in `why`. */
static ingot_status take_root(const char *path, json_t *root, const json_error_t *why,
                              struct recipe *recipe, ingot_error *error)
{
    ingot_error own = {0};
    struct reading r = {.path = path, .error = error ? error : &own};
    struct owned *owned = calloc(1, sizeof *owned);
    bool read = false;
    if (owned == NULL) {
        json_decref(root);
        return ingot_fail_memory(error, sizeof *owned, "recipe");
    }
    owned->root = root;
    if (root == NULL) {
        ingot_fail(r.error,
                   json_error_code(why) == json_error_cannot_open_file ? INGOT_IO : INGOT_INVALID,
                   INGOT_NO_OFFSET, path, "line %d: %s", why->line, why->text);
    } else if (!json_is_object(root)) {
        refuse(&r, "recipe", "it is to be an object");
    } else {
        read = read_rules(&r, owned, recipe);
    }
    if (read) return INGOT_OK;
    release(owned);
    return r.error->status;
}

ingot_status recipe_open(const char *path, struct recipe *recipe, ingot_error *error)
{
    json_error_t why;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    return take_root(path, root, &why, recipe, error);
}

ingot_status recipe_parse(const char *name, struct span text, struct recipe *recipe,
                          ingot_error *error)
{
    json_error_t why;
    json_t *root =
        json_loadb((const char *)text.data, (size_t)text.n_bytes, JSON_REJECT_DUPLICATES, &why);
    return take_root(name, root, &why, recipe, error);
}

void recipe_close(struct recipe *recipe)
{
    release(recipe->owned);
    *recipe = (struct recipe){0};
}
