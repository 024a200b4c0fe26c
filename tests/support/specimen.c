/* One of everything, with lengths worked out by hand from chapters 6 and 7. */
#include "tests/support/specimen.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "format/coding.h"
#include "format/metadata.h"
#include "format/reader.h"
#include "format/source.h"
#include "tests/support/naive_filter.h"
#include "tests/support/random.h"

enum { CHUNK = 256, MAX_BYTES = 1024, OPAQUE_BYTES = 72 };

/* ---- streams ---- */

static void add(struct draft *d, enum specimen_stream number, const void *bytes, uint64_t n_bytes)
{
    const uint32_t found = draft_stream(d, bytes, n_bytes, CHUNK);
    assert(found == number);
    (void)found;
}

/* n f16 values between 0.5 and 2 in magnitude; they differ from stream to stream. */
static void add_f16(struct draft *d, enum specimen_stream number, uint32_t n)
{
    struct random random = {number};
    uint8_t bytes[MAX_BYTES];
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t v = random_bits(&random);
        store_u16(bytes + 2 * i, (uint16_t)(0x3800 + (v & 0x7ff) + (v >> 16 & 0x8000)));
    }
    add(d, number, bytes, 2 * (uint64_t)n);
}

/* Bytes that may have any value. */
static void make_any(enum specimen_stream number, uint8_t *bytes, uint32_t n_bytes)
{
    struct random random = {number};
    for (uint32_t i = 0; i < n_bytes; i++) bytes[i] = (uint8_t)random_bits(&random);
}

static void add_any(struct draft *d, enum specimen_stream number, uint32_t n_bytes)
{
    uint8_t bytes[MAX_BYTES];
    make_any(number, bytes, n_bytes);
    add(d, number, bytes, n_bytes);
}

static void add_u32(struct draft *d, enum specimen_stream number, const uint32_t *values,
                    uint32_t n)
{
    uint8_t bytes[MAX_BYTES];
    for (uint32_t i = 0; i < n; i++) store_u32(bytes + 4 * i, values[i]);
    add(d, number, bytes, 4 * (uint64_t)n);
}

/* ---- codings ---- */

static void add_codings(struct draft *d)
{
    draft_coding(d, MAP_FLOAT, 32, INGOT_F32, "f32");
    draft_coding(d, MAP_FLOAT, 16, INGOT_F16, "f16");
    draft_coding(d, MAP_UINT, 4, 0, "int4-g16");
    draft_constant(d, CODING_INT4, SLOT_ZERO, 8.0f);
    draft_table(d, CODING_INT4, SLOT_SCALE, CODING_F16, GROUP_BLOCK, 1, 16);
    draft_coding(d, MAP_CODEBOOK, 3, INGOT_F16, "codes");
    draft_codebook(d, CODING_CODES, 5, STREAM_CODEBOOK);
    draft_coding(d, MAP_VECTOR, 2, INGOT_I8, "vectors");
    draft_codebook(d, CODING_VECTOR, 4, STREAM_VECTORS);
    draft_set(d, DRAFT_CODINGS, CODING_VECTOR, 3, 1, 4);
    draft_set(d, DRAFT_CODINGS, CODING_VECTOR, 4, 1, 7);
    draft_coding(d, MAP_UINT, 4, 0, "act-order");
    draft_set(d, DRAFT_CODINGS, CODING_INDEX, 5, 1, 16);
    draft_table(d, CODING_INDEX, SLOT_SCALE, CODING_F16, GROUP_COLUMN_INDEX, 0, 3);
    draft_coding(d, MAP_UINT, 6, 0, "");
    draft_table(d, CODING_SCALES, SLOT_SCALE, CODING_F16, GROUP_BLOCK, 0, 0);
    draft_constant(d, CODING_SCALES, SLOT_SCALE, 0.125f);
    draft_coding(d, MAP_INT, 4, 0, "nested");
    draft_table(d, CODING_NESTED, SLOT_SCALE, CODING_SCALES, GROUP_BLOCK, 1, 8);
    draft_constant(d, CODING_NESTED, SLOT_BIAS, 0.25f);
    draft_table(d, CODING_NESTED, SLOT_POST, CODING_F16, GROUP_RUN, 0, 20);
    draft_set(d, DRAFT_CODINGS, CODING_NESTED, 32 + 32 * SLOT_POST + 1, 1, 2); /* divides */
    draft_coding(d, MAP_OPAQUE, 8, 0, "foreign.q4");
    draft_set(d, DRAFT_CODINGS, CODING_OPAQUE, 24, 4, 32);
    draft_set(d, DRAFT_CODINGS, CODING_OPAQUE, 28, 4, 18);
    draft_coding(d, MAP_UINT, 8, 0, "u8");
}

