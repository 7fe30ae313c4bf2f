/* causal - the parts of a small language model that PyTorch is slow at on a CPU, forward and backward.
 *
 * Attention with everything around it (RMS norm of queries and keys, rotation, causal softmax, groups of heads) for one
 * short sequence at a time, so that scores never leave the cache; and the gated unit of the MLP. Values are bf16,
 * sums f32. Heads are WIDTH wide, sequences at most LONGEST long (a multiple of AT_ONCE * BLOCK). */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;
typedef float vector __attribute__((vector_size(64), aligned(4)));
enum { WIDTH = 32, HALF = WIDTH / 2, LONGEST = 1024, BLOCK = 16, AT_ONCE = 4 };

static inline vector at(const float *p)
{
    return *(const vector *)p;
}
static inline void put(float *p, vector v)
{
    *(vector *)p = v;
}

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

/* One head's vector: norm, weight, rotation of its halves, scale. Returns 1 / rms. */
static float turn(const bf16 *x, const float *weight, const float *cosine, const float *sine, float scale, float *y)
{
    float square = 0, t[WIDTH];

    for (int i = 0; i < WIDTH; i++) {
        t[i] = load(x[i]);
        square += t[i] * t[i];
    }
    float inverse = 1.f / sqrtf(square / WIDTH + 1e-6f);
    for (int i = 0; i < WIDTH; i++)
        t[i] *= inverse * scale * weight[i];
    for (int i = 0; i < HALF; i++) {
        y[i] = t[i] * cosine[i] - t[i + HALF] * sine[i];
        y[i + HALF] = t[i + HALF] * cosine[i] + t[i] * sine[i];
    }
    return inverse;
}

static void turn_back(const bf16 *x, const float *weight, const float *cosine, const float *sine, float scale,
                      float inverse, const float *dy, bf16 *dx, float *dweight)
{
    float t[WIDTH], v[WIDTH], dot = 0;

    for (int i = 0; i < HALF; i++) {
        t[i] = dy[i] * cosine[i] + dy[i + HALF] * sine[i];
        t[i + HALF] = dy[i + HALF] * cosine[i] - dy[i] * sine[i];
    }
    for (int i = 0; i < WIDTH; i++) {
        v[i] = load(x[i]);
        t[i] *= scale;
        dweight[i] += t[i] * v[i] * inverse;
        t[i] *= weight[i];
        dot += t[i] * v[i];
    }
    dot *= inverse * inverse * inverse / WIDTH;
    for (int i = 0; i < WIDTH; i++)
        dx[i] = store(t[i] * inverse - v[i] * dot);
}

/* Rows of a head, turned upside down in blocks: out[(row / BLOCK) * WIDTH * BLOCK + i * BLOCK + row % BLOCK] */
static void transpose(const float *rows, long n, float *out)
{
    for (long j = 0; j < n; j++)
        for (int i = 0; i < WIDTH; i++)
            out[j / BLOCK * WIDTH * BLOCK + i * BLOCK + j % BLOCK] = rows[j * WIDTH + i];
}

/* to[j] = a . row j, for j < n rounded up to AT_ONCE blocks */
static void products(const float *a, const float *transposed, long n, float *to)
{
    for (long k = 0; k < n; k += AT_ONCE * BLOCK) {
        vector sum[AT_ONCE] = { { 0 } };
        const float *block = transposed + k * WIDTH;
        for (int i = 0; i < WIDTH; i++)
            for (int j = 0; j < AT_ONCE; j++)
                sum[j] += a[i] * at(block + (j * WIDTH + i) * BLOCK);
        for (int j = 0; j < AT_ONCE; j++)
            put(to + k + j * BLOCK, sum[j]);
    }
}

/* p [n] from scores; 0 behind n */
static void soften(float *s, long n)
{
    float most = -1e30f, sum = 0;

    for (long j = 0; j < n; j++)
        most = fmaxf(most, s[j]);
    for (long j = 0; j < n; j++) {
        s[j] = expf(s[j] - most);
        sum += s[j];
    }
    sum = 1.f / sum;
    for (long j = 0; j < n; j++)
        s[j] *= sum;
}

/* What a head of one sequence works on. The rows of two arrays must not lie a multiple of 4096 bytes apart: hence
 * APART. */
enum { APART = 208, FLOATS = LONGEST * WIDTH + APART };
static struct {
    float q[FLOATS], k[FLOATS], v[FLOATS], kt[FLOATS], vt[FLOATS], dq[FLOATS], dk[FLOATS], dv[FLOATS];
    float qi[LONGEST], ki[LONGEST], p[LONGEST + APART], dp[LONGEST];
} h __attribute__((aligned(64)));

static void open_key(const bf16 *x, long n, long cols, long heads, long group, long groups, const float *kw,
                     const float *cosine, const float *sine)
{
    for (long r = 0; r < n; r++) {
        const bf16 *row = x + r * cols + (heads + group) * WIDTH;
        h.ki[r] = turn(row, kw, cosine + r * HALF, sine + r * HALF, 1, h.k + r * WIDTH);
        for (int i = 0; i < WIDTH; i++)
            h.v[r * WIDTH + i] = load(row[groups * WIDTH + i]);
    }
    transpose(h.k, n, h.kt);
}

static void open_query(const bf16 *x, long n, long cols, long head, const float *qw, const float *cosine,
                       const float *sine)
{
    for (long r = 0; r < n; r++)
        h.qi[r] = turn(x + r * cols + head * WIDTH, qw, cosine + r * HALF, sine + r * HALF, 1 / sqrtf(WIDTH),
                       h.q + r * WIDTH);
}

