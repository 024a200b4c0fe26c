/* Calls that pass to the model under another. */
#include "convert/model_over.h"

static const struct model_over *self(const struct model *model)
{
    return (const struct model_over *)model;
}

void model_over_begin(struct model_over *over, const struct model_kind *kind, struct model *under,
                      const ingot_allocator *allocator)
{
    over->kind = *kind;
    over->kind.format = model_format(under);
    over->model = (struct model){&over->kind, allocator, 0, {.allocator = allocator}};
    over->under = under;
}

void model_over_take_notes(struct model_over *over)
{
    for (uint32_t i = 0; i < model_n_notes(over->under); i++) {
        model_add_note(&over->model, "%s", model_note(over->under, i));
    }
}

struct model *model_under(const struct model *model)
{
    return self(model)->under;
}

const ingot_file *model_over_container(const struct model *model)
{
    return model_container(self(model)->under);
}

uint32_t model_over_n_tensors(const struct model *model)
{
    return self(model)->n_tensors;
}

struct span model_over_metadata(const struct model *model)
{
    return model_metadata(self(model)->under);
}

ingot_status model_over_unchanged(const struct model *model, ingot_error *error)
{
    return model_unchanged(self(model)->under, error);
}

uint64_t model_over_source_bytes(const struct model *model)
{
    return model_source_bytes(self(model)->under);
}

uint32_t model_over_n_attachments(const struct model *model)
{
    return model_n_attachments(self(model)->under);
}

void model_over_attachment(const struct model *model, uint32_t index,
                           struct model_attachment *attachment)
{
    model_attachment(self(model)->under, index, attachment);
}

ingot_status model_over_read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                        uint64_t n_bytes, void *dst, ingot_error *error)
{
    return model_read_attachment(self(model)->under, index, offset, n_bytes, dst, error);
}
