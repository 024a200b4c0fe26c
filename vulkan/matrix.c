/* Bringing a matrix to a device: its parts are cut into pieces that fit one allocation, and each
 * piece becomes a pass. Runs nothing. */
#include "vulkan/matrix.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/plan.h"
#include "vulkan/stream.h"

/* Every vector of the scratch has room for at least this, so that several rows of x share one
 * submission. */
static const uint64_t min_scratch_bytes = UINT64_C(4) << 20;

/* Where a part is put together. */
struct builder {
    struct vk_device *device;
    struct vk_matrix *matrix;
    ingot_error *error;
};

/* Where the result of a coding goes. */
struct target {
    enum vk_vector input;
    enum vk_vector output;
    bool adds;
    float multiplier;
    const char *label;
};

static uint64_t vector_floats(uint64_t n)
{
    return ceil_div(max_u64(n, 1), VECTOR_ALIGN) * VECTOR_ALIGN;
}

/* A pass with a region of n_bytes, at the end of the matrix's list; it belongs to the matrix. */
static ingot_status add_pass(struct builder *build, const struct vk_kernel *kernel,
                             const struct target *target, uint64_t n_bytes, struct vk_pass **pass)
{
    struct vk_device *const device = build->device;
    struct vk_pass *made = ingot_allocate_zeroed(device->allocator, 1, sizeof *made);
    if (!made) return ingot_fail_memory(build->error, sizeof *made, target->label);
    if (build->matrix->last)
        build->matrix->last->next = made;
    else
        build->matrix->passes = made;
    build->matrix->last = made;

    made->input = target->input;
    made->output = target->output;
    made->push.multiplier = target->multiplier;
    snprintf(made->label, sizeof made->label, "%s", target->label);
    const ingot_status status =
        ingot_vk_pipeline_find(device, kernel, &made->pipeline, build->error);
    if (status != INGOT_OK) return status;
    build->matrix->resident_bytes += n_bytes;
    *pass = made;
    return ingot_vk_region_take(device, max_u64(n_bytes, 16), target->label, &made->region,
                                build->error);
}

/* Rows of row_bytes bytes that fit one piece; at least one, which then is refused when taken. */
static uint64_t rows_per_piece(const struct vk_device *device, uint64_t row_bytes)
{
    /* The last word of a table may be filled up. */
    return max_u64((device->slab_bytes - 3) / max_u64(row_bytes, 1), 1);
}

/* Writes n_rows rows, of which code_bytes count, filled up with zeros to row_bytes each. */
static void write_rows(struct vk_stream *stream, const struct resident_plane *plane,
                       uint64_t first_row, uint64_t n_rows, uint64_t code_bytes, uint64_t row_bytes)
{
    const uint8_t *const first = plane->data + first_row * plane->row_bytes;
    if (plane->row_bytes == row_bytes) {
        ingot_vk_stream_write(stream, first, n_rows * row_bytes);
        return;
    }
    for (uint64_t r = 0; r < n_rows; r++) {
        ingot_vk_stream_write(stream, first + r * plane->row_bytes, code_bytes);
        ingot_vk_stream_write_zeros(stream, row_bytes - code_bytes);
    }
}

/* One piece of a dense coding: its rows of codes, then its scales. */
static ingot_status add_dense_piece(struct builder *build, const struct resident_dense *dense,
                                    const struct vk_gemv_plan *plan, const struct target *target,
                                    uint64_t first_row, uint64_t n_rows)
{
    const uint64_t row_bytes = plan->row_steps * UINT64_C(16);
    const uint64_t table_row_bytes = plan->table_row * plan->scale_bytes;
    const uint64_t table_bytes = ceil_div(n_rows * table_row_bytes, 4) * 4;
    struct vk_pass *pass = NULL;
    const ingot_status status =
        add_pass(build, &plan->kernel, target, n_rows * row_bytes + table_bytes, &pass);
    if (status != INGOT_OK) return status;

    pass->push.codes = ingot_vk_region_address(&pass->region);
    pass->push.table = pass->push.codes + n_rows * row_bytes;
    pass->push.row_units = plan->row_steps;
    pass->push.table_row = (uint32_t)plan->table_row;
    pass->push.scale = plan->scale;
    pass->push.x_stride = (uint32_t)build->matrix->floats[target->input];
    pass->push.y_stride = (uint32_t)build->matrix->floats[target->output];
    pass->first_output = (uint32_t)first_row;
    pass->n_rows = (uint32_t)n_rows;
    pass->group_rows = plan->group_rows;
    pass->row_weights = dense->n_cols;

    struct vk_stream stream = ingot_vk_stream_begin(build->device, &pass->region, build->error);
    write_rows(&stream, &dense->planes[0], first_row, n_rows, plan->code_bytes, row_bytes);
    if (table_row_bytes > 0) {
        const uint8_t *const table = dense->tables[SLOT_SCALE].data;
        ingot_vk_stream_write(&stream, table + first_row * table_row_bytes,
                              n_rows * table_row_bytes);
    }
    ingot_vk_stream_write_zeros(&stream, pass->region.n_bytes - stream.n_written);
    return ingot_vk_stream_end(&stream);
}

