/* The streams of a term, by kind and mask: one row each. Knows shapes, not bytes. */
#include "format/term.h"

#include "format/bytes.h"

struct list {
    struct stream_shape *streams;
    uint32_t n;
    bool failed;
};

static void append_plane(struct list *list, uint8_t bits, struct stack_shape stack, bool by_rows)
{
    struct stream_shape shape;
    if (list->failed || list->n == TERM_MAX_STREAMS || !plane_shape(bits, stack, &shape)) {
        list->failed = true;
        return;
    }
    shape.by_rows = by_rows;
    shape.tensor_rows = by_rows ? 1 : 0;
    list->streams[list->n++] = shape;
}

static void append_coding(struct list *list, const struct ingot_coding *coding,
                          struct stack_shape codes, bool codes_by_rows, struct stack_shape stack)
{
    struct stream_shape streams[CODING_MAX_STREAMS];
    uint32_t n;
    if (list->failed || !coding_streams_over(coding, codes, codes_by_rows, stack, streams, &n) ||
        n > TERM_MAX_STREAMS - list->n) {
        list->failed = true;
        return;
    }
    for (uint32_t i = 0; i < n; i++) list->streams[list->n++] = streams[i];
}

uint8_t row_offset_bits(const struct file_term *term)
{
    return term->n_kept < UINT64_C(1) << 32 ? 32 : 64;
}

/* ---- masks ---- */

static uint64_t all_rows(struct stack_shape stack)
{
    return stack.n_matrices * stack.n_rows; /* proved to fit by R-603 */
}

static bool flat_codes(const struct file_term *term, struct stack_shape stack,
                       struct stack_shape *codes)
{
    *codes = (struct stack_shape){1, 1, term->n_kept};
    return term->n_kept <= all_rows(stack) * stack.n_cols;
}

static bool two_of_four_codes(const struct file_term *term, struct stack_shape stack,
                              struct stack_shape *codes)
{
    *codes = (struct stack_shape){stack.n_matrices, stack.n_rows, stack.n_cols / 2};
    return stack.n_cols % 4 == 0 && term->n_kept == all_rows(stack) * (stack.n_cols / 2);
}

static bool column_codes(const struct file_term *term, struct stack_shape stack,
                         struct stack_shape *codes)
{
    const uint64_t rows = all_rows(stack);
    *codes = (struct stack_shape){stack.n_matrices, stack.n_rows, rows ? term->n_kept / rows : 0};
    return codes->n_cols <= stack.n_cols && term->n_kept == rows * codes->n_cols;
}

static bool row_codes(const struct file_term *term, struct stack_shape stack,
                      struct stack_shape *codes)
{
    *codes = (struct stack_shape){1, stack.n_cols ? term->n_kept / stack.n_cols : 0, stack.n_cols};
    return codes->n_rows <= all_rows(stack) && term->n_kept == codes->n_rows * stack.n_cols;
}

static void append_offsets(struct list *list, const struct file_term *term,
                           struct stack_shape stack)
{
    append_plane(list, row_offset_bits(term), (struct stack_shape){1, 1, all_rows(stack) + 1},
                 false);
}

static void bitmap_streams(struct list *list, const struct file_term *term,
                           struct stack_shape stack, struct stack_shape codes)
{
    (void)codes;
    append_plane(list, 1, stack, true);
    append_offsets(list, term, stack);
}

static void two_of_four_streams(struct list *list, const struct file_term *term,
                                struct stack_shape stack, struct stack_shape codes)
{
    (void)term;
    (void)codes;
    append_plane(list, 4, (struct stack_shape){stack.n_matrices, stack.n_rows, stack.n_cols / 4},
                 true);
}

static void column_streams(struct list *list, const struct file_term *term,
                           struct stack_shape stack, struct stack_shape codes)
{
    (void)term;
    (void)stack;
    append_plane(list, 32, (struct stack_shape){1, 1, codes.n_cols}, false);
}

static void row_streams(struct list *list, const struct file_term *term, struct stack_shape stack,
                        struct stack_shape codes)
{
    (void)term;
    (void)stack;
    append_plane(list, 32, (struct stack_shape){1, 1, codes.n_rows}, false);
}

static void block_streams(struct list *list, const struct file_term *term, struct stack_shape stack,
                          struct stack_shape codes)
{
    (void)codes;
    const struct stack_shape blocks = {stack.n_matrices, ceil_div(stack.n_rows, term->block_rows),
                                       ceil_div(stack.n_cols, term->block_cols)};
    append_plane(list, 1, blocks, false);
    append_offsets(list, term, stack);
}

