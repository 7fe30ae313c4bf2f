"""umt5 - UMT5EncoderModel with the published parameter names."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = {"d_model": 128, "d_kv": 32, "num_heads": 4, "d_ff": 256, "num_layers": 2}
BUCKETS, MAX_DISTANCE = 32, 128


def buckets(length):
    """Which relative position bucket each key falls into, for each query [length, length]."""
    position = torch.arange(length)
    relative = position[None] - position[:, None]
    half, exact = BUCKETS // 2, BUCKETS // 4
    far = relative.abs()
    log = exact + (torch.log(far.clamp_min(1).float() / exact) / math.log(MAX_DISTANCE / exact) * (half - exact)).long()
    return (relative > 0).long() * half + torch.where(far < exact, far, log.clamp_max(half - 1))


class Norm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)


class Attention(nn.Module):
    def __init__(self, d, heads, width):
        super().__init__()
        self.q, self.k, self.v = [nn.Linear(d, heads * width, bias=False) for _ in range(3)]
        self.o = nn.Linear(heads * width, d, bias=False)
        self.relative_attention_bias = nn.Embedding(BUCKETS, heads)
        self.heads = heads
        nn.init.normal_(self.q.weight, std=(d * width) ** -.5)
        nn.init.normal_(self.k.weight, std=d ** -.5)
        nn.init.normal_(self.v.weight, std=d ** -.5)
        nn.init.normal_(self.o.weight, std=.5 * (heads * width) ** -.5)
        nn.init.normal_(self.relative_attention_bias.weight, std=.1)

    def forward(self, x, mask):
        b, n, _ = x.shape
        q, k, v = [f(x).view(b, n, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v)]
        bias = self.relative_attention_bias(buckets(n).to(x.device)).permute(2, 0, 1)[None]
        weights = torch.softmax((q @ k.transpose(-1, -2)).float() + bias.float() + mask, -1).to(v.dtype)
        return self.o((weights @ v).transpose(1, 2).reshape(b, n, -1))


class FeedForward(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.wi_0, self.wi_1, self.wo = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False), nn.Linear(hidden, d, bias=False)
        nn.init.normal_(self.wi_0.weight, std=d ** -.5)
        nn.init.normal_(self.wi_1.weight, std=d ** -.5)
        nn.init.normal_(self.wo.weight, std=.5 * hidden ** -.5)

    def forward(self, x):
        return self.wo(F.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))


class Sub(nn.Module):
    """One of the two halves of a block: its layer norm and the part under its published name."""

    def __init__(self, name, part, d):
        super().__init__()
        self.add_module(name, part)
        self.layer_norm = Norm(d)


class Block(nn.Module):
    def __init__(self, d, heads, width, hidden):
        super().__init__()
        self.layer = nn.ModuleList([Sub("SelfAttention", Attention(d, heads, width), d), Sub("DenseReluDense", FeedForward(d, hidden), d)])

    def forward(self, x, mask):
        first, second = self.layer
        x = x + first.SelfAttention(first.layer_norm(x), mask)
        return x + second.DenseReluDense(second.layer_norm(x))


class Stack(nn.Module):
    def __init__(self, d, heads, width, hidden, layers):
        super().__init__()
        self.block = nn.ModuleList([Block(d, heads, width, hidden) for _ in range(layers)])
        self.final_layer_norm = Norm(d)


class Umt5(nn.Module):
    def __init__(self, vocab_size, d_model, d_kv, num_heads, d_ff, num_layers):
        super().__init__()
        self.shared = nn.Embedding(vocab_size, d_model)
        self.encoder = Stack(d_model, num_heads, d_kv, d_ff, num_layers)

    def forward(self, ids):
        """ids [batch, tokens], padded with 0; rows of the padding come out as zeros, as in the Wan pipeline."""
        real = ids > 0
        mask = (~real).float()[:, None, None] * -1e9
        x = self.shared(ids)
        for block in self.encoder.block:
            x = block(x, mask)
        return self.encoder.final_layer_norm(x) * real[..., None]
