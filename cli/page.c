/* HTML and SVG. Colours are classes of the style sheet, which has a light and a dark set. */
#include "cli/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

void page_put(struct byte_buffer *page, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof text) {
        page->failed = true;
        return;
    }
    buffer_append(page, text, (uint64_t)n);
}

void page_text(struct byte_buffer *page, const char *text, uint64_t n_bytes)
{
    static const struct {
        char byte;
        const char *as;
    } escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (uint64_t i = 0; i < n_bytes;) {
        uint32_t code = 0;
        const size_t n = utf8_next(text + i, (size_t)(n_bytes - i), &code);
        const bool shown = n > 0 && code >= ' ' && (code < 127 || code > 0x9f);
        const char *as = shown ? NULL : "?";
        for (size_t k = 0; k < sizeof escapes / sizeof *escapes; k++) {
            if ((uint32_t)escapes[k].byte == code) as = escapes[k].as;
        }
        buffer_append(page, as ? as : text + i, as ? strlen(as) : n);
        i += n > 0 ? n : 1;
    }
}

void page_lines(struct byte_buffer *page, const char *text)
{
    while (text && *text) {
        const size_t n = strcspn(text, "\n");
        page_text(page, text, n);
        if (text[n] == '\n') page_put(page, "\n");
        text += n + (text[n] == '\n');
    }
}

static void put_words(struct byte_buffer *page, const char *text)
{
    page_text(page, text, strlen(text));
}

/* ------------------------------------------------------------------ bars */

enum { BAR_LEFT = 190, BAR_WIDTH = 400, BAR_HEIGHT = 22, BAR_GAP = 6, BAR_RIGHT = 210 };

void page_bars(struct byte_buffer *page, const struct chart_bar *bars, uint32_t n)
{
    const uint32_t step = BAR_HEIGHT + BAR_GAP;
    double most = 0;
    for (uint32_t i = 0; i < n; i++) most = fmax(most, bars[i].value);
    page_put(page, "<svg viewBox=\"0 0 %d %u\" role=\"img\">\n", BAR_LEFT + BAR_WIDTH + BAR_RIGHT,
             n * step + BAR_GAP);
    for (uint32_t i = 0; i < n; i++) {
        const double width = most > 0 ? bars[i].value / most * BAR_WIDTH : 0;
        const uint32_t y = i * step + BAR_GAP;
        page_put(page, "<text class=\"end\" x=\"%d\" y=\"%u\">", BAR_LEFT - 8, y + 16);
        put_words(page, bars[i].label);
        page_put(page,
                 "</text><rect class=\"bar\" x=\"%d\" y=\"%u\" width=\"%.1f\" height=\"%d\" "
                 "rx=\"2\"/><text x=\"%.1f\" y=\"%u\">",
                 BAR_LEFT, y, fmax(width, 1), BAR_HEIGHT, BAR_LEFT + fmax(width, 1) + 8, y + 16);
        put_words(page, bars[i].shown);
        page_put(page, "</text>\n");
    }
    page_put(page, "</svg>\n");
}

/* ------------------------------------------------------------------ axes */

enum {
    PLOT_LEFT = 64,
    PLOT_TOP = 34,
    PLOT_WIDTH = 700,
    PLOT_HEIGHT = 280,
    PLOT_BOTTOM = 50,
    PLOT_INSET = 28
};

struct scale {
    double low, high, step;
};

/* Round marks, about six of them, that hold the range. */
static struct scale scale_over(double low, double high, bool whole)
{
    if (!(high > low)) {
        low -= 0.5;
        high += 0.5;
    }
    const double raw = (high - low) / 6;
    const double power = pow(10, floor(log10(raw)));
    const double share = raw / power;
    double step = power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
    if (whole && step < 1) step = 1;
    return (struct scale){floor(low / step) * step, ceil(high / step) * step, step};
}

static double place(struct scale s, double value, double pixels)
{
    return (value - s.low) / (s.high - s.low) * pixels;
}

/* With room for dots that lie aside of the first and last marks. */
static double across(struct scale s, double value)
{
    return PLOT_LEFT + PLOT_INSET + place(s, value, PLOT_WIDTH - 2 * PLOT_INSET);
}

