/* Rotary positions: the frequencies of a configuration, and turning heads by them. */
#ifndef INGOT_LM_ROPE_H
#define INGOT_LM_ROPE_H

#include "runtime/lm_config.h"

struct lm_turns {
    bool interleaved;
    uint32_t n_pairs;
    double frequencies[LM_MAX_HEAD_DIM / 2]; /* radians a position */
    double magnitude;                        /* of every turn: 1, or yarn's attention factor */
};

/* n_context is how many positions there will be, which counts for dynamic scaling only. factors,
 * unless NULL, are n_dims / 2 numbers that the frequencies are divided by. */
void lm_rope_turns(const struct lm_rope *rope, uint64_t n_context, const float *factors,
                   struct lm_turns *turns);

/* Writes the cosines and sines of n positions: 2 n_pairs floats each. */
void lm_rope_table(const struct lm_turns *turns, uint64_t first_position, uint32_t n, float *table);
/* Turns one head by a position's row of the table. */
void lm_rope_apply(const struct lm_turns *turns, const float *row, float *head);

#endif
