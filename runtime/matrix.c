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
    struct store store; /* empty when the backend keeps no pointers */
    void *uploaded;
    uint64_t n_rows;
    uint64_t n_cols;
    uint64_t resident_bytes;
};

ingot_status ingot_matrix_open(ingot_device *device, const ingot_file *file, uint32_t tensor,
                               uint64_t matrix_index, ingot_matrix **matrix, ingot_error *error)
{
    assert(tensor < ingot_file_n_tensors(file));
    assert(matrix_index < ingot_file_layout(file, tensor).shape.n_matrices);
    ingot_matrix *made = ingot_allocate_zeroed(device->allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "matrix");
    made->device = device;
    made->store.allocator = device->allocator;

    struct resident_matrix resident;
    ingot_status status = resident_load(file, tensor, matrix_index, &made->store, &resident, error);
    if (status != INGOT_OK) goto done;
    made->n_rows = resident.n_rows;
    made->n_cols = resident.n_cols;
    status = device->backend->matrix_upload(device->opened, &resident, &made->uploaded,
                                            &made->resident_bytes, error);
    if (status != INGOT_OK) goto done;
    if (!device->backend->keeps_pointers) store_release(&made->store);
    *matrix = made;
    made = NULL;
done:
    ingot_matrix_close(made);
    return status;
}

void ingot_matrix_close(ingot_matrix *matrix)
{
    if (matrix == NULL) return;
    matrix->device->backend->matrix_release(matrix->device->opened, matrix->uploaded);
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
    if (n == 0) return INGOT_OK;
    return matrix->device->backend->matmul(matrix->device->opened, matrix->uploaded, x, n, y,
                                           error);
}
