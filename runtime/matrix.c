/* Matrices on devices: the public calls. Owns which adapters of a matrix are on. Leaves reading a
 * tensor to resident.c and computing to the device's backend. */
#include <assert.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/floats.h"
#include "format/log.h"
#include "format/reader.h"
#include "format/term.h"
#include "runtime/device.h"
#include "runtime/resident.h"

/* Terms on a device. */
struct brought {
    struct store store; /* what the backend keeps pointers to */
    void *uploaded;     /* NULL: there are no such terms */
};

/* An adapter that is kept apart: a matrix of its own, which is added to the product. */
struct matrix_adapter {
    const char *name;
    struct brought brought;
    bool on;
};

/* Which terms of which tensor are brought to the device. */
struct source {
    const ingot_file *file;
    uint32_t tensor;
    uint64_t matrix_index;
    struct resident_options load;
    ingot_activations activations;
};

struct ingot_matrix {
    ingot_device *device;
    struct source source; /* without the adapters that are kept apart */
    const char **names;   /* of adapters, and their bytes */
    uint64_t n_rows;
    uint64_t n_cols;
    bool keeps_file; /* it outlives the matrix, which may be loaded again */
    bool loaded;     /* this and what follows is for whoever has the device's turn */
    struct brought brought;
    uint64_t resident_bytes;
    uint32_t n_adapters;
    struct matrix_adapter *adapters;
};

/* ------------------------------------------------------------------ loading */

/* The store keeps only what the backend still points to. */
static ingot_status upload(ingot_matrix *matrix, const struct resident_matrix *resident,
                           struct brought *brought, ingot_error *error)
{
    ingot_device *device = matrix->device;
    uint64_t n_bytes = 0;
    struct kept_parts kept = {0, 0};
    const ingot_status status = device->backend->matrix_upload(
        device->opened, resident, &brought->uploaded, &n_bytes, &kept, error);
    if (status != INGOT_OK) return status;
    matrix->resident_bytes += n_bytes;
    for (uint32_t i = 0; i < RESIDENT_MAX_PARTS; i++) { /* also those of replaced parts */
        if (!(kept.parts >> i & 1)) store_release_group(&brought->store, store_group(i));
        if (!(kept.b >> i & 1)) store_release_group(&brought->store, store_group_b(i));
    }
    return INGOT_OK;
}

static ingot_status bring(ingot_matrix *matrix, const struct source *source,
                          struct brought *brought, ingot_error *error)
{
    ingot_device *device = matrix->device;
    struct resident_matrix *resident =
        ingot_allocate_zeroed(device->allocator, 1, sizeof *resident);
    if (resident == NULL) return ingot_fail_memory(error, sizeof *resident, "matrix");
    brought->store.allocator = device->allocator;
    ingot_status status = resident_load(source->file, source->tensor, source->matrix_index,
                                        &source->load, &brought->store, resident, error);
    resident->activations = source->activations;
    if (status == INGOT_OK && resident->n_parts > 0) {
        status = upload(matrix, resident, brought, error);
    }
    ingot_release(device->allocator, resident);
    return status;
}

static void leave(ingot_device *device, struct brought *brought)
{
    device->backend->matrix_release(device->opened, brought->uploaded);
    store_release(&brought->store);
    brought->uploaded = NULL;
}

static void leave_all(ingot_matrix *matrix)
{
    for (uint32_t i = 0; i < matrix->n_adapters; i++) {
        leave(matrix->device, &matrix->adapters[i].brought);
    }
    leave(matrix->device, &matrix->brought);
    matrix->resident_bytes = 0;
}

/* Whether a call failed because the device was lost, which is there again. */
static bool recover(const ingot_matrix *matrix, ingot_status status)
{
    const ingot_device *device = matrix->device;
    const void *uploaded = matrix->brought.uploaded;
    if (status != INGOT_DEVICE || device->backend->recover == NULL) return false;
    for (uint32_t i = 0; i < matrix->n_adapters && uploaded == NULL; i++) {
        uploaded = matrix->adapters[i].brought.uploaded;
    }
    return device->backend->recover(device->opened, uploaded);
}