/* ---- tensors ---- */

static void add_dense(struct draft *d)
{
    uint8_t values[640];
    for (uint32_t i = 0; i < 160; i++) store_f32(values + 4 * i, (float)i - 80.0f);
    add(d, STREAM_DENSE, values, sizeof values);
    draft_set(d, DRAFT_STREAMS, STREAM_DENSE, 24, 8, CHUNK);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F32, STREAM_DENSE, 1);
    draft_tensor(d, "dense", INGOT_F32, 1, 1, 4, 40);

    /* 44 codes are 176 bits, padded to 192: 22 bytes and 2 of zeros a row. */
    struct random random = {99};
    uint8_t codes[144] = {0};
    for (uint32_t i = 0; i < sizeof codes; i++) {
        if (i % 24 < 22) codes[i] = (uint8_t)random_bits(&random);
    }
    add(d, STREAM_INT4_CODES, codes, sizeof codes);
    add_f16(d, STREAM_INT4_SCALES, 18);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_INT4, STREAM_INT4_CODES, 2);
    draft_tensor(d, "int4", INGOT_BF16, 1, 1, 6, 44);
}

static void add_codebooks(struct draft *d)
{
    /* 30 codes below 5: low two bits in 60 bits, the high one in 30. */
    static const uint8_t low[8] = {0xe4, 0x1b, 0x00, 0xb1, 0x27, 0x72, 0x4e, 0x03};
    static const uint8_t high[4] = {0x01, 0x02, 0x00, 0x00}; /* where the low bits are 0 */
    add_f16(d, STREAM_CODEBOOK, 5);
    add(d, STREAM_CODES_2, low, sizeof low);
    add(d, STREAM_CODES_1, high, sizeof high);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_CODES, STREAM_CODES_2, 2);
    draft_tensor(d, "codes", INGOT_BF16, 1, 1, 3, 10);

    add_any(d, STREAM_VECTORS, 16);
    add_any(d, STREAM_VECTOR_CODES, 2);
    add_any(d, STREAM_SIGNS_4, 2);
    add_any(d, STREAM_SIGNS_2, 1);
    static const uint8_t sign_bits[1] = {0x0d}; /* four bits */
    add(d, STREAM_SIGNS_1, sign_bits, 1);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_VECTOR, STREAM_VECTOR_CODES, 4);
    draft_tensor(d, "vector", INGOT_F16, 1, 1, 2, 16);
}

static void add_tables(struct draft *d)
{
    static const uint8_t index[16] = {2, 0, 0, 0, 1, 0, 2, 0, 1, 0, 0, 0, 0, 0, 2, 0};
    add(d, STREAM_INDEX, index, sizeof index);
    add_any(d, STREAM_INDEX_CODES, 16);
    add_f16(d, STREAM_INDEX_SCALES, 3);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_INDEX, STREAM_INDEX, 3);
    draft_tensor(d, "index", INGOT_F16, 1, 1, 4, 8);

    /* Scales over 2 x 2 x 3: 12 codes of 4 + 2 bits; post over 2 x 1 x 3 runs of 20 of 48. */
    add_any(d, STREAM_NESTED_CODES, 48);
    add_any(d, STREAM_SCALES_4, 6);
    add_any(d, STREAM_SCALES_2, 3);
    add_f16(d, STREAM_SCALES_OF_SCALES, 2);
    add_f16(d, STREAM_POST, 6);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_NESTED, STREAM_NESTED_CODES, 5);
    draft_tensor(d, "nested", INGOT_F16, 1, 2, 2, 24);
}

static void add_sparse_term(struct draft *d, uint8_t combine, uint8_t mask, uint32_t first_stream,
                            uint32_t n_streams, uint64_t n_kept)
{
    const uint32_t t = draft_term(d, TERM_SPARSE, combine, CODING_F16, first_stream, n_streams);
    draft_set(d, DRAFT_TERMS, t, 36, 1, mask);
    draft_set(d, DRAFT_TERMS, t, 48, 8, n_kept);
}

