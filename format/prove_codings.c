/* Proof of coding records, and their form in memory. */
#include <math.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"

/* What a coding record may hold, by map. */
struct map_row {
    uint8_t min_bits, max_bits;
    bool has_format;
    bool has_codebook;
    bool has_vector;
    bool is_opaque;
};
static const struct map_row maps[] = {
    [MAP_UINT] = {1, 64, false, false, false, false},
    [MAP_INT] = {1, 64, false, false, false, false},
    [MAP_FLOAT] = {4, 64, true, false, false, false},
    [MAP_CODEBOOK] = {1, 16, true, true, false, false},
    [MAP_VECTOR] = {1, 16, true, true, true, false},
    [MAP_OPAQUE] = {8, 8, false, false, false, true},
};

/* A coding being proved. */
struct proof {
    struct ingot_file *file;
    const struct coding_record *record;
    uint32_t index;
    ingot_error *error;
};

static uint64_t at(const struct proof *p, uint32_t field)
{
    return record_offset(p->file, SECTION_CODINGS, p->index, field);
}

static bool entry_format(uint8_t format)
{
    return format == INGOT_F32 || format == INGOT_F16 || format == INGOT_BF16 || format == INGOT_I8;
}

static ingot_status prove_map(const struct proof *p)
{
    const struct coding_record *r = p->record;
    if (r->map == 0 || r->map >= sizeof maps / sizeof *maps || r->bits < maps[r->map].min_bits ||
        r->bits > maps[r->map].max_bits) {
        return ingot_fail_rule(p->error, R_401, at(p, 0), "coding.map",
                               "coding %u: map %u of %u bits", p->index, r->map, r->bits);
    }
    const struct map_row *map = &maps[r->map];
    const bool float_format = r->format >= INGOT_F64 && r->format <= INGOT_F8_E5M2FNUZ;
    if (r->map == MAP_FLOAT && float_format &&
        ingot_dtype_bits((ingot_dtype)r->format) != r->bits) {
        return ingot_fail_rule(p->error, R_401, at(p, 1), "coding.bits",
                               "coding %u: %u bits of a format of %u", p->index, r->bits,
                               ingot_dtype_bits((ingot_dtype)r->format));
    }
    const bool format_fits = map->has_codebook ? entry_format(r->format)
                             : map->has_format ? float_format
                                               : r->format == 0;
    if (!format_fits) {
        return ingot_fail_rule(p->error, R_402, at(p, 2), "coding.format", "coding %u: %u",
                               p->index, r->format);
    }
    const bool vector_fits = map->has_vector ? (r->vector_length == 4 || r->vector_length == 8) &&
                                                   (r->signs == 0 || r->signs == 7 || r->signs == 8)
                                             : r->vector_length == 0 && r->signs == 0;
    if (!vector_fits) {
        return ingot_fail_rule(p->error, R_404, at(p, 3), "coding.vector_length",
                               "coding %u: length %u, signs %u", p->index, r->vector_length,
                               r->signs);
    }
    if (r->index_bits != 0 && r->index_bits != 16 && r->index_bits != 32) {
        return ingot_fail_rule(p->error, R_405, at(p, 5), "coding.index_bits", "coding %u: %u",
                               p->index, r->index_bits);
    }
    if (!r->reserved_zero) {
        return ingot_fail_rule(p->error, R_407, at(p, 6), "coding.reserved", "coding %u", p->index);
    }
    return INGOT_OK;
}

static ingot_status prove_codebook(const struct proof *p)
{
    const struct coding_record *r = p->record;
    bool fits = r->n_entries == 0 && r->codebook_stream == INGOT_NONE;
    if (maps[r->map].has_codebook) {
        fits = r->n_entries >= 1 && r->n_entries <= UINT32_C(1) << r->bits &&
               r->codebook_stream < p->file->sections[SECTION_STREAMS].n_records;
        if (fits) {
            const uint64_t per_entry = r->vector_length ? r->vector_length : 1;
            const uint64_t n_bytes = r->n_entries * per_entry * ingot_dtype_bits(r->format) / 8;
            fits = stream_at(p->file, r->codebook_stream).n_bytes == n_bytes;
        }
    }
    if (!fits) {
        return ingot_fail_rule(p->error, R_403, at(p, 8), "coding.n_entries",
                               "coding %u: %u entries in stream %u", p->index, r->n_entries,
                               r->codebook_stream);
    }
    return INGOT_OK;
}

static ingot_status prove_label(const struct proof *p)
{
    const struct coding_record *r = p->record;
    const ingot_status status = prove_string(p->file, r->name, at(p, 16), "coding.name", p->error);
    if (status != INGOT_OK) return status;
    bool fits = r->name.n_bytes <= MAX_CODING_NAME_BYTES;
    if (maps[r->map].is_opaque) {
        fits = fits && r->name.n_bytes > 0 && r->index_bits == 0 &&
               (r->block_weights == 0) == (r->block_bytes == 0);
        for (uint32_t i = 0; i < N_SLOTS; i++) fits = fits && r->slots[i].form == 0;
    } else {
        fits = fits && r->block_weights == 0 && r->block_bytes == 0;
    }
    if (!fits) {
        return ingot_fail_rule(p->error, R_406, at(p, 16), "coding.name", "coding %u", p->index);
    }
    return INGOT_OK;
}

