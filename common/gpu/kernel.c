/* kernel - modules, layouts, pipelines and the cache of compiled pipelines on disk. */
#include "common/gpu/vk.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_MAX_BYTES (256u << 20)

/* The file's name carries device, driver and vector width: a cache of another one is never offered to the driver. */
static void cache_name(struct gpu *g, const char *dir)
{
    struct hash h;
    hash_begin(&h);
    hash_bytes(&h, g->info.uuid, sizeof g->info.uuid);
    hash_text(&h, g->info.name);
    hash_text(&h, g->info.driver);
    struct digest d = hash_end(&h);
    char hex[DIGEST_HEX_ROOM], name[64];
    digest_hex(&d, hex);
    snprintf(name, sizeof name, "pipelines-%.16s.bin", hex);
    if (!file_join(g->cache_path, sizeof g->cache_path, dir, name))
        g->cache_path[0] = '\0';
}

bool kernels_open(struct gpu *g, const char *cache_dir, struct error *err)
{
    char *data = NULL;
    size_t size = 0;
    if (cache_dir) {
        cache_name(g, cache_dir);
        if (g->cache_path[0] && file_exists(g->cache_path))
            data = file_read(g->cache_path, CACHE_MAX_BYTES, &size, NULL); /* unreadable is as good as absent */
    }
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = data ? size : 0,
        .pInitialData = data,
    };
    VkResult r = vkCreatePipelineCache(g->device, &info, NULL, &g->cache);
    if (r != VK_SUCCESS) {
        info.initialDataSize = 0;
        r = vkCreatePipelineCache(g->device, &info, NULL, &g->cache);
    }
    free(data);
    return r == VK_SUCCESS || vk_failed(err, r, "cannot make a pipeline cache");
}

/* A cache that cannot be kept costs time and nothing else: it is logged. */
static void cache_save(struct gpu *g)
{
    size_t size = 0;
    if (!g->cache_path[0] || !g->cache_grew || vkGetPipelineCacheData(g->device, g->cache, &size, NULL) != VK_SUCCESS)
        return;
    void *data = xmalloc(size + 1);
    struct error err = { 0 };
    if (vkGetPipelineCacheData(g->device, g->cache, &size, data) == VK_SUCCESS &&
        !file_write(g->cache_path, data, size, &err))
        log_warn("gpu.cache", "error=\"%s\"", err.text);
    free(data);
}

void kernels_close(struct gpu *g)
{
    cache_save(g);
    for (int k = 0; k < KERNEL_COUNT; k++) {
        struct kernel_state *s = &g->kernel[k];
        for (struct pipeline *p = s->pipelines, *next; p; p = next) {
            next = p->next;
            vkDestroyPipeline(g->device, p->handle, NULL);
            free(p);
        }
        vkDestroyPipelineLayout(g->device, s->pipeline_layout, NULL);
        vkDestroyDescriptorSetLayout(g->device, s->set_layout, NULL);
        vkDestroyShaderModule(g->device, s->module, NULL);
    }
    vkDestroyPipelineCache(g->device, g->cache, NULL);
}

static VkResult make_layouts(struct gpu *g, struct kernel_state *s)
{
    VkDescriptorSetLayoutBinding bindings[KERNEL_MAX_BINDINGS];
    uint32_t count = 0;
    for (int b = 0; b < s->layout.bindings; b++)
        if (s->layout.kind[b] != BINDING_NONE)
            bindings[count++] = (VkDescriptorSetLayoutBinding){
                .binding = (uint32_t)b,
                .descriptorType = s->layout.kind[b] == BINDING_STORAGE ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                                       : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
                .descriptorCount = 1,
                .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
            };
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = count,
        .pBindings = bindings,
    };
    VkResult r = vkCreateDescriptorSetLayout(g->device, &set, NULL, &s->set_layout);
    if (r != VK_SUCCESS)
        return r;
    const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, (uint32_t)s->layout.push_bytes };
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &s->set_layout,
        .pushConstantRangeCount = s->layout.push_bytes > 0 ? 1 : 0,
        .pPushConstantRanges = &push,
    };
    return vkCreatePipelineLayout(g->device, &layout, NULL, &s->pipeline_layout);
}

struct kernel_state *kernel_get(struct gpu *g, enum kernel k, struct error *err)
{
    struct kernel_state *s = &g->kernel[k];
    const struct kernel_spirv *code = &kernel_spirv[k];
    if (s->ready)
        return s;
    if (!s->module) {
        if (!kernel_reflect(&s->layout, code->words, code->count, err)) {
            error_wrap(err, "kernel %s", code->name);
            return NULL;
        }
        const VkShaderModuleCreateInfo info = {
            .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
            .codeSize = code->count * sizeof *code->words,
            .pCode = code->words,
        };
        VkResult r = vkCreateShaderModule(g->device, &info, NULL, &s->module);
        if (r == VK_SUCCESS)
            r = make_layouts(g, s);
        if (r != VK_SUCCESS) {
            vk_failed(err, r, code->name);
            return NULL;
        }
    }
    s->ready = true;
    return s;
}

VkPipeline kernel_pipeline(struct gpu *g, enum kernel k, const uint32_t spec[KERNEL_MAX_SPECS], struct error *err)
{
    struct kernel_state *s = kernel_get(g, k, err);
    if (!s)
        return VK_NULL_HANDLE;
    size_t spec_bytes = (size_t)s->layout.specs * sizeof *spec;
    for (struct pipeline *p = s->pipelines; p; p = p->next)
        if (memcmp(p->spec, spec, spec_bytes) == 0)
            return p->handle;
    VkSpecializationMapEntry entries[KERNEL_MAX_SPECS];
    for (uint32_t i = 0; i < KERNEL_MAX_SPECS; i++)
        entries[i] = (VkSpecializationMapEntry){ i, i * (uint32_t)sizeof *spec, sizeof *spec };
    const VkSpecializationInfo constants = { (uint32_t)s->layout.specs, entries, spec_bytes, spec };
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                   .module = s->module,
                   .pName = "main",
                   .pSpecializationInfo = s->layout.specs > 0 ? &constants : NULL },
        .layout = s->pipeline_layout,
    };
    VkPipeline handle = VK_NULL_HANDLE;
    VkResult r = vkCreateComputePipelines(g->device, g->cache, 1, &info, NULL, &handle);
    if (r != VK_SUCCESS) {
        vk_failed(err, r, kernel_spirv[k].name);
        return VK_NULL_HANDLE;
    }
    struct pipeline *p = xcalloc(1, sizeof *p);
    p->handle = handle;
    memcpy(p->spec, spec, sizeof p->spec);
    p->next = s->pipelines;
    s->pipelines = p;
    g->cache_grew = true;
    return handle;
}
