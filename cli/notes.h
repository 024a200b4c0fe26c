/* What a conversion told of each tensor, kept for the summary. */
#ifndef CLI_NOTES_H
#define CLI_NOTES_H

#include <jansson.h>
#include <stdio.h>

#include "convert/convert.h"

struct tensor_note {
    const char *name; /* lives as long as the model */
    uint32_t name_bytes;
    uint64_t n_weights;
    uint64_t coded_bytes;
    bool measured; /* re-encoded: error is set */
    bool repacked; /* in another encoding, with the same values */
    char encoding[96];
    struct tensor_error error;
};

/* Starts as zeros, but for the allocator. The first lack of memory is remembered. */
struct tensor_notes {
    const ingot_allocator *allocator;
    struct tensor_note *at;
    uint32_t n;
    uint32_t capacity;
    bool failed;
};

void notes_add(struct tensor_notes *notes, const struct model_tensor *tensor, const char *encoding,
               uint64_t coded_bytes, const struct tensor_error *error);
void notes_release(struct tensor_notes *notes);

/* Bits per weight over all of them, before lossless compression. */
double notes_bits_per_weight(const struct tensor_notes *notes);
uint32_t notes_n_repacked(const struct tensor_notes *notes);
/* All tensors as a table, and the n_worst of those whose values changed. False when memory was
 * lacking. */
bool notes_print(const struct tensor_notes *notes, FILE *out);
bool notes_print_worst(const struct tensor_notes *notes, uint32_t n_worst, FILE *out);
json_t *notes_json(const struct tensor_notes *notes, bool *failed);

/* The error of one tensor as members of a JSON object. */
void error_json(json_t *object, const struct tensor_error *error, bool *failed);

#endif
