/* Files that break one rule each, by more than one changed field. */
#include "tests/support/rule_files.h"

#include <assert.h>
#include <string.h>
#include <zstd.h>

#include "format/bytes.h"
#include "format/coding.h"
#include "format/metadata.h"
#include "format/reader.h"
#include "format/source.h"

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
    n += pack(packed + n, 50);
    attach_packed(d, packed, n);
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

/* Bytes with magic 0xFD2FB527: the format before the one of RFC 8878. */
static void older_frame(struct draft *d)
{
    static const uint8_t frame[] = {0x27, 0xb5, 0x2f, 0xfd, 0x20, 100, 0x82, 0, 100, 0, 0xc0, 0, 0};
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

/* ---- codings and terms ---- */

static void three_levels(struct draft *d)
{
    specimen_begin(d);
    uint32_t below = CODING_F16;
    for (int i = 0; i < 3; i++) {
        const uint32_t c = draft_coding(d, MAP_UINT, 8, 0, "level");
        draft_table(d, c, SLOT_SCALE, below, GROUP_TENSOR, 0, 0);
        below = c;
    }
    draft_seal(d);
}

static void table_of_257(struct draft *d)
{
    static const uint8_t entries[257];
    specimen_begin(d);
    const uint32_t large = draft_coding(d, MAP_CODEBOOK, 9, INGOT_I8, "large");
    draft_codebook(d, large, 257, draft_stream(d, entries, sizeof entries, 256));
    const uint32_t c = draft_coding(d, MAP_UINT, 8, 0, "over");
    draft_table(d, c, SLOT_SCALE, large, GROUP_TENSOR, 0, 0);
    draft_seal(d);
}

static void table_with_post(struct draft *d)
{
    specimen_begin(d);
    const uint32_t table = draft_coding(d, MAP_UINT, 8, 0, "table");
    draft_constant(d, table, SLOT_POST, 2.0f);
    const uint32_t c = draft_coding(d, MAP_UINT, 8, 0, "over");
    draft_table(d, c, SLOT_SCALE, table, GROUP_TENSOR, 0, 0);
    draft_seal(d);
}

/* A 1 x 1 tensor of u8 whose scale is one code of CODING_CODES, namely 5. */
static void stray_table_code(struct draft *d)
{
    specimen_begin(d);
    const uint32_t c = draft_coding(d, MAP_UINT, 8, 0, "over");
    draft_table(d, c, SLOT_SCALE, CODING_CODES, GROUP_TENSOR, 0, 0);
    const uint32_t s = draft_stream(d, "\x07", 1, 1);
    draft_stream(d, "\x01", 1, 1);
    draft_stream(d, "\x01", 1, 1);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, c, s, 3);
    draft_tensor(d, "stray", INGOT_F16, 1, 1, 1, 1);
    draft_seal(d);
}

/* The one kept value of a 1 x 8 tensor has code 6. */
static void stray_kept_code(struct draft *d)
{
    specimen_begin(d);
    const uint32_t s = draft_stream(d, "\x02\0\0\0", 4, 4); /* column 2 */
    draft_stream(d, "\x02", 1, 1);
    draft_stream(d, "\x01", 1, 1);
    const uint32_t t = draft_term(d, TERM_SPARSE, COMBINE_FIRST, CODING_CODES, s, 3);
    draft_set(d, DRAFT_TERMS, t, 36, 1, MASK_COLUMNS);
    draft_set(d, DRAFT_TERMS, t, 48, 8, 1);
    draft_tensor(d, "stray", INGOT_F16, 1, 1, 1, 8);
    draft_seal(d);
}

/* Row offsets of a tensor without columns, or without rows, are offsets all the same. */
static void offsets_of_nothing(struct draft *d, uint64_t n_rows, uint64_t n_cols,
                               const void *offsets, uint32_t n_bytes)
{
    specimen_begin(d);
    const uint32_t s = draft_stream(d, "", 0, 1);
    draft_stream(d, offsets, n_bytes, 64);
    draft_stream(d, "", 0, 1);
    const uint32_t t = draft_term(d, TERM_SPARSE, COMBINE_FIRST, CODING_F16, s, 3);
    draft_set(d, DRAFT_TERMS, t, 36, 1, MASK_BITMAP);
    draft_tensor(d, "nothing", INGOT_F16, 1, 1, n_rows, n_cols);
    draft_seal(d);
}

static void offsets_of_no_columns(struct draft *d)
{
    offsets_of_nothing(d, 2, 0, "\0\0\0\0\x01\0\0\0\0\0\0", 12);
}

