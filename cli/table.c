/* A table of text with aligned columns. Owns its cells, one behind the other, as there may be a row
 * for each tensor; knows nothing of what they say. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/text.h"
#include "format/bytes.h"

static bool reserve(struct table *table, size_t n_bytes)
{
    if (!table->widths) table->widths = calloc(table->n_columns, sizeof *table->widths);
    if (!table->widths) return false;
    if (n_bytes <= table->capacity - table->n_bytes) return true;
    if (n_bytes > SIZE_MAX / 2 - table->capacity) return false;
    const size_t capacity = table->capacity * 2 + n_bytes;
    char *text = realloc(table->text, capacity);
    if (!text) return false;
    table->text = text;
    table->capacity = capacity;
    return true;
}

void table_bytes(struct table *table, const char *bytes, size_t n_bytes)
{
    if (table->failed) return;
    char *text = text_safe(bytes, n_bytes);
    const size_t n = text ? strlen(text) + 1 : 0;
    table->failed = !text || !reserve(table, n);
    if (!table->failed) {
        size_t *width = &table->widths[table->n_cells++ % table->n_columns];
        *width = max_u64(*width, text_width(text));
        memcpy(table->text + table->n_bytes, text, n);
        table->n_bytes += n;
    }
    free(text);
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

/* Prints a cell. Blanks are printed only before text, so that no line ends with them: *blanks are
 * those before the next one. */
static void print_cell(const struct column *column, const char *text, size_t width, int *blanks,
                       FILE *out)
{
    const int padding = (int)(width - text_width(text));
    if (column->numbers) *blanks += padding;
    if (text[0]) {
        fprintf(out, "%*s%s", *blanks, "", text);
        *blanks = 0;
    }
    if (!column->numbers) *blanks += padding;
    *blanks += 2;
}

static size_t column_width(const struct table *table, size_t column)
{
    const size_t title = text_width(table->columns[column].title);
    return table->widths ? max_u64(title, table->widths[column]) : title;
}

bool table_print(const struct table *table, FILE *out, int indent)
{
    const char *text = table->text;
    int blanks = indent;
    if (table->failed) {
        report_no_memory();
        return false;
    }
    for (size_t c = 0; c < table->n_columns; c++) {
        const struct column *column = &table->columns[c];
        print_cell(column, column->title, column_width(table, c), &blanks, out);
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        const size_t c = i % table->n_columns;
        if (c == 0) {
            fputc('\n', out);
            blanks = indent;
        }
        print_cell(&table->columns[c], text, column_width(table, c), &blanks, out);
        text += strlen(text) + 1;
    }
    fputc('\n', out);
    return true;
}

void table_release(struct table *table)
{
    free(table->widths);
    free(table->text);
    *table = (struct table){.columns = table->columns, .n_columns = table->n_columns};
}
