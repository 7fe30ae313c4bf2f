"""vae_vectors - a small VAE of random weights that folds pixels (patch_size 2), and what PyTorch makes of it.

TO/config.json and TO/diffusion_pytorch_model.safetensors are the VAE; TO/vectors.safetensors has
clip U8 [frames, H, W, 3] and its latents F32 [z, t, h, w] (normalised), decode_latents F32 [z, t, h, w] (normalised) and
their frames F32 [frames, H, W, 3]
"""
import argparse
import json
import os
import sys
import numpy as np
import torch
import tensors
import vae

CONFIG = {"base_dim": 4, "z_dim": 4, "dim_mult": [1, 2, 2], "num_res_blocks": 1, "temperal_downsample": [True, True],
          "patch_size": 2, "in_channels": 12, "out_channels": 12}
FRAMES, HEIGHT, WIDTH = 9, 16, 24


@torch.no_grad()
def random_vae():
    """Every tensor is random: a wrong order of channels, an unused bias or a norm that is left out all show."""
    model = vae.Vae(**CONFIG).eval()
    for name, p in model.named_parameters():
        if name.endswith("gamma"):
            p.copy_(1 + .3 * torch.randn_like(p))
        else:
            p.copy_(torch.randn_like(p) * (.1 if p.dim() == 1 else p[0].numel() ** -.5))
        p.copy_(p.half().float())
    return model


def array(x):
    return np.ascontiguousarray(x.float().numpy())


@torch.no_grad()
def vae_vectors_write(to):
    torch.manual_seed(1)
    model = random_vae()
    mean, std = [round(.1 * i - .2, 3) for i in range(CONFIG["z_dim"])], [round(.5 + .25 * i, 3) for i in range(CONFIG["z_dim"])]
    mean_, std_ = [torch.tensor(v).view(-1, 1, 1) for v in (mean, std)]
    clip = torch.randint(0, 256, (FRAMES, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    video = (clip.permute(0, 3, 1, 2).float() / 127.5 - 1)[None].contiguous()
    latents = (model.encode(video)[0] - mean_) / std_
    drawn = torch.randn(latents.shape)
    frames = model.decode(drawn * std_ + mean_).clamp(-1, 1)
    os.makedirs(to, exist_ok=True)
    with open(f"{to}/config.json", "w") as f:
        json.dump({"_class_name": "AutoencoderKLWan", "attn_scales": [], **CONFIG, "dropout": 0.0, "is_residual": False,
                   "latents_mean": mean, "latents_std": std}, f, indent=2)
        f.write("\n")
    tensors.tensors_write(f"{to}/diffusion_pytorch_model.safetensors", tensors.half(model.state_dict()))
    tensors.tensors_write(f"{to}/vectors.safetensors", {
        "clip": clip.numpy(), "latents": array(latents[0].transpose(0, 1)), "decode_latents": array(drawn[0].transpose(0, 1)),
        "frames": array(frames[0].permute(0, 2, 3, 1))})
    print(f"frames: {float(frames.std()):.3f} standard deviation, {float((frames.abs() == 1).float().mean()):.3f} clamped")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--to", required=True)
    torch.set_num_threads(1)
    vae_vectors_write(p.parse_args().to)


if __name__ == "__main__":
    sys.exit(main())
