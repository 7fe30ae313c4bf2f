/* copy - moves rows between strided places: slices, interleaving, padding with zeros, stores at a row that the device knows.
 *
 * A lane keeps its column and walks down ITEMS rows; where rows are short (NARROW) it keeps its row. With TEXEL all counts are in fours. */
#version 460
#extension GL_GOOGLE_include_directive : require
#define PUSH_copy
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16;
layout(constant_id = 1) const int ITEMS = 16;
layout(constant_id = 2) const int NARROW = 0;

#ifdef TEXEL
#include "shaders/lib/wide.glsl"
layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer at;
layout(binding = 2) writeonly buffer Y { u64vec2 y[]; };
#define VEC         vec4
#define x_at(i)     texelFetch(x, i)
#define at_row()    int(texelFetch(at, 0).x)
#define to_word(v)  wide4(v)
#else
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer A { float at[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };
#define VEC         float
#define x_at(i)     x[i]
#define at_row()    int(at[0])
#define to_word(v)  v
#endif

void move(int row, int col, int moved)
{
    int block = row / p.block, inner = row - block * p.block;
    int to = row + moved;
    if (row < p.rows && col < p.cols && to >= 0 && to < p.y_rows) {
        VEC v = VEC(0.0);
        if (col < p.x_cols)
            v = x_at(p.x_first + block * p.x_block + inner * p.x_stride + col);
        y[p.y_first + block * p.y_block + (inner + moved) * p.y_stride + col] = to_word(v);
    }
}

void main()
{
    int lane = int(gl_LocalInvocationID.x);
    int moved = p.has_at != 0 ? at_row() : 0;
    if (NARROW != 0) {
        for (int col = 0; col < p.cols; col++)
            move(int(gl_WorkGroupID.y) * LANES + lane, col, moved);
        return;
    }
    int col = int(gl_WorkGroupID.x) * LANES + lane;
    int row0 = int(gl_WorkGroupID.y) * ITEMS;
    for (int row = row0; row < min(row0 + ITEMS, p.rows); row++)
        move(row, col, moved);
}
