/* The reference level: every coding decoded step by step in the order of its formula, each step one
 * f32 rounding. Knows no instruction set, threads or parts. [spec chapter 6] */
#include "runtime/cpu_level.h"

#include "format/bytes.h"
#include "format/floats.h"

/* ------------------------------------------------------------------ codes */

enum { SEGMENT = 128 }; /* columns decoded in one go */

/* Element c of a plane of 8 bits or fewer:
 *
 *     bit      7 6 5 4 3 2 1 0     of byte c * bits / 8
 *     bits 2   3 3 2 2 1 1 0 0     c modulo 4
 */
static void add_narrow(const uint8_t *row, uint8_t bits, uint64_t first, uint32_t n, uint32_t shift,
                       uint32_t *codes)
{
    const uint32_t mask = (1u << bits) - 1;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t bit = (first + i) * bits;
        codes[i] |= ((uint32_t)row[bit / 8] >> bit % 8 & mask) << shift;
    }
}

static void add_u16(const uint8_t *row, uint8_t bits, uint64_t first, uint32_t n, uint32_t shift,
                    uint32_t *codes)
{
    (void)bits;
    for (uint32_t i = 0; i < n; i++) codes[i] |= (uint32_t)load_u16(row + (first + i) * 2) << shift;
}

static void add_u32(const uint8_t *row, uint8_t bits, uint64_t first, uint32_t n, uint32_t shift,
                    uint32_t *codes)
{
    (void)bits;
    (void)shift;
    for (uint32_t i = 0; i < n; i++) codes[i] = load_u32(row + (first + i) * 4);
}

enum { MAX_CODE_BITS = 32 };

/* By the width of the plane: puts its elements into the codes from bit `shift` on. */
static void (*const add_plane[MAX_CODE_BITS + 1])(const uint8_t *row, uint8_t bits, uint64_t first,
                                                  uint32_t n, uint32_t shift, uint32_t *codes) = {
    [1] = add_narrow, [2] = add_narrow, [4] = add_narrow,
    [8] = add_narrow, [16] = add_u16,   [32] = add_u32,
};

/* ------------------------------------------------------------------ maps */

static void map_uint(const struct ingot_coding *coding, const uint32_t *codes, uint32_t n, float *v)
{
    (void)coding;
    for (uint32_t i = 0; i < n; i++) v[i] = (float)codes[i];
}

static void map_int(const struct ingot_coding *coding, const uint32_t *codes, uint32_t n, float *v)
{
    /* Flipping the sign bit and subtracting it again extends it: 4 bits, 1101 -> 0101 - 1000 = -3.
     */
    const int64_t sign = (int64_t)1 << (coding->bits - 1);
    for (uint32_t i = 0; i < n; i++) v[i] = (float)(((int64_t)codes[i] ^ sign) - sign);
}

static void map_float(const struct ingot_coding *coding, const uint32_t *codes, uint32_t n,
                      float *v)
{
    const ingot_dtype format = (ingot_dtype)coding->format;
    for (uint32_t i = 0; i < n; i++) v[i] = ingot_float_decode(format, codes[i]);
}

/* By enum coding_map. */
static void (*const maps[])(const struct ingot_coding *coding, const uint32_t *codes, uint32_t n,
                            float *v) = {
    [MAP_UINT] = map_uint,
    [MAP_INT] = map_int,
    [MAP_FLOAT] = map_float,
};
enum { N_MAPS = sizeof maps / sizeof *maps };

/* ------------------------------------------------------------------ slots */

static void subtract(float *v, uint64_t n, float operand)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] - operand;
}

static void add(float *v, uint64_t n, float operand)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] + operand;
}

static void multiply_by(float *v, uint64_t n, float operand)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] * operand;
}

static void divide_by(float *v, uint64_t n, float operand)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] / operand;
}

/* By slot and inverse. */
static void (*const steps[N_SLOTS][2])(float *v, uint64_t n, float operand) = {
    [SLOT_ZERO] = {subtract, subtract},
    [SLOT_SCALE] = {multiply_by, divide_by},
    [SLOT_BIAS] = {add, subtract},
    [SLOT_POST] = {multiply_by, divide_by},
};

static float table_entry(const struct resident_table *table, uint64_t grid_row, uint64_t grid_col)
{
    const uint64_t i = grid_row * table->n_cols + grid_col;
    const uint8_t *data = table->data;
    return table->format == INGOT_F16 ? f32_from_f16(load_u16(data + i * 2))
                                      : load_f32(data + i * 4);
}

