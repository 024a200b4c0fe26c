/* Tensors of a file as resident matrices: the sum of terms as parts [7.2]. Leaves codings and masks
 * to their own files. */
#include "runtime/resident.h"

#include <assert.h>
#include <math.h>

#include "format/bytes.h"
#include "format/fail.h"
#include "format/term.h"
#include "runtime/resident_codes.h"
#include "runtime/resident_load.h"
#include "runtime/resident_rows.h"

ingot_status load_refuse(const struct load *load, const char *what)
{
    return ingot_fail(load->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                      "tensor \"%.*s\" has %s, which cannot be multiplied by",
                      (int)min_u64(load->tensor.name_bytes, 120), load->tensor.name, what);
}

ingot_status load_take(const struct load *load, uint64_t n_bytes, void **memory)
{
    return store_take(load->store, n_bytes, "matrix", memory, load->error);
}

ingot_status load_take_array(const struct load *load, uint64_t n, uint64_t element_bytes,
                             void **memory)
{
    return store_take_array(load->store, n, element_bytes, "matrix", memory, load->error);
}

/* The parts of the tensor at hand are those from `first` on; before are those of a tensor that
 * refers to it. */
struct parts {
    struct resident_matrix *matrix;
    uint32_t first;
};

static struct resident_part *first_part(const struct parts *parts)
{
    return parts->matrix->parts + parts->first;
}

static uint32_t n_own_parts(const struct parts *parts)
{
    return parts->matrix->n_parts - parts->first;
}

static struct resident_part *last_part(const struct parts *parts)
{
    return &parts->matrix->parts[parts->matrix->n_parts - 1];
}

static ingot_status new_part(const struct load *load, const struct parts *parts)
{
    if (parts->matrix->n_parts == RESIDENT_MAX_PARTS)
        return load_refuse(load, "more than 64 terms");
    load->store->group = store_group(parts->matrix->n_parts);
    parts->matrix->parts[parts->matrix->n_parts++] = (struct resident_part){.row_factors = NULL};
    return INGOT_OK;
}

/* ------------------------------------------------------------------ factors of rows */

/* *product becomes the n factors that are there, if any, times others, which the store owns. */
static ingot_status multiply_factors(const struct load *load, uint64_t n, const float *factors,
                                     const float **product)
{
    const float *before = *product;
    void *memory;
    load->store->group = INGOT_NONE;
    if (before == NULL) {
        *product = factors;
        return INGOT_OK;
    }
    const ingot_status status = load_take_array(load, n, sizeof *factors, &memory);
    if (status != INGOT_OK) return status;
    for (uint64_t i = 0; i < n; i++) ((float *)memory)[i] = before[i] * factors[i];
    *product = memory;
    return INGOT_OK;
}

/* Multiplies all rows of parts. */
static ingot_status add_factors(const struct load *load, struct resident_part *parts, uint32_t n,
                                const float *factors)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        status = multiply_factors(load, load->stack.n_rows, factors, &parts[i].row_factors);
    }
    return status;
}

/* One value a row of the matrix. */
static ingot_status load_row_values(const struct load *load, const struct ingot_coding *coding,
                                    uint32_t stream, float **values)
{
    const struct stack_shape stack = {load->stack.n_matrices, load->stack.n_rows, 1};
    const struct stack_part part = {load->matrix_index * stack.n_rows, stack.n_rows, 0, 1};
    void *memory;
    load->store->group = INGOT_NONE;
    const ingot_status status = load_take_array(load, stack.n_rows, sizeof **values, &memory);
    if (status != INGOT_OK) return status;
    *values = memory;
    return load_values(load, coding, stack, stream, part, memory);
}

/* DoRA: each row of the sum so far becomes magnitude * (row / norm). */
static ingot_status load_magnitude(const struct load *load, const struct parts *parts,
                                   const struct ingot_coding *coding, uint32_t stream)
{
    struct store temporary = {.allocator = load->store->allocator};
    struct resident_rows rows;
    const uint64_t n_cols = load->stack.n_cols;
    void *memory;
    float *factors = NULL;
    ingot_status status = load_row_values(load, coding, stream, &factors);
    if (status != INGOT_OK) goto done;
    status = resident_rows_begin(first_part(parts), n_own_parts(parts), n_cols, &temporary, &rows,
                                 load->error);
    if (status != INGOT_OK) goto done;
    status = store_take_array(&temporary, n_cols, sizeof(float), "row", &memory, load->error);
    if (status != INGOT_OK) goto done;
    const float *row = memory;
    for (uint64_t r = 0; r < load->stack.n_rows; r++) {
        float sum = 0.0f;
        resident_row(&rows, r, memory);
        for (uint64_t c = 0; c < n_cols; c++) {
            const float square = row[c] * row[c];
            sum = sum + square;
        }
        factors[r] = factors[r] / sqrtf(sum);
    }
    status = add_factors(load, first_part(parts), n_own_parts(parts), factors);
done:
    store_release(&temporary);
    return status;
}

