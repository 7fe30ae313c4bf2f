/* kernels - fused element-wise operations in bf16 for training small models on a CPU.
 *
 * PyTorch without a compiler spends most of a small model's time between the matrix products. Values are read and
 * written as bf16 and computed in f32; each forward has its backward beside it. gcc vectorises the loops. */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

static inline float load(bf16 x)
{
    union {
        uint32_t bits;
        float value;
    } v = { .bits = (uint32_t)x << 16 };
    return v.value;
}

static inline bf16 store(float x)
{
    union {
        float value;
        uint32_t bits;
    } v = { .value = x };
    return (bf16)((v.bits + 0x7fffu + ((v.bits >> 16) & 1u)) >> 16);
}

static inline float sigmoid(float x)
{
    return 1.f / (1.f + expf(-fminf(fmaxf(x, -30.f), 30.f)));
}

/* GELU, tanh form: x * sigmoid(2 * sqrt(2/pi) * (x + .044715 x^3)) */
enum { RMS_MOST = 4096 };
static const float GELU_A = 1.5957691216f, GELU_B = 0.0713548162f;

void gelu_forward(const bf16 *x, bf16 *y, long n)
{
    for (long i = 0; i < n; i++) {
        float v = load(x[i]);
        y[i] = store(v * sigmoid(v * (GELU_A + GELU_B * v * v)));
    }
}

void gelu_backward(const bf16 *x, const bf16 *dy, bf16 *dx, long n)
{
    for (long i = 0; i < n; i++) {
        float v = load(x[i]), v2 = v * v, s = sigmoid(v * (GELU_A + GELU_B * v2));
        dx[i] = store(load(dy[i]) * (s + v * s * (1.f - s) * (GELU_A + 3.f * GELU_B * v2)));
    }
}

/* Layer norm without weights, then * (1 + scale) + shift: x [batch, rows, cols], scale and shift [batch, cols] f32 */
void norm_forward(const bf16 *x, const float *scale, const float *shift, bf16 *y, float *stats, long batch, long rows,
                  long cols)
{
    for (long r = 0; r < batch * rows; r++) {
        const bf16 *in = x + r * cols;
        const float *a = scale + r / rows * cols, *b = shift + r / rows * cols;
        float mean = 0, square = 0;
        for (long i = 0; i < cols; i++)
            mean += load(in[i]);
        mean /= cols;
        for (long i = 0; i < cols; i++) {
            float d = load(in[i]) - mean;
            square += d * d;
        }
        float inverse = 1.f / sqrtf(square / cols + 1e-6f);
        stats[2 * r] = mean;
        stats[2 * r + 1] = inverse;
        for (long i = 0; i < cols; i++)
            y[r * cols + i] = store((load(in[i]) - mean) * inverse * (1.f + a[i]) + b[i]);
    }
}

void norm_backward(const bf16 *x, const float *scale, const bf16 *dy, const float *stats, bf16 *dx, float *dscale,
                   float *dshift, long batch, long rows, long cols)
{
    memset(dscale, 0, sizeof(float) * batch * cols);
    memset(dshift, 0, sizeof(float) * batch * cols);
    for (long r = 0; r < batch * rows; r++) {
        const bf16 *in = x + r * cols, *g = dy + r * cols;
        const float *a = scale + r / rows * cols;
        float *ds = dscale + r / rows * cols, *dt = dshift + r / rows * cols;
        float mean = stats[2 * r], inverse = stats[2 * r + 1], sum = 0, dot = 0;
        for (long i = 0; i < cols; i++) {
            float h = (load(in[i]) - mean) * inverse, gi = load(g[i]), gh = gi * (1.f + a[i]);
            sum += gh;
            dot += gh * h;
            ds[i] += gi * h;
            dt[i] += gi;
        }
        sum /= cols;
        dot /= cols;
        for (long i = 0; i < cols; i++) {
            float h = (load(in[i]) - mean) * inverse;
            dx[r * cols + i] = store(inverse * (load(g[i]) * (1.f + a[i]) - sum - h * dot));
        }
    }
}

/* RMS norm over all heads * weight * scale, then rotation of neighbouring pairs when cosine is given:
 * x [batch, rows, heads * width] -> y [batch, heads, rows, width]; cosine and sine [rows, width / 2] */