static void add_offset_masks(struct draft *d)
{
    static const uint8_t bitmap[4] = {0x81, 0x00, 0x10, 0x06};
    static const uint32_t bitmap_offsets[5] = {0, 2, 2, 3, 5};
    add(d, STREAM_BITMAP, bitmap, sizeof bitmap);
    add_u32(d, STREAM_BITMAP_OFFSETS, bitmap_offsets, 5);
    add_f16(d, STREAM_BITMAP_VALUES, 5);
    add_sparse_term(d, COMBINE_FIRST, MASK_BITMAP, STREAM_BITMAP, 3, 5);
    draft_tensor(d, "bitmap", INGOT_F16, 1, 1, 4, 8);

    static const uint32_t list_offsets[4] = {0, 0, 2, 3}, list[3] = {1, 5, 0};
    add_f16(d, STREAM_LIST_BASE, 18);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F16, STREAM_LIST_BASE, 1);
    add_u32(d, STREAM_LIST_OFFSETS, list_offsets, 4);
    add_u32(d, STREAM_LIST, list, 3);
    add_f16(d, STREAM_LIST_VALUES, 3);
    add_sparse_term(d, COMBINE_SET, MASK_LIST, STREAM_LIST_OFFSETS, 3, 3);
    draft_tensor(d, "list", INGOT_F16, 2, 1, 3, 6);
}

static void add_plain_masks(struct draft *d)
{
    static const uint8_t two[2] = {0xe4, 0xd8}; /* pairs 0 1, 2 3; 0 2, 1 3 */
    add(d, STREAM_TWO, two, sizeof two);
    add_f16(d, STREAM_TWO_VALUES, 8);
    add_sparse_term(d, COMBINE_FIRST, MASK_TWO_OF_FOUR, STREAM_TWO, 2, 8);
    draft_tensor(d, "two", INGOT_F16, 1, 1, 2, 8);

    static const uint32_t columns[2] = {1, 4}, rows[1] = {2};
    add_u32(d, STREAM_COLUMNS, columns, 2);
    add_f16(d, STREAM_COLUMNS_VALUES, 4);
    add_sparse_term(d, COMBINE_FIRST, MASK_COLUMNS, STREAM_COLUMNS, 2, 4);
    draft_tensor(d, "columns", INGOT_F16, 1, 1, 2, 5);
    add_u32(d, STREAM_ROWS, rows, 1);
    add_f16(d, STREAM_ROWS_VALUES, 4);
    add_sparse_term(d, COMBINE_FIRST, MASK_ROWS, STREAM_ROWS, 2, 4);
    draft_tensor(d, "rows", INGOT_F16, 1, 1, 3, 4);

    /* 2 x 2 blocks of 2 x 4, the right ones 2 x 2: the upper right and the lower left. */
    static const uint8_t blocks[1] = {0x06};
    static const uint32_t offsets[5] = {0, 2, 4, 8, 12};
    add(d, STREAM_BLOCKS, blocks, 1);
    add_u32(d, STREAM_BLOCKS_OFFSETS, offsets, 5);
    add_f16(d, STREAM_BLOCKS_VALUES, 12);
    add_sparse_term(d, COMBINE_FIRST, MASK_BLOCKS, STREAM_BLOCKS, 3, 12);
    draft_set(d, DRAFT_TERMS, TERM_AT_BLOCKS, 40, 4, 2);
    draft_set(d, DRAFT_TERMS, TERM_AT_BLOCKS, 44, 4, 4);
    draft_tensor(d, "blocks", INGOT_F16, 1, 1, 4, 6);
}

static void add_adapter(struct draft *d, const char *name, uint32_t first_stream,
                        uint32_t n_streams)
{
    const uint32_t t =
        draft_term(d, TERM_LOWRANK, COMBINE_ADD, CODING_F16, first_stream, n_streams);
    draft_set(d, DRAFT_TERMS, t, 8, 4, CODING_F16);
    draft_set_string(d, DRAFT_TERMS, t, 20, name, (uint32_t)strlen(name));
    draft_set(d, DRAFT_TERMS, t, 28, 4, f32_bits(0.5f));
    draft_set(d, DRAFT_TERMS, t, 32, 4, 2);
}

