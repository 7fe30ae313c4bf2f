"""vae - AutoencoderKLWan with the published parameter names, run over whole clips.

The published code walks through a clip in chunks with a cache of past frames. The same results come from whole clips when
every 3x3x3 convolution is causal (two zero frames in front), when frame 0 passes by the time convolution on the way
down, and when latent frame 0 passes by it on the way up. Outside, tensors are [batch, time, channels, height, width];
inside, channels come last: convolutions on a CPU are two to four times faster so.
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from kernels import double, past, rms, rms_silu

CONFIG = {"base_dim": 32, "z_dim": 16, "dim_mult": [1, 2, 4], "num_res_blocks": 1, "temperal_downsample": [True, True],
          "patch_size": 2, "in_channels": 12, "out_channels": 12}


def conv2d(x, weight, bias, stride=1, padding=0):
    """A 2-D convolution of frames [b, t, h, w, c]."""
    b, t = x.shape[:2]
    y = F.conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), weight, bias, stride, padding).permute(0, 2, 3, 1)
    return y.reshape(b, t, *y.shape[1:])


def matrix(weight):
    """A convolution over one pixel (and some frames) as a matrix; the frames' channels follow each other."""
    return weight.flatten(3).squeeze(-1).transpose(1, 2).flatten(1) if weight.dim() == 5 else weight.flatten(1)


class CausalConv(nn.Conv3d):
    """A 3-D convolution that sees only the past, run as a 2-D one over time-shifted copies stacked as channels."""

    def __init__(self, cin, cout, kernel, stride=1, padding=0):
        super().__init__(cin, cout, kernel, stride=stride, padding=padding)

    def forward(self, x):
        t, taps, step, past_frames, pad = x.shape[1], self.kernel_size[0], self.stride[0], self.padding[0] > 0, self.padding[1]
        if t == 1 and past_frames and pad:        # a single frame meets only the newest tap
            return conv2d(x, self.weight[:, :, -1], self.bias, 1, pad)
        if past_frames:
            x = past(x)
        elif taps > 1:
            out = (t - taps) // step + 1
            x = torch.cat([x[:, i:i + (out - 1) * step + 1:step] for i in range(taps)], 4)
        if pad == 0:
            return F.linear(x, matrix(self.weight), self.bias)
        return conv2d(x, self.weight.transpose(1, 2).flatten(1, 2), self.bias, 1, pad)


class RmsNorm(nn.Module):
    def __init__(self, dim, image=False):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim, *((1, 1) if image else (1, 1, 1))))


