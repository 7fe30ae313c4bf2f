/* links: shotline_nn */
/* kernels - how fast the device multiplies, attends and convolves, beside OpenBLAS on the same machine in the same
 * minutes.
 *
 * Rounds are interleaved and medians taken, since machines are noisy: trust the ratio more than either figure. */
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/nn/exec.h"
#include "common/nn/ops.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ROUNDS 99

struct bench {
    struct exec *x;
    int rounds;
    int threads;
    int missed; /* targets */
};

/* One side's work per round, measured beside the other's. */
struct contest {
    const char *name;
    double flops;
    double target; /* of the ratio device / BLAS; 0: none stated */
    struct program *program;
    int copies; /* of the operation in the program, so that a submit does not count */
    void (*rival)(void *);
    void *rival_data;
};

static float *numbers(int64_t count)
{
    static uint64_t stream;
    float *data = xmalloc((size_t)count * sizeof *data);
    stream++;
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)(rng_uniform(7, stream, (uint64_t)i) - 0.5);
    return data;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static void stop(const char *what, const struct error *err)
{
    fprintf(stderr, "kernels: %s: %s\n", what, err->text);
    exit(1);
}

static void compete(struct bench *b, const struct contest *c)
{
    struct error err = { 0 };
    double ours[MAX_ROUNDS], theirs[MAX_ROUNDS], ratio[MAX_ROUNDS];
    for (int i = -1; i < b->rounds; i++) { /* round -1 warms both up */
        int64_t t0 = clock_now_us();
        if (!program_run(c->program, &err))
            stop(c->name, &err);
        int64_t t1 = clock_now_us();
        for (int k = 0; k < c->copies; k++)
            c->rival(c->rival_data);
        int64_t t2 = clock_now_us();
        if (i < 0)
            continue;
        ours[i] = c->flops * c->copies / (double)(t1 - t0) * 1e-3;
        theirs[i] = c->flops * c->copies / (double)(t2 - t1) * 1e-3;
        ratio[i] = ours[i] / theirs[i];
    }
    double r = median(ratio, b->rounds);
    bool met = r >= c->target;
    printf("%-44s %8.1f %8.1f %8.2f", c->name, median(ours, b->rounds), median(theirs, b->rounds), r);
    if (c->target > 0)
        printf(" %8.2f %s", c->target, met ? "met" : "MISSED");
    printf("\n");
    fflush(stdout);
    b->missed += !met;
}

static int copies_for(double flops)
{
    double n = 4e8 / flops;
    return n < 1 ? 1 : n > 64 ? 64 : (int)n;
}

static struct program *make(struct bench *b, struct graph *g)
{
    struct error err = { 0 };
    struct program *p = program_new(b->x, g, NULL, &err);
    if (!p)
        stop("program", &err);
    return p;
}

static void fill(struct program *p, value v, const float *data, int64_t count)
{
    struct error err = { 0 };
    if (!program_write(p, v, data, count, &err))
        stop("write", &err);
}

/* ---- matrix product ---- */

struct gemm {
    int m, n, k;
    float *x, *w, *y;
};

static void gemm_blas(void *data)
{
    struct gemm *s = data;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, s->m, s->n, s->k, 1.0f, s->x, s->k, s->w, s->k, 0.0f, s->y,
                s->n);
}

static void bench_gemm(struct bench *b, int m, int n, int k, double target)
{
    struct gemm s = { m, n, k, numbers((int64_t)m * k), numbers((int64_t)n * k), numbers((int64_t)m * n) };
    char name[80];
    snprintf(name, sizeof name, "linear [%d, %d] x [%d, %d]", m, k, n, k);
    struct contest c = {
        .name = name, .flops = 2.0 * m * n * k, .target = target, .rival = gemm_blas, .rival_data = &s
    };
    c.copies = copies_for(c.flops);
    const struct weight w = { .name = "w", .type = DTYPE_F32, .shape = SHAPE(n, k), .data = s.w };
    struct graph *g = graph_new();
    value x = graph_input(g, "x", SHAPE(m, k));
    for (int i = 0; i < c.copies; i++)
        op_linear(g, x, graph_weight(g, &w), VALUE_NONE, ACT_NONE);
    c.program = make(b, g);
    fill(c.program, x, s.x, (int64_t)m * k);
    compete(b, &c);
    program_free(&c.program);
    graph_free(&g);
    exec_drop_weights(b->x);
    free(s.x);
    free(s.w);
    free(s.y);
}