/* ------------------------------------------------------------------ kinds of terms */

static ingot_status load_dense_term(const struct load *load, const struct file_term *term,
                                    const struct parts *parts)
{
    const ingot_status status = new_part(load, parts);
    if (status != INGOT_OK) return status;
    struct resident_dense *dense = &last_part(parts)->dense;
    last_part(parts)->kind = RESIDENT_DENSE;
    const bool is_wide = term->coding->bits > RESIDENT_MAX_CODE_BITS;
    if (load->leaves_unread && !is_wide && term->coding->map != MAP_OPAQUE) {
        return load_unread(load, term->coding, load->stack, term->first_stream, dense);
    }
    return load_dense(load, term->coding, load->stack, term->first_stream, dense);
}

static ingot_status load_sparse_term(const struct load *load, const struct file_term *term,
                                     const struct parts *parts)
{
    const ingot_status status = new_part(load, parts);
    return status == INGOT_OK ? load_sparse(load, term, last_part(parts)) : status;
}

static ingot_status load_lowrank_term(const struct load *load, const struct file_term *term,
                                      const struct parts *parts)
{
    const struct stack_shape a = {load->stack.n_matrices, term->rank, load->stack.n_cols};
    const struct stack_shape b = {load->stack.n_matrices, load->stack.n_rows, term->rank};
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n_a = 0, n_b = 0;
    const bool fits = coding_streams(term->coding, a, shapes, &n_a) &&
                      coding_streams(term->coding_b, b, shapes, &n_b);
    assert(fits);
    (void)fits;
    ingot_status status = new_part(load, parts);
    if (status != INGOT_OK) return status;
    struct resident_part *part = last_part(parts);
    part->kind = RESIDENT_LOWRANK;
    part->lowrank.multiplier = term->multiplier;
    status = load_dense(load, term->coding, a, term->first_stream, &part->lowrank.a);
    if (status != INGOT_OK) return status;
    load->store->group = store_group_b(parts->matrix->n_parts - 1);
    status = load_dense(load, term->coding_b, b, term->first_stream + n_a, &part->lowrank.b);
    if (status != INGOT_OK || term->magnitude == NULL) return status;
    return load_magnitude(load, parts, term->magnitude, term->first_stream + n_a + n_b);
}

static ingot_status load_tensor(struct load *load, struct resident_matrix *matrix);

static ingot_status load_ref_term(const struct load *load, const struct file_term *term,
                                  const struct parts *parts)
{
    const struct resident_options options = {.adapters = NULL};
    struct load of_base = *load;
    of_base.options = &options; /* without optional terms */
    const ingot_status status = ingot_file_follow(
        load->file, load->tensor_index, term, &of_base.file, &of_base.tensor_index, load->error);
    return status == INGOT_OK ? load_tensor(&of_base, parts->matrix) : status;
}

/* By enum term_kind. */
static ingot_status (*const term_loaders[])(const struct load *load, const struct file_term *term,
                                            const struct parts *parts) = {
    [TERM_DENSE] = load_dense_term,
    [TERM_SPARSE] = load_sparse_term,
    [TERM_LOWRANK] = load_lowrank_term,
    [TERM_REF] = load_ref_term,
};

/* ------------------------------------------------------------------ how terms combine */

static ingot_status combine_add(const struct load *load, const struct file_term *term,
                                const struct parts *parts)
{
    return term_loaders[term->kind](load, term, parts);
}