/* Which group sizes a kind of group has. */
static bool group_fits(const struct slot_record *s)
{
    switch ((enum coding_group)s->group) {
    case GROUP_NONE: return s->group_rows == 0 && s->group_cols == 0;
    case GROUP_BLOCK: return true;
    case GROUP_TENSOR: return s->group_rows == 0 && s->group_cols == 0;
    case GROUP_RUN: return s->group_rows == 0 && s->group_cols > 0;
    case GROUP_COLUMN_INDEX: return s->group_cols > 0;
    }
    return false;
}

static ingot_status prove_slot_table(struct proof *p, uint32_t i, uint64_t offset)
{
    const struct slot_record *s = &p->record->slots[i];
    const bool has_table = s->form & FORM_TABLE;
    bool fits = s->table == INGOT_NONE;
    if (has_table) {
        fits = s->table < p->index && coding_fits_table(&p->file->codings[s->table]);
    }
    if (!fits) {
        return ingot_fail_rule(p->error, R_422, offset + 8, "slot.table",
                               "coding %u, slot %u: table %u", p->index, i, s->table);
    }
    return INGOT_OK;
}

static ingot_status prove_slot(struct proof *p, uint32_t i)
{
    const struct slot_record *s = &p->record->slots[i];
    const uint64_t offset = at(p, 32 + i * SLOT_BYTES);
    const bool known = (s->form & ~FORM_ALL) == 0 && (s->inverse & ~s->form) == 0 &&
                       (i != SLOT_ZERO || s->inverse == 0) && s->reserved_zero;
    if (!known) {
        return ingot_fail_rule(p->error, R_420, offset, "slot.form",
                               "coding %u, slot %u: form %u, inverse %u", p->index, i, s->form,
                               s->inverse);
    }
    const bool has_table = s->form & FORM_TABLE;
    if (has_table != (s->group != GROUP_NONE) || !group_fits(s)) {
        return ingot_fail_rule(p->error, R_421, offset + 2, "slot.group",
                               "coding %u, slot %u: group %u of %u x %llu", p->index, i, s->group,
                               s->group_rows, (unsigned long long)s->group_cols);
    }
    const bool has_constant = s->form & FORM_CONSTANT;
    if (has_constant ? !isfinite(f32_from_bits(s->constant_bits)) : s->constant_bits != 0) {
        return ingot_fail_rule(p->error, R_423, offset + 4, "slot.constant", "coding %u, slot %u",
                               p->index, i);
    }
    return prove_slot_table(p, i, offset);
}

static ingot_status prove_index_use(const struct proof *p)
{
    bool used = false;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        used |= p->record->slots[i].group == GROUP_COLUMN_INDEX;
    }
    if (used != (p->record->index_bits != 0)) {
        return ingot_fail_rule(p->error, R_424, at(p, 5), "coding.index_bits", "coding %u: %u",
                               p->index, p->record->index_bits);
    }
    return INGOT_OK;
}

static void resolve(const struct proof *p, struct ingot_coding *c)
{
    const struct coding_record *r = p->record;
    c->map = r->map;
    c->bits = r->bits;
    c->format = r->format;
    c->vector_length = r->vector_length;
    c->signs = r->signs;
    c->index_bits = r->index_bits;
    c->n_entries = r->n_entries;
    c->block_weights = r->block_weights;
    c->block_bytes = r->block_bytes;
    c->codebook_stream = r->codebook_stream;
    memcpy(c->name, string_at(p->file, r->name), r->name.n_bytes);
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct slot_record *s = &r->slots[i];
        c->slots[i] = (struct coding_slot){
            .has_table = s->form & FORM_TABLE,
            .has_constant = s->form & FORM_CONSTANT,
            .inverse_table = s->inverse & FORM_TABLE,
            .inverse_constant = s->inverse & FORM_CONSTANT,
            .group = s->group,
            .constant = f32_from_bits(s->constant_bits),
            .group_rows = s->group_rows,
            .group_cols = s->group_cols,
            .table = s->form & FORM_TABLE ? &p->file->codings[s->table] : NULL,
        };
    }
}

ingot_status prove_codings(struct ingot_file *file, ingot_error *error)
{
    const uint32_t n = file->sections[SECTION_CODINGS].n_records;
    file->codings = ingot_allocate_zeroed(file->allocator, n, sizeof *file->codings);
    ingot_status status = INGOT_OK;
    if (file->codings == NULL) {
        status = ingot_fail_memory(error, (uint64_t)n * sizeof *file->codings, "codings");
    }
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        struct coding_record record;
        coding_read(record_at(file, SECTION_CODINGS, i), &record);
        struct proof proof = {file, &record, i, error};
        status = prove_map(&proof);
        if (status == INGOT_OK) status = prove_codebook(&proof);
        if (status == INGOT_OK) status = prove_label(&proof);
        for (uint32_t k = 0; k < N_SLOTS && status == INGOT_OK; k++) {
            status = prove_slot(&proof, k);
        }
        if (status == INGOT_OK) status = prove_index_use(&proof);
        if (status == INGOT_OK) resolve(&proof, &file->codings[i]);
    }
    return status;
}