static void add_adapters(struct draft *d)
{
    static const uint8_t low[1] = {0x0e}, high[1] = {0x00}; /* codes 2, 3, 0 */
    add_f16(d, STREAM_LORA_BASE, 12);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F16, STREAM_LORA_BASE, 1);
    add_f16(d, STREAM_LORA_A, 8);
    add_f16(d, STREAM_LORA_B, 6);
    add(d, STREAM_MAGNITUDE_2, low, 1);
    add(d, STREAM_MAGNITUDE_1, high, 1);
    add_adapter(d, "style", STREAM_LORA_A, 4);
    draft_set(d, DRAFT_TERMS, TERM_AT_LORA, 56, 4, CODING_CODES);
    add_f16(d, STREAM_OTHER_A, 8);
    add_f16(d, STREAM_OTHER_B, 6);
    add_adapter(d, "other", STREAM_OTHER_A, 2);
    draft_set(d, DRAFT_TERMS, TERM_AT_OTHER, 2, 2, 1);
    draft_tensor(d, "lora", INGOT_F16, 3, 1, 3, 4);
}

static void add_odd_tensors(struct draft *d)
{
    add_any(d, STREAM_OPAQUE, OPAQUE_BYTES);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_OPAQUE, STREAM_OPAQUE, 1);
    draft_tensor(d, "opaque", INGOT_F16, 1, 1, 2, 64);

    draft_file(d, "base/model.ingot");
    draft_term(d, TERM_REF, COMBINE_FIRST, UINT32_MAX, 0, 0);
    draft_set(d, DRAFT_TERMS, TERM_AT_REF, 60, 4, 0);
    draft_set_string(d, DRAFT_TERMS, TERM_AT_REF, 64, "patched", 7);
    add_f16(d, STREAM_XOR, 4);
    draft_term(d, TERM_DENSE, COMBINE_XOR, CODING_F16, STREAM_XOR, 1);
    draft_tensor(d, "ref", INGOT_F16, 2, 1, 2, 2);

    draft_tensor(d, "alias", INGOT_F32, 1, 1, 4, 40);
    draft_set(d, DRAFT_TENSORS, TENSOR_ALIAS, 16, 4, TERM_AT_DENSE);
    draft_set(d, DRAFT_TENSORS, TENSOR_ALIAS, 24, 4, TENSOR_DENSE);

    static const uint8_t low[1] = {0x21}, high[1] = {0x02}; /* codes 1, 4, 2 */
    add_f16(d, STREAM_RESCALED, 12);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F16, STREAM_RESCALED, 1);
    draft_tensor(d, "rescaled", INGOT_F16, 1, 1, 3, 4);
    add(d, STREAM_RESCALE_2, low, 1);
    add(d, STREAM_RESCALE_1, high, 1);
    draft_set(d, DRAFT_TENSORS, TENSOR_RESCALED, 32, 4, CODING_CODES);
    draft_set(d, DRAFT_TENSORS, TENSOR_RESCALED, 36, 4, STREAM_RESCALE_2);

    add(d, STREAM_EMPTY, "", 0);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F32, STREAM_EMPTY, 1);
    draft_tensor(d, "empty", INGOT_F32, 1, 1, 0, 4);

    uint8_t raw[1024], packed[1024];
    memset(raw, 7, sizeof raw);
    const size_t n = ZSTD_compress(packed, sizeof packed, raw, sizeof raw, 1);
    assert(!ZSTD_isError(n) && n < sizeof raw);
    const uint32_t stream = draft_packed_stream(d, raw, sizeof raw, packed, (uint32_t)n);
    assert(stream == STREAM_PACKED);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_U8, stream, 1);
    draft_tensor(d, "packed", INGOT_U8, 1, 1, 1, 1024);
}

/* ---- filters ---- */

enum { FILTERED = 403 }; /* bytes: no multiple of any element's width, nor of 5 */

/* A frame for each of n_parts equal parts of bytes; what is left over goes with the last. */
static uint32_t pack_parts(const struct byte_buffer *bytes, uint64_t n_parts, uint8_t *packed,
                           size_t capacity)
{
    size_t n = 0;
    const uint64_t each = bytes->n_bytes / n_parts;
    for (uint64_t k = 0; k < n_parts; k++) {
        const uint64_t end = k + 1 == n_parts ? bytes->n_bytes : (k + 1) * each;
        n += ZSTD_compress(packed + n, capacity - n, bytes->data + k * each,
                           (size_t)(end - k * each), 1);
    }
    assert(n < bytes->n_bytes);
    return (uint32_t)n;
}

static void add_filtered_tensor(struct draft *d, uint32_t number, const uint8_t *raw, uint8_t codec,
                                uint8_t filter, const void *stored, uint64_t n_stored)
{
    char name[16] = "filtered .";
    name[9] = (char)('0' + number - STREAM_FILTERED);
    const uint32_t stream =
        draft_filtered_stream(d, raw, FILTERED, codec, filter, stored, (uint32_t)n_stored);
    assert(stream == number);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_U8, stream, 1);
    draft_tensor(d, name, INGOT_U8, 1, 1, 1, FILTERED);
}