static void put_axes(struct byte_buffer *page, struct scale sx, struct scale sy,
                     struct chart_axis x, struct chart_axis y)
{
    const uint32_t n_x = (uint32_t)lround((sx.high - sx.low) / sx.step);
    const uint32_t n_y = (uint32_t)lround((sy.high - sy.low) / sy.step);
    for (uint32_t i = 0; i <= n_x; i++) {
        const double value = sx.low + i * sx.step;
        const double at = across(sx, value);
        page_put(page,
                 "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                 "<text class=\"mid\" x=\"%.1f\" y=\"%d\">%.6g</text>\n",
                 at, at, PLOT_TOP, PLOT_TOP + PLOT_HEIGHT, at, PLOT_TOP + PLOT_HEIGHT + 18, value);
    }
    for (uint32_t i = 0; i <= n_y; i++) {
        const double value = sy.low + i * sy.step;
        const double at = PLOT_TOP + PLOT_HEIGHT - place(sy, value, PLOT_HEIGHT);
        page_put(page,
                 "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                 "<text class=\"end\" x=\"%d\" y=\"%.1f\">%.6g</text>\n",
                 PLOT_LEFT, PLOT_LEFT + PLOT_WIDTH, at, at, PLOT_LEFT - 8, at + 4, value);
    }
    page_put(page, "<text class=\"mid\" x=\"%d\" y=\"%d\">", PLOT_LEFT + PLOT_WIDTH / 2,
             PLOT_TOP + PLOT_HEIGHT + 40);
    put_words(page, x.title);
    page_put(page, "</text><text x=\"%d\" y=\"14\">", 4);
    put_words(page, y.title);
    page_put(page, "</text>\n");
}

/* ------------------------------------------------------------------ dots */

static void put_legend(struct byte_buffer *page, const struct chart_point *points, uint32_t n,
                       const struct chart *chart)
{
    bool used[CHART_KINDS] = {false};
    for (uint32_t i = 0; i < n; i++) used[points[i].kind] = true;
    page_put(page, "<p class=\"legend\">");
    for (uint32_t k = 0; k < CHART_KINDS; k++) {
        if (!used[k]) continue;
        page_put(page,
                 "<span><svg viewBox=\"0 0 12 12\"><circle class=\"k%u\" cx=\"6\" cy=\"6\" "
                 "r=\"5\"/></svg> ",
                 k);
        put_words(page, chart->kinds[k]);
        page_put(page, "</span> ");
    }
    if (chart->slope_name) {
        page_put(page, "<span><svg viewBox=\"0 0 12 12\"><line class=\"bound\" x1=\"0\" x2=\"12\" "
                       "y1=\"6\" y2=\"6\"/></svg> ");
        put_words(page, chart->slope_name);
        page_put(page, "</span>");
    }
    page_put(page, "</p>\n");
}

/* The scales, and where a point of them is. */
struct plot {
    struct scale x, y;
};

static double plot_x(const struct plot *plot, double x)
{
    return across(plot->x, x);
}

static double plot_y(const struct plot *plot, double y)
{
    return PLOT_TOP + PLOT_HEIGHT - place(plot->y, y, PLOT_HEIGHT);
}

static struct plot plot_over(const struct chart_point *points, uint32_t n,
                             const struct chart *chart)
{
    double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY;
    for (uint32_t i = 0; i < n; i++) {
        low_x = fmin(low_x, points[i].x);
        high_x = fmax(high_x, points[i].x);
        low_y = fmin(low_y, points[i].y);
        high_y = fmax(high_y, points[i].y);
    }
    if (chart->slope != 0) {
        low_y = fmin(low_y, chart->slope * low_x);
        high_y = fmax(high_y, chart->slope * high_x);
    }
    return (struct plot){scale_over(low_x, high_x, chart->x.whole),
                         scale_over(low_y, high_y, chart->y.whole)};
}

