/* Codes that stay in their file until a backend reads them, some rows at a time. */
#include <assert.h>

#include "runtime/resident_codes.h"
#include "runtime/resident_load.h"

struct unread_codes {
    struct resident_unread unread; /* first: what backends see */
    const ingot_file *file;
    const ingot_allocator *allocator;
    uint32_t stream;    /* the first of the codes; those of the sign codes follow them */
    uint64_t first_row; /* of the matrix in its stack */
    struct stack_shape codes;
    struct stack_shape signs;
    struct resident_dense dense; /* by which codes are checked */
};

/* The widths of planes, and bytes of their rows. */
static uint32_t plan_planes(uint8_t bits, uint64_t n_cols, struct resident_plane *planes)
{
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n = plane_widths(bits, widths);
    for (uint32_t i = 0; i < n; i++) {
        planes[i] = (struct resident_plane){NULL, stream_row_bytes(widths[i], n_cols), widths[i]};
    }
    return n;
}

static ingot_status read_planes(const struct unread_codes *codes,
                                const struct resident_plane *planes, uint32_t n_planes,
                                struct stack_shape shape, uint32_t stream, uint64_t first_row,
                                uint64_t n_rows, uint8_t *const memory[], ingot_error *error)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < n_planes && status == INGOT_OK; i++) {
        const struct row_source source = {codes->file, stream + i, NULL};
        struct stream_shape of_plane;
        const bool fits = plane_shape(planes[i].bits, shape, &of_plane);
        assert(fits); /* the streams of the file were proved */
        (void)fits;
        status = stream_rows_read_to(source, &of_plane, codes->first_row + first_row, n_rows,
                                     codes->allocator, memory[i], error);
    }
    return status;
}

static ingot_status read_unread(const struct resident_unread *unread, uint64_t first_row,
                                uint64_t n_rows, bool signs, uint8_t *const planes[],
                                ingot_error *error)
{
    const struct unread_codes *codes = (const struct unread_codes *)(const void *)unread;
    const struct load load = {.error = error};
    struct resident_dense dense = codes->dense;
    if (signs) {
        return read_planes(codes, dense.signs, dense.n_sign_planes, codes->signs,
                           codes->stream + dense.n_planes, first_row, n_rows, planes, error);
    }
    const ingot_status status = read_planes(codes, dense.planes, dense.n_planes, codes->codes,
                                            codes->stream, first_row, n_rows, planes, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < dense.n_planes; i++) dense.planes[i].data = planes[i];
    dense.n_rows = n_rows;
    return load_check_codes(&load, &dense);
}

ingot_status load_unread(const struct load *load, const struct ingot_coding *coding,
                         struct stack_shape stack, uint32_t stream, struct resident_dense *dense)
{
    const uint32_t *index = NULL;
    void *memory;
    ingot_status status = load_coding(load, coding, stack, &stream, &index, dense);
    if (status == INGOT_OK) status = load_take(load, sizeof(struct unread_codes), &memory);
    if (status != INGOT_OK) return status;
    struct unread_codes *codes = memory;
    *codes = (struct unread_codes){.unread = {.read = read_unread},
                                   .file = load->file,
                                   .allocator = load->store->allocator,
                                   .stream = stream,
                                   .first_row = load->matrix_index * stack.n_rows,
                                   .codes = stack,
                                   .signs = stack};
    if (coding->map == MAP_VECTOR) {
        codes->codes.n_cols = ceil_div(stack.n_cols, coding->vector_length);
    }
    codes->signs.n_cols = ceil_div(stack.n_cols, 8);
    dense->n_rows = stack.n_rows;
    dense->n_cols = stack.n_cols;
    dense->n_planes = plan_planes(coding->bits, codes->codes.n_cols, dense->planes);
    if (coding->signs != 0) {
        dense->n_sign_planes = plan_planes(coding->signs, codes->signs.n_cols, dense->signs);
    }
    dense->unread = &codes->unread;
    codes->dense = *dense;
    const uint64_t chunk_bytes = ingot_file_chunk_bytes(load->file, stream);
    const uint64_t row_bytes = dense->planes[0].row_bytes;
    if (row_bytes > 0 && chunk_bytes % row_bytes == 0) {
        codes->unread.grain = chunk_bytes / row_bytes;
    }
    return load_tables(load, coding, stack, stream + dense->n_planes + dense->n_sign_planes, index,
                       dense);
}
