/* Codes out of planes, and maps: one function each. Knows nothing of tables. */
#include "format/codes.h"

#include <assert.h>
#include <string.h>

#include "format/bytes.h"
#include "format/fail.h"
#include "format/floats.h"
#include "format/rules.h"

/* Codes are handled in blocks of this many columns, on the stack. */
enum { BLOCK = 512 };

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

/* Elements of one width from a bit on, into codes that are zero there. */
typedef void gather_function(const uint8_t *data, uint64_t bit, uint8_t bits, uint8_t shift,
                             uint64_t n, uint64_t *codes);

static void gather_narrow(const uint8_t *data, uint64_t bit, uint8_t bits, uint8_t shift,
                          uint64_t n, uint64_t *codes)
{
    const uint32_t mask = (1u << bits) - 1;
    for (uint64_t i = 0; i < n; i++, bit += bits) {
        codes[i] |= (uint64_t)((uint32_t)data[bit / 8] >> bit % 8 & mask) << shift;
    }
}

static void gather_8(const uint8_t *data, uint64_t bit, uint8_t bits, uint8_t shift, uint64_t n,
                     uint64_t *codes)
{
    (void)bits;
    for (uint64_t i = 0; i < n; i++) codes[i] |= (uint64_t)data[bit / 8 + i] << shift;
}

static void gather_16(const uint8_t *data, uint64_t bit, uint8_t bits, uint8_t shift, uint64_t n,
                      uint64_t *codes)
{
    (void)bits;
    for (uint64_t i = 0; i < n; i++) {
        codes[i] |= (uint64_t)load_u16(data + bit / 8 + 2 * i) << shift;
    }
}

static void gather_32(const uint8_t *data, uint64_t bit, uint8_t bits, uint8_t shift, uint64_t n,
                      uint64_t *codes)
{
    (void)bits;
    for (uint64_t i = 0; i < n; i++) {
        codes[i] |= (uint64_t)load_u32(data + bit / 8 + 4 * i) << shift;
    }
}

static void gather_64(const uint8_t *data, uint64_t bit, uint8_t bits, uint8_t shift, uint64_t n,
                      uint64_t *codes)
{
    (void)bits;
    for (uint64_t i = 0; i < n; i++) codes[i] |= load_u64(data + bit / 8 + 8 * i) << shift;
}

/* By the width of a plane. */
static gather_function *const gathers[] = {
    [1] = gather_narrow, [2] = gather_narrow, [4] = gather_narrow, [8] = gather_8,
    [16] = gather_16,    [32] = gather_32,    [64] = gather_64,
};

void gather_codes(const struct planes *planes, uint64_t row, uint64_t first_col, uint64_t n,
                  uint64_t *codes)
{
    memset(codes, 0, (size_t)n * sizeof *codes);
    for (uint32_t k = 0; k < planes->n; k++) {
        const uint8_t bits = planes->planes[k].bits;
        const uint64_t bit =
            row * planes->planes[k].row_bits + first_col * bits - planes->planes[k].first_bit;
        gathers[bits](planes->planes[k].data, bit, bits, planes->planes[k].shift, n, codes);
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
    for (uint64_t i = 0; i < n && format == INGOT_F64; i++) dst[i] = float_of_f64(codes[i]);
    for (uint64_t i = 0; i < n && format == INGOT_F16; i++) {
        dst[i] = f32_from_f16((uint16_t)codes[i]);
    }
    for (uint64_t i = 0; i < n && format != INGOT_F64 && format != INGOT_F16; i++) {
        dst[i] = ingot_float_decode(format, (uint32_t)codes[i]);
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
        gather_codes(&c->codes, row, col / length, 1, &code);
        const ingot_status status = check_entry(c, code);
        if (status != INGOT_OK) return status;
        float v = entry_value(c, code * length + col % length);
        if (c->coding->signs) {
            gather_codes(&c->signs, row, col / 8, 1, &code);
            if (sign_of(code, c->coding->signs, col % 8)) v = -v;
        }
        dst[i] = v;
    }
    return INGOT_OK;
}

ingot_status map_row(const struct open_coding *c, uint64_t row, uint64_t first_col, uint64_t n,
                     float *dst)
{
    if (c->coding->map == MAP_VECTOR) return map_vectors(c, row, first_col, n, dst);
    uint64_t codes[BLOCK];
    for (uint64_t done = 0; done < n; done += BLOCK) {
        const uint64_t n_block = min_u64(BLOCK, n - done);
        gather_codes(&c->codes, row, first_col + done, n_block, codes);
        const ingot_status status = scalar_maps[c->coding->map](c, codes, n_block, dst + done);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

ingot_status map_levels(const struct open_coding *c, uint32_t n, float *dst)
{
    uint64_t codes[BLOCK];
    assert(n <= BLOCK);
    for (uint32_t i = 0; i < n; i++) codes[i] = i;
    return scalar_maps[c->coding->map](c, codes, n, dst);
}

const uint8_t *plane_bytes(const struct planes *planes, uint64_t row)
{
    const uint64_t bit = row * planes->planes[0].row_bits - planes->planes[0].first_bit;
    return planes->planes[0].data + bit / 8;
}

ingot_status open_codes(struct open_coding *c, struct stack_shape codes, struct stack_part part,
                        uint64_t n_all_cols, uint32_t *next_stream)
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
