/* How much memory a matrix will take on a device, from the index of its file and the codebooks of
 * vectors, whose values decide their form. Every amount is
 * at least what loading takes; the tests hold both ends. */
#include <assert.h>

#include "format/bytes.h"
#include "format/fail.h"
#include "format/reader.h"
#include "format/term.h"
#include "runtime/device.h"
#include "runtime/resident.h"
#include "runtime/resident_codes.h"

enum {
    ROW_ALIGN = 16,   /* in a layout of a device's own rows are filled up to at most this */
    PART_BYTES = 256, /* what a term or a part may take besides its arrays and its description */
};

struct forecast {
    const ingot_device *device;
    uint64_t matrix_index;
    bool in_place;
    ingot_error *error;
    uint64_t n_parts;
    uint64_t n_bytes; /* UINT64_MAX: more than can be counted */
};

/* Codes of one matrix: n_rows x n_cols of a coding over a stack, whose first stream is `stream`. */
struct codes {
    const ingot_file *file;
    uint32_t stream;
    const struct ingot_coding *coding;
    uint64_t n_rows;
    uint64_t n_cols;
    struct stack_shape stack;
};

static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t n;
    return mul_u64(a, b, &n) ? n : UINT64_MAX;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t n;
    return add_u64(a, b, &n) ? n : UINT64_MAX;
}

static void add(struct forecast *f, uint64_t n_bytes)
{
    f->n_bytes = sum(f->n_bytes, n_bytes);
}

/* ------------------------------------------------------------------ codings */

static uint64_t planes_bytes(uint8_t bits, uint64_t n_rows, uint64_t n_cols, bool own)
{
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n = plane_widths(bits, widths);
    const uint64_t align = own ? ROW_ALIGN : 1;
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t row_bytes = stream_row_bytes(widths[i], n_cols);
        n_bytes = sum(n_bytes, product(n_rows, ceil_div(row_bytes, align) * align));
    }
    return n_bytes;
}

static uint64_t codes_bytes(const struct ingot_coding *coding, uint64_t n_rows, uint64_t n_cols,
                            bool own)
{
    const uint64_t vector = max_u64(coding->vector_length, 1);
    uint64_t n_bytes;
    if (coding->bits > RESIDENT_MAX_CODE_BITS) return planes_bytes(32, n_rows, n_cols, own);
    n_bytes = planes_bytes(coding->bits, n_rows, ceil_div(n_cols, vector), own);
    if (coding->signs) {
        n_bytes = sum(n_bytes, planes_bytes(coding->signs, n_rows, ceil_div(n_cols, 8), own));
    }
    return n_bytes;
}

static uint64_t tables_bytes(const struct ingot_coding *coding, struct stack_shape stack, bool own);

/* What comes with the codes. */
static uint64_t extras_bytes(const struct ingot_coding *coding, struct stack_shape stack, bool own)
{
    const uint64_t entries = product(coding->n_entries, max_u64(coding->vector_length, 1));
    uint64_t n_bytes = product(entries, sizeof(float));
    if (coding->index_bits) n_bytes = sum(n_bytes, product(stack.n_cols, sizeof(uint32_t)));
    return sum(n_bytes, tables_bytes(coding, stack, own));
}

/* A coding of n_rows x n_cols codes of one matrix of the stack. `own`: the device has a layout of
 * its own, with rows filled up and tables in tables as they are or worked out. */
static uint64_t coding_resident_bytes(const struct ingot_coding *coding, uint64_t n_rows,
                                      uint64_t n_cols, struct stack_shape stack, bool own)
{
    return sum(codes_bytes(coding, n_rows, n_cols, own), extras_bytes(coding, stack, own));
}

static uint64_t tables_bytes(const struct ingot_coding *coding, struct stack_shape stack, bool own)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        struct stack_shape grid;
        if (!slot->has_table || !slot_grid(slot, stack, &grid)) continue;
        const struct ingot_coding *table = slot->table;
        const uint64_t n = product(grid.n_rows, grid.n_cols);
        if (coding_is_raw(table) && table->format == INGOT_F16) {
            n_bytes = sum(n_bytes, product(n, 2));
        } else {
            const uint64_t nested =
                coding_resident_bytes(table, grid.n_rows, grid.n_cols, grid, own);
            n_bytes = sum(n_bytes, own ? max_u64(nested, product(n, sizeof(float))) : nested);
        }
        n_bytes = sum(n_bytes, ROW_ALIGN);
    }
    return n_bytes;
}

/* ------------------------------------------------------------------ terms */

