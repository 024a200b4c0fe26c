/* Kept signed bytes times a row of x with AVX-512: x is three 8-bit digits in runs of columns that
 * share a step, and everything within a run is exact. */
#include "runtime/cpu_avx512_sparse.h"

#ifdef INGOT_X86_64

#include "runtime/bitmap.h"

enum {
    DIGITS = 3,
    RUN_BLOCKS = 8, /* most blocks of a run: sums of products stay below 2^26 */
    RUN_STEPS = RUN_BLOCKS * KEPT_STEPS,
    STEP_BYTES = DIGITS * KEPT_STEP
};

/* Blocks that share a step. x = step * sum over k of (digit k - 128) * 256^(2 - k). Some steps of
 * columns have further digits, which are added. */
struct run {
    uint32_t n_blocks;
    uint32_t n_further;
    float step;
    uint32_t unused;
};

struct further {
    uint32_t step; /* number in the run */
    float unit;
};

/* Where things lie in a row of x made ready: after the way, a u32, the number of runs, and from
 * byte 64 on the runs. */
struct places {
    uint64_t digits; /* STEP_BYTES for each step of columns, digit after digit */
    uint64_t further;
    uint64_t further_digits;
    uint64_t n_further; /* at most */
    uint64_t n_bytes;
};

static struct places places_of(uint64_t n_cols)
{
    const uint64_t n_blocks = kept_blocks(n_cols);
    struct places at = {.n_further = n_blocks};
    at.digits = 64 + ceil_div(n_blocks * sizeof(struct run), 64) * 64;
    at.further = at.digits + n_blocks * KEPT_STEPS * STEP_BYTES;
    at.further_digits = at.further + ceil_div(at.n_further * sizeof(struct further), 64) * 64;
    at.n_bytes = at.further_digits + at.n_further * STEP_BYTES;
    return at;
}

/* ------------------------------------------------------------------ sums of weights */

/* For each KEPT_ROWS rows, for each block, the sums of the rows' values as i16: what digits that
 * are 128 too large add to products is 128 times these. */
uint64_t avx512_kept_digits_part_bytes(uint64_t n_cols)
{
    return kept_blocks(n_cols) * KEPT_PART_ROWS * sizeof(int16_t);
}

void avx512_kept_digits_make(const struct cpu_kept *kept, uint64_t part, uint8_t *own)
{
    const uint64_t first = part * KEPT_PART_ROWS, n_blocks = kept_blocks(kept->n_cols);
    memset(own, 0, (size_t)avx512_kept_digits_part_bytes(kept->n_cols));
    for (uint64_t i = 0; i < min_u64(KEPT_PART_ROWS, kept->n_rows - first); i++) {
        const uint8_t *mask = kept->mask + (first + i) * kept->mask_row_bytes;
        const uint8_t *at = kept->values + kept->row_offsets[first + i];
        for (uint64_t b = 0; b < n_blocks; b++) {
            const uint64_t c = b * KEPT_BLOCK, n_cols = min_u64(KEPT_BLOCK, kept->n_cols - c);
            const uint64_t n = bitmap_ones(mask + c / 8, n_cols);
            int32_t sum = 0;
            for (uint64_t k = 0; k < n; k++) sum += (int8_t)at[k];
            at += n;
            store_u16(own + 2 * ((i / KEPT_ROWS * n_blocks + b) * KEPT_ROWS + i % KEPT_ROWS),
                      (uint16_t)sum);
        }
    }
}

/* ------------------------------------------------------------------ x */

uint64_t avx512_kept_digits_x_bytes(uint64_t n_cols)
{
    return places_of(n_cols).n_bytes;
}

/* A step of columns, zeros past the last one. */
struct step_values {
    __m512 x[4];
};

INGOT_TEMPLATE AVX512 struct step_values step_values_of(const float *x, uint64_t n_cols, uint64_t c)
{
    const uint64_t n = n_cols > c ? n_cols - c : 0;
    const uint64_t bits = n < KEPT_STEP ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
    struct step_values v;
    INGOT_UNROLL
    for (int i = 0; i < 4; i++) {
        v.x[i] = _mm512_maskz_loadu_ps((__mmask16)(bits >> 16 * i), x + c + 16 * i);
    }
    return v;
}

INGOT_TEMPLATE AVX512 float largest_of(const struct step_values *v)
{
    __m512 most = _mm512_abs_ps(v->x[0]);
    INGOT_UNROLL
    for (int i = 1; i < 4; i++) most = _mm512_max_ps(most, _mm512_abs_ps(v->x[i]));
    return _mm512_reduce_max_ps(most);
}

