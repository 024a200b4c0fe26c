/* Sums of upper bounds. */
#include "convert/size_bound.h"

#include <string.h>
#include <sys/stat.h>

#include "convert/block_codings.h"
#include "format/bytes.h"
#include "format/chunk_writer.h"
#include "format/records.h"

enum {
    ENTRY_BYTES = 640,  /* a tensor's entry of a receipt besides its names: keys, numbers, labels */
    HEAD_BYTES = 1024,  /* the receipt besides its entries */
    PRESET_CODINGS = 8, /* with tables, nested ones too */
    PRESET_BOOK_BYTES = 2 * 1024,
    NOTE_BYTES = 64
};

/* Chunks of a stream of a tensor: slabs are at least a quarter of SLAB_BYTES, as rounding their
 * rows down twice leaves. */
static uint64_t stream_bytes(uint64_t tensor_bytes)
{
    const uint64_t n_chunks = tensor_bytes / (SLAB_BYTES / 4) + 1;
    return STREAM_BYTES + n_chunks * (CHUNK_BYTES + DEFAULT_ALIGNMENT);
}

static uint64_t codings_bytes(const struct encoding *encoding)
{
    uint64_t n_bytes = 0;
    for (uint32_t k = 0; k < encoding->n_terms; k++) {
        const uint64_t book_bytes =
            encoding->presets[k].block_type ? BLOCK_BOOK_MAX_BYTES : PRESET_BOOK_BYTES;
        n_bytes += PRESET_CODINGS * CODING_BYTES + book_bytes + 3 * stream_bytes(book_bytes);
    }
    return n_bytes;
}

static bool is_used(const struct conversion *c, const struct encoding *encoding)
{
    for (uint32_t i = 0; i < model_n_tensors(c->model); i++) {
        if (conversion_choice(c, i) == encoding) return true;
    }
    return false;
}

/* The earlier receipt's entries and notes may stand in the new one. */
static uint64_t receipt_bytes(const struct conversion *c)
{
    const ingot_file *file = model_container(c->model);
    const uint32_t index =
        file ? ingot_file_find_blob(file, INGOT_BLOB_RECEIPT, "", 0) : INGOT_NONE;
    uint64_t n_bytes = HEAD_BYTES;
    ingot_blob blob;
    struct stat facts;
    if (index != INGOT_NONE) {
        ingot_file_blob(file, index, &blob);
        n_bytes += blob.n_bytes;
    }
    for (uint32_t i = 0; i < model_n_notes(c->model); i++) {
        n_bytes += NOTE_BYTES + 6 * strlen(model_note(c->model, i));
    }
    if (c->options->recipe && stat(c->options->recipe, &facts) == 0) {
        n_bytes += 2 * (uint64_t)facts.st_size; /* a blank after every comma and colon */
    }
    if (c->options->encode) n_bytes += strlen(c->options->encode);
    return n_bytes;
}

/* A text as JSON: what is not plain is one escape of six bytes or two. */
static uint64_t json_bytes(const char *text, uint64_t n_bytes)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < n_bytes; i++) {
        const bool plain = text[i] >= ' ' && text[i] < 127 && text[i] != '"' && text[i] != '\\';
        n += plain ? 1 : 6;
    }
    return n;
}

void bound_begin(struct size_bound *bound, const struct conversion *c)
{
    *bound = (struct size_bound){.c = c};
    bound->n_bytes = HEADER_BYTES + TRAILER_BYTES + (N_SECTIONS + 1) * (SECTION_BYTES + 64);
    /* Each dtype that is kept as it is has a coding. */
    bound->n_bytes += INGOT_C64 * CODING_BYTES;
    for (uint32_t i = 0; i < c->choices.n_encodings; i++) {
        const struct encoding *encoding = c->choices.encodings[i];
        if (encoding->by_rows && is_used(c, encoding)) bound->n_bytes += codings_bytes(encoding);
    }
    bound_add_blob(bound, 0, model_metadata(c->model).n_bytes);
    bound_add_blob(bound, 32, receipt_bytes(c));
}

void bound_add(struct size_bound *bound, const struct model_tensor *tensor,
               const struct encoding *encoding, uint64_t coded_bytes, uint32_t n_streams)
{
    const uint32_t n_terms = encoding ? encoding->n_terms : n_streams + 1;
    bound->n_bytes += TENSOR_BYTES + n_terms * (uint64_t)TERM_BYTES + 8 + ENTRY_BYTES;
    const uint64_t in_json = json_bytes(tensor->name, tensor->name_bytes);
    bound->n_bytes += tensor->name_bytes + in_json;
    if (bound->c->imatrix) bound->n_bytes += NOTE_BYTES + in_json; /* that it has no entry */
    bound->n_bytes += coded_bytes + n_streams * stream_bytes(coded_bytes);
    /* Such presets have constants and codebooks of the tensor's own. */
    if (encoding && !encoding->by_rows) bound->n_bytes += codings_bytes(encoding);
    if (encoding || n_streams <= 1) return;
    /* Foreign blocks, or terms of another container: their codings and codebooks. */
    bound->n_bytes += (uint64_t)n_streams * CODING_BYTES;
    if (!bound->blocks) bound->n_bytes += (uint64_t)N_BLOCK_BOOKS * BLOCK_BOOK_MAX_BYTES;
    bound->blocks = true;
}

void bound_add_blob(struct size_bound *bound, uint64_t name_bytes, uint64_t n_bytes)
{
    bound->n_bytes += BLOB_BYTES + name_bytes + n_bytes + stream_bytes(n_bytes);
}

uint64_t bound_bytes(const struct size_bound *bound)
{
    return bound->n_bytes;
}
