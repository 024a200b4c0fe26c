/* Devices by number: one list over all backends. Knows of a backend only its table. */
#include "runtime/device.h"

#include <stdio.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/log.h"
#include "format/pool.h"
#include "runtime/backends.h"

const ingot_matrix_options matrix_defaults = {.adapters = NULL};

ingot_status check_activations(ingot_activations activations, ingot_error *error)
{
    if ((uint32_t)activations <= INGOT_ACTIVATIONS_I8) return INGOT_OK;
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "activations",
                      "there is no way %d to take x", (int)activations);
}

/* Device `local` of a backend, which is number `index` in the list. */
struct place {
    const struct ingot_backend *backend;
    uint32_t local;
    uint32_t index;
};

static bool is_cpu(const struct place *place)
{
    return place->backend == ingot_backends[ingot_n_backends - 1];
}

/* Describes a device. One that cannot be described is there and not usable, with the reason. */
static void describe(const struct place *place, const ingot_allocator *allocator,
                     ingot_device_info *info)
{
    ingot_device_info made = {.index = 0};
    ingot_error error;
    if (place->backend->describe(allocator, place->local, &made, &error) != INGOT_OK) {
        made = (ingot_device_info){.usable = false};
        snprintf(made.name, sizeof made.name, "%s device %lu", place->backend->name,
                 (unsigned long)place->local);
        snprintf(made.why_not, sizeof made.why_not, "%.*s", (int)sizeof made.why_not - 1,
                 error.what);
    }
    made.index = is_cpu(place) ? INGOT_DEVICE_CPU : place->index;
    *info = made;
}

ingot_status ingot_device_list(ingot_device_info *devices, uint32_t capacity, uint32_t *n,
                               ingot_error *error)
{
    uint32_t counts[8] = {0};
    for (uint32_t b = 0; b < ingot_n_backends; b++) {
        const ingot_status status = ingot_backends[b]->count(NULL, &counts[b], error);
        if (status != INGOT_OK) return status;
    }
    uint32_t n_listed = 0;
    for (uint32_t b = 0; b < ingot_n_backends; b++) {
        for (uint32_t i = 0; i < counts[b]; i++) {
            const struct place place = {ingot_backends[b], i, n_listed};
            if (n_listed < capacity) describe(&place, NULL, &devices[n_listed]);
            n_listed++;
        }
    }
    *n = n_listed;
    return INGOT_OK;
}

/* The CPU is found without asking the other backends. */
static ingot_status find_place(uint32_t index, const ingot_allocator *allocator,
                               struct place *place, ingot_error *error)
{
    const uint32_t n_numbered = ingot_n_backends - 1;
    if (index == INGOT_DEVICE_CPU) {
        *place = (struct place){ingot_backends[n_numbered], 0, index};
        return INGOT_OK;
    }
    uint32_t n_before = 0;
    for (uint32_t b = 0; b < n_numbered; b++) {
        uint32_t n;
        const ingot_status status = ingot_backends[b]->count(allocator, &n, error);
        if (status != INGOT_OK) return status;
        if (index - n_before < n) {
            *place = (struct place){ingot_backends[b], index - n_before, index};
            return INGOT_OK;
        }
        n_before += n;
    }
    return ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "device",
                      "there is no device %lu: %lu were found besides the CPU",
                      (unsigned long)index, (unsigned long)n_before);
}

ingot_status ingot_device_open(uint32_t index, uint32_t n_threads, const char *cpu_level,
                               const ingot_allocator *allocator, ingot_device **device,
                               ingot_error *error)
{
    struct place place;
    ingot_status status = find_place(index, allocator, &place, error);
    if (status != INGOT_OK) return status;

    ingot_device *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "device");
    made->allocator = allocator;
    made->backend = place.backend;
    describe(&place, allocator, &made->info);
    if (!made->info.usable) {
        status =
            ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "device",
                       "device %lu is not usable: %s", (unsigned long)index, made->info.why_not);
        goto done;
    }
    const struct backend_options options = {.n_threads = n_threads, .cpu_level = cpu_level};
    status = place.backend->open(place.local, &options, allocator, &made->opened, error);
    if (status != INGOT_OK) goto done;
    if (place.backend->pool == NULL) {
        status = ingot_pool_create(n_threads, allocator, &made->owned, error);
        if (status != INGOT_OK) goto done;
    }
    made->pool = made->owned != NULL ? made->owned : place.backend->pool(made->opened);
    if (is_cpu(&place) && cpu_level != NULL) {
        snprintf(made->info.driver, sizeof made->info.driver, "%s", cpu_level);
    }
    if (pthread_mutex_init(&made->turn, NULL) != 0) {
        status = ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "device", "no mutex");
        goto done;
    }
    ingot_log(allocator, INGOT_LOG_INFO, "device %s, %s", made->info.name, made->info.driver);
    *device = made;
    made = NULL;
done:
    if (made != NULL) {
        ingot_pool_close(made->owned);
        place.backend->close(made->opened);
        ingot_release(allocator, made);
    }
    return status;
}

void ingot_device_close(ingot_device *device)
{
    if (device == NULL) return;
    ingot_pool_close(device->owned);
    device->backend->close(device->opened);
    (void)pthread_mutex_destroy(&device->turn);
    ingot_release(device->allocator, device);
}

void device_lock(ingot_device *device)
{
    (void)pthread_mutex_lock(&device->turn);
}

void device_unlock(ingot_device *device)
{
    (void)pthread_mutex_unlock(&device->turn);
}

void ingot_device_describe(const ingot_device *device, ingot_device_info *info)
{
    *info = device->info;
}
