/* conv_texel - convolution as an implicit matrix product for software Vulkan: linear_texel whose rows are output voxels, gathered tap by tap.
 *
 * W is packed as for linear_texel with k = (tap, channel). A lane fetches the four channels of one voxel under one tap; padding is 0. */
#version 460
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_conv
#include "common/nn/exact_math.h"
#include "shaders/lib/wide.glsl"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16;
layout(constant_id = 1) const int TM = 16;
layout(constant_id = 2) const int TN = 4;
layout(constant_id = 4) const int WIDE = 0; /* TN and the row length of y are even */

layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer w;
layout(binding = 2) readonly buffer B { float bias[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };
layout(binding = 3) writeonly buffer YWide { uint64_t y_wide[]; };

const int GROUPS = TM / LANES;

void main()
{
    int lane = int(gl_LocalInvocationID.x);
    int m0 = int(gl_WorkGroupID.x) * TM;
    int n0 = (int(gl_WorkGroupID.y) * LANES + lane) * TN;
    float acc[TM][TN];
    [[unroll]] for (int j = 0; j < TN; j++) {
        float start = p.has_bias != 0 ? bias[min(n0 + j, p.cout - 1)] : 0.0;
        [[unroll]] for (int i = 0; i < TM; i++)
            acc[i][j] = start;
    }
    int vt[GROUPS], vy[GROUPS], vx[GROUPS]; /* where the first tap of a voxel reads */
    [[unroll]] for (int i = 0; i < GROUPS; i++) {
        int v = p.first + min(m0 + i * LANES + lane, p.voxels - 1);
        int line = v / p.w_out;
        int frame = line / p.h_out;
        vx[i] = (v - line * p.w_out) * p.stride_w - p.pad_w;
        vy[i] = (line - frame * p.h_out) * p.stride_h - p.pad_h;
        vt[i] = frame * p.stride_t - p.pad_t;
    }
    int panel = int(gl_WorkGroupID.y) * TN * LANES * p.kernel_t * p.kernel_h * p.kernel_w * p.cin + lane;
    int h = p.h_in << p.up, width = p.w_in << p.up;
    for (int kt = 0; kt < p.kernel_t; kt++)
        for (int ky = 0; ky < p.kernel_h; ky++)
            for (int kx = 0; kx < p.kernel_w; kx++) {
                int at[GROUPS];
                bool inside[GROUPS];
                [[unroll]] for (int i = 0; i < GROUPS; i++) {
                    int t = vt[i] + kt, r = vy[i] + ky, s = vx[i] + kx;
                    inside[i] = t >= 0 && t < p.t_total && r >= 0 && r < h && s >= 0 && s < width;
                    at[i] = inside[i] ? (((t - p.t_first) * p.h_in + (r >> p.up)) * p.w_in + (s >> p.up)) * p.cin : 0;
                }
                for (int k = 0; k < p.cin; k++) {
                    vec4 b[TN];
                    [[unroll]] for (int j = 0; j < TN; j++)
                        b[j] = texelFetch(w, panel + j * LANES);
                    panel += LANES * TN;
                    [[unroll]] for (int i = 0; i < GROUPS; i++) {
                        vec4 a = texelFetch(x, at[i] + k);
                        a = inside[i] ? a : vec4(0.0);
                        [[unroll]] for (int l = 0; l < LANES; l++) {
                            vec4 c = vec4(subgroupShuffle(a.x, l), subgroupShuffle(a.y, l), subgroupShuffle(a.z, l),
                                          subgroupShuffle(a.w, l));
                            [[unroll]] for (int j = 0; j < TN; j++) {
                                float sum = acc[i * LANES + l][j];
                                sum = x_mac(sum, c.x, b[j].x);
                                sum = x_mac(sum, c.y, b[j].y);
                                sum = x_mac(sum, c.z, b[j].z);
                                sum = x_mac(sum, c.w, b[j].w);
                                acc[i * LANES + l][j] = sum;
                            }
                        }
                    }
                }
            }
    [[unroll]] for (int i = 0; i < TM; i++)
        [[unroll]] for (int j = 0; j < TN; j += 1 + WIDE) {
            int m = m0 + i, n = n0 + j, at = m * p.cout + n;
            if (m < p.voxels && n < p.cout) {
                if (WIDE != 0)
                    y_wide[at >> 1] = wide(x_snap(acc[i][j]), x_snap(acc[i][j + WIDE]));
                else
                    y[at] = x_snap(acc[i][j]);
            }
        }
}
