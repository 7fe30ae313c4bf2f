/* stream - records, derives barriers, submits, waits, measures. */
#include "common/gpu/stream.h"

#include "common/base/arena.h"
#include "common/gpu/vk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SETS_PER_POOL  256
#define TIMES_PER_POOL 512 /* dispatches; two timestamps each */

/* What was touched since the last barrier. */
struct access {
    const struct gpu_buffer *buffer;
    int64_t from, to;
    bool write;
};

struct view {
    VkBuffer buffer;
    int64_t offset, bytes;
    VkBufferView handle;
};

struct gpu_stream {
    struct gpu *gpu;
    VkCommandBuffer commands;
    VkFence fence;
    bool recording, pending;
    struct error error; /* the first failure while recording */

    VkDescriptorPool *pools;
    int pool_count, sets_left;
    struct view *views;
    int view_count, view_room;
    struct access *touched;
    int touched_count, touched_room;

    int dispatches;
    VkQueryPool *times;
    int time_pools;
    enum kernel *timed; /* by dispatch, when kernels are timed */
    int timed_room;
};

/* Makes room for one more element of a growing array. */
#define GROW(array, count, room)                                                                                       \
    do {                                                                                                               \
        if ((count) == (room)) {                                                                                       \
            (room) = (room) ? 2 * (room) : 64;                                                                         \
            (array) = xrealloc((array), (size_t)(room) * sizeof *(array));                                             \
        }                                                                                                              \
    } while (0)

struct gpu_stream *gpu_stream_new(struct gpu *g, struct error *err)
{
    struct gpu_stream *s = xcalloc(1, sizeof *s);
    s->gpu = g;
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = g->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
    const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
    VkResult r = vkAllocateCommandBuffers(g->device, &info, &s->commands);
    if (r == VK_SUCCESS)
        r = vkCreateFence(g->device, &fence, NULL, &s->fence);
    if (r == VK_SUCCESS)
        r = vkBeginCommandBuffer(s->commands, &begin);
    if (r != VK_SUCCESS) {
        vk_failed(err, r, "cannot record commands");
        gpu_stream_free(&s);
        return NULL;
    }
    s->recording = true;
    return s;
}

void gpu_stream_free(struct gpu_stream **sp)
{
    struct gpu_stream *s = *sp;
    if (!s)
        return;
    VkDevice d = s->gpu->device;
    if (s->pending)
        vkDeviceWaitIdle(d);
    for (int i = 0; i < s->pool_count; i++)
        vkDestroyDescriptorPool(d, s->pools[i], NULL);
    for (int i = 0; i < s->view_count; i++)
        vkDestroyBufferView(d, s->views[i].handle, NULL);
    for (int i = 0; i < s->time_pools; i++)
        vkDestroyQueryPool(d, s->times[i], NULL);
    vkDestroyFence(d, s->fence, NULL);
    if (s->commands)
        vkFreeCommandBuffers(d, s->gpu->pool, 1, &s->commands);
    free(s->pools);
    free(s->views);
    free(s->times);
    free(s->timed);
    free(s->touched);
    free(s);
    *sp = NULL;
}

static bool good(const struct gpu_stream *s)
{
    return s->recording && s->error.kind == ERROR_NONE;
}

/* A barrier when this range meets what was written, or writes what was read, since the last one. */
static bool conflicts(const struct gpu_stream *s, const struct gpu_range *r, bool write)
{
    for (int i = 0; i < s->touched_count; i++) {
        const struct access *a = &s->touched[i];
        if (a->buffer == r->buffer && (a->write || write) && a->from < r->offset + r->bytes && r->offset < a->to)
            return true;
    }
    return false;
}

static void touch(struct gpu_stream *s, const struct gpu_range *r, bool write)
{
    GROW(s->touched, s->touched_count, s->touched_room);
    s->touched[s->touched_count++] = (struct access){ r->buffer, r->offset, r->offset + r->bytes, write };
}

static void barrier(struct gpu_stream *s)
{
    const VkAccessFlags all = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                              VK_ACCESS_TRANSFER_WRITE_BIT;
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = all,
    };
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    vkCmdPipelineBarrier(s->commands, stages, stages, 0, 1, &memory, 0, NULL, 0, NULL);
    s->touched_count = 0;
}

