/* The list of files that break one rule each, and the makers of those about the container. */
#include "tests/support/rule_files.h"

#include <assert.h>
#include <string.h>
#include <zstd.h>

#include "format/bytes.h"
#include "tests/support/rule_makers.h"

/* ---- header, trailer, directory ---- */

static void too_short(struct draft *d)
{
    specimen_begin(d);
    draft_seal(d);
    d->file.n_bytes = 159;
}

static void trailer_twice(struct draft *d)
{
    uint8_t trailer[96];
    specimen_begin(d);
    draft_seal(d);
    memcpy(trailer, d->file.data + d->file.n_bytes - sizeof trailer, sizeof trailer);
    buffer_append(&d->file, trailer, sizeof trailer);
}

static void index_elsewhere(struct draft *d)
{
    specimen_begin(d);
    draft_seal(d);
    store_u64(d->file.data + d->file.n_bytes - 96, d->index_offset + 8);
    draft_fix_trailer(d);
}

/* A field of the directory's entry of a section. */
static uint8_t *entry(struct draft *d, uint32_t kind, uint32_t field)
{
    return d->file.data + d->index_offset + 8 + 40 * ((uint64_t)kind - 1) + field;
}

static void half_records(struct draft *d)
{
    specimen_begin(d);
    draft_seal(d);
    store_u64(entry(d, DRAFT_CHUNKS, 24), load_u64(entry(d, DRAFT_CHUNKS, 24)) * 2);
    store_u32(entry(d, DRAFT_CHUNKS, 32), 12);
    draft_fix_index(d);
}

static void too_few_sections(struct draft *d)
{
    specimen_begin(d);
    draft_seal(d);
    store_u32(d->file.data + d->index_offset, 7);
    draft_fix_index(d);
}

static void index_padding(struct draft *d)
{
    specimen_begin(d);
    while (d->sections[DRAFT_STRINGS].n_bytes % 8 != 5) buffer_u8(&d->sections[DRAFT_STRINGS], 0);
    draft_seal(d);
    const uint64_t end = load_u64(entry(d, DRAFT_STRINGS, 8)) + d->sections[DRAFT_STRINGS].n_bytes;
    d->file.data[d->index_offset + end + 2] = 1;
    draft_fix_index(d);
}

static void index_rest(struct draft *d)
{
    specimen_begin(d);
    draft_seal(d);
    store_u64(entry(d, DRAFT_OTHER, 16), 9);
    store_u64(entry(d, DRAFT_OTHER, 24), 9);
    draft_fix_index(d);
}

static void long_string(struct draft *d)
{
    static const char text[65537];
    specimen_begin(d);
    draft_set_string(d, DRAFT_TENSORS, TENSOR_INT4, 0, text, sizeof text);
    draft_seal(d);
}

/* ---- chunks ---- */

static void chunk_not_aligned(struct draft *d)
{
    specimen_begin(d);
    /* One byte long, so that it does not reach the next. */
    const uint32_t chunk = STREAM_SIGNS_2 + 2;
    draft_set(d, DRAFT_CHUNKS, chunk, 0, 8, draft_get(d, DRAFT_CHUNKS, chunk, 0, 8) + 8);
    draft_seal(d);
}

static void gap_before_chunk(struct draft *d)
{
    static const uint8_t zeros[128];
    specimen_begin(d);
    buffer_append(&d->file, zeros, sizeof zeros);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "after", draft_stream(d, "x", 1, 1));
    draft_seal(d);
}

static void gap_before_index(struct draft *d)
{
    static const uint8_t zeros[64];
    specimen_begin(d);
    buffer_append(&d->file, zeros, sizeof zeros);
    draft_seal(d);
}

static void gap_not_zero(struct draft *d)
{
    specimen_begin(d);
    buffer_u8(&d->file, 1);
    draft_seal(d);
}

/* Adds an attachment of 100 zeros whose chunk holds `packed`. */
static void attach_packed(struct draft *d, const void *packed, size_t n_packed)
{
    static const uint8_t zeros[100];
    assert(n_packed < sizeof zeros);
    const uint32_t s = draft_packed_stream(d, zeros, sizeof zeros, packed, (uint32_t)n_packed);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "packed", s);
    draft_seal(d);
}

static size_t pack(uint8_t *packed, size_t n_bytes)
{
    static const uint8_t zeros[200];
    const size_t n = ZSTD_compress(packed, 100, zeros, n_bytes, 1);
    assert(!ZSTD_isError(n));
    return n;
}

