/* One tensor or attached file of a model as a file of its own. */
#ifndef INGOT_CONVERT_EXTRACT_H
#define INGOT_CONVERT_EXTRACT_H

#include "convert/model.h"

struct extract_options {
    const char *target; /* "-": standard output */
    bool replace;
    const struct progress *progress; /* may be NULL */
};

/* The type that extract_npy gives a tensor's values: its own when it is held raw and NumPy has it,
 * else f32. */
ingot_dtype extract_npy_dtype(const struct model_tensor *tensor);
/* A tensor as a .npy file. Takes memory for a row where the tensor is not held raw. */
ingot_status extract_npy(const struct model *model, uint32_t index,
                         const struct extract_options *options, uint64_t *n_bytes,
                         ingot_error *error);
/* The logical bytes of a tensor: nothing before and after them. INGOT_REFUSED when it is not held
 * raw. */
ingot_status extract_raw(const struct model *model, uint32_t index,
                         const struct extract_options *options, uint64_t *n_bytes,
                         ingot_error *error);
ingot_status extract_attachment(const struct model *model, uint32_t index,
                                const struct extract_options *options, uint64_t *n_bytes,
                                ingot_error *error);

#endif
