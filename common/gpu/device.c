/* device - finds, ranks and opens devices. */
#include "common/gpu/vk.h"

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *gpu_kind_name(enum gpu_kind kind)
{
    static const char *const names[] = { "discrete", "integrated", "virtual", "other", "software" };
    return names[kind];
}

static enum gpu_kind kind_of(VkPhysicalDeviceType t)
{
    switch (t) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return GPU_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return GPU_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return GPU_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return GPU_SOFTWARE;
    default:
        return GPU_OTHER;
    }
}

static int64_t at_most(uint64_t v, int64_t limit)
{
    return v < (uint64_t)limit ? (int64_t)v : limit;
}

static void describe(VkPhysicalDevice d, struct gpu_info *info)
{
    VkPhysicalDeviceVulkan11Properties v11 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES };
    VkPhysicalDeviceVulkan12Properties v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                               .pNext = &v11 };
    VkPhysicalDeviceProperties2 p = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &v12 };
    vkGetPhysicalDeviceProperties2(d, &p);
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(d, &memory);

    VkPhysicalDeviceFeatures features;
    vkGetPhysicalDeviceFeatures(d, &features);
    const VkPhysicalDeviceLimits *l = &p.properties.limits;
    *info = (struct gpu_info){
        .kind = kind_of(p.properties.deviceType),
        .max_range_bytes = l->maxStorageBufferRange,
        .max_texels = l->maxTexelBufferElements,
        .max_allocation_bytes = at_most(v11.maxMemoryAllocationSize, INT64_MAX),
        .subgroup_size = (int)v11.subgroupSize,
        .subgroup_shuffle = (v11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT) &&
                            (v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT),
        .int64 = features.shaderInt64,
    };
    memcpy(info->max_groups, l->maxComputeWorkGroupCount, sizeof info->max_groups);
    uint64_t align = 16; /* a row of four floats */
    align = l->minStorageBufferOffsetAlignment > align ? l->minStorageBufferOffsetAlignment : align;
    align = l->minTexelBufferOffsetAlignment > align ? l->minTexelBufferOffsetAlignment : align;
    info->alignment = (int)align;
    str_copy(info->name, sizeof info->name, p.properties.deviceName);
    char driver[sizeof v12.driverName + sizeof v12.driverInfo + 2];
    snprintf(driver, sizeof driver, "%s %s", v12.driverName, v12.driverInfo);
    str_copy(info->driver, sizeof info->driver, driver);
    memcpy(info->uuid, v11.deviceUUID, 16);
    memcpy(info->uuid + 16, v11.driverUUID, 16);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            (int64_t)memory.memoryHeaps[i].size > info->memory_bytes)
            info->memory_bytes = (int64_t)memory.memoryHeaps[i].size;
}

static bool usable(VkPhysicalDevice d)
{
    VkPhysicalDeviceProperties p;
    vkGetPhysicalDeviceProperties(d, &p);
    return p.apiVersion >= VK_API_VERSION_1_2;
}

#define MAX_DEVICES 32

struct found {
    VkPhysicalDevice handle;
    struct gpu_info info;
};

/* Devices that can do Vulkan 1.2, best first; the driver's order among equals. */
static int find_all(VkInstance instance, struct found to[MAX_DEVICES], struct error *err)
{
    VkPhysicalDevice all[MAX_DEVICES];
    uint32_t count = MAX_DEVICES;
    VkResult r = vkEnumeratePhysicalDevices(instance, &count, all);
    if (r == VK_ERROR_INITIALIZATION_FAILED)
        count = 0; /* how the loader says that no driver is installed */
    else if (r != VK_SUCCESS && r != VK_INCOMPLETE) {
        vk_failed(err, r, "cannot list devices");
        return -1;
    }
    int n = 0;
    for (int kind = GPU_DISCRETE; kind <= GPU_SOFTWARE; kind++)
        for (uint32_t i = 0; i < count; i++) {
            struct gpu_info info;
            if (!usable(all[i]))
                continue;
            describe(all[i], &info);
            if ((int)info.kind != kind)
                continue;
            info.index = n;
            to[n++] = (struct found){ all[i], info };
        }
    return n;
}

int gpu_list(struct gpu_info *to, int room, struct error *err)
{
    VkInstance instance = vk_instance(false, err);
    if (!instance)
        return -1;
    struct found *found = xcalloc(MAX_DEVICES, sizeof *found);
    int n = find_all(instance, found, err);
    for (int i = 0; i < n && i < room; i++)
        to[i] = found[i].info;
    free(found);
    vkDestroyInstance(instance, NULL);
    return n;
}

/* Which of the found devices `wish` means, or -1. */
static int choose(const struct found *found, int n, const char *wish, struct error *err)
{
    if (n == 0) {
        error_set(err, ERROR_DEVICE, "no Vulkan 1.2 device found (Debian: mesa-vulkan-drivers has a software one)");
        return -1;
    }
    if (!wish || !*wish)
        return 0;
    char *end;
    errno = 0;
    long index = strtol(wish, &end, 10);
    if (*end == '\0') {
        if (errno == 0 && index >= 0 && index < n)
            return (int)index;
        error_set(err, ERROR_USAGE, "device %s: there are %d devices, expected 0 to %d", wish, n, n - 1);
        return -1;
    }
    for (int i = 0; i < n; i++)
        if (strcasestr(found[i].info.name, wish))
            return i;
    error_set(err, ERROR_USAGE, "no device's name contains \"%s\"; the best one is \"%s\"", wish, found[0].info.name);
    return -1;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    (void)severity;
    (void)types;
    struct gpu *g = user;
    if (g->messages == g->messages_seen)
        str_copy(g->first_message, sizeof g->first_message, data->pMessage);
    g->messages++;
    log_error("gpu.validation", "message=\"%s\"", data->pMessage);
    return VK_FALSE;
}

