"""qwen - Qwen3ForCausalLM with the published parameter names."""
import torch
import torch.nn as nn
import torch.nn.functional as F
import kernels

CONFIG = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
          "head_dim": 32, "rope_theta": 1000000}


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
        self.width = width

    def forward(self, x, rope, mask):
        b, n, _ = x.shape
        split = lambda y: y.view(b, n, -1, self.width)
        q, k, v = self.q_norm(split(self.q_proj(x))), self.k_norm(split(self.k_proj(x))), split(self.v_proj(x))
        q, k = rotate(q, rope), rotate(k, rope)
        q, k, v = [t.transpose(1, 2) for t in (q, k, v)]
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        weights = kernels.softmax((q * self.width ** -.5) @ k.transpose(-1, -2) + mask.to(q.dtype))
        return self.o_proj((weights @ v).transpose(1, 2).reshape(b, n, -1))


def rotate(x, rope):
    cosine, sine = rope
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return x * cosine.to(x.dtype) + turned * sine.to(x.dtype)


class Mlp(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, d, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, d, hidden, heads, kv, width):
        super().__init__()
        self.self_attn, self.mlp = Attention(d, heads, kv, width), Mlp(d, hidden)
        self.input_layernorm, self.post_attention_layernorm = Norm(d), Norm(d)

    def forward(self, x, rope, mask):
        x = x + self.self_attn(self.input_layernorm(x), rope, mask)
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

    def hidden(self, ids):
        """ids [b, n] to the last layer's normalised states"""
        b, n = ids.shape
        width = self.config["head_dim"]
        angle = torch.outer(torch.arange(n).double(), self.config["rope_theta"] ** -(torch.arange(0, width, 2).double() / width)).float().to(ids.device)
        rope = [torch.cat([f, f], -1)[:, None] for f in (angle.cos(), angle.sin())]
        mask = torch.full((n, n), -1e9, device=ids.device).triu(1)
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, rope, mask)
        return self.model.norm(x)

    def logits(self, states):
        return F.linear(states, self.model.embed_tokens.weight).float()
