/* The Vulkan loader, opened at run time, and one instance of the API. Knows no device. */
#ifndef INGOT_VULKAN_INSTANCE_H
#define INGOT_VULKAN_INSTANCE_H

#include "format/ingot.h"
#include "vulkan/heaps.h"

/* How an instance and a device on it are opened. All zeros is what everybody but a test wants. */
struct vk_options {
    /* Called with each warning and error about the use of Vulkan, from layers that the
     * environment turns on, when the loader has VK_EXT_debug_utils. NULL: nobody asks for them. */
    void (*message)(void *context, const char *text);
    void *context;
    uint64_t slab_bytes;     /* a matrix is cut into pieces of this size; 0: the device's limit */
    uint64_t submit_weights; /* weights visited by one submission; 0: the default */
    uint32_t max_groups;     /* workgroups along one dimension; 0: the device's limit */
    const char *distrusted;  /* a kernel that is taken for wrong, such as "gemm_integer" */
    const char *lacking;     /* a function that is taken to be missing, such as "vkCmdDispatch" */
    uint32_t rungs;          /* 1 << RUNG_...: taken where the device has them; 0: the fast ones */
    bool stage_uploads;      /* through a staging buffer even where memory can be mapped */
    uint64_t slot_bytes;     /* of a staging buffer; 0: the default */
    uint64_t allocation_bytes;             /* no allocation is larger; 0: the device's limit */
    uint64_t memory_bytes[N_MEMORY_KINDS]; /* that may be taken; 0: what the heaps have */
};

struct vk_instance {
    void *library;
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy_messenger;
    struct vk_options options;
    PFN_vkGetInstanceProcAddr get;
    struct vk_instance_api api;
};

/* INGOT_NOT_FOUND when the machine has no Vulkan loader or no driver. *instance must not move
 * until it is closed; on failure it needs no closing. */
ingot_status ingot_vk_instance_open(const struct vk_options *options, struct vk_instance *instance,
                                    ingot_error *error);
/* An instance of all zeros is closed already. */
void ingot_vk_instance_close(struct vk_instance *instance);

/* Whether a test has a function missing. */
bool ingot_vk_is_lacking(const struct vk_options *options, const char *name);
/* "VK_ERROR_DEVICE_LOST". Never NULL. */
const char *ingot_vk_result_name(VkResult result);
bool ingot_vk_is_out_of_memory(VkResult result);
/* INGOT_NO_MEMORY or INGOT_DEVICE, saying what was being done and with what result. */
ingot_status ingot_vk_fail(VkResult result, const char *what, ingot_error *error);

#endif