static bool listen(struct gpu *g, struct error *err)
{
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)(void (*)(void))vkGetInstanceProcAddr(g->instance,
                                                                                  "vkCreateDebugUtilsMessengerEXT");
    const VkDebugUtilsMessengerCreateInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = g,
    };
    VkResult r = create ? create(g->instance, &info, NULL, &g->messenger) : VK_ERROR_EXTENSION_NOT_PRESENT;
    return r == VK_SUCCESS || vk_failed(err, r, "cannot listen to the validation layer");
}

static bool open_queue(struct gpu *g, struct error *err)
{
    uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(g->physical, &count, NULL);
    VkQueueFamilyProperties *all = xcalloc(count + 1, sizeof *all);
    vkGetPhysicalDeviceQueueFamilyProperties(g->physical, &count, all);
    g->family = count;
    for (uint32_t i = 0; i < count && g->family == count; i++)
        if (all[i].queueFlags & VK_QUEUE_COMPUTE_BIT)
            g->family = i;
    bool timestamps = g->family < count && all[g->family].timestampValidBits > 0;
    free(all);
    if (g->family == count)
        return error_set(err, ERROR_DEVICE, "device %s has no compute queue", g->info.name);
    g->time_kernels = g->time_kernels && timestamps;

    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = g->family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkPhysicalDeviceFeatures features = { .shaderInt64 = g->info.int64 };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .pEnabledFeatures = &features,
    };
    VkResult r = vkCreateDevice(g->physical, &info, NULL, &g->device);
    if (r != VK_SUCCESS)
        return vk_failed(err, r, "cannot open the device");
    vkGetDeviceQueue(g->device, g->family, 0, &g->queue);
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = g->family,
    };
    r = vkCreateCommandPool(g->device, &pool, NULL, &g->pool);
    return r == VK_SUCCESS || vk_failed(err, r, "cannot make a command pool");
}

struct gpu *gpu_open(const struct gpu_options *o, struct error *err)
{
    struct gpu *g = xcalloc(1, sizeof *g);
    struct found *found = xcalloc(MAX_DEVICES, sizeof *found);
    bool ok = false;
    g->time_kernels = o->time_kernels;
    g->instance = vk_instance(o->validate, err);
    if (!g->instance || (o->validate && !listen(g, err)))
        goto out;
    int n = find_all(g->instance, found, err);
    int chosen = n < 0 ? -1 : choose(found, n, o->device, err);
    if (chosen < 0)
        goto out;
    g->physical = found[chosen].handle;
    g->info = found[chosen].info;
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(g->physical, &properties);
    g->ns_per_tick = properties.limits.timestampPeriod;
    vkGetPhysicalDeviceMemoryProperties(g->physical, &g->memory);
    g->max_bytes = o->max_bytes > 0 && o->max_bytes < g->info.memory_bytes ? o->max_bytes : g->info.memory_bytes;
    ok = open_queue(g, err) && kernels_open(g, o->cache_dir, err) && gpu_check(g, err);
out:
    free(found);
    if (!ok)
        gpu_close(&g);
    return g;
}

void gpu_close(struct gpu **gp)
{
    struct gpu *g = *gp;
    if (!g)
        return;
    if (g->device) {
        vkDeviceWaitIdle(g->device);
        gpu_buffer_free(&g->staging);
        kernels_close(g);
        vkDestroyCommandPool(g->device, g->pool, NULL);
        vkDestroyDevice(g->device, NULL);
    }
    if (g->messenger) {
        PFN_vkDestroyDebugUtilsMessengerEXT destroy = (PFN_vkDestroyDebugUtilsMessengerEXT)(void (*)(
            void))vkGetInstanceProcAddr(g->instance, "vkDestroyDebugUtilsMessengerEXT");
        destroy(g->instance, g->messenger, NULL);
    }
    if (g->instance)
        vkDestroyInstance(g->instance, NULL);
    free(g);
    *gp = NULL;
}

const struct gpu_info *gpu_about(const struct gpu *g)
{
    return &g->info;
}

int64_t gpu_bytes_used(const struct gpu *g)
{
    return g->bytes_used;
}

int64_t gpu_bytes_peak(const struct gpu *g)
{
    return g->bytes_peak;
}

bool gpu_check(struct gpu *g, struct error *err)
{
    if (g->messages == g->messages_seen)
        return true;
    int fresh = g->messages - g->messages_seen;
    g->messages_seen = g->messages;
    return error_set(err, ERROR_DEVICE, "Vulkan validation: %d messages, first: %s", fresh, g->first_message);
}

bool gpu_times(const struct gpu *g, int index, struct gpu_time *t)
{
    if (!g->time_kernels || index < 0 || index >= KERNEL_COUNT)
        return false;
    *t = (struct gpu_time){ kernel_spirv[index].name, g->kernel[index].seconds, g->kernel[index].calls };
    return true;
}
