/* The reference decoder [6]. Every step is one f32 operation in the order of the specification; the
 * build must not contract them. Bytes come through a stream_provider; files are unknown here. */
#include "format/decode.h"

#include <math.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/floats.h"
#include "format/rules.h"

/* Codes are handled in blocks of this many columns, on the stack. */
enum { BLOCK = 512 };

/* The planes of the codes (or sign codes) of one coding, with the bytes of the wanted part. */
struct planes {
    uint32_t n;
    struct {
        uint8_t bits;
        uint8_t shift; /* rank of its lowest bit in a code */
        uint64_t row_bits;
        uint64_t first_bit; /* of data, from the start of the stream */
        const uint8_t *data;
    } planes[CODING_MAX_PLANES];
};

/* A coding with its bytes at hand. */
struct open_coding {
    const struct ingot_coding *coding;
    const struct stream_provider *provider;
    struct planes codes;
    struct planes signs;
    const uint8_t *codebook;
    const uint8_t *column_index; /* of all columns */
    ingot_error *error;
};

/* Gets the bytes of elements [first_col, first_col + n_cols) of rows [first_row, + n_rows). */
static ingot_status open_planes(const struct stream_provider *provider, uint8_t bits,
                                struct stack_shape stack, uint32_t first_stream,
                                struct stack_part part, struct planes *planes, ingot_error *error)
{
    uint8_t widths[CODING_MAX_PLANES];
    uint8_t shift = 0;
    planes->n = plane_widths(bits, widths);
    for (uint32_t i = 0; i < planes->n; i++) {
        struct stream_shape shape;
        if (!plane_shape(widths[i], stack, &shape)) {
            return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "plane", "too large");
        }
        const uint64_t begin = part.first_row * shape.row_bits + part.first_col * widths[i];
        const uint64_t end = (part.first_row + part.n_rows - 1) * shape.row_bits +
                             (part.first_col + part.n_cols) * widths[i];
        const uint8_t *data;
        const ingot_status status = provider->get(provider->context, first_stream + i, begin / 8,
                                                  ceil_div(end, 8) - begin / 8, &data, error);
        if (status != INGOT_OK) return status;
        planes->planes[i].bits = widths[i];
        planes->planes[i].shift = shift;
        planes->planes[i].row_bits = shape.row_bits;
        planes->planes[i].first_bit = begin / 8 * 8;
        planes->planes[i].data = data;
        shift = (uint8_t)(shift + widths[i]);
    }
    return INGOT_OK;
}

/* An element of `bits` bits at a bit offset that is a multiple of its width. */
static uint64_t element_at(const uint8_t *data, uint64_t bit, uint8_t bits)
{
    const uint8_t *p = data + bit / 8;
    if (bits < 8) return (uint64_t)(*p >> bit % 8) & ((1u << bits) - 1);
    if (bits == 8) return *p;
    if (bits == 16) return load_u16(p);
    if (bits == 32) return load_u32(p);
    return load_u64(p);
}

static void gather(const struct planes *planes, uint64_t row, uint64_t first_col, uint64_t n,
                   uint64_t *codes)
{
    for (uint64_t i = 0; i < n; i++) codes[i] = 0;
    for (uint32_t k = 0; k < planes->n; k++) {
        const uint8_t bits = planes->planes[k].bits;
        const uint8_t shift = planes->planes[k].shift;
        const uint8_t *data = planes->planes[k].data;
        uint64_t bit =
            row * planes->planes[k].row_bits + first_col * bits - planes->planes[k].first_bit;
        for (uint64_t i = 0; i < n; i++, bit += bits) {
            codes[i] |= element_at(data, bit, bits) << shift;
        }
    }
}

/* ---- maps: codes to f32 ---- */

static float float_of_f64(uint64_t code)
{
    double v;
    memcpy(&v, &code, sizeof v);
    return (float)v;
}

static ingot_status map_uint(const struct open_coding *c, const uint64_t *codes, uint64_t n,
                             float *dst)
{
    (void)c;
    for (uint64_t i = 0; i < n; i++) dst[i] = (float)codes[i];
    return INGOT_OK;
}

static ingot_status map_int(const struct open_coding *c, const uint64_t *codes, uint64_t n,
                            float *dst)
{
    const uint64_t sign = UINT64_C(1) << (c->coding->bits - 1);
    for (uint64_t i = 0; i < n; i++) {
        /* The sign bit weighs minus its value: flipping it and subtracting gives the number. */
        dst[i] = (float)(int64_t)((codes[i] ^ sign) - sign);
    }
    return INGOT_OK;
}