static void offsets_of_no_rows(struct draft *d)
{
    offsets_of_nothing(d, 0, 8, "\x07\0\0", 4);
}

static void term_of_nobody(struct draft *d)
{
    specimen_begin(d);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F32, draft_stream(d, "", 0, 1), 1);
    draft_seal(d);
}

static void first_term_optional(struct draft *d)
{
    specimen_begin(d);
    draft_set(d, DRAFT_TERMS, TERM_AT_DENSE, 2, 2, 1);
    draft_set_string(d, DRAFT_TERMS, TERM_AT_DENSE, 20, "name", 4);
    draft_seal(d);
}

static void optional_xor(struct draft *d)
{
    specimen_begin(d);
    draft_set(d, DRAFT_TERMS, TERM_AT_XOR, 2, 2, 1);
    draft_set_string(d, DRAFT_TERMS, TERM_AT_XOR, 20, "name", 4);
    draft_seal(d);
}

static void rescaled_xor(struct draft *d)
{
    specimen_begin(d);
    draft_set(d, DRAFT_TENSORS, TENSOR_REF, 32, 4, CODING_F16);
    draft_set(d, DRAFT_TENSORS, TENSOR_REF, 36, 4, draft_stream(d, "abcd", 4, 4));
    draft_seal(d);
}

/* Two active terms with magnitudes. */
static void two_magnitudes(struct draft *d)
{
    static const uint8_t a[16] = {1}, b[12] = {2}, m[6] = {3};
    specimen_begin(d);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F16,
               draft_stream(d, "eight by three.. f16....", 24, 24), 1);
    for (int i = 0; i < 2; i++) {
        const uint32_t s = draft_stream(d, a, sizeof a, 256);
        draft_stream(d, b, sizeof b, 256);
        draft_stream(d, m, sizeof m, 256);
        const uint32_t t = draft_term(d, TERM_LOWRANK, COMBINE_ADD, CODING_F16, s, 3);
        draft_set(d, DRAFT_TERMS, t, 8, 4, CODING_F16);
        draft_set(d, DRAFT_TERMS, t, 32, 4, 2);
        draft_set(d, DRAFT_TERMS, t, 56, 4, CODING_F16);
    }
    draft_tensor(d, "twice", INGOT_F16, 3, 1, 3, 4);
    draft_seal(d);
}

static void alias_of_alias(struct draft *d)
{
    specimen_begin(d);
    const uint32_t t = draft_tensor(d, "second", INGOT_F32, 1, 1, 4, 40);
    draft_set(d, DRAFT_TENSORS, t, 16, 4, TERM_AT_DENSE);
    draft_set(d, DRAFT_TENSORS, t, 24, 4, TENSOR_ALIAS);
    draft_seal(d);
}

static void equal_names(struct draft *d)
{
    specimen_begin(d);
    draft_set_string(d, DRAFT_TENSORS, TENSOR_INT4, 0, "dense", 5);
    draft_seal(d);
}

static void swapped_names(struct draft *d)
{
    struct draft sorted;
    specimen_begin(&sorted);
    draft_seal(&sorted);
    specimen_begin(d);
    for (uint32_t i = 0; i < N_SPECIMEN_TENSORS; i++) {
        const uint32_t from = i == 3 ? 4 : i == 4 ? 3 : i;
        draft_set(d, DRAFT_TENSORS, i, 28, 4, draft_get(&sorted, DRAFT_TENSORS, from, 28, 4));
    }
    draft_release(&sorted);
    d->keep_order = true;
    draft_seal(d);
}

/* ---- blobs ---- */

static void unknown_blob(struct draft *d)
{
    specimen_begin(d);
    const uint32_t b = draft_blob(d, 99, "", draft_stream(d, "new", 3, 3));
    draft_set(d, DRAFT_BLOBS, b, 4, 4, 1);
    draft_seal(d);
}

static void equal_attachments(struct draft *d)
{
    specimen_begin(d);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "copy.json", draft_stream(d, "new", 3, 3));
    draft_seal(d);
}

static void two_sources(struct draft *d)
{
    specimen_begin(d);
    draft_blob(d, INGOT_BLOB_SOURCE, "", draft_stream(d, "\x01\0\0\0\0\0\0", 8, 8));
    draft_seal(d);
}

