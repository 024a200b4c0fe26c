/* Matches names with patterns in time of at most the product of their lengths. */
#include "convert/glob.h"

#include <stddef.h>
#include <string.h>

/* One element of a pattern other than '*': whether it takes byte c; *next is the element after. */
static bool takes_set(const char *set, unsigned char c, const char **next)
{
    const char *p = set + 1;
    const bool inverted = *p == '!' || *p == '^';
    bool found = false;
    if (inverted) p++;
    const char *first = p;
    while (*p && (*p != ']' || p == first)) {
        const unsigned char low = (unsigned char)*p;
        const bool is_range = p[1] == '-' && p[2] && p[2] != ']';
        const unsigned char high = is_range ? (unsigned char)p[2] : low;
        found = found || (c >= low && c <= high);
        p += is_range ? 3 : 1;
    }
    if (*p == '\0') { /* no set */
        *next = set + 1;
        return c == '[';
    }
    *next = p + 1;
    return found != inverted;
}

static bool takes(const char *element, unsigned char c, const char **next)
{
    if (*element == '[') return takes_set(element, c, next);
    const bool escaped = *element == '\\' && element[1];
    const char *own = escaped ? element + 1 : element;
    *next = own + 1;
    return (*element == '?' && !escaped) || (unsigned char)*own == c;
}

bool glob_matches(const char *pattern, const char *name, uint64_t name_bytes)
{
    const char *star = NULL; /* what follows the last '*' that was met */
    uint64_t star_at = 0;    /* and where in the name it is tried */
    uint64_t at = 0;
    while (at < name_bytes || *pattern) {
        const char *next = pattern;
        if (*pattern == '*') {
            star = ++pattern;
            star_at = at;
        } else if (*pattern && at < name_bytes && takes(pattern, (unsigned char)name[at], &next)) {
            pattern = next;
            at++;
        } else if (star && star_at < name_bytes) {
            /* The star takes one byte more. */
            pattern = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    return true;
}
