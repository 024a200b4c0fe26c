/* Random codings and their streams. */
#include "tests/support/made.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const ingot_dtype entry_formats[] = {INGOT_F32, INGOT_F16, INGOT_BF16, INGOT_I8};

static struct ingot_coding *new_coding(struct made *made)
{
    assert(made->n_codings < MADE_MAX_CODINGS);
    struct ingot_coding *c = &made->codings[made->n_codings++];
    *c = (struct ingot_coding){.codebook_stream = INGOT_NONE};
    strcpy(c->name, "made");
    return c;
}

static float random_constant(struct random *random)
{
    static const float some[] = {0.0f, -0.0f, 1.0f, 8.0f, -0.75f, 127.0f, 0x1p-140f, 3e38f};
    if (random_one_in(random, 2)) return some[random_below(random, sizeof some / sizeof *some)];
    return (float)((double)random_below(random, 2000001) / 1000.0 - 1000.0);
}

static void add_codebook(struct made *made, struct random *random, struct ingot_coding *c,
                         uint64_t max_entries)
{
    const uint64_t most = c->bits < 16 ? UINT64_C(1) << c->bits : 65536;
    c->format = (uint8_t)entry_formats[random_below(random, 4)];
    c->n_entries = (uint32_t)(1 + random_below(random, most < max_entries ? most : max_entries));
    if (most <= max_entries && random_one_in(random, 2)) c->n_entries = (uint32_t)most;
    c->codebook_stream = made->n_codebooks;
    const uint64_t n_values = c->n_entries * (c->vector_length ? c->vector_length : 1u);
    const uint64_t n_bytes = n_values * ingot_dtype_bits((ingot_dtype)c->format) / 8;
    uint8_t *entries = malloc(n_bytes);
    for (uint64_t i = 0; i < n_bytes; i++) entries[i] = (uint8_t)random_bits(random);
    made->codebook_bytes[made->n_codebooks] = n_bytes;
    made->codebooks[made->n_codebooks++] = entries;
}

static void random_map(struct made *made, struct random *random, struct ingot_coding *c,
                       bool codebooks, bool vectors)
{
    const uint64_t kind = random_below(random, vectors ? 6 : codebooks ? 5 : 4);
    if (kind <= 1) {
        c->map = kind == 0 ? MAP_UINT : MAP_INT;
        c->bits = (uint8_t)(1 + random_below(random, random_one_in(random, 3) ? 64 : 8));
    } else if (kind <= 3) {
        c->map = MAP_FLOAT;
        c->format = (uint8_t)(1 + random_below(random, 12));
        c->bits = (uint8_t)ingot_dtype_bits((ingot_dtype)c->format);
    } else if (kind == 4) {
        c->map = MAP_CODEBOOK;
        c->bits = (uint8_t)(1 + random_below(random, random_one_in(random, 4) ? 16 : 6));
        add_codebook(made, random, c, 256);
    } else {
        static const uint8_t sign_bits[] = {0, 7, 8};
        c->map = MAP_VECTOR;
        c->bits = (uint8_t)(1 + random_below(random, random_one_in(random, 4) ? 16 : 9));
        c->vector_length = random_one_in(random, 2) ? 4 : 8;
        c->signs = sign_bits[random_below(random, 3)];
        add_codebook(made, random, c, 700);
    }
}

/* Sizes that divide, that do not, the whole, and more than the whole. */
static uint64_t random_group(struct random *random, uint64_t extent)
{
    const uint64_t some[] = {0, 1, 2, 3, 5, 16, 32, 128, extent, extent + 1};
    return some[random_below(random, sizeof some / sizeof *some)];
}

static void random_slot(struct made *made, struct random *random, struct ingot_coding *c, int i,
                        struct stack_shape stack, bool as_table, uint32_t depth)
{
    struct coding_slot *slot = &c->slots[i];
    slot->has_constant = random_one_in(random, 3);
    slot->has_table = depth < CODING_MAX_DEPTH && random_one_in(random, depth > 0 ? 3 : 2);
    slot->inverse_constant = slot->has_constant && i != SLOT_ZERO && random_one_in(random, 3);
    slot->inverse_table = slot->has_table && i != SLOT_ZERO && random_one_in(random, 3);
    if (slot->has_constant) slot->constant = random_constant(random);
    if (!slot->has_table) return;
    slot->group = (uint8_t)(GROUP_BLOCK + random_below(random, as_table ? 3 : 4));
    if (slot->group == GROUP_BLOCK || slot->group == GROUP_COLUMN_INDEX) {
        slot->group_rows = (uint32_t)random_group(random, stack.n_rows);
    }
    if (slot->group == GROUP_BLOCK) slot->group_cols = random_group(random, stack.n_cols);
    if (slot->group == GROUP_RUN) {
        slot->group_cols = 1 + random_group(random, stack.n_rows * stack.n_cols);
    }
    if (slot->group == GROUP_COLUMN_INDEX) {
        slot->group_cols = 1 + random_below(random, 9);
        c->index_bits = random_one_in(random, 2) ? 16 : 32;
    }
    struct ingot_coding *table = new_coding(made);
    slot->table = table;
    random_map(made, random, table, true, false);
    const struct stack_shape grid = naive_grid(slot, stack);
    for (int k = 0; k < SLOT_POST; k++) random_slot(made, random, table, k, grid, true, depth + 1);
}

