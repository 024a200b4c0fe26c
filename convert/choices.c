/* Encodings by their text, and the choice for each tensor. */
#include "convert/choices.h"

#include <stdlib.h>
#include <string.h>

#include "convert/gguf_presets.h"
#include "format/alloc.h"
#include "format/fail.h"

/* The encoding of a text, parsed once. */
static ingot_status find_encoding(struct choices *c, const char *text, struct encoding **found,
                                  ingot_error *error)
{
    for (uint32_t i = 0; i < c->n_encodings; i++) {
        *found = c->encodings[i];
        if (strcmp(c->texts[i], text) == 0) return INGOT_OK;
    }
    const uint32_t n = c->n_encodings;
    struct encoding **encodings = realloc(c->encodings, (n + 1) * sizeof(struct encoding *));
    if (encodings) c->encodings = encodings;
    char **texts = realloc(c->texts, (n + 1) * sizeof *texts);
    if (texts) c->texts = texts;
    struct encoding *encoding = malloc(sizeof *encoding);
    char *copy = strdup(text);
    ingot_status status = encodings && texts && encoding && copy
                              ? encoding_parse(text, encoding, error)
                              : ingot_fail_memory(error, sizeof *encoding, "encodings");
    if (status != INGOT_OK) {
        free(copy);
        free(encoding);
        return status;
    }
    c->encodings[n] = *found = encoding;
    c->texts[n] = copy;
    c->n_encodings++;
    return INGOT_OK;
}

ingot_status choices_take(struct choices *choices, const struct model_tensor *tensor,
                          const char *encode, bool blocks, const struct encoding **encoding,
                          ingot_error *error)
{
    struct encoding *found;
    *encoding = NULL;
    if (strcmp(encode, "keep") == 0) return INGOT_OK;
    if (blocks && tensor->rank > 0)
        encode = gguf_preset_for(encode, tensor->dims[tensor->rank - 1]);
    const ingot_status status = find_encoding(choices, encode, &found, error);
    if (status == INGOT_OK && encoding_applies(found, tensor)) *encoding = found;
    return status;
}

ingot_status choices_make(struct choices *choices, const struct model *model,
                          const struct recipe *recipe, const struct model_facts *facts, bool blocks,
                          ingot_error *error)
{
    const uint32_t n = model_n_tensors(model);
    choices->of = ingot_allocate_zeroed(NULL, n, sizeof *choices->of);
    if (choices->of == NULL) return ingot_fail_memory(error, n * sizeof *choices->of, "choices");
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        struct model_tensor t;
        model_tensor(model, i, &t);
        const struct rule *rule = recipe_rule(recipe, &t, facts);
        if (rule) {
            status = choices_take(choices, &t, rule->encode[0], blocks, &choices->of[i], error);
        }
    }
    return status;
}

void choices_release(struct choices *choices)
{
    for (uint32_t i = 0; i < choices->n_encodings; i++) {
        free(choices->texts[i]);
        free(choices->encodings[i]);
    }
    free(choices->texts);
    free(choices->encodings);
    ingot_release(NULL, choices->of);
    *choices = (struct choices){0};
}