static ingot_status map_float(const struct open_coding *c, const uint64_t *codes, uint64_t n,
                              float *dst)
{
    const ingot_dtype format = (ingot_dtype)c->coding->format;
    for (uint64_t i = 0; i < n; i++) {
        dst[i] = format == INGOT_F64 ? float_of_f64(codes[i])
                                     : ingot_float_decode(format, (uint32_t)codes[i]);
    }
    return INGOT_OK;
}

/* Value number i of a codebook. */
static float entry_value(const struct open_coding *c, uint64_t i)
{
    const ingot_dtype format = (ingot_dtype)c->coding->format;
    const uint32_t bytes = ingot_dtype_bits(format) / 8;
    const uint8_t *p = c->codebook + i * bytes;
    if (format == INGOT_I8) return (float)(int8_t)*p;
    return ingot_float_decode(format, bytes == 4 ? load_u32(p) : load_u16(p));
}

static ingot_status check_entry(const struct open_coding *c, uint64_t code)
{
    if (code < c->coding->n_entries) return INGOT_OK;
    return ingot_fail_rule(c->error, R_431, INGOT_NO_OFFSET, "code", "%llu of a codebook of %u",
                           (unsigned long long)code, c->coding->n_entries);
}

static ingot_status map_codebook(const struct open_coding *c, const uint64_t *codes, uint64_t n,
                                 float *dst)
{
    for (uint64_t i = 0; i < n; i++) {
        const ingot_status status = check_entry(c, codes[i]);
        if (status != INGOT_OK) return status;
        dst[i] = entry_value(c, codes[i]);
    }
    return INGOT_OK;
}

typedef ingot_status map_function(const struct open_coding *c, const uint64_t *codes, uint64_t n,
                                  float *dst);
static map_function *const scalar_maps[] = {
    [MAP_UINT] = map_uint,
    [MAP_INT] = map_int,
    [MAP_FLOAT] = map_float,
    [MAP_CODEBOOK] = map_codebook,
};

static bool sign_of(uint64_t code, uint8_t sign_bits, uint64_t position)
{
    if (position < sign_bits) return code >> position & 1;
    code ^= code >> 4; /* parity of the seven bits */
    code ^= code >> 2;
    code ^= code >> 1;
    return code & 1;
}

/* Columns [first_col, first_col + n) of one row of vector codes. */
static ingot_status map_vectors(const struct open_coding *c, uint64_t row, uint64_t first_col,
                                uint64_t n, float *dst)
{
    const uint64_t length = c->coding->vector_length;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t col = first_col + i;
        uint64_t code;
        gather(&c->codes, row, col / length, 1, &code);
        const ingot_status status = check_entry(c, code);
        if (status != INGOT_OK) return status;
        float v = entry_value(c, code * length + col % length);
        if (c->coding->signs) {
            gather(&c->signs, row, col / 8, 1, &code);
            if (sign_of(code, c->coding->signs, col % 8)) v = -v;
        }
        dst[i] = v;
    }
    return INGOT_OK;
}

static ingot_status map_row(const struct open_coding *c, uint64_t row, uint64_t first_col,
                            uint64_t n, float *dst)
{
    if (c->coding->map == MAP_VECTOR) return map_vectors(c, row, first_col, n, dst);
    uint64_t codes[BLOCK];
    for (uint64_t done = 0; done < n; done += BLOCK) {
        const uint64_t n_block = min_u64(BLOCK, n - done);
        gather(&c->codes, row, first_col + done, n_block, codes);
        const ingot_status status = scalar_maps[c->coding->map](c, codes, n_block, dst + done);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

/* ---- slots ---- */

static void step_subtract(float *v, uint64_t n, float entry)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] - entry;
}

static void step_add(float *v, uint64_t n, float entry)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] + entry;
}

static void step_multiply(float *v, uint64_t n, float entry)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] * entry;
}

static void step_divide(float *v, uint64_t n, float entry)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] / entry;
}

typedef void step_function(float *v, uint64_t n, float entry);
static step_function *const steps[N_SLOTS][2] = {
    [SLOT_ZERO] = {step_subtract, step_subtract},
    [SLOT_SCALE] = {step_multiply, step_divide},
    [SLOT_BIAS] = {step_add, step_subtract},
    [SLOT_POST] = {step_multiply, step_divide},
};

