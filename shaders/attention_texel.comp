/* attention_texel - online softmax for software Vulkan: a lane owns a query; keys and values reach it by shuffle. One subgroup per workgroup.
 *
 * Masked keys take part with weight 0, which adds +0 and changes no bit; only the rescaling is left out where a block has no visible key. */
#version 460
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_attention
#include "common/nn/exact_math.h"
#include "shaders/lib/wide.glsl"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16;
layout(constant_id = 1) const int FOURS = 8;  /* dimensions of the result that this dispatch makes, in fours */
layout(constant_id = 2) const int BIAS = 0;
layout(constant_id = 3) const int MASK = 0;
layout(constant_id = 4) const int CAUSAL = 0;

layout(binding = 0) uniform textureBuffer q;
layout(binding = 1) uniform textureBuffer k;
layout(binding = 2) uniform textureBuffer v;
layout(binding = 3) uniform textureBuffer bias;
layout(binding = 4) uniform textureBuffer mask;
layout(binding = 5) uniform textureBuffer offset;
layout(binding = 6) writeonly buffer Y { u64vec2 y[]; };

const int BLOCK = 16;
const int FETCHES = BLOCK / LANES;
const int PER_FETCH = LANES < FOURS ? 1 : LANES / FOURS; /* keys whose values come with one fetch */

void main()
{
    int lane = int(gl_LocalInvocationID.x), head = int(gl_WorkGroupID.y);
    int query = int(gl_WorkGroupID.x) * LANES + lane;
    int q_at = min(query, p.lq - 1) * (p.q_stride >> 2) + head * p.head_dim;
    int kv_row = p.kv_stride >> 2, kv_at = head / p.group * p.head_dim;
    int v_at = kv_at + p.d_first;
    int end = p.lk, lane_end = p.lk;
    if (CAUSAL != 0) {
        int last = int(texelFetch(offset, 0).x) + p.first;
        end = min(p.lk, last + min(int(gl_WorkGroupID.x) * LANES + LANES, p.lq));
        lane_end = min(p.lk, last + query + 1);
    }
    vec4 o[FOURS];
    [[unroll]] for (int d = 0; d < FOURS; d++)
        o[d] = vec4(0.0);
    precise float m = -1e30, sum = 0.0;
    int bias_at = BIAS != 0 ? ((head * p.lq_total + p.first + min(query, p.lq - 1)) * p.lk) >> 2 : 0;
    for (int k0 = 0; k0 < end; k0 += BLOCK) {
        float s[BLOCK];
        [[unroll]] for (int j = 0; j < BLOCK; j++)
            s[j] = 0.0;
        int k_at[FETCHES];
        [[unroll]] for (int i = 0; i < FETCHES; i++)
            k_at[i] = min(k0 + i * LANES + lane, p.lk - 1) * kv_row + kv_at;
        for (int d = 0; d < p.head_dim; d++) {
            vec4 a = texelFetch(q, q_at + d);
            [[unroll]] for (int i = 0; i < FETCHES; i++) {
                vec4 b = texelFetch(k, k_at[i] + d);
                [[unroll]] for (int l = 0; l < LANES; l++) {
                    float t = s[i * LANES + l];
                    t = x_mac(t, a.x, subgroupShuffle(b.x, l));
                    t = x_mac(t, a.y, subgroupShuffle(b.y, l));
                    t = x_mac(t, a.z, subgroupShuffle(b.z, l));
                    t = x_mac(t, a.w, subgroupShuffle(b.w, l));
                    s[i * LANES + l] = t;
                }
            }
        }
        float top = m;
        bool visible[BLOCK];
        bool any_visible = false;
        [[unroll]] for (int j4 = 0; j4 < BLOCK / 4; j4++) {
            vec4 more = BIAS != 0 ? texelFetch(bias, bias_at + min((k0 >> 2) + j4, (p.lk - 1) >> 2)) : vec4(0.0);
            vec4 open = MASK != 0 ? texelFetch(mask, min((k0 >> 2) + j4, (p.lk - 1) >> 2)) : vec4(1.0);
            [[unroll]] for (int c = 0; c < 4; c++) {
                int j = j4 * 4 + c;
                precise float t = s[j] * p.scale;
                if (BIAS != 0)
                    t = t + more[c];
                s[j] = t;
                visible[j] = k0 + j < lane_end && open[c] != 0.0;
                any_visible = any_visible || visible[j];
                top = visible[j] && t > top ? t : top;
            }
        }
        precise float less = m - top;
        float c = x_snap(x_exp(less));
        precise float scaled = sum * c;
        sum = any_visible ? x_snap(scaled) : sum;
        m = top;
        [[unroll]] for (int j = 0; j < BLOCK; j++) {
            precise float t = s[j] - top;
            s[j] = visible[j] ? x_snap(x_exp(t)) : 0.0;
            sum = sum + s[j];
        }
        [[unroll]] for (int d = 0; d < FOURS; d++) {
            precise vec4 r = o[d] * c;
            o[d] = any_visible ? vec4(x_snap(r.x), x_snap(r.y), x_snap(r.z), x_snap(r.w)) : o[d];
        }
        if (PER_FETCH == 1) {
            [[unroll]] for (int j = 0; j < BLOCK; j++) {
                int row = min(k0 + j, p.lk - 1) * kv_row + v_at;
                [[unroll]] for (int f = 0; f < FOURS; f += LANES) {
                    vec4 b = texelFetch(v, row + min(f + lane, FOURS - 1));
                    [[unroll]] for (int l = 0; l < LANES; l++)
                        if (f + l < FOURS) {
                            o[f + l].x = x_mac(o[f + l].x, s[j], subgroupShuffle(b.x, l));
                            o[f + l].y = x_mac(o[f + l].y, s[j], subgroupShuffle(b.y, l));
                            o[f + l].z = x_mac(o[f + l].z, s[j], subgroupShuffle(b.z, l));
                            o[f + l].w = x_mac(o[f + l].w, s[j], subgroupShuffle(b.w, l));
                        }
                }
            }
        } else {
            [[unroll]] for (int j = 0; j < BLOCK; j += PER_FETCH) {
                int row = min(k0 + j + lane / FOURS, p.lk - 1) * kv_row + v_at;
                vec4 b = texelFetch(v, row + lane % FOURS);
                [[unroll]] for (int l = 0; l < PER_FETCH * FOURS; l++)
                    if (j + l / FOURS < BLOCK) {
                        int d = l % FOURS;
                        float weight = s[j + l / FOURS];
                        o[d].x = x_mac(o[d].x, weight, subgroupShuffle(b.x, l));
                        o[d].y = x_mac(o[d].y, weight, subgroupShuffle(b.y, l));
                        o[d].z = x_mac(o[d].z, weight, subgroupShuffle(b.z, l));
                        o[d].w = x_mac(o[d].w, weight, subgroupShuffle(b.w, l));
                    }
            }
        }
    }
    float inv = x_recip(sum);
    [[unroll]] for (int d = 0; d < FOURS; d++) {
        precise vec4 r = o[d] * inv;
        if (query < p.lq)
            y[q_at + p.d_first + d] = wide4(vec4(x_snap(r.x), x_snap(r.y), x_snap(r.z), x_snap(r.w)));
    }
}
