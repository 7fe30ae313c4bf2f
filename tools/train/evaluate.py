"""evaluate - what the farm draws with a pack: held-out prompts rendered by the built programs, judged, as a table and a sheet.

Sets:
  words       one shot each of prompts that were never drawn in training; what they show against what they ask
  products    the same of products, all of whose words training has drawn together: there are only 640 such prompts
  references  videos of three shots with a reference image, in pairs that differ in the image alone
  named       videos of three shots without one: does the character keep its look
  windows     long shots rendered in windows and whole: do they differ more at the windows' borders
  vae         held-out clips there and back through the VAE (in PyTorch)
The judges and the palette are first asked about real clips that they have not seen: the column `real`.
TO gets report.md, report.json and sheet.png.
"""
import argparse
import json
import shutil
import sys
import numpy as np
import torch
import data
import judges
import measures
import shoot
import world
from picture import png_write, sheet, to_bytes

SEED, REAL_SEED = 101, 102
SETS = ["words", "products", "references", "named", "windows", "vae"]
SHORT, LONG, STRIDE = 2.0, 4.0, 4   # seconds: 17 and 33 drawn frames; frames of a latent
# name: the least share that a pack should reach
ASKED = {"place": .95, "shape": .90, "colour": .90, "product": .90, "action": .80, "camera": .80, "light": None, "size": None, "hat": None}


def words_of(spec):
    return world.phrase(spec["figure"]), spec["place"], spec["light"], spec["size"], spec["camera"], spec["action"]


def drawn(work):
    """The words of every clip and image that training saw."""
    counts = {kind: len(np.load(f"{work}/{kind}.npy", mmap_mode="r")) for kind in data.SEED}
    return {words_of(world.spec_numbered(seed, i)) for kind, seed in data.SEED.items() for i in range(counts[kind])}


def held_out(seed, count, known):
    """Specs whose words were never drawn together in training."""
    specs, i = [], 0
    while len(specs) < count:
        spec, i = world.spec_numbered(seed, i), i + 1
        if words_of(spec) not in known:
            specs.append(spec)
    return specs


def real_clip(spec, frames=16):
    return to_bytes(world.render(spec, frames)[0])


def share(answers):
    return float(np.mean(answers)), len(answers)


# ---------------------------------------------------------------- what is right
def right_of(spec, said):
    """Which of the things that a prompt asks for a clip shows: a dict of name to bool."""
    t = judges.truth(spec)
    right = {k: said[k] == t[k] for k in ("place", "light", "size", "camera", "colour")}
    if "product" in spec["figure"]:
        return {**right, "product": said["kind"] == t["kind"]}
    return {**right, "shape": said["kind"] == t["kind"], "hat": said["hat"] == t["hat"], "action": said["action"] == t["action"]}


def pattern_of(judge, palette, spec, pixels):
    """What the judge says of a shot, and the second colour that its figure has as the palette sees it."""
    said, where = judges.read(judge, pixels)
    shares = palette.shares(pixels, where, spec["light"])
    return said, palette.second(spec["figure"]["colour"], shares)


class Table:
    def __init__(self):
        self.rows, self.data = [], {}

    def add(self, name, value, count, least=None, real=None, text=None):
        self.rows.append((name, text or f"{value:.3f}", str(count), "" if least is None else f"{least:g}",
                          "" if least is None else "yes" if value >= least else "no", "" if real is None else f"{real:.3f}"))
        self.data[name] = {"value": value, "count": count, "asked": least, "real": real}

    def __str__(self):
        head = [("measure", "result", "of", "asked", "held", "real"), ("---",) * 6]
        return "\n".join("| " + " | ".join(r) + " |" for r in head + self.rows)


# ---------------------------------------------------------------- the sets
def measure_real(judge, known, count):
    """The judges and the palette on real clips: accuracies, and a palette that has learnt what is usual."""
    palette, answers, clips = measures.Palette(), {}, []
    for spec in held_out(REAL_SEED, 2 * count, known):
        pixels = real_clip(spec)
        said, where = judges.read(judge, pixels)
        clips.append((spec, said, palette.shares(pixels, where, spec["light"])))
    palette.learn([(s["figure"], shares) for s, _, shares in clips[count:]])
    for spec, said, shares in clips[:count]:
        asked = {**right_of(spec, said), "second": said["second"] == spec["figure"]["second"],
                 "pattern": said["pattern"] == spec["figure"]["pattern"],
                 "palette": palette.second(spec["figure"]["colour"], shares) == spec["figure"]["second"]}
        for k, v in asked.items():
            answers.setdefault(k, []).append(v)
    return palette, {k: float(np.mean(v)) for k, v in answers.items()}


