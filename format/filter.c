/* The filters, and the plain form of the two splits. */
#include "format/filter.h"

#include <assert.h>
#include <string.h>

#include "format/bytes.h"

/* ---- splits, plain ---- */

static uint64_t element_load(const uint8_t *p, uint32_t element_bytes)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < element_bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static uint64_t rotate_left(uint64_t v, uint32_t bits, uint32_t by)
{
    const uint64_t all = UINT64_MAX >> (64 - bits);
    return (v << by | v >> (bits - by)) & all;
}

void filter_split_rest(uint32_t element_bytes, bool rotate, const uint8_t *src, uint64_t n,
                       uint64_t first, uint8_t *planes)
{
    const uint32_t bits = element_bytes * 8;
    for (uint64_t i = first; i < n; i++) {
        uint64_t v = element_load(src + i * element_bytes, element_bytes);
        if (rotate) v = rotate_left(v, bits, 1);
        for (uint32_t k = 0; k < element_bytes; k++) {
            planes[k * n + i] = (uint8_t)(v >> (bits - 8 * (k + 1)));
        }
    }
}

void filter_join_rest(uint32_t element_bytes, bool rotate, const uint8_t *planes, uint64_t n,
                      uint64_t first, uint8_t *dst)
{
    const uint32_t bits = element_bytes * 8;
    for (uint64_t i = first; i < n; i++) {
        uint64_t v = 0;
        for (uint32_t k = 0; k < element_bytes; k++) v = v << 8 | planes[k * n + i];
        if (rotate) v = rotate_left(v, bits, bits - 1);
        for (uint32_t k = 0; k < element_bytes; k++)
            dst[i * element_bytes + k] = (uint8_t)(v >> 8 * k);
    }
}

static void plain_split(uint32_t element_bytes, bool rotate, const uint8_t *src, uint64_t n,
                        uint8_t *planes)
{
    filter_split_rest(element_bytes, rotate, src, n, 0, planes);
}

static void plain_join(uint32_t element_bytes, bool rotate, const uint8_t *planes, uint64_t n,
                       uint8_t *dst)
{
    filter_join_rest(element_bytes, rotate, planes, n, 0, dst);
}

static bool always(void)
{
    return true;
}

const struct filter_kernels filter_kernels_plain = {"plain", always, plain_split, plain_join};

const struct filter_kernels *filter_kernels_best(void)
{
#ifdef INGOT_X86_64
    if (filter_kernels_avx2.available()) return &filter_kernels_avx2;
#endif
    return &filter_kernels_plain;
}

/* ---- trits ----
 *
 * Five bytes of 2-bit codes are 20 codes, and four bytes of five base-3 digits, low digits first.
 * The tables take 10 bits, five codes, at once. */

enum {
    TRIT_GROUP_RAW = 5,
    TRIT_GROUP_PACKED = 4,
    TRIT_CODES = 1024,
    NO_TRITS = 255,
    N_TRITS = 243
};

struct trit_tables {
    uint8_t pack[TRIT_CODES]; /* NO_TRITS where a code is 3 */
    uint16_t unpack[N_TRITS];
};

static void trit_tables_fill(struct trit_tables *t)
{
    memset(t->pack, NO_TRITS, sizeof t->pack);
    for (uint32_t v = 0; v < N_TRITS; v++) {
        uint32_t codes = 0, rest = v;
        for (uint32_t i = 0; i < 5; i++, rest /= 3) codes |= rest % 3 << 2 * i;
        t->unpack[v] = (uint16_t)codes;
        t->pack[codes] = (uint8_t)v;
    }
}

static bool trits_pack_group(const struct trit_tables *t, const uint8_t *raw, uint8_t *packed)
{
    const uint64_t codes = load_u32(raw) | (uint64_t)raw[4] << 32;
    bool fits = true;
    for (uint32_t i = 0; i < TRIT_GROUP_PACKED; i++) {
        packed[i] = t->pack[codes >> 10 * i & (TRIT_CODES - 1)];
        fits = fits && packed[i] != NO_TRITS;
    }
    return fits;
}

static bool trits_unpack_group(const struct trit_tables *t, const uint8_t *packed, uint8_t *raw)
{
    uint64_t codes = 0;
    for (uint32_t i = 0; i < TRIT_GROUP_PACKED; i++) {
        if (packed[i] >= N_TRITS) return false;
        codes |= (uint64_t)t->unpack[packed[i]] << 10 * i;
    }
    store_u32(raw, (uint32_t)codes);
    raw[4] = (uint8_t)(codes >> 32);
    return true;
}