/* The kept values of the last part become what they exceed the parts before it by: raw f32. */
static ingot_status subtract_earlier(const struct load *load, const struct parts *parts)
{
    struct store temporary = {.allocator = load->store->allocator};
    struct resident_sparse *sparse = &last_part(parts)->sparse;
    struct resident_dense *values = &sparse->values;
    struct resident_rows earlier, own;
    void *row, *kept, *deltas, *coding;
    const uint64_t n_cols = load->stack.n_cols;
    ingot_status status = load_take_array(load, values->n_cols, sizeof(float), &deltas);
    if (status == INGOT_OK) status = load_take(load, sizeof(struct ingot_coding), &coding);
    if (status != INGOT_OK) goto done;
    status = resident_rows_begin(first_part(parts), n_own_parts(parts) - 1, n_cols, &temporary,
                                 &earlier, load->error);
    if (status != INGOT_OK) goto done;
    status = resident_rows_begin(last_part(parts), 1, n_cols, &temporary, &own, load->error);
    if (status != INGOT_OK) goto done;
    status = store_take_array(&temporary, n_cols, sizeof(float), "row", &row, load->error);
    if (status != INGOT_OK) goto done;
    status = store_take_array(&temporary, n_cols, sizeof(float), "row", &kept, load->error);
    if (status != INGOT_OK) goto done;
    for (uint64_t r = 0; r < load->stack.n_rows; r++) {
        const uint8_t *mask = sparse->mask.data + r * sparse->mask.row_bytes;
        uint32_t at = sparse->row_offsets[r];
        if (at == sparse->row_offsets[r + 1]) continue;
        resident_row(&earlier, r, row);
        resident_row(&own, r, kept);
        for (uint32_t c = 0; at < sparse->row_offsets[r + 1]; c++) {
            const bool listed = sparse->columns != NULL;
            if (!listed && !(mask[c / 8] >> c % 8 & 1)) continue;
            const uint32_t col = listed ? sparse->columns[at] : c;
            const float delta = ((float *)kept)[col] - ((float *)row)[col];
            if (!isfinite(delta)) {
                status = load_refuse(load, "replaced values that are not finite");
                goto done;
            }
            ((float *)deltas)[at++] = delta;
        }
    }
    *(struct ingot_coding *)coding = (struct ingot_coding){
        .map = MAP_FLOAT, .bits = 32, .format = INGOT_F32, .codebook_stream = INGOT_NONE};
    const uint64_t n = values->n_cols;
    *values = (struct resident_dense){.coding = coding, .n_rows = 1, .n_cols = n, .n_planes = 1};
    values->planes[0] = (struct resident_plane){deltas, n * sizeof(float), 32};
done:
    store_release(&temporary);
    return status;
}

/* n ones, but zeros where `zeros` says. */
static ingot_status ones_but(const struct load *load, uint64_t n, const uint32_t *zeros,
                             uint64_t n_zeros, const float **factors)
{
    void *memory;
    load->store->group = INGOT_NONE;
    const ingot_status status = load_take_array(load, n, sizeof(float), &memory);
    if (status != INGOT_OK) return status;
    float *made = memory;
    for (uint64_t i = 0; i < n; i++) made[i] = 1.0f;
    for (uint64_t i = 0; i < n_zeros; i++) made[zeros[i]] = 0.0f;
    *factors = made;
    return INGOT_OK;
}

/* Whole rows or columns that are replaced: the earlier parts have them no more. */
static ingot_status clear_earlier(const struct load *load, const struct parts *parts)
{
    const struct resident_dense *dense = &last_part(parts)->dense;
    struct resident_part *earlier = first_part(parts);
    const uint32_t n_earlier = n_own_parts(parts) - 1;
    const float *factors;
    ingot_status status;
    if (dense->rows != NULL) {
        status = ones_but(load, load->stack.n_rows, dense->rows, dense->n_rows, &factors);
        if (status != INGOT_OK) return status;
        return add_factors(load, earlier, n_earlier, factors);
    }
    status = ones_but(load, load->stack.n_cols, dense->columns, dense->n_cols, &factors);
    for (uint32_t i = 0; i < n_earlier && status == INGOT_OK; i++) {
        status = multiply_factors(load, load->stack.n_cols, factors, &earlier[i].column_factors);
    }
    return status;
}

static ingot_status combine_set(const struct load *load, const struct file_term *term,
                                const struct parts *parts)
{
    if (term->kind != TERM_SPARSE) { /* it holds every position */
        parts->matrix->n_parts = parts->first;
        return term_loaders[term->kind](load, term, parts);
    }
    const ingot_status status = load_sparse_term(load, term, parts);
    if (status != INGOT_OK) return status;
    if (last_part(parts)->kind == RESIDENT_SPARSE) return subtract_earlier(load, parts);
    return clear_earlier(load, parts);
}