static void add_filtered(struct draft *d)
{
    static const uint8_t widths[] = {0, 2, 4, 8, 2, 4};
    struct random random = {7};
    uint8_t raw[FILTERED], packed[2 * FILTERED];
    struct byte_buffer filtered = {0};
    for (uint8_t filter = 1; filter < 6; filter++) {
        const uint32_t w = widths[filter];
        /* High bytes that vary little, and low ones that vary much. */
        for (uint32_t i = 0; i < FILTERED; i++) {
            const uint8_t v = (uint8_t)random_bits(&random);
            raw[i] = i % w == 0 ? v : (uint8_t)(filter * 16 + v % 2);
        }
        filtered.n_bytes = 0;
        naive_filter(filter, raw, FILTERED, &filtered);
        const uint32_t n = pack_parts(&filtered, w, packed, sizeof packed);
        add_filtered_tensor(d, STREAM_FILTERED + filter - 1u, raw, 1, filter, packed, n);
    }
    for (uint32_t i = 0; i < FILTERED; i++) {
        const uint64_t v = random_bits(&random);
        raw[i] = (uint8_t)(v % 3 | v / 3 % 3 << 2 | v / 9 % 3 << 4 | v / 27 % 3 << 6);
    }
    filtered.n_bytes = 0;
    naive_filter(6, raw, FILTERED, &filtered);
    add_filtered_tensor(d, STREAM_TRITS, raw, 0, 6, filtered.data, filtered.n_bytes);
    for (uint32_t i = 0; i < FILTERED; i++) raw[i] = i % 50 ? 0x10 : 0x82;
    filtered.n_bytes = 0;
    naive_filter(6, raw, FILTERED, &filtered);
    uint32_t n = pack_parts(&filtered, 1, packed, sizeof packed);
    add_filtered_tensor(d, STREAM_PACKED_TRITS, raw, 1, 6, packed, n);
    for (uint32_t i = 0; i < FILTERED; i++)
        raw[i] = (uint8_t)(0x55 + random_bits(&random) % 2 * 0x81);
    filtered.n_bytes = 0;
    naive_filter(7, raw, FILTERED, &filtered);
    n = pack_parts(&filtered, 1, packed, sizeof packed);
    add_filtered_tensor(d, STREAM_FP8, raw, 1, 7, packed, n);
    buffer_release(&filtered);
}

/* ---- blobs ---- */

static const char attachment[] = "{\"chat_template\": \"never executed\"}";

static void add_metadata(struct draft *d)
{
    struct byte_buffer b = {0};
    metadata_begin(&b, 4);
    metadata_put_string(&b, "name", 4, "specimen", 8);
    buffer_u32(&b, 5);
    buffer_append(&b, "layer", 5);
    buffer_u32(&b, META_U32);
    buffer_u32(&b, 12);
    buffer_u32(&b, 4);
    buffer_append(&b, "bits", 4);
    buffer_u32(&b, META_ARRAY);
    buffer_u32(&b, META_U8);
    buffer_u64(&b, 3);
    buffer_u64(&b, 3);
    buffer_append(&b, "abc", 3);
    buffer_u32(&b, 4);
    buffer_append(&b, "deep", 4);
    buffer_u32(&b, META_ARRAY);
    buffer_u32(&b, META_ARRAY);
    buffer_u64(&b, 1);
    buffer_u64(&b, 24);
    buffer_u32(&b, META_U16);
    buffer_u64(&b, 2);
    buffer_u64(&b, 4);
    buffer_u16(&b, 1);
    buffer_u16(&b, 2);
    add(d, STREAM_METADATA, b.data, b.n_bytes);
    draft_blob(d, INGOT_BLOB_METADATA, "", STREAM_METADATA);
    buffer_release(&b);
}

static void put_hash(struct source_file *file, const struct byte_buffer *whole)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(whole->data, (size_t)whole->n_bytes));
    memcpy(file->hash, canonical.digest, sizeof canonical.digest);
    file->n_bytes = whole->n_bytes;
}

