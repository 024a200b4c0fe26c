/* The reference level: every coding decoded step by step in the order of its formula, each step one
 * f32 rounding. Knows no instruction set, threads or parts. [spec chapter 6] */
#include "runtime/cpu_level.h"

#include <assert.h>

#include "format/bytes.h"
#include "format/floats.h"
#include "runtime/resident_codes.h"

enum { SEGMENT = 128 }; /* columns decoded in one go */

/* Some weights of one row of the matrix and where their codes are: codes [first_code, + n) of a row
 * of codes; columns cols[0 .. n), or from first_col on when cols is NULL. n <= SEGMENT. */
struct place {
    uint64_t code_row;
    uint64_t first_code;
    uint64_t row;
    uint64_t first_col;
    const uint32_t *cols;
    uint32_t n;
};

static void decode_place(const struct resident_dense *dense, const struct place *p, float *dst);

/* ------------------------------------------------------------------ maps */

static void place_codes(const struct resident_dense *dense, const struct place *p, uint32_t *codes)
{
    resident_codes(dense->planes, dense->n_planes, p->code_row, p->first_code, p->n, codes);
}

static void map_uint(const struct resident_dense *dense, const struct place *p, float *v)
{
    uint32_t codes[SEGMENT];
    place_codes(dense, p, codes);
    for (uint32_t i = 0; i < p->n; i++) v[i] = (float)codes[i];
}

static void map_int(const struct resident_dense *dense, const struct place *p, float *v)
{
    /* Flipping the sign bit and subtracting it again extends it: 4 bits, 1101 -> 0101 - 1000 = -3.
     */
    const int64_t sign = (int64_t)1 << (dense->coding->bits - 1);
    uint32_t codes[SEGMENT];
    place_codes(dense, p, codes);
    for (uint32_t i = 0; i < p->n; i++) v[i] = (float)(((int64_t)codes[i] ^ sign) - sign);
}

static void map_float(const struct resident_dense *dense, const struct place *p, float *v)
{
    const ingot_dtype format = (ingot_dtype)dense->coding->format;
    uint32_t codes[SEGMENT];
    place_codes(dense, p, codes);
    for (uint32_t i = 0; i < p->n; i++) v[i] = ingot_float_decode(format, codes[i]);
}

static void map_codebook(const struct resident_dense *dense, const struct place *p, float *v)
{
    uint32_t codes[SEGMENT];
    place_codes(dense, p, codes);
    for (uint32_t i = 0; i < p->n; i++) v[i] = dense->codebook[codes[i]];
}

static void map_vector(const struct resident_dense *dense, const struct place *p, float *v)
{
    const struct ingot_coding *coding = dense->coding;
    const uint64_t length = coding->vector_length;
    for (uint32_t i = 0; i < p->n; i++) {
        const uint64_t col = p->first_code + i;
        const uint32_t code =
            resident_code(dense->planes, dense->n_planes, p->code_row, col / length);
        v[i] = dense->codebook[code * length + col % length];
        if (coding->signs == 0) continue;
        const uint32_t signs =
            resident_code(dense->signs, dense->n_sign_planes, p->code_row, col / 8);
        if (resident_is_negated(signs, coding->signs, col % 8)) v[i] = -v[i];
    }
}

