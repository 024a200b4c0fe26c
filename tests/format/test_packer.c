/* Packing: what is chosen for which bytes, sizes against the order-0 entropy, and that all of it
 * unpacks. Entropy in integers against the formula. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/entropy.h"
#include "format/packer.h"
#include "tests/support/judge.h"
#include "tests/support/random.h"
#include "tests/support/stream_source.h"

/* ---- entropy ---- */

static void test_entropy(void **state)
{
    (void)state;
    struct random random = {1};
    for (uint32_t i = 0; i < 2000; i++) {
        struct byte_counts counts = {0};
        const uint32_t n_values = 1 + (uint32_t)random_below(&random, 256);
        double n = 0, bits = 0;
        for (uint32_t v = 0; v < n_values; v++) {
            counts.n[v] = (uint32_t)(random_bits(&random) >> (38 + random_below(&random, 26)));
            n += counts.n[v];
        }
        for (uint32_t v = 0; v < n_values; v++) {
            if (counts.n[v]) bits += counts.n[v] * log2(n / counts.n[v]);
        }
        const double found = (double)entropy_bytes(&counts);
        if (fabs(found - bits / 8) > 1 + n * 2e-5) fail_msg("%g for %g", found, bits / 8);
    }
    assert_int_equal(entropy_bytes(&(struct byte_counts){{0}}), 0);
}

static void test_counts(void **state)
{
    (void)state;
    struct random random = {2};
    uint8_t bytes[1000];
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(random_bits(&random) & random_bits(&random));
    }
    for (uint32_t n = 0; n <= sizeof bytes; n += n < 40 ? 1 : 97) {
        struct byte_counts found = {0}, expected = {0};
        byte_counts_add(bytes, n, &found);
        for (uint32_t i = 0; i < n; i++) expected.n[bytes[i]]++;
        assert_memory_equal(&found, &expected, sizeof found);
    }
}

/* ---- made-up bytes of each kind ---- */

enum { N_BYTES = 1 << 20 };

static double normal(struct random *random)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += (double)(random_bits(random) >> 11) * 0x1p-53;
    return sum * 0.02;
}

static void fill_f32(struct random *random, uint8_t *bytes)
{
    for (uint32_t i = 0; i < N_BYTES; i += 4) store_f32(bytes + i, (float)normal(random));
}

static void fill_bf16(struct random *random, uint8_t *bytes)
{
    for (uint32_t i = 0; i < N_BYTES; i += 2) {
        store_u16(bytes + i, (uint16_t)(f32_bits((float)normal(random)) >> 16));
    }
}

static void fill_f64(struct random *random, uint8_t *bytes)
{
    for (uint32_t i = 0; i < N_BYTES; i += 8) {
        const double v = normal(random);
        memcpy(bytes + i, &v, 8);
    }
}

static void fill_i16(struct random *random, uint8_t *bytes)
{
    for (uint32_t i = 0; i < N_BYTES; i += 2) {
        store_u16(bytes + i, (uint16_t)(int16_t)(normal(random) * 5000));
    }
}

static void fill_i8(struct random *random, uint8_t *bytes)
{
    for (uint32_t i = 0; i < N_BYTES; i++) bytes[i] = (uint8_t)(int8_t)(normal(random) * 1000);
}

/* e4m3 codes of normal values, to the lower neighbour. */
static void fill_fp8(struct random *random, uint8_t *bytes)
{
    for (uint32_t i = 0; i < N_BYTES; i++) {
        const double v = normal(random) * 4000;
        int exponent;
        const double fraction = frexp(fabs(v), &exponent);
        const int code = exponent < -5 ? 0 : (exponent + 6) * 8 + ((int)(fraction * 16) - 8);
        bytes[i] = (uint8_t)(code | (v < 0) << 7);
    }
}

static void fill_trits(struct random *random, uint8_t *bytes)
{
    for (uint32_t i = 0; i < N_BYTES; i++) {
        const uint64_t v = random_bits(random);
        bytes[i] = (uint8_t)(v % 3 | v / 3 % 3 << 2 | v / 9 % 3 << 4 | v / 27 % 3 << 6);
    }
}

static void fill_noise(struct random *random, uint8_t *bytes)
{
    for (uint32_t i = 0; i < N_BYTES; i++) bytes[i] = (uint8_t)random_bits(random);
}

