/* buffer - memory types, the budget, and transfers. */
#include "common/gpu/vk.h"

#include "common/base/arena.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TRANSFER_TIMEOUT_NS (60ull * 1000 * 1000 * 1000)

/* The first allowed memory type that has `wanted`, -1 when there is none. */
static int memory_type(const struct gpu *g, uint32_t allowed, VkMemoryPropertyFlags wanted)
{
    for (uint32_t i = 0; i < g->memory.memoryTypeCount; i++)
        if ((allowed & (1u << i)) && (g->memory.memoryTypes[i].propertyFlags & wanted) == wanted)
            return (int)i;
    return -1;
}

static bool charge(struct gpu *g, int64_t bytes, struct error *err)
{
    if (bytes > g->max_bytes - g->bytes_used)
        return error_set(err, ERROR_MEMORY,
                         "device memory: %" PRId64 " bytes wanted, %" PRId64 " of %" PRId64 " are in use", bytes,
                         g->bytes_used, g->max_bytes);
    g->bytes_used += bytes;
    if (g->bytes_used > g->bytes_peak)
        g->bytes_peak = g->bytes_used;
    return true;
}

static bool allocate(struct gpu_buffer *b, bool staging, struct error *err)
{
    struct gpu *g = b->gpu;
    VkMemoryRequirements need;
    vkGetBufferMemoryRequirements(g->device, b->handle, &need);
    const VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    int type = -1;
    /* Where the device's memory is the host's, mapping it saves a copy of everything. */
    if (!staging && (g->info.kind == GPU_SOFTWARE || g->info.kind == GPU_INTEGRATED))
        type = memory_type(g, need.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | host);
    if (type < 0)
        type = memory_type(g, need.memoryTypeBits, staging ? host : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    if (type < 0)
        type = memory_type(g, need.memoryTypeBits, host);
    if (type < 0)
        return error_set(err, ERROR_DEVICE, "device %s has no memory type for buffers", g->info.name);
    if (!charge(g, (int64_t)need.size, err))
        return false;
    b->charged = (int64_t)need.size;
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = need.size,
        .memoryTypeIndex = (uint32_t)type,
    };
    VkResult r = vkAllocateMemory(g->device, &info, NULL, &b->memory);
    if (r == VK_SUCCESS)
        r = vkBindBufferMemory(g->device, b->handle, b->memory, 0);
    if (r == VK_SUCCESS && (g->memory.memoryTypes[type].propertyFlags & host) == host &&
        (staging || g->info.kind == GPU_SOFTWARE || g->info.kind == GPU_INTEGRATED))
        r = vkMapMemory(g->device, b->memory, 0, VK_WHOLE_SIZE, 0, &b->mapped);
    return r == VK_SUCCESS || vk_failed(err, r, "cannot allocate device memory");
}

static struct gpu_buffer *buffer_new(struct gpu *g, int64_t bytes, bool staging, struct error *err)
{
    if (bytes <= 0 || bytes > g->info.max_allocation_bytes) {
        error_set(err, ERROR_MEMORY, "device memory: one buffer of %" PRId64 " bytes, the device takes up to %" PRId64,
                  bytes, g->info.max_allocation_bytes);
        return NULL;
    }
    struct gpu_buffer *b = xcalloc(1, sizeof *b);
    b->gpu = g;
    b->bytes = bytes;
    VkBufferUsageFlags usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    if (!staging)
        usage |= VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = (VkDeviceSize)bytes,
        .usage = usage,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    VkResult r = vkCreateBuffer(g->device, &info, NULL, &b->handle);
    bool ok = r == VK_SUCCESS ? allocate(b, staging, err) : vk_failed(err, r, "cannot make a buffer");
    if (!ok)
        gpu_buffer_free(&b);
    return b;
}

struct gpu_buffer *gpu_buffer_new(struct gpu *g, int64_t bytes, struct error *err)
{
    return buffer_new(g, bytes, false, err);
}

struct gpu_buffer *buffer_new_staging(struct gpu *g, int64_t bytes, struct error *err)
{
    return buffer_new(g, bytes, true, err);
}

void gpu_buffer_free(struct gpu_buffer **bp)
{
    struct gpu_buffer *b = *bp;
    if (!b)
        return;
    vkDestroyBuffer(b->gpu->device, b->handle, NULL);
    vkFreeMemory(b->gpu->device, b->memory, NULL);
    b->gpu->bytes_used -= b->charged;
    free(b);
    *bp = NULL;
}

int64_t gpu_buffer_bytes(const struct gpu_buffer *b)
{
    return b->bytes;
}

/* Runs one command of a transfer and waits for it: rare (uploads, downloads), so nothing is kept. */
struct transfer {
    VkCommandBuffer commands;
    VkFence fence;
};

