/* norm_lane - row norms where a few lanes of a subgroup share a row: eight lanes hold its 32 partial sums, four each. For software Vulkan.
 *
 * (One lane per row with all 32 in registers runs as fast, but takes a software driver seconds to compile.) */
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define PUSH_norm
#include "common/nn/exact_math.h"
#include "shaders/lib/wide.glsl"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16; /* the subgroup size, a power of two */
layout(constant_id = 1) const int KIND = 0; /* 0 rms, 1 layer, 2 channel */
layout(constant_id = 2) const int ACT = 0;
layout(constant_id = 3) const int AFFINE = 0; /* weight (and bias) are there */

layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer weight;
layout(binding = 2) uniform textureBuffer bias;
layout(binding = 3) writeonly buffer Y { u64vec2 y[]; };

const int SHARE = LANES < 8 ? LANES : 8; /* lanes of one row */
const int HELD = 8 / SHARE;              /* fours of partial sums in each */

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

/* Partials 4u .. 4u + 3 of the row sum, u = h * SHARE + lane, live in q[h] of the row's lane. All lanes of the row get the sum. */
float row_sum(int base, int lane, int fours, bool squares, float mean)
{
    vec4 q[HELD];
    for (int h = 0; h < HELD; h++)
        q[h] = vec4(0.0);
    for (int k = lane; k < fours; k += 8)
        for (int h = 0; h < HELD; h++) {
            int at = k + h * SHARE;
            vec4 v = texelFetch(x, base + min(at, fours - 1));
            v = squares ? square4(v, mean) : v;
            q[h] = at < fours ? add4(q[h], v) : q[h];
        }
    for (int s = HELD / 2; s > 0; s >>= 1)
        for (int h = 0; h < s; h++)
            q[h] = add4(q[h], q[h + s]);
    for (int s = SHARE / 2; s > 0; s >>= 1)
        q[0] = add4(q[0], subgroupShuffleXor(q[0], uint(s))); /* a + b and b + a are the same bits */
    precise float e = q[0].x + q[0].z, f = q[0].y + q[0].w;
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
        if (ACT != 0)
            for (int c = 0; c < 4; c++)
                r[c] = ACT == 1 ? x_gelu(r[c]) : x_silu(r[c]);
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
    int thread = group * LANES + int(gl_LocalInvocationID.x);
    int row = thread / SHARE, lane = thread % SHARE;
    int fours = p.cols >> 2;
    int base = min(row, p.rows - 1) * fours;
    precise float mean = 0.0;
    if (KIND == 1)
        mean = row_sum(base, lane, fours, false, 0.0) * p.inv_cols;
    precise float sum = row_sum(base, lane, fours, true, mean);
    precise float inv;
    if (KIND == 2) {
        float root = x_sqrt(sum);
        inv = x_recip(root > 1e-12 ? root : 1e-12);
    } else {
        inv = sum * p.inv_cols;
        inv = x_rsqrt(inv + p.eps);
    }
    for (int k = lane; k < fours; k += SHARE) {
        vec4 v = texelFetch(x, base + k);
        vec4 w = AFFINE != 0 ? texelFetch(weight, k) : vec4(1.0);
        vec4 b = AFFINE != 0 && KIND == 1 ? texelFetch(bias, k) : vec4(0.0);
        vec4 r = finish(v, mean, inv, w, b);
        if (row < p.rows)
            y[base + k] = wide4(r);
    }
}
