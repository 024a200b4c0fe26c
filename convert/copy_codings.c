/* Copies codings. */
#include "convert/copy_codings.h"

#include "format/alloc.h"
#include "format/fail.h"

struct coding_copy {
    struct coding_copy *next;
    struct ingot_coding coding;
};

/* Bytes of a codebook held in memory while it is copied: 65,536 entries of 8 f32 are 2 MiB. */
enum { MAX_CODEBOOK_BYTES = 1 << 22 };

static ingot_status copy_codebook(struct coding_copies *copies, uint32_t stream, uint32_t *out,
                                  ingot_error *error)
{
    const uint8_t *pairs = copies->codebooks.data;
    for (uint64_t at = 0; at < copies->codebooks.n_bytes; at += 8) {
        if (load_u32(pairs + at) != stream) continue;
        *out = load_u32(pairs + at + 4);
        return INGOT_OK;
    }
    const uint64_t n_bytes = ingot_file_stream_bytes(copies->file, stream);
    if (n_bytes > MAX_CODEBOOK_BYTES) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "codebook", "%llu bytes long",
                          (unsigned long long)n_bytes);
    }
    uint8_t *entries = ingot_allocate(NULL, n_bytes);
    if (entries == NULL) return ingot_fail_memory(error, n_bytes, "codebook");
    ingot_status status = ingot_file_read_stream(copies->file, stream, 0, n_bytes, entries, error);
    if (status == INGOT_OK) {
        status = ingot_writer_codebook(copies->writer, entries, n_bytes, out, error);
    }
    ingot_release(NULL, entries);
    if (status != INGOT_OK) return status;
    buffer_u32(&copies->codebooks, stream);
    buffer_u32(&copies->codebooks, *out);
    if (copies->codebooks.failed) return ingot_fail_memory(error, 8, "codebooks");
    return INGOT_OK;
}

ingot_status copy_coding(struct coding_copies *copies, const struct ingot_coding *coding,
                         const struct ingot_coding **out, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    if (coding == NULL) {
        *out = NULL;
        return INGOT_OK;
    }
    struct coding_copy *copy = ingot_allocate_zeroed(NULL, 1, sizeof *copy);
    if (copy == NULL) return ingot_fail_memory(error, sizeof *copy, "coding");
    copy->next = copies->copies;
    copies->copies = copy;
    copy->coding = *coding;
    if (coding->codebook_stream != INGOT_NONE) {
        status =
            copy_codebook(copies, coding->codebook_stream, &copy->coding.codebook_stream, error);
    }
    /* Tables are at most two deep, which was proved when the file was opened. */
    for (uint32_t i = 0; i < N_SLOTS && status == INGOT_OK; i++) {
        if (!coding->slots[i].has_table) continue;
        status = copy_coding(copies, coding->slots[i].table, &copy->coding.slots[i].table, error);
    }
    if (status == INGOT_OK) *out = &copy->coding;
    return status;
}

void coding_copies_clear(struct coding_copies *copies)
{
    while (copies->copies) {
        struct coding_copy *next = copies->copies->next;
        ingot_release(NULL, copies->copies);
        copies->copies = next;
    }
}

void coding_copies_release(struct coding_copies *copies)
{
    coding_copies_clear(copies);
    buffer_release(&copies->codebooks);
}