static ingot_status add_dense(struct builder *build, const struct resident_dense *dense,
                              const struct target *target)
{
    struct vk_gemv_plan plan;
    ingot_status status =
        ingot_vk_gemv_plan_make(dense, target->adds, target->label, &plan, build->error);
    if (status != INGOT_OK) return status;
    const uint64_t row_bytes = plan.row_steps * UINT64_C(16) + plan.table_row * plan.scale_bytes;
    const uint64_t at_most = rows_per_piece(build->device, row_bytes);
    for (uint64_t row = 0; row < dense->n_rows && status == INGOT_OK; row += at_most) {
        const uint64_t n_rows = min_u64(at_most, dense->n_rows - row);
        status = add_dense_piece(build, dense, &plan, target, row, n_rows);
    }
    return status;
}

static uint32_t mask_word(const struct resident_sparse *sparse, uint64_t row, uint64_t word)
{
    return load_u32(sparse->mask.data + row * sparse->mask.row_bytes + word * 4);
}

static uint32_t count_bits(uint32_t bits)
{
    uint32_t n = 0;
    for (; bits; bits &= bits - 1) n++;
    return n;
}

/* Writes the start offset of each mask block of the rows, counted from the first row's first
 * value. A kernel trusts them, so a row whose mask and offsets disagree is refused. */
static ingot_status write_offsets(struct builder *build, struct vk_stream *stream,
                                  const struct resident_sparse *sparse,
                                  const struct vk_sparse_plan *plan, uint64_t first_row,
                                  uint64_t n_rows)
{
    const uint32_t *const offsets = sparse->row_offsets + first_row;
    for (uint64_t r = 0; r < n_rows; r++) {
        uint32_t at = offsets[r] - offsets[0];
        for (uint64_t word = 0; word < plan->row_words; word++) {
            if (word % SPARSE_BLOCK_WORDS == 0) ingot_vk_stream_write(stream, &at, sizeof at);
            at += count_bits(mask_word(sparse, first_row + r, word));
        }
        if (at != offsets[r + 1] - offsets[0]) {
            return ingot_fail(build->error, INGOT_INVALID, INGOT_NO_OFFSET, "sparse part",
                              "the mask of row %llu keeps %u weights, its offsets say %u",
                              (unsigned long long)(first_row + r), at - (offsets[r] - offsets[0]),
                              offsets[r + 1] - offsets[r]);
        }
    }
    return INGOT_OK;
}

/* One piece of a sparse part: its mask, its block offsets, its values. */
static ingot_status add_sparse_piece(struct builder *build, const struct resident_sparse *sparse,
                                     const struct vk_sparse_plan *plan, const struct target *target,
                                     uint64_t first_row, uint64_t n_rows)
{
    const uint32_t *const offsets = sparse->row_offsets + first_row;
    const uint64_t mask_row_bytes = plan->row_words * UINT64_C(4);
    const uint64_t table_bytes = n_rows * plan->row_blocks * 4;
    const uint64_t value_bytes = (offsets[n_rows] - offsets[0]) * plan->value_bytes;
    struct vk_pass *pass = NULL;
    ingot_status status =
        add_pass(build, &plan->kernel, target,
                 n_rows * mask_row_bytes + table_bytes + ceil_div(value_bytes, 4) * 4, &pass);
    if (status != INGOT_OK) return status;

    pass->push.codes = ingot_vk_region_address(&pass->region);
    pass->push.table = pass->push.codes + n_rows * mask_row_bytes;
    pass->push.values = pass->push.table + table_bytes;
    pass->push.row_units = plan->row_words;
    pass->push.table_row = plan->row_blocks;
    pass->push.x_stride = (uint32_t)build->matrix->floats[target->input];
    pass->push.y_stride = (uint32_t)build->matrix->floats[target->output];
    pass->first_output = (uint32_t)first_row;
    pass->n_rows = (uint32_t)n_rows;
    pass->group_rows = plan->group_rows;
    pass->row_weights = build->matrix->n_cols;

    struct vk_stream stream = ingot_vk_stream_begin(build->device, &pass->region, build->error);
    write_rows(&stream, &sparse->mask, first_row, n_rows, mask_row_bytes, mask_row_bytes);
    status = write_offsets(build, &stream, sparse, plan, first_row, n_rows);
    if (status == INGOT_OK) {
        const uint8_t *const values = sparse->values.planes[0].data;
        ingot_vk_stream_write(&stream, values + offsets[0] * plan->value_bytes, value_bytes);
        ingot_vk_stream_write_zeros(&stream, pass->region.n_bytes - stream.n_written);
    } else {
        stream.status = status;
    }
    return ingot_vk_stream_end(&stream);
}

