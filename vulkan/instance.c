/* The Vulkan loader, opened at run time, and one instance of the API. Knows no device. */
#include "vulkan/instance.h"

#include <dlfcn.h>
#include <string.h>

#include "format/fail.h"

static const struct {
    VkResult result;
    const char *name;
} result_names[] = {
    {VK_TIMEOUT, "VK_TIMEOUT"},
    {VK_INCOMPLETE, "VK_INCOMPLETE"},
    {VK_ERROR_OUT_OF_HOST_MEMORY, "VK_ERROR_OUT_OF_HOST_MEMORY"},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, "VK_ERROR_OUT_OF_DEVICE_MEMORY"},
    {VK_ERROR_INITIALIZATION_FAILED, "VK_ERROR_INITIALIZATION_FAILED"},
    {VK_ERROR_DEVICE_LOST, "VK_ERROR_DEVICE_LOST"},
    {VK_ERROR_MEMORY_MAP_FAILED, "VK_ERROR_MEMORY_MAP_FAILED"},
    {VK_ERROR_LAYER_NOT_PRESENT, "VK_ERROR_LAYER_NOT_PRESENT"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, "VK_ERROR_EXTENSION_NOT_PRESENT"},
    {VK_ERROR_FEATURE_NOT_PRESENT, "VK_ERROR_FEATURE_NOT_PRESENT"},
    {VK_ERROR_INCOMPATIBLE_DRIVER, "VK_ERROR_INCOMPATIBLE_DRIVER"},
    {VK_ERROR_TOO_MANY_OBJECTS, "VK_ERROR_TOO_MANY_OBJECTS"},
    {VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS, "VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS"},
};

const char *ingot_vk_result_name(VkResult result)
{
    for (size_t i = 0; i < sizeof result_names / sizeof *result_names; i++) {
        if (result_names[i].result == result) return result_names[i].name;
    }
    return "an unnamed VkResult";
}

bool ingot_vk_is_lacking(const struct vk_options *options, const char *name)
{
    return options->lacking && strcmp(options->lacking, name) == 0;
}

bool ingot_vk_is_out_of_memory(VkResult result)
{
    return result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
           result == VK_ERROR_TOO_MANY_OBJECTS;
}

ingot_status ingot_vk_fail(VkResult result, const char *what, ingot_error *error)
{
    return ingot_fail(error, ingot_vk_is_out_of_memory(result) ? INGOT_NO_MEMORY : INGOT_DEVICE,
                      INGOT_NO_OFFSET, what, "%s (%d)", ingot_vk_result_name(result), (int)result);
}

static VKAPI_ATTR VkBool32 VKAPI_CALL forward(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                              VkDebugUtilsMessageTypeFlagsEXT types,
                                              const VkDebugUtilsMessengerCallbackDataEXT *data,
                                              void *user_data)
{
    (void)severity;
    (void)types;
    const struct vk_options *options = user_data;
    options->message(options->context, data->pMessage ? data->pMessage : "");
    return VK_FALSE;
}

static VkDebugUtilsMessengerCreateInfoEXT messenger_info(struct vk_options *options)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        /* General messages are the loader's, about its environment. */
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = forward,
        .pUserData = options};
}

static VkResult create_instance(PFN_vkCreateInstance create, struct vk_instance *instance)
{
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .pEngineName = "ingot",
                                           .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &application};
    if (instance->options.message == NULL) return create(&info, NULL, &instance->handle);

    const VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(&instance->options);
    const char *const extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    info.pNext = &messenger;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = &extension;
    const VkResult result = create(&info, NULL, &instance->handle);
    if (result != VK_ERROR_EXTENSION_NOT_PRESENT) return result;

    instance->options.message = NULL;
    info.pNext = NULL;
    info.enabledExtensionCount = 0;
    return create(&info, NULL, &instance->handle);
}

