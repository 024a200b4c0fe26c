/* Conversions: which sink a target's name asks for, and what all sinks share. Knows no format but
 * by its row. */
#include "convert/convert.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert/dialect_export.h"
#include "convert/estimate.h"
#include "convert/gguf_presets.h"
#include "convert/names.h"
#include "convert/sink.h"
#include "convert/target.h"
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

struct model_facts conversion_facts(const struct conversion *c)
{
    struct model_facts facts = model_facts_of(c->model);
    facts.has_imatrix = c->imatrix != NULL;
    return facts;
}

/* Where a mix or a preset gives way, since its blocks do not divide the rows. */
static void tell_fallbacks(const struct conversion *c, const struct recipe *recipe)
{
    const struct model_facts facts = conversion_facts(c);
    for (uint32_t i = 0; i < model_n_tensors(c->model); i++) {
        struct model_tensor t;
        if (c->choices.of[i] == NULL) continue;
        model_tensor(c->model, i, &t);
        const char *asked = recipe_rule(recipe, &t, &facts)->encode[0];
        const uint64_t n_row = t.dims[t.rank - 1];
        const char *taken = gguf_preset_for(asked, n_row);
        if (taken == asked) continue;
        conversion_note(c, "%s: rows of %llu weights are not whole blocks of %s: it becomes %s",
                        name_shown(t.name, t.name_bytes).text, (unsigned long long)n_row, asked,
                        taken);
    }
}

static ingot_status choose(struct conversion *c, const struct recipe *recipe, ingot_error *error)
{
    const bool blocks = sink_of(c->target)->write == sink_gguf;
    const bool by_size = c->options->target_bytes || c->options->target_bpw > 0;
    const struct model_facts facts = conversion_facts(c);
    const ingot_status status =
        by_size ? target_choose(c, recipe, blocks, sink_of(c->target)->plan, error)
                : choices_make(&c->choices, c->model, recipe, &facts, blocks, error);
    if (status != INGOT_OK) return status;
    if (blocks && !by_size) tell_fallbacks(c, recipe);
    for (uint32_t i = 0; i < c->choices.n_encodings; i++) {
        if (c->options->fast) encoding_rush(c->choices.encodings[i]);
        c->choices.encodings[i]->imatrix = c->imatrix;
    }
    return INGOT_OK;
}

/* One encoding: casts are of all floats, any other of what is no norm, bias or router. */
static ingot_status choose_encoding(struct conversion *c, ingot_error *error)
{
    struct encoding encoding;
    struct rule rule = {.encode = {c->options->encode}};
    const struct recipe recipe = {.n_rules = 1, .rules = &rule};
    const ingot_status status = encoding_parse(c->options->encode, &encoding, error);
    if (status != INGOT_OK) return status;
    rule.roles = encoding.cast ? UINT32_MAX : 0;
    return choose(c, &recipe, error);
}

static ingot_status choose_mix(struct conversion *c, ingot_error *error)
{
    const char *name = c->options->gguf_type;
    c->mix = mix_named(name);
    if (sink_of(c->target)->write != sink_gguf) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, c->target,
                          "types of GGUF are for a target whose name ends in .gguf");
    }
    if (c->mix) {
        const struct recipe recipe = mix_recipe(c->mix);
        return choose(c, &recipe, error);
    }
    if (gguf_type_named(name, strlen(name))) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "type",
                          "%s is read and written as it is, but there is no search that encodes "
                          "into it",
                          name);
    }
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "type",
                      "GGUF has no type or mix '%s'", name_shown(name, strlen(name)).text);
}

static ingot_status choose_dialect(struct conversion *c, ingot_error *error)
{
    const char *name = c->options->dialect;
    char names[128];
    if (sink_of(c->target)->write != sink_safetensors) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, c->target,
                          "dialects are for a target whose name ends in .safetensors");
    }
    c->dialect = dialect_named(name);
    if (c->dialect) return INGOT_OK;
    dialect_names(names, sizeof names);
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "dialect",
                      "'%s' is none; there are: %s", name_shown(name, strlen(name)).text, names);
}

