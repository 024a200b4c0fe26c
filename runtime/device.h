/* An open device, for those who put matrices on it. */
#ifndef INGOT_DEVICE_H
#define INGOT_DEVICE_H

#include <pthread.h>

#include "runtime/backend.h"

struct ingot_device {
    const ingot_allocator *allocator;
    const struct ingot_backend *backend;
    void *opened;          /* what the backend's open made */
    pthread_mutex_t mutex; /* held while the backend works, but for opening and closing */
    ingot_device_info info;
};

#endif
