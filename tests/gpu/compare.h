/* compare - one graph, random data, two executors: every bit of every output must agree. */
#ifndef SHOTLINE_TESTS_GPU_COMPARE_H
#define SHOTLINE_TESTS_GPU_COMPARE_H

#include "common/nn/exec.h"
#include "common/nn/ops.h"

enum spread {
    SPREAD_MILD, /* within [-1, 1], as activations are */
    SPREAD_WILD, /* magnitudes from 2^-50 to 2^18, zeros among them */
};

#define CASE_MAX_VALUES 32

struct test_case {
    struct graph *g;
    uint64_t seed; /* printed when the case fails */
    enum spread spread;
    uint64_t next; /* stream of the next array */
    struct {
        value v;
        float *data;
        int64_t count;
        bool input; /* else an output */
    } port[CASE_MAX_VALUES];
    int ports;
    struct weight *weight[CASE_MAX_VALUES];
    int weights;
};

void case_open(struct test_case *c, uint64_t seed, enum spread spread);
void case_free(struct test_case *c);

float *case_floats(struct test_case *c, int64_t count); /* the caller frees */
value case_input(struct test_case *c, struct shape shape);
value case_input_of(struct test_case *c, struct shape shape, const float *data); /* copied */
value case_weight(struct test_case *c, struct shape shape, enum dtype type);
void case_output(struct test_case *c, value v);

/* Runs on both, `runs` times with the states kept, and compares after each. Fails the running test with the first
 * difference. */
void case_compare(struct test_case *c, const char *name, struct exec *ref, struct exec *vk, int runs);

/* The device for the tests: NULL, and the reason printed, when there is none. `load_path` as in exec_options. */
struct exec *open_device(const char *load_path, bool validate);

/* First number of this run's seeds: SHOTLINE_TEST_SEED or a fixed one; printed. */
uint64_t test_seed(void);

#endif
