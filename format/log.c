/* Messages as text. Knows nothing of what they are about. */
#include "format/log.h"

#include <stdarg.h>
#include <stdio.h>

void ingot_log(const ingot_allocator *allocator, ingot_log_level level, const char *format, ...)
{
    char message[512];
    if (allocator == NULL || allocator->log == NULL) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    allocator->log(allocator->context, level, message);
}