AVX512 static float largest_of_block(const float *x, uint64_t n_cols, uint64_t block)
{
    float most = 0;
    for (uint64_t s = 0; s < KEPT_STEPS; s++) {
        const struct step_values v = step_values_of(x, n_cols, block * KEPT_BLOCK + s * KEPT_STEP);
        const float largest = largest_of(&v);
        most = largest > most ? largest : most;
    }
    return most;
}

/* Whether all of x are numbers far from the limits of f32. */
AVX512 static bool are_moderate(const float *x, uint64_t n_cols)
{
    const __m512 limit = _mm512_set1_ps(0x1p100f);
    __mmask16 far = 0;
    for (uint64_t c = 0; c < n_cols; c += KEPT_STEP) {
        const struct step_values v = step_values_of(x, n_cols, c);
        INGOT_UNROLL
        for (int i = 0; i < 4; i++) {
            far |= _mm512_cmp_ps_mask(_mm512_abs_ps(v.x[i]), limit, _CMP_NLE_UQ);
        }
    }
    return far == 0;
}

/* Writes the digits of a step of columns, and leaves in v what they lack. */
INGOT_TEMPLATE AVX512 void put_step(struct step_values *v, float unit, uint8_t *dst)
{
    const __m512 inverse = _mm512_set1_ps(1 / unit); /* of a power of two */
    INGOT_UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(v->x[i], inverse));
        v->x[i] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(q), _mm512_set1_ps(unit), v->x[i]);
        INGOT_UNROLL
        for (int k = DIGITS; k-- > 0;) {
            const __m512i digit = _mm512_srai_epi32(_mm512_slli_epi32(q, 24), 24);
            const __m128i byte = _mm512_cvtepi32_epi8(digit);
            _mm_storeu_si128((__m128i *)(void *)(dst + KEPT_STEP * k + 16 * i),
                             _mm_xor_si128(byte, _mm_set1_epi8((char)0x80)));
            q = _mm512_srai_epi32(_mm512_sub_epi32(q, digit), 8);
        }
    }
}

/* Whether what is left of x is within `share` of what it was. */
INGOT_TEMPLATE AVX512 bool is_near(const struct step_values *rest, const struct step_values *x,
                                   float share)
{
    __mmask16 far = 0;
    INGOT_UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512 most = _mm512_mul_ps(_mm512_abs_ps(x->x[i]), _mm512_set1_ps(share));
        far |= _mm512_cmp_ps_mask(_mm512_abs_ps(rest->x[i]), most, _CMP_NLE_UQ);
    }
    return far == 0;
}

/* How many blocks from `first` on are of about one size, and the largest of their x. */
static uint32_t run_length(const float *x, uint64_t n_cols, uint64_t first, float *largest)
{
    const uint64_t n_blocks = min_u64(RUN_BLOCKS, kept_blocks(n_cols) - first);
    float most = 0, least = 0;
    uint32_t n = 0;
    for (; n < n_blocks; n++) {
        const float next = largest_of_block(x, n_cols, first + n);
        const float new_most = next > most ? next : most;
        const float new_least = next > 0 && (least == 0 || next < least) ? next : least;
        if (new_most > 4 * new_least) break;
        most = new_most;
        least = new_least;
    }
    *largest = most;
    return n;
}

/* Writes steps of columns, and further digits until every x is off by at most K 2^-24 of itself,
 * half of what the bound allows. *n_further is of all runs. False: there are too many. */
AVX512 static bool put_run(const float *x, uint64_t n_cols, uint64_t first_block, struct run *run,
                           const struct places *at, uint8_t *ready, uint64_t *n_further)
{
    const float share = (float)n_cols * 0x1p-24f;
    const uint64_t before = *n_further;
    for (uint32_t s = 0; s < run->n_blocks * KEPT_STEPS; s++) {
        const uint64_t step = first_block * KEPT_STEPS + s;
        const struct step_values all = step_values_of(x, n_cols, step * KEPT_STEP);
        struct step_values rest = all;
        put_step(&rest, run->step, ready + at->digits + step * STEP_BYTES);
        while (!is_near(&rest, &all, share)) {
            const float largest = largest_of(&rest);
            if (*n_further == at->n_further || largest < 0x1p-100f) return false;
            const struct further further = {s, three_digit_step(largest)};
            memcpy(ready + at->further + *n_further * sizeof further, &further, sizeof further);
            put_step(&rest, further.unit, ready + at->further_digits + *n_further * STEP_BYTES);
            ++*n_further;
        }
    }
    run->n_further = (uint32_t)(*n_further - before);
    return true;
}