/* x [batch, n, (heads + 2 groups) * WIDTH]: queries, keys, values; y [batch, n, heads * WIDTH] */
void attend_forward(const bf16 *x, const float *qw, const float *kw, const float *cosine, const float *sine, bf16 *y,
                    long batch, long n, long heads, long groups)
{
    long cols = (heads + 2 * groups) * WIDTH;

    for (long b = 0; b < batch; b++, x += n * cols, y += n * heads * WIDTH)
        for (long head = 0; head < heads; head++) {
            if (head % (heads / groups) == 0)
                open_key(x, n, cols, heads, head / (heads / groups), groups, kw, cosine, sine);
            open_query(x, n, cols, head, qw, cosine, sine);
            for (long r = 0; r < n; r++) {
                float o[WIDTH];
                vector left = { 0 }, right = { 0 };
                products(h.q + r * WIDTH, h.kt, r + 1, h.p);
                soften(h.p, r + 1);
                for (long j = 0; j <= r; j++) {
                    left += h.p[j] * at(h.v + j * WIDTH);
                    right += h.p[j] * at(h.v + j * WIDTH + HALF);
                }
                put(o, left);
                put(o + HALF, right);
                for (int i = 0; i < WIDTH; i++)
                    y[(r * heads + head) * WIDTH + i] = store(o[i]);
            }
        }
}

static void row_backward(const bf16 *dy, long r)
{
    float d[WIDTH], mean = 0;
    const float *q = h.q + r * WIDTH;
    vector left = { 0 }, right = { 0 };

    for (int i = 0; i < WIDTH; i++)
        d[i] = load(dy[i]);
    products(q, h.kt, r + 1, h.p);
    soften(h.p, r + 1);
    products(d, h.vt, r + 1, h.dp);
    for (long j = 0; j <= r; j++)
        mean += h.p[j] * h.dp[j];
    for (long j = 0; j <= r; j++) {
        float p = h.p[j], ds = p * (h.dp[j] - mean), *dk = h.dk + j * WIDTH, *dv = h.dv + j * WIDTH;
        put(dv, at(dv) + p * at(d));
        put(dv + HALF, at(dv + HALF) + p * at(d + HALF));
        put(dk, at(dk) + ds * at(q));
        put(dk + HALF, at(dk + HALF) + ds * at(q + HALF));
        left += ds * at(h.k + j * WIDTH);
        right += ds * at(h.k + j * WIDTH + HALF);
    }
    put(h.dq + r * WIDTH, left);
    put(h.dq + r * WIDTH + HALF, right);
}

void attend_backward(const bf16 *x, const float *qw, const float *kw, const float *cosine, const float *sine,
                     const bf16 *dy, bf16 *dx, float *dqw, float *dkw, long batch, long n, long heads, long groups)
{
    long cols = (heads + 2 * groups) * WIDTH, each = heads / groups;

    memset(dqw, 0, WIDTH * sizeof *dqw);
    memset(dkw, 0, WIDTH * sizeof *dkw);
    for (long b = 0; b < batch; b++, x += n * cols, dx += n * cols, dy += n * heads * WIDTH)
        for (long group = 0; group < groups; group++) {
            open_key(x, n, cols, heads, group, groups, kw, cosine, sine);
            transpose(h.v, n, h.vt);
            memset(h.dk, 0, (size_t)(n * WIDTH) * sizeof(float));
            memset(h.dv, 0, (size_t)(n * WIDTH) * sizeof(float));
            for (long head = group * each; head < (group + 1) * each; head++) {
                open_query(x, n, cols, head, qw, cosine, sine);
                for (long r = 0; r < n; r++)
                    row_backward(dy + (r * heads + head) * WIDTH, r);
                for (long r = 0; r < n; r++)
                    turn_back(x + r * cols + head * WIDTH, qw, cosine + r * HALF, sine + r * HALF, 1 / sqrtf(WIDTH),
                              h.qi[r], h.dq + r * WIDTH, dx + r * cols + head * WIDTH, dqw);
            }
            for (long r = 0; r < n; r++) {
                long at = r * cols + (heads + group) * WIDTH;
                turn_back(x + at, kw, cosine + r * HALF, sine + r * HALF, 1, h.ki[r], h.dk + r * WIDTH, dx + at, dkw);
                for (int i = 0; i < WIDTH; i++)
                    dx[at + groups * WIDTH + i] = store(h.dv[r * WIDTH + i]);
            }
        }
}

/* y = silu(gate) * up: x [rows, 2 * cols] holds gate and up, y [rows, cols] */
void swiglu_forward(const bf16 *x, bf16 *y, long rows, long cols)
{
    for (long r = 0; r < rows; r++, x += 2 * cols, y += cols)
        for (long i = 0; i < cols; i++) {
            float g = load(x[i]);
            y[i] = store(g / (1.f + expf(-g)) * load(x[cols + i]));
        }
}

void swiglu_backward(const bf16 *x, const bf16 *dy, bf16 *dx, long rows, long cols)
{
    for (long r = 0; r < rows; r++, x += 2 * cols, dx += 2 * cols, dy += cols)
        for (long i = 0; i < cols; i++) {
            float g = load(x[i]), u = load(x[cols + i]), d = load(dy[i]), s = 1.f / (1.f + expf(-g));
            dx[i] = store(d * u * s * (1.f + g * (1.f - s)));
            dx[cols + i] = store(d * g * s);
        }
}
