/* A table of text with aligned columns. Owns its cells; knows nothing of what they say. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/text.h"

static bool grow(struct table *table)
{
    if (table->n_cells < table->capacity) return true;
    const size_t capacity = table->capacity > 0 ? table->capacity * 2 : 64;
    if (capacity > SIZE_MAX / sizeof *table->cells) return false;
    char **cells = realloc(table->cells, capacity * sizeof *cells);
    if (!cells) return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void table_bytes(struct table *table, const char *bytes, size_t n_bytes)
{
    if (table->failed) return;
    char *text = grow(table) ? text_safe(bytes, n_bytes) : NULL;
    table->failed = !text;
    if (text) table->cells[table->n_cells++] = text;
}

void table_cell(struct table *table, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    va_end(arguments);
    if (text) {
        table_bytes(table, text, strlen(text));
    } else {
        table->failed = true;
    }
    free(text);
}

static size_t column_width(const struct table *table, size_t column)
{
    size_t width = text_width(table->columns[column].title);
    for (size_t i = column; i < table->n_cells; i += table->n_columns) {
        const size_t w = text_width(table->cells[i]);
        if (w > width) width = w;
    }
    return width;
}

/* Prints n_columns cells as a line. Blanks are printed only before text, so that no line ends with
 * them. */
static void print_line(const struct table *table, const char *const *cells, const size_t *widths,
                       int indent, FILE *out)
{
    int blanks = indent;
    for (size_t c = 0; c < table->n_columns; c++) {
        const int padding = (int)(widths[c] - text_width(cells[c]));
        if (table->columns[c].numbers) blanks += padding;
        if (cells[c][0]) {
            fprintf(out, "%*s%s", blanks, "", cells[c]);
            blanks = 0;
        }
        if (!table->columns[c].numbers) blanks += padding;
        blanks += 2;
    }
    fputc('\n', out);
}

bool table_print(const struct table *table, FILE *out, int indent)
{
    const size_t n = table->n_columns;
    size_t *widths = calloc(n, sizeof *widths);
    const char **titles = calloc(n, sizeof *titles);
    const bool ready = widths && titles && !table->failed;
    for (size_t c = 0; ready && c < n; c++) {
        widths[c] = column_width(table, c);
        titles[c] = table->columns[c].title;
    }
    if (ready) {
        print_line(table, titles, widths, indent, out);
        for (size_t i = 0; i < table->n_cells; i += n) {
            print_line(table, (const char *const *)(table->cells + i), widths, indent, out);
        }
    } else {
        report_no_memory();
    }
    free(titles);
    free(widths);
    return ready;
}

void table_release(struct table *table)
{
    for (size_t i = 0; i < table->n_cells; i++) free(table->cells[i]);
    free(table->cells);
    *table = (struct table){.columns = table->columns, .n_columns = table->n_columns};
}