/* "head", the dense tensor, the attachment. */
static void add_plain_file(struct byte_buffer *b)
{
    struct byte_buffer whole = {0};
    buffer_append(&whole, "head", 4);
    for (uint32_t i = 0; i < 160; i++) buffer_u32(&whole, f32_bits((float)i - 80.0f));
    buffer_append(&whole, attachment, sizeof attachment);
    struct source_file file = {"model.bin", 9, 0, {0}, 3};
    put_hash(&file, &whole);
    source_put_file(b, &file);
    source_put_literal(b, "head", 4);
    source_put_tensor(b, TENSOR_DENSE, NULL, 0);
    source_put_attachment(b, BLOB_ATTACHMENT);
    buffer_release(&whole);
}

/* Metadata as GGUF writes it: the first two entries as in version 3, the last one as in a
 * big-endian version 1. */
static void put_metadata(struct byte_buffer *whole)
{
    static const uint8_t wide[] = "\4\0\0\0\0\0\0\0name\x08\0\0\0\x08\0\0\0\0\0\0\0specimen"
                                  "\5\0\0\0\0\0\0\0layer\4\0\0\0\x0c\0\0\0";
    static const uint8_t narrow[] = "\0\0\0\4deep\0\0\0\x09\0\0\0\x09\0\0\0\1"
                                    "\0\0\0\2\0\0\0\2\0\1\0\2";
    buffer_append(whole, wide, sizeof wide - 1);
    buffer_append(whole, narrow, sizeof narrow - 1);
}

/* Metadata, the dense tensor with swapped bytes, the opaque one. */
static void add_foreign_file(struct byte_buffer *b)
{
    static const uint8_t swapped[] = {FORM_SWAPPED};
    const struct metadata_range wide = {0, 2, {8, 0}}, narrow = {3, 1, {4, 1}};
    struct byte_buffer whole = {0};
    uint8_t blocks[OPAQUE_BYTES];
    put_metadata(&whole);
    for (uint32_t i = 0; i < 160; i++) {
        buffer_u32(&whole, swap_u32(f32_bits((float)i - 80.0f)));
    }
    make_any(STREAM_OPAQUE, blocks, sizeof blocks);
    buffer_append(&whole, blocks, sizeof blocks);
    struct source_file file = {"model.gguf", 10, 0, {0}, 4};
    put_hash(&file, &whole);
    source_put_file(b, &file);
    source_put_metadata(b, &wide);
    source_put_metadata(b, &narrow);
    source_put_tensor(b, TENSOR_DENSE, swapped, sizeof swapped);
    source_put_tensor(b, TENSOR_OPAQUE, NULL, 0);
    buffer_release(&whole);
}

static void add_source(struct draft *d)
{
    struct byte_buffer b = {0};
    source_begin(&b, 2);
    add_plain_file(&b);
    add_foreign_file(&b);
    add(d, STREAM_SOURCE, b.data, b.n_bytes);
    draft_blob(d, INGOT_BLOB_SOURCE, "", STREAM_SOURCE);
    buffer_release(&b);
}

static void add_blobs(struct draft *d)
{
    static const char receipt[] = "{\"ingot\": \"0.1.0\", \"tensors\": [], \"notes\": []}";
    add_metadata(d);
    add_source(d);
    add(d, STREAM_RECEIPT, receipt, sizeof receipt - 1);
    draft_blob(d, INGOT_BLOB_RECEIPT, "", STREAM_RECEIPT);
    add(d, STREAM_ATTACHMENT, attachment, sizeof attachment);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "tokenizer/config.json", STREAM_ATTACHMENT);
    add(d, STREAM_REPEAT, attachment, sizeof attachment);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "copy.json", STREAM_REPEAT);
    draft_set_string(d, DRAFT_BLOBS, BLOB_REPEAT, 16, "application/json", 16);
}

void specimen_begin(struct draft *d)
{
    draft_begin(d);
    add_codings(d);
    add_dense(d);
    add_codebooks(d);
    add_tables(d);
    add_offset_masks(d);
    add_plain_masks(d);
    add_adapters(d);
    add_odd_tensors(d);
    add_filtered(d);
    add_blobs(d);
    buffer_append(&d->sections[DRAFT_OTHER], "unheard of", 10);
    assert(d->sections[DRAFT_CODINGS].n_bytes == 160 * N_SPECIMEN_CODINGS);
    assert(d->sections[DRAFT_STREAMS].n_bytes == 48 * N_SPECIMEN_STREAMS);
    assert(d->sections[DRAFT_TERMS].n_bytes == 80 * N_SPECIMEN_TERMS);
    assert(d->sections[DRAFT_TENSORS].n_bytes == 112 * N_SPECIMEN_TENSORS);
    assert(d->sections[DRAFT_BLOBS].n_bytes == 32 * N_SPECIMEN_BLOBS);
}
