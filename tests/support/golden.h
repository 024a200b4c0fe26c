/* The golden files: made here, kept in fixtures/golden, and never to change once the format is
 * frozen. */
#ifndef INGOT_TESTS_SUPPORT_GOLDEN_H
#define INGOT_TESTS_SUPPORT_GOLDEN_H

#include "format/buffer.h"

struct golden {
    const char *name;
    void (*make)(struct byte_buffer *file);
};

/* The last one has no name. */
extern const struct golden golden_files[];

#endif
