"""shoot - lets the farm itself render shots whose plans are given, and reads the frames of the files that it delivers.

Needs the built `shotline` and the ffmpeg program.
"""
import json
import os
import subprocess
import numpy as np
import world
from picture import png_write, to_bytes

SHOTS_A_CAMPAIGN = 100      # a farm takes 500 videos; fewer keep what is lost by an interruption small


def plan_of(specs, seconds, member="hero"):
    """A plan of one figure in several shots, as `shotline plan` prints it."""
    figure = specs[0]["figure"]
    shots = [{"scene": i + 1, "place": s["place"], "light": s["light"], "size": s["size"], "angle": "eye level", "camera": s["camera"],
              "actors": [{"cast": member, "enters": 1, "action": s["action"]}], "duration": seconds, "transition": "cut", "match": 0}
             for i, s in enumerate(specs)]
    kind = "product" if "product" in figure else "character"
    return {"cast": [{"id": member, "kind": kind, "phrase": world.phrase(figure)}], "shots": shots}


class Farm:
    """Renders with one pack; the state folder keeps its cache, so that an interrupted evaluation goes on where it was."""

    def __init__(self, shotline, pack, folder, options):
        self.shotline, self.pack, self.folder = os.path.abspath(shotline), os.path.abspath(pack), os.path.abspath(folder)
        self.defaults = json.load(open(f"{pack}/shotline.json"))
        self.options = options
        os.makedirs(self.folder, exist_ok=True)

    def render(self, name, plans, image=None, seed=1):
        """Renders videos {name: plan} as one campaign, whose only cast member may have a reference image. Returns their files."""
        out = f"{self.folder}/{name}"
        os.makedirs(out, exist_ok=True)
        videos = []
        for video, plan in plans.items():
            with open(f"{out}/{video}.json", "w") as f:
                json.dump(plan, f)
            videos.append(f'{{ name = "{video}"; plan = "{video}.json"; seed = {seed + len(videos)}; }}')
        member = ""
        if image is not None:
            png_write(f"{out}/reference.png", image)
            m = next(iter(plans.values()))["cast"][0]
            member = f'cast = ( {{ id = "{m["id"]}"; kind = "{m["kind"]}"; phrase = "{m["phrase"]}"; image = "reference.png"; }} );\n'
        with open(f"{out}/campaign.cfg", "w") as f:             # crf 0: what is judged is the painter and not x264; nor its second try
            f.write(f'name = "{name}";\ntakes = 1;\noutput = {{ crf = 0; }};\n{member}videos = (\n  ' + ",\n  ".join(videos) + "\n);\n")
        done = subprocess.run([self.shotline, "render", f"{out}/campaign.cfg", "-o", out, "--state", f"{self.folder}/state", "--pack", self.pack]
                              + self.options, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"evaluate: render {out}/campaign.cfg: {done.stderr.strip().splitlines()[-1]}")
        return {video: f"{out}/{video}.mp4" for video in plans}

    def frames(self, path):
        """A delivered file to its frames, uint8 [n, H, W, 3]."""
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], stdout=subprocess.PIPE, check=True).stdout
        return np.frombuffer(raw, np.uint8).reshape(-1, self.defaults["height"], self.defaults["width"], 3)

    def shots(self, path, count):
        """The frames of each shot of a file whose shots are equally long and cut."""
        frames = self.frames(path)
        n = len(frames) // count
        return [frames[i * n:(i + 1) * n] for i in range(count)]


def reference_image(figure):
    return to_bytes(world.render_reference(figure)[0][0])
