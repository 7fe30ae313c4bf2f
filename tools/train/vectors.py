"""vectors - reference results of a pack for the C tests: one prompt from its token ids to its frames, in f32.

case.json names prompt and settings; vectors.safetensors has
ids I64 [32], prompt_embeds F32 [32, d], negative_embeds F32 [32, d], grey F32 [z, t, h, w], noise F32 [z, t, h, w],
velocity_cond and velocity_uncond F32 [z, t, h, w] (of the first step), latents F32 [z, t, h, w] (after the last step),
video U8 [frames, H, W, 3]
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
from draw import Pack
from vace import control_of, positions_of

PROMPT = "medium shot of a red round monster with a crown standing, on the beach, by day, static camera"


@torch.no_grad()
def vectors_write(pack, to, latents=2):
    d = pack.defaults
    h, w, z = d["height"] // 8, d["width"] // 8, pack.vae.z
    noise = torch.randn(1, z, latents, h, w, generator=torch.Generator().manual_seed(1))
    zero = pack.encode(torch.zeros(1, 4 * (latents - 1) + 1, 3, d["height"], d["width"]))[0]
    control = control_of(zero, noise.new_zeros(1, 0, z, h, w))
    texts = [pack.text(torch.tensor([pack.ids(t)])) for t in (PROMPT, d["negative_prompt"])]
    first = torch.tensor([float(sampler.UniPc(d["steps"], pack.shift).timesteps[0])])
    velocities = [pack.transformer(noise, first, t, control, positions_of(0, 0, latents)) for t in texts]
    out = pack.draw([PROMPT], latents, noise=noise)
    video = pack.decode(out)[0].permute(0, 2, 3, 1).numpy()
    array = lambda t: t[0].float().numpy()
    os.makedirs(to, exist_ok=True)
    tensors.tensors_write(f"{to}/vectors.safetensors", {
        "ids": np.array(pack.ids(PROMPT), np.int64), "prompt_embeds": array(texts[0]), "negative_embeds": array(texts[1]),
        "grey": np.ascontiguousarray(array(control)[:z]), "noise": array(noise), "velocity_cond": array(velocities[0]), "velocity_uncond": array(velocities[1]),
        "latents": array(out.transpose(1, 2)), "video": picture.to_bytes((video + 1) / 2)})
    with open(f"{to}/case.json", "w") as f:
        json.dump({"prompt": PROMPT, "negative_prompt": d["negative_prompt"], "latent_frames": latents, "steps": d["steps"],
                   "guidance_scale": d["guidance_scale"], "flow_shift": pack.shift, "references": 0,
                   "grey": "normalised latents of the grey video: both halves of the control; its mask channels are all 1"}, f, indent=2)
        f.write("\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--pack", required=True)
    p.add_argument("--to", required=True)
    a = p.parse_args()
    torch.set_num_threads(1)
    vectors_write(Pack(a.pack, torch.device("cpu")), a.to)


if __name__ == "__main__":
    sys.exit(main())
