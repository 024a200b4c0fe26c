/* What compression gains and costs on the weights of one file, beside zstd. Usage:
 *
 *     compress PATH SKIP TYPE [SLOW_BYTES]
 *
 * Takes the bytes of PATH from SKIP on as one tensor of TYPE (bf16, f16, f32, i8, f8_e4m3); "fp8:"
 * before PATH makes f8_e4m3 codes of its bf16 weights first, scaled to the largest. zstd -19 and
 * --compress max see the first SLOW_BYTES only (default: all).
 *
 * Prints sizes as shares of the raw bytes (zstd at several levels, zstd -1 on byte planes, the
 * order-0 entropy of the planes that --compress fast would code, fast, max) and speeds in MB of raw
 * bytes a second of CPU time of one thread, kernel included: the least of RUNS runs, which take
 * turns. Writing is that of a file on disk without the sync; reading checks every checksum. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "format/entropy.h"
#include "format/filter.h"
#include "format/floats.h"
#include "format/reader.h"

enum { RUNS = 5 };

struct subject {
    ingot_dtype dtype;
    uint64_t element_bytes;
    uint8_t *raw;
    uint64_t n_bytes;
    uint64_t slow_bytes;
};

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "compress: %s\n", what);
    exit(3);
}

static void check_status(ingot_status status, const ingot_error *error)
{
    if (status != INGOT_OK) fprintf(stderr, "%s: ", error->field);
    check(status == INGOT_OK, status == INGOT_OK ? "" : error->what);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The nearest e4m3 code, by search among the values of the positive ones. */
static uint8_t e4m3_from_f32(float v)
{
    uint32_t low = 0, high = 0x7e;
    const float magnitude = fabsf(v);
    while (high - low > 1) {
        const uint32_t middle = (low + high) / 2;
        *(ingot_float_decode(INGOT_F8_E4M3, middle) <= magnitude ? &low : &high) = middle;
    }
    const float below = magnitude - ingot_float_decode(INGOT_F8_E4M3, low);
    const float above = ingot_float_decode(INGOT_F8_E4M3, high) - magnitude;
    return (uint8_t)((below < above ? low : high) | (signbit(v) ? 0x80 : 0));
}

static void make_fp8(struct subject *s)
{
    static uint8_t codes[1 << 16];
    const uint64_t n = s->n_bytes / 2;
    float largest = 0;
    for (uint64_t i = 0; i < n; i++) {
        largest = fmaxf(largest, fabsf(f32_from_bf16(load_u16(s->raw + 2 * i))));
    }
    for (uint32_t i = 0; i < 1 << 16; i++) {
        codes[i] = e4m3_from_f32(f32_from_bf16((uint16_t)i) * (448 / largest));
    }
    for (uint64_t i = 0; i < n; i++) s->raw[i] = codes[load_u16(s->raw + 2 * i)];
    s->n_bytes = n;
}

static void load(struct subject *s, const char *path, uint64_t skip)
{
    FILE *file = fopen(path, "rb");
    check(file != NULL && fseek(file, 0, SEEK_END) == 0, path);
    s->n_bytes = (uint64_t)ftell(file) - skip;
    s->raw = malloc(s->n_bytes);
    check(s->raw != NULL && fseek(file, (long)skip, SEEK_SET) == 0, path);
    check(fread(s->raw, 1, s->n_bytes, file) == s->n_bytes, path);
    fclose(file);
}

/* ---- zstd ---- */

struct measured {
    double share;
    double seconds;
};

static struct measured zstd_at(int level, const uint8_t *bytes, uint64_t n_bytes)
{
    const size_t bound = ZSTD_compressBound(n_bytes);
    void *packed = malloc(bound);
    check(packed != NULL, "memory");
    memset(packed, 1, bound); /* no page faults in what is measured */
    const double begin = cpu_seconds();
    const size_t n = ZSTD_compress(packed, bound, bytes, n_bytes, level);
    const double end = cpu_seconds();
    check(!ZSTD_isError(n), "zstd");
    free(packed);
    return (struct measured){(double)n / (double)n_bytes, end - begin};
}

static double zstd_on_planes(const struct subject *s)
{
    uint8_t *planes = malloc(s->n_bytes);
    check(planes != NULL, "memory");
    const uint64_t w = s->element_bytes, n = s->n_bytes / w;
    for (uint64_t k = 0; k < w; k++) {
        for (uint64_t i = 0; i < n; i++) planes[k * n + i] = s->raw[i * w + k];
    }
    const double share = zstd_at(1, planes, n * w).share;
    free(planes);
    return share;
}

/* ---- order-0 entropy, plane by plane over the whole ---- */

static double entropy_share(const struct subject *s)
{
    static const uint8_t filters[] = {
        [1] = FILTER_NONE, [2] = FILTER_FLOAT_2, [4] = FILTER_FLOAT_4};
    const uint8_t filter = filters[s->element_bytes];
    const struct filter_layout layout = filter_layout(filter, s->n_bytes);
    uint8_t *planes = malloc(s->n_bytes);
    check(planes != NULL, "memory");
    filter_encode(filter, filter_kernels_best(), s->raw, s->n_bytes, planes);
    uint64_t total = 0;
    printf("  order-0 entropy of each plane:");
    for (uint32_t k = 0; k < layout.n_planes; k++) {
        struct byte_counts counts = {0};
        byte_counts_add(planes + k * layout.n_bytes[0], layout.n_bytes[k], &counts);
        const uint64_t n = entropy_bytes(&counts);
        printf(" %.4f", (double)n / (double)layout.n_bytes[k]);
        total += n;
    }
    printf("\n");
    free(planes);
    return (double)total / (double)s->n_bytes;
}