static ingot_status add_sparse(struct builder *build, const struct resident_sparse *sparse,
                               const struct target *target)
{
    struct vk_sparse_plan plan;
    ingot_status status = ingot_vk_sparse_plan_make(sparse, build->matrix->n_cols, target->adds,
                                                    target->label, &plan, build->error);
    if (status != INGOT_OK) return status;
    const uint64_t fixed_row_bytes = (plan.row_words + plan.row_blocks) * UINT64_C(4);
    const uint64_t n_rows = build->matrix->n_rows;
    const uint64_t room = build->device->slab_bytes - 3;
    for (uint64_t row = 0; row < n_rows && status == INGOT_OK;) {
        uint64_t n = 0;
        uint64_t n_bytes = 0;
        /* At least one row, which is refused when taken if it does not fit. */
        while (row + n < n_rows && (n == 0 || n_bytes <= room)) {
            const uint32_t *const offsets = sparse->row_offsets + row + n;
            n_bytes += fixed_row_bytes + (uint64_t)(offsets[1] - offsets[0]) * plan.value_bytes;
            n++;
        }
        if (n > 1 && n_bytes > room) n--;
        status = add_sparse_piece(build, sparse, &plan, target, row, n);
        row += n;
    }
    return status;
}

/* ------------------------------------------------------------------ parts, one function a kind */

static ingot_status upload_dense(struct builder *build, const struct resident_part *part,
                                 uint32_t index)
{
    char label[32];
    snprintf(label, sizeof label, "part %u dense", index);
    const struct target target = {VECTOR_X, VECTOR_Y, index > 0, 1.0f, label};
    assert(part->dense.n_rows == build->matrix->n_rows);
    assert(part->dense.n_cols == build->matrix->n_cols);
    return add_dense(build, &part->dense, &target);
}

static ingot_status upload_sparse(struct builder *build, const struct resident_part *part,
                                  uint32_t index)
{
    char label[32];
    snprintf(label, sizeof label, "part %u sparse", index);
    const struct target target = {VECTOR_X, VECTOR_Y, index > 0, 1.0f, label};
    return add_sparse(build, &part->sparse, &target);
}

/* t = A x, then y += multiplier * B t. */
static ingot_status upload_lowrank(struct builder *build, const struct resident_part *part,
                                   uint32_t index)
{
    char label_a[32];
    char label_b[32];
    snprintf(label_a, sizeof label_a, "part %u lowrank a", index);
    snprintf(label_b, sizeof label_b, "part %u lowrank b", index);
    const struct target a = {VECTOR_X, VECTOR_T, false, 1.0f, label_a};
    const struct target b = {VECTOR_T, VECTOR_Y, index > 0, part->lowrank.multiplier, label_b};
    assert(part->lowrank.a.n_cols == build->matrix->n_cols);
    assert(part->lowrank.b.n_rows == build->matrix->n_rows);
    assert(part->lowrank.a.n_rows == part->lowrank.b.n_cols);

    struct vk_pass *const before = build->matrix->last;
    const ingot_status status = add_dense(build, &part->lowrank.a, &a);
    if (status != INGOT_OK) return status;
    struct vk_pass *const first_a = before ? before->next : build->matrix->passes;
    /* B reads t up to a multiple of VECTOR_ALIGN, and an earlier t may have left anything there. */
    if (first_a) first_a->clears_output = true;
    return add_dense(build, &part->lowrank.b, &b);
}

