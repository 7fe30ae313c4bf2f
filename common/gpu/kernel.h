/* kernel - embedded SPIR-V made into pipelines, lazily, one per kernel and set of specialisation constants.
 *
 * What a kernel binds (and how big its push constants are) is read from the SPIR-V itself, so that a dispatch can be
 * checked. */
#ifndef SHOTLINE_GPU_KERNEL_H
#define SHOTLINE_GPU_KERNEL_H

#include "common/gpu/device.h"
#include "shaders/kernels.h" /* generated: enum kernel, kernel_spirv[] */

#define KERNEL_MAX_BINDINGS 10
#define KERNEL_MAX_SPECS    8

enum binding_kind { BINDING_NONE, BINDING_STORAGE, BINDING_TEXELS };

struct kernel_layout {
    enum binding_kind kind[KERNEL_MAX_BINDINGS];
    bool reads[KERNEL_MAX_BINDINGS], writes[KERNEL_MAX_BINDINGS];
    int bindings; /* highest binding + 1 */
    int push_bytes;
    int specs; /* highest constant id + 1 */
};

/* Reads the layout of a module; false when it is not SPIR-V or uses what this runtime does not know. */
bool kernel_reflect(struct kernel_layout *l, const uint32_t *words, size_t count, struct error *err);

#endif