/* Whether codes stay in the file. */
static bool are_in_place(const struct forecast *f, const struct codes *codes)
{
    const struct row_source source = {codes->file, codes->stream, NULL};
    const struct stack_shape shape = {codes->stack.n_matrices, codes->n_rows, codes->n_cols};
    return f->in_place && f->device->backend->reads_in_place &&
           resident_place(source, codes->coding, shape, f->matrix_index * codes->n_rows,
                          codes->n_rows) != NULL;
}

/* Dense codes: as they are, or in the device's own form, or the larger of both where that is not
 * certain. */
static ingot_status add_codes(struct forecast *f, const struct codes *codes)
{
    const struct ingot_coding *coding = codes->coding;
    const struct ingot_backend *backend = f->device->backend;
    struct store store = {.allocator = f->device->allocator};
    const float *codebook = NULL;
    if (are_in_place(f, codes)) return INGOT_OK;
    uint64_t n_bytes = coding_resident_bytes(coding, codes->n_rows, codes->n_cols, codes->stack,
                                             !backend->reads_in_place);
    if (coding->codebook_stream != INGOT_NONE) {
        const ingot_status status =
            resident_codebook(codes->file, coding, &store, &codebook, f->error);
        if (status != INGOT_OK) return status;
    }
    if (backend->row_bytes != NULL) {
        const uint64_t row_bytes =
            backend->row_bytes(coding, codebook, codes->n_rows, codes->n_cols);
        n_bytes = sum(product(codes->n_rows, row_bytes), extras_bytes(coding, codes->stack, true));
    }
    if (backend->own_form != NULL) {
        uint64_t n_own;
        const bool is_vector = coding->map == MAP_VECTOR;
        const bool certain = backend->own_form(f->device->opened, coding, codes->n_rows,
                                               codes->n_cols, is_vector ? codebook : NULL, &n_own);
        n_bytes = certain ? n_own : max_u64(n_bytes, n_own);
    }
    store_release(&store);
    add(f, n_bytes);
    return INGOT_OK;
}

static ingot_status add_dense(struct forecast *f, const ingot_file *file,
                              const struct file_term *term, struct stack_shape stack)
{
    f->n_parts++;
    return add_codes(f, &(struct codes){file, term->first_stream, term->coding, stack.n_rows,
                                        stack.n_cols, stack});
}

/* Where rows begin, and columns or a bitmap with, on some devices, counts of what is held before
 * each word. */
static uint64_t positions_bytes(const struct file_term *term, struct stack_shape stack,
                                uint64_t n_kept, bool counts)
{
    const uint64_t offsets = product(sum(stack.n_rows, 1), sizeof(uint32_t));
    const uint64_t bitmap = product(stack.n_rows, stream_row_bytes(1, stack.n_cols));
    if (term->mask == MASK_LIST) return sum(offsets, product(n_kept, sizeof(uint32_t)));
    return sum(offsets, product(bitmap, counts ? 2 : 1));
}

static ingot_status add_sparse(struct forecast *f, const ingot_file *file,
                               const struct file_term *term, struct stack_shape stack)
{
    const uint64_t n_weights = product(stack.n_rows, stack.n_cols);
    const uint64_t n_kept = min_u64(term->n_kept, n_weights);
    uint64_t rows = 1, cols = n_kept;
    if (term->mask == MASK_ROWS) {
        rows = n_kept / max_u64(stack.n_cols, 1);
        cols = stack.n_cols;
    } else if (term->mask == MASK_COLUMNS) {
        rows = stack.n_rows;
        cols = min_u64(term->n_kept / max_u64(product(stack.n_matrices, stack.n_rows), 1),
                       stack.n_cols);
    }
    f->n_parts++;
    if (term->combine == COMBINE_SET) add(f, product(n_kept, sizeof(float)));
    if (term->mask == MASK_ROWS || term->mask == MASK_COLUMNS) {
        add(f, product(term->mask == MASK_ROWS ? rows : cols, sizeof(uint32_t)));
    } else {
        add(f, positions_bytes(term, stack, n_kept, !f->device->backend->reads_in_place));
    }
    if (term->mask == MASK_COLUMNS) {
        return add_codes(f, &(struct codes){file, term->first_stream + term_values_stream(term),
                                            term->coding, rows, cols, stack});
    }
    const struct ingot_backend *backend = f->device->backend;
    add(f, coding_resident_bytes(term->coding, rows, cols, stack, !backend->reads_in_place));
    if (backend->kept_bytes != NULL && term->mask != MASK_ROWS && term->mask != MASK_LIST) {
        add(f, backend->kept_bytes(f->device->opened, term->coding, stack.n_rows, stack.n_cols));
    }
    return INGOT_OK;
}