static void frame_of_99(struct draft *d)
{
    uint8_t packed[100];
    specimen_begin(d);
    attach_packed(d, packed, pack(packed, 99));
}

static void frame_of_101(struct draft *d)
{
    uint8_t packed[100];
    specimen_begin(d);
    attach_packed(d, packed, pack(packed, 101));
}

static void two_frames(struct draft *d)
{
    uint8_t packed[200];
    specimen_begin(d);
    size_t n = pack(packed, 50);
    n += pack(packed + n, 49);
    attach_packed(d, packed, n);
}

static void empty_frame(struct draft *d)
{
    uint8_t packed[200];
    specimen_begin(d);
    size_t n = pack(packed, 100);
    n += pack(packed + n, 0);
    attach_packed(d, packed, n);
}

/* A frame too many, after those that fill the chunk. */
static void three_frames(struct draft *d)
{
    uint8_t packed[200];
    specimen_begin(d);
    size_t n = pack(packed, 50);
    n += pack(packed + n, 50);
    n += pack(packed + n, 1);
    attach_packed(d, packed, n);
}

/* Frames that decode to the raw length where the filter gives less. */
static void frame_of_raw_length(struct draft *d)
{
    static const uint8_t zeros[100];
    uint8_t packed[100];
    specimen_begin(d);
    const size_t n = pack(packed, 100);
    const uint32_t s = draft_filtered_stream(d, zeros, sizeof zeros, 1, 6, packed, (uint32_t)n);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "packed", s);
    draft_seal(d);
}

static void frame_and_more(struct draft *d)
{
    uint8_t packed[101];
    specimen_begin(d);
    const size_t n = pack(packed, 100);
    packed[n] = 0;
    attach_packed(d, packed, n + 1);
}

/* A skippable frame is none that decodes to something; one before the data is one too many. */
static void skippable_frame(struct draft *d)
{
    uint8_t packed[120] = {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0xff};
    specimen_begin(d);
    attach_packed(d, packed, 9 + pack(packed + 9, 100));
}

static void no_frame(struct draft *d)
{
    specimen_begin(d);
    attach_packed(d, "this is not zstd", 16);
}

/* 100 zeros in the format before the one of RFC 8878, which libzstd may know: a block that repeats
 * a byte, and the block that ends a frame. */
static void older_frame(struct draft *d)
{
    static const uint8_t frame[] = {0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0x80, 0, 100, 0, 0xc0, 0, 0};
    specimen_begin(d);
    attach_packed(d, frame, sizeof frame);
}

/* A frame of one block of 100 zeros, whose descriptor names a window of 256 MiB. */
static void wide_window(struct draft *d)
{
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 0x23, 3, 0, 0};
    specimen_begin(d);
    attach_packed(d, frame, sizeof frame);
}

/* The same with a small window and a dictionary's id. */
static void with_dictionary(struct draft *d)
{
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 1, 0, 77, 0x23, 3, 0, 0};
    specimen_begin(d);
    attach_packed(d, frame, sizeof frame);
}

/* An attachment of n_raw bytes of 2-bit codes, stored as trits. */
static void attach_trits(struct draft *d, uint64_t n_raw, const uint8_t *trits, uint32_t n_trits)
{
    static const uint8_t raw[16];
    specimen_begin(d);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "trits",
               draft_filtered_stream(d, raw, n_raw, 0, 6, trits, n_trits));
    draft_seal(d);
}

static void no_trit(struct draft *d)
{
    static const uint8_t trits[8] = {0, 242, 0, 243, 0, 0, 0, 0};
    attach_trits(d, 10, trits, sizeof trits);
}

static void no_trit_in_the_tail(struct draft *d)
{
    static const uint8_t trits[6] = {0, 0, 0, 0, 0, 255};
    attach_trits(d, 7, trits, sizeof trits);
}

/* Two bytes are eight codes: the fourth digit of their second byte is a ninth. */
static void trit_after_the_end(struct draft *d)
{
    static const uint8_t trits[6] = {0, 0, 0, 0, 0, 27};
    attach_trits(d, 7, trits, sizeof trits);
}

/* A code of seven bits, and a pair after the end, under zstd. */
static void attach_fp8(struct draft *d, const uint8_t *filtered)
{
    static const uint8_t raw[90];
    uint8_t packed[200];
    specimen_begin(d);
    const size_t n = ZSTD_compress(packed, sizeof packed, filtered, 113, 1);
    assert(!ZSTD_isError(n) && n < sizeof raw);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "fp8",
               draft_filtered_stream(d, raw, sizeof raw, 1, 7, packed, (uint32_t)n));
    draft_seal(d);
}