static bool put_runs(uint64_t n_cols, const float *x, uint8_t *ready)
{
    const struct places at = places_of(n_cols);
    const uint64_t n_blocks = kept_blocks(n_cols);
    uint64_t n_further = 0;
    uint32_t n_runs = 0;
    if (n_cols < KEPT_BLOCK || !are_moderate(x, n_cols)) return false;
    for (uint64_t b = 0; b < n_blocks; n_runs++) {
        float largest;
        struct run run = {.n_blocks = run_length(x, n_cols, b, &largest), .step = 1};
        if (largest > 0 && largest < 0x1p-100f) return false;
        if (largest > 0) run.step = three_digit_step(largest);
        if (!put_run(x, n_cols, b, &run, &at, ready, &n_further)) return false;
        memcpy(ready + 64 + n_runs * sizeof run, &run, sizeof run);
        b += run.n_blocks;
    }
    store_u32(ready + 4, n_runs);
    return true;
}

void avx512_kept_digits_x(uint64_t n_cols, const float *x, uint8_t *ready)
{
    store_u32(ready, put_runs(n_cols, x, ready) ? KEPT_READY : KEPT_FLOATS);
}

/* ------------------------------------------------------------------ products */

struct digit_sums {
    __m512i v[KEPT_ROWS][DIGITS];
};

/* A step of columns. Moves the rows on. */
INGOT_TEMPLATE AVX512 void add_step(struct digit_sums *sums, struct kept_rows *rows,
                                    const uint8_t *mask, uint64_t columns, const uint8_t *digits)
{
    __m512i x[DIGITS];
    INGOT_UNROLL
    for (int k = 0; k < DIGITS; k++) x[k] = load_512(digits + KEPT_STEP * k);
    INGOT_UNROLL
    for (uint64_t i = 0; i < KEPT_ROWS; i++) {
        const uint64_t bits = load_u64(mask + i * rows->mask_row_bytes) & columns;
        const __m512i w = spread_bytes(bits, rows->at[i]);
        rows->at[i] += _mm_popcnt_u64(bits);
        INGOT_UNROLL
        for (int k = 0; k < DIGITS; k++) {
            sums->v[i][k] = _mm512_dpbusd_epi32(sums->v[i][k], x[k], w);
        }
    }
}

INGOT_TEMPLATE AVX512 void clear_sums(struct digit_sums *sums)
{
    INGOT_UNROLL
    for (int i = 0; i < KEPT_ROWS; i++) {
        INGOT_UNROLL
        for (int k = 0; k < DIGITS; k++) sums->v[i][k] = _mm512_setzero_si512();
    }
}

/* The sums of the lanes of four vectors. */
INGOT_TEMPLATE AVX512 __m128i lane_sums(__m512i a, __m512i b, __m512i c, __m512i d)
{
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i all =
        _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* y plus the sums, less 128 times the sums of weights, times the step. */
INGOT_TEMPLATE AVX512 __m128 add_sums(__m128 y, const struct digit_sums *sums, __m128i weights,
                                      float step)
{
    __m128 total = _mm_setzero_ps();
    INGOT_UNROLL
    for (int k = 0; k < DIGITS; k++) {
        const __m128i sum = lane_sums(sums->v[0][k], sums->v[1][k], sums->v[2][k], sums->v[3][k]);
        const __m128i exact = _mm_sub_epi32(sum, _mm_slli_epi32(weights, 7));
        total = _mm_fmadd_ps(total, _mm_set1_ps(256.0f), _mm_cvtepi32_ps(exact));
    }
    return _mm_fmadd_ps(total, _mm_set1_ps(step), y);
}

/* One step of columns with further digits. */
INGOT_TEMPLATE AVX512 __m128 add_further(__m128 y, struct kept_rows rows, const uint8_t *mask,
                                         uint64_t columns, const uint8_t *digits, float unit)
{
    struct digit_sums sums;
    struct kept_rows again = rows;
    __m512i weights[KEPT_ROWS];
    clear_sums(&sums);
    add_step(&sums, &rows, mask, columns, digits);
    INGOT_UNROLL
    for (uint64_t i = 0; i < KEPT_ROWS; i++) {
        const uint64_t bits = load_u64(mask + i * again.mask_row_bytes) & columns;
        const __m512i w = spread_bytes(bits, again.at[i]);
        weights[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), w);
    }
    return add_sums(y, &sums, lane_sums(weights[0], weights[1], weights[2], weights[3]), unit);
}

