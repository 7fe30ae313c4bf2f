"""parallel - one process per core (or per GPU), gradients averaged over them.

On a shared CPU two processes of one thread each beat one process of two threads by far: an OpenMP barrier waits for the
slowest core at every operation, an all-reduce only once per step.
"""
import multiprocessing
import os
import socket


def _enter(target, rank, ranks, port, args):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(ranks), OMP_NUM_THREADS="1")
    target(rank, ranks, *args)


def run_workers(target, ranks, *args):
    """Runs target(rank, ranks, *args) in `ranks` processes; fails when one fails."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    os.environ["OMP_NUM_THREADS"] = "1"
    workers = [context.Process(target=_enter, args=(target, r, ranks, port, args)) for r in range(ranks)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    if any(w.exitcode for w in workers):
        raise SystemExit("a worker failed")


def group_join(rank, ranks):
    """Joins the gradient group, when there is more than one process."""
    import torch
    torch.set_num_threads(1 if not torch.cuda.is_available() else 4)
    if ranks > 1:
        import torch.distributed as dist
        dist.init_process_group("gloo" if not torch.cuda.is_available() else "nccl", rank=rank, world_size=ranks)


def gradients_average(parameters, ranks, extra=0.):
    """Averages the gradients that exist (the same on every process) and one more number; returns that number."""
    import torch
    if ranks == 1:
        return extra
    import torch.distributed as dist
    parameters = [p for p in parameters if p.grad is not None]
    flat = torch.cat([p.grad.reshape(-1).float() for p in parameters] + [torch.tensor([float(extra)], device=parameters[0].device)])
    dist.all_reduce(flat)
    flat /= ranks
    at = 0
    for p in parameters:
        n = p.numel()
        p.grad = flat[at:at + n].view_as(p).to(p.dtype)
        at += n
    return float(flat[-1])
