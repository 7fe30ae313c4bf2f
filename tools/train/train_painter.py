"""train_painter - trains transformer and text encoder by flow matching on the latents.

x = (1 - s) clip + s noise, the target is noise - clip, and s leans to the noisy side, where the text decides what is drawn. First images alone (cheap, and all
places, lights and figures are learnt from them), then clips of 3 to 9 latents among some images. Some samples carry
their figure's reference image as a leading latent frame: only there can the painter see the pattern and second colour, which no
caption tells. Many are reference images by themselves: the farm draws one for a character that has none, and a vague one
would be read differently in every shot. Some are windows out of the middle of a shot, at the low noise
at which the farm hands a shot over to its windows. The cells that the figure fills count more: the figures are
what a prompt controls, and they are small.
"""
import argparse
import os
import sys
import time
import numpy as np
import torch
import unigram
import world
from data import LOOKS, SEED, look_number
from learner import Learner, device_pick, schedule
from parallel import group_join, run_workers
from vace import Painter, control_of, positions_of

HELD_OUT = 32
CHECKPOINT = "painter.pt"
FIGURE_WEIGHT = 4.
REFERENCE_ODDS = .75
WINDOW_SIGMA = .66          # windows are only ever seen below this noise
BATCH = {1: 64, 3: 24, 5: 16, 9: 9}         # per process
LENGTHS, LENGTH_ODDS = [1, 3, 5, 9], [.34, .06, .43, .17]
IMAGE_ODDS = {"references": .60, "clips": .15, "images": .25}    # what one latent frame shows


class Kind:
    """The latents, covers, captions and figures of one kind of sample."""

    def __init__(self, work, name):
        self.latents = np.load(f"{work}/{name}.latents.npy", mmap_mode="r")
        self.cover = np.load(f"{work}/{name}_cover.npy", mmap_mode="r")
        if name == "references":
            self.specs, self.captions = LOOKS, [world.reference_caption(look) for look in LOOKS]
            self.look, self.pool = np.arange(len(LOOKS)), np.arange(len(LOOKS))
        else:
            self.specs = [world.spec_numbered(SEED[name], i) for i in range(len(self.latents))]
            self.captions = [world.caption(s) for s in self.specs]
            self.look = np.array([look_number(s["figure"]) for s in self.specs])
            self.pool = np.arange(HELD_OUT, len(self.specs))

    def caption_vary(self, i, rng):
        """Captions as the coordinator writes them, but one may be missing or in other words, a part may be missing, and a
        strange word may stand in between."""
        text, draw = self.captions[i], rng.rand()
        if draw > .80 and "place" in self.specs[i]:
            return world.caption_free(self.specs[i], rng)
        return vary(text, draw, rng)


def vary(text, draw, rng):
    if draw < .10:
        return ""
    if draw < .16:
        parts = text.split(", ")
        if len(parts) > 2:
            del parts[1 + rng.randint(len(parts) - 1)]
        return ", ".join(parts)
    if draw < .20:
        words = text.split(" ")
        strange = "".join(chr(97 + rng.randint(26)) for _ in range(2 + rng.randint(5)))
        words.insert(4 + rng.randint(max(1, len(words) - 4)), strange)
        return " ".join(words)
    return text


class Samples:
    """Draws batches; shapes come from `shape_rng`, which is the same on all processes."""

    def __init__(self, work, seed, shape_seed, device):
        self.work, self.device = work, device
        self.rng, self.shape_rng = np.random.RandomState(seed), np.random.RandomState(shape_seed)
        self.kinds = {name: Kind(work, name) for name in ("references", "images")}
        self.zero = torch.from_numpy(np.load(f"{work}/zero.npy")).float().to(device)

    def kind(self, name):
        if name not in self.kinds:
            self.kinds[name] = Kind(self.work, name)
        return self.kinds[name]

    def clips_ready(self):
        """Clips may still be encoded while the images are learnt."""
        return "clips" in self.kinds or os.path.exists(f"{self.work}/encode-clips.done")

    def batch(self, images_only):
        length = 1 if images_only else int(self.shape_rng.choice(LENGTHS, p=LENGTH_ODDS))
        name, first = "images" if length == 1 else "clips", 0
        if length == 1:                 # the first latent frame of a clip is an image too
            name = str(self.shape_rng.choice(list(IMAGE_ODDS), p=list(IMAGE_ODDS.values())))
            if name == "clips" and not self.clips_ready():
                name = "images"
        if length == 5 and self.shape_rng.rand() < .22:
            first = 1 + int(self.shape_rng.randint(4))
        references = int(name != "references" and self.shape_rng.rand() < REFERENCE_ODDS)
        pick = self.rng.choice(self.kind(name).pool, BATCH[length])
        captions = [self.kind(name).caption_vary(i, self.rng) for i in pick]
        return self.gather(name, pick, captions, first, length, references)

    def gather(self, name, pick, captions, first, length, references):
        k = self.kind(name)
        clip = torch.from_numpy(k.latents[pick][:, first:first + length]).float().to(self.device)
        refs = torch.from_numpy(self.kinds["references"].latents[k.look[pick]][:, :references]).float().to(self.device)
        cover = torch.from_numpy(k.cover[pick][:, first:first + length]).float().to(self.device) / 255
        weight = 1 + FIGURE_WEIGHT * cover
        weight = torch.cat([weight.new_full((len(pick), references, *weight.shape[2:]), .2), weight / weight.mean()], 1)
        return {"x0": torch.cat([refs, clip], 1).transpose(1, 2), "weight": weight[:, None],
                "ids": torch.tensor([unigram.encode(c) for c in captions], device=self.device),
                "control": control_of(self.zero[first:first + length], refs), "positions": positions_of(references, first, length),
                "window": first > 0}

    def sigmas(self, count, window):
        s = np.where(self.rng.rand(count) < .15, self.rng.rand(count), 1 / (1 + np.exp(-(.7 + 1.1 * self.rng.randn(count)))))
        if window:
            s = self.rng.rand(count) * WINDOW_SIGMA
        return torch.from_numpy(s).float().to(self.device)


