"""vace - WanVACETransformer3DModel with the published parameter names, and the painter: text encoder and transformer together."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
import kernels
import umt5
import unigram

CONFIG = {"num_attention_heads": 3, "attention_head_dim": 64, "ffn_dim": 768, "num_layers": 6, "vace_layers": [0, 3],
          "in_channels": 16, "text_dim": 128, "freq_dim": 256, "vace_in_channels": 96}


class RmsNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.to_out = nn.ModuleList([nn.Linear(d, d), nn.Identity()])
        self.norm_q, self.norm_k = RmsNorm(d), RmsNorm(d)

    def forward(self, x, context=None, rope=None):
        c = x if context is None else context
        b, n, d = x.shape
        q = kernels.query(self.to_q(x), self.norm_q.weight, rope, self.heads, (d // self.heads) ** -.5)
        k = kernels.query(self.to_k(c), self.norm_k.weight, rope, self.heads)
        v = self.to_v(c).view(b, -1, self.heads, d // self.heads).transpose(1, 2)
        return self.to_out[0](kernels.attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class Gelu(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.proj = nn.Linear(d, hidden)

    def forward(self, x):
        return kernels.gelu(self.proj(x))


class FeedForward(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.net = nn.ModuleList([Gelu(d, hidden), nn.Identity(), nn.Linear(hidden, d)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Block(nn.Module):
    def __init__(self, d, hidden, heads):
        super().__init__()
        self.attn1, self.attn2, self.ffn = Attention(d, heads), Attention(d, heads), FeedForward(d, hidden)
        self.norm2 = nn.LayerNorm(d, 1e-6)
        self.scale_shift_table = nn.Parameter(torch.zeros(1, 6, d))     # gates start closed

    def forward(self, x, context, time, rope):
        m, b = self.scale_shift_table.float() + time, x.shape[0]
        x = kernels.gated(x, self.attn1(kernels.norm(x, m[:, 1], m[:, 0]), None, rope), m[:, 2])
        weight, bias = (self.norm2.weight.float() - 1).expand(b, -1), self.norm2.bias.float().expand(b, -1)
        x = x + self.attn2(kernels.norm(x, weight, bias), context)
        return kernels.gated(x, self.ffn(kernels.norm(x, m[:, 4], m[:, 3])), m[:, 5])


class ControlBlock(Block):
    def __init__(self, d, hidden, heads, first):
        super().__init__(d, hidden, heads)
        if first:
            self.proj_in = nn.Linear(d, d)
        self.proj_out = nn.Linear(d, d)
        self.first = first

    def hint(self, control, x, context, time, rope):
        if self.first:
            control = self.proj_in(control) + x
        control = Block.forward(self, control, context, time, rope)
        return self.proj_out(control), control


class TwoLinear(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(a, b), nn.Linear(b, b)


class Condition(nn.Module):
    def __init__(self, d, freq, text):
        super().__init__()
        self.time_embedder, self.time_proj, self.text_embedder = TwoLinear(freq, d), nn.Linear(d, 6 * d), TwoLinear(text, d)


def linear_f32(m, x):
    return F.linear(x, m.weight.float(), m.bias.float())


class Transformer(nn.Module):
    def __init__(self, num_attention_heads, attention_head_dim, ffn_dim, num_layers, vace_layers, in_channels, text_dim, freq_dim, vace_in_channels):
        super().__init__()
        heads, self.width, self.freq, self.places = num_attention_heads, attention_head_dim, freq_dim, list(vace_layers)
        d = heads * self.width
        self.patch_embedding = nn.Conv3d(in_channels, d, (1, 2, 2), (1, 2, 2))
        self.vace_patch_embedding = nn.Conv3d(vace_in_channels, d, (1, 2, 2), (1, 2, 2))
        self.condition_embedder = Condition(d, freq_dim, text_dim)
        self.blocks = nn.ModuleList([Block(d, ffn_dim, heads) for _ in range(num_layers)])
        self.vace_blocks = nn.ModuleList([ControlBlock(d, ffn_dim, heads, i == 0) for i in range(len(self.places))])
        self.proj_out = nn.Linear(d, 4 * in_channels)
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, d) / d ** .5)
        self.init()

    def init(self):
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)
        for m in (self.patch_embedding, self.vace_patch_embedding):
            nn.init.xavier_uniform_(m.weight.flatten(1))
            nn.init.zeros_(m.bias)
        c = self.condition_embedder
        for m in (c.text_embedder, c.time_embedder):
            nn.init.normal_(m.linear_1.weight, std=.02)
            nn.init.normal_(m.linear_2.weight, std=.02)
        nn.init.normal_(c.time_proj.weight, std=.02)
        nn.init.zeros_(self.proj_out.weight)
        for b in self.vace_blocks:
            nn.init.zeros_(b.proj_out.weight)

    def rope(self, positions, h, w):
        """Cosine and sine [tokens, width / 2] for latent frames at the given positions."""
        part = 2 * (self.width // 6)
        axes = [torch.outer(torch.as_tensor(p).double(), 1. / 10000 ** (torch.arange(0, n, 2).double() / n))
                for p, n in ((positions, self.width - 2 * part), (torch.arange(h), part), (torch.arange(w), part))]
        t = len(positions)
        angle = torch.cat([axes[0].view(t, 1, 1, -1).expand(t, h, w, -1), axes[1].view(1, h, 1, -1).expand(t, h, w, -1),
                           axes[2].view(1, 1, w, -1).expand(t, h, w, -1)], -1).reshape(t * h * w, -1)
        return angle.cos().float().contiguous(), angle.sin().float().contiguous()

    @staticmethod
    def patches(conv, x):
        """The patch convolution as one matrix product: [b, c, t, h, w] to [b, tokens, d]"""
        b, c, t, h, w = x.shape
        x = x.view(b, c, t, h // 2, 2, w // 2, 2).permute(0, 2, 3, 5, 1, 4, 6).reshape(b, t * (h // 2) * (w // 2), c * 4)
        return F.linear(x.to(conv.weight.dtype), conv.weight.flatten(1), conv.bias)

    def forward(self, x, timestep, context, control, positions):
        """x [b, z, t, h, w], timestep [b] in 0..1000, context [b, tokens, text], control [b, 96, t, h, w],
        positions: the place of each latent frame in the shot, references included."""
        b, z, t, h, w = x.shape
        rope = tuple(r.to(x.device) for r in self.rope(positions, h // 2, w // 2))
        x, control = self.patches(self.patch_embedding, x), self.patches(self.vace_patch_embedding, control)
        c, half = self.condition_embedder, self.freq // 2
        angle = timestep.float()[:, None] * torch.exp(-math.log(10000.) * torch.arange(half, device=x.device).float() / half)[None]
        wave = torch.cat([angle.cos(), angle.sin()], -1)
        time = linear_f32(c.time_embedder.linear_2, F.silu(linear_f32(c.time_embedder.linear_1, wave)))
        modulation = linear_f32(c.time_proj, F.silu(time)).view(b, 6, -1)
        context = c.text_embedder.linear_2(F.gelu(c.text_embedder.linear_1(context.to(x.dtype)), approximate="tanh"))
        hints = []
        for block in self.vace_blocks:
            hint, control = block.hint(control, x, context, modulation, rope)
            hints.append(hint)
        for i, block in enumerate(self.blocks):
            x = block(x, context, modulation, rope)
            if i in self.places:
                x = x + hints[self.places.index(i)]
        shift, scale = (self.scale_shift_table.float() + time[:, None]).unbind(1)
        x = self.proj_out(kernels.norm(x, scale, shift))
        return x.view(b, t, h // 2, w // 2, 1, 2, 2, z).permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(b, z, t, h, w)


class Painter(nn.Module):
    """Text encoder and transformer, trained together."""

    def __init__(self, vocab_size):
        super().__init__()
        self.text, self.transformer = umt5.Umt5(vocab_size, **umt5.CONFIG), Transformer(**CONFIG)

    def forward(self, x, timestep, ids, control, positions):
        return self.transformer(x, timestep, self.text(ids), control, positions)

    ids = staticmethod(unigram.encode)

    def working(self, dtype):
        """Storage for training and drawing: the text encoder is too small to be worth half precision."""
        self.to(dtype)
        self.text.float()
        return self


def control_of(zero, references):
    """The VACE control of a shot of which nothing is given: zero [t, z, h, w] are the latents of a grey video,
    references [b, r, z, h, w] come first. Gives [b, 2z + 64, r + t, h, w]: inactive, reactive, mask."""
    b, r, z, h, w = references.shape
    t = zero.shape[0]
    video = zero[None].expand(b, t, z, h, w)
    inactive = torch.cat([references, video], 1)
    reactive = torch.cat([torch.zeros_like(references), video], 1)
    mask = torch.ones(b, r + t, 64, h, w, dtype=zero.dtype, device=zero.device)
    mask[:, :r] = 0
    return torch.cat([inactive, reactive, mask], 2).transpose(1, 2)


def positions_of(references, first, count):
    """References are 0..r-1, latent frame i of the shot is r + i."""
    return list(range(references)) + [references + first + i for i in range(count)]