static ingot_status add_lowrank(struct forecast *f, const ingot_file *file,
                                const struct file_term *term, struct stack_shape stack)
{
    const struct stack_shape a = {stack.n_matrices, term->rank, stack.n_cols};
    const struct stack_shape b = {stack.n_matrices, stack.n_rows, term->rank};
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n_a = 0;
    const bool fits = coding_streams(term->coding, a, shapes, &n_a);
    assert(fits); /* the streams of the file were proved */
    (void)fits;
    f->n_parts++;
    const struct codes of_a = {file, term->first_stream, term->coding, a.n_rows, a.n_cols, a};
    const ingot_status status = add_codes(f, &of_a);
    if (status != INGOT_OK) return status;
    return add_codes(
        f, &(struct codes){file, term->first_stream + n_a, term->coding_b, b.n_rows, b.n_cols, b});
}

static ingot_status (*const adders[])(struct forecast *f, const ingot_file *file,
                                      const struct file_term *term, struct stack_shape stack) = {
    [TERM_DENSE] = add_dense,
    [TERM_SPARSE] = add_sparse,
    [TERM_LOWRANK] = add_lowrank,
};

/* ------------------------------------------------------------------ tensors */

static ingot_status add_tensor(struct forecast *f, const ingot_file *file, uint32_t tensor,
                               const ingot_matrix_options *options);

static ingot_status add_term(struct forecast *f, const ingot_file *file, uint32_t tensor,
                             const struct file_term *term, struct stack_shape stack)
{
    const ingot_file *base;
    uint32_t target;
    if (term->coding != NULL && term->coding->map == MAP_OPAQUE) {
        return ingot_fail(f->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                          "foreign codes (%s) cannot be multiplied by", term->coding->name);
    }
    add(f, PART_BYTES);
    if (term->combine == COMBINE_XOR) {
        static const struct ingot_coding exact = {
            .map = MAP_FLOAT, .bits = 32, .format = INGOT_F32};
        const bool in_place = f->in_place;
        f->n_parts++;
        f->in_place = false; /* they are worked out */
        const ingot_status status =
            add_codes(f, &(struct codes){file, 0, &exact, stack.n_rows, stack.n_cols, stack});
        f->in_place = in_place;
        return status;
    }
    if (term->kind != TERM_REF) {
        return adders[term->kind](f, file, term, stack);
    }
    const ingot_status status = ingot_file_follow(file, tensor, term, &base, &target, f->error);
    return status == INGOT_OK ? add_tensor(f, base, target, &matrix_defaults) : status;
}

static ingot_status add_tensor(struct forecast *f, const ingot_file *file, uint32_t tensor,
                               const ingot_matrix_options *options)
{
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    const uint64_t before = f->n_bytes;
    ingot_tensor t;
    ingot_file_tensor(file, tensor, &t);
    if (t.dtype == INGOT_C64) {
        return ingot_fail(f->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                          "complex values cannot be multiplied by");
    }
    for (uint32_t k = 0; k < t.n_terms; k++) {
        struct file_term term;
        ingot_file_term(file, tensor, k, &term);
        if (!term_is_on(&term, options->adapters, options->n_adapters)) continue;
        const bool replaces_all = term.combine == COMBINE_XOR ||
                                  (term.combine == COMBINE_SET && term.kind != TERM_SPARSE);
        if (replaces_all) f->n_bytes = before;
        const ingot_status status = add_term(f, file, tensor, &term, stack);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

ingot_status ingot_matrix_forecast(const ingot_device *device, const ingot_file *file,
                                   uint32_t tensor, uint64_t matrix_index,
                                   const ingot_matrix_options *options, uint64_t *n_bytes,
                                   ingot_error *error)
{
    if (options == NULL) options = &matrix_defaults;
    struct forecast f = {.device = device,
                         .matrix_index = matrix_index,
                         .in_place = options->in_place,
                         .error = error};
    assert(tensor < ingot_file_n_tensors(file));
    assert(matrix_index < ingot_file_layout(file, tensor).shape.n_matrices);
    ingot_status status = check_activations(options->activations, error);
    if (status == INGOT_OK) status = add_tensor(&f, file, tensor, options);
    if (status != INGOT_OK) return status;
    /* Backends keep the descriptions of parts. */
    const uint64_t n_brought = options->switchable ? 1 + (uint64_t)options->n_adapters : 1;
    add(&f, sum(product(f.n_parts, sizeof(struct resident_part) + PART_BYTES),
                product(n_brought, PART_BYTES)));
    *n_bytes = f.n_bytes;
    return INGOT_OK;
}