/* The entries of a slot's table that a part of the stack needs. */
struct open_table {
    const struct coding_slot *slot;
    struct stack_shape stack;
    struct stack_shape grid;
    struct stack_part part; /* of the grid */
    float *entries;
};

static uint64_t group_of(uint64_t i, uint64_t group)
{
    return group ? i / group : 0;
}

static uint64_t grid_row(const struct open_table *t, uint64_t row)
{
    const uint64_t matrix = row / t->stack.n_rows;
    if (t->slot->group == GROUP_TENSOR) return 0;
    if (t->slot->group == GROUP_RUN) return matrix;
    return matrix * t->grid.n_rows + group_of(row % t->stack.n_rows, t->slot->group_rows);
}

static uint64_t grid_col(const struct open_table *t, const struct open_coding *c, uint64_t row,
                         uint64_t col)
{
    const uint8_t *index = c->column_index;
    switch ((enum coding_group)t->slot->group) {
    case GROUP_NONE:
    case GROUP_TENSOR: return 0;
    case GROUP_BLOCK: return group_of(col, t->slot->group_cols);
    case GROUP_RUN: return (row % t->stack.n_rows * t->stack.n_cols + col) / t->slot->group_cols;
    case GROUP_COLUMN_INDEX:
        return c->coding->index_bits == 16 ? load_u16(index + 2 * col) : load_u32(index + 4 * col);
    }
    return 0;
}

/* How many columns from `col` on share its entry. */
static uint64_t run_length(const struct open_table *t, uint64_t row, uint64_t col)
{
    const uint64_t group = t->slot->group_cols;
    switch ((enum coding_group)t->slot->group) {
    case GROUP_NONE:
    case GROUP_TENSOR: return UINT64_MAX;
    case GROUP_BLOCK: return group ? group - col % group : UINT64_MAX;
    case GROUP_RUN: return group - (row % t->stack.n_rows * t->stack.n_cols + col) % group;
    case GROUP_COLUMN_INDEX: return 1;
    }
    return 1;
}

/* The part of the grid under a part of the stack. */
static struct stack_part grid_part(const struct open_table *t, struct stack_part part)
{
    const uint64_t last_row = part.first_row + part.n_rows - 1;
    const uint64_t last_col = part.first_col + part.n_cols - 1;
    const uint64_t first = grid_row(t, part.first_row);
    const uint64_t last = grid_row(t, last_row);
    struct stack_part g = {first, last - first + 1, 0, t->grid.n_cols};
    if (t->slot->group == GROUP_BLOCK) {
        g.first_col = group_of(part.first_col, t->slot->group_cols);
        g.n_cols = group_of(last_col, t->slot->group_cols) - g.first_col + 1;
    }
    if (t->slot->group == GROUP_RUN && g.n_rows == 1) {
        const uint64_t base = part.first_row % t->stack.n_rows * t->stack.n_cols;
        const uint64_t end = last_row % t->stack.n_rows * t->stack.n_cols + last_col;
        g.first_col = (base + part.first_col) / t->slot->group_cols;
        g.n_cols = end / t->slot->group_cols - g.first_col + 1;
    }
    return g;
}

static ingot_status decode_part(const struct ingot_coding *coding, struct stack_shape stack,
                                uint32_t first_stream, const struct stream_provider *provider,
                                struct stack_part part, float *dst, ingot_error *error);

static uint32_t count_streams(const struct ingot_coding *coding, struct stack_shape stack)
{
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n = 0;
    coding_streams(coding, stack, shapes, &n);
    return n;
}

/* Decodes the needed entries of slot i's table and moves *next_stream past its streams. */
static ingot_status open_table(const struct open_coding *c, const struct coding_slot *slot,
                               struct stack_shape stack, struct stack_part part,
                               uint32_t *next_stream, struct open_table *t)
{
    const struct stream_provider *provider = c->provider;
    *t = (struct open_table){.slot = slot, .stack = stack};
    uint64_t n;
    if (!slot_grid(slot, stack, &t->grid)) {
        return ingot_fail(c->error, INGOT_INVALID, INGOT_NO_OFFSET, "table", "too large");
    }
    t->part = grid_part(t, part);
    if (!mul_u64(t->part.n_rows, t->part.n_cols, &n)) n = UINT64_MAX / 8;
    t->entries = ingot_allocate(provider->allocator, n * sizeof *t->entries);
    if (t->entries == NULL) return ingot_fail_memory(c->error, n * 4, "table entries");
    const ingot_status status =
        decode_part(slot->table, t->grid, *next_stream, provider, t->part, t->entries, c->error);
    if (status != INGOT_OK) {
        ingot_release(provider->allocator, t->entries);
        t->entries = NULL;
        return status;
    }
    *next_stream += count_streams(slot->table, t->grid);
    return INGOT_OK;
}

