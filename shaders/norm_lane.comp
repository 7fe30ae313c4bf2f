/* norm_lane - row norms where a lane owns a row: its 32 partial sums stay in registers, no lane waits for another. For software Vulkan. */
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_norm
#include "common/nn/exact_math.h"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16;
layout(constant_id = 1) const int KIND = 0; /* 0 rms, 1 layer, 2 channel */
layout(constant_id = 2) const int ACT = 0;
layout(constant_id = 3) const int AFFINE = 0; /* weight (and bias) are there */

layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer weight;
layout(binding = 2) uniform textureBuffer bias;
layout(binding = 3) writeonly buffer Y { vec4 y[]; };

vec4 add4(vec4 a, vec4 b)
{
    precise vec4 s = a + b;
    return s;
}

vec4 square4(vec4 a, float mean)
{
    precise vec4 d = a - mean;
    precise vec4 s = d * d;
    return s;
}

/* Partial 4u + c of the row sum lives in q[u][c]. */
float row_sum(int base, int fours, bool squares, float mean)
{
    vec4 q[8];
    [[unroll]] for (int u = 0; u < 8; u++)
        q[u] = vec4(0.0);
    for (int k = 0; k < fours; k += 8)
        [[unroll]] for (int u = 0; u < 8; u++) {
            vec4 v = texelFetch(x, base + min(k + u, fours - 1));
            v = squares ? square4(v, mean) : v;
            q[u] = k + u < fours ? add4(q[u], v) : q[u];
        }
    [[unroll]] for (int s = 4; s > 0; s >>= 1)
        [[unroll]] for (int u = 0; u < s; u++)
            q[u] = add4(q[u], q[u + s]);
    precise float e = q[0].x + q[0].z, f = q[0].y + q[0].w;
    precise float sum = e + f;
    return sum;
}

float finish(float v, float mean, float inv, float w, float b)
{
    precise float r = v;
    if (KIND == 1)
        r = r - mean;
    r = r * inv;
    if (KIND == 2) {
        precise float g = p.sqrt_cols * w;
        r = r * g;
        r = ACT == 1 ? x_gelu(r) : ACT == 2 ? x_silu(r) : r;
    } else if (AFFINE != 0) {
        r = r * w;
        if (KIND == 1)
            r = r + b;
    }
    return x_snap(r);
}

void main()
{
    int group = int(gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x);
    int row = group * LANES + int(gl_LocalInvocationID.x);
    int fours = p.cols >> 2;
    int base = min(row, p.rows - 1) * fours;
    precise float mean = 0.0;
    if (KIND == 1)
        mean = row_sum(base, fours, false, 0.0) * p.inv_cols;
    precise float sum = row_sum(base, fours, true, mean);
    precise float inv;
    if (KIND == 2) {
        float root = x_sqrt(sum);
        inv = x_recip(root > 1e-12 ? root : 1e-12);
    } else {
        inv = sum * p.inv_cols;
        inv = x_rsqrt(inv + p.eps);
    }
    for (int k = 0; k < fours; k++) {
        vec4 v = texelFetch(x, base + k);
        vec4 w = AFFINE != 0 ? texelFetch(weight, k) : vec4(1.0);
        vec4 b = AFFINE != 0 && KIND == 1 ? texelFetch(bias, k) : vec4(0.0);
        vec4 r = vec4(finish(v.x, mean, inv, w.x, b.x), finish(v.y, mean, inv, w.y, b.y), finish(v.z, mean, inv, w.z, b.z),
                      finish(v.w, mean, inv, w.w, b.w));
        if (row < p.rows)
            y[base + k] = r;
    }
}
