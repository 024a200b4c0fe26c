/* How a coding lies on a device and which kernels compute it: chosen by the coding's parameters.
 * What no kernel computes is decoded by the reference and lies as f32. Knows no device. */
#ifndef INGOT_VULKAN_LAYOUT_H
#define INGOT_VULKAN_LAYOUT_H

#include "vulkan/tables.h"

struct vk_layout {
    const struct resident_dense *dense;   /* of all weights, or of the kept ones */
    const struct resident_sparse *sparse; /* where those are; NULL: there is no mask and no list */
    const char *map;                      /* of codes */
    char module[24];                      /* as modules are named: by the map, and by the mask */
    bool decoded;                         /* codes become f32 */
    uint64_t n_rows;
    uint64_t n_cols; /* that weights are held for, in the order of the device */
    uint32_t step_cols;
    uint32_t row_steps;
    uint32_t room; /* steps that a row has room for */
    uint64_t row_words;
    uint64_t sign_words;
    uint32_t specs[N_SPECS]; /* those of the map and of the tables */
    struct vk_entries tables[N_TABLES];
    uint32_t book[256];          /* lookup */
    uint64_t vector_book_values; /* vector codebooks; their form is a specialization */
    /* What the columns are gathered from: the column of x of each place, INGOT_NONE for none, and a
     * factor; both are n_cols long, and NULL where x is taken as it is. */
    uint32_t *order;
    float *factors;
    bool reordered; /* codes lie in that order too */
};

/* What surrounds a coding. */
struct vk_layout_from {
    uint64_t n_rows; /* of the matrix */
    uint64_t n_cols;
    const float *column_factors;          /* NULL: none */
    const struct resident_sparse *sparse; /* whose values they are; NULL: of no mask, of no list */
    bool decodes;                         /* codes become f32, whatever they are */
};

/* INGOT_UNSUPPORTED, naming `what`, when not even the reference decodes it. Close the layout
 * afterwards; dense and what it points to must outlive it. */
ingot_status ingot_vk_layout_make(const struct resident_dense *dense,
                                  const struct vk_layout_from *from, const char *what,
                                  const ingot_allocator *allocator, struct vk_layout *layout,
                                  ingot_error *error);
/* At least what a row of codes takes in whatever layout is made for a coding over n_rows x n_cols,
 * with its share of what brings x to another order. */
uint64_t ingot_vk_layout_row_bytes(const struct ingot_coding *coding, const float *codebook,
                                   uint64_t n_rows, uint64_t n_cols);
void ingot_vk_layout_close(struct vk_layout *layout, const ingot_allocator *allocator);

/* The header of rows [first_row, first_row + n_rows), and the words of all of it. */
uint64_t ingot_vk_layout_place(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                               struct vk_header *header);
/* Writes what ingot_vk_layout_place has placed. INGOT_INVALID, told at the stream's end, when the
 * mask of a row and its offsets disagree: kernels trust them. */
void ingot_vk_layout_write(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                           struct vk_stream *stream);
/* Rows from first_row on that fit n_bytes: at least one, which may take more. */
uint64_t ingot_vk_layout_rows(const struct vk_layout *layout, uint64_t first_row, uint64_t n_bytes);

/* Parts of the above, which sparse.c puts together otherwise: values of the map, and tables. */
void ingot_vk_layout_place_tables(const struct vk_layout *layout, uint64_t first_row,
                                  uint64_t n_rows, struct vk_header *header, uint64_t *n_words);
void ingot_vk_layout_write_tables(const struct vk_layout *layout, uint64_t first_row,
                                  uint64_t n_rows, const struct vk_header *header,
                                  struct vk_stream *stream);
/* Fills the stream up to a word of the region. */
void ingot_vk_layout_fill(struct vk_stream *stream, uint64_t word);

#endif