static ingot_status load_once(ingot_matrix *matrix, ingot_error *error)
{
    ingot_status status = bring(matrix, &matrix->source, &matrix->brought, error);
    for (uint32_t i = 0; i < matrix->n_adapters && status == INGOT_OK; i++) {
        struct source only = matrix->source;
        only.load.only_adapters = true;
        only.load.adapters = &matrix->adapters[i].name;
        only.load.n_adapters = 1;
        status = bring(matrix, &only, &matrix->adapters[i].brought, error);
    }
    matrix->loaded = status == INGOT_OK;
    if (!matrix->loaded) leave_all(matrix);
    return status;
}

/* Needs the device's turn. After a failure all is as before. */
static ingot_status load(ingot_matrix *matrix, ingot_error *error)
{
    const ingot_status status = load_once(matrix, error);
    return recover(matrix, status) ? load_once(matrix, error) : status;
}

ingot_status ingot_matrix_load(ingot_matrix *matrix, ingot_error *error)
{
    ingot_device *device = matrix->device;
    device_lock(device);
    const bool was_loaded = matrix->loaded;
    const ingot_status status = was_loaded ? INGOT_OK : load(matrix, error);
    const uint64_t n_bytes = matrix->resident_bytes;
    device_unlock(device);
    if (!was_loaded && status == INGOT_OK) {
        ingot_log(device->allocator, INGOT_LOG_INFO,
                  "tensor %lu, matrix %llu: %llu x %llu, %llu bytes on %s",
                  (unsigned long)matrix->source.tensor,
                  (unsigned long long)matrix->source.matrix_index,
                  (unsigned long long)matrix->n_rows, (unsigned long long)matrix->n_cols,
                  (unsigned long long)n_bytes, device->info.name);
    }
    return status;
}

/* ------------------------------------------------------------------ opening */

/* Adapters that are added one by one must do no more than add: to the terms before them, and under
 * those after them. */
static ingot_status check_switchable(const ingot_file *file, uint32_t tensor,
                                     const ingot_matrix_options *options, ingot_error *error)
{
    ingot_tensor t;
    bool begun = false;
    ingot_file_tensor(file, tensor, &t);
    for (uint32_t k = 0; k < t.n_terms; k++) {
        struct file_term term;
        ingot_file_term(file, tensor, k, &term);
        if (!term_is_on(&term, options->adapters, options->n_adapters)) continue;
        begun = begun || term.optional;
        if (!begun || (term.combine == COMBINE_ADD && term.magnitude == NULL)) continue;
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "adapters",
                          "term %u of tensor %.*s does more than add, so that they cannot be "
                          "switched one by one",
                          k, (int)min_u64(t.name_bytes, 80), t.name);
    }
    return INGOT_OK;
}

static struct matrix_adapter *find_adapter(const ingot_matrix *matrix, const char *name)
{
    for (uint32_t i = 0; i < matrix->n_adapters; i++) {
        if (strcmp(matrix->adapters[i].name, name) == 0) return &matrix->adapters[i];
    }
    return NULL;
}

/* The names in one block: pointers, then bytes. */
static ingot_status copy_names(ingot_matrix *matrix, const ingot_matrix_options *options,
                               ingot_error *error)
{
    const uint32_t n = options->n_adapters;
    uint64_t n_bytes = n * sizeof *matrix->names;
    for (uint32_t i = 0; i < n; i++) n_bytes += strlen(options->adapters[i]) + 1;
    matrix->names = ingot_allocate(matrix->device->allocator, n_bytes);
    if (matrix->names == NULL) return ingot_fail_memory(error, n_bytes, "names of adapters");
    char *at = (char *)(matrix->names + n);
    for (uint32_t i = 0; i < n; i++) {
        const size_t name_bytes = strlen(options->adapters[i]) + 1;
        memcpy(at, options->adapters[i], name_bytes);
        matrix->names[i] = at;
        at += name_bytes;
    }
    return INGOT_OK;
}

