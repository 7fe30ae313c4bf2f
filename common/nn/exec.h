/* exec - runs graphs: on a Vulkan device (exec_vk.c) or in plain C (exec_ref.c, the oracle), with the same bits.
 *
 * An executor owns the device copies of weights: a weight is uploaded once, whichever programs use it. A program is a
 * graph made ready (buffers placed, commands recorded) and is run many times. Nothing here is thread-safe: one
 * executor, one thread. */
#ifndef SHOTLINE_NN_EXEC_H
#define SHOTLINE_NN_EXEC_H

#include "common/nn/graph.h"

struct exec;
struct states; /* the persistent values (graph_state) that several programs share */
struct program;

struct exec *exec_open_ref(void);

struct exec_options {
    const char *device;    /* NULL: the best one; "0", "1"...: by index; else part of a device's name */
    const char *cache_dir; /* pipeline cache; NULL: none */
    int64_t max_bytes;     /* device memory to use at most; 0: what the device reports */
    bool validate;         /* with the Vulkan validation layer; a message makes the next call fail */
    bool time_kernels;     /* collect seconds per kernel for exec_print_times */

    const char *load_path;   /* "texel", "storage"; NULL: SHOTLINE_LOAD_PATH, else what suits the device */
    int64_t max_range_bytes; /* binds at most so much at once, for tests; 0: the device's own limit */
};
struct exec *exec_open_vk(const struct exec_options *o, struct error *err);
void exec_close(struct exec **x);

const char *exec_device_name(const struct exec *x); /* "plain C" or the device's name and driver */
int64_t exec_bytes_used(const struct exec *x);      /* device memory held now */
int64_t exec_bytes_peak(const struct exec *x);
void exec_print_times(const struct exec *x); /* a table on stdout */

/* Drops the uploaded weights that no living program uses. To be called after a model's programs are freed and before
 * its files are unmapped: a later mapping may lie at the same address. */
void exec_drop_weights(struct exec *x);

/* Programs made from now on do not keep their weights on the device: every run brings them anew from where they are
 * mapped, which must stay as long as the program. Less memory, more time, the same bits. Plain C has no device: it
 * takes no notice. */
void exec_stream_weights(struct exec *x, bool on);

struct states *states_open(struct exec *x);
void states_close(struct states **s);

/* NULL on failure: ERROR_MEMORY when it does not fit, and what the graph itself kept. `s` may be NULL when the graph
 * has no states. */
struct program *program_new(struct exec *x, const struct graph *g, struct states *s, struct error *err);
void program_free(struct program **p);

/* Inputs keep their contents from run to run. `count` is in elements and must be the value's own. */
bool program_write(struct program *p, value input, const float *data, int64_t count, struct error *err);
bool program_run(struct program *p, struct error *err);
bool program_read(struct program *p, value output, float *data, int64_t count, struct error *err);

#endif
