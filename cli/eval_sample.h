/* ingot eval: how a model goes on with a prompt. */
#ifndef CLI_EVAL_SAMPLE_H
#define CLI_EVAL_SAMPLE_H

#include "cli/language_model.h"
#include "format/buffer.h"

/* Appends what follows the prompt: the same text each time, by chance of a fixed seed. The exit
 * status; what failed was said. */
int eval_sample(const struct language_model *model, const char *prompt, struct byte_buffer *text);

#endif
