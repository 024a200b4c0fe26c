/* Integers as blocks: value = (integer - zero) * scale + bias, where the types have their own zero
 * and f16 scales and biases. */
#include "convert/repack_integers.h"

#include <math.h>
#include <string.h>

#include "format/alloc.h"
#include "format/decode.h"
#include "format/fail.h"
#include "format/floats.h"

/* What a type's codes stand for: code - zero; two's complement when zero is 0 and there are
 * negative ones. In ascending order of bytes. */
static const struct target {
    uint32_t type;
    uint8_t bits;
    bool bias;
    int32_t least;
    int32_t most;
} targets[] = {
    {42, 2, false, -1, 2},  {2, 4, false, -8, 7}, {3, 4, true, 0, 15},
    {6, 5, false, -16, 15}, {7, 5, true, 0, 31},  {8, 8, false, -128, 127},
};

static const struct target *target_of(const struct gguf_type *type)
{
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        if (targets[i].type == type->id) return &targets[i];
    }
    return NULL;
}

/* Whether a slot is absent or a table of one row's groups of whole blocks, or a constant. */
static bool slot_fits(const struct coding_slot *slot, uint64_t n_cols, uint32_t block_weights)
{
    if (slot->inverse_table || slot->inverse_constant) return false;
    if (!slot->has_table) return true;
    if (slot->group != GROUP_BLOCK || slot->group_rows != 1) return false;
    return slot->group_cols == 0 || slot->group_cols >= n_cols ||
           slot->group_cols % block_weights == 0;
}

/* The integers that a code without slots may be. */
static bool map_range(const struct ingot_coding *coding, int64_t *least, int64_t *most)
{
    if (coding->bits > 8 || (coding->map != MAP_UINT && coding->map != MAP_INT)) return false;
    const int64_t n = INT64_C(1) << coding->bits;
    *least = coding->map == MAP_INT ? -n / 2 : 0;
    *most = *least + n - 1;
    return true;
}

/* The integers that a code less its zero may be. */
static bool code_range(const struct ingot_coding *coding, int64_t *least, int64_t *most)
{
    const struct coding_slot *zero = &coding->slots[SLOT_ZERO];
    if (!map_range(coding, least, most)) return false;
    if (zero->has_table) {
        int64_t low, high;
        if (!coding_is_raw(zero->table) || !map_range(zero->table, &low, &high)) return false;
        *least -= high;
        *most -= low;
    }
    if (zero->has_constant) {
        if (zero->constant != truncf(zero->constant) || fabsf(zero->constant) > 256) return false;
        *least -= (int64_t)zero->constant;
        *most -= (int64_t)zero->constant;
    }
    return true;
}

/* Streams must follow the rows one by one, from whole bytes, and tables have no codebooks: then a
 * run of rows is a matrix of its own. */
static bool rows_stand_alone(const struct ingot_coding *coding, struct stack_shape stack)
{
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n_streams;
    if (!coding_streams(coding, stack, shapes, &n_streams)) return false;
    for (uint32_t i = 0; i < n_streams; i++) {
        const struct stream_shape *s = &shapes[i];
        if (!s->by_rows || s->tensor_rows != 1 || s->row_bits % 8 != 0) return false;
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct ingot_coding *table = coding->slots[i].table;
        if (!coding->slots[i].has_table) continue;
        if (table->map == MAP_CODEBOOK) return false;
        for (uint32_t k = 0; k < N_SLOTS; k++) {
            const struct coding_slot *inner = &table->slots[k];
            if (inner->has_table && inner->table->map == MAP_CODEBOOK) return false;
        }
    }
    return true;
}

const struct gguf_type *repack_integers_type(const struct file_term *term, struct stack_shape stack)
{
    const struct ingot_coding *coding = term->coding;
    const struct coding_slot *slots = coding->slots;
    const bool has_bias = slots[SLOT_BIAS].has_table || slots[SLOT_BIAS].has_constant;
    int64_t least, most;
    if (!code_range(coding, &least, &most) || !rows_stand_alone(coding, stack)) return NULL;
    if (slots[SLOT_POST].has_table || slots[SLOT_POST].has_constant) return NULL;
    if (slots[SLOT_SCALE].has_table && slots[SLOT_SCALE].has_constant) return NULL;
    if (slots[SLOT_BIAS].has_table && slots[SLOT_BIAS].has_constant) return NULL;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        const struct target *t = &targets[i];
        const struct gguf_type *type = gguf_type_of(t->type);
        bool fits = t->bias == has_bias && least >= t->least && most <= t->most;
        for (uint32_t k = 0; k < N_SLOTS; k++) {
            fits = fits && slot_fits(&slots[k], stack.n_cols, type->block_weights);
        }
        if (fits && stack.n_cols % type->block_weights == 0) return type;
    }
    return NULL;
}

