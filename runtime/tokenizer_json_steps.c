/* What a tokenizer.json does to a text before the words of it become tokens. */
#include "format/fail.h"
#include "runtime/tokenizer_json.h"

enum { MAX_SEQUENCE = 16 };

typedef ingot_status (*add_part)(const json_t *part, struct ingot_tokenizer *tokenizer,
                                 ingot_error *error);
struct part_kind {
    const char *type;
    add_part add;
};

const char *json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

struct span json_text_span(const json_t *string)
{
    return (struct span){(const uint8_t *)json_string_value(string), json_string_length(string)};
}

static struct span text_span(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

static ingot_status unsupported(ingot_error *error, const char *field, const char *what)
{
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, field,
                      "tokenizer.json asks for \"%s\", which is not supported", what);
}

/* Adds a part of one kind, or those of a sequence in their order; null adds nothing. */
static ingot_status add_parts(const json_t *part, const char *field, const char *list,
                              const struct part_kind *kinds, size_t n_kinds,
                              struct ingot_tokenizer *tokenizer, ingot_error *error)
{
    const char *type = json_text(part, "type");
    if (part == NULL || json_is_null(part)) return INGOT_OK;
    for (size_t i = 0; i < n_kinds; i++) {
        if (strcmp(type, kinds[i].type) == 0) return kinds[i].add(part, tokenizer, error);
    }
    if (strcmp(type, "Sequence") != 0) return unsupported(error, field, type);
    const json_t *parts = json_object_get(part, list);
    const size_t n = json_array_size(parts);
    if (n > MAX_SEQUENCE) return unsupported(error, field, "a longer Sequence");
    for (size_t i = 0; i < n; i++) {
        const json_t *inner = json_array_get(parts, i);
        if (strcmp(json_text(inner, "type"), "Sequence") == 0) {
            return unsupported(error, field, "Sequence in a Sequence");
        }
        const ingot_status status = add_parts(inner, field, list, kinds, n_kinds, tokenizer, error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ normalizers */

static const struct span nothing;

static ingot_status add_prepend(const json_t *part, struct ingot_tokenizer *tokenizer,
                                ingot_error *error)
{
    return normalizer_add(&tokenizer->normalizer, STEP_PREPEND, false,
                          text_span(json_text(part, "prepend")), nothing, error);
}

static ingot_status add_replace(const json_t *part, struct ingot_tokenizer *tokenizer,
                                ingot_error *error)
{
    const json_t *text = json_object_get(json_object_get(part, "pattern"), "String");
    if (!json_is_string(text)) return unsupported(error, "normalizer", "Replace by a pattern");
    return normalizer_add(&tokenizer->normalizer, STEP_REPLACE, false, json_text_span(text),
                          text_span(json_text(part, "content")), error);
}

static ingot_status add_unicode(const json_t *part, struct ingot_tokenizer *tokenizer,
                                ingot_error *error)
{
    static const struct {
        const char *type;
        enum step_kind kind;
    } forms[] = {{"NFC", STEP_NFC}, {"NFD", STEP_NFD}, {"NFKC", STEP_NFKC}, {"NFKD", STEP_NFKD}};
    size_t i = 0;
    while (strcmp(forms[i].type, json_text(part, "type")) != 0) i++;
    return normalizer_add(&tokenizer->normalizer, forms[i].kind, false, nothing, nothing, error);
}

static const struct part_kind normalizers[] = {
    {"Prepend", add_prepend}, {"Replace", add_replace}, {"NFC", add_unicode},
    {"NFD", add_unicode},     {"NFKC", add_unicode},    {"NFKD", add_unicode},
};

ingot_status tokenizer_json_normalizer(const json_t *normalizer, struct ingot_tokenizer *tokenizer,
                                       ingot_error *error)
{
    return add_parts(normalizer, "normalizer", "normalizers", normalizers,
                     sizeof normalizers / sizeof *normalizers, tokenizer, error);
}

/* ------------------------------------------------------------------ words */

static ingot_status add_pattern(struct ingot_tokenizer *tokenizer, const char *pattern,
                                const char *way, ingot_error *error)
{
    return text_split_add(&tokenizer->split, text_span(pattern), false, split_way(way), false,
                          error);
}

static ingot_status add_byte_level(const json_t *part, struct ingot_tokenizer *tokenizer,
                                   ingot_error *error)
{
    static const char words[] =
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    ingot_status status = INGOT_OK;
    tokenizer->has_byte_texts = true;
    if (json_is_true(json_object_get(part, "add_prefix_space"))) {
        status = normalizer_add(&tokenizer->normalizer, STEP_PREPEND_UNLESS_THERE, false,
                                text_span(" "), nothing, error);
    }
    if (status != INGOT_OK || json_is_false(json_object_get(part, "use_regex"))) return status;
    return add_pattern(tokenizer, words, "Isolated", error);
}

static ingot_status add_split(const json_t *part, struct ingot_tokenizer *tokenizer,
                              ingot_error *error)
{
    const json_t *pattern = json_object_get(part, "pattern");
    const json_t *text = json_object_get(pattern, "String");
    const json_t *regex = json_object_get(pattern, "Regex");
    const struct split_way *way = split_way(json_text(part, "behavior"));
    if (way == NULL) return unsupported(error, "pre_tokenizer", json_text(part, "behavior"));
    if (!json_is_string(text) && !json_is_string(regex)) {
        return unsupported(error, "pre_tokenizer", "Split without a pattern");
    }
    return text_split_add(&tokenizer->split, json_text_span(json_is_string(text) ? text : regex),
                          json_is_string(text), way, json_is_true(json_object_get(part, "invert")),
                          error);
}

static ingot_status add_digits(const json_t *part, struct ingot_tokenizer *tokenizer,
                               ingot_error *error)
{
    const bool one_by_one = json_is_true(json_object_get(part, "individual_digits"));
    return add_pattern(tokenizer, one_by_one ? "\\p{N}" : "\\p{N}+", "Isolated", error);
}

static ingot_status add_punctuation(const json_t *part, struct ingot_tokenizer *tokenizer,
                                    ingot_error *error)
{
    const char *way = json_text(part, "behavior");
    if (*way == '\0') way = "Isolated";
    if (split_way(way) == NULL) return unsupported(error, "pre_tokenizer", way);
    return add_pattern(tokenizer, "[!-/:-@\\[-`{-~\\p{P}]", way, error);
}

static ingot_status add_metaspace(const json_t *part, struct ingot_tokenizer *tokenizer,
                                  ingot_error *error)
{
    const char *scheme = json_text(part, "prepend_scheme");
    const char *mark = json_text(part, "replacement");
    if (*mark == '\0') mark = SPACE_MARK;
    if (*scheme == '\0') {
        const bool without = json_is_false(json_object_get(part, "add_prefix_space"));
        scheme = without ? "never" : "always";
    }
    ingot_status status = normalizer_add(&tokenizer->normalizer, STEP_REPLACE, false,
                                         text_span(" "), text_span(mark), error);
    if (status == INGOT_OK && strcmp(scheme, "never") != 0) {
        status = normalizer_add(&tokenizer->normalizer, STEP_PREPEND_UNLESS_THERE,
                                strcmp(scheme, "first") == 0, text_span(mark), nothing, error);
    }
    if (status != INGOT_OK || json_is_false(json_object_get(part, "split"))) return status;
    return text_split_add(&tokenizer->split, text_span(mark), true, split_way("MergedWithNext"),
                          false, error);
}

static const struct part_kind words[] = {
    {"ByteLevel", add_byte_level},    {"Split", add_split},         {"Digits", add_digits},
    {"Punctuation", add_punctuation}, {"Metaspace", add_metaspace},
};

ingot_status tokenizer_json_words(const json_t *pre_tokenizer, struct ingot_tokenizer *tokenizer,
                                  ingot_error *error)
{
    return add_parts(pre_tokenizer, "pre_tokenizer", "pretokenizers", words,
                     sizeof words / sizeof *words, tokenizer, error);
}
