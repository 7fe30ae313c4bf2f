/* exec_internal - the table behind exec.h: exec_ref.c and exec_vk.c each fill one.
 *
 * Every object begins with its base struct, so that exec.c can find the table: `struct ref_exec { struct exec base; ...
 * }`. */
#ifndef SHOTLINE_NN_EXEC_INTERNAL_H
#define SHOTLINE_NN_EXEC_INTERNAL_H

#include "common/nn/exec.h"
#include "common/nn/graph_internal.h"

struct exec_calls {
    void (*close)(struct exec *x);
    const char *(*device_name)(const struct exec *x);
    int64_t (*bytes_used)(const struct exec *x);
    int64_t (*bytes_peak)(const struct exec *x);
    void (*print_times)(const struct exec *x);
    void (*drop_weights)(struct exec *x);
    void (*stream_weights)(struct exec *x, bool on); /* NULL: there is no device to bring them to */

    struct states *(*states_open)(struct exec *x);
    void (*states_close)(struct states *s);

    /* The graph is whole (graph_ok) and, when it has states, `s` is there. It may be freed once this returns. */
    struct program *(*program_new)(struct exec *x, const struct graph *g, struct states *s, struct error *err);
    void (*program_free)(struct program *p);
    /* `index` names an input or output of this program and `count` has been checked. */
    bool (*program_write)(struct program *p, int32_t index, const float *data, struct error *err);
    bool (*program_run)(struct program *p, struct error *err);
    bool (*program_read)(struct program *p, int32_t index, float *data, struct error *err);
};

struct exec {
    const struct exec_calls *calls;
};

struct states {
    struct exec *exec;
};

/* The part that exec.c fills after program_new: which values the host may write and read. */
struct program_port {
    int64_t count; /* elements */
    bool input, output;
    char name[64];
};

struct program {
    struct exec *exec;
    struct program_port *port; /* by value index */
    int32_t port_count;
};

#endif