static bool transfer_begin(struct gpu *g, struct transfer *t, struct error *err)
{
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = g->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                             .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT };
    const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
    *t = (struct transfer){ 0 };
    VkResult r = vkAllocateCommandBuffers(g->device, &info, &t->commands);
    if (r == VK_SUCCESS)
        r = vkCreateFence(g->device, &fence, NULL, &t->fence);
    if (r == VK_SUCCESS)
        r = vkBeginCommandBuffer(t->commands, &begin);
    return r == VK_SUCCESS || vk_failed(err, r, "cannot record a transfer");
}

static bool transfer_end(struct gpu *g, struct transfer *t, bool ok, struct error *err)
{
    if (ok) {
        const VkMemoryBarrier barrier = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
            .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
            .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT,
        };
        vkCmdPipelineBarrier(t->commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                             VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                                 VK_PIPELINE_STAGE_TRANSFER_BIT,
                             0, 1, &barrier, 0, NULL, 0, NULL);
        VkResult r = vkEndCommandBuffer(t->commands);
        const VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                      .commandBufferCount = 1,
                                      .pCommandBuffers = &t->commands };
        if (r == VK_SUCCESS)
            r = vkQueueSubmit(g->queue, 1, &submit, t->fence);
        if (r == VK_SUCCESS)
            r = vkWaitForFences(g->device, 1, &t->fence, VK_TRUE, TRANSFER_TIMEOUT_NS);
        if (r == VK_TIMEOUT)
            vkDeviceWaitIdle(g->device); /* the commands must not outlive their buffer */
        ok = r == VK_SUCCESS || vk_failed(err, r, "transfer");
    }
    vkDestroyFence(g->device, t->fence, NULL);
    if (t->commands)
        vkFreeCommandBuffers(g->device, g->pool, 1, &t->commands);
    return ok && gpu_check(g, err);
}

static bool staging_ready(struct gpu *g, struct error *err)
{
    if (!g->staging)
        g->staging = buffer_new_staging(g, STAGING_BYTES, err);
    return g->staging != NULL;
}

static bool copy_now(struct gpu *g, VkBuffer from, int64_t from_at, VkBuffer to, int64_t to_at, int64_t bytes,
                     struct error *err)
{
    struct transfer t;
    bool ok = transfer_begin(g, &t, err);
    if (ok) {
        const VkBufferCopy region = { (VkDeviceSize)from_at, (VkDeviceSize)to_at, (VkDeviceSize)bytes };
        vkCmdCopyBuffer(t.commands, from, to, 1, &region);
    }
    return transfer_end(g, &t, ok, err);
}

static bool inside(const struct gpu_buffer *b, int64_t offset, int64_t bytes, struct error *err)
{
    if (offset < 0 || bytes < 0 || bytes > b->bytes || offset > b->bytes - bytes)
        return error_set(err, ERROR_INTERNAL, "transfer of %" PRId64 " bytes at %" PRId64 " in a buffer of %" PRId64,
                         bytes, offset, b->bytes);
    return true;
}

bool gpu_buffer_write(struct gpu_buffer *b, int64_t offset, const void *data, int64_t bytes, struct error *err)
{
    struct gpu *g = b->gpu;
    if (!inside(b, offset, bytes, err))
        return false;
    if (b->mapped) {
        memcpy((char *)b->mapped + offset, data, (size_t)bytes);
        return gpu_check(g, err);
    }
    if (!staging_ready(g, err))
        return false;
    for (int64_t at = 0; at < bytes; at += STAGING_BYTES) {
        int64_t part = bytes - at < STAGING_BYTES ? bytes - at : STAGING_BYTES;
        memcpy(g->staging->mapped, (const char *)data + at, (size_t)part);
        if (!copy_now(g, g->staging->handle, 0, b->handle, offset + at, part, err))
            return false;
    }
    return true;
}

bool gpu_buffer_read(struct gpu_buffer *b, int64_t offset, void *data, int64_t bytes, struct error *err)
{
    struct gpu *g = b->gpu;
    if (!inside(b, offset, bytes, err))
        return false;
    if (b->mapped) {
        memcpy(data, (const char *)b->mapped + offset, (size_t)bytes);
        return gpu_check(g, err);
    }
    if (!staging_ready(g, err))
        return false;
    for (int64_t at = 0; at < bytes; at += STAGING_BYTES) {
        int64_t part = bytes - at < STAGING_BYTES ? bytes - at : STAGING_BYTES;
        if (!copy_now(g, b->handle, offset + at, g->staging->handle, 0, part, err))
            return false;
        memcpy((char *)data + at, g->staging->mapped, (size_t)part);
    }
    return true;
}

bool gpu_buffer_zero(struct gpu_buffer *b, struct error *err)
{
    struct gpu *g = b->gpu;
    if (b->mapped) {
        memset(b->mapped, 0, (size_t)b->bytes);
        return gpu_check(g, err);
    }
    struct transfer t;
    bool ok = transfer_begin(g, &t, err);
    if (ok)
        vkCmdFillBuffer(t.commands, b->handle, 0, VK_WHOLE_SIZE, 0);
    return transfer_end(g, &t, ok, err);
}
