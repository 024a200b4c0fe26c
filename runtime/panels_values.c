/* What the codes of panels stand for: tables of values as bf16, and as 8-bit integers where they
 * are some. Knows no places. */
#include "runtime/panels_make.h"

#include <math.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/floats.h"
#include "runtime/resident_codes.h"

uint32_t panel_distinct(const float *numbers, uint64_t n, bool negated, float values[256],
                        uint8_t *codes)
{
    uint32_t n_values = 0;
    for (uint64_t i = 0; i < n * (negated ? 2 : 1); i++) {
        const float v = i < n ? numbers[i] : -numbers[i - n];
        uint32_t code = 0;
        if (isnan(v)) return 257;
        while (code < n_values && values[code] != v) code++;
        if (code == 256) return 257;
        if (code == n_values) values[n_values++] = v;
        if (codes != NULL) codes[i] = (uint8_t)code;
    }
    return n_values;
}

bool panel_zeros_are_few(const struct ingot_coding *zeros)
{
    bool few = zeros->map <= MAP_CODEBOOK && zeros->bits <= PANEL_MAX_BITS;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        few = few && !zeros->slots[i].has_table && !zeros->slots[i].has_constant;
    }
    return few;
}

/* Whether zeros are of groups that panels do not have, and few. */
static bool takes_zeros(const struct maker *m)
{
    const struct resident_table *zeros = &m->dense->tables[SLOT_ZERO];
    return zeros->nested != NULL && zeros->index == NULL && zeros->run_cols == 0 &&
           m->dense->columns == NULL && panel_table_halves(m->p, zeros) == 0 &&
           panel_zeros_are_few(zeros->nested->coding);
}

/* Values become those less each of the zeros. */
static void take_zeros(struct maker *m)
{
    const struct resident_dense *zeros = m->dense->tables[SLOT_ZERO].nested;
    const struct coding_slot *slot = &m->dense->coding->slots[SLOT_ZERO];
    const uint32_t n_zeros = panel_n_codes(zeros->coding), n = n_zeros * m->n_values;
    float *values = ingot_allocate_zeroed(m->allocator, n, sizeof *values);
    m->less_codes = ingot_allocate_zeroed(m->allocator, n, 1);
    if (values == NULL || m->less_codes == NULL) {
        m->status = ingot_fail_memory(m->error, n * sizeof *values, "values of a codebook");
        goto done;
    }
    m->zeros = &m->dense->tables[SLOT_ZERO];
    m->n_plain = m->n_values;
    for (uint32_t i = 0; i < n; i++) {
        values[i] = m->values[i % m->n_plain] - panel_code_value(zeros, i / m->n_plain);
        if (slot->has_constant) values[i] = values[i] - slot->constant;
    }
    m->n_values = panel_distinct(values, n, false, m->values, m->less_codes);
done:
    ingot_release(m->allocator, values);
}

/* A codebook of vectors whose values are few is one of scalars, too. */
bool panel_collect_values(struct maker *m)
{
    const struct ingot_coding *coding = m->dense->coding;
    const uint64_t n = (uint64_t)coding->n_entries * coding->vector_length;
    m->value_codes = ingot_allocate_zeroed(m->allocator, n, 2);
    if (m->value_codes == NULL) {
        m->status = ingot_fail_memory(m->error, n * 2, "values of a codebook");
        return false;
    }
    m->n_values =
        panel_distinct(m->dense->codebook, n, coding->signs != 0, m->values, m->value_codes);
    if (m->n_values <= 256 && takes_zeros(m)) take_zeros(m);
    return m->status == INGOT_OK && m->n_values <= 256;
}

uint8_t panel_bits_for(uint32_t n)
{
    uint8_t bits = 1;
    while (1u << bits < n) bits++;
    return bits;
}

/* Codes of scalars, from those of vectors and signs. */
void panel_vector_codes(const struct maker *m, uint64_t row, uint64_t first, uint32_t n,
                        uint32_t *codes)
{
    const struct resident_dense *dense = m->dense;
    const struct ingot_coding *coding = dense->coding;
    const uint64_t length = coding->vector_length, n_all = coding->n_entries * length;
    const struct resident_table *zeros = m->zeros;
    uint32_t vector = 0, signs = 0, zero = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t col = first + i;
        if (i == 0 || col % length == 0) {
            vector = resident_code(dense->planes, dense->n_planes, row, col / length);
        }
        if (coding->signs != 0 && (i == 0 || col % 8 == 0)) {
            signs = resident_code(dense->signs, dense->n_sign_planes, row, col / 8);
        }
        const bool negated =
            coding->signs != 0 && resident_is_negated(signs, coding->signs, col % 8);
        codes[i] = m->value_codes[vector * length + col % length + (negated ? n_all : 0)];
        if (zeros == NULL) continue;
        if (i == 0 || col % zeros->group_cols == 0) {
            zero = resident_code(zeros->nested->planes, zeros->nested->n_planes,
                                 row / zeros->group_rows, col / zeros->group_cols);
        }
        codes[i] = m->less_codes[zero * m->n_plain + codes[i]];
    }
}