/* ---- attention ---- */

struct heads {
    int lq, lk, heads, dims;
    float *q, *k, *v, *y, *scores;
};

static void softmax(float *row, int n)
{
    float top = row[0], sum = 0;
    for (int i = 1; i < n; i++)
        top = row[i] > top ? row[i] : top;
    for (int i = 0; i < n; i++) {
        row[i] = expf(row[i] - top);
        sum += row[i];
    }
    for (int i = 0; i < n; i++)
        row[i] /= sum;
}

static void attention_blas(void *data)
{
    struct heads *s = data;
    int width = s->heads * s->dims;
    for (int h = 0; h < s->heads; h++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, s->lq, s->lk, s->dims, 1.0f / sqrtf((float)s->dims),
                    s->q + h * s->dims, width, s->k + h * s->dims, width, 0.0f, s->scores, s->lk);
        for (int i = 0; i < s->lq; i++)
            softmax(s->scores + (int64_t)i * s->lk, s->lk);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, s->lq, s->dims, s->lk, 1.0f, s->scores, s->lk,
                    s->v + h * s->dims, width, 0.0f, s->y + h * s->dims, width);
    }
}

static void bench_attention(struct bench *b, int lq, int lk, int heads, int dims, double target)
{
    int64_t nq = (int64_t)lq * heads * dims, nk = (int64_t)lk * heads * dims;
    struct heads s = { lq,          lk,          heads,
                       dims,        numbers(nq), numbers(nk),
                       numbers(nk), numbers(nq), numbers((int64_t)lq * lk) };
    char name[80];
    snprintf(name, sizeof name, "attention %d queries, %d keys, %d heads of %d", lq, lk, heads, dims);
    struct contest c = {
        .name = name, .flops = 4.0 * lq * lk * heads * dims, .target = target, .rival = attention_blas, .rival_data = &s
    };
    c.copies = copies_for(c.flops);
    struct graph *g = graph_new();
    value q = graph_input(g, "q", SHAPE(lq, heads * dims));
    value k = graph_input(g, "k", SHAPE(lk, heads * dims)), v = graph_input(g, "v", SHAPE(lk, heads * dims));
    const struct attention how = { .heads = heads, .kv_heads = heads, .scale = 1.0f / sqrtf((float)dims) };
    for (int i = 0; i < c.copies; i++)
        op_attention(g, q, k, v, &how);
    c.program = make(b, g);
    fill(c.program, q, s.q, nq);
    fill(c.program, k, s.k, nk);
    fill(c.program, v, s.v, nk);
    compete(b, &c);
    program_free(&c.program);
    graph_free(&g);
    free(s.q);
    free(s.k);
    free(s.v);
    free(s.y);
    free(s.scores);
}

/* ---- convolution: 3 x 3 x 3, causal in time ---- */

struct volume {
    int t, h, w, cin, cout; /* t: frames made; two more are read */
    float *x, *weight, *y, *columns;
};

static void conv_blas(void *data)
{
    struct volume *s = data;
    int k = 27 * s->cin;
    float *to = s->columns;
    for (int t = 0; t < s->t; t++)
        for (int y = 0; y < s->h; y++)
            for (int x = 0; x < s->w; x++)
                for (int tap = 0; tap < 27; tap++, to += s->cin) {
                    int r = y + tap / 3 % 3 - 1, c = x + tap % 3 - 1;
                    if (r < 0 || r >= s->h || c < 0 || c >= s->w)
                        memset(to, 0, (size_t)s->cin * sizeof *to);
                    else
                        memcpy(to, s->x + (((int64_t)(t + tap / 9) * s->h + r) * s->w + c) * s->cin,
                               (size_t)s->cin * sizeof *to);
                }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, s->t * s->h * s->w, s->cout, k, 1.0f, s->columns, k, s->weight,
                k, 0.0f, s->y, s->cout);
}