def loss_of(model, batch, sigma, noise, weighted=True):
    s, x0 = sigma.view(-1, 1, 1, 1, 1), batch["x0"]
    v = model((1 - s) * x0 + s * noise, sigma * 1000, batch["ids"], batch["control"].to(torch.bfloat16), batch["positions"]).float()
    error = (v - (noise - x0)).pow(2)
    return (error * batch["weight"]).mean() if weighted else error.mean()


def held_out(samples):
    """Fixed batches, noises and sigmas that training never sees."""
    out = {}
    for name, length, references in (("images", 1, 0), ("images", 1, 1), ("clips", 5, 0), ("clips", 5, 1)):
        if name == "clips" and not os.path.exists(f"{samples.work}/encode-clips.done"):
            continue
        pick = np.arange(HELD_OUT)
        batch = samples.gather(name, pick, [samples.kind(name).captions[i] for i in pick], 0, length, references)
        generator = torch.Generator().manual_seed(5)
        noise = torch.randn(batch["x0"].shape, generator=generator).to(samples.device)
        out[f"{name}{length}r{references}"] = (batch, (torch.arange(HELD_OUT, device=samples.device) + .5) / HELD_OUT, noise)
    return out


@torch.no_grad()
def evaluate(learner, samples):
    model = learner.averaged()
    return " ".join(f"{name} {float(loss_of(model, b, s, n, False)):.4f}" for name, (b, s, n) in held_out(samples).items())


def worker(rank, ranks, work, minutes, image_minutes, save_minutes):
    group_join(rank, ranks)
    device = device_pick(rank)
    torch.manual_seed(0)
    is_matrix = lambda name, p: p.dim() == 2 and ("blocks" in name or "encoder.block" in name) and "relative" not in name
    learner = Learner(Painter(unigram.vocab_size()), is_matrix, device, ranks, muon_lr=.015, adam_lr=2e-3)
    path = f"{work}/{CHECKPOINT}"
    learner.load(path)
    torch.manual_seed(learner.steps * 10 + rank)
    samples = Samples(work, learner.steps * 10 + rank, learner.steps, device)
    began, before, saved, recent, progress = time.time(), learner.seconds, time.time(), [], 0.
    while progress < 1:
        learner.seconds = before + time.time() - began
        batch = samples.batch(progress * minutes < image_minutes or not samples.clips_ready())
        sigma = samples.sigmas(len(batch["x0"]), batch["window"])
        loss = loss_of(learner.work, batch, sigma, torch.randn_like(batch["x0"]))
        loss.backward()
        rate = schedule(progress, learner.steps, warm=60)
        progress = learner.step(rate, learner.seconds / (minutes * 60))
        learner.samples += len(sigma) * ranks
        recent.append(float(loss))
        if rank == 0 and learner.steps % 25 == 0:
            print(f"{learner.steps} {learner.seconds:.0f} s samples {learner.samples} loss {np.mean(recent[-25:]):.4f}", flush=True)
        if rank == 0 and (time.time() - saved > save_minutes * 60 or progress >= 1):
            print("held out:", evaluate(learner, samples), flush=True)
            learner.save(path)
            saved = time.time()
    if rank == 0:
        open(f"{work}/painter.done", "w").close()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", default="work")
    p.add_argument("--minutes", type=float, default=90)
    p.add_argument("--image-minutes", type=float, default=12)
    p.add_argument("--save-minutes", type=float, default=4)
    p.add_argument("--ranks", type=int, default=torch.cuda.device_count() or os.cpu_count())
    a = p.parse_args()
    if not os.path.exists(f"{a.work}/painter.done"):
        run_workers(worker, a.ranks, a.work, a.minutes, a.image_minutes, a.save_minutes)


if __name__ == "__main__":
    sys.exit(main())
