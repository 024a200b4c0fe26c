/* Encodings as text, and the rule for what gets encoded. */
#include "convert/encoding.h"

#include <string.h>

#include "convert/names.h"
#include "convert/raw_values.h"
#include "format/fail.h"

enum { MIN_WEIGHTS = 256, MIN_RANK = 2 };

static ingot_status fail_unknown(const char *name, size_t n_bytes, ingot_error *error)
{
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "encoding",
                      "there is no preset '%s' in the list of encodings",
                      name_shown(name, n_bytes).text);
}

ingot_status encoding_parse(const char *text, struct encoding *encoding, ingot_error *error)
{
    struct encoding e = {.by_rows = true, .by_slabs = true};
    for (;;) {
        const size_t n_bytes = strcspn(text, "+");
        if (e.n_terms == ENCODING_MAX_TERMS) {
            return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "encoding",
                              "more than %d presets are joined", ENCODING_MAX_TERMS);
        }
        struct preset *preset = &e.presets[e.n_terms++];
        if (!preset_parse(text, n_bytes, preset)) return fail_unknown(text, n_bytes, error);
        e.by_rows = e.by_rows && preset->by_rows;
        e.by_slabs = e.by_slabs && (preset->by_rows || (preset->by_parts && e.n_terms == 1));
        text += n_bytes;
        if (*text == '\0') break;
        text++;
    }
    if (e.n_terms == 1 && e.presets[0].is_cast) e.cast = e.presets[0].dtype;
    *encoding = e;
    return INGOT_OK;
}

bool cast_applies(ingot_dtype cast, const struct model_tensor *tensor)
{
    return dtype_is_float(tensor->dtype) && (!tensor->raw || tensor->dtype != cast);
}

void encoding_hurry(struct encoding *encoding)
{
    for (uint32_t k = 0; k < encoding->n_terms; k++) {
        struct grid *grid = &encoding->presets[k].grid;
        if (grid->effort > EFFORT_FAST) grid->effort = EFFORT_FAST;
    }
}

void encoding_rush(struct encoding *encoding)
{
    encoding_hurry(encoding);
    for (uint32_t k = 0; k < encoding->n_terms; k++) {
        struct preset *preset = &encoding->presets[k];
        if (preset->searchless) preset->grid.effort = EFFORT_ABSMAX;
    }
}

bool encoding_applies(const struct encoding *encoding, const struct model_tensor *tensor)
{
    if (encoding->cast) return cast_applies(encoding->cast, tensor);
    return dtype_is_float(tensor->dtype) && tensor->rank >= MIN_RANK &&
           tensor->n_rows * tensor->n_cols >= MIN_WEIGHTS;
}