static ingot_status choose_recipe(struct conversion *c, ingot_error *error)
{
    struct recipe recipe = {0};
    ingot_status status = recipe_open(c->options->recipe, &recipe, error);
    if (status == INGOT_OK) status = choose(c, &recipe, error);
    recipe_close(&recipe);
    return status;
}

/* The sink of a conversion and what becomes of each tensor. To be ended, also after a failure. */
static ingot_status begin(struct conversion *c, const struct sink **sink, ingot_error *error)
{
    const struct convert_options *o = c->options;
    ingot_status status = INGOT_OK;
    *sink = sink_of(c->target);
    if (*sink == NULL) return fail_unknown(c->target, error);
    c->total_bytes = all_bytes(c->model);
    const bool by_size = o->target_bytes || o->target_bpw > 0;
    c->encodes = o->encode || o->recipe || o->gguf_type || by_size;
    assert((o->encode != NULL) + (o->recipe != NULL) + (o->gguf_type != NULL) <= 1);
    if (o->dialect) status = choose_dialect(c, error);
    if (status == INGOT_OK && o->imatrix) status = imatrix_open(o->imatrix, &c->imatrix, error);
    if (status != INGOT_OK || !c->encodes) return status;
    if (o->encode) return choose_encoding(c, error);
    if (o->gguf_type) return choose_mix(c, error);
    if (o->recipe) return choose_recipe(c, error);
    const struct recipe recipe = target_recipe();
    return choose(c, &recipe, error);
}

static void end(struct conversion *c)
{
    choices_release(&c->choices);
    imatrix_close(c->imatrix);
}

const struct encoding *conversion_choice(const struct conversion *c, uint32_t index)
{
    return c->encodes ? c->choices.of[index] : NULL;
}

ingot_status convert_model(const struct model *model, const char *target,
                           const struct convert_options *options, struct convert_result *result,
                           ingot_error *error)
{
    struct convert_result r = {.n_tensors = model_n_tensors(model),
                               .source_bytes = model_source_bytes(model)};
    struct conversion c = {.model = model, .target = target, .options = options, .result = &r};
    const struct sink *sink;
    ingot_status status = begin(&c, &sink, error);
    if (status == INGOT_OK) status = sink->write(&c, error);
    end(&c);
    if (status == INGOT_OK) *result = r;
    return status;
}

ingot_status convert_plan(const struct model *model, const char *target,
                          const struct convert_options *options, struct convert_plan *plan,
                          ingot_error *error)
{
    struct convert_result r = {0};
    struct conversion c = {.model = model, .target = target, .options = options, .result = &r};
    const struct sink *sink;
    ingot_status status = begin(&c, &sink, error);
    plan->n_tensors = model_n_tensors(model);
    plan->source_bytes = model_source_bytes(model);
    if (status == INGOT_OK) status = sink->plan(&c, plan, error);
    if (status == INGOT_OK && sink->write == sink_ingot) status = estimate_ingot(&c, plan, error);
    end(&c);
    return status;
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
    ingot_status status = p->read(p->conversion->model, p->index, offset, n_bytes, dst, error);
    if (status != INGOT_OK) return status;
    /* A writer may ask again for the last byte when its rows end within one; never for a later
     * part before an earlier one. */
    assert(offset <= p->hashed_bytes);
    const uint64_t seen = min_u64(p->hashed_bytes - offset, n_bytes);
    const uint8_t *fresh = (const uint8_t *)dst + seen;
    XXH3_128bits_update(p->hash, fresh, (size_t)(n_bytes - seen));
    if (p->source) {
        status =
            source_passing_tensor(p->source, p->index, offset + seen, fresh, n_bytes - seen, error);
    }
    p->hashed_bytes = max_u64(p->hashed_bytes, offset + n_bytes);
    conversion_report(p->conversion, p->hashed_bytes);
    return status;
}

struct byte_source passing_source(struct passing_bytes *passing)
{
    XXH3_128bits_reset(passing->hash);
    passing->hashed_bytes = 0;
    return (struct byte_source){passing, pass};
}