void query_forward(const bf16 *x, const float *weight, const float *cosine, const float *sine, bf16 *y, float *stats,
                   long batch, long rows, long cols, long heads, float scale)
{
    long width = cols / heads, half = width / 2;
    float t[4096];
    for (long r = 0; r < batch * rows; r++) {
        long b = r / rows, l = r % rows;
        float square = 0;
        for (long i = 0; i < cols; i++) {
            t[i] = load(x[r * cols + i]);
            square += t[i] * t[i];
        }
        stats[r] = 1.f / sqrtf(square / cols + 1e-6f);
        for (long i = 0; i < cols; i++)
            t[i] *= stats[r] * scale * weight[i];
        for (long k = 0; k < heads; k++) {
            bf16 *out = y + ((b * heads + k) * rows + l) * width;
            const float *q = t + k * width;
            if (!cosine) {
                for (long j = 0; j < width; j++)
                    out[j] = store(q[j]);
                continue;
            }
            const float *c = cosine + l * half, *s = sine + l * half;
            for (long j = 0; j < half; j++) {
                out[2 * j] = store(q[2 * j] * c[j] - q[2 * j + 1] * s[j]);
                out[2 * j + 1] = store(q[2 * j] * s[j] + q[2 * j + 1] * c[j]);
            }
        }
    }
}

void query_backward(const bf16 *x, const float *weight, const float *cosine, const float *sine, const bf16 *dy,
                    const float *stats, bf16 *dx, float *dweight, long batch, long rows, long cols, long heads,
                    float scale)
{
    long width = cols / heads, half = width / 2;
    float t[4096];
    memset(dweight, 0, sizeof(float) * cols);
    for (long r = 0; r < batch * rows; r++) {
        long b = r / rows, l = r % rows;
        float inverse = stats[r], dot = 0;
        for (long k = 0; k < heads; k++) {
            const bf16 *g = dy + ((b * heads + k) * rows + l) * width;
            float *out = t + k * width;
            if (!cosine) {
                for (long j = 0; j < width; j++)
                    out[j] = load(g[j]);
                continue;
            }
            const float *c = cosine + l * half, *s = sine + l * half;
            for (long j = 0; j < half; j++) {
                float u = load(g[2 * j]), v = load(g[2 * j + 1]);
                out[2 * j] = u * c[j] + v * s[j];
                out[2 * j + 1] = -u * s[j] + v * c[j];
            }
        }
        for (long i = 0; i < cols; i++) {
            float v = load(x[r * cols + i]), g = t[i] * scale;
            dweight[i] += g * v * inverse;
            t[i] = g * weight[i];
            dot += t[i] * v;
        }
        dot *= inverse * inverse * inverse / cols;
        for (long i = 0; i < cols; i++)
            dx[r * cols + i] = store(t[i] * inverse - load(x[r * cols + i]) * dot);
    }
}

/* y = x + a * gate: x, a, y [batch, rows, cols], gate [batch, cols] f32; dx of the backward is dy itself */
void gate_forward(const bf16 *x, const bf16 *a, const float *gate, bf16 *y, long batch, long rows, long cols)
{
    for (long r = 0; r < batch * rows; r++)
        for (long i = 0; i < cols; i++)
            y[r * cols + i] = store(load(x[r * cols + i]) + load(a[r * cols + i]) * gate[r / rows * cols + i]);
}

void gate_backward(const bf16 *a, const float *gate, const bf16 *dy, bf16 *da, float *dgate, long batch, long rows,
                   long cols)
{
    memset(dgate, 0, sizeof(float) * batch * cols);
    for (long r = 0; r < batch * rows; r++) {
        const float *g = gate + r / rows * cols;
        float *dg = dgate + r / rows * cols;
        for (long i = 0; i < cols; i++) {
            float d = load(dy[r * cols + i]);
            dg[i] += d * load(a[r * cols + i]);
            da[r * cols + i] = store(d * g[i]);
        }
    }
}

/* Softmax over the last dimension, in place: x [rows, cols], cols <= 4096 */
void softmax_forward(bf16 *x, long rows, long cols)
{
    float t[4096];
    for (long r = 0; r < rows; r++) {
        bf16 *p = x + r * cols;
        float most = -1e30f, sum = 0;
        for (long i = 0; i < cols; i++) {
            t[i] = load(p[i]);
            most = fmaxf(most, t[i]);
        }
        for (long i = 0; i < cols; i++) {
            t[i] = expf(t[i] - most);
            sum += t[i];
        }
        sum = 1.f / sum;
        for (long i = 0; i < cols; i++)
            p[i] = store(t[i] * sum);
    }
}

void softmax_backward(const bf16 *y, const bf16 *dy, bf16 *dx, long rows, long cols)
{
    for (long r = 0; r < rows; r++) {
        const bf16 *p = y + r * cols, *g = dy + r * cols;
        float dot = 0;
        for (long i = 0; i < cols; i++)
            dot += load(p[i]) * load(g[i]);
        for (long i = 0; i < cols; i++)
            dx[r * cols + i] = store(load(p[i]) * (load(g[i]) - dot));
    }
}

