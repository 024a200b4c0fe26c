/* Text for people: quantities, shapes, and bytes from files made safe for a terminal. Knows nothing
 * of models and prints nothing. */
#include "cli/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text text_bytes(uint64_t n_bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    struct text t;
    if (n_bytes < 1000) {
        snprintf(t.at, sizeof t.at, "%u B", (unsigned)n_bytes);
        return t;
    }
    double amount = (double)n_bytes / 1000;
    size_t unit = 0;
    while (amount >= 999.995 && unit + 1 < sizeof units / sizeof *units) {
        amount /= 1000;
        unit++;
    }
    snprintf(t.at, sizeof t.at, "%.*f %s", amount < 10 ? 2 : 1, amount, units[unit]);
    return t;
}

struct text text_count(uint64_t n)
{
    char digits[24];
    const int n_digits = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    struct text t;
    size_t end = 0;
    for (int i = 0; i < n_digits; i++) {
        if (i > 0 && (n_digits - i) % 3 == 0) t.at[end++] = ',';
        t.at[end++] = digits[i];
    }
    t.at[end] = 0;
    return t;
}

struct text text_shape(uint32_t rank, const uint64_t *dims)
{
    struct text t;
    size_t end = (size_t)snprintf(t.at, sizeof t.at, "[");
    for (uint32_t i = 0; i < rank && end < sizeof t.at; i++) {
        end += (size_t)snprintf(t.at + end, sizeof t.at - end, "%s%llu", i > 0 ? ", " : "",
                                (unsigned long long)dims[i]);
    }
    if (end < sizeof t.at) snprintf(t.at + end, sizeof t.at - end, "]");
    return t;
}

struct text text_seconds(double seconds)
{
    static const struct {
        double from;
        double per_second;
        const char *unit;
    } units[] = {{1, 1, "s"}, {1e-3, 1e3, "ms"}, {1e-6, 1e6, "us"}, {0, 1e9, "ns"}};
    size_t i = 0;
    while (seconds < units[i].from) i++;
    const double amount = seconds * units[i].per_second;
    struct text t;
    snprintf(t.at, sizeof t.at, "%.*f %s", amount < 10 ? 2 : 1, amount, units[i].unit);
    return t;
}

struct text text_decibels(double sqnr_db, uint64_t n_different)
{
    struct text t;
    if (n_different == 0) {
        snprintf(t.at, sizeof t.at, "exact");
    } else {
        snprintf(t.at, sizeof t.at, "%.2f", sqnr_db);
    }
    return t;
}

size_t utf8_next(const char *bytes, size_t n_bytes, uint32_t *code)
{
    static const struct {
        uint8_t mask;
        uint8_t mark;
        uint32_t least; /* smaller code points have a shorter form */
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const uint8_t first = (uint8_t)bytes[0];
    size_t more = 0;
    while (more < 4 && (first & forms[more].mask) != forms[more].mark) more++;
    if (more == 4 || more >= n_bytes) return 0;
    uint32_t v = first & (uint8_t)~forms[more].mask;
    for (size_t i = 1; i <= more; i++) {
        const uint8_t next = (uint8_t)bytes[i];
        if ((next & 0xc0) != 0x80) return 0;
        v = v << 6 | (next & 0x3f);
    }
    const bool surrogate = v >= 0xd800 && v <= 0xdfff;
    if (v < forms[more].least || v > 0x10ffff || surrogate) return 0;
    *code = v;
    return more + 1;
}

/* Control characters, and those that reorder the text around them. */
static bool steers_terminal(uint32_t code)
{
    static const struct {
        uint32_t first;
        uint32_t last;
    } ranges[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    }
    return false;
}

char *text_safe(const char *bytes, size_t n_bytes)
{
    if (n_bytes > (SIZE_MAX - 1) / 4) return NULL;
    char *text = malloc(n_bytes * 4 + 1);
    if (!text) return NULL;
    size_t end = 0;
    for (size_t i = 0; i < n_bytes;) {
        uint32_t code = 0;
        const size_t n = utf8_next(bytes + i, n_bytes - i, &code);
        const size_t n_taken = n > 0 ? n : 1;
        if (n > 0 && !steers_terminal(code)) {
            memcpy(text + end, bytes + i, n);
            end += n;
        } else {
            for (size_t k = 0; k < n_taken; k++) {
                end += (size_t)snprintf(text + end, 5, "\\x%02X", (unsigned)(uint8_t)bytes[i + k]);
            }
        }
        i += n_taken;
    }
    text[end] = 0;
    return text;
}

size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++) width += ((uint8_t)*text & 0xc0) != 0x80;
    return width;
}

/* Edit distance: the fewest letters inserted, removed or replaced. Long words are taken as far. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { MAX_LETTERS = 96 };
    const size_t n_a = strlen(a);
    const size_t n_b = strlen(b);
    if (n_a > MAX_LETTERS || n_b > MAX_LETTERS) return SIZE_MAX;
    size_t row[MAX_LETTERS + 1];
    for (size_t j = 0; j <= n_b; j++) row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            const size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[n_b];
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    const size_t distance = edit_distance(nearest->word, candidate);
    const size_t allowed = strlen(nearest->word) / 3 + 1;
    if (distance > allowed || (nearest->best && distance >= nearest->distance)) return;
    nearest->best = candidate;
    nearest->distance = distance;
}
