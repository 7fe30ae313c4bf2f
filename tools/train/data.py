"""data - the drawn clips, images and references, rendered once and kept as arrays in the work folder.

clips.npy    uint8 [CLIPS, FRAMES, H, W, 3]     clips_cover.npy   uint8 [CLIPS, LATENTS, H/8, W/8]
images.npy   uint8 [IMAGES, 1, H, W, 3]         images_cover.npy  uint8 [IMAGES, 1, H/8, W/8]
references.npy, references_cover.npy            as images, one for every look of every figure, in the order of looks_all()
A cover is how much of a latent cell the figure fills. Specs are not stored: they follow from (seed, index).
"""
import argparse
import os
import sys
import numpy as np
import world
from parallel import run_workers
from picture import to_bytes

FRAMES, LATENTS = 33, 9
SEED = {"clips": 1, "images": 2}
LOOKS = world.looks_all()
LOOK_NUMBER = {tuple(sorted(look.items())): i for i, look in enumerate(LOOKS)}


def latent_cover(cover):
    """[frames, H, W] to [latents, H/8, W/8]: the mean over a cell's pixels, the most over a latent's frames."""
    n, h, w = cover.shape
    cells = cover.reshape(n, h // 8, 8, w // 8, 8).mean((2, 4))
    return np.stack([cells[0]] + [cells[i:i + 4].max(0) for i in range(1, n, 4)])


def look_number(figure):
    return LOOK_NUMBER[tuple(sorted(figure.items()))]


def create(work, name, count, frames):
    """Makes the files of one kind, to be filled by the workers."""
    latents = (frames + 3) // 4
    open_ = np.lib.format.open_memmap
    open_(f"{work}/{name}.npy", "w+", np.uint8, (count, frames, world.HEIGHT, world.WIDTH, 3))
    open_(f"{work}/{name}_cover.npy", "w+", np.uint8, (count, latents, world.HEIGHT // 8, world.WIDTH // 8))


def fill(work, name, render, rank, ranks):
    pixels = np.load(f"{work}/{name}.npy", mmap_mode="r+")
    covers = np.load(f"{work}/{name}_cover.npy", mmap_mode="r+")
    for i in range(rank, len(pixels), ranks):
        picture, cover = render(i)
        pixels[i], covers[i] = to_bytes(picture), to_bytes(latent_cover(cover))


def worker(rank, ranks, work):
    fill(work, "references", lambda i: world.render_reference(LOOKS[i]), rank, ranks)
    fill(work, "images", lambda i: world.render(world.spec_numbered(SEED["images"], i), 1), rank, ranks)
    fill(work, "clips", lambda i: world.render(world.spec_numbered(SEED["clips"], i), FRAMES), rank, ranks)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", default="work")
    p.add_argument("--clips", type=int, default=2400)
    p.add_argument("--images", type=int, default=8000)
    p.add_argument("--ranks", type=int, default=os.cpu_count())
    a = p.parse_args()
    done = f"{a.work}/data.done"
    if os.path.exists(done):
        return
    os.makedirs(a.work, exist_ok=True)
    create(a.work, "references", len(LOOKS), 1)
    create(a.work, "images", a.images, 1)
    create(a.work, "clips", a.clips, FRAMES)
    run_workers(worker, a.ranks, a.work)
    open(done, "w").close()


if __name__ == "__main__":
    sys.exit(main())
