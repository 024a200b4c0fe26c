/* Proof of tensor and term records: shapes, order, names, and that every stream is as long as its
 * coding and shape say. */
#include <math.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"
#include "format/term.h"
#include "format/writer.h"

/* One term of one tensor. */
struct proof {
    const struct ingot_file *file;
    const struct tensor_record *tensor;
    struct stack_shape stack;
    uint32_t index; /* of the term record */
    const struct term_record *term;
    ingot_error *error;
};

static uint64_t at(const struct proof *p, uint32_t field)
{
    return record_offset(p->file, SECTION_TERMS, p->index, field);
}

static uint32_t count(const struct ingot_file *file, enum section_kind kind)
{
    return file->sections[kind].n_records;
}

void term_at(const struct ingot_file *file, uint32_t index, struct file_term *term)
{
    struct term_record record;
    const struct term_record *r = &record;
    term_read(record_at(file, SECTION_TERMS, index), &record);
    *term = (struct file_term){
        .number = index,
        .kind = r->kind,
        .combine = r->combine,
        .mask = r->mask,
        .optional = r->flags & TERM_OPTIONAL,
        .name = string_at(file, r->name),
        .name_bytes = r->name.n_bytes,
        .coding = r->coding == INGOT_NONE ? NULL : &file->codings[r->coding],
        .coding_b = r->coding_b == INGOT_NONE ? NULL : &file->codings[r->coding_b],
        .magnitude = r->magnitude == INGOT_NONE ? NULL : &file->codings[r->magnitude],
        .multiplier = f32_from_bits(r->multiplier_bits),
        .rank = r->rank,
        .block_rows = r->block_rows,
        .block_cols = r->block_cols,
        .n_kept = r->n_kept,
        .first_stream = r->first_stream,
        .n_streams = r->n_streams,
    };
}

/* Fields that a kind of term uses; the others are zero or NONE. */
struct kind_row {
    bool coding, coding_b, lowrank, sparse, ref;
};
static const struct kind_row kinds[] = {
    [TERM_DENSE] = {true, false, false, false, false},
    [TERM_SPARSE] = {true, false, false, true, false},
    [TERM_LOWRANK] = {true, true, true, false, false},
    [TERM_REF] = {false, false, false, false, true},
};

/* Opaque bytes have no values to add to. */
static bool opaque_alone(const struct proof *p, uint32_t coding)
{
    if (coding == INGOT_NONE || p->file->codings[coding].map != MAP_OPAQUE) return true;
    return p->term->kind == TERM_DENSE && p->tensor->n_terms == 1 &&
           p->tensor->rescale_coding == INGOT_NONE;
}

static bool coding_exists(const struct proof *p, uint32_t coding, bool wanted)
{
    return wanted ? coding < count(p->file, SECTION_CODINGS) : coding == INGOT_NONE;
}

static ingot_status prove_term_fields(const struct proof *p)
{
    const struct term_record *t = p->term;
    if (t->kind == 0 || t->kind >= sizeof kinds / sizeof *kinds) {
        return ingot_fail_rule(p->error, R_501, at(p, 0), "term.kind", "term %u: %u", p->index,
                               t->kind);
    }
    const struct kind_row *kind = &kinds[t->kind];
    if ((t->flags & ~TERM_OPTIONAL) != 0 || ((t->flags & TERM_OPTIONAL) && t->name.n_bytes == 0)) {
        return ingot_fail_rule(p->error, R_503, at(p, 2), "term.flags", "term %u: 0x%x", p->index,
                               t->flags);
    }
    const bool fits = coding_exists(p, t->coding, kind->coding) &&
                      coding_exists(p, t->coding_b, kind->coding_b) && opaque_alone(p, t->coding) &&
                      opaque_alone(p, t->coding_b) && (kind->lowrank || t->multiplier_bits == 0) &&
                      t->reserved_zero;
    if (!fits) {
        return ingot_fail_rule(p->error, R_505, at(p, 4), "term.coding",
                               "term %u: codings %u and %u", p->index, t->coding, t->coding_b);
    }
    const bool rank_fits = kind->lowrank ? t->rank >= 1 && t->rank <= MAX_LOWRANK &&
                                               isfinite(f32_from_bits(t->multiplier_bits))
                                         : t->rank == 0;
    if (!rank_fits) {
        return ingot_fail_rule(p->error, R_520, at(p, 32), "term.rank", "term %u: %u", p->index,
                               t->rank);
    }
    if (t->magnitude != INGOT_NONE && !(kind->lowrank && coding_exists(p, t->magnitude, true) &&
                                        coding_fits_table(&p->file->codings[t->magnitude]))) {
        return ingot_fail_rule(p->error, R_521, at(p, 56), "term.magnitude", "term %u", p->index);
    }
    if (!kind->sparse && (t->mask || t->block_rows || t->block_cols || t->n_kept)) {
        return ingot_fail_rule(p->error, R_510, at(p, 36), "term.mask",
                               "term %u is not sparse and has mask fields", p->index);
    }
    const bool ref_fits = kind->ref ? t->file < count(p->file, SECTION_FILES)
                                    : t->file == INGOT_NONE && t->target.n_bytes == 0;
    if (!ref_fits) {
        return ingot_fail_rule(p->error, R_530, at(p, 60), "term.file", "term %u: %u", p->index,
                               t->file);
    }
    return INGOT_OK;
}

