/* Panels of 16-bit integers times a row of x with AVX-512: codebooks whose values are no 8-bit
 * integers. x is two digits of 12 bits, so that the products of 32 columns are exact sums of 32
 * bits. */
#include "runtime/cpu_avx512_digits.h"

#ifdef INGOT_X86_64

/* ROW(bits, way, half) */
#define BOTH(ROW, bits, way) ROW(bits, way, 0) ROW(bits, way, 1)
#define WAYS(ROW, bits) BOTH(ROW, bits, BY_CHUNKS) BOTH(ROW, bits, BY_F16)
#define EACH(ROW) \
    WAYS(ROW, 1)  \
    WAYS(ROW, 2)  \
    WAYS(ROW, 3)  \
    WAYS(ROW, 4)  \
    WAYS(ROW, 5)  \
    WAYS(ROW, 6)  \
    ROW(4, BY_F32, 0)

#define DEFINE(bits, way, half)                                                                \
    AVX512 static void words_##bits##_##way##half(const struct panel_job *job, uint64_t panel) \
    {                                                                                          \
        digit_panel(job, panel, bits, false, half, TWO_WORDS, way);                            \
    }
EACH(DEFINE)

#define ENTRY(bits, way, half) [bits][way][half] = words_##bits##_##way##half,
static digit_function *const word_functions[7][N_ENTRY_WAYS][2] = {EACH(ENTRY)};

void avx512_dot_words(const struct panel_job *job)
{
    const struct panels *p = job->panels;
    const bool half = p->halves == 1;
    digit_function *dot = word_functions[p->bits][avx512_entry_way(p)][half];
    if (dot == NULL) dot = word_functions[p->bits][BY_CHUNKS][half];
    for (uint64_t i = 0; i < job->n_panels; i++) dot(job, job->first_panel + i);
}

#endif