/* The walk along the rows: where they are, and where they were at each step of the run. */
struct walk {
    struct kept_rows *rows;
    struct kept_ahead *ahead;
    const uint8_t *weights;
    uint64_t weights_bytes; /* of all their blocks */
    const uint8_t *digits;
    uint64_t n_cols;
    uint64_t step; /* of columns */
    const uint8_t *were[KEPT_ROWS][RUN_STEPS];
};

INGOT_TEMPLATE void note_rows(struct walk *walk, const struct kept_rows *rows, uint64_t i)
{
    INGOT_UNROLL
    for (int k = 0; k < KEPT_ROWS; k++) walk->were[k][i] = rows->at[k];
}

/* The sums of the weights of a run. */
INGOT_TEMPLATE AVX512 __m128i run_weights(const struct run *run, struct walk *walk)
{
    __m128i sums = _mm_setzero_si128();
    for (uint32_t b = 0; b < run->n_blocks; b++) {
        const __m128i *of_block = (const __m128i *)(const void *)walk->weights;
        sums = _mm_add_epi32(sums, _mm_cvtepi16_epi32(_mm_loadl_epi64(of_block)));
        _mm_prefetch((const char *)walk->weights + walk->weights_bytes, _MM_HINT_T1);
        walk->weights += KEPT_ROWS * sizeof(int16_t);
    }
    return sums;
}

/* Adds the products of a run, but for those of further digits. Moves on to its end. */
INGOT_TEMPLATE AVX512 __m128 add_run(__m128 y, const struct run *run, struct walk *walk)
{
    struct kept_rows rows = *walk->rows; /* in registers */
    struct kept_ahead ahead = *walk->ahead;
    const uint64_t first = walk->step, n_whole = walk->n_cols / KEPT_STEP;
    const uint64_t run_end = first + run->n_blocks * KEPT_STEPS, end = min_u64(run_end, n_whole);
    const uint8_t *digits = walk->digits;
    struct digit_sums sums;
    uint64_t step = first;
    clear_sums(&sums);
    for (; step < end; step++, digits += STEP_BYTES) {
        kept_fetch(&ahead, 1);
        note_rows(walk, &rows, step - first);
        add_step(&sums, &rows, rows.mask + 8 * step, UINT64_MAX, digits);
    }
    if (step < run_end && step * KEPT_STEP < walk->n_cols) {
        const uint64_t columns = kept_columns(walk->n_cols, step);
        note_rows(walk, &rows, step - first);
        add_step(&sums, &rows, rows.mask + 8 * step, columns, digits);
    }
    *walk->rows = rows;
    *walk->ahead = ahead;
    walk->digits = digits;
    walk->step = step;
    return add_sums(y, &sums, run_weights(run, walk), run->step);
}

AVX512 void avx512_kept_digits(const struct cpu_kept *kept, uint64_t row, struct kept_rows *rows,
                               struct kept_ahead *ahead, const uint8_t *ready, float y[KEPT_ROWS])
{
    const struct places places = places_of(kept->n_cols);
    const uint64_t weights_bytes = kept_blocks(kept->n_cols) * KEPT_ROWS * sizeof(int16_t);
    const uint8_t *further = ready + places.further, *digits = ready + places.further_digits;
    const uint32_t n_runs = load_u32(ready + 4);
    struct walk walk = {.rows = rows,
                        .ahead = ahead,
                        .weights = kept->own + row / KEPT_ROWS * weights_bytes,
                        .weights_bytes = weights_bytes,
                        .digits = ready + places.digits,
                        .n_cols = kept->n_cols};
    __m128 sum = _mm_setzero_ps();
    for (uint32_t r = 0; r < n_runs; r++) {
        const uint64_t first = walk.step;
        struct run run;
        memcpy(&run, ready + 64 + r * sizeof run, sizeof run);
        sum = add_run(sum, &run, &walk);
        for (uint32_t i = 0; i < run.n_further; i++, digits += STEP_BYTES) {
            struct further f;
            struct kept_rows back = *rows;
            memcpy(&f, further, sizeof f);
            for (int k = 0; k < KEPT_ROWS; k++) back.at[k] = walk.were[k][f.step];
            further += sizeof f;
            const uint64_t step = first + f.step;
            sum = add_further(sum, back, rows->mask + 8 * step, kept_columns(kept->n_cols, step),
                              digits, f.unit);
        }
    }
    _mm_storeu_ps(y, sum);
}

#endif