/* Whether a tensor has the raw dense coding of its dtype, which xor needs. */
static bool is_raw_dense(const struct proof *p, const struct term_record *t)
{
    if (t->kind != TERM_DENSE) return false;
    const struct ingot_coding raw = raw_coding((ingot_dtype)p->tensor->dtype);
    const struct ingot_coding *c = &p->file->codings[t->coding];
    return coding_is_raw(c) && c->map == raw.map && c->bits == raw.bits && c->format == raw.format;
}

static ingot_status prove_combine(const struct proof *p)
{
    const struct term_record *t = p->term;
    const bool first = p->index == p->tensor->first_term;
    bool fits = t->combine <= COMBINE_XOR && first == (t->combine == COMBINE_FIRST);
    if (fits && t->combine == COMBINE_XOR) {
        struct term_record base;
        term_read(record_at(p->file, SECTION_TERMS, p->tensor->first_term), &base);
        fits = is_raw_dense(p, t) && base.kind == TERM_REF && p->tensor->n_terms == 2 &&
               p->tensor->rescale_coding == INGOT_NONE && !(t->flags & TERM_OPTIONAL);
    }
    if (fits && first) fits = !(t->flags & TERM_OPTIONAL);
    if (!fits) {
        return ingot_fail_rule(p->error, R_502, at(p, 1), "term.combine", "term %u: %u", p->index,
                               t->combine);
    }
    return INGOT_OK;
}

static ingot_status prove_term_streams(const struct proof *p)
{
    struct file_term term;
    struct stream_shape shapes[TERM_MAX_STREAMS];
    uint32_t n;
    struct stack_shape codes;
    bool by_rows;
    term_at(p->file, p->index, &term);
    if (term.kind == TERM_SPARSE && !sparse_codes(&term, p->stack, &codes, &by_rows)) {
        return ingot_fail_rule(p->error, R_510, at(p, 36), "term.mask",
                               "term %u: mask %u with %llu kept values", p->index, term.mask,
                               (unsigned long long)term.n_kept);
    }
    const uint32_t n_streams = count(p->file, SECTION_STREAMS);
    if (!term_streams(&term, p->stack, shapes, &n) || n != p->term->n_streams ||
        !range_within(p->term->first_stream, n, n_streams) ||
        (n == 0 && p->term->first_stream != 0)) {
        return ingot_fail_rule(p->error, R_504, at(p, 12), "term.n_streams",
                               "term %u: %u streams from %u", p->index, p->term->n_streams,
                               p->term->first_stream);
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t stream = p->term->first_stream + i;
        const uint64_t found = stream_at(p->file, stream).n_bytes;
        if (!shapes[i].any_length && found != shapes[i].n_bytes) {
            return ingot_fail_rule(
                p->error, R_410, record_offset(p->file, SECTION_STREAMS, stream, 0),
                "stream.n_bytes", "stream %u, the %u. of term %u: %llu bytes, not %llu", stream,
                i + 1, p->index, (unsigned long long)found, (unsigned long long)shapes[i].n_bytes);
        }
    }
    return INGOT_OK;
}

static ingot_status prove_term(struct proof *p)
{
    ingot_status status = prove_string(p->file, p->term->name, at(p, 20), "term.name", p->error);
    if (status == INGOT_OK) {
        status = prove_string(p->file, p->term->target, at(p, 64), "term.target", p->error);
    }
    if (status == INGOT_OK) status = prove_term_fields(p);
    if (status == INGOT_OK) status = prove_combine(p);
    if (status == INGOT_OK) status = prove_term_streams(p);
    return status;
}