/* RMS norm over each row * gamma, then SiLU: x [rows, cols], gamma [cols] f32, stats [rows]; cols <= RMS_MOST */
void rms_silu_forward(const bf16 *x, const float *gamma, bf16 *y, float *stats, long rows, long cols)
{
    float root = sqrtf((float)cols);
    for (long r = 0; r < rows; r++) {
        const bf16 *in = x + r * cols;
        bf16 *out = y + r * cols;
        float square = 1e-12f;
        for (long i = 0; i < cols; i++)
            square += load(in[i]) * load(in[i]);
        float inverse = stats[r] = root / sqrtf(square);
        for (long i = 0; i < cols; i++) {
            float z = load(in[i]) * inverse * gamma[i];
            out[i] = store(z * sigmoid(z));
        }
    }
}

void rms_silu_backward(const bf16 *x, const float *gamma, const bf16 *dy, const float *stats, bf16 *dx, float *dgamma,
                       long rows, long cols)
{
    float t[RMS_MOST];
    memset(dgamma, 0, sizeof(float) * cols);
    for (long r = 0; r < rows; r++) {
        const bf16 *in = x + r * cols, *g = dy + r * cols;
        bf16 *out = dx + r * cols;
        float inverse = stats[r], dot = 0;
        for (long i = 0; i < cols; i++) {
            float h = load(in[i]) * inverse, z = h * gamma[i], s = sigmoid(z), d = load(g[i]) * (s + z * s * (1.f - s));
            dgamma[i] += d * h;
            t[i] = d * gamma[i];
            dot += t[i] * h;
        }
        dot /= cols;
        for (long i = 0; i < cols; i++)
            out[i] = store(inverse * (t[i] - load(in[i]) * inverse * dot));
    }
}

/* Each frame beside the two before it (zeros before the first): x [batch, frames, cells, c] -> y [batch, frames, cells,
 * 3, c] */
void past_forward(const bf16 *x, bf16 *y, long batch, long frames, long cells, long c)
{
    for (long n = 0; n < batch * frames; n++) {
        for (long k = 0; k < 3; k++) {
            const bf16 *in = n % frames + k >= 2 ? x + (n + k - 2) * cells * c : NULL;
            bf16 *out = y + (n * cells * 3 + k) * c;
            for (long i = 0; i < cells; i++) {
                if (in)
                    memcpy(out + i * 3 * c, in + i * c, sizeof(bf16) * c);
                else
                    memset(out + i * 3 * c, 0, sizeof(bf16) * c);
            }
        }
    }
}

void past_backward(const bf16 *dy, bf16 *dx, long batch, long frames, long cells, long c)
{
    for (long n = 0; n < batch * frames; n++) {
        long later = frames - 1 - n % frames < 2 ? frames - 1 - n % frames : 2;
        const bf16 *g = dy + n * cells * 3 * c;
        for (long i = 0; i < cells; i++) {
            const bf16 *now = g + (i * 3 + 2) * c, *next = now + (cells * 3 - 1) * c,
                       *last = next + (cells * 3 - 1) * c;
            bf16 *out = dx + (n * cells + i) * c;
            if (later == 2)
                for (long j = 0; j < c; j++)
                    out[j] = store(load(now[j]) + load(next[j]) + load(last[j]));
            else if (later == 1)
                for (long j = 0; j < c; j++)
                    out[j] = store(load(now[j]) + load(next[j]));
            else
                memcpy(out, now, sizeof(bf16) * c);
        }
    }
}

/* Nearest neighbour, twice the size: x [count, h, w, c] -> y [count, 2h, 2w, c] */
void double_forward(const bf16 *x, bf16 *y, long count, long h, long w, long c)
{
    for (long r = 0; r < count * h; r++) {
        bf16 *out = y + r * 4 * w * c;
        for (long i = 0; i < w; i++) {
            memcpy(out + 2 * i * c, x + (r * w + i) * c, sizeof(bf16) * c);
            memcpy(out + (2 * i + 1) * c, x + (r * w + i) * c, sizeof(bf16) * c);
        }
        memcpy(out + 2 * w * c, out, sizeof(bf16) * 2 * w * c);
    }
}

void double_backward(const bf16 *dy, bf16 *dx, long count, long h, long w, long c)
{
    for (long r = 0; r < count * h; r++)
        for (long i = 0; i < w; i++) {
            const bf16 *a = dy + (r * 4 * w + 2 * i) * c, *b = a + 2 * w * c;
            for (long j = 0; j < c; j++)
                dx[(r * w + i) * c + j] = store(load(a[j]) + load(a[c + j]) + load(b[j]) + load(b[c + j]));
        }
}
