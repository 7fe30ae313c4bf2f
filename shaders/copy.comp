/* copy - moves rows between strided places: slices, interleaving, padding with zeros, stores at a row that the device knows. A lane keeps its column. */
#version 460
#extension GL_GOOGLE_include_directive : require
#define PUSH_copy
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16;
layout(constant_id = 1) const int ITEMS = 16;

layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer A { float at[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };

void main()
{
    int col = int(gl_WorkGroupID.x) * LANES + int(gl_LocalInvocationID.x);
    int row0 = int(gl_WorkGroupID.y) * ITEMS;
    int row1 = min(row0 + ITEMS, p.rows);
    int moved = p.has_at != 0 ? int(at[0]) : 0;
    for (int row = row0; row < row1; row++) {
        int block = row / p.block, inner = row - block * p.block;
        int to = row + moved;
        if (col < p.cols && to >= 0 && to < p.y_rows) {
            float v = 0.0;
            if (col < p.x_cols)
                v = x[p.x_first + block * p.x_block + inner * p.x_stride + col];
            y[p.y_first + block * p.y_block + (inner + moved) * p.y_stride + col] = v;
        }
    }
}