static void no_fp8_code(struct draft *d)
{
    uint8_t filtered[113] = {0};
    filtered[40] = 64;
    attach_fp8(d, filtered);
}

static void fp8_after_the_end(struct draft *d)
{
    uint8_t filtered[113] = {0};
    filtered[112] = 16; /* 90 bytes: its last two pairs are none */
    attach_fp8(d, filtered);
}

/* Two compressed chunks, at the distance that the stride promises of stored ones. */
static void stride_of_compressed(struct draft *d)
{
    uint8_t raw[100], packed[2][100];
    uint32_t s = 0;
    specimen_begin(d);
    for (uint8_t i = 0; i < 2; i++) {
        memset(raw, 'a' + i, sizeof raw);
        const size_t n = ZSTD_compress(packed[i], 100, raw, sizeof raw, 1);
        assert(!ZSTD_isError(n));
        const uint32_t last = draft_packed_stream(d, raw, sizeof raw, packed[i], (uint32_t)n);
        if (i == 0) s = last;
    }
    d->sections[DRAFT_STREAMS].n_bytes -= 48; /* the second chunk becomes the first one's */
    const uint32_t chunk = (uint32_t)draft_get(d, DRAFT_STREAMS, s, 16, 4);
    draft_set(d, DRAFT_STREAMS, s, 0, 8, 200);
    draft_set(d, DRAFT_STREAMS, s, 24, 8,
              draft_get(d, DRAFT_CHUNKS, chunk + 1, 0, 8) -
                  draft_get(d, DRAFT_CHUNKS, chunk, 0, 8));
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "packed", s);
    draft_seal(d);
}

static void chunk_of_nobody(struct draft *d)
{
    specimen_begin(d);
    draft_set(d, DRAFT_STREAMS, STREAM_RECEIPT, 0, 8, 0);
    draft_set(d, DRAFT_STREAMS, STREAM_RECEIPT, 8, 8, 0);
    draft_set(d, DRAFT_STREAMS, STREAM_RECEIPT, 16, 8, 0);
    draft_seal(d);
}

static void stream_of_nobody(struct draft *d)
{
    specimen_begin(d);
    draft_stream(d, "nobody", 6, 6);
    draft_seal(d);
}

const struct rule_file rule_files[] = {
    {121, too_short},
    {122, trailer_twice},
    {125, index_elsewhere},
    {203, half_records},
    {203, too_few_sections},
    {204, index_padding},
    {204, index_rest},
    {211, long_string},
    {302, chunk_not_aligned},
    {302, gap_before_chunk},
    {302, gap_before_index},
    {313, gap_not_zero},
    {311, frame_of_99},
    {311, frame_of_101},
    {311, two_frames},
    {311, three_frames},
    {311, empty_frame},
    {311, frame_of_raw_length},
    {311, frame_and_more},
    {311, skippable_frame},
    {311, no_frame},
    {311, older_frame},
    {311, wide_window},
    {311, with_dictionary},
    {314, no_trit},
    {314, no_trit_in_the_tail},
    {314, trit_after_the_end},
    {314, no_fp8_code},
    {314, fp8_after_the_end},
    {321, stride_of_compressed},
    {312, chunk_of_nobody},
    {323, stream_of_nobody},
    {422, broken_three_levels},
    {422, broken_table_of_257},
    {422, broken_table_with_post},
    {431, broken_stray_table_code},
    {431, broken_stray_kept_code},
    {512, broken_offsets_of_no_columns},
    {512, broken_offsets_of_no_rows},
    {604, broken_term_of_nobody},
    {502, broken_first_term_optional},
    {502, broken_optional_xor},
    {502, broken_rescaled_xor},
    {521, broken_two_magnitudes},
    {608, broken_deep_rescale},
    {601, broken_coded_complex},
    {605, broken_alias_of_alias},
    {606, broken_equal_names},
    {606, broken_swapped_names},
    {701, broken_unknown_blob},
    {702, broken_equal_attachments},
    {702, broken_two_sources},
    {710, broken_metadata_bool},
    {710, broken_metadata_cut},
    {711, broken_metadata_long_key},
    {712, broken_metadata_nested_5},
    {721, broken_source_names_twice},
    {730, broken_receipt_with_mark},
    {730, broken_receipt_and_more},
    {730, broken_receipt_too_deep},
};
const uint32_t n_rule_files = sizeof rule_files / sizeof *rule_files;
