/* What is done to a text before it is cut into words: a list of steps. */
#ifndef INGOT_NORMALIZER_H
#define INGOT_NORMALIZER_H

#include "format/buffer.h"
#include "format/bytes.h"

enum { MAX_STEPS = 8 };

enum step_kind {
    STEP_PREPEND,              /* `what` before the text */
    STEP_PREPEND_UNLESS_THERE, /* unless the text begins with it */
    STEP_REPLACE,              /* every `what` by `with` */
    STEP_SQUEEZE_SPACES,       /* none at the ends, one between words */
    STEP_NFC,                  /* Unicode's normalization forms */
    STEP_NFD,
    STEP_NFKC,
    STEP_NFKD,
    N_STEP_KINDS
};

struct step {
    enum step_kind kind;
    bool only_first; /* only on the part that the whole text begins with */
    char what[16], with[16];
    uint8_t what_bytes, with_bytes;
};

struct normalizer {
    struct step steps[MAX_STEPS];
    uint32_t n_steps;
};

/* what and with are at most 16 bytes, or empty. */
ingot_status normalizer_add(struct normalizer *normalizer, enum step_kind kind, bool only_first,
                            struct span what, struct span with, ingot_error *error);
/* Sets *to to what becomes of a part of a text; an empty part stays so. */
ingot_status normalizer_run(const struct normalizer *normalizer, struct span part, bool is_first,
                            struct byte_buffer *to, ingot_error *error);

#endif
