/* linear_row_texel - linear_texel for one or few rows: a workgroup makes one row of a panel; LANES steps of k come with one fetch of x. */
#version 460
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_linear
#include "common/nn/exact_math.h"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16;
layout(constant_id = 1) const int TN = 4;
layout(constant_id = 2) const int ACT = 0;

layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer w;
layout(binding = 2) readonly buffer B { float bias[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };

void main()
{
    int lane = int(gl_LocalInvocationID.x);
    int m = int(gl_WorkGroupID.x);
    int n0 = (int(gl_WorkGroupID.y) * LANES + lane) * TN;
    float acc[TN];
    [[unroll]] for (int j = 0; j < TN; j++)
        acc[j] = p.has_bias != 0 ? bias[min(p.n_first + n0 + j, p.y_stride - 1)] : 0.0;
    int panel = int(gl_WorkGroupID.y) * TN * LANES * p.k + lane;
    int last = (int(gl_WorkGroupID.y) + 1) * TN * LANES * p.k - TN * LANES + lane;
    for (int k = 0; k < p.k; k += LANES) {
        vec4 a = texelFetch(x, m * p.k + min(k + lane, p.k - 1));
        a = k + lane < p.k ? a : vec4(0.0); /* past the end: adding 0 * w changes nothing */
        [[unroll]] for (int l = 0; l < LANES; l++) {
            vec4 s = vec4(subgroupShuffle(a.x, l), subgroupShuffle(a.y, l), subgroupShuffle(a.z, l), subgroupShuffle(a.w, l));
            [[unroll]] for (int j = 0; j < TN; j++) {
                vec4 b = texelFetch(w, min(panel, last) + j * LANES);
                float sum = acc[j];
                sum = x_mac(sum, s.x, b.x);
                sum = x_mac(sum, s.y, b.y);
                sum = x_mac(sum, s.z, b.z);
                sum = x_mac(sum, s.w, b.w);
                acc[j] = sum;
            }
            panel += LANES * TN;
        }
    }
    [[unroll]] for (int j = 0; j < TN; j++) {
        int n = n0 + j;
        float r = acc[j];
        r = ACT == 1 ? x_gelu(r) : ACT == 2 ? x_silu(r) : r;
        if (n < p.n)
            y[m * p.y_stride + p.n_first + n] = x_snap(r);
    }
}
