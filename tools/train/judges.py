"""judges - small classifiers that say what a clip shows; trained on the drawn world alone, never on what a painter drew.

One network looks at five frames of two seconds. It finds the figure (a map of where it is) and reads each thing that a
spec says. What it says of the farm's shots means something only where it is right about real clips that it has not seen:
evaluate.py prints that beside every score.
"""
import os
import sys
import time
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import data
import world
from world import cast, clip, places

KINDS = cast.BODIES + cast.PRODUCTS
LABELS = {"place": places.PLACES, "light": places.LIGHTS, "size": clip.SIZES, "camera": clip.CAMERAS, "kind": KINDS,
          "colour": list(cast.COLOURS), "hat": cast.HATS, "action": cast.ACTIONS + ["on display"],
          "pattern": cast.PATTERNS + cast.PRODUCT_PATTERNS, "second": list(cast.SECONDS)}
WHOLE, FIGURE, MOVING = ["place", "light", "size"], ["kind", "colour", "hat", "pattern", "second"], ["camera", "action"]
AT = [0, 4, 8, 12, 15]      # the frames that are looked at: two seconds
WIDTHS, MOTION, CROP = [48, 72, 96], 24, 6


def truth(spec):
    """What a spec says: a dict from label to value."""
    f = spec["figure"]
    return {**{k: spec[k] for k in ("place", "light", "size", "camera", "action")}, "kind": f.get("shape") or f["product"],
            "colour": f["colour"], "hat": f.get("hat", "none"), "pattern": f["pattern"], "second": f["second"]}


def targets(spec):
    t = truth(spec)
    return [LABELS[k].index(t[k]) for k in LABELS]


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        a, b, c = WIDTHS
        self.convs = nn.ModuleList([nn.Conv2d(5, a, 6, 4, 1), nn.Conv2d(a, b, 3, 2, 1), nn.Conv2d(b, c, 3, 1, 1)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(n) for n in WIDTHS])
        self.cover = nn.Conv2d(WIDTHS[-1], 1, 1)
        self.fine = nn.Conv2d(a, 48, 3, 2, 1)
        self.figure = nn.Sequential(nn.Conv2d(48 + c, 64, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * CROP * CROP, 128), nn.ReLU())
        self.whole = nn.Sequential(nn.Linear(c, 128), nn.ReLU())
        self.narrow = nn.Conv2d(WIDTHS[-1], MOTION, 1)
        self.motion = nn.Sequential(nn.Conv2d(MOTION * len(AT), 96, 3, 2, 1), nn.ReLU(), nn.Conv2d(96, 48, 3, 1, 1), nn.ReLU(),
                                    nn.Flatten(), nn.Linear(48 * 40, 128), nn.ReLU())
        self.heads = nn.ModuleDict({k: nn.Linear(128, len(v)) for k, v in LABELS.items()})

    def figure_of(self, near, far, where):
        """What is read of the figure, from the square around it: its outline tells a round body from a square one."""
        grid = crop_around(where)
        cut = lambda x, side: F.grid_sample(x.float(), grid(side), align_corners=False)
        return self.figure(torch.cat([F.relu(self.fine(cut(near, 2 * CROP))), cut(far, CROP)], 1))

    def forward(self, frames):
        """[b, 5, 3, H, W] in 0..1 to a dict of scores, and the figure's map [b, 5, H/8, W/8] (logits)."""
        b, n, _, h, w = frames.shape
        y, x = torch.linspace(-1, 1, h), torch.linspace(-1, 1, w)
        grid = torch.stack([y[:, None].expand(h, w), x[None].expand(h, w)]).expand(b * n, 2, h, w)
        x = torch.cat([frames.flatten(0, 1) * 2 - 1, grid], 1).contiguous(memory_format=torch.channels_last)
        maps = []
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x)))
            maps.append(x)
        cover = self.cover(x)
        figure = self.figure_of(maps[0], x, torch.sigmoid(cover.detach().float())).view(b, n, -1).mean(1)
        whole = self.whole(x.mean((2, 3))).view(b, n, -1).mean(1)
        motion = self.motion(self.narrow(x).reshape(b, n * MOTION, *x.shape[2:]))
        from_ = {**dict.fromkeys(WHOLE, whole), **dict.fromkeys(FIGURE, figure), **dict.fromkeys(MOVING, motion)}
        return {k: self.heads[k](v) for k, v in from_.items()}, cover.view(b, n, *cover.shape[2:])