/* ---- tensors ---- */

bool stack_of(uint32_t rank, const uint64_t *dims, uint8_t stack, uint8_t split,
              struct stack_shape *shape)
{
    struct stack_shape s = {1, 1, 1};
    uint64_t total = 1;
    for (uint32_t i = 0; i < rank; i++) {
        uint64_t *part = i < stack ? &s.n_matrices : i < split ? &s.n_rows : &s.n_cols;
        if (!mul_u64(total, max_u64(dims[i], 1), &total) || total >= MAX_TENSOR_ELEMENTS) {
            return false;
        }
        *part *= dims[i];
    }
    *shape = s;
    return true;
}

static ingot_status prove_shape(const struct ingot_file *file, uint32_t i,
                                const struct tensor_record *t, struct stack_shape *stack,
                                ingot_error *error)
{
    const uint64_t offset = record_offset(file, SECTION_TENSORS, i, 0);
    if (ingot_dtype_name((ingot_dtype)t->dtype) == NULL) {
        return ingot_fail_rule(error, R_601, offset + 8, "tensor.dtype", "tensor %u: %u", i,
                               t->dtype);
    }
    bool fits = t->reserved_zero && t->rank <= INGOT_MAX_RANK && t->split <= t->rank &&
                t->stack <= t->split;
    for (uint32_t k = t->rank; fits && k < INGOT_MAX_RANK; k++) fits = t->dims[k] == 0;
    if (!fits) {
        return ingot_fail_rule(error, R_602, offset + 9, "tensor.rank",
                               "tensor %u: rank %u, stack %u, split %u", i, t->rank, t->stack,
                               t->split);
    }
    if (!stack_of(t->rank, t->dims, t->stack, t->split, stack)) {
        return ingot_fail_rule(error, R_603, offset + 40, "tensor.dims", "tensor %u is too large",
                               i);
    }
    return prove_string(file, t->name, offset, "tensor.name", error);
}

static ingot_status prove_rescale(const struct ingot_file *file, uint32_t i,
                                  const struct tensor_record *t, struct stack_shape stack,
                                  ingot_error *error)
{
    if (t->rescale_coding == INGOT_NONE && t->rescale_stream == INGOT_NONE) return INGOT_OK;
    const struct stack_shape factors = {stack.n_matrices, stack.n_rows, 1};
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n;
    bool fits = t->rescale_coding < count(file, SECTION_CODINGS) &&
                coding_fits_table(&file->codings[t->rescale_coding]) &&
                coding_streams(&file->codings[t->rescale_coding], factors, shapes, &n) &&
                range_within(t->rescale_stream, n, count(file, SECTION_STREAMS));
    for (uint32_t k = 0; fits && k < n; k++) {
        fits = stream_at(file, t->rescale_stream + k).n_bytes == shapes[k].n_bytes;
    }
    if (!fits) {
        return ingot_fail_rule(error, R_608, record_offset(file, SECTION_TENSORS, i, 32),
                               "tensor.rescale_coding", "tensor %u", i);
    }
    return INGOT_OK;
}

/* Complex values have no f32 form, so that their terms must leave their bits alone. */
static ingot_status prove_complex(const struct ingot_file *file, uint32_t i,
                                  const struct tensor_record *t, ingot_error *error)
{
    if (t->dtype != INGOT_C64 || ingot_file_held_raw(file, i)) return INGOT_OK;
    struct term_record first, last;
    term_read(record_at(file, SECTION_TERMS, t->first_term), &first);
    term_read(record_at(file, SECTION_TERMS, t->first_term + t->n_terms - 1), &last);
    if (first.kind == TERM_REF && t->rescale_coding == INGOT_NONE &&
        (t->n_terms == 1 || last.combine == COMBINE_XOR)) {
        return INGOT_OK;
    }
    return ingot_fail_rule(error, R_601, record_offset(file, SECTION_TENSORS, i, 8), "tensor.dtype",
                           "tensor %u is c64 and not held raw", i);
}

