/* conv_few_texel - conv_texel for few output channels: here a lane owns voxels and the weights come by shuffle, so that 3 or 16 channels leave no lane
 * idle. W is packed [tap][k / 4][CO] (one panel of CO columns). */
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
layout(constant_id = 1) const int TV = 4;   /* voxels of a lane */
layout(constant_id = 2) const int CO = 16;  /* columns of the panel: 4, 8 or 16, at most LANES */
layout(constant_id = 3) const int WIDE = 0; /* the row length of y is even */

layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer w;
layout(binding = 2) readonly buffer B { float bias[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };
layout(binding = 3) writeonly buffer YWide { uint64_t y_wide[]; };

void main()
{
    int lane = int(gl_LocalInvocationID.x);
    int m0 = int(gl_WorkGroupID.x) * TV * LANES + lane;
    float acc[TV][CO];
    [[unroll]] for (int j = 0; j < CO; j++) {
        float start = p.has_bias != 0 ? bias[min(j, p.cout - 1)] : 0.0;
        [[unroll]] for (int i = 0; i < TV; i++)
            acc[i][j] = start;
    }
    int vt[TV], vy[TV], vx[TV]; /* where the first tap of a voxel reads */
    [[unroll]] for (int i = 0; i < TV; i++) {
        int v = p.first + min(m0 + i * LANES, p.voxels - 1);
        int line = v / p.w_out;
        int frame = line / p.h_out;
        vx[i] = (v - line * p.w_out) * p.stride_w - p.pad_w;
        vy[i] = (line - frame * p.h_out) * p.stride_h - p.pad_h;
        vt[i] = frame * p.stride_t - p.pad_t;
    }
    int panel = lane % CO;
    int h = p.h_in << p.up, width = p.w_in << p.up;
    for (int kt = 0; kt < p.kernel_t; kt++)
        for (int ky = 0; ky < p.kernel_h; ky++)
            for (int kx = 0; kx < p.kernel_w; kx++) {
                int at[TV];
                bool inside[TV];
                [[unroll]] for (int i = 0; i < TV; i++) {
                    int t = vt[i] + kt, r = vy[i] + ky, s = vx[i] + kx;
                    inside[i] = t >= 0 && t < p.t_total && r >= 0 && r < h && s >= 0 && s < width;
                    at[i] = inside[i] ? (((t - p.t_first) * p.h_in + (r >> p.up)) * p.w_in + (s >> p.up)) * p.cin : 0;
                }
                for (int k = 0; k < p.cin; k++) {
                    vec4 b = texelFetch(w, panel);
                    panel += CO;
                    vec4 a[TV];
                    [[unroll]] for (int i = 0; i < TV; i++) {
                        a[i] = texelFetch(x, at[i] + k);
                        a[i] = inside[i] ? a[i] : vec4(0.0);
                    }
                    [[unroll]] for (int j = 0; j < CO; j++) {
                        vec4 c = vec4(subgroupShuffle(b.x, j), subgroupShuffle(b.y, j), subgroupShuffle(b.z, j),
                                      subgroupShuffle(b.w, j));
                        [[unroll]] for (int i = 0; i < TV; i++) {
                            float sum = acc[i][j];
                            sum = x_mac(sum, a[i].x, c.x);
                            sum = x_mac(sum, a[i].y, c.y);
                            sum = x_mac(sum, a[i].z, c.z);
                            sum = x_mac(sum, a[i].w, c.w);
                            acc[i][j] = sum;
                        }
                    }
                }
            }
    [[unroll]] for (int i = 0; i < TV; i++)
        [[unroll]] for (int j = 0; j < CO; j += 1 + WIDE) {
            int m = m0 + i * LANES, to = m * p.cout + j;
            if (m < p.voxels && j < p.cout) {
                if (WIDE != 0)
                    y_wide[to >> 1] = wide(x_snap(acc[i][j]), x_snap(acc[i][j + WIDE]));
                else
                    y[to] = x_snap(acc[i][j]);
            }
        }
}