/* A tail of r < 5 bytes is r packed ones, as if zeros followed. */
static bool trits_encode(const struct filter_kernels *kernels, const uint8_t *raw,
                         uint64_t raw_bytes, uint8_t *dst)
{
    struct trit_tables tables;
    const uint64_t n = raw_bytes / TRIT_GROUP_RAW, tail = raw_bytes % TRIT_GROUP_RAW;
    uint8_t group[TRIT_GROUP_RAW] = {0}, packed[TRIT_GROUP_PACKED];
    bool fits = true;
    (void)kernels;
    trit_tables_fill(&tables);
    for (uint64_t i = 0; i < n && fits; i++) {
        fits = trits_pack_group(&tables, raw + i * TRIT_GROUP_RAW, dst + i * TRIT_GROUP_PACKED);
    }
    if (tail == 0 || !fits) return fits;
    memcpy(group, raw + n * TRIT_GROUP_RAW, (size_t)tail);
    fits = trits_pack_group(&tables, group, packed);
    memcpy(dst + n * TRIT_GROUP_PACKED, packed, (size_t)tail);
    return fits;
}

static bool trits_decode(const struct filter_kernels *kernels, const uint8_t *src,
                         uint64_t raw_bytes, uint8_t *dst)
{
    struct trit_tables tables;
    const uint64_t n = raw_bytes / TRIT_GROUP_RAW, tail = raw_bytes % TRIT_GROUP_RAW;
    uint8_t group[TRIT_GROUP_RAW], packed[TRIT_GROUP_PACKED] = {0};
    bool fits = true;
    (void)kernels;
    trit_tables_fill(&tables);
    for (uint64_t i = 0; i < n && fits; i++) {
        fits = trits_unpack_group(&tables, src + i * TRIT_GROUP_PACKED, dst + i * TRIT_GROUP_RAW);
    }
    if (tail == 0 || !fits) return fits;
    memcpy(packed, src + n * TRIT_GROUP_PACKED, (size_t)tail);
    if (!trits_unpack_group(&tables, packed, group)) return false;
    memcpy(dst + n * TRIT_GROUP_RAW, group, (size_t)tail);
    for (uint64_t i = tail; i < TRIT_GROUP_RAW; i++) fits = fits && group[i] == 0;
    return fits;
}

/* ---- fp8 ----
 *
 * Of each byte s eeeemm m, whatever the split of its middle: the six bits between the sign and the
 * lowest make a code of their own; the outer two, four bytes' of them in a byte, are noise. */

enum { FP8_STEP = 4 };

static uint64_t fp8_pairs_bytes(uint64_t raw_bytes)
{
    return ceil_div(raw_bytes, FP8_STEP);
}

static void fp8_encode_step(uint32_t v, uint8_t *codes, uint8_t *pairs)
{
    const uint32_t outer = (v & 0x01010101) | (v >> 6 & 0x02020202);
    store_u32(codes, v >> 1 & 0x3f3f3f3f);
    *pairs = (uint8_t)(outer | outer >> 6 | outer >> 12 | outer >> 18);
}

static uint32_t fp8_decode_step(uint32_t codes, uint32_t pairs)
{
    const uint32_t outer = (pairs | pairs << 6 | pairs << 12 | pairs << 18) & 0x03030303;
    return codes << 1 | (outer & 0x01010101) | (outer & 0x02020202) << 6;
}

static bool fp8_encode(const struct filter_kernels *kernels, const uint8_t *raw, uint64_t raw_bytes,
                       uint8_t *dst)
{
    const uint64_t n = raw_bytes / FP8_STEP * FP8_STEP, tail = raw_bytes - n;
    uint8_t *pairs = dst + raw_bytes;
    (void)kernels;
    for (uint64_t i = 0; i < n; i += FP8_STEP) {
        fp8_encode_step(load_u32(raw + i), dst + i, pairs + i / FP8_STEP);
    }
    if (tail) {
        uint8_t last[FP8_STEP] = {0}, codes[FP8_STEP];
        memcpy(last, raw + n, (size_t)tail);
        fp8_encode_step(load_u32(last), codes, pairs + n / FP8_STEP);
        memcpy(dst + n, codes, (size_t)tail);
    }
    return true;
}

static bool fp8_decode(const struct filter_kernels *kernels, const uint8_t *src, uint64_t raw_bytes,
                       uint8_t *dst)
{
    const uint64_t n = raw_bytes / FP8_STEP * FP8_STEP, tail = raw_bytes - n;
    const uint8_t *pairs = src + raw_bytes;
    uint32_t all = 0; /* the bits of all codes: none may have the upper two */
    (void)kernels;
    for (uint64_t i = 0; i < n; i += FP8_STEP) {
        const uint32_t codes = load_u32(src + i);
        all |= codes;
        store_u32(dst + i, fp8_decode_step(codes, pairs[i / FP8_STEP]));
    }
    if (tail) {
        uint8_t last[FP8_STEP] = {0};
        memcpy(last, src + n, (size_t)tail);
        const uint32_t codes = load_u32(last), pair = pairs[n / FP8_STEP];
        all |= codes;
        store_u32(last, fp8_decode_step(codes, pair));
        memcpy(dst + n, last, (size_t)tail);
        if (pair >> 2 * tail) return false;
    }
    return (all & 0xc0c0c0c0) == 0;
}

