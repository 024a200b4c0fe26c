/* The converter's verbs, as the command calls them. They do not print. */
#ifndef INGOT_CONVERT_H
#define INGOT_CONVERT_H

#include "convert/model.h"

/* Error of decoded values against the source's. */
struct tensor_error {
    uint64_t n;            /* values compared */
    uint64_t n_different;  /* whose f32 values differ (a NaN equals a NaN) */
    double signal;         /* sum of squares of the source */
    double noise;          /* sum of squares of the differences */
    double max_error;      /* largest absolute difference */
    double sqnr_db;        /* 10 log10(signal / noise); infinity when noise is 0 */
    double relative_error; /* sqrt(noise / signal); 0 when noise is 0 */
};

struct convert_options {
    /* At most one of these three; none: keep the source's own encoding. */
    const char *encode;    /* an encoding for all matrices (see presets.h) */
    const char *recipe;    /* the path of a recipe (see recipe.h) */
    const char *gguf_type; /* a mix of GGUF types (see recipe.h); the target is a GGUF file */
    const char *dialect;   /* NULL, or of a .safetensors target, with none of those: how quantized
                            * tensors of a container are written, each as several plain ones */
    /* At most one of these two, with a recipe or without any of the three above; 0: none. Never
     * exceeded; found by measuring every candidate of every tensor. */
    uint64_t target_bytes; /* of the whole file */
    double target_bpw;     /* bits of all tensors over their weights, before lossless compression */
    const char *imatrix;   /* NULL, or the path of importance weights (see imatrix.h) */
    bool fast;             /* presets that search do so briefly */
    ingot_compression compression;
    /* NULL, or what was measured of the model as a whole, a JSON object. With it the container is
     * written again as it is: its receipt keeps its recipe and gets this as `quality`. */
    const char *quality;
    bool replace;
    uint32_t n_threads; /* 0: one per available core; the result does not depend on it */
    const ingot_allocator *allocator; /* of what grows with the number of tensors; may be NULL */
    const struct progress *progress;  /* may be NULL */
    /* Called once a tensor, in order, when it is written; error is NULL when it was kept. */
    void *context;
    void (*tensor_done)(void *context, const struct model_tensor *tensor, const char *encoding,
                        uint64_t coded_bytes, const struct tensor_error *error);
    /* Both may be NULL. Called once for each tensor that the target cannot hold, before anything is
     * written; and for each thing that a reader of the target will miss: a sentence for people. */
    void (*refused)(void *context, const struct model_tensor *tensor, const char *why);
    void (*note)(void *context, const char *text);
};

struct convert_result {
    uint32_t n_tensors;
    uint32_t n_encoded;    /* re-encoded with loss or another dtype */
    uint32_t n_unweighted; /* of those, with an imatrix: that it has no entry for */
    uint64_t source_bytes; /* of all source files */
    uint64_t target_bytes;
    bool restorable;             /* ingot restore gives the source files back */
    uint32_t n_attachments_lost; /* that the target format has no place for */
    uint32_t n_metadata_lost;    /* entries, likewise */
};

/* Any model to an .ingot file, or (by suffix) to .safetensors or .gguf where it can be expressed.
 * INGOT_REFUSED when it cannot: the error names the first such tensor and says how many there are.
 */
ingot_status convert_model(const struct model *model, const char *target,
                           const struct convert_options *options, struct convert_result *result,
                           ingot_error *error);

/* What convert_model would write: found without writing anything, and of tensors some rows are
 * read, for how far they will be compressed. What only the values decide (that one is too large for
 * its new type) shows when all are read. */
struct convert_plan {
    uint32_t n_tensors;
    uint32_t n_encoded;
    uint64_t source_bytes;
    uint64_t tensor_bytes;     /* codes, tables and masks, before lossless compression */
    uint64_t attachment_bytes; /* of those that are carried */
    uint64_t most_bytes;       /* the whole file takes at most; 0 when that is not known */
    uint64_t target_bytes;     /* the whole file; 0 when that shows only when it is written */
    uint64_t expected_bytes; /* then: about what it takes, by a sample; 0 when that is not known */
    bool at_most;            /* lossless compression will make it less */
    bool restorable;
    uint32_t n_attachments_lost;
    uint32_t n_metadata_lost;
    /* Called once a tensor, in the order that it would be written in; `encoded` tells that it would
     * not be kept as it is. */
    void *context;
    void (*tensor)(void *context, const struct model_tensor *tensor, const char *encoding,
                   uint64_t coded_bytes, bool encoded);
};
/* Fills in a plan that begins with context and tensor (which may be NULL) set. Fails where
 * convert_model would because the target cannot hold a tensor. */
ingot_status convert_plan(const struct model *model, const char *target,
                          const struct convert_options *options, struct convert_plan *plan,
                          ingot_error *error);

/* Writes the source files of `file` again: into the archive `target` when its name ends as one's
 * does (see bundle_writer.h); else under the folder `target` (created; it must be empty or absent
 * unless replace), or as the file `target` when the source was a single file. Everything is checked
 * against its hash before it gets its name. */
struct restore_result {
    uint32_t n_files;
    uint64_t n_bytes;
};
ingot_status restore_model(const ingot_file *file, const char *target, bool replace,
                           uint32_t n_threads, const struct progress *progress,
                           struct restore_result *result, ingot_error *error);

/* Whether shapes are equal when dimensions of 1 are not counted: some formats drop them. */
bool shapes_match(const struct model_tensor *a, const struct model_tensor *b);
bool shapes_equal(const struct model_tensor *a, const struct model_tensor *b);

/* Compares tensor a of one model with tensor b of another, in C order. INGOT_REFUSED when their
 * shapes do not match. */
ingot_status compare_tensors(const struct model *model_a, uint32_t a, const struct model *model_b,
                             uint32_t b, const struct progress *progress,
                             struct tensor_error *result, ingot_error *error);

#endif
