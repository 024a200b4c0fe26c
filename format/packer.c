/* The choice of filters and of zstd's settings.
 *
 * A plane is coded in one of three ways: raw blocks; Huffman coding alone, which is zstd told to
 * skip so far between its searches that it finds no match; and matches with Huffman coding. The
 * order-0 entropy says beforehand what the second gives; a sample says whether the third is worth
 * its time. Each plane is a frame of its own, so that each has the settings that suit it. */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_c_literalCompressionMode */
#include <zstd.h>

#include "format/packer.h"

#include "format/alloc.h"
#include "format/entropy.h"
#include "format/fail.h"

enum coder { CODER_HUFFMAN, CODER_FAST, CODER_BEST, N_CODERS };

/* What a kind of compression is ready to spend. */
struct effort {
    enum coder coder;      /* where it looks for matches */
    uint32_t least_saving; /* of a chunk, in 1/1000; less, and it is stored */
    uint32_t sample_bytes; /* of a plane, to see whether there are matches */
    uint32_t least_gain;   /* of matches over Huffman coding alone on the sample, in 1/1000 */
    bool exhaustive;       /* tries every filter */
};
static const struct effort efforts[] = {
    [INGOT_COMPRESS_NONE] = {0},
    [INGOT_COMPRESS_FAST] = {CODER_FAST, 30, 8 << 10, 30, false},
    [INGOT_COMPRESS_MAX] = {CODER_BEST, 5, 16 << 10, 5, true},
};

struct packer {
    const ingot_allocator *allocator;
    ingot_compression compression;
    const struct effort *effort; /* of the attempt at hand */
    const struct filter_kernels *kernels;
    ZSTD_CCtx *coders[N_CODERS];
    uint8_t *planes;   /* what a filter made of the chunk */
    uint8_t *matched;  /* a plane with matches */
    uint8_t *trial;    /* the whole chunk with another filter */
    uint64_t capacity; /* of the chunk that there is room for */
};

/* Filters worth trying by the width of an element. */
struct candidates {
    uint8_t element_bits;
    bool by_coding; /* their estimates are too close for entropies */
    uint8_t n;
    uint8_t filters[5];
};
static const struct candidates candidates[] = {
    {0, false, 5, {FILTER_NONE, FILTER_BYTES_2, FILTER_FLOAT_2, FILTER_BYTES_4, FILTER_FLOAT_4}},
    {2, false, 2, {FILTER_NONE, FILTER_TRITS}},
    {8, true, 2, {FILTER_NONE, FILTER_FP8}},
    {16, false, 3, {FILTER_FLOAT_2, FILTER_BYTES_2, FILTER_NONE}},
    {32, false, 3, {FILTER_FLOAT_4, FILTER_BYTES_4, FILTER_NONE}},
    {64, false, 3, {FILTER_BYTES_8, FILTER_FLOAT_4, FILTER_NONE}}, /* a c64 is two f32 */
};
static const struct candidates plain_bytes = {0, false, 1, {FILTER_NONE}};

static const struct candidates *candidates_of(uint8_t element_bits)
{
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (candidates[i].element_bits == element_bits) return &candidates[i];
    }
    return &plain_bytes;
}

/* ---- life ---- */

static ingot_status fail_coder(size_t code, ingot_error *error)
{
    return ingot_fail(error, INGOT_NO_MEMORY, INGOT_NO_OFFSET, "compressor", "%s",
                      ZSTD_getErrorName(code));
}

static ingot_status make_coder(int level, ZSTD_CCtx **coder, ingot_error *error)
{
    *coder = ZSTD_createCCtx();
    if (*coder == NULL) return ingot_fail_memory(error, 0, "compressor");
    size_t code = ZSTD_CCtx_setParameter(*coder, ZSTD_c_compressionLevel, level);
    if (ZSTD_isError(code)) return fail_coder(code, error);
    code = ZSTD_CCtx_setParameter(*coder, ZSTD_c_literalCompressionMode, ZSTD_ps_enable);
    return ZSTD_isError(code) ? fail_coder(code, error) : INGOT_OK;
}

ingot_status packer_create(ingot_compression compression, const ingot_allocator *allocator,
                           struct packer **packer, ingot_error *error)
{
    struct packer *p = ingot_allocate_zeroed(allocator, 1, sizeof *p);
    if (p == NULL) return ingot_fail_memory(error, sizeof *p, "packer");
    p->allocator = allocator;
    p->compression = compression;
    p->kernels = filter_kernels_best();
    const int levels[N_CODERS] = {
        [CODER_HUFFMAN] = ZSTD_minCLevel(), [CODER_FAST] = 3, [CODER_BEST] = 19};
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < N_CODERS && status == INGOT_OK; i++) {
        status = make_coder(levels[i], &p->coders[i], error);
    }
    if (status != INGOT_OK) {
        packer_close(p);
        return status;
    }
    *packer = p;
    return INGOT_OK;
}

