/* The receipt of a conversion [spec 8.3]: what was asked for and what each tensor lost. Knows JSON,
 * and nothing of how tensors are written. */
#ifndef INGOT_CONVERT_RECEIPT_H
#define INGOT_CONVERT_RECEIPT_H

#include "convert/convert.h"
#include "convert/encode_tensor.h"

struct receipt;

/* earlier: the receipt of the model when that is a container, else an empty span. What it says of
 * tensors that are not encoded anew is kept, and its notes are. */
ingot_status receipt_create(const struct convert_options *options, struct span earlier,
                            struct receipt **receipt, ingot_error *error);
void receipt_close(struct receipt *receipt);

/* One call a tensor, in order. A tensor kept raw, with the hash of its bytes: */
void receipt_kept(struct receipt *receipt, const struct model_tensor *tensor,
                  const uint8_t hash[16]);
/* A tensor whose terms were copied: */
void receipt_copied(struct receipt *receipt, const struct model_tensor *tensor);
/* A tensor that was encoded: */
void receipt_encoded(struct receipt *receipt, const struct model_tensor *tensor,
                     const struct encoded_tensor *encoded);

/* Another name for tensor `other`, of which it has the entry but for the name: */
void receipt_alias(struct receipt *receipt, const struct model_tensor *tensor, uint32_t other);

void receipt_note(struct receipt *receipt, const char *text);

/* Appends the JSON text; fails when memory for any of the above was lacking. */
ingot_status receipt_write(struct receipt *receipt, struct byte_buffer *out, ingot_error *error);

#endif