def strip(pixels, wrong, width=3):
    """The first, middle and last frame of a shot, with a red bar on top where something is wrong."""
    picked = [np.array(pixels[i]) for i in (0, len(pixels) // 2, -1)]
    for p in picked:
        p[:width] = (210, 30, 30) if wrong else (40, 40, 40)
    return picked


def set_words(farm, judge, real, table, specs, name="words"):
    seconds = [LONG if i % 9 == 8 else SHORT for i in range(len(specs))]
    plans = {f"p{i:03d}": shoot.plan_of([s], seconds[i]) for i, s in enumerate(specs)}
    names, files = list(plans), {}
    for i in range(0, len(names), shoot.SHOTS_A_CAMPAIGN):
        part = {n: plans[n] for n in names[i:i + shoot.SHOTS_A_CAMPAIGN]}
        files.update(farm.render(f"{name}-{i}", part, seed=SEED + i))
    answers, ratios, cells, misses = {}, {"sharpness": [], "motion": [], "flicker": []}, [], []
    for video, spec in zip(names, specs):
        pixels = farm.frames(files[video])
        right = right_of(spec, judges.read(judge, pixels[:16])[0])
        wrong = [k for k, v in right.items() if not v]
        if wrong:
            misses.append(f"{world.caption(spec)}: {', '.join(wrong)}")
        for k, v in right.items():
            answers.setdefault(k, []).append(v)
        drawn_, truth = pixels[:16], real_clip(spec)
        for k in ratios:
            m = getattr(measures, k)
            ratios[k].append(m(drawn_) / max(m(truth), measures.EPS))
        cells.append(strip(pixels, any(k in ASKED and ASKED[k] for k in wrong)))
    for k, least in ASKED.items():
        if k in answers:                        # monsters have no product
            table.add(k if name == "words" else f"{name}: {k}", *share(answers[k]), least, real.get(k))
    for k, v in ratios.items():
        table.add(f"{'' if name == 'words' else name + ': '}{k} against real clips of the same spec", float(np.median(v)), len(v), text=f"{np.median(v):.2f} (median)")
    return cells, misses


def three_shots(spec, rng):
    """Two more shots of the figure of the first, elsewhere."""
    shots, i = [spec], int(rng.randint(1 << 20))
    while len(shots) < 3:
        other, i = world.spec_numbered(SEED + 7, i), i + 1
        if ("product" in other["figure"]) == ("product" in spec["figure"]) and other["place"] not in [s["place"] for s in shots]:
            shots.append({**other, "figure": spec["figure"]})
    return shots


def monsters(specs):
    return [s for s in specs if "shape" in s["figure"]]


def set_references(farm, judge, palette, real, table, known, videos):
    rng = np.random.RandomState(SEED)
    specs = monsters(held_out(SEED + 1, 4 * videos, known))[:videos // 2]
    matched, counted, pairs, rows = [], [], [], []
    for i, spec in enumerate(specs):
        shots, both = three_shots(spec, rng), []
        seconds = [c for c in world.cast.seconds_of(spec["figure"]["colour"]) if c != spec["figure"]["second"]]
        for k, second in enumerate((spec["figure"]["second"], seconds[rng.randint(len(seconds))])):
            figure = {**spec["figure"], "second": second}
            image = shoot.reference_image(figure)
            path = farm.render(f"reference-{i}-{k}", {"v": shoot.plan_of(shots, SHORT)}, image, SEED + i)["v"]
            row = [image]
            both.append([])
            for shot, pixels in zip(shots, farm.shots(path, 3)):
                said, by_palette = pattern_of(judge, palette, {**shot, "figure": figure}, pixels)
                matched.append(said["second"] == second)
                counted.append(by_palette == second)
                both[-1].append(matched[-1])
                row.append(strip(pixels, not matched[-1])[1])
            rows.append(row)
        pairs += [a and b for a, b in zip(*both)]
    table.add("pattern colour matches the reference", *share(matched), .85, real["second"])
    table.add("the same by the figure's palette, without a model", *share(counted), None, real["palette"])
    table.add("swapping the reference swaps the pattern", *share(pairs), None)
    return rows


def set_named(farm, judge, table, known, videos):
    rng = np.random.RandomState(SEED + 1)
    kept, rows = [], []
    for i, spec in enumerate(monsters(held_out(SEED + 2, 4 * videos, known))[:videos]):
        shots = three_shots(spec, rng)
        path = farm.render(f"named-{i}", {"v": shoot.plan_of(shots, SHORT)}, seed=SEED + i)["v"]
        looks, row = [], []
        for shot, pixels in zip(shots, farm.shots(path, 3)):
            said = judges.read(judge, pixels)[0]
            looks.append(tuple(said[k] for k in ("kind", "colour", "hat", "pattern", "second")))
            row.append(strip(pixels, False)[1])
        most = max(looks, key=looks.count)
        for picture, look in zip(row, looks):
            picture[:3] = (40, 40, 40) if look == most else (210, 30, 30)
        kept += [look == most for look in looks]
        rows.append(row)
    table.add("a named character keeps its look (shape, colour, hat, pattern, second colour)", *share(kept), .85)
    return rows


def set_windows(farm, table, known, count):
    d = farm.defaults
    whole_pack = f"{farm.folder}/whole-pack"
    shutil.rmtree(whole_pack, ignore_errors=True)
    shutil.copytree(farm.pack, whole_pack)
    with open(f"{whole_pack}/shotline.json", "w") as f:
        json.dump({**d, "window": d["longest_shot"]}, f)
    whole_farm = shoot.Farm(farm.shotline, whole_pack, farm.folder, farm.options)
    specs = held_out(SEED + 3, count, known)
    plans = {f"w{i:02d}": shoot.plan_of([s], LONG) for i, s in enumerate(specs)}
    split, whole = farm.render("windows-split", plans, seed=SEED), whole_farm.render("windows-whole", plans, seed=SEED)
    asked = {"windows against whole, mean difference of a pixel": lambda a, b: np.abs(measures.luma(a) - measures.luma(b)).mean((1, 2)),
             "windows, mean change of a pixel from frame to frame": lambda a, b: measures.changes(a),
             "whole, the same at the same frames": lambda a, b: measures.changes(b)}
    clips = [(farm.frames(split[n]), farm.frames(whole[n])) for n in plans]
    for name, per_frame in asked.items():
        borders, rest = [], []
        for a, b in clips:
            at = measures.border_frames(d["longest_shot"], d["window"], d["overlap"], STRIDE, len(a))
            values = per_frame(a, b)[1 - len(a):]           # of every frame after the first
            borders += [v for t, v in enumerate(values, 1) if t in at]
            rest += [v for t, v in enumerate(values, 1) if t not in at]
        table.add(f"{name}: at borders / elsewhere", float(np.mean(borders) / max(np.mean(rest), measures.EPS)), count,
                  text=f"{np.mean(borders):.2f} / {np.mean(rest):.2f}")


def set_vae(pack, table, known, count=16):
    from draw import Pack
    model, values = Pack(pack, torch.device("cpu")), []
    for spec in held_out(SEED + 4, count, known):
        video = torch.from_numpy(world.render(spec, 17)[0]).permute(0, 3, 1, 2)[None] * 2 - 1
        error = (model.decode(model.encode(video.contiguous())) - video) / 2
        values.append(-10 * np.log10(float((error ** 2).mean())))
    table.add("VAE PSNR, dB", float(np.mean(values)), count, 32, text=f"{np.mean(values):.2f}")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--pack", required=True)
    p.add_argument("--shotline", required=True, help="the built client")
    p.add_argument("--work", default="work", help="where data.py drew; keeps judge.pt")
    p.add_argument("--to", default="evaluation")
    p.add_argument("--sets", default=",".join(SETS))
    p.add_argument("--prompts", type=int, default=108)
    p.add_argument("--products", type=int, default=32)
    p.add_argument("--videos", type=int, default=20)
    p.add_argument("--long-shots", type=int, default=8)
    p.add_argument("--real", type=int, default=200, help="real clips that judges and palette are asked about first")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--device", help="the workers' device")
    a = p.parse_args()
    sets = a.sets.split(",")
    if set(sets) - set(SETS):
        p.error(f"--sets: expected some of {','.join(SETS)}")
    torch.set_num_threads(1)
    judge, known, table = judges.load(a.work), drawn(a.work), Table()
    farm = shoot.Farm(a.shotline, a.pack, a.to, ["--workers", str(a.workers)] + (["--device", a.device] if a.device else []))
    palette, real = measure_real(judge, known, a.real)
    rows, misses = [], []
    if "words" in sets:
        cells, misses = set_words(farm, judge, real, table, held_out(SEED, a.prompts, known))
        rows += [sum(cells[i:i + 4], []) for i in range(0, len(cells) - 3, 4)]
    if "products" in sets:
        specs = [s for s in (world.spec_numbered(SEED + 9, i) for i in range(20 * a.products)) if "product" in s["figure"]]
        more, missed = set_words(farm, judge, real, table, specs[:a.products], "products")
        rows += [sum(more[i:i + 4], []) for i in range(0, len(more) - 3, 4)]
        misses += missed
    if "references" in sets:
        pairs = set_references(farm, judge, palette, real, table, known, a.videos)
        rows += [sum(pairs[i:i + 3], []) for i in range(0, len(pairs) - 2, 3)]
    if "named" in sets:
        named = set_named(farm, judge, table, known, a.videos)
        rows += [sum(named[i:i + 4], []) for i in range(0, len(named) - 3, 4)]
    if "windows" in sets:
        set_windows(farm, table, known, a.long_shots)
    if "vae" in sets:
        set_vae(a.pack, table, known)
    if rows:
        png_write(f"{a.to}/sheet.png", sheet(rows))
    with open(f"{a.to}/report.md", "w") as f:
        f.write(f"{table}\n" + "".join(f"- {m}\n" for m in misses))
    with open(f"{a.to}/report.json", "w") as f:
        json.dump({"measures": table.data, "real": real}, f, indent=2)
    print(table)


if __name__ == "__main__":
    sys.exit(main())
