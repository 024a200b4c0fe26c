/* An open device, for those who put matrices on it. */
#ifndef INGOT_DEVICE_H
#define INGOT_DEVICE_H

#include "runtime/backend.h"

struct ingot_device {
    const ingot_allocator *allocator;
    const struct ingot_backend *backend;
    void *opened; /* what the backend's open made */
    ingot_device_info info;
};

#endif