/* Each adapter a matrix of its own, however often it is named. */
static ingot_status set_apart(ingot_matrix *matrix, const ingot_matrix_options *options,
                              ingot_error *error)
{
    const struct source *source = &matrix->source;
    const ingot_status status = check_switchable(source->file, source->tensor, options, error);
    if (status != INGOT_OK) return status;
    matrix->adapters = ingot_allocate_zeroed(matrix->device->allocator, options->n_adapters,
                                             sizeof *matrix->adapters);
    if (matrix->adapters == NULL) return ingot_fail_memory(error, options->n_adapters, "adapters");
    for (uint32_t i = 0; i < options->n_adapters; i++) {
        if (find_adapter(matrix, matrix->names[i]) != NULL) continue;
        matrix->adapters[matrix->n_adapters++] =
            (struct matrix_adapter){.name = matrix->names[i], .on = true};
    }
    return INGOT_OK;
}

static ingot_status set_adapters(ingot_matrix *matrix, const ingot_matrix_options *options,
                                 ingot_error *error)
{
    if (options->n_adapters == 0) return INGOT_OK;
    const ingot_status status = copy_names(matrix, options, error);
    if (status != INGOT_OK) return status;
    if (options->switchable) return set_apart(matrix, options, error);
    matrix->source.load.adapters = matrix->names;
    matrix->source.load.n_adapters = options->n_adapters;
    return INGOT_OK;
}

static struct source source_of(const ingot_device *device, const ingot_file *file, uint32_t tensor,
                               uint64_t matrix_index, const ingot_matrix_options *options)
{
    return (struct source){
        .file = file,
        .tensor = tensor,
        .matrix_index = matrix_index,
        .load = {.pool = device->pool,
                 .in_place = options->in_place,
                 .unchecked = options->unchecked,
                 .leaves_unread = device->backend->takes_unread},
        .activations = options->activations,
    };
}

ingot_status ingot_matrix_open_with(ingot_device *device, const ingot_file *file, uint32_t tensor,
                                    uint64_t matrix_index, const ingot_matrix_options *options,
                                    ingot_matrix **matrix, ingot_error *error)
{
    assert(tensor < ingot_file_n_tensors(file));
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    assert(matrix_index < stack.n_matrices);
    if (options == NULL) options = &matrix_defaults;
    ingot_status status = check_activations(options->activations, error);
    if (status != INGOT_OK) return status;
    ingot_matrix *made = ingot_allocate_zeroed(device->allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "matrix");
    made->device = device;
    made->source = source_of(device, file, tensor, matrix_index, options);
    made->n_rows = stack.n_rows;
    made->n_cols = stack.n_cols;
    made->keeps_file = options->lazy || options->in_place;
    status = set_adapters(made, options, error);
    if (status == INGOT_OK && options->lazy) {
        uint64_t n_bytes; /* what the index alone tells against it, is told now */
        status =
            ingot_matrix_forecast(device, file, tensor, matrix_index, options, &n_bytes, error);
    } else if (status == INGOT_OK) {
        status = ingot_matrix_load(made, error);
    }
    if (status != INGOT_OK) {
        ingot_matrix_close(made);
        return status;
    }
    *matrix = made;
    return INGOT_OK;
}

ingot_status ingot_matrix_open(ingot_device *device, const ingot_file *file, uint32_t tensor,
                               uint64_t matrix_index, ingot_matrix **matrix, ingot_error *error)
{
    return ingot_matrix_open_with(device, file, tensor, matrix_index, NULL, matrix, error);
}

void ingot_matrix_close(ingot_matrix *matrix)
{
    if (matrix == NULL) return;
    ingot_device *device = matrix->device;
    device_lock(device);
    leave_all(matrix);
    device_unlock(device);
    ingot_release(device->allocator, matrix->adapters);
    ingot_release(device->allocator, matrix->names);
    ingot_release(device->allocator, matrix);
}

/* ------------------------------------------------------------------ what it is */

uint64_t ingot_matrix_rows(const ingot_matrix *matrix)
{
    return matrix->n_rows;
}

uint64_t ingot_matrix_cols(const ingot_matrix *matrix)
{
    return matrix->n_cols;
}

uint64_t ingot_matrix_resident_bytes(const ingot_matrix *matrix)
{
    device_lock(matrix->device);
    const uint64_t n_bytes = matrix->resident_bytes;
    device_unlock(matrix->device);
    return n_bytes;
}

