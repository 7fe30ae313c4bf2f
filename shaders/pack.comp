/* pack - a matrix that is no weight of a file (the host packs those) into the form that the linear and conv kernels read. */
#version 460
#extension GL_GOOGLE_include_directive : require
#define PUSH_pack
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 64;

layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Y { float y[]; };

void main()
{
    int i = int(gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * LANES + int(gl_LocalInvocationID.x);
    if (i >= p.count)
        return;
    int c = i % p.unit, place = i / p.unit % p.panel, rest = i / (p.unit * p.panel);
    int lanes = p.panel / p.per_lane, column = place % lanes * p.per_lane + place / lanes;
    int group = rest % p.groups, tap = rest / p.groups % p.taps;
    int n = rest / (p.groups * p.taps) * p.panel + column, channel = group * p.unit + c;
    float v = 0.0;
    if (n < p.n && channel < p.channels)
        v = x[(n * p.channels + channel) * p.taps + tap];
    y[i] = v;
}
