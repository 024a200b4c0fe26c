/* Tables of a coding as they lie on a device: flat, or two-level. Knows no map and no device. */
#ifndef INGOT_VULKAN_TABLES_H
#define INGOT_VULKAN_TABLES_H

#include "runtime/backend.h"
#include "vulkan/push.h"

struct vk_stream;

/* One table. What `header` counts in rows or entries holds for the whole matrix. */
struct vk_entries {
    const struct resident_table *table; /* NULL: none, or a constant */
    uint32_t form;                      /* ENTRIES_... */
    uint32_t group;                     /* quarters that share an entry of a row */
    bool inverse;
    bool worked_out;    /* entries are the reference's: f32 */
    bool linear;        /* the grid is one row of all entries */
    uint64_t rows;      /* of entries */
    uint64_t super;     /* entries that share a super entry; 0: there are none */
    bool super_is_all;  /* one super entry for the table */
    bool inverse_super; /* its reciprocal is taken */
    float super_factor;
    uint32_t flip; /* ENTRIES_INTEGER */
    struct vk_table header;
    float lookup[256];
};

/* How the tables of a coding over n_rows x n_cols weights lie. False when no kernel computes them:
 * groups that begin within a quarter, runs that begin within a row. Slots that take off or add a
 * constant alone are tables too, but for a constant zero, which is the map's. */
bool ingot_vk_tables_plan(const struct resident_dense *dense, uint64_t n_rows, uint64_t n_cols,
                          struct vk_entries tables[N_TABLES]);
void ingot_vk_tables_specs(const struct vk_entries tables[N_TABLES], uint32_t specs[N_SPECS]);

/* Of rows [first_row, first_row + n_rows): sets what a header tells of a table whose words begin at
 * *n_words, and adds their number. */
void ingot_vk_entries_place(const struct vk_entries *entries, uint64_t first_row, uint64_t n_rows,
                            struct vk_table *header, uint64_t *n_words);
/* Writes those words. */
void ingot_vk_entries_write(const struct vk_entries *entries, uint64_t first_row, uint64_t n_rows,
                            struct vk_stream *stream);
/* At most the bytes that one more row takes. */
uint64_t ingot_vk_entries_row_bytes(const struct vk_entries *entries);

#endif
