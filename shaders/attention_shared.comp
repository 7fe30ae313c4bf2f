/* attention_shared - online softmax for GPUs, any head size: an invocation owns a query, a block of keys and values lies in shared memory. */
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_attention
#include "common/nn/exact_math.h"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 64;
layout(constant_id = 1) const int D = 32; /* dimensions of the result that this dispatch makes */
layout(constant_id = 2) const int BIAS = 0;
layout(constant_id = 3) const int MASK = 0;
layout(constant_id = 4) const int CAUSAL = 0;

layout(binding = 0) readonly buffer Q { float q[]; };
layout(binding = 1) readonly buffer K { float k[]; };
layout(binding = 2) readonly buffer V { float v[]; };
layout(binding = 3) readonly buffer A { float bias[]; };
layout(binding = 4) readonly buffer M { float mask[]; };
layout(binding = 5) readonly buffer O { float offset[]; };
layout(binding = 6) writeonly buffer Y { float y[]; };

const int BLOCK = 16;
const int CHUNK = 32; /* dimensions of the keys that are in shared memory at a time */
shared float ks[BLOCK][CHUNK];
shared float vs[BLOCK][D];

void main()
{
    int lane = int(gl_LocalInvocationID.x), head = int(gl_WorkGroupID.y);
    int query = int(gl_WorkGroupID.x) * LANES + lane;
    int known = min(query, p.lq - 1);
    int q_at = known * p.q_stride + head * p.head_dim, kv_at = head / p.group * p.head_dim;
    int end = p.lk, lane_end = p.lk;
    if (CAUSAL != 0) {
        int last = int(offset[0]) + p.first;
        end = min(p.lk, last + min(int(gl_WorkGroupID.x) * LANES + LANES, p.lq));
        lane_end = min(p.lk, last + query + 1);
    }
    float o[D];
    for (int d = 0; d < D; d++)
        o[d] = 0.0;
    precise float m = -1e30, sum = 0.0;
    int bias_at = BIAS != 0 ? (head * p.lq_total + p.first + known) * p.lk : 0;
    for (int k0 = 0; k0 < end; k0 += BLOCK) {
        float s[BLOCK];
        [[unroll]] for (int j = 0; j < BLOCK; j++)
            s[j] = 0.0;
        for (int d0 = 0; d0 < p.head_dim; d0 += CHUNK) {
            int width = min(CHUNK, p.head_dim - d0);
            barrier();
            for (int e = lane; e < BLOCK * CHUNK; e += LANES)
                if (e % CHUNK < width)
                    ks[e / CHUNK][e % CHUNK] = k[min(k0 + e / CHUNK, p.lk - 1) * p.kv_stride + kv_at + d0 + e % CHUNK];
            barrier();
            for (int d = 0; d < width; d++) {
                float own = q[q_at + d0 + d];
                [[unroll]] for (int j = 0; j < BLOCK; j++)
                    s[j] = x_mac(s[j], own, ks[j][d]);
            }
        }
        for (int e = lane; e < BLOCK * D; e += LANES)
            vs[e / D][e % D] = v[min(k0 + e / D, p.lk - 1) * p.kv_stride + kv_at + p.d_first + e % D];
        barrier();
        bool visible[BLOCK];
        bool any_visible = false;
        float top = m;
        [[unroll]] for (int j = 0; j < BLOCK; j++) {
            precise float t = s[j] * p.scale;
            visible[j] = k0 + j < lane_end;
            if (MASK != 0)
                visible[j] = visible[j] && mask[min(k0 + j, p.lk - 1)] != 0.0;
            if (BIAS != 0)
                t = t + bias[bias_at + min(k0 + j, p.lk - 1)];
            s[j] = t;
            any_visible = any_visible || visible[j];
            top = visible[j] && t > top ? t : top;
        }
        if (any_visible) {
            precise float less = m - top;
            float c = x_snap(x_exp(less));
            precise float scaled = sum * c;
            sum = x_snap(scaled);
            m = top;
            for (int d = 0; d < D; d++) {
                precise float r = o[d] * c;
                o[d] = x_snap(r);
            }
            [[unroll]] for (int j = 0; j < BLOCK; j++)
                if (visible[j]) {
                    precise float t = s[j] - top;
                    float weight = x_snap(x_exp(t));
                    sum = sum + weight;
                    for (int d = 0; d < D; d++)
                        o[d] = x_mac(o[d], weight, vs[j][d]);
                }
        }
    }
    if (query >= p.lq)
        return;
    float inv = x_recip(sum);
    for (int d = 0; d < D; d++) {
        precise float r = o[d] * inv;
        y[q_at + p.d_first + d] = x_snap(r);
    }
}
