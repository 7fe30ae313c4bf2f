"""qwen - Qwen3ForCausalLM with the published parameter names.

Between the matrix products runs causal.c where it can (bf16 on a CPU with a compiler), and plain PyTorch, its oracle,
elsewhere.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function
import kernels

CONFIG = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
          "head_dim": 32, "rope_theta": 1000000}
LIBRARY, WIDTH, LONGEST = kernels.library("causal.c"), 32, 1024         # the library is written for heads of this width


class Attend(Function):
    """x [b, n, (heads + 2 groups) * width]; gives [b, n, heads * width]."""
    @staticmethod
    def forward(ctx, x, query_weight, key_weight, cosine, sine, heads, groups):
        x, qw, kw = x.contiguous(), query_weight.float(), key_weight.float()
        b, n, _ = x.shape
        y = torch.empty(b, n, heads * WIDTH, dtype=x.dtype)
        kernels.call("attend_forward", x, qw, kw, cosine, sine, y, b, n, heads, groups, library=LIBRARY)
        ctx.save_for_backward(x, qw, kw, cosine, sine)
        ctx.heads, ctx.groups = heads, groups
        return y

    @staticmethod
    def backward(ctx, dy):
        x, qw, kw, cosine, sine = ctx.saved_tensors
        (b, n, _), dy, dx, dqw, dkw = x.shape, dy.contiguous(), torch.empty_like(x), torch.empty_like(qw), torch.empty_like(kw)
        kernels.call("attend_backward", x, qw, kw, cosine, sine, dy, dx, dqw, dkw, b, n, ctx.heads, ctx.groups, library=LIBRARY)
        return dx, dqw.to(x.dtype), dkw.to(x.dtype), None, None, None, None


class SwiGlu(Function):
    @staticmethod
    def forward(ctx, x):
        x = x.contiguous()
        y = torch.empty(*x.shape[:-1], x.shape[-1] // 2, dtype=x.dtype)
        kernels.call("swiglu_forward", x, y, y.numel() // y.shape[-1], y.shape[-1], library=LIBRARY)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, = ctx.saved_tensors
        dy, dx = dy.contiguous(), torch.empty_like(x)
        kernels.call("swiglu_backward", x, dy, dx, dy.numel() // dy.shape[-1], dy.shape[-1], library=LIBRARY)
        return dx


def fast(x):
    return LIBRARY is not None and kernels.fast(x)


class Norm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        if kernels.fast(x):
            return kernels.query(x.reshape(1, -1, x.shape[-1]), self.weight, None, 1).view(x.shape)
        f = x.float()
        return (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight.float()).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, d, heads, kv, width):
        super().__init__()
        self.q_proj, self.o_proj = nn.Linear(d, heads * width, bias=False), nn.Linear(heads * width, d, bias=False)
        self.k_proj, self.v_proj = nn.Linear(d, kv * width, bias=False), nn.Linear(d, kv * width, bias=False)
        self.q_norm, self.k_norm = Norm(width), Norm(width)
        self.heads, self.groups, self.width = heads, kv, width

    def forward(self, x, rope):
        """rope: cosine and sine [n, width / 2]"""
        b, n, _ = x.shape
        y = F.linear(x, torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight]))
        if fast(x) and self.width == WIDTH and n <= LONGEST:
            return self.o_proj(Attend.apply(y, self.q_norm.weight, self.k_norm.weight, *rope, self.heads, self.groups))
        q, k, v = [t.reshape(b, n, -1, self.width) for t in y.split([m.weight.shape[0] for m in (self.q_proj, self.k_proj, self.v_proj)], -1)]
        q, k = rotate(self.q_norm(q), rope), rotate(self.k_norm(k), rope)
        q, k, v = [t.transpose(1, 2) for t in (q, k, v)]
        k, v = [t.repeat_interleave(self.heads // self.groups, 1) for t in (k, v)]
        mask = torch.full((n, n), -1e9, device=x.device).triu(1)
        weights = torch.softmax((q * self.width ** -.5 @ k.transpose(-1, -2)).float() + mask, -1).to(x.dtype)
        return self.o_proj((weights @ v).transpose(1, 2).reshape(b, n, -1))


def rotate(x, rope):
    """x [b, n, heads, width]: its halves are turned against each other."""
    cosine, sine = [t[:, None].to(x.dtype) for t in rope]
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)


class Mlp(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, d, bias=False)

    def forward(self, x):
        if fast(x):
            return self.down_proj(SwiGlu.apply(F.linear(x, torch.cat([self.gate_proj.weight, self.up_proj.weight]))))
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, d, hidden, heads, kv, width):
        super().__init__()
        self.self_attn, self.mlp = Attention(d, heads, kv, width), Mlp(d, hidden)
        self.input_layernorm, self.post_attention_layernorm = Norm(d), Norm(d)

    def forward(self, x, rope, where=None):
        x = x + self.self_attn(self.input_layernorm(x), rope)
        x = x if where is None else x[where]
        return x + self.mlp(self.post_attention_layernorm(x))


class Stack(nn.Module):
    def __init__(self, vocab, c):
        super().__init__()
        d = c["hidden_size"]
        self.embed_tokens = nn.Embedding(vocab, d)
        self.layers = nn.ModuleList([Layer(d, c["intermediate_size"], c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"])
                                     for _ in range(c["num_hidden_layers"])])
        self.norm = Norm(d)


class Qwen(nn.Module):
    def __init__(self, vocab, config):
        super().__init__()
        self.config, self.model = config, Stack(vocab, config)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=.02 if "embed" in name else p.shape[1] ** -.5)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                p.data.mul_(.3)

    def hidden(self, ids, where=None):
        """ids [b, n] to the last layer's normalised states; where: (rows, places) of those that are wanted, [count, 1]"""
        width = self.config["head_dim"]
        angle = torch.outer(torch.arange(ids.shape[1]).double(), self.config["rope_theta"] ** -(torch.arange(0, width, 2).double() / width))
        rope = [f.float().to(ids.device) for f in (angle.cos(), angle.sin())]
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, rope, where if layer is self.model.layers[-1] else None)
        return self.model.norm(x)