static ingot_status prove_alias(const struct ingot_file *file, uint32_t i,
                                const struct tensor_record *t, ingot_error *error)
{
    bool same = t->alias_of < i;
    if (same) {
        const struct tensor_record o = tensor_at(file, t->alias_of);
        same = o.alias_of == INGOT_NONE && o.dtype == t->dtype && o.rank == t->rank &&
               o.stack == t->stack && o.split == t->split && o.first_term == t->first_term &&
               o.n_terms == t->n_terms && o.rescale_coding == t->rescale_coding &&
               o.rescale_stream == t->rescale_stream && memcmp(o.dims, t->dims, sizeof o.dims) == 0;
    }
    if (!same) {
        return ingot_fail_rule(error, R_605, record_offset(file, SECTION_TENSORS, i, 24),
                               "tensor.alias_of", "tensor %u: %u", i, t->alias_of);
    }
    return INGOT_OK;
}

/* The terms of tensor i, which begin at *next_term. */
static ingot_status prove_terms(const struct ingot_file *file, uint32_t i,
                                const struct tensor_record *t, struct stack_shape stack,
                                uint32_t *next_term, ingot_error *error)
{
    if (t->first_term != *next_term || t->n_terms < 1 || t->n_terms > MAX_TERMS ||
        !range_within(t->first_term, t->n_terms, count(file, SECTION_TERMS))) {
        return ingot_fail_rule(error, R_604, record_offset(file, SECTION_TENSORS, i, 16),
                               "tensor.first_term", "tensor %u: %u terms from %u", i, t->n_terms,
                               t->first_term);
    }
    uint32_t n_magnitudes = 0;
    for (uint32_t k = 0; k < t->n_terms; k++) {
        struct term_record term;
        term_read(record_at(file, SECTION_TERMS, t->first_term + k), &term);
        struct proof proof = {file, t, stack, t->first_term + k, &term, error};
        const ingot_status status = prove_term(&proof);
        if (status != INGOT_OK) return status;
        n_magnitudes += term.magnitude != INGOT_NONE && !(term.flags & TERM_OPTIONAL);
        if (n_magnitudes > 1) {
            return ingot_fail_rule(error, R_521, at(&proof, 56), "term.magnitude",
                                   "term %u is the second one with magnitudes that is not optional",
                                   proof.index);
        }
    }
    *next_term += t->n_terms;
    return INGOT_OK;
}

static int compare_names(const struct ingot_file *file, struct string_ref a, struct string_ref b)
{
    const uint32_t n = a.n_bytes < b.n_bytes ? a.n_bytes : b.n_bytes;
    const int order = n ? memcmp(string_at(file, a), string_at(file, b), n) : 0;
    if (order != 0) return order;
    return a.n_bytes < b.n_bytes ? -1 : a.n_bytes > b.n_bytes;
}

static ingot_status prove_names(const struct ingot_file *file, ingot_error *error)
{
    /* Strictly ascending names at n places name n different tensors. */
    const uint32_t n = count(file, SECTION_TENSORS);
    struct string_ref before = {0, 0};
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t index = tensor_at(file, i).by_name;
        bool ascending = index < n;
        if (ascending) {
            const struct string_ref name = tensor_at(file, index).name;
            ascending = i == 0 || compare_names(file, before, name) < 0;
            before = name;
        }
        if (!ascending) {
            return ingot_fail_rule(error, R_606, record_offset(file, SECTION_TENSORS, i, 28),
                                   "tensor.by_name", "entry %u: %u", i, index);
        }
    }
    return INGOT_OK;
}

ingot_status prove_tensors(const struct ingot_file *file, ingot_error *error)
{
    uint32_t next_term = 0;
    for (uint32_t i = 0; i < count(file, SECTION_TENSORS); i++) {
        const struct tensor_record t = tensor_at(file, i);
        struct stack_shape stack;
        ingot_status status = prove_shape(file, i, &t, &stack, error);
        if (status != INGOT_OK) return status;
        if (t.alias_of != INGOT_NONE) {
            status = prove_alias(file, i, &t, error);
        } else {
            status = prove_terms(file, i, &t, stack, &next_term, error);
            if (status == INGOT_OK) status = prove_rescale(file, i, &t, stack, error);
            if (status == INGOT_OK) status = prove_complex(file, i, &t, error);
        }
        if (status != INGOT_OK) return status;
    }
    if (next_term != count(file, SECTION_TERMS)) {
        return ingot_fail_rule(error, R_604, record_offset(file, SECTION_TERMS, next_term, 0),
                               "term", "term %u belongs to no tensor", next_term);
    }
    return prove_names(file, error);
}
