/* Statuses, rules and failures as text. Knows nothing of what failed. */
#include "format/fail.h"

#include <stdarg.h>
#include <stdio.h>

#include "format/rules.h"

const char *ingot_status_name(ingot_status status)
{
    static const char *const names[] = {
        [INGOT_OK] = "ok",
        [INGOT_END] = "end",
        [INGOT_INVALID] = "invalid",
        [INGOT_DAMAGED] = "damaged",
        [INGOT_UNSUPPORTED] = "unsupported",
        [INGOT_NOT_FOUND] = "not found",
        [INGOT_EXISTS] = "exists",
        [INGOT_NO_MEMORY] = "no memory",
        [INGOT_IO] = "input/output",
        [INGOT_DEVICE] = "device",
        [INGOT_REFUSED] = "refused",
    };
    const size_t i = (size_t)status;
    return i < sizeof names / sizeof *names ? names[i] : "unknown status";
}

const char *ingot_rule_text(uint32_t rule)
{
    static const struct {
        uint32_t number;
        const char *text;
    } rules[] = {
#define RULE(number, text) {number, text},
#include "rules.inc"
#undef RULE
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].number == rule) return rules[i].text;
    }
    return NULL;
}

static ingot_status fill(ingot_error *error, ingot_status status, uint32_t rule, uint64_t offset,
                         const char *field, const char *format, va_list arguments)
{
    if (error == NULL) return status;
    error->status = status;
    error->rule = rule;
    error->offset = offset;
    snprintf(error->field, sizeof error->field, "%s", field);
    vsnprintf(error->what, sizeof error->what, format, arguments);
    return status;
}

ingot_status ingot_fail(ingot_error *error, ingot_status status, uint64_t offset, const char *field,
                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, R_NONE, offset, field, format, arguments);
    va_end(arguments);
    return status;
}

ingot_status ingot_fail_rule(ingot_error *error, uint32_t rule, uint64_t offset, const char *field,
                             const char *format, ...)
{
    /* Checksum rules say that bytes changed after they were written. */
    const bool damage = rule == R_104 || rule == R_124 || rule == R_201 || rule == R_310;
    const ingot_status status = damage ? INGOT_DAMAGED : INGOT_INVALID;
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, rule, offset, field, format, arguments);
    va_end(arguments);
    return status;
}

ingot_status ingot_fail_memory(ingot_error *error, uint64_t n_bytes, const char *what)
{
    return ingot_fail(error, INGOT_NO_MEMORY, INGOT_NO_OFFSET, what, "no memory for %llu bytes",
                      (unsigned long long)n_bytes);
}
