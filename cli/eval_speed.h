/* ingot eval: how fast a model takes a prompt in and makes tokens. */
#ifndef CLI_EVAL_SPEED_H
#define CLI_EVAL_SPEED_H

#include "cli/language_model.h"

/* Medians over the repetitions. */
struct eval_speed {
    uint32_t n_prefill;
    uint32_t n_decode;
    uint32_t n_repeat;
    double prefill_rate; /* tokens a second */
    double decode_rate;
    double first_token_seconds; /* from the prompt to the first token after it */
};

/* The prompt is the first tokens of `tokens`, over and over; every token made is the most likely.
 * The exit status; what failed was said. */
int eval_speed_run(const struct language_model *model, const uint32_t *tokens, uint64_t n_tokens,
                   struct eval_speed *speed);
json_t *eval_speed_json(const struct eval_speed *speed, bool *failed);

#endif