ingot_status ingot_matrix_switch(ingot_matrix *matrix, const char *adapter, bool on,
                                 ingot_error *error)
{
    struct matrix_adapter *found = find_adapter(matrix, adapter);
    if (found == NULL) {
        return ingot_fail(error, INGOT_NOT_FOUND, INGOT_NO_OFFSET, "adapter",
                          "the matrix was not opened to have \"%.80s\" switched", adapter);
    }
    device_lock(matrix->device);
    found->on = on;
    device_unlock(matrix->device);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ multiplying */

static float *take_floats(const ingot_matrix *matrix, uint64_t n, uint64_t n_each,
                          ingot_error *error)
{
    uint64_t n_bytes = UINT64_MAX;
    float *floats = NULL;
    if (mul_u64(n, n_each, &n_bytes) && mul_u64(n_bytes, sizeof *floats, &n_bytes)) {
        floats = ingot_allocate(matrix->device->allocator, n_bytes);
    }
    if (floats == NULL) ingot_fail_memory(error, n_bytes, "vectors");
    return floats;
}

/* y = x W^T with the adapters that are on, each of which is added as a whole. */
static ingot_status multiply(ingot_matrix *matrix, const float *x, uint64_t n, float *y,
                             ingot_error *error)
{
    const ingot_device *device = matrix->device;
    const uint64_t n_y = n * matrix->n_rows;
    float *added = NULL;
    ingot_status status =
        device->backend->matmul(device->opened, matrix->brought.uploaded, x, n, y, error);
    for (uint32_t i = 0; i < matrix->n_adapters && status == INGOT_OK; i++) {
        const struct matrix_adapter *adapter = &matrix->adapters[i];
        if (!adapter->on || adapter->brought.uploaded == NULL) continue;
        if (added == NULL) added = take_floats(matrix, n, matrix->n_rows, error);
        if (added == NULL) return INGOT_NO_MEMORY;
        status =
            device->backend->matmul(device->opened, adapter->brought.uploaded, x, n, added, error);
        for (uint64_t k = 0; k < n_y && status == INGOT_OK; k++) y[k] = y[k] + added[k];
    }
    ingot_release(device->allocator, added);
    return status;
}

/* Once more on a device that was lost and is there again. */
static ingot_status multiply_or_reload(ingot_matrix *matrix, const float *x, uint64_t n, float *y,
                                       ingot_error *error)
{
    ingot_status status = multiply(matrix, x, n, y, error);
    if (!recover(matrix, status) || !matrix->keeps_file) return status;
    ingot_log(matrix->device->allocator, INGOT_LOG_WARNING,
              "%s was lost, and tensor %lu is loaded again", matrix->device->info.name,
              (unsigned long)matrix->source.tensor);
    matrix->loaded = false;
    leave_all(matrix);
    status = load(matrix, error);
    return status == INGOT_OK ? multiply(matrix, x, n, y, error) : status;
}

static void widen(ingot_dtype dtype, const uint8_t *x, uint64_t n, float *dst)
{
    if (dtype == INGOT_F16) {
        for (uint64_t i = 0; i < n; i++) dst[i] = f32_from_f16(load_u16(x + 2 * i));
    } else {
        for (uint64_t i = 0; i < n; i++) dst[i] = f32_from_bf16(load_u16(x + 2 * i));
    }
}

ingot_status ingot_matmul(ingot_matrix *matrix, ingot_dtype x_dtype, const void *x, uint64_t n,
                          float *y, ingot_error *error)
{
    const float *values = x;
    float *widened = NULL;
    if (n == 0) return INGOT_OK;
    if (x_dtype != INGOT_F32 && x_dtype != INGOT_F16 && x_dtype != INGOT_BF16) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "x",
                          "it is taken in f32, f16 or bf16, not in type %d", (int)x_dtype);
    }
    ingot_status status = ingot_matrix_load(matrix, error);
    if (status != INGOT_OK) return status;
    if (x_dtype != INGOT_F32) {
        widened = take_floats(matrix, n, matrix->n_cols, error);
        if (widened == NULL) return INGOT_NO_MEMORY;
        widen(x_dtype, x, n * matrix->n_cols, widened);
        values = widened;
    }
    device_lock(matrix->device);
    status = multiply_or_reload(matrix, values, n, y, error);
    device_unlock(matrix->device);
    ingot_release(matrix->device->allocator, widened);
    return status;
}
