/* Loops that do one thing only: read, multiply and add, dot products. One table a level. */
#include "runtime/cpu_ceilings.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/compiler.h"
#include "format/fail.h"
#include "runtime/cpu_level.h"
#include "runtime/large_pages.h"

#ifdef INGOT_X86_64
#include <immintrin.h>
#endif

enum {
    READ_BYTES = 1 << 28, /* far more than caches hold */
    READ_TASK_BYTES = 1 << 20,
    ROUNDS = 200000, /* of a task that computes */
    CHAINS = 12,     /* sums that do not wait for each other; no two alike, or they would be one */
    N_RUNS = 7,
    N_READS = 2
};

/* Each computing function makes ROUNDS rounds of CHAINS operations, and returns what depends on all
 * of them. */
struct loops {
    const char *level;
    /* Without fetching ahead, and with (NULL: it has none): now the one is faster, now the other.
     */
    uint64_t (*read[N_READS])(const uint8_t *data, uint64_t n_bytes);
    float (*fma)(float x);
    float (*bf16)(float x); /* NULL: there is no such instruction */
    float (*int8)(float x);
    double fma_ops; /* of one operation */
    double bf16_ops;
    double int8_ops;
};

/* ------------------------------------------------------------------ plain */

static uint64_t read_plain(const uint8_t *data, uint64_t n_bytes)
{
    uint64_t sums[4] = {0};
    for (uint64_t i = 0; i < n_bytes; i += 32) {
        for (uint32_t k = 0; k < 4; k++) sums[k] |= load_u64(data + i + 8 * k);
    }
    return sums[0] | sums[1] | sums[2] | sums[3];
}

static float fma_plain(float x)
{
    float sums[CHAINS];
    for (uint32_t k = 0; k < CHAINS; k++) sums[k] = x + (float)k;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t k = 0; k < CHAINS; k++) sums[k] = sums[k] * x + x;
    }
    for (uint32_t k = 1; k < CHAINS; k++) sums[0] += sums[k];
    return sums[0];
}

/* ------------------------------------------------------------------ x86-64 */

#ifdef INGOT_X86_64

#define AVX2 INGOT_TARGET("avx2,fma,f16c")
#define AVX512 INGOT_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,fma")

INGOT_TEMPLATE AVX2 uint64_t read_256(const uint8_t *data, uint64_t n_bytes, const bool fetch)
{
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                       _mm256_setzero_si256()};
    for (uint64_t i = 0; i < n_bytes; i += 128) {
        if (fetch) _mm_prefetch((const char *)(data + i + 2048), _MM_HINT_T0);
        if (fetch) _mm_prefetch((const char *)(data + i + 2112), _MM_HINT_T0);
        INGOT_UNROLL
        for (int k = 0; k < 4; k++) {
            const uint8_t *at = data + i + 32 * (uint64_t)k;
            sums[k] =
                _mm256_or_si256(sums[k], _mm256_loadu_si256((const __m256i *)(const void *)at));
        }
    }
    sums[0] = _mm256_or_si256(_mm256_or_si256(sums[0], sums[1]), _mm256_or_si256(sums[2], sums[3]));
    return (uint64_t)_mm256_extract_epi64(sums[0], 0) | (uint64_t)_mm256_extract_epi64(sums[0], 3);
}

AVX2 static uint64_t read_avx2(const uint8_t *data, uint64_t n_bytes)
{
    return read_256(data, n_bytes, false);
}

AVX2 static uint64_t read_ahead_avx2(const uint8_t *data, uint64_t n_bytes)
{
    return read_256(data, n_bytes, true);
}

AVX2 static float fma_avx2(float x)
{
    const __m256 v = _mm256_set1_ps(x);
    __m256 sums[CHAINS];
    INGOT_UNROLL
    for (int k = 0; k < CHAINS; k++) sums[k] = _mm256_set1_ps(x + (float)k);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        INGOT_UNROLL
        for (int k = 0; k < CHAINS; k++) sums[k] = _mm256_fmadd_ps(v, v, sums[k]);
    }
    INGOT_UNROLL
    for (int k = 1; k < CHAINS; k++) sums[0] = _mm256_add_ps(sums[0], sums[k]);
    return _mm256_cvtss_f32(sums[0]);
}

INGOT_TEMPLATE AVX512 uint64_t read_512(const uint8_t *data, uint64_t n_bytes, const bool fetch)
{
    __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                       _mm512_setzero_si512()};
    for (uint64_t i = 0; i < n_bytes; i += 256) {
        INGOT_UNROLL
        for (int k = 0; k < 4; k++) {
            const uint8_t *at = data + i + 64 * (uint64_t)k;
            if (fetch) _mm_prefetch((const char *)(at + 2048), _MM_HINT_T0);
            sums[k] = _mm512_or_si512(sums[k], _mm512_loadu_si512(at));
        }
    }
    sums[0] = _mm512_or_si512(_mm512_or_si512(sums[0], sums[1]), _mm512_or_si512(sums[2], sums[3]));
    return (uint64_t)_mm512_reduce_or_epi64(sums[0]);
}

AVX512 static uint64_t read_avx512(const uint8_t *data, uint64_t n_bytes)
{
    return read_512(data, n_bytes, false);
}

