/* vk - the instance and the names of results. */
#include "common/gpu/vk.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

const char *vk_result_name(VkResult r)
{
    switch (r) {
    case VK_SUCCESS:
        return "success";
    case VK_TIMEOUT:
        return "time-out";
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "initialization failed";
    case VK_ERROR_DEVICE_LOST:
        return "device lost";
    case VK_ERROR_MEMORY_MAP_FAILED:
        return "memory map failed";
    case VK_ERROR_LAYER_NOT_PRESENT:
        return "layer not present";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
        return "extension not present";
    case VK_ERROR_FEATURE_NOT_PRESENT:
        return "feature not present";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "incompatible driver";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "too many objects";
    case VK_ERROR_FRAGMENTED_POOL:
        return "fragmented pool";
    case VK_ERROR_OUT_OF_POOL_MEMORY:
        return "out of pool memory";
    default:
        return "unknown result";
    }
}

bool vk_failed(struct error *err, VkResult r, const char *what)
{
    bool memory = r == VK_ERROR_OUT_OF_HOST_MEMORY || r == VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return error_set(err, memory ? ERROR_MEMORY : ERROR_DEVICE, "Vulkan: %s: %s (%d)", what, vk_result_name(r), (int)r);
}

bool vk_has_layer(const char *name)
{
    uint32_t count = 0;
    if (vkEnumerateInstanceLayerProperties(&count, NULL) != VK_SUCCESS)
        return false;
    VkLayerProperties *all = xcalloc(count + 1, sizeof *all);
    bool found = false;
    if (vkEnumerateInstanceLayerProperties(&count, all) == VK_SUCCESS)
        for (uint32_t i = 0; i < count; i++)
            found = found || strcmp(all[i].layerName, name) == 0;
    free(all);
    return found;
}

/* Software Vulkan in Mesa runs 256 bits wide unless told so; it reads the variable when an instance is made, and
 * ignores other drivers'. */
static void widen_lavapipe(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        setenv("LP_NATIVE_VECTOR_WIDTH", "512", 0);
#endif
}

VkInstance vk_instance(bool validate, struct error *err)
{
    widen_lavapipe();
    const char *layer = "VK_LAYER_KHRONOS_validation";
    const char *extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    if (validate && !vk_has_layer(layer)) {
        error_set(err, ERROR_DEVICE, "Vulkan: %s was asked for and is not installed", layer);
        return VK_NULL_HANDLE;
    }
    const VkApplicationInfo app = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "shotline",
        .apiVersion = VK_API_VERSION_1_2,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &app,
        .enabledLayerCount = validate ? 1 : 0,
        .ppEnabledLayerNames = &layer,
        .enabledExtensionCount = validate ? 1 : 0,
        .ppEnabledExtensionNames = &extension,
    };
    VkInstance instance = VK_NULL_HANDLE;
    VkResult r = vkCreateInstance(&info, NULL, &instance);
    if (r != VK_SUCCESS) {
        vk_failed(err, r, "cannot start (is a Vulkan driver installed?)");
        return VK_NULL_HANDLE;
    }
    return instance;
}