static void list_streams(struct list *list, const struct file_term *term, struct stack_shape stack,
                         struct stack_shape codes)
{
    append_offsets(list, term, stack);
    append_plane(list, 32, codes, false);
}

struct mask_row {
    bool (*codes)(const struct file_term *term, struct stack_shape stack,
                  struct stack_shape *codes);
    void (*streams)(struct list *list, const struct file_term *term, struct stack_shape stack,
                    struct stack_shape codes);
    uint8_t n_streams;
    bool by_rows; /* the codes follow the tensor's rows */
    bool has_blocks;
};

static const struct mask_row masks[] = {
    [MASK_BITMAP] = {flat_codes, bitmap_streams, 2, false, false},
    [MASK_TWO_OF_FOUR] = {two_of_four_codes, two_of_four_streams, 1, true, false},
    [MASK_COLUMNS] = {column_codes, column_streams, 1, true, false},
    [MASK_ROWS] = {row_codes, row_streams, 1, false, false},
    [MASK_BLOCKS] = {flat_codes, block_streams, 2, false, true},
    [MASK_LIST] = {flat_codes, list_streams, 2, false, false},
};

static const struct mask_row *mask_of(const struct file_term *term)
{
    const size_t mask = term->mask;
    if (mask >= sizeof masks / sizeof *masks || masks[mask].codes == NULL) return NULL;
    return &masks[mask];
}

bool sparse_codes(const struct file_term *term, struct stack_shape stack, struct stack_shape *codes,
                  bool *by_rows)
{
    const struct mask_row *mask = mask_of(term);
    if (mask == NULL || term->coding->map == MAP_VECTOR || term->coding->map == MAP_OPAQUE) {
        return false;
    }
    if (mask->has_blocks != (term->block_rows != 0) ||
        mask->has_blocks != (term->block_cols != 0)) {
        return false;
    }
    *by_rows = mask->by_rows;
    return mask->codes(term, stack, codes);
}

/* How many streams of a sparse term come before its values'. */
static uint32_t mask_n_streams(const struct file_term *term)
{
    const struct mask_row *mask = mask_of(term);
    return mask ? mask->n_streams : 0;
}

/* ---- kinds ---- */

static void dense_streams(struct list *list, const struct file_term *term, struct stack_shape stack)
{
    append_coding(list, term->coding, stack, true, stack);
}

static void sparse_streams(struct list *list, const struct file_term *term,
                           struct stack_shape stack)
{
    struct stack_shape codes;
    bool by_rows;
    if (!sparse_codes(term, stack, &codes, &by_rows)) {
        list->failed = true;
        return;
    }
    masks[term->mask].streams(list, term, stack, codes);
    append_coding(list, term->coding, codes, by_rows, stack);
}

static void lowrank_streams(struct list *list, const struct file_term *term,
                            struct stack_shape stack)
{
    const struct stack_shape a = {stack.n_matrices, term->rank, stack.n_cols};
    const struct stack_shape b = {stack.n_matrices, stack.n_rows, term->rank};
    const uint32_t first = list->n;
    append_coding(list, term->coding, a, false, a);
    /* Rows of A are not rows of the tensor. */
    for (uint32_t i = first; i < list->n; i++) list->streams[i].by_rows = false;
    append_coding(list, term->coding_b, b, true, b);
    if (term->magnitude) {
        const struct stack_shape m = {stack.n_matrices, stack.n_rows, 1};
        append_coding(list, term->magnitude, m, true, m);
    }
}

static void ref_streams(struct list *list, const struct file_term *term, struct stack_shape stack)
{
    (void)list;
    (void)term;
    (void)stack;
}

bool term_streams(const struct file_term *term, struct stack_shape stack,
                  struct stream_shape streams[TERM_MAX_STREAMS], uint32_t *n_streams)
{
    static void (*const kinds[])(struct list *, const struct file_term *, struct stack_shape) = {
        [TERM_DENSE] = dense_streams,
        [TERM_SPARSE] = sparse_streams,
        [TERM_LOWRANK] = lowrank_streams,
        [TERM_REF] = ref_streams,
    };
    struct list list = {streams, 0, false};
    kinds[term->kind](&list, term, stack);
    if (list.failed) return false;
    *n_streams = list.n;
    return true;
}

uint32_t term_values_stream(const struct file_term *term)
{
    return term->kind == TERM_SPARSE ? mask_n_streams(term) : 0;
}
