/* Exports: the calls that do not depend on the dialect. */
#include "convert/dialect_export.h"

#include <stdio.h>
#include <string.h>

#include "convert/dialect.h"
#include "convert/raw_values.h"
#include "format/alloc.h"
#include "format/fail.h"

bool export_refuse(struct dialect_export *x, const char *why)
{
    snprintf(x->why_not, sizeof x->why_not, "%s", why);
    return false;
}

bool export_plain_float(const struct ingot_coding *coding)
{
    return coding->map == MAP_FLOAT && coding_is_raw(coding) &&
           (coding->format == INGOT_F32 || coding->format == INGOT_F16 ||
            coding->format == INGOT_BF16);
}

bool export_book(struct dialect_export *x, const struct ingot_coding *coding, uint64_t n_bytes,
                 uint8_t *dst)
{
    if (ingot_file_stream_bytes(x->file, coding->codebook_stream) != n_bytes) return false;
    const ingot_status status =
        ingot_file_read_stream(x->file, coding->codebook_stream, 0, n_bytes, dst, x->error);
    if (status != INGOT_OK) x->status = status;
    return status == INGOT_OK;
}

struct export_part *export_add(struct dialect_export *x, enum export_kind kind, const char *suffix)
{
    const uint32_t n_suffix = (uint32_t)strlen(suffix);
    struct export_part *part = &x->parts[x->n_parts];
    *part = (struct export_part){.kind = (uint8_t)kind};
    part->name_bytes = x->described.name_bytes + n_suffix;
    part->name = ingot_allocate(NULL, (uint64_t)part->name_bytes + 1);
    if (part->name == NULL) return NULL;
    memcpy(part->name, x->described.name, x->described.name_bytes);
    memcpy(part->name + x->described.name_bytes, suffix, n_suffix);
    x->n_parts++;
    return part;
}

void dialect_export_release(struct dialect_export *x)
{
    for (uint32_t i = 0; i < x->n_parts; i++) {
        ingot_release(NULL, x->parts[i].name);
        buffer_release(&x->parts[i].bytes);
    }
    *x = (struct dialect_export){0};
}

ingot_status dialect_export_open(const struct dialect *dialect, const ingot_file *file,
                                 uint32_t tensor, struct dialect_export *out, ingot_error *error)
{
    struct dialect_export *x = out;
    struct file_term term;
    uint32_t first_rescale;
    *x = (struct dialect_export){.file = file,
                                 .tensor = tensor,
                                 .stack = ingot_file_layout(file, tensor).shape,
                                 .error = error};
    ingot_file_tensor(file, tensor, &x->described);
    ingot_file_term(file, tensor, 0, &term);
    if (x->described.n_terms != 1 || term.kind != TERM_DENSE || term.coding->map == MAP_OPAQUE ||
        term.coding->index_bits || ingot_file_rescale(file, tensor, &first_rescale)) {
        export_refuse(x, "it is not one dense term of codes");
        return INGOT_OK;
    }
    x->first_stream = term.first_stream;
    x->coding = term.coding;
    const ingot_status status = dialect->export(x, error);
    return status == INGOT_OK ? x->status : status;
}

/* Floats of 16 or 32 bits as f32, at any byte. */
static ingot_status read_floats(const struct dialect_export *x, const struct export_part *part,
                                uint64_t offset, uint64_t n_bytes, uint8_t *dst, ingot_error *error)
{
    enum { STEP = 1024 };
    const uint32_t width = part->sequence.bits / 8;
    const uint64_t end = offset + n_bytes;
    uint8_t stored[4 * STEP], bytes[4 * STEP];
    float values[STEP];
    for (uint64_t first = offset / 4; first * 4 < end; first += STEP) {
        const uint64_t n = min_u64(STEP, ceil_div(end, 4) - first);
        ingot_status status = sequence_read(x->file, x->first_stream, &part->sequence,
                                            first * width, n * width, stored, error);
        if (status != INGOT_OK) return status;
        if (width == 4) {
            memcpy(bytes, stored, (size_t)n * 4); /* also what a NaN carries */
        } else {
            status = raw_values_f32((ingot_dtype)part->sequence.coding->format, stored, n, values,
                                    error);
            if (status != INGOT_OK) return status;
            for (uint64_t i = 0; i < n; i++) store_f32(bytes + 4 * i, values[i]);
        }
        const uint64_t from = max_u64(offset, first * 4), to = min_u64(end, (first + n) * 4);
        memcpy(dst + (from - offset), bytes + (from - first * 4), (size_t)(to - from));
    }
    return INGOT_OK;
}

ingot_status dialect_export_read(const struct dialect_export *x, uint32_t part, uint64_t offset,
                                 uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct export_part *p = &x->parts[part];
    if (p->kind == EXPORT_BYTES) {
        memcpy(dst, p->bytes.data + offset, (size_t)n_bytes);
        return INGOT_OK;
    }
    if (p->kind == EXPORT_F32) return read_floats(x, p, offset, n_bytes, dst, error);
    const ingot_status status =
        sequence_read(x->file, x->first_stream, &p->sequence, offset, n_bytes, dst, error);
    if (status == INGOT_OK && p->first_high) turn_codes(dst, n_bytes, p->sequence.bits);
    return status;
}
