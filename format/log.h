/* Messages to whoever listens: the log hook of ingot.h. */
#ifndef INGOT_LOG_H
#define INGOT_LOG_H

#include "format/compiler.h"
#include "format/ingot.h"

/* At most some 500 bytes are heard. Does nothing where nobody listens. */
void ingot_log(const ingot_allocator *allocator, ingot_log_level level, const char *format, ...)
    INGOT_PRINTF(3, 4);

#endif