/* By enum coding_map. */
static void (*const maps[])(const struct resident_dense *dense, const struct place *p, float *v) = {
    [MAP_UINT] = map_uint,         [MAP_INT] = map_int,       [MAP_FLOAT] = map_float,
    [MAP_CODEBOOK] = map_codebook, [MAP_VECTOR] = map_vector,
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

static float grid_entry(const struct resident_table *table, uint64_t grid_row, uint64_t grid_col)
{
    const uint8_t *data = table->data;
    if (data == NULL) {
        const struct place p = {grid_row, grid_col, grid_row, grid_col, NULL, 1};
        float entry;
        decode_place(table->nested, &p, &entry);
        return entry;
    }
    const uint64_t i = grid_row * table->n_cols + grid_col;
    return table->format == INGOT_F16 ? f32_from_f16(load_u16(data + i * 2))
                                      : load_f32(data + i * 4);
}

float cpu_plain_entry(const struct resident_table *table, uint64_t row, uint64_t col)
{
    if (table->index != NULL) return grid_entry(table, row / table->group_rows, table->index[col]);
    if (table->run_cols != 0) {
        return grid_entry(table, 0, (row * table->run_cols + col) / table->group_cols);
    }
    return grid_entry(table, row / table->group_rows, col / table->group_cols);
}

/* How many columns from `col` on share its entry. */
static uint64_t entry_cols(const struct resident_table *table, uint64_t row, uint64_t col)
{
    if (table->index != NULL) return 1;
    return table->group_cols - (row * table->run_cols + col) % table->group_cols;
}

static void apply_table(const struct resident_table *table,
                        void (*step)(float *v, uint64_t n, float operand), const struct place *p,
                        float *v)
{
    for (uint64_t done = 0; done < p->n;) {
        const uint64_t col = p->cols != NULL ? p->cols[done] : p->first_col + done;
        const uint64_t n_same = p->cols != NULL ? 1 : entry_cols(table, p->row, col);
        const uint64_t n_run = min_u64(n_same, p->n - done);
        step(v + done, n_run, cpu_plain_entry(table, p->row, col));
        done += n_run;
    }
}

static void apply_slots(const struct resident_dense *dense, const struct place *p, float *v)
{
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &dense->coding->slots[i];
        if (slot->has_table) {
            apply_table(&dense->tables[i], steps[i][slot->inverse_table], p, v);
        }
        if (slot->has_constant) steps[i][slot->inverse_constant](v, p->n, slot->constant);
    }
}

/* ------------------------------------------------------------------ decoding */

static void decode_place(const struct resident_dense *dense, const struct place *p, float *dst)
{
    maps[dense->coding->map](dense, p, dst);
    apply_slots(dense, p, dst);
}

bool cpu_plain_supports(const struct resident_dense *dense, const char **why)
{
    const struct ingot_coding *coding = dense->coding;
    *why = "its map";
    if (coding->map >= N_MAPS || maps[coding->map] == NULL) return false;
    *why = "codes of more than 32 bits";
    if (coding->bits > RESIDENT_MAX_CODE_BITS) return false;
    *why = "a codebook that is not there";
    const bool is_codebook = coding->map == MAP_CODEBOOK || coding->map == MAP_VECTOR;
    if (is_codebook && dense->codebook == NULL) return false;
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
    for (uint64_t done = 0; done < n_cols; done += SEGMENT) {
        const uint64_t first = first_col + done;
        const struct place p = {
            .code_row = row,
            .first_code = first,
            .row = dense->rows != NULL ? dense->rows[row] : row,
            .first_col = first,
            .cols = dense->columns != NULL ? dense->columns + first : NULL,
            .n = (uint32_t)min_u64(SEGMENT, n_cols - done),
        };
        decode_place(dense, &p, dst + done);
    }
}

const struct cpu_kernel cpu_plain_kernel = {"plain", supported, decode, NULL};

void cpu_plain_decode_kept(const struct resident_dense *values, uint64_t first, uint64_t row,
                           const uint32_t *cols, uint64_t n, float *dst)
{
    for (uint64_t done = 0; done < n; done += SEGMENT) {
        const struct place p = {
            .first_code = first + done,
            .row = row,
            .cols = cols + done,
            .n = (uint32_t)min_u64(SEGMENT, n - done),
        };
        decode_place(values, &p, dst + done);
    }
}

void cpu_plain_apply_slots(const struct resident_dense *values, uint64_t row, uint64_t first_col,
                           uint64_t n_cols, float *v)
{
    const struct place p = {.row = row, .first_col = first_col, .n = (uint32_t)n_cols};
    assert(n_cols <= UINT32_MAX);
    apply_slots(values, &p, v);
}

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