static void apply_table(const struct resident_table *table,
                        void (*step)(float *v, uint64_t n, float operand), uint64_t row,
                        uint64_t first_col, uint64_t n, float *v)
{
    uint64_t done = 0;
    while (done < n) {
        const uint64_t col = first_col + done;
        const uint64_t n_left_in_group = table->group_cols - col % table->group_cols;
        const uint64_t n_run = min_u64(n_left_in_group, n - done);
        step(v + done, n_run, table_entry(table, row / table->group_rows, col / table->group_cols));
        done += n_run;
    }
}

static void apply_slots(const struct resident_dense *dense, uint64_t row, uint64_t first_col,
                        uint64_t n, float *v)
{
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &dense->coding->slots[i];
        if (slot->has_table) {
            apply_table(&dense->tables[i], steps[i][slot->inverse_table], row, first_col, n, v);
        }
        if (slot->has_constant) steps[i][slot->inverse_constant](v, n, slot->constant);
    }
}

/* ------------------------------------------------------------------ decoding */

bool cpu_plain_supports(const struct resident_dense *dense, const char **why)
{
    const struct ingot_coding *coding = dense->coding;
    *why = "its map";
    if (coding->map >= N_MAPS || maps[coding->map] == NULL) return false;
    *why = "codes of more than 32 bits";
    if (coding->bits > MAX_CODE_BITS) return false;
    *why = "a column index";
    if (coding->index_bits != 0) return false;
    *why = NULL;
    return true;
}

static bool supported(const struct resident_dense *dense)
{
    const char *why;
    return cpu_plain_supports(dense, &why);
}

static void decode(const struct resident_dense *dense, uint64_t row, uint64_t first_col,
                   uint64_t n_cols, float *dst)
{
    const struct ingot_coding *coding = dense->coding;
    for (uint64_t done = 0; done < n_cols; done += SEGMENT) {
        const uint64_t first = first_col + done;
        const uint32_t n = (uint32_t)min_u64(SEGMENT, n_cols - done);
        uint32_t codes[SEGMENT] = {0};
        uint32_t shift = 0;
        for (uint32_t i = 0; i < dense->n_planes; i++) {
            const struct resident_plane *plane = &dense->planes[i];
            add_plane[plane->bits](plane->data + row * plane->row_bytes, plane->bits, first, n,
                                   shift, codes);
            shift += plane->bits;
        }
        maps[coding->map](coding, codes, n, dst + done);
        apply_slots(dense, row, first, n, dst + done);
    }
}

const struct cpu_kernel cpu_plain_kernel = {"plain", supported, decode, NULL};

/* ------------------------------------------------------------------ multiplying */

/* Eight partial sums: a sum of n products is off by at most (n / 8 + 8) roundings. */
static float dot(const float *w, const float *x, uint64_t n)
{
    float sums[8] = {0};
    uint64_t c = 0;
    for (; n - c >= 8; c += 8) {
        for (uint32_t i = 0; i < 8; i++) sums[i] += w[c + i] * x[c + i];
    }
    for (uint32_t i = 0; c + i < n; i++) sums[i] += w[c + i] * x[c + i];
    for (uint32_t half = 4; half > 0; half /= 2) {
        for (uint32_t i = 0; i < half; i++) sums[i] += sums[i + half];
    }
    return sums[0];
}

static void multiply(const struct cpu_product *p)
{
    for (uint64_t j = 0; j < p->n_x; j++) {
        for (uint32_t i = 0; i < p->n_rows; i++) {
            p->y[j * p->y_stride + i] +=
                dot(p->w + i * p->w_stride, p->x + j * p->x_stride, p->n_cols);
        }
    }
}

static void expand(const uint8_t *mask, uint64_t n_cols, const float *packed, float *dst)
{
    for (uint64_t c = 0; c < n_cols; c++) {
        const bool held = mask[c / 8] >> c % 8 & 1;
        dst[c] = held ? *packed++ : 0.0f;
    }
}

static bool always(void)
{
    return true;
}

const struct cpu_level cpu_level_plain = {
    .name = "plain",
    .available = always,
    .kernels = NULL,
    .n_kernels = 0,
    .multiply = multiply,
    .expand = expand,
};
