/* norm_shared - row norms where 32 invocations own a row, one partial sum each: for GPUs, and for any number of columns. */
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_norm
#include "common/nn/exact_math.h"
#include "shaders/push.h"

layout(local_size_x = 32, local_size_y_id = 0) in;
layout(constant_id = 0) const int ROWS = 4;
layout(constant_id = 1) const int KIND = 0; /* 0 rms, 1 layer, 2 channel */
layout(constant_id = 2) const int ACT = 0;
layout(constant_id = 3) const int AFFINE = 0;

layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer W { float weight[]; };
layout(binding = 2) readonly buffer B { float bias[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };

shared float partial[ROWS][32];

float tree(float own)
{
    int j = int(gl_LocalInvocationID.x), r = int(gl_LocalInvocationID.y);
    partial[r][j] = own;
    barrier();
    [[unroll]] for (int s = 16; s > 0; s >>= 1) {
        precise float sum = partial[r][j] + partial[r][(j + s) & 31];
        barrier();
        partial[r][j] = sum; /* only those below s go on to count */
        barrier();
    }
    float total = partial[r][0];
    barrier();
    return total;
}

void main()
{
    int group = int(gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x);
    int row = group * ROWS + int(gl_LocalInvocationID.y);
    int lane = int(gl_LocalInvocationID.x);
    int base = min(row, p.rows - 1) * p.cols;
    precise float mean = 0.0;
    if (KIND == 1) {
        precise float part = 0.0;
        for (int c = lane; c < p.cols; c += 32)
            part = part + x[base + c];
        mean = tree(part) * p.inv_cols;
    }
    precise float part = 0.0;
    for (int c = lane; c < p.cols; c += 32) {
        precise float d = x[base + c];
        if (KIND == 1)
            d = d - mean;
        part = x_mac(part, d, d);
    }
    precise float sum = tree(part);
    precise float inv;
    if (KIND == 2) {
        float root = x_sqrt(sum);
        inv = x_recip(root > 1e-12 ? root : 1e-12);
    } else {
        inv = sum * p.inv_cols;
        inv = x_rsqrt(inv + p.eps);
    }
    if (row >= p.rows)
        return;
    for (int c = lane; c < p.cols; c += 32) {
        precise float r = x[base + c];
        if (KIND == 1)
            r = r - mean;
        r = r * inv;
        if (KIND == 2) {
            precise float g = p.sqrt_cols * weight[c];
            r = r * g;
            r = ACT == 1 ? x_gelu(r) : ACT == 2 ? x_silu(r) : r;
        } else if (AFFINE != 0) {
            r = r * weight[c];
            if (KIND == 1)
                r = r + bias[c];
        }
        y[base + c] = x_snap(r);
    }
}
