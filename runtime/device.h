/* An open device, for those who put matrices on it. */
#ifndef INGOT_DEVICE_H
#define INGOT_DEVICE_H

#include <pthread.h>

#include "runtime/backend.h"

struct ingot_device {
    const ingot_allocator *allocator;
    const struct ingot_backend *backend;
    void *opened; /* what the backend's open made */
    /* For loading and for what models do besides products: the backend's own, or `owned` where it
     * has none. Whoever has the turn uses it.
     */
    struct ingot_pool *pool;
    struct ingot_pool *owned;
    ingot_device_info info;
    pthread_mutex_t turn; /* held by the thread whose call the backend runs */
};

extern const ingot_matrix_options matrix_defaults;

/* INGOT_UNSUPPORTED for a number that names no way to take x. */
ingot_status check_activations(ingot_activations activations, ingot_error *error);

void device_lock(ingot_device *device);
void device_unlock(ingot_device *device);

#endif
