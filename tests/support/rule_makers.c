/* Files that break one rule each about codings, terms, tensors or blobs. */
#include "tests/support/rule_makers.h"

#include <assert.h>
#include <string.h>

#include "format/coding.h"
#include "format/metadata.h"
#include "format/reader.h"
#include "format/source.h"
#include "tests/support/specimen.h"

/* ---- codings and terms ---- */

void broken_three_levels(struct draft *d)
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

void broken_table_of_257(struct draft *d)
{
    static const uint8_t entries[257];
    specimen_begin(d);
    const uint32_t large = draft_coding(d, MAP_CODEBOOK, 9, INGOT_I8, "large");
    draft_codebook(d, large, 257, draft_stream(d, entries, sizeof entries, 256));
    const uint32_t c = draft_coding(d, MAP_UINT, 8, 0, "over");
    draft_table(d, c, SLOT_SCALE, large, GROUP_TENSOR, 0, 0);
    draft_seal(d);
}

void broken_table_with_post(struct draft *d)
{
    specimen_begin(d);
    const uint32_t table = draft_coding(d, MAP_UINT, 8, 0, "table");
    draft_constant(d, table, SLOT_POST, 2.0f);
    const uint32_t c = draft_coding(d, MAP_UINT, 8, 0, "over");
    draft_table(d, c, SLOT_SCALE, table, GROUP_TENSOR, 0, 0);
    draft_seal(d);
}

/* A 1 x 1 tensor of u8 whose scale is one code of CODING_CODES, namely 5. */
void broken_stray_table_code(struct draft *d)
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
void broken_stray_kept_code(struct draft *d)
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

void broken_offsets_of_no_columns(struct draft *d)
{
    offsets_of_nothing(d, 2, 0, "\0\0\0\0\x01\0\0\0\0\0\0", 12);
}

void broken_offsets_of_no_rows(struct draft *d)
{
    offsets_of_nothing(d, 0, 8, "\x07\0\0", 4);
}

void broken_term_of_nobody(struct draft *d)
{
    specimen_begin(d);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F32, draft_stream(d, "", 0, 1), 1);
    draft_seal(d);
}

void broken_first_term_optional(struct draft *d)
{
    specimen_begin(d);
    draft_set(d, DRAFT_TERMS, TERM_AT_DENSE, 2, 2, 1);
    draft_set_string(d, DRAFT_TERMS, TERM_AT_DENSE, 20, "name", 4);
    draft_seal(d);
}

void broken_optional_xor(struct draft *d)
{
    specimen_begin(d);
    draft_set(d, DRAFT_TERMS, TERM_AT_XOR, 2, 2, 1);
    draft_set_string(d, DRAFT_TERMS, TERM_AT_XOR, 20, "name", 4);
    draft_seal(d);
}

void broken_rescaled_xor(struct draft *d)
{
    specimen_begin(d);
    draft_set(d, DRAFT_TENSORS, TENSOR_REF, 32, 4, CODING_F16);
    draft_set(d, DRAFT_TENSORS, TENSOR_REF, 36, 4, draft_stream(d, "abcd", 4, 4));
    draft_seal(d);
}

/* Two active terms with magnitudes. */
void broken_two_magnitudes(struct draft *d)
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

/* A factor a row, whose scale has a scale that has a scale. */
void broken_deep_rescale(struct draft *d)
{
    specimen_begin(d);
    const uint32_t two = draft_coding(d, MAP_UINT, 8, 0, "two");
    draft_table(d, two, SLOT_SCALE, CODING_F16, GROUP_TENSOR, 0, 0);
    const uint32_t three = draft_coding(d, MAP_UINT, 8, 0, "three");
    draft_table(d, three, SLOT_SCALE, two, GROUP_TENSOR, 0, 0);
    const uint32_t s = draft_stream(d, "abc", 3, 3);
    draft_stream(d, "d", 1, 1);
    draft_stream(d, "ef", 2, 2);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_U8, draft_stream(d, "ghi", 3, 3), 1);
    const uint32_t t = draft_tensor(d, "deep", INGOT_U8, 1, 1, 3, 1);
    draft_set(d, DRAFT_TENSORS, t, 32, 4, three);
    draft_set(d, DRAFT_TENSORS, t, 36, 4, s);
    draft_seal(d);
}

/* Complex values that were coded. */
void broken_coded_complex(struct draft *d)
{
    specimen_begin(d);
    draft_term(d, TERM_DENSE, COMBINE_FIRST, CODING_F16, draft_stream(d, "ghij", 4, 4), 1);
    draft_tensor(d, "complex", INGOT_C64, 1, 1, 2, 1);
    draft_seal(d);
}

void broken_alias_of_alias(struct draft *d)
{
    specimen_begin(d);
    const uint32_t t = draft_tensor(d, "second", INGOT_F32, 1, 1, 4, 40);
    draft_set(d, DRAFT_TENSORS, t, 16, 4, TERM_AT_DENSE);
    draft_set(d, DRAFT_TENSORS, t, 24, 4, TENSOR_ALIAS);
    draft_seal(d);
}

void broken_equal_names(struct draft *d)
{
    specimen_begin(d);
    draft_set_string(d, DRAFT_TENSORS, TENSOR_INT4, 0, "dense", 5);
    draft_seal(d);
}

void broken_swapped_names(struct draft *d)
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

void broken_unknown_blob(struct draft *d)
{
    specimen_begin(d);
    const uint32_t b = draft_blob(d, 99, "", draft_stream(d, "new", 3, 3));
    draft_set(d, DRAFT_BLOBS, b, 4, 4, 1);
    draft_seal(d);
}

void broken_equal_attachments(struct draft *d)
{
    specimen_begin(d);
    draft_blob(d, INGOT_BLOB_ATTACHMENT, "copy.json", draft_stream(d, "new", 3, 3));
    draft_seal(d);
}

void broken_two_sources(struct draft *d)
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

void broken_metadata_bool(struct draft *d)
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

void broken_metadata_cut(struct draft *d)
{
    const struct byte_buffer b = {.data = (uint8_t[7]){0}, .n_bytes = 7};
    replace_blob(d, INGOT_BLOB_METADATA, &b);
}

void broken_metadata_long_key(struct draft *d)
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

void broken_metadata_nested_5(struct draft *d)
{
    struct byte_buffer b = {0};
    nest(&b, 5);
    replace_blob(d, INGOT_BLOB_METADATA, &b);
    buffer_release(&b);
}

void broken_source_names_twice(struct draft *d)
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

void broken_receipt_with_mark(struct draft *d)
{
    struct byte_buffer b = {0};
    buffer_append(&b, "\xef\xbb\xbf{}", 5);
    replace_blob(d, INGOT_BLOB_RECEIPT, &b);
    buffer_release(&b);
}

void broken_receipt_and_more(struct draft *d)
{
    struct byte_buffer b = {0};
    buffer_append(&b, "{} {}", 5);
    replace_blob(d, INGOT_BLOB_RECEIPT, &b);
    buffer_release(&b);
}

/* An object and a thousand arrays. */
void broken_receipt_too_deep(struct draft *d)
{
    struct byte_buffer b = {0};
    buffer_append(&b, "{\"ab\":", 6);
    for (int i = 0; i < 1000; i++) buffer_u8(&b, '[');
    for (int i = 0; i < 1000; i++) buffer_u8(&b, ']');
    buffer_u8(&b, '}');
    replace_blob(d, INGOT_BLOB_RECEIPT, &b);
    buffer_release(&b);
}
