/* The steps, one function each. Unicode's tables are utf8proc's. */
#include "runtime/normalizer.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "format/fail.h"

ingot_status normalizer_add(struct normalizer *normalizer, enum step_kind kind, bool only_first,
                            struct span what, struct span with, ingot_error *error)
{
    struct step *step = &normalizer->steps[normalizer->n_steps];
    if (normalizer->n_steps == MAX_STEPS || what.n_bytes > sizeof step->what ||
        with.n_bytes > sizeof step->with) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "normalizer",
                          "has more than %d steps, or one of more than %zu bytes", (int)MAX_STEPS,
                          sizeof step->what);
    }
    *step = (struct step){.kind = kind,
                          .only_first = only_first,
                          .what_bytes = (uint8_t)what.n_bytes,
                          .with_bytes = (uint8_t)with.n_bytes};
    if (what.n_bytes) memcpy(step->what, what.data, (size_t)what.n_bytes);
    if (with.n_bytes) memcpy(step->with, with.data, (size_t)with.n_bytes);
    normalizer->n_steps++;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ steps */

static bool begins_with(struct span text, const char *what, uint64_t n_bytes)
{
    return n_bytes <= text.n_bytes && memcmp(text.data, what, (size_t)n_bytes) == 0;
}

static ingot_status prepend(const struct step *step, struct span from, struct byte_buffer *to,
                            ingot_error *error)
{
    (void)error;
    buffer_append(to, step->what, step->what_bytes);
    buffer_append(to, from.data, from.n_bytes);
    return INGOT_OK;
}

static ingot_status prepend_unless_there(const struct step *step, struct span from,
                                         struct byte_buffer *to, ingot_error *error)
{
    if (!begins_with(from, step->what, step->what_bytes)) return prepend(step, from, to, error);
    buffer_append(to, from.data, from.n_bytes);
    return INGOT_OK;
}

static ingot_status replace(const struct step *step, struct span from, struct byte_buffer *to,
                            ingot_error *error)
{
    (void)error;
    for (uint64_t at = 0; at < from.n_bytes;) {
        const struct span rest = {from.data + at, from.n_bytes - at};
        if (step->what_bytes > 0 && begins_with(rest, step->what, step->what_bytes)) {
            buffer_append(to, step->with, step->with_bytes);
            at += step->what_bytes;
        } else {
            buffer_u8(to, from.data[at++]);
        }
    }
    return INGOT_OK;
}

static ingot_status squeeze_spaces(const struct step *step, struct span from,
                                   struct byte_buffer *to, ingot_error *error)
{
    (void)step;
    (void)error;
    for (uint64_t at = 0; at < from.n_bytes; at++) {
        if (from.data[at] != ' ') {
            buffer_u8(to, from.data[at]);
        } else if (to->n_bytes > 0 && at + 1 < from.n_bytes && from.data[at + 1] != ' ') {
            buffer_u8(to, ' ');
        }
    }
    return INGOT_OK;
}

static const int unicode_options[N_STEP_KINDS] = {
    [STEP_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
    [STEP_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
    [STEP_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
    [STEP_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
};

/* Characters below U+0300, which begin with a byte below 0xCC, stand as they are in NFC, and those
 * below U+0080 in every form. */
static bool stays(enum step_kind kind, struct span text)
{
    const uint8_t end = kind == STEP_NFC ? 0xCC : 0x80;
    for (uint64_t i = 0; i < text.n_bytes; i++) {
        if (text.data[i] >= end) return false;
    }
    return true;
}

static ingot_status unicode_form(const struct step *step, struct span from, struct byte_buffer *to,
                                 ingot_error *error)
{
    utf8proc_uint8_t *changed = NULL;
    if (!stays(step->kind, from)) {
        const utf8proc_ssize_t n = utf8proc_map(from.data, (utf8proc_ssize_t)from.n_bytes, &changed,
                                                (utf8proc_option_t)unicode_options[step->kind]);
        if (n == UTF8PROC_ERROR_NOMEM) return ingot_fail_memory(error, from.n_bytes, "text");
        /* What is not UTF-8 has no form to be brought into. */
        if (n >= 0) from = (struct span){changed, (uint64_t)n};
    }
    buffer_append(to, from.data, from.n_bytes);
    free(changed);
    return INGOT_OK;
}

static ingot_status (*const step_functions[N_STEP_KINDS])(const struct step *, struct span,
                                                          struct byte_buffer *, ingot_error *) = {
    [STEP_PREPEND] = prepend,   [STEP_PREPEND_UNLESS_THERE] = prepend_unless_there,
    [STEP_REPLACE] = replace,   [STEP_SQUEEZE_SPACES] = squeeze_spaces,
    [STEP_NFC] = unicode_form,  [STEP_NFD] = unicode_form,
    [STEP_NFKC] = unicode_form, [STEP_NFKD] = unicode_form,
};

ingot_status normalizer_run(const struct normalizer *normalizer, struct span part, bool is_first,
                            struct byte_buffer *to, ingot_error *error)
{
    struct byte_buffer from = {.allocator = to->allocator};
    ingot_status status = INGOT_OK;
    to->n_bytes = 0;
    buffer_append(to, part.data, part.n_bytes);
    for (uint32_t i = 0; i < normalizer->n_steps && status == INGOT_OK && to->n_bytes > 0; i++) {
        const struct step *step = &normalizer->steps[i];
        if (step->only_first && !is_first) continue;
        const struct byte_buffer swapped = from;
        from = *to;
        *to = swapped;
        to->n_bytes = 0;
        status =
            step_functions[step->kind](step, (struct span){from.data, from.n_bytes}, to, error);
    }
    if (status == INGOT_OK && (to->failed || from.failed)) {
        status = ingot_fail_memory(error, part.n_bytes, "text");
    }
    buffer_release(&from);
    return status;
}