/* ---- the container ---- */

static struct measured write_file(const struct subject *s, uint64_t n_bytes,
                                  ingot_compression compression, const char *path)
{
    ingot_error error;
    ingot_writer *writer;
    const uint64_t n = n_bytes / s->element_bytes;
    const double begin = cpu_seconds();
    check_status(ingot_writer_create(path, true, compression, NULL, &writer, &error), &error);
    check_status(ingot_writer_add(writer, "weights", s->dtype, 1, &n, s->raw, &error), &error);
    check_status(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    const double end = cpu_seconds();
    FILE *file = fopen(path, "rb");
    check(file != NULL && fseek(file, 0, SEEK_END) == 0, path);
    const double share = (double)ftell(file) / (double)n_bytes;
    fclose(file);
    return (struct measured){share, end - begin};
}

static double read_file(const struct subject *s, uint64_t n_bytes, const char *path, uint8_t *back)
{
    ingot_error error;
    ingot_file *file;
    const double begin = cpu_seconds();
    check_status(ingot_file_open(path, NULL, &file, &error), &error);
    check_status(ingot_file_read_raw(file, 0, 0, n_bytes, back, &error), &error);
    ingot_file_close(file);
    const double end = cpu_seconds();
    check(memcmp(back, s->raw, n_bytes) == 0, "other bytes came back");
    return end - begin;
}

/* The least time of several runs of writing and reading. */
static void measure_container(const struct subject *s, ingot_compression compression,
                              const char *name, uint64_t n_bytes)
{
    char path[64];
    struct measured best = {0, INFINITY};
    double reading = INFINITY;
    uint8_t *back = malloc(n_bytes);
    check(back != NULL, "memory");
    memset(back, 1, n_bytes);
    snprintf(path, sizeof path, "compress-%ld.ingot", (long)getpid());
    n_bytes -= n_bytes % s->element_bytes;
    for (int i = 0; i < RUNS; i++) {
        const struct measured m = write_file(s, n_bytes, compression, path);
        best = (struct measured){m.share, fmin(best.seconds, m.seconds)};
        reading = fmin(reading, read_file(s, n_bytes, path, back));
    }
    printf("  %-16s %.4f   write %6.0f MB/s   read %6.0f MB/s\n", name, best.share,
           (double)n_bytes / best.seconds / 1e6, (double)n_bytes / reading / 1e6);
    unlink(path);
    free(back);
}

int main(int n_arguments, char **arguments)
{
    if (n_arguments < 4) {
        fprintf(stderr, "usage: compress [fp8:]PATH SKIP TYPE [SLOW_BYTES]\n");
        return 2;
    }
    struct subject s = {0};
    const bool fp8 = strncmp(arguments[1], "fp8:", 4) == 0;
    load(&s, arguments[1] + (fp8 ? 4 : 0), strtoull(arguments[2], NULL, 10));
    for (uint32_t dtype = 1; dtype < 64; dtype++) {
        const char *name = ingot_dtype_name((ingot_dtype)dtype);
        if (name && strcmp(name, arguments[3]) == 0) s.dtype = (ingot_dtype)dtype;
    }
    check(s.dtype != 0, "no such type");
    s.element_bytes = ingot_dtype_bits(s.dtype) / 8;
    check(s.element_bytes == 1 || s.element_bytes == 2 || s.element_bytes == 4, "this type");
    if (fp8) make_fp8(&s);
    s.slow_bytes =
        n_arguments > 4 ? min_u64(s.n_bytes, strtoull(arguments[4], NULL, 10)) : s.n_bytes;
    printf("%s: %.1f MB as %s, libzstd %s\n", arguments[1], (double)s.n_bytes / 1e6, arguments[3],
           ZSTD_versionString());
    const double entropy = entropy_share(&s);
    static const int levels[] = {1, 3, 19};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const struct measured m =
            zstd_at(levels[i], s.raw, levels[i] > 3 ? s.slow_bytes : s.n_bytes);
        const double n = (double)(levels[i] > 3 ? s.slow_bytes : s.n_bytes);
        printf("  zstd -%-10d %.4f   write %6.0f MB/s\n", levels[i], m.share, n / m.seconds / 1e6);
    }
    printf("  zstd -1, planes  %.4f\n", zstd_on_planes(&s));
    printf("  order-0 entropy  %.4f\n", entropy);
    measure_container(&s, INGOT_COMPRESS_NONE, "none", s.n_bytes);
    measure_container(&s, INGOT_COMPRESS_FAST, "fast", s.n_bytes);
    measure_container(&s, INGOT_COMPRESS_MAX, "max", s.slow_bytes);
    free(s.raw);
    return 0;
}
