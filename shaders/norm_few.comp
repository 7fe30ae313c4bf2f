/* norm_few - norm_lane for rows of at most 32 columns: a lane owns a row, and no partial sum has more than one term. For software Vulkan. */
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_norm
#include "common/nn/exact_math.h"
#include "shaders/lib/wide.glsl"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16;
layout(constant_id = 1) const int KIND = 0; /* 0 rms, 1 layer, 2 channel */
layout(constant_id = 2) const int ACT = 0;
layout(constant_id = 3) const int AFFINE = 0; /* weight (and bias) are there */
layout(constant_id = 4) const int FOURS = 4;  /* columns / 4 */

layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer weight;
layout(binding = 2) uniform textureBuffer bias;
layout(binding = 3) writeonly buffer Y { u64vec2 y[]; };

vec4 add4(vec4 a, vec4 b)
{
    precise vec4 s = a + b;
    return s;
}

vec4 term(vec4 v, bool squares, float mean)
{
    precise vec4 d = v - mean;
    precise vec4 s = d * d;
    return squares ? s : v;
}

float row_sum(int base, bool squares, float mean)
{
    vec4 q[8];
    [[unroll]] for (int u = 0; u < 8; u++)
        q[u] = vec4(0.0);
    [[unroll]] for (int u = 0; u < FOURS; u++)
        q[u % 8] = add4(q[u % 8], term(texelFetch(x, base + u), squares, mean));
    vec4 even = add4(add4(q[0], q[4]), add4(q[2], q[6]));
    vec4 odd = add4(add4(q[1], q[5]), add4(q[3], q[7]));
    vec4 all = add4(even, odd);
    precise float e = all.x + all.z, f = all.y + all.w;
    precise float sum = e + f;
    return sum;
}

vec4 finish(vec4 v, float mean, float inv, vec4 w, vec4 b)
{
    precise vec4 r = v;
    if (KIND == 1)
        r = r - mean;
    r = r * inv;
    if (KIND == 2) {
        precise vec4 g = p.sqrt_cols * w;
        r = r * g;
        if (ACT == 1)
            r = vec4(x_gelu(r.x), x_gelu(r.y), x_gelu(r.z), x_gelu(r.w));
        if (ACT == 2)
            r = vec4(x_silu(r.x), x_silu(r.y), x_silu(r.z), x_silu(r.w));
    } else if (AFFINE != 0) {
        r = r * w;
        if (KIND == 1)
            r = r + b;
    }
    return vec4(x_snap(r.x), x_snap(r.y), x_snap(r.z), x_snap(r.w));
}

void main()
{
    int group = int(gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x);
    int row = group * LANES + int(gl_LocalInvocationID.x);
    int base = min(row, p.rows - 1) * FOURS;
    precise float mean = 0.0;
    if (KIND == 1)
        mean = row_sum(base, false, 0.0) * p.inv_cols;
    precise float sum = row_sum(base, true, mean);
    precise float inv;
    if (KIND == 2) {
        float root = x_sqrt(sum);
        inv = x_recip(root > 1e-12 ? root : 1e-12);
    } else {
        inv = sum * p.inv_cols;
        inv = x_rsqrt(inv + p.eps);
    }
    for (int k = 0; k < FOURS; k++) {
        vec4 a = texelFetch(x, base + k);
        vec4 w = AFFINE != 0 ? texelFetch(weight, k) : vec4(1.0);
        vec4 b = AFFINE != 0 && KIND == 1 ? texelFetch(bias, k) : vec4(0.0);
        vec4 r = finish(a, mean, inv, w, b);
        if (row < p.rows)
            y[base + k] = wide4(r);
    }
}
