"""encode - the trained VAE's latents of everything drawn, normalised, kept as f16 arrays in the work folder.

vae_final.pt        the averaged VAE, and the mean and deviation of each latent channel
NAME.latents.npy    f16 [count, latents, z, H/8, W/8] for references, images and clips
zero.npy            f16 [LATENTS, z, H/8, W/8]: a grey video, what the VACE control says of frames that nobody gave
"""
import argparse
import os
import sys
import numpy as np
import torch
import vae as vae_model
import world
from data import FRAMES, LATENTS
from learner import device_pick
from parallel import group_join, run_workers
from train_vae import CHECKPOINT, to_tensor

KINDS = {"images": ["references", "images"], "clips": ["clips"]}


class Codec:
    """The finished VAE: pixels in -1..1 [b, t, 3, H, W] to normalised latents [b, t, z, h, w] and back."""

    def __init__(self, work, device, dtype=torch.bfloat16):
        state = torch.load(f"{work}/vae_final.pt", map_location=device)
        self.model = vae_model.Vae(**vae_model.CONFIG).to(device)
        self.model.load_state_dict(state["model"])
        self.model.to(dtype).eval()
        self.mean, self.std = [state[k].view(-1, 1, 1) for k in ("mean", "std")]
        self.dtype = dtype

    @torch.no_grad()
    def encode(self, x):
        return (self.model.encode(x.to(self.dtype))[0] - self.mean) / self.std

    @torch.no_grad()
    def decode(self, z):
        return self.model.decode((z * self.std + self.mean).to(self.dtype)).float().clamp(-1, 1)


@torch.no_grad()
def finish(work, device):
    """Writes vae_final.pt from the training's checkpoint."""
    model = vae_model.Vae(**vae_model.CONFIG).to(device)
    model.load_state_dict(torch.load(f"{work}/{CHECKPOINT['all']}", map_location=device)["ema"])
    half = vae_model.Vae(**vae_model.CONFIG).to(device)
    half.load_state_dict(model.state_dict())
    half.bfloat16()
    clips = np.load(f"{work}/clips.npy", mmap_mode="r")
    z = torch.cat([half.encode(to_tensor(clips[i, :17])[None].to(device).bfloat16())[0] for i in range(16, 40)])
    torch.save({"model": model.state_dict(), "mean": z.mean((0, 1, 3, 4)), "std": z.std((0, 1, 3, 4))}, f"{work}/vae_final.pt")
    zero = Codec(work, device).encode(torch.zeros(1, FRAMES, 3, world.HEIGHT, world.WIDTH, device=device))[0]
    np.save(f"{work}/zero.npy", zero.cpu().numpy().astype(np.float16))


def worker(rank, ranks, work, what):
    group_join(0, 1)
    device = device_pick(rank)
    codec = Codec(work, device)
    for name in KINDS[what]:
        pixels = np.load(f"{work}/{name}.npy", mmap_mode="r")
        latents = np.load(f"{work}/{name}.latents.npy", mmap_mode="r+")
        step = 8 if name == "images" else 1
        for i in range(rank * step, len(latents), ranks * step):
            part = slice(i, min(i + step, len(latents)))
            latents[part] = codec.encode(to_tensor(pixels[part]).to(device)).cpu().numpy()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", default="work")
    p.add_argument("--what", choices=list(KINDS), required=True)
    p.add_argument("--limit", type=int, default=1 << 30, help="encode no more than this many")
    p.add_argument("--ranks", type=int, default=torch.cuda.device_count() or os.cpu_count())
    a = p.parse_args()
    if os.path.exists(f"{a.work}/encode-{a.what}.done"):
        return
    if not os.path.exists(f"{a.work}/vae_final.pt"):
        finish(a.work, device_pick())
    for name in KINDS[a.what]:
        count, frames = np.load(f"{a.work}/{name}.npy", mmap_mode="r").shape[:2]
        shape = (count if name == "references" else min(count, a.limit), LATENTS if frames > 1 else 1, vae_model.CONFIG["z_dim"], world.HEIGHT // 8, world.WIDTH // 8)
        np.lib.format.open_memmap(f"{a.work}/{name}.latents.npy", "w+", np.float16, shape)
    run_workers(worker, a.ranks, a.work, a.what)
    open(f"{a.work}/encode-{a.what}.done", "w").close()


if __name__ == "__main__":
    sys.exit(main())