static void bench_conv(struct bench *b, int t, int h, int w, int cin, int cout, double target)
{
    int64_t voxels = (int64_t)t * h * w, nx = (int64_t)(t + 2) * h * w * cin, nw = 27LL * cin * cout;
    struct volume s = {
        t, h, w, cin, cout, numbers(nx), numbers(nw), numbers(voxels * cout), numbers(voxels * 27 * cin)
    };
    char name[80];
    snprintf(name, sizeof name, "conv3d %dx%dx%d, %d to %d channels", t, h, w, cin, cout);
    struct contest c = { .name = name,
                         .flops = 2.0 * (double)voxels * 27 * cin * cout,
                         .target = target,
                         .rival = conv_blas,
                         .rival_data = &s };
    c.copies = copies_for(c.flops);
    const struct weight weight = {
        .name = "w", .type = DTYPE_F32, .shape = SHAPE(cout, cin, 3, 3, 3), .data = s.weight
    };
    const struct conv how = { .pad_before = { 0, 1, 1 }, .pad_after = { 0, 1, 1 } };
    struct graph *g = graph_new();
    value x = graph_input(g, "x", SHAPE(t + 2, h, w, cin));
    for (int i = 0; i < c.copies; i++)
        op_conv(g, x, graph_weight(g, &weight), VALUE_NONE, &how);
    c.program = make(b, g);
    fill(c.program, x, s.x, nx);
    compete(b, &c);
    program_free(&c.program);
    graph_free(&g);
    exec_drop_weights(b->x);
    free(s.x);
    free(s.weight);
    free(s.y);
    free(s.columns);
}

static void usage(void)
{
    printf("Usage: kernels [DEVICE [ROUNDS]]\n"
           "Prints GF/s of the device and of OpenBLAS, and their ratio; exit code 1 when a target is missed.\n"
           "LP_NUM_THREADS bounds the threads of both.\n");
}

int main(int argc, char **argv)
{
    struct bench b = { .rounds = argc > 2 ? atoi(argv[2]) : 9 };
    struct error err = { 0 };
    if (b.rounds < 1 || b.rounds > MAX_ROUNDS || (argc > 1 && argv[1][0] == '-')) {
        usage();
        return 2;
    }
    const char *threads = getenv("LP_NUM_THREADS");
    b.threads = threads ? atoi(threads) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    b.threads = b.threads < 1 ? 1 : b.threads;
    openblas_set_num_threads(b.threads);
    b.x = exec_open_vk(&(struct exec_options){ .device = argc > 1 ? argv[1] : NULL }, &err);
    if (!b.x)
        stop("device", &err);
    printf("%s beside %s, %d threads, median of %d rounds\n", exec_device_name(b.x), openblas_get_config(), b.threads,
           b.rounds);
    printf("%-44s %8s %8s %8s %8s\n", "", "GF/s", "BLAS", "ratio", "target");
    bench_gemm(&b, 320, 1536, 1536, 0.25);
    bench_gemm(&b, 320, 1536, 8960, 0.25);
    bench_gemm(&b, 320, 1024, 256, 0.15);
    bench_gemm(&b, 240, 512, 128, 0);
    bench_gemm(&b, 400, 128, 512, 0);
    bench_gemm(&b, 40, 768, 192, 0);
    bench_gemm(&b, 1, 1024, 1024, 0);
    bench_attention(&b, 512, 512, 12, 128, 0.4);
    bench_attention(&b, 400, 400, 2, 64, 0);
    bench_attention(&b, 400, 400, 6, 32, 0);
    bench_conv(&b, 1, 60, 104, 96, 96, 0.4);
    bench_conv(&b, 4, 40, 64, 64, 64, 0.4);
    bench_conv(&b, 1, 80, 128, 32, 32, 0);
    bench_conv(&b, 1, 80, 128, 16, 16, 0);
    bench_conv(&b, 1, 80, 128, 16, 3, 0);
    exec_close(&b.x);
    return b.missed > 0;
}
