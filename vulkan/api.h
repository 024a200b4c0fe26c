/* The Vulkan functions that the backend calls, one list a level; they are looked up at run time.
 * The only place that includes the Vulkan headers. */
#ifndef INGOT_VULKAN_API_H
#define INGOT_VULKAN_API_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#define INGOT_VK_INSTANCE_FUNCTIONS(X)        \
    X(DestroyInstance)                        \
    X(EnumeratePhysicalDevices)               \
    X(GetPhysicalDeviceProperties2)           \
    X(GetPhysicalDeviceFeatures2)             \
    X(GetPhysicalDeviceMemoryProperties)      \
    X(GetPhysicalDeviceMemoryProperties2)     \
    X(EnumerateDeviceExtensionProperties)     \
    X(GetPhysicalDeviceQueueFamilyProperties) \
    X(CreateDevice)                           \
    X(GetDeviceProcAddr)

#define INGOT_VK_DEVICE_FUNCTIONS(X) \
    X(DestroyDevice)                 \
    X(GetDeviceQueue)                \
    X(AllocateMemory)                \
    X(FreeMemory)                    \
    X(MapMemory)                     \
    X(CreateBuffer)                  \
    X(DestroyBuffer)                 \
    X(GetBufferMemoryRequirements)   \
    X(BindBufferMemory)              \
    X(GetBufferDeviceAddress)        \
    X(CreateShaderModule)            \
    X(DestroyShaderModule)           \
    X(CreatePipelineLayout)          \
    X(DestroyPipelineLayout)         \
    X(CreateComputePipelines)        \
    X(DestroyPipeline)               \
    X(CreateCommandPool)             \
    X(DestroyCommandPool)            \
    X(AllocateCommandBuffers)        \
    X(ResetCommandBuffer)            \
    X(BeginCommandBuffer)            \
    X(EndCommandBuffer)              \
    X(CmdBindPipeline)               \
    X(CmdPushConstants)              \
    X(CmdDispatch)                   \
    X(CmdCopyBuffer)                 \
    X(CmdFillBuffer)                 \
    X(CmdPipelineBarrier2)           \
    X(CreateSemaphore)               \
    X(DestroySemaphore)              \
    X(WaitSemaphores)                \
    X(QueueSubmit2)                  \
    X(CreateQueryPool)               \
    X(DestroyQueryPool)              \
    X(CmdResetQueryPool)             \
    X(CmdWriteTimestamp2)            \
    X(GetQueryPoolResults)           \
    X(DeviceWaitIdle)

#define INGOT_VK_MEMBER(name) PFN_vk##name name;

struct vk_instance_api {
    INGOT_VK_INSTANCE_FUNCTIONS(INGOT_VK_MEMBER)
};

struct vk_device_api {
    INGOT_VK_DEVICE_FUNCTIONS(INGOT_VK_MEMBER)
};

#undef INGOT_VK_MEMBER

#endif
