/* Panels of 8-bit integers times a row of x with AVX-512: x is one or three 8-bit digits. */
#include "runtime/cpu_avx512_digits.h"

#ifdef INGOT_X86_64

/* ROW(bits, is_code, way, half, n_digits) */
#define FOUR(ROW, bits, is_code, way) \
    ROW(bits, is_code, way, 0, 1)     \
    ROW(bits, is_code, way, 0, 3)     \
    ROW(bits, is_code, way, 1, 1)     \
    ROW(bits, is_code, way, 1, 3)
#define WAYS(ROW, bits, is_code)        \
    FOUR(ROW, bits, is_code, BY_CHUNKS) \
    FOUR(ROW, bits, is_code, BY_F16)    \
    FOUR(ROW, bits, is_code, BY_INTEGERS)
#define BOTH(ROW, bits) WAYS(ROW, bits, 0) WAYS(ROW, bits, 1)
/* All that is ever asked for, but for entries that may be read by chunks instead. */
#define EACH(ROW)                 \
    BOTH(ROW, 1)                  \
    BOTH(ROW, 2)                  \
    BOTH(ROW, 3)                  \
    BOTH(ROW, 4)                  \
    BOTH(ROW, 5)                  \
    BOTH(ROW, 6)                  \
    WAYS(ROW, 7, 1)               \
    WAYS(ROW, 8, 1)               \
    ROW(4, 0, BY_EXPONENTS, 0, 1) \
    ROW(4, 0, BY_EXPONENTS, 0, 3) \
    ROW(6, 0, BY_EXPONENTS, 0, 3) \
    ROW(4, 0, BY_E4M3, 1, 1)      \
    ROW(4, 0, BY_E4M3, 1, 3)

#define DEFINE(bits, is_code, way, half, n_digits)                        \
    AVX512 static void digits_##bits##_##is_code##_##way##half##n_digits( \
        const struct panel_job *job, uint64_t panel)                      \
    {                                                                     \
        digit_panel(job, panel, bits, is_code, half, n_digits, way);      \
    }
EACH(DEFINE)

#define ENTRY(bits, is_code, way, half, n_digits) \
    [bits][is_code][way][half][n_digits == 3] = digits_##bits##_##is_code##_##way##half##n_digits,
static digit_function *const digit_functions[PANEL_MAX_BITS + 1][2][N_ENTRY_WAYS][2][2] = {
    EACH(ENTRY)};

static enum entry_way table_way(const struct panel_table *t)
{
    if (t->kind == ENTRIES_F16) return BY_F16;
    if (t->kind == ENTRIES_F32) return BY_F32;
    if (t->kind == ENTRIES_INTEGERS) return BY_INTEGERS;
    if (t->kind == ENTRIES_CODES && t->codes_are == CODES_EXPONENTS) return BY_EXPONENTS;
    return t->kind == ENTRIES_CODES && t->codes_are == CODES_E4M3 ? BY_E4M3 : BY_CHUNKS;
}

enum entry_way avx512_entry_way(const struct panels *p)
{
    const struct panel_table *scale = &p->scale, *bias = &p->bias;
    const enum entry_way way = table_way(scale);
    if (way == BY_CHUNKS || scale->halves != p->halves || scale->add != 0) return BY_CHUNKS;
    if (p->halves == 1 && scale->super_groups % 2 != 0) return BY_CHUNKS;
    if (p->zero.kind != ENTRIES_NONE || p->bias_constant != 0) return BY_CHUNKS;
    if (bias->kind == ENTRIES_NONE) return way;
    const bool alike = table_way(bias) == way && bias->halves == scale->halves &&
                       bias->super_groups == scale->super_groups && bias->add == 0;
    return alike ? way : BY_CHUNKS;
}

void avx512_dot_digits(const struct panel_job *job)
{
    const struct panels *p = job->panels;
    const bool three = job->row.n_digits == 3, half = p->halves == 1;
    const bool is_code = p->integers.is_code;
    digit_function *dot = digit_functions[p->bits][is_code][avx512_entry_way(p)][half][three];
    if (dot == NULL) dot = digit_functions[p->bits][is_code][BY_CHUNKS][half][three];
    for (uint64_t i = 0; i < job->n_panels; i++) dot(job, job->first_panel + i);
}

#endif