/* As far as it is in sight. */
static void put_slope(struct byte_buffer *page, const struct plot *plot, double slope)
{
    const double begin = fmax(plot->x.low, plot->y.low / slope);
    const double end = fmin(plot->x.high, plot->y.high / slope);
    if (!(begin < end)) return;
    page_put(page, "<line class=\"bound\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
             plot_x(plot, begin), plot_y(plot, slope * begin), plot_x(plot, end),
             plot_y(plot, slope * end));
}

static int compare_points(const void *left, const void *right)
{
    const struct chart_point *a = left, *b = right;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    return (a->x > b->x) - (a->x < b->x);
}

/* Beside each other where many would lie on one whole number. */
static double aside_of(const struct chart *chart, uint32_t kind)
{
    return chart->x.whole ? ((double)kind - (CHART_KINDS - 1) / 2.0) * 6 : 0;
}

static void put_joins(struct byte_buffer *page, const struct chart_point *points, uint32_t n,
                      const struct plot *plot, const struct chart *chart)
{
    struct chart_point *sorted = calloc((size_t)n + 1, sizeof *sorted);
    if (sorted == NULL) {
        page->failed = true;
        return;
    }
    memcpy(sorted, points, n * sizeof *points);
    qsort(sorted, n, sizeof *sorted, compare_points);
    for (uint32_t i = 0; i < n;) {
        const uint32_t kind = sorted[i].kind;
        page_put(page, "<polyline class=\"k%u\" points=\"", kind);
        while (i < n && sorted[i].kind == kind) {
            const uint32_t first = i;
            double sum = 0;
            for (; i < n && compare_points(&sorted[first], &sorted[i]) == 0; i++) {
                sum += sorted[i].y;
            }
            page_put(page, "%.1f,%.1f ", plot_x(plot, sorted[first].x) + aside_of(chart, kind),
                     plot_y(plot, sum / (i - first)));
        }
        page_put(page, "\"/>\n");
    }
    free(sorted);
}

void page_scatter(struct byte_buffer *page, const struct chart_point *points, uint32_t n,
                  const struct chart *chart)
{
    if (n == 0) return;
    const struct plot plot = plot_over(points, n, chart);
    put_legend(page, points, n, chart);
    page_put(page, "<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", PLOT_LEFT + PLOT_WIDTH + 36,
             PLOT_TOP + PLOT_HEIGHT + PLOT_BOTTOM);
    put_axes(page, plot.x, plot.y, chart->x, chart->y);
    if (chart->slope != 0) put_slope(page, &plot, chart->slope);
    if (chart->joined) put_joins(page, points, n, &plot, chart);
    for (uint32_t i = 0; i < n; i++) {
        const struct chart_point *p = &points[i];
        page_put(page, "<circle class=\"k%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"><title>", p->kind,
                 plot_x(&plot, p->x) + aside_of(chart, p->kind), plot_y(&plot, p->y));
        page_text(page, p->name, p->name_bytes);
        page_put(page, " (");
        put_words(page, p->encoding);
        page_put(page, "): %.4g, %.4g</title></circle>\n", p->x, p->y);
    }
    page_put(page, "</svg>\n");
}

/* ------------------------------------------------------------------ histograms */

void page_histogram(struct byte_buffer *page, const uint64_t *counts, uint32_t n, double low,
                    double high)
{
    enum { WIDTH = 360, HEIGHT = 110 };
    uint64_t most = 1;
    for (uint32_t i = 0; i < n; i++) most = counts[i] > most ? counts[i] : most;
    page_put(page, "<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", WIDTH, HEIGHT + 22);
    for (uint32_t i = 0; i < n; i++) {
        /* The root keeps tails in sight. */
        const double height = sqrt((double)counts[i] / (double)most) * HEIGHT;
        if (counts[i] == 0) continue;
        page_put(page,
                 "<rect class=\"bar\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n",
                 (double)i * WIDTH / n, HEIGHT - height, (double)WIDTH / n * 0.9, height);
    }
    page_put(page,
             "<text x=\"0\" y=\"%d\">%.4g</text><text class=\"end\" x=\"%d\" y=\"%d\">%.4g</text>"
             "</svg>\n",
             HEIGHT + 17, low, WIDTH, HEIGHT + 17, high);
}
