/* vk - what the files of common/gpu share; nothing outside includes this or vulkan.h. */
#ifndef SHOTLINE_GPU_VK_H
#define SHOTLINE_GPU_VK_H

#include "common/gpu/buffer.h"
#include "common/gpu/device.h"
#include "common/gpu/kernel.h"

#include <vulkan/vulkan.h>

#define STAGING_BYTES (8 << 20)

struct pipeline {
    uint32_t spec[KERNEL_MAX_SPECS];
    VkPipeline handle;
    struct pipeline *next;
};

struct kernel_state {
    bool ready;
    struct kernel_layout layout;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout pipeline_layout;
    VkShaderModule module;
    struct pipeline *pipelines;
    double seconds; /* time_kernels */
    int64_t calls;
};

struct gpu {
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkCommandPool pool;
    VkPhysicalDeviceMemoryProperties memory;
    struct gpu_info info;
    double ns_per_tick;
    bool time_kernels;

    int64_t max_bytes, bytes_used, bytes_peak;
    struct gpu_buffer *staging; /* made when first needed */

    VkPipelineCache cache;
    char cache_path[512]; /* "" when nothing is kept */
    bool cache_grew;
    struct kernel_state kernel[KERNEL_COUNT];

    int messages, messages_seen;
    char first_message[400]; /* of those not yet reported by gpu_check */
};

struct gpu_buffer {
    struct gpu *gpu;
    VkBuffer handle;
    VkDeviceMemory memory;
    int64_t bytes;
    int64_t charged; /* against max_bytes */
    void *mapped;    /* NULL: only the device sees it */
};

const char *vk_result_name(VkResult r);
/* Turns a failed call into *err: out-of-memory results become ERROR_MEMORY, all others ERROR_DEVICE. Returns false. */
bool vk_failed(struct error *err, VkResult r, const char *what);

VkInstance vk_instance(bool validate, struct error *err);
bool vk_has_layer(const char *name);

/* A buffer that the host maps. */
struct gpu_buffer *buffer_new_staging(struct gpu *g, int64_t bytes, struct error *err);

/* Makes module, layouts and reflection on first use. */
struct kernel_state *kernel_get(struct gpu *g, enum kernel k, struct error *err);
VkPipeline kernel_pipeline(struct gpu *g, enum kernel k, const uint32_t spec[KERNEL_MAX_SPECS], struct error *err);
bool kernels_open(struct gpu *g, const char *cache_dir, struct error *err);
void kernels_close(struct gpu *g);

#endif