static ingot_status (*const uploaders[N_RESIDENT_KINDS])(struct builder *,
                                                         const struct resident_part *, uint32_t) = {
    [RESIDENT_DENSE] = upload_dense,
    [RESIDENT_SPARSE] = upload_sparse,
    [RESIDENT_LOWRANK] = upload_lowrank,
};

/* ------------------------------------------------------------------ the matrix */

/* Makes *block at least n_bytes large; on failure it is as it was. */
static ingot_status grow(struct vk_device *device, enum vk_memory_kind kind, uint64_t n_bytes,
                         struct vk_block **block, ingot_error *error)
{
    if (*block && (*block)->n_bytes >= n_bytes) return INGOT_OK;
    struct vk_block *larger = NULL;
    const ingot_status status = ingot_vk_block_open(
        device, kind, max_u64(n_bytes, min_scratch_bytes), "memory for vectors", &larger, error);
    if (status != INGOT_OK) return status;
    ingot_vk_block_close(device, *block);
    *block = larger;
    return INGOT_OK;
}

static ingot_status grow_scratch(struct vk_device *device, const struct vk_matrix *matrix,
                                 ingot_error *error)
{
    struct vk_scratch *const scratch = &device->scratch;
    ingot_status status = INGOT_OK;
    for (uint32_t v = 0; v < N_VECTORS && status == INGOT_OK; v++) {
        if (matrix->floats[v] == 0) continue;
        status = grow(device, MEMORY_DEVICE, matrix->floats[v] * 4, &scratch->vectors[v], error);
    }
    if (status != INGOT_OK) return status;
    status = grow(device, MEMORY_HOST, matrix->floats[VECTOR_X] * 4, &scratch->host_x, error);
    if (status != INGOT_OK) return status;
    return grow(device, MEMORY_HOST, matrix->floats[VECTOR_Y] * 4, &scratch->host_y, error);
}

/* Sets the sizes of the vectors, and refuses those that 32-bit indices do not reach. */
static ingot_status size_vectors(struct vk_matrix *matrix, const struct resident_matrix *from,
                                 ingot_error *error)
{
    uint64_t largest = max_u64(from->n_rows, from->n_cols);
    uint64_t rank = 0;
    for (uint32_t i = 0; i < from->n_parts; i++) {
        if (from->parts[i].kind != RESIDENT_LOWRANK) continue;
        rank = max_u64(rank, max_u64(from->parts[i].lowrank.a.n_rows, 1));
    }
    largest = max_u64(largest, rank);
    if (largest > INT32_MAX - VECTOR_ALIGN) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                          "%llu x %llu is more than the Vulkan backend computes",
                          (unsigned long long)from->n_rows, (unsigned long long)from->n_cols);
    }
    matrix->n_rows = from->n_rows;
    matrix->n_cols = from->n_cols;
    matrix->floats[VECTOR_X] = vector_floats(from->n_cols);
    matrix->floats[VECTOR_Y] = from->n_rows;
    matrix->floats[VECTOR_T] = rank ? vector_floats(rank) : 0;
    return INGOT_OK;
}

ingot_status ingot_vk_matrix_upload(struct vk_device *device, const struct resident_matrix *from,
                                    struct vk_matrix **matrix, ingot_error *error)
{
    assert(from->n_parts <= RESIDENT_MAX_PARTS);
    ingot_status status = ingot_vk_device_check(device, error);
    if (status != INGOT_OK) return status;
    struct vk_matrix *made = ingot_allocate_zeroed(device->allocator, 1, sizeof *made);
    if (!made) return ingot_fail_memory(error, sizeof *made, "matrix");

    struct builder build = {device, made, error};
    status = size_vectors(made, from, error);
    if (status == INGOT_OK) status = grow_scratch(device, made, error);
    for (uint32_t i = 0; i < from->n_parts && status == INGOT_OK; i++) {
        assert(from->parts[i].kind < N_RESIDENT_KINDS);
        status = uploaders[from->parts[i].kind](&build, &from->parts[i], i);
    }
    if (status == INGOT_OK) {
        *matrix = made;
    } else {
        ingot_vk_matrix_release(device, made);
    }
    return status;
}

void ingot_vk_matrix_release(struct vk_device *device, struct vk_matrix *matrix)
{
    if (!matrix) return;
    while (matrix->passes) {
        struct vk_pass *const first = matrix->passes;
        matrix->passes = first->next;
        ingot_vk_region_release(device, &first->region);
        ingot_release(device->allocator, first);
    }
    ingot_release(device->allocator, matrix);
}
