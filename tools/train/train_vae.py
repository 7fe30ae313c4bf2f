"""train_vae - trains the VAE: single images first, then crops of clips, then whole frames.

The loss begins with much L1, edges and motion, which teach shapes quickly, and ends as nearly pure MSE.

Once latents are encoded for the painter, the encoder must not change any more; `--part decoder` trains the decoder further
(also beside the painter) and puts it into vae_final.pt.
"""
import argparse
import math
import os
import sys
import time
import numpy as np
import torch
import vae as vae_model
from learner import Learner, device_pick, schedule
from parallel import group_join, run_workers

HELD_OUT = 16
CHECKPOINT = {"all": "vae.pt", "decoder": "vae_decoder.pt"}


def to_tensor(frames):
    """uint8 [..., H, W, 3] to f32 [..., 3, H, W] in -1..1"""
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -3).float() / 127.5 - 1


class Crops:
    """Random crops of the drawn pictures; `shape_rng` is the same on all processes, so that they draw the same shapes."""

    def __init__(self, work, seed):
        self.clips = np.load(f"{work}/clips.npy", mmap_mode="r")
        self.images = np.load(f"{work}/images.npy", mmap_mode="r")
        self.references = np.load(f"{work}/references.npy", mmap_mode="r")
        self.rng, self.shape_rng = np.random.RandomState(seed), np.random.RandomState(7)

    def batch(self, phase):
        draw = self.shape_rng.rand()
        if phase == "images":
            count, t, h, w = (16, 1, 64, 64) if draw < .8 else (6, 1, 80, 128)
        elif draw < .10:
            count, t, h, w = 6, 1, 80, 128
        elif phase == "whole" and draw < .75:
            count, t, h, w = (1, 17, 80, 128) if draw < .35 else (2, 9, 80, 128)
        elif phase == "crops" and draw < .75:
            count, t, h, w = 6, 5, 64, 64
        else:
            count, t, h, w = 4, 9, 64, 64
        out = []
        for _ in range(count):
            if t == 1:
                source = self.references if self.rng.rand() < .15 else self.images
                clip = source[self.rng.randint(len(source))]
            else:
                clip = self.clips[HELD_OUT + self.rng.randint(len(self.clips) - HELD_OUT)]
            s, y, x = [self.rng.randint(n - m + 1) for n, m in zip(clip.shape, (t, h, w))]
            out.append(to_tensor(clip[s:s + t, y:y + h, x:x + w]))
        return torch.stack(out)


def loss_of(y, x, mean, logvar, progress):
    d = y - x
    early = max(.1, 1 - 1.5 * progress)
    edges = (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
    motion = (d[:, 1:] - d[:, :-1]).abs().mean() if d.shape[1] > 1 else 0.
    kl = .5 * (mean.pow(2) + logvar.exp() - 1 - logvar).mean()
    return early * (.6 * d.abs().mean() + .25 * edges + .15 * motion) + (7 - 5 * early) * d.pow(2).mean() + 5e-4 * kl


@torch.no_grad()
def psnr(model, clips, device):
    """Mean over held-out clips of 17 frames and over their first frames alone."""
    score = lambda a, b: 10 * math.log10(4 / float((a - b).pow(2).mean()))
    dtype = next(model.parameters()).dtype
    out = []
    for frames in (17, 1):
        x = [to_tensor(clips[i, :frames])[None].to(device) for i in range(0, HELD_OUT, 2)]
        out.append(np.mean([score(model.decode(model.encode(v.to(dtype))[0].to(dtype)).float().clamp(-1, 1), v) for v in x]))
    return out


def phase_of(progress):
    return "images" if progress < .14 else "crops" if progress < .6 else "whole"


def model_make(part, work):
    model = vae_model.Vae(**vae_model.CONFIG)
    vae_model.vae_init(model)
    if part == "decoder":
        model.load_state_dict(torch.load(f"{work}/vae_final.pt", map_location="cpu")["model"])
    return model


def decoder_keep(learner, work):
    """Puts the averaged decoder into the finished VAE; its encoder and latents stay as they are."""
    state = torch.load(f"{work}/vae_final.pt", map_location="cpu")
    state["model"].update({k: v.cpu() for k, v in learner.ema.items() if "encoder" not in k and not k.startswith("quant_conv")})
    torch.save(state, f"{work}/vae_final.pt.new")
    os.replace(f"{work}/vae_final.pt.new", f"{work}/vae_final.pt")


def worker(rank, ranks, work, part, minutes, save_minutes):
    group_join(rank, ranks)
    device = device_pick(rank)
    torch.manual_seed(0)
    is_matrix = lambda name, p: p.dim() >= 4 and "gamma" not in name and min(p.shape[0], p[0].numel()) >= 8 and "conv_in" not in name and "conv_out" not in name
    learner = Learner(model_make(part, work), is_matrix, device, ranks, muon_lr=.007, adam_lr=2e-3, betas=(.9, .97), average=.997)
    path = f"{work}/{CHECKPOINT[part]}"
    learner.load(path)
    torch.manual_seed(learner.steps * 10 + rank)
    crops = Crops(work, learner.steps * 10 + rank)
    began, before, saved, recent = time.time(), learner.seconds, time.time(), []
    progress = before / (minutes * 60)
    while progress < 1:
        learner.seconds = before + time.time() - began
        rate = schedule(progress, learner.steps)
        stage = progress if part == "all" else .6 + .4 * progress
        x = crops.batch(phase_of(stage)).to(device)
        with torch.set_grad_enabled(part == "all"):
            mean, logvar = learner.work.encode(x.to(torch.bfloat16))
        z = mean + torch.exp(.5 * logvar) * torch.randn_like(mean)
        loss = loss_of(learner.work.decode(z.to(torch.bfloat16)).float(), x, mean, logvar, stage)
        loss.backward()
        progress = learner.step(rate, learner.seconds / (minutes * 60))
        recent.append(float(loss))
        if rank == 0 and learner.steps % 50 == 0:
            print(f"{learner.steps} {learner.seconds:.0f} s {phase_of(stage)} loss {np.mean(recent[-50:]):.4f}", flush=True)
        if rank == 0 and (time.time() - saved > save_minutes * 60 or progress >= 1):
            print("held out psnr: clips %.2f images %.2f" % tuple(psnr(learner.averaged(), crops.clips, device)), flush=True)
            learner.save(path)
            if part == "decoder":
                decoder_keep(learner, work)
            saved = time.time()
    if rank == 0:
        open(f"{work}/{done_name(part)}", "w").close()


def done_name(part):
    return "vae.done" if part == "all" else "vae_decoder.done"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", default="work")
    p.add_argument("--part", choices=list(CHECKPOINT), default="all")
    p.add_argument("--minutes", type=float, default=60)
    p.add_argument("--save-minutes", type=float, default=3)
    p.add_argument("--ranks", type=int, default=torch.cuda.device_count() or os.cpu_count())
    a = p.parse_args()
    if not os.path.exists(f"{a.work}/{done_name(a.part)}"):
        run_workers(worker, a.ranks, a.work, a.part, a.minutes, a.save_minutes)


if __name__ == "__main__":
    sys.exit(main())