static VkBufferView view_of(struct gpu_stream *s, const struct gpu_range *r)
{
    for (int i = s->view_count - 1; i >= 0; i--)
        if (s->views[i].buffer == r->buffer->handle && s->views[i].offset == r->offset && s->views[i].bytes == r->bytes)
            return s->views[i].handle;
    const VkBufferViewCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
        .buffer = r->buffer->handle,
        .format = VK_FORMAT_R32G32B32A32_SFLOAT,
        .offset = (VkDeviceSize)r->offset,
        .range = (VkDeviceSize)r->bytes,
    };
    VkBufferView handle = VK_NULL_HANDLE;
    VkResult result = vkCreateBufferView(s->gpu->device, &info, NULL, &handle);
    if (result != VK_SUCCESS) {
        vk_failed(&s->error, result, "cannot make a texel view");
        return VK_NULL_HANDLE;
    }
    GROW(s->views, s->view_count, s->view_room);
    s->views[s->view_count++] = (struct view){ r->buffer->handle, r->offset, r->bytes, handle };
    return handle;
}

static VkDescriptorSet set_new(struct gpu_stream *s, VkDescriptorSetLayout layout)
{
    VkDevice d = s->gpu->device;
    if (s->sets_left == 0) {
        const VkDescriptorPoolSize sizes[] = {
            { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SETS_PER_POOL * KERNEL_MAX_BINDINGS },
            { VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, SETS_PER_POOL * KERNEL_MAX_BINDINGS },
        };
        const VkDescriptorPoolCreateInfo info = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
            .maxSets = SETS_PER_POOL,
            .poolSizeCount = 2,
            .pPoolSizes = sizes,
        };
        s->pools = xrealloc(s->pools, (size_t)(s->pool_count + 1) * sizeof *s->pools);
        VkResult r = vkCreateDescriptorPool(d, &info, NULL, &s->pools[s->pool_count]);
        if (r != VK_SUCCESS) {
            vk_failed(&s->error, r, "cannot make a descriptor pool");
            return VK_NULL_HANDLE;
        }
        s->pool_count++;
        s->sets_left = SETS_PER_POOL;
    }
    const VkDescriptorSetAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = s->pools[s->pool_count - 1],
        .descriptorSetCount = 1,
        .pSetLayouts = &layout,
    };
    VkDescriptorSet set = VK_NULL_HANDLE;
    VkResult r = vkAllocateDescriptorSets(d, &info, &set);
    if (r != VK_SUCCESS) {
        vk_failed(&s->error, r, "cannot allocate descriptors");
        return VK_NULL_HANDLE;
    }
    s->sets_left--;
    return set;
}

static VkDescriptorSet bind(struct gpu_stream *s, const struct kernel_state *k, const struct gpu_dispatch *d)
{
    VkDescriptorSet set = set_new(s, k->set_layout);
    VkDescriptorBufferInfo buffers[KERNEL_MAX_BINDINGS];
    VkBufferView views[KERNEL_MAX_BINDINGS];
    VkWriteDescriptorSet writes[KERNEL_MAX_BINDINGS];
    uint32_t count = 0;
    for (int b = 0; b < k->layout.bindings && good(s); b++) {
        const struct gpu_range *r = &d->bind[b];
        if (k->layout.kind[b] == BINDING_NONE)
            continue;
        VkWriteDescriptorSet *w = &writes[count++];
        *w = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = set,
            .dstBinding = (uint32_t)b,
            .descriptorCount = 1,
        };
        if (k->layout.kind[b] == BINDING_STORAGE) {
            buffers[b] = (VkDescriptorBufferInfo){ r->buffer->handle, (VkDeviceSize)r->offset, (VkDeviceSize)r->bytes };
            w->descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
            w->pBufferInfo = &buffers[b];
        } else {
            views[b] = view_of(s, r);
            w->descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
            w->pTexelBufferView = &views[b];
        }
    }
    if (good(s))
        vkUpdateDescriptorSets(s->gpu->device, count, writes, 0, NULL);
    return set;
}