static float map_value(const struct resident_dense *dense, uint32_t code)
{
    const struct ingot_coding *coding = dense->coding;
    const int32_t sign = 1 << (coding->bits - 1);
    if (coding->map == MAP_UINT) return (float)code;
    if (coding->map == MAP_INT) return (float)(((int32_t)code ^ sign) - sign);
    if (coding->map == MAP_FLOAT) return ingot_float_decode((ingot_dtype)coding->format, code);
    return code < coding->n_entries ? dense->codebook[code] : 0.0f;
}

/* A value after the constant zero. */
static float after_zero(const struct resident_dense *dense, float v)
{
    const struct coding_slot *zero = &dense->coding->slots[SLOT_ZERO];
    return zero->has_constant && !zero->has_table ? v - zero->constant : v;
}

float panel_code_value(const struct resident_dense *dense, uint32_t code)
{
    return after_zero(dense, map_value(dense, code));
}

static float maker_value(const struct maker *m, uint32_t code)
{
    if (m->value_codes == NULL) return panel_code_value(m->dense, code);
    return after_zero(m->dense, code < m->n_values ? m->values[code] : 0.0f);
}

/* v as the sum of two bf16, the first the nearer one of 8 bits. */
static void split(float v, uint16_t *high, uint16_t *low)
{
    *high = bf16_from_f32(v);
    *low = isfinite(v) ? bf16_from_f32(v - f32_from_bf16(*high)) : 0;
}

/* Multiplying by one of these makes integers of the values of small float formats. */
static const float units[] = {1.0f, 0.5f, 0.25f, 0.125f, 0.0625f};

static bool fits_bytes(const float *values, uint32_t n, float unit)
{
    bool fits = true;
    for (uint32_t i = 0; i < n; i++) {
        const float v = values[i] / unit;
        fits = fits && v == rintf(v) && fabsf(v) <= 127.0f;
    }
    return fits;
}

static void find_integers(struct maker *m, const float *values, uint32_t n)
{
    struct panel_integers *integers = &m->p->integers;
    const struct ingot_coding *coding = m->dense->coding;
    const bool is_integer = coding->map == MAP_UINT || coding->map == MAP_INT;
    const float first = values[0]; /* of code 0; the others follow in steps of 1, or wrap */
    if (is_integer && first == rintf(first) && fabsf(first) < 32768.0f) {
        /* Codes of signed integers have their sign flipped as they are laid out. */
        const int32_t sign = coding->map == MAP_INT ? 1 << (coding->bits - 1) : 0;
        *integers = (struct panel_integers){
            .present = true, .is_code = true, .zero = sign - (int32_t)first, .unit = 1.0f};
        return;
    }
    for (uint32_t k = 0; k < sizeof units / sizeof *units && n <= 64; k++) {
        if (!fits_bytes(values, n, units[k])) continue;
        *integers = (struct panel_integers){.present = true, .zero = 128, .unit = units[k]};
        for (uint32_t i = 0; i < 64; i++) {
            integers->bytes[i] = (uint8_t)((int32_t)(values[i % n] / units[k]) + 128);
        }
        return;
    }
}

/* The longest run of plain codes, if shifting the codes so gives any. */
static struct panel_floats shifted_floats(const struct panels *p, uint32_t shift)
{
    struct panel_floats best = {.shift = 0};
    for (uint32_t first = 1; first < 128;) {
        const int32_t exponent = (p->high[first] >> 7 & 255) - (int32_t)(first << shift >> 7);
        uint32_t end = first;
        while (end < 128 && end << shift >> 7 != 0 &&
               p->high[end] == (uint32_t)((int32_t)(end << shift) + exponent * 128)) {
            end++;
        }
        if (end - first > (uint32_t)(best.shift != 0 ? best.most - best.least + 1 : 0)) {
            best = (struct panel_floats){shift, exponent, (uint8_t)first, (uint8_t)(end - 1), NULL};
        }
        first = end > first ? end : first + 1;
    }
    return best;
}

