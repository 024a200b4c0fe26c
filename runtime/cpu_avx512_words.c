/* Panels of 16-bit integers times a row of x with AVX-512: codebooks whose values are no 8-bit
 * integers. x is two digits of 12 bits, so that the products of 32 columns are exact sums of 32
 * bits. */
#include "runtime/cpu_avx512_digits.h"

#ifdef INGOT_X86_64

/* ROW(bits, way, half, n_digits) */
#define FLAT(ROW, bits, way)      \
    ROW(bits, way, 0, TWO_WORDS)  \
    ROW(bits, way, 0, WIDE_WORDS) \
    ROW(bits, way, 1, TWO_WORDS)
#define WAYS(ROW, bits) FLAT(ROW, bits, BY_CHUNKS) FLAT(ROW, bits, BY_F16)
#define EACH(ROW) \
    WAYS(ROW, 1)  \
    WAYS(ROW, 2)  \
    WAYS(ROW, 3)  \
    WAYS(ROW, 4)  \
    WAYS(ROW, 5)  \
    WAYS(ROW, 6)  \
    ROW(4, BY_F32, 0, WIDE_WORDS)

#define DEFINE(bits, way, half, n_digits)                                                   \
    AVX512 static void words_##bits##_##way##half##_##n_digits(const struct panel_job *job, \
                                                               uint64_t panel)              \
    {                                                                                       \
        digit_panel(job, panel, bits, false, half, n_digits, way);                          \
    }
EACH(DEFINE)

#define ENTRY(bits, way, half, n_digits) \
    [bits][way][half][n_digits == WIDE_WORDS] = words_##bits##_##way##half##_##n_digits,
static digit_function *const word_functions[7][N_ENTRY_WAYS][2][2] = {EACH(ENTRY)};

void avx512_dot_words(const struct panel_job *job)
{
    const struct panels *p = job->panels;
    const bool half = p->halves == 1, wide = job->row.n_digits == WIDE_WORDS;
    digit_function *dot = word_functions[p->bits][avx512_entry_way(p)][half][wide];
    if (dot == NULL) dot = word_functions[p->bits][BY_CHUNKS][half][wide];
    for (uint64_t i = 0; i < job->n_panels; i++) dot(job, job->first_panel + i);
}

#endif
