/* graph - an append-only list of operations on f32 values; model code reads like the paper.
 *
 * A builder call checks shapes, appends a node and returns the new value. The first failure is kept: later calls return
 * VALUE_NONE and graph_ok() says at the end what went wrong and in which scope. A graph holds no device and no data but
 * its constants; exec.h runs it.
 *
 * Every operation has one defined result, bit for bit (`exact` numerics, DESIGN.md): it is written at the constructors
 * in ops.h, computed in plain C by exec_ref.c and by the shaders; tests compare them with ==. */
#ifndef SHOTLINE_NN_GRAPH_H
#define SHOTLINE_NN_GRAPH_H

#include "common/base/error.h"
#include "common/nn/tensor.h"

typedef struct {
    int32_t index; /* 0 is VALUE_NONE */
} value;

#define VALUE_NONE ((value){ 0 })

struct graph;

struct graph *graph_new(void);
void graph_free(struct graph **g);

/* Says whether every call so far succeeded; fills *err with the first failure. */
bool graph_ok(const struct graph *g, struct error *err);

/* Scopes name the part of a model for error messages: "blocks.3 > attn1". */
void graph_enter(struct graph *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void graph_leave(struct graph *g);

/* What the host writes before a run. */
value graph_input(struct graph *g, const char *name, struct shape shape);

/* A weight, borrowed: the mapping must outlive every program of this graph. NULL passes a failure on (a missing tensor
 * was already reported through graph_fail). Its shape is as stored. */
value graph_weight(struct graph *g, const struct weight *w);

/* Values that last from run to run and are shared by the programs of one `struct states` (exec.h): KV caches, the VAE's
 * causal caches. The same slot must have the same shape in every graph. They start as zeros. */
value graph_state(struct graph *g, int slot, struct shape shape);

/* Marks a value that the host reads after a run. */
void graph_output(struct graph *g, value v);

struct shape graph_shape(const struct graph *g, value v);

/* Records a failure of the caller's own checks (kept if it is the first). Returns VALUE_NONE. */
value graph_fail(struct graph *g, enum error_kind kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
