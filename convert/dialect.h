/* Dialects: the ways in which programs write one quantized tensor as several plain ones. Each is
 * one file and one row in dialects.c. */
#ifndef INGOT_CONVERT_DIALECT_H
#define INGOT_CONVERT_DIALECT_H

#include "convert/composite.h"
#include "convert/dialect_export.h"

struct recognition {
    const struct model *source;
    uint32_t index;             /* of the tensor that is looked at */
    struct composite composite; /* when it is found */
    char why_not[192];          /* it looks like one of the dialect, and is none: why; else empty */
};

struct dialect {
    const char *name; /* "bitsandbytes" */
    /* Whether a tensor of the source is the one by which a composite of this dialect is known, with
     * all others complete. Fills in all of r->composite but source; names point into the source's.
     * A failure is one of reading. */
    ingot_status (*recognise)(struct recognition *r, bool *found, ingot_error *error);
    /* Adds the parts of a tensor that is one dense term of codes, or says why it has none. */
    ingot_status (*export)(struct dialect_export *x, ingot_error *error);
};

extern const struct dialect dialect_bitsandbytes;
extern const struct dialect dialect_mxfp4;

/* A model in which what some dialect writes as several tensors is one, where it is complete and
 * fits; notes say what looks like it and is left as it is. Takes `source` over, also when it is
 * returned itself since there is nothing to do; closes it on failure. */
ingot_status dialects_recognise(struct model *source, const ingot_allocator *allocator,
                                struct model **model, ingot_error *error);

/* ------------------------------------------------------------------ for the dialects */

/* Finds the tensor whose name is the first n_base bytes of `base` and then `suffix`. */
bool dialect_find(const struct model *source, const char *base, uint32_t n_base, const char *suffix,
                  struct model_tensor *tensor, uint32_t *index);
/* Whether a name ends so; *n_base is the length of what is before. */
bool dialect_ends(const struct model_tensor *tensor, const char *suffix, uint32_t *n_base);
/* Adds a part with the tensor's bytes, which are read when it is not of codes. */
ingot_status dialect_add_part(struct recognition *r, uint32_t index, enum part_kind kind,
                              const struct packed_form *form, ingot_error *error);
/* The coding of raw f32 and of codebooks of f32. */
struct ingot_coding dialect_f32(void);
struct ingot_coding dialect_book(uint8_t bits, uint32_t number);

#endif