def crop_around(where):
    """A sampling grid per frame over the square that holds the figure; where [n, 1, h, w] in 0..1."""
    n, _, h, w = where.shape
    mass = where[:, 0] ** 2 + 1e-4
    y, x = torch.arange(h) + .5, torch.arange(w) + .5
    total = mass.sum((1, 2))
    cy, cx = (mass.sum(2) * y).sum(1) / total, (mass.sum(1) * x).sum(1) / total
    spread = torch.maximum((mass.sum(2) * (y - cy[:, None]) ** 2).sum(1), (mass.sum(1) * (x - cx[:, None]) ** 2).sum(1))
    half = (2.2 * (spread / total).sqrt()).clamp(1.5, 5.)
    def grid(side):
        step = torch.linspace(-1, 1, side)
        gy, gx = cy[:, None] + half[:, None] * step, cx[:, None] + half[:, None] * step
        return torch.stack([(gx / w * 2 - 1)[:, None].expand(n, side, side), (gy / h * 2 - 1)[:, :, None].expand(n, side, side)], -1)
    return grid


def loss_of(scores, cover, target, real_cover):
    loss = F.binary_cross_entropy_with_logits(cover, real_cover)
    for i, k in enumerate(LABELS):
        loss = loss + F.cross_entropy(scores[k], target[:, i])
    return loss


def worsen(frames, noise, rng):
    """What a VAE and a codec do to pictures: some blur, some noise, a little more or less light. Changes the frames."""
    if rng.rand() < .5:
        for dim in (3, 4):
            rest = frames.shape[dim] - 1
            frames.narrow(dim, 0, rest).lerp_(frames.narrow(dim, 1, rest).clone(), float(rng.uniform(0, .5)))
    frames.mul_(float(rng.uniform(.94, 1.06)))
    return frames.add_(noise, alpha=float(rng.uniform(-.03, .03))).clamp_(0, 1)


def to_tensor(pixels):
    """uint8 [..., H, W, 3] to floats [..., 3, H, W] in 0..1"""
    return torch.from_numpy(np.array(pixels)).movedim(-1, -3).float() / 255


def train(work, path, epochs, batch=16):
    clips, covers = [np.load(f"{work}/{n}.npy", mmap_mode="r") for n in ("clips", "clips_cover")]
    target = torch.tensor([targets(world.spec_numbered(data.SEED["clips"], i)) for i in range(len(clips))])
    torch.manual_seed(0)
    rng, judge = np.random.RandomState(0), Judge().to(memory_format=torch.channels_last)
    noise = torch.randn(len(AT), 3, *clips.shape[2:4])
    steps = epochs * (len(clips) // batch)
    optimizer = torch.optim.AdamW(judge.parameters(), 1e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps, pct_start=.1)
    begun, step, late = time.process_time(), 0, 0.
    for epoch in range(epochs):
        order = rng.permutation(len(clips))
        for i in range(0, len(order) - batch + 1, batch):
            which = order[i:i + batch]
            first = rng.randint(0, clips.shape[1] - AT[-1])
            if rng.rand() < .5:                 # shots begin at their beginning
                first = 0
            at = [first + k for k in AT]
            frames = worsen(to_tensor(np.stack([clips[j, at] for j in which])), noise, rng)
            cover = torch.from_numpy(np.stack([covers[j, [(t + 3) // 4 for t in at]] for j in which])).float() / 255
            with torch.autocast("cpu", torch.bfloat16):
                scores, where = judge(frames)
            loss = loss_of({k: v.float() for k, v in scores.items()}, where.float(), target[which], cover)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step, late = step + 1, .98 * late + .02 * float(loss)
        print(f"judges: epoch {epoch + 1} of {epochs}, loss {late / (1 - .98 ** step):.3f}, {time.process_time() - begun:.0f} s of CPU", flush=True)
    torch.save({"model": judge.state_dict(), "labels": LABELS}, f"{path}.new")
    os.replace(f"{path}.new", path)


def load(work, epochs=14):
    """The judge of a work folder; trained first where it is missing."""
    path = f"{work}/judge.pt"
    if not os.path.exists(path):
        if not os.path.exists(f"{work}/clips.npy"):
            raise SystemExit(f"evaluate: {work}/clips.npy: no drawn clips to train the judges on; data.py makes them")
        train(work, path, epochs)
    state = torch.load(path)
    if state["labels"] != LABELS:
        raise SystemExit(f"evaluate: {path}: was trained on another world; remove it")
    judge = Judge()
    judge.load_state_dict(state["model"])
    return judge.eval()


@torch.no_grad()
def read(judge, pixels):
    """A clip uint8 [n >= 16, H, W, 3] to what it shows: a dict from label to value, and the figure's map [n, H/8, W/8]."""
    scores, _ = judge(to_tensor(pixels[AT])[None])
    every = []
    for i in range(0, len(pixels), 5):          # the map alone, of all frames
        part = to_tensor(pixels[i:i + 5])
        padded = torch.cat([part, part[-1:].expand(5 - len(part), *part.shape[1:])])
        every.append(torch.sigmoid(judge(padded[None])[1][0, :len(part)]))
    return {k: LABELS[k][int(scores[k].argmax())] for k in LABELS}, torch.cat(every).numpy()


if __name__ == "__main__":
    torch.set_num_threads(1)
    load(sys.argv[1])
