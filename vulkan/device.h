/* One open Vulkan device: its queue, its limits, and what is shared by all matrices on it.
 * Knows no matrix. */
#ifndef INGOT_VULKAN_DEVICE_H
#define INGOT_VULKAN_DEVICE_H

#include "vulkan/instance.h"
#include "vulkan/ladder.h"
#include "vulkan/queues.h"

struct vk_block;
struct vk_pipeline;
struct vk_trial;

/* Where uploads are put together: while slots are copied, the next one is filled. */
struct vk_slot {
    struct vk_commands commands;
    struct vk_block *memory; /* NULL until the first upload that needs it */
};

/* Vectors that a matmul keeps on the device, and copies of the first and the last on the host's
 * side. */
enum vk_vector {
    VECTOR_X,
    VECTOR_G, /* x gathered */
    VECTOR_T, /* between the factors of a low-rank part */
    VECTOR_U, /* results before they are scattered */
    VECTOR_P, /* results of slices of the columns */
    VECTOR_N, /* an input, rounded */
    VECTOR_Y,
    N_VECTORS
};
struct vk_scratch {
    struct vk_block *vectors[N_VECTORS];
    struct vk_block *host_x;
    struct vk_block *host_y;
};

enum { N_SLOTS_UPLOAD = 4 };

struct vk_device {
    const ingot_allocator *allocator; /* the caller's; outlives the device */
    struct ingot_pool *readers;       /* of files; NULL: none */
    struct vk_instance instance;
    ingot_device_info info;
    struct vk_device_api api;
    VkDevice handle;
    VkPhysicalDevice physical;
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t avoids;                          /* enum vk_avoid */
    bool has_budget;                          /* VK_EXT_memory_budget */
    bool has_spilled;                         /* and that was told */
    uint64_t held_bytes[N_MEMORY_KINDS];      /* taken by blocks */
    uint64_t heap_bytes[VK_MAX_MEMORY_HEAPS]; /* the same by heap */
    uint32_t n_allocations;
    uint32_t max_allocations;
    uint64_t allocation_bytes; /* no allocation is larger */
    uint64_t slab_bytes;       /* no piece of a matrix is larger */
    uint64_t submit_weights;   /* weights visited before a submission is cut */
    bool submit_adapts;        /* to the time that submissions take */
    uint32_t max_groups;       /* workgroups along x and along y */
    struct vk_ladder ladder;
    float tick_nanoseconds; /* of timestamps; 0: there are none */
    bool shares_memory;     /* the device's memory is the host's */
    bool maps_uploads;      /* uploads are written straight to device memory that can be mapped */
    struct vk_queue_choice queues;
    struct vk_queue computing;
    struct vk_queue moving; /* uploads: their engine where the device has one */
    VkPipelineLayout layout;
    struct vk_commands compute;
    struct vk_slot slots[N_SLOTS_UPLOAD];
    uint32_t next_slot;
    struct vk_block *blocks;       /* shared blocks of weights, newest first */
    struct vk_pipeline *pipelines; /* all that were made, newest first */
    struct vk_trial *trials;       /* newest first */
    struct vk_scratch scratch;
    uint64_t generation; /* how often it was opened anew */
    bool lost;           /* the device failed: nothing more is asked of it */
    char label[96];      /* the last dispatch that was recorded */
};

/* Opens device `index` of the list of ingot_vk_candidates_list. INGOT_DEVICE when there is no such
 * device or it is not usable. */
ingot_status ingot_vk_device_open(uint32_t index, const struct vk_options *options,
                                  const ingot_allocator *allocator, struct vk_device **device,
                                  ingot_error *error);
/* Opens a lost device anew, which makes shorter submissions; what was uploaded is gone, and is
 * still to be released. After a failure it stays lost. */
ingot_status ingot_vk_device_renew(struct vk_device *device, ingot_error *error);
/* Takes NULL. Everything that was made on the device must have been released. */
void ingot_vk_device_close(struct vk_device *device);

/* Like ingot_vk_fail; a lost device stays lost, and the last dispatch is told. */
ingot_status ingot_vk_device_fail(struct vk_device *device, VkResult result, const char *what,
                                  ingot_error *error);
/* INGOT_DEVICE when the device was lost before. */
ingot_status ingot_vk_device_check(const struct vk_device *device, ingot_error *error);

#endif
