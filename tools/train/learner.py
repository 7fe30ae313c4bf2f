"""learner - one model in training: f32 master weights, a bf16 working copy, Muon and Adam, an average for the pack.

Muon takes the matrices (and convolutions as matrices), Adam the rest. There is no autocast: forward and backward run
entirely on the working copy, which is refreshed from the masters after every step.
"""
import copy
import math
import os
import torch
from parallel import gradients_average


AVERAGE_EVERY = 4
LONG = 8                # columns per row from which the Gram form of Newton-Schulz pays


def orthogonalise(g):
    """Newton-Schulz towards the nearest orthogonal matrices; g [n, rows, cols]"""
    x = g / (g.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    tall = g.shape[1] > g.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = orthogonalise_wide(x) if x.shape[2] >= LONG * x.shape[1] else orthogonalise_square(x)
    return x.transpose(1, 2) if tall else x


def orthogonalise_square(x):
    for _ in range(5):
        s = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * (s @ s)) @ x
    return x


def orthogonalise_wide(x):
    """Every step multiplies x by a polynomial of its Gram matrix, and these all commute: the steps are done on the small Gram
    matrix alone, and their product is applied to x once. The Gram matrix must be exact (f32): a rounding that makes an
    eigenvalue negative would grow by a factor of 12 each step."""
    s = x.float()
    s = s @ s.transpose(1, 2)
    one, product = torch.eye(s.shape[1], device=s.device), None
    for step in range(5):
        p = 3.4445 * one - 4.7750 * s + 2.0315 * (s @ s)
        if step < 4:
            s = p @ s @ p
        product = p if product is None else p @ product
    return product.to(x.dtype) @ x


class Learner:
    def __init__(self, model, is_matrix, device, ranks=1, muon_lr=.01, adam_lr=1.5e-3, betas=(.9, .98), average=.998, dtype=torch.bfloat16):
        self.master, self.device, self.ranks = model.to(device), device, ranks
        self.work = to_working(copy.deepcopy(model), dtype)
        self.muon_lr, self.adam_lr, self.betas, self.average = muon_lr, adam_lr, betas, average
        self.parameters = dict(self.master.named_parameters())
        self.working = dict(self.work.named_parameters())
        self.matrices, self.momentum, self.moments = {}, {}, {}
        for name, p in self.parameters.items():
            if is_matrix(name, p):
                self.matrices.setdefault((p.shape[0], p[0].numel()), []).append(name)
                self.momentum[name] = torch.zeros_like(p)
            else:
                self.moments[name] = (torch.zeros_like(p), torch.zeros_like(p))
        self.ema = {k: p.detach().clone() for k, p in self.parameters.items()}
        self.steps, self.seconds, self.samples = 0, 0., 0

    @torch.no_grad()
    def step(self, rate, progress=0.):
        """One update from the working copy's gradients, `rate` scaling both learning rates. Returns the mean progress."""
        working = list(self.working.values())
        progress = gradients_average(working, self.ranks, progress)
        self.steps += 1
        grads = {k: p.grad.float() for k, p in self.working.items() if p.grad is not None}
        norm = math.sqrt(sum(float(g.flatten().dot(g.flatten())) for g in grads.values()))
        if not math.isfinite(norm):             # a broken batch must not end a long run
            for p in working:
                p.grad = None
            return progress
        self.step_muon(grads, self.muon_lr * rate)
        self.step_adam(grads, self.adam_lr * rate, min(1., 1. / (norm + 1e-6)))
        if self.steps % AVERAGE_EVERY == 0:
            keep = min(self.average, (1 + self.steps) / (20 + self.steps)) ** AVERAGE_EVERY
            for name, p in self.parameters.items():
                self.ema[name].lerp_(p, 1 - keep)
        for name, p in self.parameters.items():
            self.working[name].copy_(p)
            self.working[name].grad = None
        return progress

    def step_muon(self, grads, lr):
        for (rows, cols), names in self.matrices.items():
            names = [n for n in names if n in grads]
            if not names:
                continue
            for n in names:
                self.momentum[n].mul_(.95).add_(grads[n])
            g = torch.stack([(grads[n] + .95 * self.momentum[n]).view(rows, cols) for n in names]).to(torch.bfloat16)
            for n, o in zip(names, orthogonalise(g).float()):
                self.parameters[n].mul_(1 - .02 * lr).sub_(o.reshape(self.parameters[n].shape), alpha=lr * max(1, rows / cols) ** .5)

    def step_adam(self, grads, lr, clip):
        a, b = self.betas
        for name, (first, second) in self.moments.items():
            if name not in grads:
                continue
            g = grads[name] * clip
            first.lerp_(g, 1 - a)
            second.mul_(b).addcmul_(g, g, value=1 - b)
            size = (second / (1 - b ** self.steps)).sqrt() + 1e-8
            self.parameters[name].addcdiv_(first / (1 - a ** self.steps), size, value=-lr)

    def averaged(self, dtype=torch.bfloat16):
        """A copy of the model with the averaged weights."""
        model = copy.deepcopy(self.master)
        model.load_state_dict({**model.state_dict(), **self.ema})
        return to_working(model, dtype).eval()

    def save(self, path, **more):
        state = {"master": self.master.state_dict(), "ema": self.ema, "momentum": self.momentum, "moments": self.moments,
                 "steps": self.steps, "seconds": self.seconds, "samples": self.samples, **more}
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)

    def load(self, path):
        """Continues from a checkpoint, when there is one; returns what else was saved, or None."""
        if not os.path.exists(path):
            return None
        state = torch.load(path, map_location=self.device)
        self.master.load_state_dict(state["master"])
        for mine, theirs in ((self.ema, state["ema"]), (self.momentum, state["momentum"])):
            for k in mine:
                mine[k].copy_(theirs[k])
        for k in self.moments:
            for mine, theirs in zip(self.moments[k], state["moments"][k]):
                mine.copy_(theirs)
        for k, p in self.parameters.items():
            self.working[k].data.copy_(p.data)
        self.steps, self.seconds, self.samples = state["steps"], state["seconds"], state["samples"]
        return state


def to_working(model, dtype):
    return model.working(dtype) if hasattr(model, "working") else model.to(dtype)


def device_pick(rank=0):
    return torch.device(f"cuda:{rank}" if torch.cuda.is_available() else "cpu")


def schedule(progress, steps, warm=40, decay=.4):
    """The scale of the learning rate: a short warm-up, constant, then linear down over the last part."""
    return min(1., (steps + 1) / warm) * max(.02, min(1., (1 - progress) / decay))
