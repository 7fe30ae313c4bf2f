"""tune - which sampler settings suit a pack: held-out prompts drawn in PyTorch with each, judged, beside the work of it.

Settings are steps:guidance:shift. A row tells the transformer's runs for a shot, how often everything that a prompt asks
for is right (and place, figure, action, camera by themselves), how often the second colour follows the reference image,
and sharpness and flicker against real clips. The table is for choosing export.DEFAULTS; what the farm draws with them is
evaluate.py's question.
"""
import argparse
import sys
import time
import numpy as np
import torch
import evaluate
import judges
import measures
import shoot
import world
from draw import Pack
from picture import png_write, sheet, to_bytes

SEED, LATENTS, FRAMES, BATCH = 111, 5, 16, 10


def settings_of(text):
    steps, guidance, shift = text.split(":")
    return {"steps": int(steps), "guidance": float(guidance), "shift": float(shift)}


def drawn(pack, specs, settings, references):
    """The shots of specs as the pack draws them: uint8 [n, FRAMES, H, W, 3]."""
    latents = torch.cat([pack.draw([world.caption(s) for s in specs[i:i + BATCH]], LATENTS, SEED + i,
                                   None if references is None else references[i:i + BATCH], **settings)
                         for i in range(0, len(specs), BATCH)])
    return [to_bytes((pack.decode(z[None])[0, :FRAMES].permute(0, 2, 3, 1).numpy() + 1) / 2) for z in latents]


def row_of(judge, specs, real, pack, settings, references):
    begun = time.process_time()
    without, with_ = drawn(pack, specs, settings, None), drawn(pack, specs, settings, references)
    seconds = (time.process_time() - begun) / (2 * len(specs))
    right = [evaluate.right_of(s, judges.read(judge, p)[0]) for s, p in zip(specs, without)]
    followed = [judges.read(judge, p)[0]["second"] == s["figure"]["second"] for s, p in zip(specs, with_)]
    names = ["place", "colour", "shape", "action", "camera"]
    shares = [np.mean([all(r.values()) for r in right])] + [np.mean([r[k] for r in right if k in r]) for k in names]
    ratios = [np.median([m(a) / max(m(b), measures.EPS) for a, b in zip(without, real)]) for m in (measures.sharpness, measures.flicker)]
    runs = settings["steps"] * (2 if settings["guidance"] > 1 else 1)
    return [f"{settings['steps']}:{settings['guidance']:g}:{settings['shift']:g}", str(runs), f"{seconds:.2f}"] + \
        [f"{v:.2f}" for v in shares + [np.mean(followed)] + ratios], without


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--pack", required=True)
    p.add_argument("--work", default="work", help="where data.py drew; keeps judge.pt")
    p.add_argument("--prompts", type=int, default=60)
    p.add_argument("--settings", default="8:1:2,8:1.5:2,8:2:2,8:3:2,6:1.5:2,4:1.5:2,12:1.5:2,8:1.5:1,8:1.5:3,8:1.5:5")
    p.add_argument("--sheet", help="a picture of the middle frames: a row of prompts for each setting")
    a = p.parse_args()
    torch.set_num_threads(1)
    pack, judge = Pack(a.pack, torch.device("cpu")), judges.load(a.work)
    specs = evaluate.held_out(SEED, a.prompts, evaluate.drawn(a.work))
    real = [evaluate.real_clip(s) for s in specs]
    images = torch.from_numpy(np.stack([shoot.reference_image(s["figure"]) for s in specs])).permute(0, 3, 1, 2).float() / 127.5 - 1
    references = torch.cat([pack.encode(i[None, None]) for i in images])
    print("| steps:guidance:shift | runs | s of a core, a shot | all right | place | colour | shape | action | camera "
          "| follows the reference | sharpness | flicker |\n|" + "---|" * 12, flush=True)
    rows = []
    for text in a.settings.split(","):
        cells, shots = row_of(judge, specs, real, pack, settings_of(text), references)
        print("| " + " | ".join(cells) + " |", flush=True)
        rows.append([s[FRAMES // 2] for s in shots[:12]])
    if a.sheet:
        png_write(a.sheet, sheet(rows))


if __name__ == "__main__":
    sys.exit(main())
