/* Which kernel multiplies a pass by a number of vectors: of the rungs that may be taken the best
 * that has a kernel for the pass, fits the device, and was not found wrong on it. */
#ifndef INGOT_VULKAN_PRODUCT_H
#define INGOT_VULKAN_PRODUCT_H

#include "vulkan/matrix.h"

/* How a kernel takes its input. */
enum vk_form {
    FORM_F32,
    FORM_NARROW,  /* as narrow.comp makes it */
    FORM_PAIRED,  /* as pair.comp does */
    FORM_ROUNDED, /* as round.comp does */
    N_FORMS
};

struct vk_product {
    struct vk_kernel kernel; /* without SPEC_ADD */
    uint32_t variant;        /* VARIANT of rung and shape */
    enum vk_form form;
    uint32_t order;        /* of the form's columns: bits of the widest plane of the codes */
    uint32_t n_vectors;    /* at most */
    uint32_t group_rows;   /* of a workgroup */
    uint32_t group_blocks; /* columns of one turn of its loop, in blocks of STEP_COLS */
    bool has_slices;       /* matrix-matrix: columns may be split into slices */
    uint32_t group_vectors;
};

/* Chooses for the first of n > 0 vectors; `rungs` has 1 << RUNG_... of those that may be taken. */
void ingot_vk_product_choose(const struct vk_device *device, const struct vk_pass *pass,
                             uint32_t rungs, uint64_t n, struct vk_product *product);
/* A power of two of lanes for a row of so many units of work. Few choices make few pipelines. */
uint32_t ingot_vk_product_lanes(uint32_t n_units);
/* Words that one vector of so many floats takes in a form. */
uint64_t ingot_vk_form_words(enum vk_form form, uint64_t n_floats);

#endif