AVX512 static uint64_t read_ahead_avx512(const uint8_t *data, uint64_t n_bytes)
{
    return read_512(data, n_bytes, true);
}

/* A loop of CHAINS operations on 512 bits. */
#define LOOP(name, operation)                                                       \
    AVX512 static float name(float x)                                               \
    {                                                                               \
        const __m512 v = _mm512_set1_ps(x);                                         \
        __m512 sums[CHAINS];                                                        \
        INGOT_UNROLL                                                                \
        for (int k = 0; k < CHAINS; k++) sums[k] = _mm512_set1_ps(x + (float)k);    \
        for (uint32_t i = 0; i < ROUNDS; i++) {                                     \
            INGOT_UNROLL                                                            \
            for (int k = 0; k < CHAINS; k++) sums[k] = operation;                   \
        }                                                                           \
        INGOT_UNROLL                                                                \
        for (int k = 1; k < CHAINS; k++) sums[0] = _mm512_add_ps(sums[0], sums[k]); \
        return _mm512_cvtss_f32(sums[0]);                                           \
    }
LOOP(fma_avx512, _mm512_fmadd_ps(v, v, sums[k]))
LOOP(bf16_avx512, _mm512_dpbf16_ps(sums[k], (__m512bh)v, (__m512bh)v))
LOOP(int8_avx512,
     _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(sums[k]), _mm512_castps_si512(v),
                                             _mm512_castps_si512(v))))

#endif

static const struct loops all_loops[] = {
#ifdef INGOT_X86_64
    {"avx512", {read_avx512, read_ahead_avx512}, fma_avx512, bf16_avx512, int8_avx512, 32, 64, 128},
    {"avx2", {read_avx2, read_ahead_avx2}, fma_avx2, NULL, NULL, 16, 0, 0},
#endif
    {"plain", {read_plain, NULL}, fma_plain, NULL, NULL, 2, 0, 0},
};

/* ------------------------------------------------------------------ timing */

struct measurement {
    const struct loops *loops;
    const uint8_t *data;
    uint64_t (*read)(const uint8_t *data, uint64_t n_bytes);
    float (*loop)(float x);
    atomic_uint_fast64_t sink; /* keeps results in use */
};

static void read_task(void *context, uint64_t i)
{
    struct measurement *m = context;
    atomic_fetch_or(&m->sink, m->read(m->data + i * READ_TASK_BYTES, READ_TASK_BYTES));
}

static void loop_task(void *context, uint64_t i)
{
    struct measurement *m = context;
    const float result = m->loop(0x1p-20f * (float)(i + 1));
    atomic_fetch_or(&m->sink, f32_bits(result));
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double best_seconds(struct ingot_pool *pool, uint64_t n_tasks,
                           void (*task)(void *context, uint64_t i), struct measurement *m)
{
    double best = 0;
    for (uint32_t i = 0; i < N_RUNS; i++) {
        const double begin = now();
        ingot_pool_run(pool, n_tasks, task, m);
        const double seconds = now() - begin;
        if (i == 0 || seconds < best) best = seconds;
    }
    return best;
}

static double read_rate(struct ingot_pool *pool, struct measurement *m)
{
    double best = 0;
    for (uint32_t i = 0; i < N_READS; i++) {
        m->read = m->loops->read[i];
        if (m->read == NULL) continue;
        const double seconds = best_seconds(pool, READ_BYTES / READ_TASK_BYTES, read_task, m);
        best = fmax(best, READ_BYTES / seconds);
    }
    return best;
}

static double loop_rate(struct ingot_pool *pool, float (*loop)(float x), double ops,
                        struct measurement *m)
{
    const uint64_t n_tasks = 4 * (uint64_t)ingot_pool_n_threads(pool);
    if (loop == NULL) return 0;
    m->loop = loop;
    return ops * ROUNDS * CHAINS * (double)n_tasks / best_seconds(pool, n_tasks, loop_task, m);
}

ingot_status cpu_ceilings_measure(const char *level, struct ingot_pool *pool,
                                  const ingot_allocator *allocator, struct cpu_ceilings *ceilings,
                                  ingot_error *error)
{
    const struct cpu_level *found = cpu_level_find(level);
    if (found == NULL) {
        return ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "CPU level",
                          "this CPU or build has no kernel level \"%s\"", level);
    }
    uint8_t *data = ingot_allocate(allocator, READ_BYTES);
    if (data == NULL) return ingot_fail_memory(error, READ_BYTES, "memory to be read");
    ask_for_large_pages(data, READ_BYTES);
    memset(data, 1, READ_BYTES);
    struct measurement m = {.data = data};
    atomic_init(&m.sink, 0);
    for (size_t i = 0; i < sizeof all_loops / sizeof *all_loops; i++) {
        if (strcmp(all_loops[i].level, found->name) == 0) m.loops = &all_loops[i];
    }
    const struct loops *l = m.loops;
    *ceilings = (struct cpu_ceilings){
        .read_bytes_per_second = read_rate(pool, &m),
        .fma_per_second = loop_rate(pool, l->fma, l->fma_ops, &m),
        .bf16_per_second = loop_rate(pool, l->bf16, l->bf16_ops, &m),
        .int8_per_second = loop_rate(pool, l->int8, l->int8_ops, &m),
    };
    ingot_release(allocator, data);
    return INGOT_OK;
}
