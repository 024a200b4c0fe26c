/* Codings and codebooks of block types. */
#include "convert/block_codings.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "convert/block_grids.h"
#include "convert/gguf_types.h"
#include "format/bytes.h"
#include "format/floats.h"
#include "format/writer.h"

/* ---- codebooks ---- */

static float value_e8m0(uint32_t code)
{
    return ldexpf(1, (int)code - 128);
}

static float value_ue4m3(uint32_t code)
{
    const uint32_t exponent = code >> 3 & 15, fraction = code & 7;
    if (code == 0x7f) return 0;
    return exponent ? ldexpf(8 + (float)fraction, (int)exponent - 11)
                    : ldexpf((float)fraction, -10);
}

static float value_sign(uint32_t code)
{
    return code ? 1.0f : -1.0f;
}

static float value_delta(uint32_t code)
{
    return code ? 0.125f : -0.125f;
}

static float value_half(uint32_t code)
{
    return ((float)code + 0.5f) / 2;
}

static float value_quarter(uint32_t code)
{
    return ((float)code + 0.5f) / 4;
}

static float value_odd(uint32_t code)
{
    return (float)(2 * code + 1);
}

static const int8_t values_iq4_nl[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113};
static const int8_t values_e2m1[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
static const int8_t levels_iq2[] = {8, 25, 43};
static const int8_t levels_iq3_xxs[] = {4, 12, 20, 28, 36, 44, 52, 62};
static const int8_t levels_iq3_s[] = {1, 3, 5, 7, 9, 11, 13, 15};
static const int8_t levels_iq1[] = {-1, 0, 1};

/* Scalars come from `value` or are listed; entries of a grid are packed numbers of levels. */
static const struct book {
    uint8_t bits; /* of a code: 2^bits entries */
    uint8_t vector_length;
    ingot_dtype format;
    float (*value)(uint32_t code);
    const int8_t *listed; /* scalars, or a grid's levels */
    const uint16_t *grid;
    uint8_t n_levels; /* of a grid */
} books[N_BLOCK_BOOKS] = {
    [BOOK_IQ4_NL] = {4, 0, INGOT_I8, NULL, values_iq4_nl, NULL, 0},
    [BOOK_E2M1] = {4, 0, INGOT_I8, NULL, values_e2m1, NULL, 0},
    [BOOK_E8M0] = {8, 0, INGOT_F32, value_e8m0, NULL, NULL, 0},
    [BOOK_UE4M3] = {8, 0, INGOT_F16, value_ue4m3, NULL, NULL, 0},
    [BOOK_SIGN] = {1, 0, INGOT_F16, value_sign, NULL, NULL, 0},
    [BOOK_DELTA] = {1, 0, INGOT_F16, value_delta, NULL, NULL, 0},
    [BOOK_HALVES] = {4, 0, INGOT_F16, value_half, NULL, NULL, 0},
    [BOOK_QUARTERS] = {4, 0, INGOT_F16, value_quarter, NULL, NULL, 0},
    [BOOK_ODD3] = {3, 0, INGOT_F16, value_odd, NULL, NULL, 0},
    [BOOK_ODD4] = {4, 0, INGOT_F16, value_odd, NULL, NULL, 0},
    [BOOK_IQ2_XXS] = {8, 8, INGOT_I8, NULL, levels_iq2, grid_iq2_xxs, 3},
    [BOOK_IQ2_XS] = {9, 8, INGOT_I8, NULL, levels_iq2, grid_iq2_xs, 3},
    [BOOK_IQ2_S] = {10, 8, INGOT_I8, NULL, levels_iq2, grid_iq2_s, 3},
    [BOOK_IQ3_XXS] = {8, 4, INGOT_I8, NULL, levels_iq3_xxs, grid_iq3_xxs, 8},
    [BOOK_IQ3_S] = {9, 4, INGOT_I8, NULL, levels_iq3_s, grid_iq3_s, 8},
    [BOOK_IQ1_S] = {11, 8, INGOT_I8, NULL, levels_iq1, grid_iq1_s, 3},
};

static uint32_t write_scalar(const struct book *book, uint32_t code, uint8_t *dst)
{
    if (book->listed) {
        *dst = (uint8_t)book->listed[code];
        return 1;
    }
    if (book->format == INGOT_F16) {
        store_u16(dst, f16_from_f32(book->value(code)));
        return 2;
    }
    store_f32(dst, book->value(code));
    return 4;
}

static uint32_t write_vector(const struct book *book, uint32_t code, uint8_t *dst)
{
    const uint32_t level_bits = book->vector_length == 4 ? 3 : 2;
    const uint32_t mask = (1u << level_bits) - 1;
    for (uint32_t i = 0; i < book->vector_length; i++) {
        dst[i] = (uint8_t)book->listed[book->grid[code] >> i * level_bits & mask];
    }
    return book->vector_length;
}

uint32_t block_book_write(enum block_book which, uint8_t *dst)
{
    const struct book *book = &books[which];
    uint32_t n_bytes = 0;
    for (uint32_t code = 0; code < 1u << book->bits; code++) {
        n_bytes += book->grid ? write_vector(book, code, dst + n_bytes)
                              : write_scalar(book, code, dst + n_bytes);
    }
    return n_bytes;
}

void block_book_grid(enum block_book which, struct block_grid *grid)
{
    const struct book *book = &books[which];
    assert(book->grid);
    *grid = (struct block_grid){.n_entries = 1u << book->bits,
                                .vector_length = book->vector_length,
                                .n_levels = book->n_levels,
                                .levels = book->listed,
                                .packed = book->grid};
}

/* ---- codings ---- */

/* A map: integers or a codebook, whose bits then are the book's. */
struct map {
    uint8_t map;
    uint8_t bits;
    enum block_book book;
    float zero; /* a constant, when not 0 */
};

/* A slot's table: one entry for `group` columns. f16 entries when there is no map; with a factor,
 * each is multiplied by the f16 of its run of that many entries. */
struct table {
    uint16_t group;
    uint16_t factor;
    struct map map;
};

static const struct type {
    uint32_t type;
    uint8_t signs;
    struct map codes;
    struct table zero;
    struct table scale;
    struct table bias;
} types[] = {
    {2, 0, {MAP_UINT, 4, 0, 8}, {0}, {.group = 32}, {0}},
    {3, 0, {MAP_UINT, 4, 0, 0}, {0}, {.group = 32}, {.group = 32}},
    {6, 0, {MAP_UINT, 5, 0, 16}, {0}, {.group = 32}, {0}},
    {7, 0, {MAP_UINT, 5, 0, 0}, {0}, {.group = 32}, {.group = 32}},
    {8, 0, {MAP_INT, 8, 0, 0}, {0}, {.group = 32}, {0}},
    {10, 0, {MAP_UINT, 2, 0, 0}, {0}, {16, 16, {MAP_UINT, 4, 0, 0}}, {16, 16, {MAP_UINT, 4, 0, 0}}},
    {11, 0, {MAP_UINT, 3, 0, 4}, {0}, {16, 16, {MAP_UINT, 6, 0, 32}}, {0}},
    {12, 0, {MAP_UINT, 4, 0, 0}, {0}, {32, 8, {MAP_UINT, 6, 0, 0}}, {32, 8, {MAP_UINT, 6, 0, 0}}},
    {13, 0, {MAP_UINT, 5, 0, 0}, {0}, {32, 8, {MAP_UINT, 6, 0, 0}}, {32, 8, {MAP_UINT, 6, 0, 0}}},
    {14, 0, {MAP_UINT, 6, 0, 32}, {0}, {16, 16, {MAP_INT, 8, 0, 0}}, {0}},
    {16,
     7,
     {MAP_VECTOR, 0, BOOK_IQ2_XXS, 0},
     {0},
     {32, 8, {MAP_CODEBOOK, 0, BOOK_QUARTERS, 0}},
     {0}},
    {17,
     7,
     {MAP_VECTOR, 0, BOOK_IQ2_XS, 0},
     {0},
     {16, 16, {MAP_CODEBOOK, 0, BOOK_QUARTERS, 0}},
     {0}},
    {18, 7, {MAP_VECTOR, 0, BOOK_IQ3_XXS, 0}, {0}, {32, 8, {MAP_CODEBOOK, 0, BOOK_HALVES, 0}}, {0}},
    {19,
     0,
     {MAP_VECTOR, 0, BOOK_IQ1_S, 0},
     {32, 0, {MAP_CODEBOOK, 0, BOOK_DELTA, 0}},
     {32, 8, {MAP_CODEBOOK, 0, BOOK_ODD3, 0}},
     {0}},
    {20, 0, {MAP_CODEBOOK, 0, BOOK_IQ4_NL, 0}, {0}, {.group = 32}, {0}},
    {21, 8, {MAP_VECTOR, 0, BOOK_IQ3_S, 0}, {0}, {32, 8, {MAP_CODEBOOK, 0, BOOK_ODD4, 0}}, {0}},
    {22,
     8,
     {MAP_VECTOR, 0, BOOK_IQ2_S, 0},
     {0},
     {16, 16, {MAP_CODEBOOK, 0, BOOK_QUARTERS, 0}},
     {0}},
    {23, 0, {MAP_CODEBOOK, 0, BOOK_IQ4_NL, 0}, {0}, {32, 8, {MAP_UINT, 6, 0, 32}}, {0}},
    {29,
     0,
     {MAP_VECTOR, 0, BOOK_IQ1_S, 0},
     {8, 0, {MAP_CODEBOOK, 0, BOOK_DELTA, 0}},
     {16, 16, {MAP_CODEBOOK, 0, BOOK_ODD3, 0}},
     {0}},
    {34, 0, {MAP_UINT, 2, 0, 1}, {0}, {.group = 256}, {0}},
    {35, 0, {MAP_UINT, 2, 0, 1}, {0}, {.group = 256}, {0}},
    {39, 0, {MAP_CODEBOOK, 0, BOOK_E2M1, 0}, {0}, {32, 0, {MAP_CODEBOOK, 0, BOOK_E8M0, 0}}, {0}},
    {40, 0, {MAP_CODEBOOK, 0, BOOK_E2M1, 0}, {0}, {16, 0, {MAP_CODEBOOK, 0, BOOK_UE4M3, 0}}, {0}},
    {41, 0, {MAP_CODEBOOK, 0, BOOK_SIGN, 0}, {0}, {.group = 128}, {0}},
    {42, 0, {MAP_UINT, 2, 0, 1}, {0}, {.group = 64}, {0}},
};

static const struct type *type_of(uint32_t id)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type == id) return &types[i];
    }
    return NULL;
}