/* Every binding is there, inside its buffer, aligned and within the device's limits. */
static bool check(struct gpu_stream *s, const struct kernel_layout *l, const struct gpu_dispatch *d)
{
    const struct gpu_info *i = &s->gpu->info;
    const char *name = kernel_spirv[d->kernel].name;
    if (d->push_bytes != l->push_bytes)
        return error_set(&s->error, ERROR_INTERNAL, "kernel %s: %d bytes of push constants, the shader has %d", name,
                         d->push_bytes, l->push_bytes);
    for (int b = 0; b < l->bindings; b++) {
        const struct gpu_range *r = &d->bind[b];
        if (l->kind[b] == BINDING_NONE)
            continue;
        int64_t most = l->kind[b] == BINDING_STORAGE ? i->max_range_bytes : i->max_texels * 16;
        if (!r->buffer || r->offset < 0 || r->bytes <= 0 || r->bytes > most || r->offset % i->alignment != 0 ||
            r->offset > r->buffer->bytes - r->bytes)
            return error_set(&s->error, ERROR_INTERNAL,
                             "kernel %s: binding %d has %" PRId64 " bytes at %" PRId64 " of %" PRId64
                             ", at most %" PRId64 " aligned to %d",
                             name, b, r->bytes, r->offset, r->buffer ? r->buffer->bytes : 0, most, i->alignment);
    }
    for (int a = 0; a < 3; a++)
        if (d->groups[a] > i->max_groups[a])
            return error_set(&s->error, ERROR_INTERNAL, "kernel %s: %u workgroups on axis %d, at most %u", name,
                             d->groups[a], a, i->max_groups[a]);
    return true;
}

static void stamp(struct gpu_stream *s, bool after)
{
    int n = s->dispatches;
    if (!after && n % TIMES_PER_POOL == 0) {
        const VkQueryPoolCreateInfo info = {
            .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
            .queryType = VK_QUERY_TYPE_TIMESTAMP,
            .queryCount = 2 * TIMES_PER_POOL,
        };
        s->times = xrealloc(s->times, (size_t)(s->time_pools + 1) * sizeof *s->times);
        VkResult r = vkCreateQueryPool(s->gpu->device, &info, NULL, &s->times[s->time_pools]);
        if (r != VK_SUCCESS) {
            vk_failed(&s->error, r, "cannot make a query pool");
            return;
        }
        vkCmdResetQueryPool(s->commands, s->times[s->time_pools], 0, 2 * TIMES_PER_POOL);
        s->time_pools++;
    }
    vkCmdWriteTimestamp(s->commands, after ? VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT : VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT,
                        s->times[s->time_pools - 1], (uint32_t)(2 * (n % TIMES_PER_POOL) + (after ? 1 : 0)));
}

