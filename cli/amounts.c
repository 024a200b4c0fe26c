/* Decimal numbers and their units. */
#include "cli/amounts.h"

#include <string.h>

/* Digits, at most one point between or before them. Returns what follows, NULL for no number. */
static const char *read_number(const char *text, double *number)
{
    double value = 0, scale = 1;
    bool point = false, any = false;
    for (;; text++) {
        if (*text == '.' && !point) {
            point = true;
        } else if (*text >= '0' && *text <= '9') {
            value = value * 10 + (*text - '0');
            scale *= point ? 10 : 1;
            any = true;
        } else {
            break;
        }
    }
    *number = value / scale;
    return any ? text : NULL;
}

bool amount_number(const char *text, double *number)
{
    double value;
    const char *rest = read_number(text, &value);
    if (rest == NULL || *rest != '\0' || !(value > 0) || value > 1e18) return false;
    *number = value;
    return true;
}

bool amount_bytes(const char *text, uint64_t *n_bytes)
{
    static const char units[] = "KMGT";
    double value;
    const char *rest = read_number(text, &value);
    if (rest == NULL) return false;
    const char *unit = *rest ? strchr(units, *rest == 'k' ? 'K' : *rest) : NULL;
    if (unit) {
        const bool binary = rest[1] == 'i';
        for (const char *u = units; u <= unit; u++) value *= binary ? 1024 : 1000;
        rest += 1 + binary;
    }
    if (*rest == 'B') rest++;
    if (*rest != '\0' || value < 1 || value > 1e18) return false;
    *n_bytes = (uint64_t)value;
    return true;
}