static void release_room(struct packer *p)
{
    ingot_release(p->allocator, p->trial);
    ingot_release(p->allocator, p->matched);
    ingot_release(p->allocator, p->planes);
    p->trial = p->matched = p->planes = NULL;
    p->capacity = 0;
}

void packer_close(struct packer *packer)
{
    if (packer == NULL) return;
    for (uint32_t i = 0; i < N_CODERS; i++) ZSTD_freeCCtx(packer->coders[i]);
    release_room(packer);
    ingot_release(packer->allocator, packer);
}

const char *packer_library_version(void)
{
    return ZSTD_versionString();
}

enum { BLOCK_BYTES = 1 << 17, FRAME_HEAD_BYTES = 9, BLOCK_HEAD_BYTES = 3 };

static uint64_t raw_frame_bytes(uint64_t n_bytes)
{
    return FRAME_HEAD_BYTES + ceil_div(n_bytes, BLOCK_BYTES) * BLOCK_HEAD_BYTES + n_bytes;
}

uint64_t packer_bound(uint64_t n_bytes)
{
    return ZSTD_compressBound((size_t)filter_bound(n_bytes)) +
           FILTER_MAX_PLANES * ZSTD_compressBound(0) + raw_frame_bytes(0);
}

static ingot_status make_room(struct packer *p, uint64_t n_bytes, ingot_error *error)
{
    const uint64_t bound = packer_bound(n_bytes);
    if (n_bytes <= p->capacity) return INGOT_OK;
    release_room(p);
    p->planes = ingot_allocate(p->allocator, filter_bound(n_bytes));
    p->matched = ingot_allocate(p->allocator, bound);
    p->trial = ingot_allocate(p->allocator, efforts[p->compression].exhaustive ? bound : 0);
    if (p->planes == NULL || p->matched == NULL || p->trial == NULL) {
        release_room(p);
        return ingot_fail_memory(error, bound, "compressed chunk");
    }
    p->capacity = n_bytes;
    return INGOT_OK;
}

/* ---- one plane ---- */

/* A frame of raw blocks [RFC 8878, 3.1.1]: one segment, a content size of four bytes. zstd would
 * write the same after looking for what is not there. */
static uint64_t put_raw_frame(const uint8_t *bytes, uint64_t n_bytes, uint8_t *dst)
{
    uint8_t *p = dst;
    store_u32(p, ZSTD_MAGICNUMBER);
    p[4] = 0xa0;
    store_u32(p + 5, (uint32_t)n_bytes);
    p += FRAME_HEAD_BYTES;
    for (uint64_t done = 0; done < n_bytes; done += BLOCK_BYTES) {
        const uint64_t n = min_u64(BLOCK_BYTES, n_bytes - done);
        const uint32_t head = (uint32_t)n << 3 | (done + n == n_bytes); /* size, type 0, last */
        p[0] = (uint8_t)head;
        p[1] = (uint8_t)(head >> 8);
        p[2] = (uint8_t)(head >> 16);
        memcpy(p + BLOCK_HEAD_BYTES, bytes + done, (size_t)n);
        p += BLOCK_HEAD_BYTES + n;
    }
    return (uint64_t)(p - dst);
}

static ingot_status code(struct packer *p, enum coder coder, const uint8_t *bytes, uint64_t n_bytes,
                         uint8_t *dst, uint64_t *n_coded, ingot_error *error)
{
    const size_t n = ZSTD_compress2(p->coders[coder], dst, ZSTD_compressBound((size_t)n_bytes),
                                    bytes, (size_t)n_bytes);
    if (ZSTD_isError(n)) return fail_coder(n, error);
    *n_coded = n;
    return INGOT_OK;
}

/* Order-0 entropy of a plane in bytes: of all of it, or found on parts of it. */
static uint64_t plane_entropy(const struct packer *p, const uint8_t *plane, uint64_t n_bytes)
{
    enum { N_PARTS = 16, PART_BYTES = 2048 };
    struct byte_counts counts = {0};
    if (p->effort->exhaustive || n_bytes <= N_PARTS * PART_BYTES) {
        byte_counts_add(plane, n_bytes, &counts);
        return entropy_bytes(&counts);
    }
    for (uint64_t i = 0; i < N_PARTS; i++) {
        byte_counts_add(plane + n_bytes / N_PARTS * i, PART_BYTES, &counts);
    }
    return entropy_bytes(&counts) * n_bytes / (N_PARTS * PART_BYTES);
}

/* What is known of a plane before it is coded. */
struct plane {
    const uint8_t *bytes;
    uint64_t n_bytes;
    uint64_t entropy; /* of order 0, in bytes */
    bool ordered;     /* looking for matches is worth the time */
};

