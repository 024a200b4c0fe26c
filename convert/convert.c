/* Conversions: which sink a target's name asks for, and what all sinks share. Knows no format but
 * by its row. */
#include "convert/convert.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert/names.h"
#include "convert/sink.h"
#include "format/bytes.h"
#include "format/fail.h"

static const struct sink {
    const char *suffix; /* or the whole name */
    ingot_status (*write)(struct conversion *c, ingot_error *error);
    ingot_status (*plan)(struct conversion *c, struct convert_plan *plan, ingot_error *error);
} sinks[] = {
    {".ingot", sink_ingot, plan_ingot},
    {".safetensors", sink_safetensors, plan_safetensors},
    {".gguf", sink_gguf, plan_gguf},
    {"-", sink_ingot, plan_ingot},
};
enum { N_SINKS = sizeof sinks / sizeof *sinks };

static const struct sink *sink_of(const char *target)
{
    const size_t n_bytes = strlen(target);
    for (uint32_t i = 0; i < N_SINKS; i++) {
        const size_t n = strlen(sinks[i].suffix);
        const bool whole = sinks[i].suffix[0] != '.';
        if (n_bytes < n || (whole && n_bytes != n)) continue;
        if (strcmp(target + n_bytes - n, sinks[i].suffix) == 0) return &sinks[i];
    }
    return NULL;
}

static ingot_status fail_unknown(const char *target, ingot_error *error)
{
    char known[128] = "";
    for (uint32_t i = 0; i < N_SINKS; i++) {
        const size_t n = strlen(known);
        if (sinks[i].suffix[0] != '.') continue;
        snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", sinks[i].suffix);
    }
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, target,
                      "the target's name does not end in a known suffix: %s", known);
}

static uint64_t all_bytes(const struct model *model)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < model_n_tensors(model); i++) {
        struct model_tensor tensor;
        model_tensor(model, i, &tensor);
        n_bytes += tensor.stored_bytes;
    }
    for (uint32_t i = 0; i < model_n_attachments(model); i++) {
        struct model_attachment attachment;
        model_attachment(model, i, &attachment);
        n_bytes += attachment.n_bytes;
    }
    return n_bytes;
}

/* The sink and the encoding of a conversion. */
static ingot_status begin(struct conversion *c, struct encoding *encoding, const struct sink **sink,
                          ingot_error *error)
{
    *sink = sink_of(c->target);
    if (*sink == NULL) return fail_unknown(c->target, error);
    c->total_bytes = all_bytes(c->model);
    if (c->options->encode == NULL) return INGOT_OK;
    c->encoding = encoding;
    const ingot_status status = encoding_parse(c->options->encode, encoding, error);
    if (status == INGOT_OK && c->options->fast) encoding_hurry(encoding);
    return status;
}

ingot_status convert_model(const struct model *model, const char *target,
                           const struct convert_options *options, struct convert_result *result,
                           ingot_error *error)
{
    struct encoding encoding;
    struct convert_result r = {.n_tensors = model_n_tensors(model),
                               .source_bytes = model_source_bytes(model)};
    struct conversion c = {.model = model, .target = target, .options = options, .result = &r};
    const struct sink *sink;
    struct imatrix *imatrix = NULL;
    ingot_status status = begin(&c, &encoding, &sink, error);
    if (status == INGOT_OK && options->imatrix) {
        status = imatrix_open(options->imatrix, &imatrix, error);
        encoding.imatrix = imatrix;
    }
    if (status == INGOT_OK) status = sink->write(&c, error);
    imatrix_close(imatrix);
    if (status == INGOT_OK) *result = r;
    return status;
}

ingot_status convert_plan(const struct model *model, const char *target,
                          const struct convert_options *options, struct convert_plan *plan,
                          ingot_error *error)
{
    struct encoding encoding;
    struct convert_result r = {0};
    struct conversion c = {.model = model, .target = target, .options = options, .result = &r};
    const struct sink *sink;
    const ingot_status status = begin(&c, &encoding, &sink, error);
    if (status != INGOT_OK) return status;
    plan->n_tensors = model_n_tensors(model);
    plan->source_bytes = model_source_bytes(model);
    return sink->plan(&c, plan, error);
}

void plan_tensor(struct convert_plan *plan, const struct model_tensor *tensor, const char *encoding,
                 uint64_t coded_bytes, bool encoded)
{
    plan->tensor_bytes += coded_bytes;
    plan->n_encoded += encoded;
    if (plan->tensor) plan->tensor(plan->context, tensor, encoding, coded_bytes, encoded);
}

/* ------------------------------------------------------------------ what sinks share */

void conversion_report(const struct conversion *c, uint64_t within_bytes)
{
    const struct progress *progress = c->options->progress;
    if (progress == NULL) return;
    progress->report(progress->context, "converting", c->done_bytes + within_bytes, c->total_bytes);
}

static void report_rows(void *context, uint64_t done_rows, uint64_t n_rows)
{
    const struct conversion *c = context;
    const double share = n_rows ? (double)done_rows / (double)n_rows : 1;
    conversion_report(c, (uint64_t)(share * (double)c->part_bytes));
}

struct row_progress conversion_row_progress(struct conversion *c)
{
    return (struct row_progress){c, report_rows};
}

void conversion_begin_part(struct conversion *c, uint64_t n_bytes)
{
    c->part_bytes = n_bytes;
}

void conversion_end_part(struct conversion *c)
{
    c->done_bytes += c->part_bytes;
    c->part_bytes = 0;
    conversion_report(c, 0);
}

void conversion_tensor_done(const struct conversion *c, const struct model_tensor *tensor,
                            const char *encoding, uint64_t coded_bytes,
                            const struct tensor_error *error)
{
    if (c->options->tensor_done == NULL) return;
    c->options->tensor_done(c->options->context, tensor, encoding, coded_bytes, error);
}

void conversion_refuse(struct conversion *c, const struct model_tensor *tensor, const char *why,
                       ingot_error *error)
{
    if (c->n_refused++ == 0) {
        ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                   name_shown(tensor->name, tensor->name_bytes).text, "%s", why);
    }
    if (c->options->refused) c->options->refused(c->options->context, tensor, why);
}

ingot_status conversion_refusals(const struct conversion *c, ingot_error *error)
{
    if (c->n_refused == 0) return INGOT_OK;
    if (c->n_refused > 1 && error) {
        const size_t n = strlen(error->what);
        snprintf(error->what + n, sizeof error->what - n, " (%u tensors cannot be written)",
                 c->n_refused);
    }
    return INGOT_REFUSED;
}

void conversion_note(const struct conversion *c, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (c->options->note == NULL) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->options->note(c->options->context, text);
}

static ingot_status pass(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                         ingot_error *error)
{
    struct passing_bytes *p = context;
    const ingot_status status =
        p->read(p->conversion->model, p->index, offset, n_bytes, dst, error);
    if (status != INGOT_OK) return status;
    /* A writer may ask again for the last byte when its rows end within one; never for a later
     * part before an earlier one. */
    assert(offset <= p->hashed_bytes);
    const uint64_t seen = min_u64(p->hashed_bytes - offset, n_bytes);
    XXH3_128bits_update(p->hash, (const uint8_t *)dst + seen, (size_t)(n_bytes - seen));
    p->hashed_bytes = max_u64(p->hashed_bytes, offset + n_bytes);
    conversion_report(p->conversion, p->hashed_bytes);
    return INGOT_OK;
}

struct byte_source passing_source(struct passing_bytes *passing)
{
    XXH3_128bits_reset(passing->hash);
    passing->hashed_bytes = 0;
    return (struct byte_source){passing, pass};
}