/* A patch: the tensor has exact bits, which are held raw. Narrow ones are not planes. */
static ingot_status combine_xor(const struct load *load, const struct file_term *term,
                                const struct parts *parts)
{
    const uint64_t n = load->stack.n_rows * load->stack.n_cols;
    const uint64_t first = load->matrix_index * n;
    const uint8_t bits = term->coding->bits;
    void *coding, *codes;
    parts->matrix->n_parts = parts->first;
    ingot_status status = new_part(load, parts);
    if (status == INGOT_OK) status = load_take(load, sizeof(struct ingot_coding), &coding);
    if (status != INGOT_OK) return status;
    struct resident_dense *dense = &last_part(parts)->dense;
    struct ingot_coding *raw = coding;
    *raw = *term->coding;
    dense->coding = raw;
    dense->n_rows = load->stack.n_rows;
    dense->n_cols = load->stack.n_cols;
    dense->n_planes = 1;
    const bool as_bits = bits >= 8 && bits <= 32;
    if (!as_bits) *raw = (struct ingot_coding){.map = MAP_FLOAT, .bits = 32, .format = INGOT_F32};
    raw->codebook_stream = INGOT_NONE;
    status = load_take_array(load, n, raw->bits / 8, &codes);
    if (status != INGOT_OK) return status;
    dense->planes[0] =
        (struct resident_plane){codes, load->stack.n_cols * (raw->bits / 8), raw->bits};
    if (as_bits) {
        return ingot_file_read_raw(load->file, load->tensor_index, first * (bits / 8),
                                   n * (bits / 8), codes, load->error);
    }
    return ingot_file_decode_f32(load->file, load->tensor_index,
                                 load->matrix_index * load->stack.n_rows, load->stack.n_rows, codes,
                                 load->error);
}

/* By enum term_combine. */
static ingot_status (*const combiners[])(const struct load *load, const struct file_term *term,
                                         const struct parts *parts) = {
    [COMBINE_FIRST] = combine_add,
    [COMBINE_ADD] = combine_add,
    [COMBINE_SET] = combine_set,
    [COMBINE_XOR] = combine_xor,
};

/* ------------------------------------------------------------------ tensors */

static bool is_on(const struct load *load, const struct file_term *term)
{
    if (load->options->only_adapters && !term->optional) return false;
    return term_is_on(term, load->options->adapters, load->options->n_adapters);
}

/* Terms that only add to those before them, and read none of them. */
static bool only_adds(const struct load *load)
{
    for (uint32_t i = 0; i < load->tensor.n_terms; i++) {
        struct file_term term;
        ingot_file_term(load->file, load->tensor_index, i, &term);
        if (!is_on(load, &term)) continue;
        if (term.combine > COMBINE_ADD || term.magnitude != NULL) return false;
    }
    return true;
}

/* Adds the parts of the load's tensor to the matrix. */
static ingot_status load_tensor(struct load *load, struct resident_matrix *matrix)
{
    const struct parts parts = {matrix, matrix->n_parts};
    uint32_t n_magnitudes = 0;
    load->stack = ingot_file_layout(load->file, load->tensor_index).shape;
    ingot_file_tensor(load->file, load->tensor_index, &load->tensor);
    if (load->tensor.dtype == INGOT_C64) return load_refuse(load, "complex values");
    load->leaves_unread = load->leaves_unread && only_adds(load);
    for (uint32_t i = 0; i < load->tensor.n_terms; i++) {
        struct file_term term;
        ingot_file_term(load->file, load->tensor_index, i, &term);
        if (!is_on(load, &term)) continue;
        n_magnitudes += term.magnitude != NULL;
        if (n_magnitudes > 1) return load_refuse(load, "two magnitudes that are on");
        const ingot_status status = combiners[term.combine](load, &term, &parts);
        if (status != INGOT_OK) return status;
    }
    uint32_t stream;
    float *factors;
    const struct ingot_coding *rescale =
        ingot_file_rescale(load->file, load->tensor_index, &stream);
    if (rescale == NULL) return INGOT_OK;
    const ingot_status status = load_row_values(load, rescale, stream, &factors);
    if (status != INGOT_OK) return status;
    return add_factors(load, first_part(&parts), n_own_parts(&parts), factors);
}

ingot_status resident_load(const ingot_file *file, uint32_t tensor, uint64_t matrix_index,
                           const struct resident_options *options, struct store *store,
                           struct resident_matrix *matrix, ingot_error *error)
{
    struct load load = {
        .file = file,
        .tensor_index = tensor,
        .store = store,
        .error = error,
        .options = options,
        .matrix_index = matrix_index,
        .leaves_unread = options->leaves_unread,
    };
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    matrix->n_rows = stack.n_rows;
    matrix->n_cols = stack.n_cols;
    matrix->n_parts = 0;
    return load_tensor(&load, matrix);
}