static VkResult create_messenger(PFN_vkGetInstanceProcAddr get, struct vk_instance *instance)
{
    const PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)get(instance->handle, "vkCreateDebugUtilsMessengerEXT");
    instance->destroy_messenger = (PFN_vkDestroyDebugUtilsMessengerEXT)get(
        instance->handle, "vkDestroyDebugUtilsMessengerEXT");
    if (!create || !instance->destroy_messenger) return VK_ERROR_EXTENSION_NOT_PRESENT;
    const VkDebugUtilsMessengerCreateInfoEXT info = messenger_info(&instance->options);
    return create(instance->handle, &info, NULL, &instance->messenger);
}

/* The first instance function that the loader lacks, or NULL. */
static const char *load_functions(PFN_vkGetInstanceProcAddr get, struct vk_instance *instance)
{
#define LOAD(name)                                                                    \
    instance->api.name = (PFN_vk##name)get(instance->handle, "vk" #name);             \
    if (!instance->api.name || ingot_vk_is_lacking(&instance->options, "vk" #name)) { \
        return "vk" #name;                                                            \
    }
    instance->get = get;
    INGOT_VK_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return NULL;
}

/* The loader's entry point, or NULL when there is no loader that knows Vulkan 1.1 or later: an
 * older one refuses to be asked for 1.3. */
static PFN_vkGetInstanceProcAddr open_library(struct vk_instance *instance)
{
    instance->library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!instance->library) return NULL;
    void *const symbol = dlsym(instance->library, "vkGetInstanceProcAddr");
    PFN_vkGetInstanceProcAddr get = NULL;
    /* ISO C has no cast from an object pointer to a function pointer; POSIX has equal sizes. */
    memcpy(&get, &symbol, sizeof get);
    if (!get || ingot_vk_is_lacking(&instance->options, "vkEnumerateInstanceVersion")) return NULL;
    return get(NULL, "vkEnumerateInstanceVersion") ? get : NULL;
}

/* What a machine without any Vulkan driver answers. */
static bool means_no_driver(VkResult result)
{
    return result == VK_ERROR_INCOMPATIBLE_DRIVER || result == VK_ERROR_INITIALIZATION_FAILED;
}

ingot_status ingot_vk_instance_open(const struct vk_options *options, struct vk_instance *instance,
                                    ingot_error *error)
{
    ingot_status status = INGOT_OK;
    *instance = (struct vk_instance){.options = *options};
    const PFN_vkGetInstanceProcAddr get = open_library(instance);
    const PFN_vkCreateInstance create =
        get ? (PFN_vkCreateInstance)get(NULL, "vkCreateInstance") : NULL;
    if (!create || ingot_vk_is_lacking(options, "vkCreateInstance")) {
        status = ingot_fail(error, INGOT_NOT_FOUND, INGOT_NO_OFFSET, "Vulkan",
                            "no usable libvulkan.so.1 on this machine");
        goto done;
    }
    VkResult result = create_instance(create, instance);
    if (means_no_driver(result)) {
        instance->handle = VK_NULL_HANDLE;
        status = ingot_fail(error, INGOT_NOT_FOUND, INGOT_NO_OFFSET, "Vulkan",
                            "no driver on this machine: %s", ingot_vk_result_name(result));
        goto done;
    }
    if (result != VK_SUCCESS) {
        instance->handle = VK_NULL_HANDLE;
        status = ingot_vk_fail(result, "Vulkan instance", error);
        goto done;
    }
    const char *const missing = load_functions(get, instance);
    if (missing) {
        status = ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "Vulkan loader",
                            "has no function %s", missing);
        goto done;
    }
    if (instance->options.message) result = create_messenger(get, instance);
    if (result != VK_SUCCESS) status = ingot_vk_fail(result, "Vulkan message hook", error);
done:
    if (status != INGOT_OK) ingot_vk_instance_close(instance);
    return status;
}

void ingot_vk_instance_close(struct vk_instance *instance)
{
    if (instance->messenger) {
        instance->destroy_messenger(instance->handle, instance->messenger, NULL);
    }
    if (instance->handle && instance->api.DestroyInstance) {
        instance->api.DestroyInstance(instance->handle, NULL);
    }
    if (instance->library) dlclose(instance->library);
    *instance = (struct vk_instance){0};
}
