"""draw - draws prompts with an exported pack in PyTorch, as the farm does, and writes a contact sheet.

Weights come from the pack's files and not from checkpoints, so this also checks the export.
"""
import argparse
import json
import os
import sys
import numpy as np
import torch
import picture
import sampler
import tensors
import umt5
import unigram
import vace
import vae
import world

PROMPTS = [
    "wide shot of a red round monster standing, on the beach, by day, static camera",
    "medium shot of a blue square monster with a crown waving, in the forest, by day, static camera",
    "wide shot of a green tall monster with a top hat walking right, in the snow, by day, static camera",
    "medium shot of a yellow round monster waving, in the desert, by day, camera pans right",
    "wide shot of a purple square monster walking left, on the beach, at night, camera pans left",
    "medium shot of a red cup on display, in the forest, by day, camera zooms in",
    "wide shot of a blue bottle on display, in the snow, at night, static camera",
    "medium shot of a purple tall monster with a crown standing, in the desert, at night, camera zooms in"]


class Pack:
    def __init__(self, path, device):
        self.path, self.device = path, device
        self.defaults = json.load(open(f"{path}/shotline.json"))
        self.shift = json.load(open(f"{path}/scheduler/scheduler_config.json"))["flow_shift"]
        config = {"patch_size": 1, "in_channels": 3, "out_channels": 3, **self.config("vae")}
        self.vae = self.load(vae.Vae(**{k: config[k] for k in vae.CONFIG}), "vae/diffusion_pytorch_model")
        self.mean, self.std = [torch.tensor(config[k], device=device).view(-1, 1, 1) for k in ("latents_mean", "latents_std")]
        config = self.config("transformer")
        self.transformer = self.load(vace.Transformer(**{k: config[k] for k in vace.CONFIG}), "transformer/diffusion_pytorch_model")
        config = self.config("text_encoder")
        self.ids = unigram.Unigram(json.load(open(f"{path}/tokenizer/tokenizer.json"))["model"]["vocab"]).encode
        self.text = self.load(umt5.Umt5(config["vocab_size"], **{k: config[k] for k in umt5.CONFIG}), "text_encoder/model")

    def config(self, part):
        return json.load(open(f"{self.path}/{part}/config.json"))

    def load(self, model, stem):
        model.load_state_dict({k: torch.tensor(v.astype(np.float32)) for k, v in tensors.tensors_read(f"{self.path}/{stem}.safetensors").items()})
        return model.to(self.device).eval()

    @torch.no_grad()
    def encode(self, video):
        """[b, t, 3, H, W] in -1..1 to normalised latents"""
        return (self.vae.encode(video)[0] - self.mean) / self.std

    @torch.no_grad()
    def decode(self, z):
        return self.vae.decode(z * self.std + self.mean).clamp(-1, 1)

    @torch.no_grad()
    def draw(self, prompts, latents, seed=0, references=None, noise=None, **options):
        """Normalised latents [b, t, z, h, w]; references [b, r, z, h, w]."""
        h, w = self.defaults["height"] // 8, self.defaults["width"] // 8
        zero = self.encode(torch.zeros(1, 4 * (latents - 1) + 1, 3, 8 * h, 8 * w, device=self.device))[0]
        r = 0 if references is None else references.shape[1]
        if noise is None:
            noise = torch.randn(len(prompts), self.vae.z, r + latents, h, w, generator=torch.Generator().manual_seed(seed)).to(self.device)
        options = {"steps": self.defaults["steps"], "guidance": self.defaults["guidance_scale"], "shift": self.shift, **options}
        return sampler.draw(self, prompts, zero, noise, references, **options).transpose(1, 2)


def frames_of(video, picks):
    """Some frames of one video [t, 3, H, W] as uint8."""
    return [picture.to_bytes((video[min(i, len(video) - 1)].permute(1, 2, 0).cpu().numpy() + 1) / 2) for i in picks]


def contact_sheet(pack, path, latents, with_references):
    references, rows = None, []
    if with_references:
        phrases = [p.split(" of ", 1)[1] for p in PROMPTS]
        figures = [next(f for f in sorted(world.figures_all(), key=lambda f: -len(world.phrase(f))) if p.startswith(world.phrase(f))) for p in phrases]
        references = pack.draw([world.reference_caption(f) for f in figures], 1, seed=3)
    video = pack.decode(pack.draw(PROMPTS, latents, references=references))
    last = video.shape[1] - 1
    for i in range(len(PROMPTS)):
        row = frames_of(video[i], [round(last * k / 4) for k in range(5)])
        if references is not None:
            row = frames_of(pack.decode(references[i:i + 1])[0], [0]) + row
        rows.append(row)
    picture.png_write(path, picture.sheet(rows))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--pack", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "packs", "tiny"))
    p.add_argument("--out", default="contact.png")
    p.add_argument("--latents", type=int, default=5)
    p.add_argument("--references", action="store_true", help="draw each figure's reference first and hand it to the shot")
    a = p.parse_args()
    torch.set_num_threads(1)
    contact_sheet(Pack(a.pack, torch.device("cpu")), a.out, a.latents, a.references)


if __name__ == "__main__":
    sys.exit(main())
