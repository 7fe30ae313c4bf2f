/* push - the push constants of every kernel: one text for C and GLSL. A shader defines PUSH_name before it includes
 * this and finds them in `p`.
 *
 * Counts "of four" are in texels or vec4: groups of four consecutive floats. Pairs of C and GLSL agree because every
 * member is one 32-bit word. */
#ifndef SHOTLINE_SHADERS_PUSH_H
#define SHOTLINE_SHADERS_PUSH_H

#ifdef __STDC__
#define PUSH(name) struct push_##name
#define PUSH_END
#else
#define PUSH(name) layout(push_constant) uniform push_##name
#define PUSH_END   p
#endif

#if defined(__STDC__) || defined(PUSH_elementwise)
PUSH(elementwise)
{
    int rows, cols; /* cols in elements of the variant: floats, or fours */
    int count;      /* of all elements in the same unit; the last row may be cut */
    int b_stride;   /* 0: b is one row that serves all; else cols */
    int c_stride;
    float f0, f1; /* factor; low, high */
}
PUSH_END;
#endif

#if defined(__STDC__) || defined(PUSH_norm)
PUSH(norm)
{
    int rows, cols;
    float eps, inv_cols, sqrt_cols;
}
PUSH_END;
#endif

#if defined(__STDC__) || defined(PUSH_linear)
PUSH(linear)
{
    int m, n;     /* rows of x, columns that this dispatch makes */
    int k;        /* in fours for the texel kernels */
    int n_first;  /* where they start in a row of y, and in bias */
    int y_stride; /* columns of y */
    int has_bias;
    int w_stride; /* storage kernels: columns of the packed weight */
}
PUSH_END;
#endif

#if defined(__STDC__) || defined(PUSH_conv)
PUSH(conv)
{
    int t_in, h_in, w_in; /* of x as stored; t_in of the bound range */
    int h_out, w_out;
    int voxels; /* that this dispatch makes; the first is `first` */
    int first;
    int cin;  /* in fours for the texel kernels */
    int cout; /* the row length of y */
    int kernel_t, kernel_h, kernel_w;
    int stride_t, stride_h, stride_w;
    int pad_t, pad_h, pad_w;
    int up; /* 1: x is read as if doubled in h and w */
    int has_bias;
    int t_first;  /* frame of x at which the bound range starts */
    int t_total;  /* frames of the whole x */
    int w_stride; /* storage kernels: columns of the packed weight */
}
PUSH_END;
#endif

#if defined(__STDC__) || defined(PUSH_attention)
PUSH(attention)
{
    int lq, lk;
    int first;               /* query that the bound range of q and y starts with: counts for bias and causality */
    int lq_total;            /* queries of the whole operation: the stride of bias */
    int q_stride, kv_stride; /* floats per row */
    int group;               /* query heads per kv head */
    int head_dim;            /* in fours for the texel kernel */
    int d_first;             /* this dispatch makes SLICE dimensions from here on */
    float scale;
}
PUSH_END;
#endif

#if defined(__STDC__) || defined(PUSH_rope)
PUSH(rope)
{
    int rows, heads, half_dim;
}
PUSH_END;
#endif

#if defined(__STDC__) || defined(PUSH_copy)
PUSH(copy)
{
    int rows, cols;                 /* what is written */
    int block;                      /* rows per block: row r is row r % block of block r / block */
    int x_stride, x_block, x_first; /* row, block, start; in floats, or fours */
    int y_stride, y_block, y_first;
    int x_cols; /* columns from here on are zero */
    int has_at; /* the first row of y is also moved by at[0] rows */
    int y_rows; /* rows of y: those beyond are not written */
}
PUSH_END;
#endif

#if defined(__STDC__) || defined(PUSH_pack)
/* x[n][channels][taps] -> y[panels][taps][groups][panel][unit], with zeros behind the last channel and column */
PUSH(pack)
{
    int count; /* of y */
    int n, channels, taps;
    int panel, unit, groups;
    int per_lane; /* neighbouring columns of one lane: column c lies at place (c % per_lane) * (panel / per_lane) + c /
                     per_lane */
}
PUSH_END;
#endif

#undef PUSH
#undef PUSH_END
#endif