/* Worth it only if nearly all codes are plain, and zero is. */
static void find_floats(struct panels *p)
{
    enum { MIN_PLAIN = 96, MIN_EXPONENT = 96, MAX_EXPONENT = 127 };
    for (uint32_t shift = 4; shift <= 5 && p->is_signed && p->high[0] == 0; shift++) {
        const struct panel_floats floats = shifted_floats(p, shift);
        const bool fits = floats.exponent >= MIN_EXPONENT && floats.exponent <= MAX_EXPONENT;
        if (floats.shift != 0 && fits && floats.most - floats.least + 1 >= MIN_PLAIN) {
            p->floats = floats;
        }
    }
}

/* The largest share of itself that a value is off by when all, of at most 32767 / inverse, are
 * rounded to multiples of 1 / inverse. */
static float rounding_share(const float *values, uint32_t n, float inverse)
{
    float most = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        const float v = fabsf(values[i]) * inverse;
        const float rest = v - (float)(int32_t)(v + 0.5f);
        const float share = v == 0.0f ? 0.0f : fabsf(rest) / v;
        most = share > most ? share : most;
    }
    return most;
}

/* The largest of them; INFINITY when one is no number. */
static float largest_value(const float *values, uint32_t n)
{
    float largest = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        largest = isnan(values[i]) ? INFINITY : fmaxf(largest, fabsf(values[i]));
    }
    return largest;
}

/* Of the units that make the largest value one of so many integers, the one that suits all values
 * best. Digits of x take half of the bound of 2 K 2^-24 sum|w x|; values off by up to
 * three quarters of K 2^-24 of themselves take most of the rest, and leave enough to sums, which
 * are rounded a few times for 32 columns. Beside offsets a weight may be far less than its value.
 */
static void find_words(struct maker *m, const float *values, uint32_t n)
{
    enum { MOST = 32767, N_UNITS = 1024 };
    struct panel_words *words = &m->p->words;
    const float enough = 0x1p-15f;
    const float largest = largest_value(values, n);
    float best = 1.0f, inverse = 0.0f;
    if (n > 64 || !(largest >= 0x1p-8f && largest <= 0x1p8f)) return;
    for (uint32_t k = 0; k < N_UNITS && best > enough; k++) {
        const float unit_inverse = (float)(MOST - k) / largest;
        const float share = rounding_share(values, n, unit_inverse);
        if (share >= best) continue;
        best = share;
        inverse = unit_inverse;
    }
    if (best > (float)m->p->n_cols * 0x3p-26f) return;
    int exponent;
    words->factor = 2.0f * frexpf(1.0f / inverse, &exponent);
    words->unit = ldexpf(1.0f, exponent - 1);
    for (uint32_t i = 0; i < 64; i++) words->values[i] = (int16_t)lrintf(values[i % n] * inverse);
    words->present = true;
}

bool panel_value_fits(float v)
{
    return !isfinite(v) || v == 0.0f || (fabsf(v) >= 0x1p-90f && fabsf(v) <= 0x1p90f);
}

/* False when a value has no place in the tables. */
bool panel_make_values(struct maker *m)
{
    struct panels *p = m->p;
    const uint32_t n = 1u << p->bits;
    float values[256];
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t code = panel_laid_out(m->dense->coding, i);
        const float v = maker_value(m, code);
        values[code] = v;
        if (!panel_value_fits(v)) return false;
        split(v, &p->high[i], &p->low[i]);
        p->has_low = p->has_low || (p->low[i] & 0x7fff) != 0;
    }
    for (uint32_t i = n; i < 256; i++) { /* bits above a code need not be cleared */
        p->high[i] = p->high[i % n];
        p->low[i] = p->low[i % n];
    }
    p->is_signed = p->bits == 8;
    for (uint32_t i = 0; i < 128; i++) {
        const bool both = p->high[i + 128] == (p->high[i] ^ 0x8000) && p->low[i + 128] == 0;
        const bool no_number =
            isnan(f32_from_bf16(p->high[i])) && isnan(f32_from_bf16(p->high[i + 128]));
        p->is_signed = p->is_signed && p->low[i] == 0 && (both || no_number);
    }
    find_integers(m, values, n);
    find_floats(p);
    const bool has_offsets = panel_has_offsets(m->dense->coding, m->zeros != NULL);
    /* One bf16 that is the value takes as many products, and two rows of x at a time. */
    const bool gains = p->has_low && !p->integers.present;
    if (gains && !has_offsets) find_words(m, values, n);
    return true;
}
