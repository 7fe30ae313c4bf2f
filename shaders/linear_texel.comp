/* linear_texel - x W^T + bias for software Vulkan: a lane owns TN neighbouring columns, rows come to it by shuffle, and every load is a texel fetch.
 *
 * One subgroup per workgroup, no shared memory, no barrier: both are slow there (research: kernels.md). W is packed in panels of TN * LANES columns:
 * texel [panel][k / 4][j][lane] holds four consecutive k of
 * column lane * TN + j. */
#version 460
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_linear
#include "common/nn/exact_math.h"
#include "shaders/lib/wide.glsl"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16; /* the subgroup size */
layout(constant_id = 1) const int TM = 16;    /* rows of a tile, a multiple of LANES */
layout(constant_id = 2) const int TN = 4;
layout(constant_id = 4) const int WIDE = 0; /* TN and the row length of y are even */
layout(constant_id = 3) const int ACT = 0;

layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer w;
layout(binding = 2) readonly buffer B { float bias[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };
layout(binding = 3) writeonly buffer YWide { uint64_t y_wide[]; };

const int GROUPS = TM / LANES;

float finish(float v)
{
    return x_snap(ACT == 1 ? x_gelu(v) : ACT == 2 ? x_silu(v) : v);
}

void main()
{
    int lane = int(gl_LocalInvocationID.x);
    int m0 = int(gl_WorkGroupID.x) * TM;
    int n0 = (int(gl_WorkGroupID.y) * LANES + lane) * TN;
    float acc[TM][TN];
    [[unroll]] for (int j = 0; j < TN; j++) {
        float start = p.has_bias != 0 ? bias[min(p.n_first + n0 + j, p.y_stride - 1)] : 0.0;
        [[unroll]] for (int i = 0; i < TM; i++)
            acc[i][j] = start;
    }
    int row[GROUPS];
    [[unroll]] for (int i = 0; i < GROUPS; i++)
        row[i] = min(m0 + i * LANES + lane, p.m - 1) * p.k;
    int panel = int(gl_WorkGroupID.y) * TN * LANES * p.k + lane;
    for (int k = 0; k < p.k; k++) {
        vec4 b[TN];
        [[unroll]] for (int j = 0; j < TN; j++)
            b[j] = texelFetch(w, panel + j * LANES);
        panel += LANES * TN;
        [[unroll]] for (int i = 0; i < GROUPS; i++) {
            vec4 a = texelFetch(x, row[i] + k);
            [[unroll]] for (int l = 0; l < LANES; l++) {
                vec4 s = vec4(subgroupShuffle(a.x, l), subgroupShuffle(a.y, l), subgroupShuffle(a.z, l), subgroupShuffle(a.w, l));
                [[unroll]] for (int j = 0; j < TN; j++) {
                    float sum = acc[i * LANES + l][j];
                    sum = x_mac(sum, s.x, b[j].x);
                    sum = x_mac(sum, s.y, b[j].y);
                    sum = x_mac(sum, s.z, b[j].z);
                    sum = x_mac(sum, s.w, b[j].w);
                    acc[i * LANES + l][j] = sum;
                }
            }
        }
    }
    [[unroll]] for (int i = 0; i < TM; i++)
        [[unroll]] for (int j = 0; j < TN; j += 1 + WIDE) {
            int m = m0 + i, n = n0 + j, at = m * p.y_stride + p.n_first + n;
            if (m < p.m && n < p.n) {
                if (WIDE != 0)
                    y_wide[at >> 1] = wide(finish(acc[i][j]), finish(acc[i][j + WIDE]));
                else
                    y[at] = finish(acc[i][j]);
            }
        }
}
