/* Hashes of source files from their tensors' passing. */
#include "convert/source_passing.h"

#include "format/alloc.h"
#include "format/buffer.h"
#include "format/fail.h"

enum { GAP_BYTES = 64 << 10, MAX_FILES = 10000 };

struct source_passing {
    const struct model *model;
    const ingot_allocator *allocator;
    uint32_t n_files;
    uint32_t last; /* the file that was asked for last */
    struct passed_file *files;
    uint8_t gap[GAP_BYTES];
};

/* INGOT_NONE when there is none. */
static uint32_t find(struct source_passing *p, const struct input *input)
{
    if (p->last < p->n_files && p->files[p->last].input == input) return p->last;
    for (uint32_t i = 0; i < p->n_files; i++) {
        if (p->files[i].input == input) return p->last = i;
    }
    return INGOT_NONE;
}

static ingot_status add_file(struct source_passing *p, const struct input *input,
                             ingot_error *error)
{
    struct passed_file *file = &p->files[p->n_files];
    *file = (struct passed_file){
        .input = input, .whole = XXH3_createState(), .between = XXH3_createState()};
    p->n_files++;
    if (file->whole == NULL || file->between == NULL) {
        return ingot_fail_memory(error, HASH_STATE_BYTES, "hash");
    }
    XXH3_128bits_reset(file->whole);
    XXH3_128bits_reset(file->between);
    return INGOT_OK;
}

/* Counts the files, and tells whether every tensor has its place in one. */
static bool count_files(const struct model *model, uint32_t *n_files)
{
    const struct input *input = NULL;
    *n_files = 0;
    for (uint32_t i = 0; i < model_n_tensors(model); i++) {
        struct model_place place;
        if (!model_place(model, i, &place)) return false;
        *n_files += place.input != input;
        input = place.input;
    }
    return *n_files <= MAX_FILES;
}

/* Finds the files, and those whose tensors are in another order. */
static ingot_status list_files(struct source_passing *p, ingot_error *error)
{
    for (uint32_t i = 0; i < model_n_tensors(p->model); i++) {
        struct model_place place;
        ingot_status status = INGOT_OK;
        model_place(p->model, i, &place);
        uint32_t k = find(p, place.input);
        if (k == INGOT_NONE) {
            k = p->n_files;
            status = add_file(p, place.input, error);
        }
        if (status != INGOT_OK) return status;
        if (place.n_bytes == 0) continue;
        struct passed_file *file = &p->files[k];
        file->lost = file->lost || place.offset < file->end;
        file->end = place.offset + place.n_bytes;
    }
    return INGOT_OK;
}

ingot_status source_passing_create(const struct model *model, const ingot_allocator *allocator,
                                   struct source_passing **passing, ingot_error *error)
{
    uint32_t n_files;
    *passing = NULL;
    if (!count_files(model, &n_files)) return INGOT_OK;
    struct source_passing *p = ingot_allocate_zeroed(allocator, 1, sizeof *p);
    if (p == NULL) return ingot_fail_memory(error, sizeof *p, "source");
    p->model = model;
    p->allocator = allocator;
    p->files = ingot_allocate_zeroed(allocator, n_files, sizeof *p->files);
    ingot_status status = p->files ? INGOT_OK : ingot_fail_memory(error, n_files, "source");
    if (status == INGOT_OK) status = list_files(p, error);
    if (status != INGOT_OK) {
        source_passing_close(p);
        return status;
    }
    *passing = p;
    return INGOT_OK;
}

void source_passing_close(struct source_passing *passing)
{
    if (passing == NULL) return;
    for (uint32_t i = 0; i < passing->n_files; i++) {
        XXH3_freeState(passing->files[i].between);
        XXH3_freeState(passing->files[i].whole);
    }
    ingot_release(passing->allocator, passing->files);
    ingot_release(passing->allocator, passing);
}

struct passed_file *source_passing_file(struct source_passing *passing, const struct input *input)
{
    const uint32_t i = passing ? find(passing, input) : INGOT_NONE;
    return i == INGOT_NONE || passing->files[i].lost ? NULL : &passing->files[i];
}

void passed_file_add(struct passed_file *file, const void *bytes, uint64_t n_bytes, bool of_tensor)
{
    XXH3_128bits_update(file->whole, bytes, (size_t)n_bytes);
    if (!of_tensor) XXH3_128bits_update(file->between, bytes, (size_t)n_bytes);
    file->n_bytes += n_bytes;
}

/* Reads on to a tensor's first byte. */
static ingot_status pass_gap(struct source_passing *p, struct passed_file *file, uint64_t end,
                             ingot_error *error)
{
    while (file->n_bytes < end) {
        const uint64_t n = min_u64(GAP_BYTES, end - file->n_bytes);
        const ingot_status status = input_read(file->input, file->n_bytes, n, p->gap, error);
        if (status != INGOT_OK) return status;
        passed_file_add(file, p->gap, n, false);
    }
    return INGOT_OK;
}

ingot_status source_passing_tensor(struct source_passing *passing, uint32_t tensor, uint64_t offset,
                                   const void *bytes, uint64_t n_bytes, ingot_error *error)
{
    struct model_place place;
    if (!model_place(passing->model, tensor, &place) || n_bytes == 0) return INGOT_OK;
    struct passed_file *file = source_passing_file(passing, place.input);
    if (file == NULL) return INGOT_OK;
    ingot_status status = INGOT_OK;
    if (offset == 0) status = pass_gap(passing, file, place.offset, error);
    file->lost = file->lost || file->n_bytes != place.offset + offset;
    if (status == INGOT_OK && !file->lost) passed_file_add(file, bytes, n_bytes, true);
    return status;
}
