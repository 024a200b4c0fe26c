/* The golden files of version 1.0: made here, kept in fixtures/golden, and never to change. */
#ifndef INGOT_TESTS_SUPPORT_GOLDEN_H
#define INGOT_TESTS_SUPPORT_GOLDEN_H

#include "format/buffer.h"

/* The zstd library that compressed what is compressed in them. Another one may give other bytes,
 * which say the same. */
#define GOLDEN_ZSTD "1.5.4"

struct golden {
    const char *name;
    bool compressed; /* some of it is */
    void (*make)(struct byte_buffer *file);
};

/* The last one has no name. */
extern const struct golden golden_files[];

#endif
