/* Files whose source blob gives a tensor in a form that is right, or breaks a rule and no other. */
#ifndef INGOT_TESTS_SUPPORT_FORM_FILES_H
#define INGOT_TESTS_SUPPORT_FORM_FILES_H

#include "format/buffer.h"

struct form_file {
    const char *name; /* "R-725-NAME" where it is kept in fixtures/bad, else NULL */
    uint32_t rule;    /* 0: none */
    uint8_t blocks;   /* of this type: eight blocks of zeros in two rows; 0: see packed_model.h */
    uint8_t n_bytes;
    uint8_t form[64];
};

extern const struct form_file form_files[];
extern const uint32_t n_form_files;

void form_file_make(const struct form_file *f, struct byte_buffer *file);

#endif