static ingot_status set_map(const struct map *map, const struct block_books *streams,
                            struct ingot_coding *coding, ingot_error *error)
{
    const struct book *book = &books[map->book];
    *coding =
        (struct ingot_coding){.map = map->map, .bits = map->bits, .codebook_stream = INGOT_NONE};
    if (map->zero != 0) {
        coding->slots[SLOT_ZERO] =
            (struct coding_slot){.has_constant = true, .constant = map->zero};
    }
    if (map->book == BOOK_NONE) return INGOT_OK;
    coding->bits = book->bits;
    coding->format = (uint8_t)book->format;
    coding->vector_length = book->vector_length;
    coding->n_entries = 1u << book->bits;
    return streams->stream(streams->context, map->book, &coding->codebook_stream, error);
}

static struct coding_slot table_slot(const struct ingot_coding *table, uint64_t group_cols)
{
    return (struct coding_slot){.has_table = true,
                                .group = GROUP_BLOCK,
                                .group_rows = 1,
                                .group_cols = group_cols,
                                .table = table};
}

static ingot_status set_table(const struct table *table, uint32_t slot,
                              const struct block_books *streams, struct block_coding *out,
                              ingot_error *error)
{
    struct ingot_coding *coding = &out->tables[slot];
    ingot_status status = INGOT_OK;
    if (table->group == 0) return INGOT_OK;
    *coding = raw_coding(INGOT_F16);
    if (table->map.map) status = set_map(&table->map, streams, coding, error);
    if (table->factor) {
        out->factors[slot] = raw_coding(INGOT_F16);
        coding->slots[SLOT_SCALE] = table_slot(&out->factors[slot], table->factor);
    }
    out->coding.slots[slot] = table_slot(coding, table->group);
    return status;
}

ingot_status block_coding_make(uint32_t id, const struct block_books *streams,
                               struct block_coding *out, ingot_error *error)
{
    const struct type *type = type_of(id);
    assert(type);
    *out = (struct block_coding){0};
    ingot_status status = set_map(&type->codes, streams, &out->coding, error);
    if (status != INGOT_OK) return status;
    out->coding.signs = type->signs;
    snprintf(out->coding.name, sizeof out->coding.name, "%s", gguf_type_of(id)->name);
    if (type->zero.group) status = set_table(&type->zero, SLOT_ZERO, streams, out, error);
    if (status == INGOT_OK) status = set_table(&type->scale, SLOT_SCALE, streams, out, error);
    if (status != INGOT_OK) return status;
    status = set_table(&type->bias, SLOT_BIAS, streams, out, error);
    /* Every bias of a type with factors is taken away. */
    out->coding.slots[SLOT_BIAS].inverse_table = type->bias.factor != 0;
    return status;
}