static void fill_text(struct random *random, uint8_t *bytes)
{
    static const char words[8][8] = {"weight ", "layers ", "model. ",  "\"a\": 1 ",
                                     "0.0123 ", "tokens ", "{ , } [ ", "mlp.up "};
    for (uint32_t i = 0; i < N_BYTES; i += 7) {
        memcpy(bytes + i, words[random_below(random, 8)], i + 7 <= N_BYTES ? 7 : N_BYTES - i);
    }
}

/* Noise that comes again at once, which no histogram shows. */
static void fill_twice(struct random *random, uint8_t *bytes)
{
    fill_noise(random, bytes);
    for (uint32_t i = 0; i < N_BYTES; i += 512) memcpy(bytes + i + 256, bytes + i, 256);
}

static const struct kind {
    const char *name;
    uint8_t element_bits;
    void (*fill)(struct random *random, uint8_t *bytes);
    uint8_t codec, filter; /* that fast chooses */
    double least, most;    /* of the bytes stored, as a share */
} kinds[] = {
    {"f32", 32, fill_f32, CODEC_ZSTD, FILTER_FLOAT_4, 0.80, 0.85},
    {"bf16", 16, fill_bf16, CODEC_ZSTD, FILTER_FLOAT_2, 0.64, 0.68},
    {"f64", 64, fill_f64, CODEC_ZSTD, FILTER_BYTES_8, 0.85, 0.95},
    {"f32 of nobody", 0, fill_f32, CODEC_ZSTD, FILTER_FLOAT_4, 0.80, 0.85},
    {"i16", 16, fill_i16, CODEC_ZSTD, FILTER_BYTES_2, 0.50, 0.60},
    {"i8", 8, fill_i8, CODEC_ZSTD, FILTER_NONE, 0.75, 0.85},
    {"fp8", 8, fill_fp8, CODEC_ZSTD, FILTER_FP8, 0.80, 0.83},
    {"trits", 2, fill_trits, CODEC_STORED, FILTER_TRITS, 0.80, 0.8001},
    {"noise", 8, fill_noise, CODEC_STORED, FILTER_NONE, 1, 1},
    {"noise of words", 32, fill_noise, CODEC_STORED, FILTER_NONE, 1, 1},
    {"text", 0, fill_text, CODEC_ZSTD, FILTER_NONE, 0.05, 0.3},
    {"noise twice", 8, fill_twice, CODEC_ZSTD, FILTER_NONE, 0.5, 0.55},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static uint64_t pack(ingot_compression compression, const struct kind *kind, const uint8_t *bytes,
                     uint64_t n_bytes, struct packing *packing)
{
    struct packer *packer;
    ingot_error error;
    uint8_t *dst = malloc(packer_bound(n_bytes));
    assert_int_equal(packer_create(compression, NULL, &packer, &error), INGOT_OK);
    assert_int_equal(packer_pack(packer, kind->element_bits, bytes, n_bytes, dst, packing, &error),
                     INGOT_OK);
    packer_close(packer);
    free(dst);
    return packing->n_bytes ? packing->n_bytes : n_bytes;
}

static void test_choices(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(N_BYTES);
    for (size_t i = 0; i < N_KINDS; i++) {
        struct random random = {i};
        struct packing fast, max;
        kinds[i].fill(&random, bytes);
        const uint64_t n_fast = pack(INGOT_COMPRESS_FAST, &kinds[i], bytes, N_BYTES, &fast);
        const double share = (double)n_fast / N_BYTES;
        if (fast.codec != kinds[i].codec || fast.filter != kinds[i].filter ||
            share < kinds[i].least || share > kinds[i].most) {
            fail_msg("%s: codec %u, filter %u, share %f", kinds[i].name, fast.codec, fast.filter,
                     share);
        }
        const uint64_t n_max = pack(INGOT_COMPRESS_MAX, &kinds[i], bytes, N_BYTES, &max);
        if (n_max > n_fast) fail_msg("%s: max is larger", kinds[i].name);
    }
    free(bytes);
}

/* Of the sum over the planes of weights, where there is no order to find. */
static void test_near_entropy(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(N_BYTES), *planes = malloc(N_BYTES);
    /* Not f64 and i16: their signs are a plane of little more than one bit a byte, where Huffman
     * codes are at their worst. */
    static const size_t weights[] = {0, 1, 3, 5, 6};
    for (size_t w = 0; w < sizeof weights / sizeof *weights; w++) {
        const size_t i = weights[w];
        /* What is packed is held against the bytes themselves where fp8 takes them apart. */
        const uint8_t filter = kinds[i].filter == FILTER_FP8 ? FILTER_NONE : kinds[i].filter;
        const struct filter_layout layout = filter_layout(filter, N_BYTES);
        struct random random = {i};
        struct packing packing;
        uint64_t entropy = 0;
        kinds[i].fill(&random, bytes);
        assert_true(filter_encode(filter, &filter_kernels_plain, bytes, N_BYTES, planes));
        for (uint32_t k = 0; k < layout.n_planes; k++) {
            struct byte_counts counts = {0};
            byte_counts_add(planes + k * layout.n_bytes[0], layout.n_bytes[k], &counts);
            entropy += entropy_bytes(&counts);
        }
        const uint64_t n = pack(INGOT_COMPRESS_FAST, &kinds[i], bytes, N_BYTES, &packing);
        if (n < entropy || n > entropy + entropy / 100) {
            fail_msg("%s: %llu bytes, entropy %llu", kinds[i].name, (unsigned long long)n,
                     (unsigned long long)entropy);
        }
    }
    free(planes);
    free(bytes);
}

/* ---- all of it comes back ---- */

static ingot_dtype dtype_of(uint8_t element_bits)
{
    switch (element_bits) {
    case 16: return INGOT_BF16;
    case 32: return INGOT_F32;
    case 64: return INGOT_F64;
    default: return INGOT_U8;
    }
}

static void check_back(ingot_compression compression, ingot_dtype dtype, const uint8_t *bytes,
                       uint64_t n_bytes)
{
    struct written w;
    ingot_error error;
    ingot_file *file;
    const uint64_t n = n_bytes / (ingot_dtype_bits(dtype) / 8);
    written_begin(&w, compression);
    assert_int_equal(ingot_writer_add(w.writer, "t", dtype, 1, &n, bytes, &error), INGOT_OK);
    /* An odd number of bytes, as nobody's. */
    assert_int_equal(ingot_writer_attach(w.writer, "a", bytes, n_bytes, &error), INGOT_OK);
    written_end(&w);
    judge_good(w.bytes.data, w.bytes.n_bytes);
    assert_int_equal(ingot_file_open_memory(w.bytes.data, w.bytes.n_bytes, NULL, &file, &error),
                     INGOT_OK);
    uint8_t *back = malloc(n_bytes + 1);
    assert_int_equal(
        ingot_file_read_raw(file, 0, 0, n * (ingot_dtype_bits(dtype) / 8), back, &error), INGOT_OK);
    assert_memory_equal(back, bytes, n * (ingot_dtype_bits(dtype) / 8));
    assert_int_equal(ingot_file_read_blob(file, 0, 0, n_bytes, back, &error), INGOT_OK);
    assert_memory_equal(back, bytes, n_bytes);
    /* A part from the middle alone. */
    if (n_bytes > 100) {
        assert_int_equal(ingot_file_read_blob(file, 0, 33, n_bytes - 77, back, &error), INGOT_OK);
        assert_memory_equal(back, bytes + 33, n_bytes - 77);
    }
    free(back);
    ingot_file_close(file);
    written_release(&w);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1,   2,    7,    8,     9,     63,    100,
                                       255, 1000, 4099, 16385, 70001, 300007};
    static const ingot_compression modes[] = {INGOT_COMPRESS_FAST, INGOT_COMPRESS_MAX};
    uint8_t *bytes = malloc(N_BYTES);
    for (size_t i = 0; i < N_KINDS; i++) {
        struct random random = {i + 100};
        kinds[i].fill(&random, bytes);
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            for (size_t m = 0; m < 2; m++) {
                check_back(modes[m], dtype_of(kinds[i].element_bits), bytes, lengths[k]);
            }
        }
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entropy),     cmocka_unit_test(test_counts),
        cmocka_unit_test(test_choices),     cmocka_unit_test(test_near_entropy),
        cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