static ingot_status table_entry(const struct open_table *t, const struct open_coding *c,
                                uint64_t row, uint64_t col, float *entry)
{
    const uint64_t r = grid_row(t, row) - t->part.first_row;
    const uint64_t k = grid_col(t, c, row, col) - t->part.first_col;
    if (k >= t->part.n_cols) {
        return ingot_fail_rule(c->error, R_430, INGOT_NO_OFFSET, "column index",
                               "group %llu of %llu at column %llu", (unsigned long long)k,
                               (unsigned long long)t->part.n_cols, (unsigned long long)col);
    }
    *entry = t->entries[r * t->part.n_cols + k];
    return INGOT_OK;
}

static ingot_status apply_table(const struct open_table *t, const struct open_coding *c,
                                step_function *step, struct stack_part part, float *dst)
{
    for (uint64_t r = 0; r < part.n_rows; r++) {
        const uint64_t row = part.first_row + r;
        for (uint64_t k = 0; k < part.n_cols;) {
            const uint64_t col = part.first_col + k;
            const uint64_t n = min_u64(run_length(t, row, col), part.n_cols - k);
            float entry;
            const ingot_status status = table_entry(t, c, row, col, &entry);
            if (status != INGOT_OK) return status;
            step(dst + r * part.n_cols + k, n, entry);
            k += n;
        }
    }
    return INGOT_OK;
}

/* ---- whole codings ---- */

/* Opens codes, signs, codebook and column index; *next_stream moves past their streams. */
static ingot_status open_codes(struct open_coding *c, struct stack_shape codes,
                               struct stack_part part, uint64_t n_all_cols, uint32_t *next_stream)
{
    const struct ingot_coding *coding = c->coding;
    const struct stream_provider *provider = c->provider;
    ingot_status status = INGOT_OK;
    if (coding->map == MAP_OPAQUE) {
        return ingot_fail(c->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "coding",
                          "foreign type %s has no decoder here", coding->name);
    }
    if (coding->index_bits) {
        status = provider->get(provider->context, (*next_stream)++, 0,
                               n_all_cols * coding->index_bits / 8, &c->column_index, c->error);
    }
    if (status == INGOT_OK && coding->codebook_stream != INGOT_NONE) {
        status = provider->codebook(provider->context, coding, &c->codebook, c->error);
    }
    struct stack_shape shape = codes;
    struct stack_part wanted = part;
    if (coding->map == MAP_VECTOR) {
        const uint64_t length = coding->vector_length;
        shape.n_cols = ceil_div(codes.n_cols, length);
        wanted.first_col = part.first_col / length;
        wanted.n_cols = ceil_div(part.first_col + part.n_cols, length) - wanted.first_col;
    }
    if (status == INGOT_OK) {
        status =
            open_planes(provider, coding->bits, shape, *next_stream, wanted, &c->codes, c->error);
        *next_stream += c->codes.n;
    }
    if (status == INGOT_OK && coding->signs) {
        shape.n_cols = ceil_div(codes.n_cols, 8);
        wanted.first_col = part.first_col / 8;
        wanted.n_cols = ceil_div(part.first_col + part.n_cols, 8) - wanted.first_col;
        status =
            open_planes(provider, coding->signs, shape, *next_stream, wanted, &c->signs, c->error);
        *next_stream += c->signs.n;
    }
    return status;
}