/* Less than 1/64 is what zstd's Huffman stage takes for no gain. */
static bool huffman_gains(const struct plane *plane)
{
    return plane->entropy < plane->n_bytes - plane->n_bytes / 64;
}

/* Looks for matches in a sample from the middle; where every gain counts, also in the whole, since
 * what repeats may be far apart. A plane without gain otherwise gets a larger sample: there zstd
 * passes quickly over what it cannot use. */
static ingot_status find_order(struct packer *p, struct plane *plane, ingot_error *error)
{
    const uint64_t factor = huffman_gains(plane) ? 1 : 8;
    const uint64_t n = min_u64(p->effort->sample_bytes * factor, plane->n_bytes);
    const uint8_t *sample = plane->bytes + (plane->n_bytes - n) / 2;
    uint64_t n_huffman, n_matched;
    ingot_status status = code(p, CODER_HUFFMAN, sample, n, p->matched, &n_huffman, error);
    if (status == INGOT_OK) {
        status = code(p, p->effort->coder, sample, n, p->matched, &n_matched, error);
    }
    if (status != INGOT_OK) return status;
    plane->ordered = n_matched + n_huffman * p->effort->least_gain / 1000 < n_huffman;
    if (plane->ordered || !p->effort->exhaustive) return INGOT_OK;
    status = code(p, CODER_FAST, plane->bytes, plane->n_bytes, p->matched, &n_matched, error);
    plane->ordered = n_matched < plane->entropy;
    return status;
}

/* Codes one plane in the best of the three ways. */
static ingot_status pack_plane(struct packer *p, const struct plane *plane, uint8_t *dst,
                               uint64_t *n_packed, ingot_error *error)
{
    const uint64_t n_raw = raw_frame_bytes(plane->n_bytes);
    uint64_t n_huffman = UINT64_MAX, n_matched = UINT64_MAX;
    ingot_status status = INGOT_OK;
    if (plane->ordered) {
        status =
            code(p, p->effort->coder, plane->bytes, plane->n_bytes, p->matched, &n_matched, error);
    }
    if (status == INGOT_OK && huffman_gains(plane) && plane->entropy < n_matched) {
        status = code(p, CODER_HUFFMAN, plane->bytes, plane->n_bytes, dst, &n_huffman, error);
    }
    if (status != INGOT_OK) return status;
    if (n_raw <= n_huffman && n_raw <= n_matched) {
        *n_packed = put_raw_frame(plane->bytes, plane->n_bytes, dst);
    } else if (n_matched < n_huffman) {
        memcpy(dst, p->matched, (size_t)n_matched);
        *n_packed = n_matched;
    } else {
        *n_packed = n_huffman;
    }
    return INGOT_OK;
}

/* ---- a chunk with a given filter ---- */

/* The planes of a filtered chunk that are not empty, and what is known of them. */
static ingot_status look_at_planes(struct packer *p, const uint8_t *filtered,
                                   const struct filter_layout *layout,
                                   struct plane planes[FILTER_MAX_PLANES], uint32_t *n_planes,
                                   ingot_error *error)
{
    bool any = false;
    *n_planes = 0;
    for (uint32_t k = 0; k < layout->n_planes; k++) {
        struct plane plane = {.bytes = filtered, .n_bytes = layout->n_bytes[k]};
        filtered += plane.n_bytes;
        if (plane.n_bytes == 0) continue;
        plane.entropy = plane_entropy(p, plane.bytes, plane.n_bytes);
        const ingot_status status = find_order(p, &plane, error);
        if (status != INGOT_OK) return status;
        any = any || plane.ordered;
        planes[(*n_planes)++] = plane;
    }
    /* Where one plane repeats, so may the others: all are tried. */
    for (uint32_t k = 0; k < *n_planes; k++) planes[k].ordered = any;
    return INGOT_OK;
}

static bool worth(const struct packer *p, uint64_t n_packed, uint64_t n_bytes)
{
    return n_packed < n_bytes && n_packed <= n_bytes - n_bytes * p->effort->least_saving / 1000;
}