void gpu_stream_dispatch(struct gpu_stream *s, const struct gpu_dispatch *d)
{
    if (!good(s))
        return;
    struct gpu *g = s->gpu;
    VkPipeline pipeline = kernel_pipeline(g, d->kernel, d->spec, &s->error);
    if (!pipeline)
        return;
    const struct kernel_state *k = kernel_get(g, d->kernel, &s->error);
    const struct kernel_layout *l = &k->layout;
    if (!check(s, l, d))
        return;
    VkDescriptorSet set = bind(s, k, d);
    if (!good(s))
        return;
    bool conflict = false;
    for (int b = 0; b < l->bindings; b++)
        conflict = conflict || (l->kind[b] != BINDING_NONE && conflicts(s, &d->bind[b], l->writes[b]));
    if (conflict)
        barrier(s);
    for (int b = 0; b < l->bindings; b++)
        if (l->kind[b] != BINDING_NONE)
            touch(s, &d->bind[b], l->writes[b]);
    if (g->time_kernels) {
        stamp(s, false);
        if (!good(s))
            return;
        GROW(s->timed, s->dispatches, s->timed_room);
        s->timed[s->dispatches] = d->kernel;
    }
    vkCmdBindPipeline(s->commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vkCmdBindDescriptorSets(s->commands, VK_PIPELINE_BIND_POINT_COMPUTE, k->pipeline_layout, 0, 1, &set, 0, NULL);
    if (d->push_bytes > 0)
        vkCmdPushConstants(s->commands, k->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, (uint32_t)d->push_bytes,
                           d->push);
    vkCmdDispatch(s->commands, d->groups[0] ? d->groups[0] : 1, d->groups[1] ? d->groups[1] : 1,
                  d->groups[2] ? d->groups[2] : 1);
    if (g->time_kernels)
        stamp(s, true);
    s->dispatches++;
}

void gpu_stream_copy(struct gpu_stream *s, struct gpu_range from, struct gpu_range to)
{
    if (!good(s))
        return;
    if (from.bytes != to.bytes || from.bytes <= 0 || from.offset > from.buffer->bytes - from.bytes ||
        to.offset > to.buffer->bytes - to.bytes) {
        error_set(&s->error, ERROR_INTERNAL, "copy of %" PRId64 " to %" PRId64 " bytes does not fit its buffers",
                  from.bytes, to.bytes);
        return;
    }
    if (conflicts(s, &from, false) || conflicts(s, &to, true))
        barrier(s);
    touch(s, &from, false);
    touch(s, &to, true);
    const VkBufferCopy region = { (VkDeviceSize)from.offset, (VkDeviceSize)to.offset, (VkDeviceSize)from.bytes };
    vkCmdCopyBuffer(s->commands, from.buffer->handle, to.buffer->handle, 1, &region);
}

bool gpu_stream_finish(struct gpu_stream *s, struct error *err)
{
    if (s->error.kind != ERROR_NONE) {
        if (err)
            *err = s->error;
        return false;
    }
    /* What was written is read by the host, or by the next run. */
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
    };
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    vkCmdPipelineBarrier(s->commands, stages, stages | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &memory, 0, NULL, 0, NULL);
    VkResult r = vkEndCommandBuffer(s->commands);
    s->recording = false;
    if (r != VK_SUCCESS)
        return vk_failed(err, r, "cannot end a recording");
    return gpu_check(s->gpu, err);
}

bool gpu_stream_submit(struct gpu_stream *s, struct error *err)
{
    if (s->recording || s->pending)
        return error_set(err, ERROR_INTERNAL, "stream submitted while it is %s", s->recording ? "recorded" : "running");
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &s->commands,
    };
    VkResult r = vkResetFences(s->gpu->device, 1, &s->fence);
    if (r == VK_SUCCESS)
        r = vkQueueSubmit(s->gpu->queue, 1, &submit, s->fence);
    if (r != VK_SUCCESS)
        return vk_failed(err, r, "cannot submit");
    s->pending = true;
    return true;
}

static bool collect_times(struct gpu_stream *s, struct error *err)
{
    uint64_t ticks[2 * TIMES_PER_POOL];
    for (int p = 0; p < s->time_pools; p++) {
        int left = s->dispatches - p * TIMES_PER_POOL;
        int n = left < TIMES_PER_POOL ? left : TIMES_PER_POOL;
        VkResult r = vkGetQueryPoolResults(s->gpu->device, s->times[p], 0, 2 * (uint32_t)n, sizeof ticks, ticks,
                                           sizeof *ticks, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
        if (r != VK_SUCCESS)
            return vk_failed(err, r, "cannot read timestamps");
        for (int i = 0; i < n; i++) {
            struct kernel_state *k = &s->gpu->kernel[s->timed[p * TIMES_PER_POOL + i]];
            k->seconds += (double)(ticks[2 * i + 1] - ticks[2 * i]) * s->gpu->ns_per_tick * 1e-9;
            k->calls++;
        }
    }
    return true;
}

bool gpu_stream_wait(struct gpu_stream *s, int64_t timeout_ms, struct error *err)
{
    if (!s->pending)
        return error_set(err, ERROR_INTERNAL, "waiting for a stream that does not run");
    VkResult r = vkWaitForFences(s->gpu->device, 1, &s->fence, VK_TRUE, (uint64_t)timeout_ms * 1000000u);
    if (r == VK_TIMEOUT)
        return error_set(err, ERROR_DEVICE, "device %s: no end after %" PRId64 " ms", s->gpu->info.name, timeout_ms);
    if (r != VK_SUCCESS)
        return vk_failed(err, r, "running on the device");
    s->pending = false;
    return collect_times(s, err) && gpu_check(s->gpu, err);
}
