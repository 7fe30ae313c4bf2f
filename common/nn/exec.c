/* exec - the doors of exec.h: checks what callers promise, then asks the executor's own table. */
#include "common/nn/exec_internal.h"

#include "common/base/str.h"

#include <inttypes.h>
#include <stdlib.h>

void exec_close(struct exec **x)
{
    if (*x)
        (*x)->calls->close(*x);
    *x = NULL;
}

const char *exec_device_name(const struct exec *x)
{
    return x->calls->device_name(x);
}

int64_t exec_bytes_used(const struct exec *x)
{
    return x->calls->bytes_used(x);
}

int64_t exec_bytes_peak(const struct exec *x)
{
    return x->calls->bytes_peak(x);
}

void exec_print_times(const struct exec *x)
{
    x->calls->print_times(x);
}

void exec_drop_weights(struct exec *x)
{
    x->calls->drop_weights(x);
}

void exec_stream_weights(struct exec *x, bool on)
{
    if (x->calls->stream_weights)
        x->calls->stream_weights(x, on);
}

struct states *states_open(struct exec *x)
{
    struct states *s = x->calls->states_open(x);
    s->exec = x;
    return s;
}

void states_close(struct states **s)
{
    if (*s)
        (*s)->exec->calls->states_close(*s);
    *s = NULL;
}

static void fill_ports(struct program *p, const struct graph *g)
{
    p->port_count = g->value_count;
    p->port = xcalloc((size_t)g->value_count + 1, sizeof *p->port);
    for (int32_t i = 1; i < g->value_count; i++) {
        const struct graph_value *v = &g->value[i];
        p->port[i].count = shape_count(&v->shape);
        p->port[i].input = v->kind == VALUE_INPUT;
        p->port[i].output = v->output;
        str_copy(p->port[i].name, sizeof p->port[i].name, v->name);
    }
}

struct program *program_new(struct exec *x, const struct graph *g, struct states *s, struct error *err)
{
    if (!graph_ok(g, err))
        return NULL;
    for (int32_t i = 1; i < g->value_count && !s; i++)
        if (g->value[i].kind == VALUE_STATE) {
            error_set(err, ERROR_INTERNAL, "graph has state slot %d, but no states were given", g->value[i].slot);
            return NULL;
        }
    struct program *p = x->calls->program_new(x, g, s, err);
    if (!p)
        return NULL;
    p->exec = x;
    fill_ports(p, g);
    return p;
}

void program_free(struct program **p)
{
    if (!*p)
        return;
    free((*p)->port);
    (*p)->exec->calls->program_free(*p);
    *p = NULL;
}

static bool port_check(const struct program *p, value v, bool input, int64_t count, struct error *err)
{
    const char *what = input ? "input" : "output";
    if (v.index <= 0 || v.index >= p->port_count)
        return error_set(err, ERROR_INTERNAL, "program has no %s %d", what, v.index);
    const struct program_port *port = &p->port[v.index];
    if (input ? !port->input : !port->output)
        return error_set(err, ERROR_INTERNAL, "value %d (%s) is no %s of this program", v.index, port->name, what);
    if (port->count != count)
        return error_set(err, ERROR_INTERNAL, "%s %s has %" PRId64 " elements, expected %" PRId64, what, port->name,
                         count, port->count);
    return true;
}

bool program_write(struct program *p, value input, const float *data, int64_t count, struct error *err)
{
    return port_check(p, input, true, count, err) && p->exec->calls->program_write(p, input.index, data, err);
}

bool program_run(struct program *p, struct error *err)
{
    return p->exec->calls->program_run(p, err);
}

bool program_read(struct program *p, value output, float *data, int64_t count, struct error *err)
{
    return port_check(p, output, false, count, err) && p->exec->calls->program_read(p, output.index, data, err);
}