/* Sets packing->n_bytes to 0 when it is not worth it. */
static ingot_status pack_with(struct packer *p, uint8_t filter, const uint8_t *raw,
                              uint64_t n_bytes, uint8_t *dst, struct packing *packing,
                              ingot_error *error)
{
    const struct filter_layout layout = filter_layout(filter, n_bytes);
    const uint8_t *filtered = filter == FILTER_NONE ? raw : p->planes;
    struct plane planes[FILTER_MAX_PLANES];
    uint32_t n_planes;
    struct packing made = {CODEC_ZSTD, filter, 0};
    *packing = (struct packing){CODEC_STORED, FILTER_NONE, 0};
    if (filter != FILTER_NONE && !filter_encode(filter, p->kernels, raw, n_bytes, p->planes)) {
        return INGOT_OK;
    }
    ingot_status status = look_at_planes(p, filtered, &layout, planes, &n_planes, error);
    for (uint32_t k = 0; k < n_planes && status == INGOT_OK; k++) {
        uint64_t n_plane = 0;
        status = pack_plane(p, &planes[k], dst + made.n_bytes, &n_plane, error);
        made.n_bytes += n_plane;
    }
    if (status != INGOT_OK) return status;
    const uint64_t n_filtered = filter_output_bytes(filter, n_bytes);
    if (n_filtered < n_bytes && n_filtered <= made.n_bytes + made.n_bytes / 64) {
        memcpy(dst, p->planes, (size_t)n_filtered);
        made = (struct packing){CODEC_STORED, filter, n_filtered};
    }
    if (worth(p, made.n_bytes, n_bytes)) *packing = made;
    return INGOT_OK;
}

/* ---- the choice of a filter ---- */

enum { ESTIMATE_BYTES = 16 << 10 };

/* What a filter leaves of a sample of the chunk, if single bytes were coded perfectly; or, where
 * the limits of Huffman codes tell, as they are coded. */
static ingot_status estimate(struct packer *p, uint8_t filter, bool by_coding,
                             const uint8_t *sample, uint64_t n_bytes, uint64_t *cost,
                             ingot_error *error)
{
    const struct filter_layout layout = filter_layout(filter, n_bytes);
    const uint8_t *plane = p->planes;
    ingot_status status = INGOT_OK;
    *cost = UINT64_MAX;
    if (!filter_encode(filter, p->kernels, sample, n_bytes, p->planes)) return INGOT_OK;
    uint64_t n = 0;
    for (uint32_t k = 0; k < layout.n_planes && status == INGOT_OK; k++) {
        uint64_t n_plane;
        if (by_coding) {
            status = code(p, CODER_HUFFMAN, plane, layout.n_bytes[k], p->matched, &n_plane, error);
        } else {
            n_plane = plane_entropy(p, plane, layout.n_bytes[k]);
        }
        n += n_plane;
        plane += layout.n_bytes[k];
    }
    *cost = n;
    return status;
}

static ingot_status choose_filter(struct packer *p, const struct candidates *c, const uint8_t *raw,
                                  uint64_t n_bytes, uint8_t *filter, ingot_error *error)
{
    const uint64_t n = min_u64(ESTIMATE_BYTES, n_bytes);
    const uint8_t *sample = raw + (n_bytes - n) / 2 / 8 * 8;
    uint64_t least = UINT64_MAX, cost, n_matched;
    *filter = c->filters[0];
    for (uint32_t i = 0; i < c->n && c->n > 1; i++) {
        const ingot_status estimated =
            estimate(p, c->filters[i], c->by_coding, sample, n, &cost, error);
        if (estimated != INGOT_OK) return estimated;
        if (cost >= least) continue;
        least = cost;
        *filter = c->filters[i];
    }
    if (*filter == FILTER_NONE) return INGOT_OK;
    /* Text and tables of records have matches that a split would tear apart. */
    const ingot_status status = code(p, CODER_FAST, sample, n, p->matched, &n_matched, error);
    if (status == INGOT_OK && n_matched < least) *filter = FILTER_NONE;
    return status;
}

/* Tries every filter, and keeps the smallest; ties go to what there was. */
static ingot_status try_all(struct packer *p, const struct candidates *c, const uint8_t *raw,
                            uint64_t n_bytes, uint8_t *dst, struct packing *packing,
                            ingot_error *error)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < c->n && status == INGOT_OK; i++) {
        struct packing other;
        status = pack_with(p, c->filters[i], raw, n_bytes, p->trial, &other, error);
        if (status != INGOT_OK || other.n_bytes == 0) continue;
        if (packing->n_bytes && packing->n_bytes <= other.n_bytes) continue;
        memcpy(dst, p->trial, (size_t)other.n_bytes);
        *packing = other;
    }
    return status;
}

ingot_status packer_pack(struct packer *packer, uint8_t element_bits, const uint8_t *raw,
                         uint64_t n_bytes, uint8_t *dst, struct packing *packing,
                         ingot_error *error)
{
    const struct candidates *c = candidates_of(element_bits);
    uint8_t filter;
    packer->effort = &efforts[INGOT_COMPRESS_FAST];
    ingot_status status = make_room(packer, n_bytes, error);
    if (status == INGOT_OK) status = choose_filter(packer, c, raw, n_bytes, &filter, error);
    if (status == INGOT_OK) status = pack_with(packer, filter, raw, n_bytes, dst, packing, error);
    /* Never larger than the fast way, since that was tried first. */
    packer->effort = &efforts[packer->compression];
    if (status != INGOT_OK || !packer->effort->exhaustive) return status;
    return try_all(packer, c, raw, n_bytes, dst, packing, error);
}
