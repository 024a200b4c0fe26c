/* What a target format is given: one conversion, and what every sink does the same way. */
#ifndef INGOT_CONVERT_SINK_H
#define INGOT_CONVERT_SINK_H

#include "convert/choices.h"
#include "convert/convert.h"
#include "convert/encode_tensor.h"
#include "convert/encoding.h"
#include "convert/hash.h"
#include "convert/source_passing.h"
#include "format/compiler.h"
#include "format/writer.h"

struct conversion {
    const struct model *model;
    const char *target;
    const struct convert_options *options;
    struct choices choices; /* when `encodes` */
    struct imatrix *imatrix;
    struct source_passing *passing; /* the source's files, as their tensors pass; may be NULL */
    bool encodes;                   /* else everything is kept as it is */
    const struct mix *mix;          /* NULL, or the mix of GGUF types that was asked for */
    const struct dialect *dialect;  /* NULL, or the one that was asked for */
    struct convert_result *result;
    uint64_t done_bytes; /* of the source, as far as whole tensors and attachments go */
    uint64_t total_bytes;
    uint64_t part_bytes;      /* of the tensor that is being written */
    uint32_t n_refused;       /* tensors that the target cannot hold */
    struct byte_buffer *into; /* NULL, or memory for the container in place of the target */
};

/* NULL: the tensor is kept. */
const struct encoding *conversion_choice(const struct conversion *c, uint32_t index);

/* What the rules of a recipe may ask of the model and the conversion. */
struct model_facts conversion_facts(const struct conversion *c);

/* Tells the progress: within_bytes of the part that is being written are done. */
void conversion_report(const struct conversion *c, uint64_t within_bytes);
/* The same as rows of the part. The conversion must outlive it. */
struct row_progress conversion_row_progress(struct conversion *c);
void conversion_begin_part(struct conversion *c, uint64_t n_bytes);
void conversion_end_part(struct conversion *c);
/* Tells the options' tensor_done. */
void conversion_tensor_done(const struct conversion *c, const struct model_tensor *tensor,
                            const char *encoding, uint64_t coded_bytes,
                            const struct tensor_error *error);

/* Tells the options' refused, and keeps the first refusal in *error. */
void conversion_refuse(struct conversion *c, const struct model_tensor *tensor, const char *why,
                       ingot_error *error);
/* INGOT_OK, or INGOT_REFUSED when there were refusals; *error then says how many. */
ingot_status conversion_refusals(const struct conversion *c, ingot_error *error);
/* Tells the options' note. */
void conversion_note(const struct conversion *c, const char *format, ...) INGOT_PRINTF(2, 3);

/* Bytes of a tensor or attachment on their way to a writer, which takes them in order: hashed as
 * they pass, and those of tensors told to the source's files. */
struct passing_bytes {
    struct conversion *conversion;
    uint32_t index;
    ingot_status (*read)(const struct model *model, uint32_t index, uint64_t offset,
                         uint64_t n_bytes, void *dst, ingot_error *error);
    XXH3_state_t *hash;
    struct source_passing *source; /* whose tensor it is; NULL: nobody else hears of the bytes */
    uint64_t hashed_bytes;
};
/* The passing bytes must outlive the source; hash is reset. */
struct byte_source passing_source(struct passing_bytes *passing);

/* The targets: one row each in convert.c. */
ingot_status sink_ingot(struct conversion *c, ingot_error *error);
ingot_status sink_safetensors(struct conversion *c, ingot_error *error);
ingot_status sink_gguf(struct conversion *c, ingot_error *error);
/* What they would write. Of the plan, n_tensors and source_bytes are filled in. */
ingot_status plan_ingot(struct conversion *c, struct convert_plan *plan, ingot_error *error);
ingot_status plan_safetensors(struct conversion *c, struct convert_plan *plan, ingot_error *error);
ingot_status plan_gguf(struct conversion *c, struct convert_plan *plan, ingot_error *error);
/* A tensor's streams in an encoding, as the writer would have them. */
ingot_status plan_streams(const struct encoding *encoding, const struct model_tensor *t,
                          struct term_stream streams[TENSOR_MAX_STREAMS], uint32_t *n_streams,
                          ingot_error *error);
/* Adds a tensor to a plan. */
void plan_tensor(struct convert_plan *plan, const struct model_tensor *tensor, const char *encoding,
                 uint64_t coded_bytes, bool encoded);

#endif
