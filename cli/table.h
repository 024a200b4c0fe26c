/* A table of text with aligned columns. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "format/compiler.h"

struct column {
    const char *title;
    bool numbers; /* aligned to the right */
};

/* Starts as {.columns = ..., .n_columns = ...}. Cells come row by row. The first lack of memory is
 * remembered; later cells are dropped. */
struct table {
    const struct column *columns;
    size_t n_columns;
    size_t *widths; /* of each column's cells */
    size_t n_cells;
    char *text; /* of the cells, each ends with a zero byte */
    size_t n_bytes;
    size_t capacity;
    bool failed;
};

/* Both make the text safe for a terminal. */
void table_cell(struct table *table, const char *format, ...) INGOT_PRINTF(2, 3);
void table_bytes(struct table *table, const char *bytes, size_t n_bytes);

/* Prints titles and rows, each line after `indent` blanks. False when memory was lacking; a message
 * was then printed. */
bool table_print(const struct table *table, FILE *out, int indent);
void table_release(struct table *table);

#endif
