/* Matrices on devices: the public calls. Leaves reading a tensor to resident.c and computing to the
 * device's backend. */
#include <assert.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/reader.h"
#include "runtime/device.h"
#include "runtime/resident.h"

struct ingot_matrix {
    ingot_device *device;
    struct store store; /* what the backend keeps pointers to */
    void *uploaded;
    uint64_t n_rows;
    uint64_t n_cols;
    uint64_t resident_bytes;
};

static ingot_status check_form(const ingot_device *device, const struct resident_matrix *resident,
                               ingot_error *error)
{
    const char *why = NULL;
    if (!device->backend->basic_only || resident_is_basic(resident, &why)) return INGOT_OK;
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                      "the %s backend does not compute %s", device->backend->name, why);
}

ingot_status ingot_matrix_open_with(ingot_device *device, const ingot_file *file, uint32_t tensor,
                                    uint64_t matrix_index, const ingot_matrix_options *options,
                                    ingot_matrix **matrix, ingot_error *error)
{
    assert(tensor < ingot_file_n_tensors(file));
    assert(matrix_index < ingot_file_layout(file, tensor).shape.n_matrices);
    const struct resident_options load = {
        .flat_tables = device->backend->basic_only,
        .adapters = options->adapters,
        .n_adapters = options->n_adapters,
    };
    ingot_status status = INGOT_OK;
    struct resident_matrix *resident =
        ingot_allocate_zeroed(device->allocator, 1, sizeof *resident);
    ingot_matrix *made = ingot_allocate_zeroed(device->allocator, 1, sizeof *made);
    if (made != NULL) made->device = device;
    if (resident == NULL || made == NULL) {
        status = ingot_fail_memory(error, sizeof *resident, "matrix");
        goto done;
    }
    made->store.allocator = device->allocator;

    status = resident_load(file, tensor, matrix_index, &load, &made->store, resident, error);
    resident->activations = options->activations;
    if (status == INGOT_OK) status = check_form(device, resident, error);
    if (status != INGOT_OK) goto done;
    made->n_rows = resident->n_rows;
    made->n_cols = resident->n_cols;
    uint64_t kept;
    pthread_mutex_lock(&device->mutex);
    status = device->backend->matrix_upload(device->opened, resident, &made->uploaded,
                                            &made->resident_bytes, &kept, error);
    pthread_mutex_unlock(&device->mutex);
    if (status != INGOT_OK) goto done;
    for (uint32_t i = 0; i < resident->n_parts; i++) {
        if (!(kept >> i & 1)) store_release_group(&made->store, i);
    }
    *matrix = made;
    made = NULL;
done:
    ingot_matrix_close(made);
    ingot_release(device->allocator, resident);
    return status;
}

ingot_status ingot_matrix_open(ingot_device *device, const ingot_file *file, uint32_t tensor,
                               uint64_t matrix_index, ingot_matrix **matrix, ingot_error *error)
{
    const ingot_matrix_options options = {.adapters = NULL};
    return ingot_matrix_open_with(device, file, tensor, matrix_index, &options, matrix, error);
}

void ingot_matrix_close(ingot_matrix *matrix)
{
    if (matrix == NULL) return;
    pthread_mutex_lock(&matrix->device->mutex);
    matrix->device->backend->matrix_release(matrix->device->opened, matrix->uploaded);
    pthread_mutex_unlock(&matrix->device->mutex);
    store_release(&matrix->store);
    ingot_release(matrix->device->allocator, matrix);
}

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
    return matrix->resident_bytes;
}

ingot_status ingot_matmul(ingot_matrix *matrix, const float *x, uint64_t n, float *y,
                          ingot_error *error)
{
    struct ingot_device *device = matrix->device;
    if (n == 0) return INGOT_OK;
    pthread_mutex_lock(&device->mutex);
    const ingot_status status =
        device->backend->matmul(device->opened, matrix->uploaded, x, n, y, error);
    pthread_mutex_unlock(&device->mutex);
    return status;
}