static ingot_status decode_part(const struct ingot_coding *coding, struct stack_shape stack,
                                uint32_t first_stream, const struct stream_provider *provider,
                                struct stack_part part, float *dst, ingot_error *error)
{
    struct open_coding c = {.coding = coding, .provider = provider, .error = error};
    uint32_t next_stream = first_stream;
    if (part.n_rows == 0 || part.n_cols == 0) return INGOT_OK;
    ingot_status status = open_codes(&c, stack, part, stack.n_cols, &next_stream);
    for (uint64_t r = 0; r < part.n_rows && status == INGOT_OK; r++) {
        status =
            map_row(&c, part.first_row + r, part.first_col, part.n_cols, dst + r * part.n_cols);
    }
    for (uint32_t i = 0; i < N_SLOTS && status == INGOT_OK; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (slot->has_table) {
            struct open_table t;
            status = open_table(&c, slot, stack, part, &next_stream, &t);
            if (status != INGOT_OK) break;
            status = apply_table(&t, &c, steps[i][slot->inverse_table], part, dst);
            ingot_release(provider->allocator, t.entries);
        }
        if (slot->has_constant) {
            steps[i][slot->inverse_constant](dst, part.n_rows * part.n_cols, slot->constant);
        }
    }
    return status;
}

ingot_status coding_decode(const struct ingot_coding *coding, struct stack_shape stack,
                           uint32_t first_stream, const struct stream_provider *provider,
                           struct stack_part part, float *dst, ingot_error *error)
{
    return decode_part(coding, stack, first_stream, provider, part, dst, error);
}

/* Codes number [first, first + n) of the shape `codes`, row after row. */
static ingot_status map_elements(struct open_coding *c, struct stack_shape codes, uint64_t first,
                                 uint64_t n, uint64_t n_all_cols, uint32_t *next_stream, float *dst)
{
    const uint64_t first_row = first / codes.n_cols;
    const uint64_t n_rows = (first + n - 1) / codes.n_cols - first_row + 1;
    struct stack_part part = {first_row, n_rows, 0, codes.n_cols};
    if (n_rows == 1) {
        part.first_col = first - first_row * codes.n_cols;
        part.n_cols = n;
    }
    ingot_status status = open_codes(c, codes, part, n_all_cols, next_stream);
    for (uint64_t done = 0; done < n && status == INGOT_OK;) {
        const uint64_t row = (first + done) / codes.n_cols;
        const uint64_t col = (first + done) % codes.n_cols;
        const uint64_t n_run = min_u64(codes.n_cols - col, n - done);
        status = map_row(c, row, col, n_run, dst + done);
        done += n_run;
    }
    return status;
}

ingot_status coding_decode_at(const struct ingot_coding *coding, struct stack_shape codes,
                              struct stack_shape stack, uint32_t first_stream,
                              const struct stream_provider *provider, uint64_t first, uint64_t n,
                              const uint64_t *rows, const uint64_t *cols, float *dst,
                              ingot_error *error)
{
    struct open_coding c = {.coding = coding, .provider = provider, .error = error};
    uint32_t next_stream = first_stream;
    if (n == 0) return INGOT_OK;
    ingot_status status = map_elements(&c, codes, first, n, stack.n_cols, &next_stream, dst);
    const struct stack_part part = {rows[0], rows[n - 1] - rows[0] + 1, 0, stack.n_cols};
    for (uint32_t i = 0; i < N_SLOTS && status == INGOT_OK; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (slot->has_table) {
            struct open_table t;
            status = open_table(&c, slot, stack, part, &next_stream, &t);
            if (status != INGOT_OK) break;
            for (uint64_t k = 0; k < n && status == INGOT_OK; k++) {
                float entry;
                status = table_entry(&t, &c, rows[k], cols[k], &entry);
                if (status == INGOT_OK) steps[i][slot->inverse_table](dst + k, 1, entry);
            }
            ingot_release(provider->allocator, t.entries);
        }
        if (slot->has_constant && status == INGOT_OK) {
            steps[i][slot->inverse_constant](dst, n, slot->constant);
        }
    }
    return status;
}

/* ---- streams in memory ---- */

static ingot_status memory_get(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                               const uint8_t **data, ingot_error *error)
{
    const struct memory_streams *m = context;
    (void)n_bytes;
    (void)error;
    *data = m->streams[stream] + offset;
    return INGOT_OK;
}

static ingot_status memory_codebook(void *context, const struct ingot_coding *coding,
                                    const uint8_t **entries, ingot_error *error)
{
    const struct memory_streams *m = context;
    (void)error;
    *entries = m->codebooks[coding->codebook_stream];
    return INGOT_OK;
}

struct stream_provider memory_provider(const struct memory_streams *streams,
                                       const ingot_allocator *allocator)
{
    return (struct stream_provider){(void *)(uintptr_t)streams, memory_get, memory_codebook,
                                    allocator};
}