class ResBlock(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.norm1, self.conv1 = RmsNorm(cin), CausalConv(cin, cout, 3, padding=1)
        self.norm2, self.conv2 = RmsNorm(cout), CausalConv(cout, cout, 3, padding=1)
        self.conv_shortcut = CausalConv(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x):
        y = self.conv1(rms_silu(x, self.norm1.gamma))
        return self.conv_shortcut(x) + self.conv2(rms_silu(y, self.norm2.gamma))


class Attention(nn.Module):
    """Attention over the cells of one frame."""

    def __init__(self, dim):
        super().__init__()
        self.norm, self.to_qkv, self.proj = RmsNorm(dim, image=True), nn.Conv2d(dim, dim * 3, 1), nn.Conv2d(dim, dim, 1)

    def forward(self, x):
        b, t, h, w, c = x.shape
        y = rms(x, self.norm.gamma).view(b * t, h * w, c)
        q, k, v = F.linear(y, matrix(self.to_qkv.weight), self.to_qkv.bias).chunk(3, 2)
        weights = torch.softmax((q @ k.transpose(1, 2)).float() * c ** -.5, -1).to(v.dtype)
        return x + F.linear(weights @ v, matrix(self.proj.weight), self.proj.bias).view(b, t, h, w, c)


class Resample(nn.Module):
    def __init__(self, dim, mode):
        super().__init__()
        self.mode = mode
        out, stride, padding = (dim // 2, 1, 1) if mode.startswith("up") else (dim, 2, 0)
        self.resample = nn.Sequential(nn.Identity(), nn.Conv2d(dim, out, 3, stride, padding))
        if mode == "upsample3d":
            self.time_conv = CausalConv(dim, dim * 2, (3, 1, 1), padding=(1, 0, 0))
        elif mode == "downsample3d":
            self.time_conv = CausalConv(dim, dim, (3, 1, 1), stride=(2, 1, 1))

    def forward(self, x):
        b, t, h, w, c = x.shape
        conv = self.resample[1]
        if self.mode == "upsample3d" and t > 1:
            y = self.time_conv(x[:, 1:]).view(b, t - 1, h, w, 2, c).permute(0, 1, 4, 2, 3, 5).reshape(b, 2 * (t - 1), h, w, c)
            x = torch.cat([x[:, :1], y], 1)
        if self.mode.startswith("up"):          # nearest neighbour, twice the size
            return conv2d(double(x), conv.weight, conv.bias, 1, 1)
        x = conv2d(F.pad(x, (0, 0, 0, 1, 0, 1)), conv.weight, conv.bias, 2)
        if self.mode == "downsample3d" and t > 1:
            x = torch.cat([x[:, :1], self.time_conv(x)], 1)
        return x


class MidBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.attentions = nn.ModuleList([Attention(dim)])
        self.resnets = nn.ModuleList([ResBlock(dim, dim), ResBlock(dim, dim)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Encoder(nn.Module):
    def __init__(self, channels, dim, out, mult, blocks, halve_time):
        super().__init__()
        dims = [dim * m for m in [1] + mult]
        self.conv_in = CausalConv(channels, dims[0], 3, padding=1)
        self.down_blocks = nn.ModuleList()
        for i, (cin, cout) in enumerate(zip(dims[:-1], dims[1:])):
            for j in range(blocks):
                self.down_blocks.append(ResBlock(cout if j else cin, cout))
            if i != len(mult) - 1:
                self.down_blocks.append(Resample(cout, "downsample3d" if halve_time[i] else "downsample2d"))
        self.mid_block, self.norm_out = MidBlock(cout), RmsNorm(cout)
        self.conv_out = CausalConv(cout, out, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(rms_silu(self.mid_block(x), self.norm_out.gamma))


class UpBlock(nn.Module):
    def __init__(self, cin, cout, blocks, mode):
        super().__init__()
        self.resnets = nn.ModuleList([ResBlock(cout if j else cin, cout) for j in range(blocks + 1)])
        self.upsamplers = nn.ModuleList([Resample(cout, mode)]) if mode else None

    def forward(self, x):
        for block in self.resnets:
            x = block(x)
        return x if self.upsamplers is None else self.upsamplers[0](x)


class Decoder(nn.Module):
    def __init__(self, channels, dim, z, mult, blocks, double_time):
        super().__init__()
        dims = [dim * m for m in [mult[-1]] + mult[::-1]]
        self.conv_in, self.mid_block = CausalConv(z, dims[0], 3, padding=1), MidBlock(dims[0])
        self.up_blocks = nn.ModuleList()
        for i, (cin, cout) in enumerate(zip(dims[:-1], dims[1:])):
            last = i == len(mult) - 1
            mode = None if last else "upsample3d" if double_time[i] else "upsample2d"
            self.up_blocks.append(UpBlock(cin // 2 if i else cin, cout, blocks, mode))
        self.norm_out, self.conv_out = RmsNorm(cout), CausalConv(cout, channels, 3, padding=1)

    def forward(self, x):
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(rms_silu(x, self.norm_out.gamma))


class Vae(nn.Module):
    def __init__(self, base_dim, z_dim, dim_mult, num_res_blocks, temperal_downsample, patch_size, in_channels, out_channels):
        super().__init__()
        self.z, self.patch = z_dim, patch_size
        self.encoder = Encoder(in_channels, base_dim, 2 * z_dim, dim_mult, num_res_blocks, temperal_downsample)
        self.quant_conv, self.post_quant_conv = CausalConv(2 * z_dim, 2 * z_dim, 1), CausalConv(z_dim, z_dim, 1)
        self.decoder = Decoder(out_channels, base_dim, z_dim, dim_mult, num_res_blocks, temperal_downsample[::-1])

    def fold(self, x):
        """[b, t, c, H, W] to [b, t, h, w, channels]: a patch of pixels becomes channels, its columns before its rows."""
        b, t, c, h, w = x.shape
        p = self.patch
        return x.view(b, t, c, h // p, p, w // p, p).permute(0, 1, 3, 5, 2, 6, 4).reshape(b, t, h // p, w // p, c * p * p)

    def unfold(self, x):
        b, t, h, w, c = x.shape
        p = self.patch
        return x.view(b, t, h, w, c // p // p, p, p).permute(0, 1, 4, 2, 6, 3, 5).reshape(b, t, c // p // p, h * p, w * p)

    def encode(self, x):
        """Video [b, t, 3, H, W] in -1..1 to the mean and log variance [b, t', z, h, w] of its raw latents."""
        y = self.quant_conv(self.encoder(self.fold(x))).float().permute(0, 1, 4, 2, 3)
        mean, logvar = y.chunk(2, 2)
        return mean, logvar.clamp(-30, 20)

    def decode(self, z):
        return self.unfold(self.decoder(self.post_quant_conv(z.permute(0, 1, 3, 4, 2).contiguous())))


@torch.no_grad()
def vae_init(vae):
    """Starts the VAE as a linear autoencoder of single frames.

    The residual branches are silent, the main path is orthogonal with most weight in the centre tap, and only the newest
    tap of every 3x3x3 kernel is live (causal inflation): what images teach is then a sound start for video.
    """
    for name, m in vae.named_modules():
        if not isinstance(m, (nn.Conv2d, nn.Conv3d)):
            continue
        nn.init.zeros_(m.bias)
        w = torch.zeros_like(m.weight)
        cout, cin = w.shape[:2]
        if name.endswith(("conv2", "attentions.0.proj")):
            pass
        elif name.endswith(("conv1", "to_qkv")):
            nn.init.kaiming_normal_(w, nonlinearity="relu")
        elif name.endswith("time_conv"):                # the newest frame, with gain 1
            for c in range(cout):
                w[c, c % cin, -1, 0, 0] = 1.
            w += .02 * torch.randn_like(w)
        elif "resample" in name and cin == cout:        # down: orthogonal over a patch of 2 x 2
            patch = torch.empty(cout, cout * 4)
            nn.init.orthogonal_(patch)
            w[:, :, :2, :2] = patch.view(cout, cout, 2, 2)
        else:
            centre = torch.empty(cout, cin)
            nn.init.orthogonal_(centre)
            w += torch.randn_like(w) * (.3 / math.sqrt(cin * w[0, 0].numel()))
            at = (slice(None), slice(None)) + ((-1,) if w.dim() == 5 else ()) + (w.shape[-2] // 2, w.shape[-1] // 2)
            w[at] += centre * max(1, cout / cin) ** .5
        if w.dim() == 5 and w.shape[2] == 3 and not name.endswith("time_conv"):
            w[:, :, :2] = 0
        m.weight.copy_(w)
    vae.quant_conv.bias[vae.z:] = -6.
    vae.quant_conv.weight[vae.z:] *= .1