/* ---- the table ---- */

struct filter {
    uint8_t element_bytes; /* of a split; 0 for the others */
    bool rotate;
    bool (*encode)(const struct filter_kernels *kernels, const uint8_t *raw, uint64_t raw_bytes,
                   uint8_t *dst);
    bool (*decode)(const struct filter_kernels *kernels, const uint8_t *src, uint64_t raw_bytes,
                   uint8_t *dst);
    uint64_t (*output_bytes)(uint64_t raw_bytes); /* NULL: raw_bytes */
    uint64_t (*second_bytes)(uint64_t raw_bytes); /* of a plane after one of raw_bytes */
};

static bool copy(const struct filter_kernels *kernels, const uint8_t *src, uint64_t n_bytes,
                 uint8_t *dst)
{
    (void)kernels;
    memcpy(dst, src, (size_t)n_bytes);
    return true;
}

static uint64_t fp8_output_bytes(uint64_t raw_bytes)
{
    return raw_bytes + fp8_pairs_bytes(raw_bytes);
}

static uint64_t trits_output_bytes(uint64_t raw_bytes)
{
    return raw_bytes / TRIT_GROUP_RAW * TRIT_GROUP_PACKED + raw_bytes % TRIT_GROUP_RAW;
}

static const struct filter filters[N_FILTERS] = {
    [FILTER_NONE] = {.encode = copy, .decode = copy},
    [FILTER_BYTES_2] = {.element_bytes = 2},
    [FILTER_BYTES_4] = {.element_bytes = 4},
    [FILTER_BYTES_8] = {.element_bytes = 8},
    [FILTER_FLOAT_2] = {.element_bytes = 2, .rotate = true},
    [FILTER_FLOAT_4] = {.element_bytes = 4, .rotate = true},
    [FILTER_TRITS] = {.encode = trits_encode,
                      .decode = trits_decode,
                      .output_bytes = trits_output_bytes},
    [FILTER_FP8] = {.encode = fp8_encode,
                    .decode = fp8_decode,
                    .output_bytes = fp8_output_bytes,
                    .second_bytes = fp8_pairs_bytes},
};

uint64_t filter_bound(uint64_t raw_bytes)
{
    return fp8_output_bytes(raw_bytes);
}

uint64_t filter_output_bytes(uint8_t filter, uint64_t raw_bytes)
{
    const struct filter *f = &filters[filter];
    return f->output_bytes ? f->output_bytes(raw_bytes) : raw_bytes;
}

struct filter_layout filter_layout(uint8_t filter, uint64_t raw_bytes)
{
    const uint32_t w = filters[filter].element_bytes;
    if (filters[filter].second_bytes) {
        return (struct filter_layout){2, {raw_bytes, filters[filter].second_bytes(raw_bytes)}};
    }
    if (w == 0) return (struct filter_layout){1, {filter_output_bytes(filter, raw_bytes)}};
    struct filter_layout layout = {.n_planes = w};
    for (uint32_t k = 0; k < w; k++) layout.n_bytes[k] = raw_bytes / w;
    layout.n_bytes[w - 1] += raw_bytes % w;
    return layout;
}

bool filter_encode(uint8_t filter, const struct filter_kernels *kernels, const uint8_t *raw,
                   uint64_t raw_bytes, uint8_t *dst)
{
    const struct filter *f = &filters[filter];
    if (f->encode) return f->encode(kernels, raw, raw_bytes, dst);
    const uint64_t n = raw_bytes / f->element_bytes, split_bytes = n * f->element_bytes;
    kernels->split(f->element_bytes, f->rotate, raw, n, dst);
    memcpy(dst + split_bytes, raw + split_bytes, (size_t)(raw_bytes - split_bytes));
    return true;
}

bool filter_decode(uint8_t filter, const struct filter_kernels *kernels, const uint8_t *src,
                   uint64_t raw_bytes, uint8_t *dst)
{
    const struct filter *f = &filters[filter];
    if (f->decode) return f->decode(kernels, src, raw_bytes, dst);
    const uint64_t n = raw_bytes / f->element_bytes, split_bytes = n * f->element_bytes;
    kernels->join(f->element_bytes, f->rotate, src, n, dst);
    memcpy(dst + split_bytes, src + split_bytes, (size_t)(raw_bytes - split_bytes));
    return true;
}
