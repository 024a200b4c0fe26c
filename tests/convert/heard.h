/* Conversions with what they told: tensors refused, and notes. */
#ifndef INGOT_TESTS_CONVERT_HEARD_H
#define INGOT_TESTS_CONVERT_HEARD_H

#include "tests/convert/conversions.h"

/* What a conversion told. */
struct heard {
    uint32_t n_refused;
    char refused[16][384]; /* "NAME: WHY" */
    uint32_t n_notes;
    char notes[16][512];
};

static inline void hear_refused(void *context, const struct model_tensor *tensor, const char *why)
{
    struct heard *h = context;
    assert_true(h->n_refused < 16);
    snprintf(h->refused[h->n_refused++], sizeof h->refused[0], "%.*s: %s", (int)tensor->name_bytes,
             tensor->name, why);
}

static inline void hear_note(void *context, const char *text)
{
    struct heard *h = context;
    assert_true(h->n_notes < 16);
    snprintf(h->notes[h->n_notes++], sizeof h->notes[0], "%s", text);
}

static inline bool heard_note(const struct heard *h, const char *part)
{
    for (uint32_t i = 0; i < h->n_notes; i++) {
        if (strstr(h->notes[i], part)) return true;
    }
    return false;
}

/* Plans and converts; both must come to the same end, and tell the same. */
static inline ingot_status convert_heard(const char *source, const char *target, const char *encode,
                                         struct heard *heard, struct convert_result *result,
                                         ingot_error *error)
{
    struct heard planned = {0};
    struct convert_options options = {.encode = encode,
                                      .replace = true,
                                      .context = &planned,
                                      .refused = hear_refused,
                                      .note = hear_note};
    struct convert_plan plan = {0};
    struct model *model;
    assert_ok(model_open(&source, 1, NULL, &model, error), error);
    const ingot_status plan_status = convert_plan(model, target, &options, &plan, error);
    *heard = (struct heard){0};
    options.context = heard;
    const ingot_status status = convert_model(model, target, &options, result, error);
    model_close(model);
    assert_int_equal(plan_status, status);
    assert_memory_equal(heard, &planned, sizeof planned);
    if (status != INGOT_OK) return status;
    size_t n_bytes;
    free(file_read(target, &n_bytes));
    assert_int_equal(result->target_bytes, n_bytes);
    assert_int_equal(plan.target_bytes, n_bytes);
    assert_int_equal(plan.n_encoded, result->n_encoded);
    assert_int_equal(plan.n_attachments_lost, result->n_attachments_lost);
    assert_int_equal(plan.n_metadata_lost, result->n_metadata_lost);
    return status;
}

#endif