const struct ingot_coding *made_coding(struct made *made, struct random *random,
                                       struct stack_shape stack, const struct made_limits *limits)
{
    struct ingot_coding *c = new_coding(made);
    random_map(made, random, c, limits->codebooks, limits->vectors);
    const int n_slots = limits->as_table ? SLOT_POST : N_SLOTS;
    for (int i = 0; i < n_slots; i++) {
        random_slot(made, random, c, i, stack, limits->as_table, limits->as_table ? 1 : 0);
    }
    return c;
}

/* ---- streams ---- */

uint8_t *made_stream(struct made *made, uint64_t n_bytes)
{
    assert(made->n_streams < sizeof made->streams / sizeof *made->streams);
    /* Exactly as long as the stream, so that a read past its end is found. */
    uint8_t *data = calloc(1, n_bytes ? n_bytes : 1);
    made->stream_bytes[made->n_streams] = n_bytes;
    made->streams[made->n_streams++] = data;
    return data;
}

void made_put(uint8_t *data, uint64_t first_bit, uint64_t n_bits, uint64_t value)
{
    /* As many bits at a time as end in the same byte. */
    for (uint64_t done = 0; done < n_bits;) {
        const uint64_t bit = first_bit + done;
        const uint64_t left = n_bits - done, room = 8 - bit % 8;
        const uint64_t n = left < room ? left : room;
        const uint64_t part = value >> done & ((1u << n) - 1);
        data[bit / 8] = (uint8_t)(data[bit / 8] | part << (bit % 8));
        done += n;
    }
}

/* The planes of codes below `limit` (0: any) of `bits` bits. */
static void fill_planes(struct made *made, struct random *random, uint32_t bits, uint64_t limit,
                        struct stack_shape codes)
{
    uint8_t *planes[7];
    uint32_t widths[7], n = 0;
    uint64_t row_bits[7];
    for (uint32_t width = 64; width >= 1; width /= 2) {
        if (!(bits & width)) continue;
        planes[n] = made_stream(made, naive_plane_bytes(width, codes));
        row_bits[n] = naive_row_bits(width, codes.n_cols);
        widths[n++] = width;
    }
    const uint64_t n_rows = codes.n_matrices * codes.n_rows;
    for (uint64_t row = 0; row < n_rows; row++) {
        for (uint64_t col = 0; col < codes.n_cols; col++) {
            uint64_t code = random_bits(random);
            if (limit) code %= limit;
            for (uint32_t i = 0; i < n; i++) {
                made_put(planes[i], row * row_bits[i] + col * widths[i], widths[i], code);
                code = widths[i] == 64 ? 0 : code >> widths[i];
            }
        }
    }
}

static void fill_index(struct made *made, struct random *random, const struct ingot_coding *coding,
                       uint64_t n_cols)
{
    uint64_t n_groups = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (slot->group == GROUP_COLUMN_INDEX && slot->group_cols < n_groups) {
            n_groups = slot->group_cols;
        }
    }
    if (made->stray && random_one_in(random, 4)) n_groups++;
    uint8_t *index = made_stream(made, n_cols * coding->index_bits / 8);
    for (uint64_t col = 0; col < n_cols; col++) {
        made_put(index, col * coding->index_bits, coding->index_bits,
                 random_below(random, n_groups));
    }
}

void made_fill(struct made *made, struct random *random, const struct ingot_coding *coding,
               struct stack_shape codes, struct stack_shape stack)
{
    struct stack_shape shape = codes;
    if (coding->index_bits) fill_index(made, random, coding, stack.n_cols);
    if (coding->map == MAP_VECTOR) {
        shape.n_cols = (codes.n_cols + coding->vector_length - 1) / coding->vector_length;
    }
    const bool stray = made->stray && random_one_in(random, 4);
    fill_planes(made, random, coding->bits, stray ? 0 : coding->n_entries, shape);
    shape.n_cols = (codes.n_cols + 7) / 8;
    if (coding->signs) fill_planes(made, random, coding->signs, 0, shape);
    for (int i = 0; i < 4; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (!slot->has_table) continue;
        const struct stack_shape grid = naive_grid(slot, stack);
        made_fill(made, random, slot->table, grid, grid);
    }
}

void made_release(struct made *made)
{
    for (uint32_t i = 0; i < made->n_streams; i++) free(made->streams[i]);
    for (uint32_t i = 0; i < made->n_codebooks; i++) free(made->codebooks[i]);
    *made = (struct made){0};
}
