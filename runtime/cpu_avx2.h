/* What the files of panels with AVX2 share: codes of a block, entries of its slots, and what is
 * multiplied. A register holds eight rows: two are a panel. */
#ifndef INGOT_CPU_AVX2_H
#define INGOT_CPU_AVX2_H

#include "format/compiler.h"

#ifdef INGOT_X86_64

#include <immintrin.h>

#include "runtime/panels_x.h"

#define AVX2 INGOT_TARGET("avx2,fma,f16c")

enum {
    AVX2_STEPS = 8, /* of four columns, in a block */
    AVX2_HALVES = 2 /* registers of a panel */
};

/* The bytes of a block: byte 4 i + b of half h of step s is row 8 h + i, column 4 s + b. */
struct avx2_bytes {
    __m256i v[AVX2_STEPS][AVX2_HALVES];
};

/* The codes of a block; bits above them are zero. By their number of bits. */
typedef void avx2_codes_function(const uint8_t *block, struct avx2_bytes *codes);
extern avx2_codes_function *const avx2_code_takers[PANEL_MAX_BITS + 1];

/* weight = (value - zero) * scale + bias, by halves of a panel. */
struct avx2_entries {
    __m256 zero[AVX2_HALVES];
    __m256 scale[AVX2_HALVES];
    __m256 bias[AVX2_HALVES];
};
/* The entries of a block: false when all its columns share the first, true when its halves have one
 * each. */
bool avx2_block_entries(const struct panels *p, uint64_t panel, uint64_t block,
                        struct avx2_entries e[PANEL_BLOCK_HALVES]);

/* What a panel's products are made of. */
struct avx2_job {
    const struct panels *p;
    uint64_t panel;
    const void *ready;
    uint64_t all_x; /* rows that are made ready */
    uint64_t first; /* of those that are multiplied */
    uint64_t n_x;
    float (*sums)[PANEL_ROWS]; /* added to */
};
void avx2_add_raw(const struct avx2_job *job);
void avx2_add_floats(const struct avx2_job *job);
void avx2_add_integers(const struct avx2_job *job);

static inline const uint8_t *avx2_block(const struct avx2_job *job, uint64_t block)
{
    return job->p->codes + (job->panel * job->p->n_blocks + block) * job->p->block_bytes;
}

/* Fetches the codes that come some blocks later. */
static inline void avx2_fetch(const uint8_t *codes, uint64_t n_bytes)
{
    enum { AHEAD = 4096 };
    for (uint64_t i = 0; i < n_bytes; i += 64) {
        _mm_prefetch((const char *)codes + AHEAD + i, _MM_HINT_T0);
    }
}

#endif
#endif
