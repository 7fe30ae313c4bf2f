/* linear_shared - x W^T + bias for GPUs: tiles of x and W in shared memory, 4 x 4 results per invocation, sums in k order.
 *
 * With CONV the rows of x are gathered: row m is an output voxel and column k is (tap, channel). W is packed [k][n]. */
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#ifdef CONV
#define PUSH_conv
#else
#define PUSH_linear
#endif
#include "common/nn/exact_math.h"
#include "shaders/push.h"

layout(constant_id = 0) const int ACT = 0;

layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer W { float w[]; };
layout(binding = 2) readonly buffer B { float bias[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };

const int SIDE = 8;      /* invocations along each side */
const int TILE = 4 * SIDE;
const int STEP = 8;      /* of k per round */
layout(local_size_x = SIDE, local_size_y = SIDE) in;

shared float xs[STEP][TILE];
shared float ws[STEP][TILE];

#ifdef CONV
int rows()
{
    return p.voxels;
}
int columns()
{
    return p.cout;
}
int depth()
{
    return p.kernel_t * p.kernel_h * p.kernel_w * p.cin;
}
float x_at(int m, int k)
{
    int v = p.first + m;
    int vx = v % p.w_out, vy = v / p.w_out % p.h_out, vt = v / (p.w_out * p.h_out);
    int c = k % p.cin, tap = k / p.cin;
    int t = vt * p.stride_t + tap / (p.kernel_h * p.kernel_w) - p.pad_t;
    int r = vy * p.stride_h + tap / p.kernel_w % p.kernel_h - p.pad_h;
    int s = vx * p.stride_w + tap % p.kernel_w - p.pad_w;
    if (t < 0 || t >= p.t_total || r < 0 || r >= p.h_in << p.up || s < 0 || s >= p.w_in << p.up)
        return 0.0;
    return x[(((t - p.t_first) * p.h_in + (r >> p.up)) * p.w_in + (s >> p.up)) * p.cin + c];
}
int y_index(int m, int n)
{
    return m * p.cout + n;
}
int bias_index(int n)
{
    return n;
}
#else
int rows()
{
    return p.m;
}
int columns()
{
    return p.n;
}
int depth()
{
    return p.k;
}
float x_at(int m, int k)
{
    return x[m * p.k + k];
}
int y_index(int m, int n)
{
    return m * p.y_stride + p.n_first + n;
}
int bias_index(int n)
{
    return p.n_first + n;
}
#endif

void main()
{
    int tx = int(gl_LocalInvocationID.x), ty = int(gl_LocalInvocationID.y), own = ty * SIDE + tx;
    int m0 = int(gl_WorkGroupID.x) * TILE, n0 = int(gl_WorkGroupID.y) * TILE;
    float acc[4][4];
    [[unroll]] for (int j = 0; j < 4; j++) {
        int n = n0 + tx + j * SIDE;
        float start = 0.0;
        if (p.has_bias != 0 && n < columns())
            start = bias[bias_index(n)];
        [[unroll]] for (int i = 0; i < 4; i++)
            acc[i][j] = start;
    }
    for (int k0 = 0; k0 < depth(); k0 += STEP) {
        for (int e = own; e < STEP * TILE; e += SIDE * SIDE) {
            int m = m0 + e / STEP, n = n0 + e % TILE, xk = k0 + e % STEP, wk = k0 + e / TILE;
            xs[e % STEP][e / STEP] = m < rows() && xk < depth() ? x_at(m, xk) : 0.0;
            ws[e / TILE][e % TILE] = n < columns() && wk < depth() ? w[wk * p.w_stride + n] : 0.0;
        }
        barrier();
        for (int k = 0; k < STEP; k++) {
            float b[4];
            [[unroll]] for (int j = 0; j < 4; j++)
                b[j] = ws[k][tx + j * SIDE];
            [[unroll]] for (int i = 0; i < 4; i++) {
                float a = xs[k][ty + i * SIDE];
                [[unroll]] for (int j = 0; j < 4; j++)
                    acc[i][j] = x_mac(acc[i][j], a, b[j]);
            }
        }
        barrier();
    }
    [[unroll]] for (int i = 0; i < 4; i++)
        [[unroll]] for (int j = 0; j < 4; j++) {
            int m = m0 + ty + i * SIDE, n = n0 + tx + j * SIDE;
            float r = acc[i][j];
            r = ACT == 1 ? x_gelu(r) : ACT == 2 ? x_silu(r) : r;
            if (m < rows() && n < columns())
                y[y_index(m, n)] = x_snap(r);
        }
}
