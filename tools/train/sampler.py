"""sampler - UniPC of order 2 (bh2) over flow sigmas, as UniPCMultistepScheduler computes it, and the painter's drawing loop."""
import numpy as np
import torch
from vace import control_of, positions_of


def sigmas_of(steps, shift):
    """steps + 1 sigmas from (nearly) 1 to 0, in double, then rounded to single precision."""
    s = np.linspace(1, 1 / 1000, steps + 1)[:-1]
    s = shift * s / (1 + (shift - 1) * s)
    if abs(s[0] - 1) < 1e-6:
        s[0] -= 1e-6
    return np.append(s, 0.)


class UniPc:
    """One drawing's solver state: step(i, velocity, x) gives the next x."""

    def __init__(self, steps, shift):
        exact = sigmas_of(steps, shift)
        self.timesteps = (exact[:-1] * 1000).astype(np.int64)
        self.sigmas = exact.astype(np.float32).astype(np.float64)
        self.steps, self.outputs, self.last, self.order = steps, [], None, 0

    def lam(self, i):
        s = self.sigmas[i]
        return np.log(1 - s) - np.log(s) if s > 0 else np.inf

    def step(self, i, velocity, x):
        x0 = x - self.sigmas[i] * velocity
        if i > 0:
            x = self.correct(i, x0)
        self.outputs = (self.outputs + [x0])[-2:]
        self.order = min(2, self.steps - i, len(self.outputs))
        self.last = x
        return self.predict(i + 1)

    def terms(self, i):
        """What both formulas share for the interval from i - 1 to i."""
        h = self.lam(i) - self.lam(i - 1)
        grow = np.expm1(-h)
        base = self.sigmas[i] / self.sigmas[i - 1] * self.last - (1 - self.sigmas[i]) * grow * self.outputs[-1]
        return h, grow, base

    def slope(self, i, h):
        """The difference of the last two outputs over their distance, and that distance in units of h."""
        r = (self.lam(i - 2) - self.lam(i - 1)) / h
        return (self.outputs[-2] - self.outputs[-1]) / r, r

    def predict(self, i):
        h, grow, x = self.terms(i)
        if self.order == 2:
            x = x - (1 - self.sigmas[i]) * grow * .5 * self.slope(i, h)[0]
        return x

    def correct(self, i, x0):
        h, grow, x = self.terms(i)
        change = x0 - self.outputs[-1]
        if self.order == 1:
            return x - (1 - self.sigmas[i]) * grow * .5 * change
        slope, r = self.slope(i, h)
        phi = grow / -h - 1
        phi2 = phi / -h - .5
        a, b = np.linalg.solve([[1., 1.], [r, 1.]], [phi / grow, 2 * phi2 / grow])
        return x - (1 - self.sigmas[i]) * grow * (a * slope + b * change)


@torch.no_grad()
def draw(painter, prompts, zero, noise, references=None, steps=8, shift=2., guidance=2.5, negative=""):
    """Latents [b, z, t, h, w] of shots. zero [t, z, h, w]; noise [b, z, r + t, h, w]; references [b, r, z, h, w] or None."""
    b, z, total, h, w = noise.shape
    dtype = next(painter.transformer.parameters()).dtype
    references = noise.new_zeros(b, 0, z, h, w) if references is None else references
    r = references.shape[1]
    control = control_of(zero, references).to(dtype)
    positions = positions_of(r, 0, total - r)
    ids = torch.tensor([painter.ids(p) for p in prompts], device=noise.device)
    empty = torch.tensor([painter.ids(negative)] * b, device=noise.device)
    text, no_text = painter.text(ids), painter.text(empty)
    solver, x = UniPc(steps, shift), noise
    for i in range(steps):
        t = torch.full((b,), float(solver.timesteps[i]), device=noise.device)
        v = painter.transformer(x.to(dtype), t, text, control, positions).float()
        if guidance > 1:
            u = painter.transformer(x.to(dtype), t, no_text, control, positions).float()
            v = u + guidance * (v - u)
        x = solver.step(i, v, x)
    return x[:, :, r:]
