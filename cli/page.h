/* A page of HTML with inline SVG as it is put together: escaped text and a few kinds of charts.
 * Knows numbers and labels, and no model. */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include "format/buffer.h"
#include "format/compiler.h"

/* Appends as printf does; what is put in must be safe. */
void page_put(struct byte_buffer *page, const char *format, ...) INGOT_PRINTF(2, 3);
/* Appends text with what HTML would take for markup escaped; control characters and what is not
 * UTF-8 become '?'. */
void page_text(struct byte_buffer *page, const char *text, uint64_t n_bytes);
/* The same with the lines of the text kept; text may be NULL. */
void page_lines(struct byte_buffer *page, const char *text);

struct chart_bar {
    const char *label;
    double value;
    const char *shown; /* the value, for people */
};
/* Bars from left to right, one a line. */
void page_bars(struct byte_buffer *page, const struct chart_bar *bars, uint32_t n);

enum { CHART_KINDS = 8 };
struct chart_point {
    double x, y;
    uint32_t kind; /* below CHART_KINDS: its colour */
    const char *name;
    uint32_t name_bytes;
    const char *encoding;
};
struct chart_axis {
    const char *title;
    bool whole; /* marks are at whole numbers, and dots of other kinds beside each other */
};
struct chart {
    struct chart_axis x, y;
    const char *const *kinds; /* CHART_KINDS names for the legend */
    bool joined;              /* a line a kind, through the mean of its dots at each x */
    double slope;             /* when not 0: a dashed line y = slope * x, and its name */
    const char *slope_name;
};
/* Dots, each with its name when it is pointed at. */
void page_scatter(struct byte_buffer *page, const struct chart_point *points, uint32_t n,
                  const struct chart *chart);

/* A histogram of n counts over [low, high]. */
void page_histogram(struct byte_buffer *page, const uint64_t *counts, uint32_t n, double low,
                    double high);

#endif