/* Puts other bytes in the place of a blob's stream. */
static void replace_blob(struct draft *d, uint32_t kind, const struct byte_buffer *bytes)
{
    draft_begin(d);
    draft_blob(d, kind, "", draft_stream(d, bytes->data, bytes->n_bytes, 65536));
    draft_seal(d);
}

static void metadata_bool(struct draft *d)
{
    struct byte_buffer b = {0};
    metadata_begin(&b, 1);
    buffer_u32(&b, 1);
    buffer_append(&b, "k", 1);
    buffer_u32(&b, META_BOOL);
    buffer_u8(&b, 2);
    replace_blob(d, INGOT_BLOB_METADATA, &b);
    buffer_release(&b);
}

static void metadata_cut(struct draft *d)
{
    const struct byte_buffer b = {.data = (uint8_t[7]){0}, .n_bytes = 7};
    replace_blob(d, INGOT_BLOB_METADATA, &b);
}

static void metadata_long_key(struct draft *d)
{
    static const char key[65536];
    struct byte_buffer b = {0};
    metadata_begin(&b, 1);
    metadata_put_string(&b, key, sizeof key, "", 0);
    replace_blob(d, INGOT_BLOB_METADATA, &b);
    buffer_release(&b);
}

/* Arrays in arrays, `depth` of them; the innermost is empty. */
static void nest(struct byte_buffer *b, uint32_t depth)
{
    metadata_begin(b, 1);
    buffer_u32(b, 1);
    buffer_append(b, "k", 1);
    buffer_u32(b, META_ARRAY);
    for (uint32_t i = depth; i > 0; i--) {
        buffer_u32(b, i > 1 ? META_ARRAY : META_U8);
        buffer_u64(b, i > 1);
        buffer_u64(b, (uint64_t)(i - 1) * 20);
    }
}

static void metadata_nested_5(struct draft *d)
{
    struct byte_buffer b = {0};
    nest(&b, 5);
    replace_blob(d, INGOT_BLOB_METADATA, &b);
    buffer_release(&b);
}

static void source_names_twice(struct draft *d)
{
    struct byte_buffer b = {0};
    /* XXH3-128 of nothing. */
    struct source_file empty = {"a", 1, 0, {0}, 0};
    static const uint8_t hash[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                     0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    memcpy(empty.hash, hash, sizeof hash);
    source_begin(&b, 2);
    source_put_file(&b, &empty);
    source_put_file(&b, &empty);
    replace_blob(d, INGOT_BLOB_SOURCE, &b);
    buffer_release(&b);
}

static void receipt_with_mark(struct draft *d)
{
    struct byte_buffer b = {0};
    buffer_append(&b, "\xef\xbb\xbf{}", 5);
    replace_blob(d, INGOT_BLOB_RECEIPT, &b);
    buffer_release(&b);
}

static void receipt_and_more(struct draft *d)
{
    struct byte_buffer b = {0};
    buffer_append(&b, "{} {}", 5);
    replace_blob(d, INGOT_BLOB_RECEIPT, &b);
    buffer_release(&b);
}

const struct rule_file rule_files[] = {
    {121, too_short},           {122, trailer_twice},
    {125, index_elsewhere},     {203, half_records},
    {203, too_few_sections},    {204, index_padding},
    {204, index_rest},          {211, long_string},
    {302, chunk_not_aligned},   {302, gap_before_chunk},
    {302, gap_before_index},    {313, gap_not_zero},
    {311, frame_of_99},         {311, frame_of_101},
    {311, two_frames},          {311, frame_and_more},
    {311, skippable_frame},     {311, no_frame},
    {311, older_frame},         {311, wide_window},
    {311, with_dictionary},     {321, stride_of_compressed},
    {312, chunk_of_nobody},     {323, stream_of_nobody},
    {422, three_levels},        {422, table_of_257},
    {422, table_with_post},     {431, stray_table_code},
    {431, stray_kept_code},     {512, offsets_of_no_columns},
    {512, offsets_of_no_rows},  {604, term_of_nobody},
    {502, first_term_optional}, {502, optional_xor},
    {502, rescaled_xor},        {521, two_magnitudes},
    {605, alias_of_alias},      {606, equal_names},
    {606, swapped_names},       {701, unknown_blob},
    {702, equal_attachments},   {702, two_sources},
    {710, metadata_bool},       {710, metadata_cut},
    {711, metadata_long_key},   {712, metadata_nested_5},
    {721, source_names_twice},  {730, receipt_with_mark},
    {730, receipt_and_more},
};
const uint32_t n_rule_files = sizeof rule_files / sizeof *rule_files;
