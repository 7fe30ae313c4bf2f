#include "coordinator/loop.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/farm/planner_thread.h"
#include "coordinator/farm/scribe.h"
#include "coordinator/turn.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#define LONGEST_WAIT_MS 60000

enum { WORKERS, CLIENTS, SIGNALS, MANIFESTS, PLANS, SOURCES };

static bool stop_asked(int signals)
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof info) != (ssize_t)sizeof info)
        return false;
    log_info("coordinator.stop", "signal=%" PRIu32, info.ssi_signo);
    return true;
}

bool loop_run(struct farm *f, int signals, struct error *err)
{
    zmq_pollitem_t items[SOURCES] = {
        [WORKERS] = { .socket = endpoint_socket(f->workers), .events = ZMQ_POLLIN },
        [CLIENTS] = { .socket = endpoint_socket(f->clients), .events = ZMQ_POLLIN },
        [SIGNALS] = { .fd = signals, .events = ZMQ_POLLIN },
        [MANIFESTS] = { .socket = scribe_socket(f->scribe), .events = ZMQ_POLLIN },
        [PLANS] = { .socket = f->planner ? planner_thread_socket(f->planner) : NULL, .events = ZMQ_POLLIN },
    };
    int64_t wait_ms = 0;

    for (;;) {
        if (zmq_poll(items, f->planner ? SOURCES : SOURCES - 1, (long)wait_ms) < 0 && zmq_errno() != EINTR)
            return error_set(err, ERROR_IO, "zmq_poll: %s", zmq_strerror(zmq_errno()));
        if ((items[SIGNALS].revents & ZMQ_POLLIN) && stop_asked(signals))
            return true;
        /* A turn looks at all sockets whatever woke us: one that has nothing costs a call. */
        if (!turn_take(f, clock_now_ms(), clock_wall_ms(), err))
            return false;
        int64_t until_ms = turn_due_ms(f) - clock_now_ms();
        wait_ms = until_ms < 0 ? 0 : until_ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : until_ms;
    }
}