/* ---- rows ---- */

/* Some rows, as a matrix of their own. */
struct part {
    const struct ingot_coding *coding;
    struct stack_shape shape;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint8_t *streams[CODING_MAX_STREAMS];
    uint32_t n_streams;
    float *integers;        /* codes less their zeros */
    float *tables[N_SLOTS]; /* of scale and bias: the entries */
    uint64_t n_groups[N_SLOTS];
    uint8_t *out[BLOCK_MAX_STREAMS]; /* a row as the type's streams */
};

static void release_part(struct part *p)
{
    for (uint32_t i = 0; i < CODING_MAX_STREAMS; i++) ingot_release(NULL, p->streams[i]);
    for (uint32_t i = 0; i < N_SLOTS; i++) ingot_release(NULL, p->tables[i]);
    for (uint32_t i = 0; i < BLOCK_MAX_STREAMS; i++) ingot_release(NULL, p->out[i]);
    ingot_release(NULL, p->integers);
}

static ingot_status read_part(struct part *p, const ingot_file *file, const struct file_term *term,
                              uint64_t first_row, ingot_error *error)
{
    coding_streams(p->coding, p->shape, p->shapes, &p->n_streams);
    for (uint32_t i = 0; i < p->n_streams; i++) {
        const struct stream_shape *s = &p->shapes[i];
        p->streams[i] = ingot_allocate(NULL, s->n_bytes);
        if (p->streams[i] == NULL) return ingot_fail_memory(error, s->n_bytes, "streams");
        const ingot_status status =
            ingot_file_read_stream(file, term->first_stream + i, first_row * s->row_bits / 8,
                                   s->n_bytes, p->streams[i], error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

/* The coding up to a slot, which it leaves out with those after it. */
static struct ingot_coding coding_before(const struct ingot_coding *coding, uint32_t slot)
{
    struct ingot_coding before = *coding;
    for (uint32_t i = slot; i < N_SLOTS; i++) before.slots[i] = (struct coding_slot){0};
    return before;
}

static float *floats(uint64_t n, ingot_error *error)
{
    float *values = ingot_allocate_zeroed(NULL, n, sizeof *values);
    if (values == NULL) ingot_fail_memory(error, n * sizeof *values, "repacked rows");
    return values;
}

/* The entries of a slot: of its table, or its constant (`absent` without one) for whole rows. */
static ingot_status decode_slot(struct part *p, uint32_t slot, float absent,
                                const struct stream_provider *provider, ingot_error *error)
{
    const struct coding_slot *s = &p->coding->slots[slot];
    const struct ingot_coding before = coding_before(p->coding, slot);
    struct stream_shape shapes[CODING_MAX_STREAMS];
    struct stack_shape grid = {1, p->shape.n_rows, 1};
    uint32_t first_stream;
    if (s->has_table) slot_grid(s, p->shape, &grid);
    p->n_groups[slot] = grid.n_cols;
    p->tables[slot] = floats(grid.n_rows * grid.n_cols, error);
    if (p->tables[slot] == NULL) return INGOT_NO_MEMORY;
    for (uint64_t i = 0; i < grid.n_rows && !s->has_table; i++) {
        p->tables[slot][i] = s->has_constant ? s->constant : absent;
    }
    if (!s->has_table) return INGOT_OK;
    coding_streams(&before, p->shape, shapes, &first_stream);
    const struct stack_part all = {0, grid.n_rows, 0, grid.n_cols};
    return coding_decode(s->table, grid, first_stream, provider, all, p->tables[slot], error);
}

static ingot_status decode_integers(struct part *p, const struct stream_provider *provider,
                                    ingot_error *error)
{
    const struct ingot_coding integers = coding_before(p->coding, SLOT_SCALE);
    const struct stack_part all = {0, p->shape.n_rows, 0, p->shape.n_cols};
    p->integers = floats(p->shape.n_rows * p->shape.n_cols, error);
    if (p->integers == NULL) return INGOT_NO_MEMORY;
    return coding_decode(&integers, p->shape, 0, provider, all, p->integers, error);
}

/* A scale or bias of each block of a row as f16, which it must be. */
static ingot_status put_f16(const struct part *p, uint32_t slot, uint64_t row, uint64_t n_blocks,
                            uint8_t *dst, ingot_error *error)
{
    const uint64_t n_groups = p->n_groups[slot];
    for (uint64_t b = 0; b < n_blocks; b++) {
        const float v = p->tables[slot][row * n_groups + b * n_groups / n_blocks];
        const uint16_t bits = f16_from_f32(v);
        if (f32_bits(ingot_float_decode(INGOT_F16, bits)) != f32_bits(v)) {
            return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "repack",
                              "%s %.9g is not an f16", slot == SLOT_SCALE ? "scale" : "bias",
                              (double)v);
        }
        store_u16(dst + 2 * b, bits);
    }
    return INGOT_OK;
}

/* The codes of a row, as planes. */
static void put_codes(const struct part *p, const struct target *t, uint64_t row)
{
    const float *integers = p->integers + row * p->shape.n_cols;
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n_planes = plane_widths(t->bits, widths);
    const int32_t zero = t->bits == 8 ? 0 : -t->least;
    uint32_t shift = 0;
    for (uint32_t k = 0; k < n_planes; k++) {
        const uint32_t width = widths[k], mask = (1u << width) - 1;
        memset(p->out[k], 0, (size_t)(p->shape.n_cols * width / 8));
        for (uint64_t c = 0; c < p->shape.n_cols; c++) {
            const uint32_t code = (uint32_t)((int32_t)integers[c] + zero) >> shift & mask;
            uint8_t *byte = &p->out[k][c * width / 8];
            *byte = (uint8_t)(*byte | code << c * width % 8);
        }
        shift += width;
    }
}

static ingot_status put_rows(struct part *p, const struct gguf_type *type, uint8_t *blocks,
                             ingot_error *error)
{
    const struct target *t = target_of(type);
    const struct block_layout *layout = block_layout_of(type->id);
    const uint64_t n_blocks = p->shape.n_cols / type->block_weights;
    static const struct stream_shape any[BLOCK_MAX_STREAMS];
    const struct block_rows rows = {layout, any, 1, n_blocks};
    const uint32_t n_planes = layout->n_streams - (t->bias ? 2u : 1u);
    for (uint32_t i = 0; i < layout->n_streams; i++) {
        p->out[i] = ingot_allocate(NULL, n_blocks * block_stream_bits(layout, i) / 8);
        if (p->out[i] == NULL) return ingot_fail_memory(error, n_blocks, "blocks");
    }
    for (uint64_t r = 0; r < p->shape.n_rows; r++) {
        put_codes(p, t, r);
        ingot_status status = put_f16(p, SLOT_SCALE, r, n_blocks, p->out[n_planes], error);
        if (status == INGOT_OK && t->bias) {
            status = put_f16(p, SLOT_BIAS, r, n_blocks, p->out[n_planes + 1], error);
        }
        if (status != INGOT_OK) return status;
        blocks_together(&rows, (const uint8_t *const *)p->out, blocks);
        blocks += n_blocks * type->block_bytes;
    }
    return INGOT_OK;
}

ingot_status repack_integers(const ingot_file *file, const struct file_term *term,
                             struct stack_shape stack, const struct gguf_type *type,
                             uint64_t first_row, uint64_t n_rows, uint8_t *blocks,
                             ingot_error *error)
{
    struct part p = {.coding = term->coding, .shape = {1, n_rows, stack.n_cols}};
    const struct memory_streams memory = {(const uint8_t *const *)p.streams, NULL};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    ingot_status status = read_part(&p, file, term, first_row, error);
    if (status == INGOT_OK) status = decode_integers(&p, &provider, error);
    if (status == INGOT_OK) status = decode_slot(&p, SLOT_SCALE, 1, &provider, error);
    if (status == INGOT_OK) status = decode_slot(&p, SLOT_BIAS, 0, &provider, error);
    if (status == INGOT_OK) status = put_rows(&p, type, blocks, error);
    release_part(&p);
    return status;
}
