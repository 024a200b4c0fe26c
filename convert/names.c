/* Sorted lists of names. */
#include "convert/names.h"

#include <stdlib.h>
#include <string.h>

static int compare_bytes(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    const size_t n = a_bytes < b_bytes ? a_bytes : b_bytes;
    const int order = n ? memcmp(a, b, n) : 0;
    if (order != 0) return order;
    return (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int compare_refs(const void *left, const void *right)
{
    const struct name_ref *a = left;
    const struct name_ref *b = right;
    const int order = compare_bytes(a->text, a->n_bytes, b->text, b->n_bytes);
    if (order != 0) return order;
    return (a->index > b->index) - (a->index < b->index);
}

void names_sort(struct name_ref *names, uint64_t n_names)
{
    if (n_names > 1) qsort(names, (size_t)n_names, sizeof *names, compare_refs);
}

uint64_t names_duplicate(const struct name_ref *names, uint64_t n_names)
{
    for (uint64_t i = 1; i < n_names; i++) {
        const struct name_ref *a = &names[i - 1];
        const struct name_ref *b = &names[i];
        if (compare_bytes(a->text, a->n_bytes, b->text, b->n_bytes) == 0) return i;
    }
    return 0;
}

bool names_find(const struct name_ref *names, uint64_t n_names, const char *text, size_t n_bytes,
                uint32_t *index)
{
    uint64_t low = 0;
    uint64_t high = n_names;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        const struct name_ref *at = &names[middle];
        const int order = compare_bytes(at->text, at->n_bytes, text, n_bytes);
        if (order == 0) {
            *index = at->index;
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

struct shown_name name_shown(const char *text, uint64_t n_bytes)
{
    static const char dots[] = "...";
    struct shown_name shown;
    const uint64_t most = sizeof shown.text - 1;
    const bool whole = n_bytes <= most;
    const uint64_t n = whole ? n_bytes : most - (sizeof dots - 1);
    for (uint64_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        shown.text[i] = c < 32 || c == 127 ? '?' : (char)c;
    }
    memcpy(shown.text + n, whole ? "" : dots, whole ? 1 : sizeof dots);
    return shown;
}
