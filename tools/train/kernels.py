"""kernels - the fused bf16 operations of kernels.c as autograd functions, with plain PyTorch as the oracle and fallback.

Each operation takes the C path for bf16 tensors on a CPU when a compiler was found, and the plain path otherwise.
"""
import ctypes
import os
import subprocess
import tempfile
import torch
import torch.nn.functional as F
from torch.autograd import Function


def library(source):
    """Builds a C file beside this one once per version of it; None without a compiler, or when PLAIN_KERNELS is set."""
    if os.environ.get("PLAIN_KERNELS") is not None:
        return None
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), source)
    name = os.path.splitext(os.path.basename(source))[0]
    target = os.path.join(tempfile.gettempdir(), f"shotline-train-{name}-{os.getuid()}-{int(os.path.getmtime(source))}.so")
    if not os.path.exists(target):
        fresh = f"{target}.{os.getpid()}"
        command = ["gcc", "-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-shared", "-fPIC", source, "-o", fresh, "-lm", "-lmvec"]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        os.replace(fresh, target)
    return ctypes.CDLL(target)


LIBRARY = library("kernels.c")


def fast(x):
    return LIBRARY is not None and x.dtype == torch.bfloat16 and x.device.type == "cpu"


def call(name, *args, library=None):
    """Calls a kernel (of kernels.c, when no other library is given): tensors become pointers, None a null pointer, ints longs, floats floats."""
    convert = lambda a: (ctypes.c_void_p(a.data_ptr()) if torch.is_tensor(a) else ctypes.c_void_p(None) if a is None
                         else ctypes.c_float(a) if isinstance(a, float) else ctypes.c_long(a))
    getattr(library or LIBRARY, name)(*map(convert, args))


class Gelu(Function):
    @staticmethod
    def forward(ctx, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        call("gelu_forward", x, y, x.numel())
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, = ctx.saved_tensors
        dy, dx = dy.contiguous(), torch.empty_like(x)
        call("gelu_backward", x, dy, dx, x.numel())
        return dx


class Norm(Function):
    @staticmethod
    def forward(ctx, x, scale, shift):
        x, scale, shift = x.contiguous(), scale.float().contiguous(), shift.float().contiguous()
        (b, n, d), y = x.shape, torch.empty_like(x)
        stats = torch.empty(b * n * 2)
        call("norm_forward", x, scale, shift, y, stats, b, n, d)
        ctx.save_for_backward(x, scale, stats)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, scale, stats = ctx.saved_tensors
        (b, n, d), dy, dx = x.shape, dy.contiguous(), torch.empty_like(x)
        dscale, dshift = torch.empty(b, d), torch.empty(b, d)
        call("norm_backward", x, scale, dy, stats, dx, dscale, dshift, b, n, d)
        return dx, dscale, dshift


class Gate(Function):
    @staticmethod
    def forward(ctx, x, a, gate):
        x, a, gate = x.contiguous(), a.contiguous(), gate.float().contiguous()
        y = torch.empty_like(x)
        call("gate_forward", x, a, gate, y, *x.shape)
        ctx.save_for_backward(a, gate)
        return y

    @staticmethod
    def backward(ctx, dy):
        a, gate = ctx.saved_tensors
        dy, da, dgate = dy.contiguous(), torch.empty_like(a), torch.empty_like(gate)
        call("gate_backward", a, gate, dy, da, dgate, *a.shape)
        return dy, da, dgate


class Query(Function):
    @staticmethod
    def forward(ctx, x, weight, cosine, sine, heads, scale):
        x, w = x.contiguous(), weight.float().contiguous()
        b, n, d = x.shape
        y, stats = torch.empty(b, heads, n, d // heads, dtype=x.dtype), torch.empty(b * n)
        call("query_forward", x, w, cosine, sine, y, stats, b, n, d, heads, scale)
        ctx.save_for_backward(x, w, cosine, sine, stats)
        ctx.heads, ctx.scale, ctx.dtype = heads, scale, weight.dtype
        return y

    @staticmethod
    def backward(ctx, dy):
        x, w, cosine, sine, stats = ctx.saved_tensors
        (b, n, d), dy, dx, dw = x.shape, dy.contiguous(), torch.empty_like(x), torch.empty_like(w)
        call("query_backward", x, w, cosine, sine, dy, stats, dx, dw, b, n, d, ctx.heads, ctx.scale)
        return dx, dw.to(ctx.dtype), None, None, None, None


class Softmax(Function):
    @staticmethod
    def forward(ctx, scores):
        call("softmax_forward", scores, scores.numel() // scores.shape[-1], scores.shape[-1])
        ctx.mark_dirty(scores)
        ctx.save_for_backward(scores)
        return scores

    @staticmethod
    def backward(ctx, dy):
        y, = ctx.saved_tensors
        dy, dx = dy.contiguous(), torch.empty_like(y)
        call("softmax_backward", y, dy, dx, y.numel() // y.shape[-1], y.shape[-1])
        return dx


class RmsSilu(Function):
    @staticmethod
    def forward(ctx, x, gamma):
        x, g = x.contiguous(), gamma.float().contiguous()
        y, stats, cols = torch.empty_like(x), torch.empty(x.numel() // x.shape[-1]), x.shape[-1]
        call("rms_silu_forward", x, g, y, stats, x.numel() // cols, cols)
        ctx.save_for_backward(x, g, stats)
        ctx.shape, ctx.dtype = gamma.shape, gamma.dtype
        return y

    @staticmethod
    def backward(ctx, dy):
        x, g, stats = ctx.saved_tensors
        dy, dx, cols = dy.contiguous(), torch.empty_like(x), x.shape[-1]
        dgamma = torch.empty(cols)
        call("rms_silu_backward", x, g, dy, stats, dx, dgamma, x.numel() // cols, cols)
        return dx, dgamma.view(ctx.shape).to(ctx.dtype)


class Past(Function):
    @staticmethod
    def forward(ctx, x):
        x = x.contiguous()
        b, t, h, w, c = ctx.shape = x.shape
        y = x.new_empty(b, t, h, w, 3 * c)
        call("past_forward", x, y, b, t, h * w, c)
        return y

    @staticmethod
    def backward(ctx, dy):
        b, t, h, w, c = ctx.shape
        dy = dy.contiguous()
        dx = dy.new_empty(ctx.shape)
        call("past_backward", dy, dx, b, t, h * w, c)
        return dx


class Double(Function):
    @staticmethod
    def forward(ctx, x):
        x = x.contiguous()
        b, t, h, w, c = ctx.shape = x.shape
        y = x.new_empty(b, t, 2 * h, 2 * w, c)
        call("double_forward", x, y, b * t, h, w, c)
        return y

    @staticmethod
    def backward(ctx, dy):
        b, t, h, w, c = ctx.shape
        dy = dy.contiguous()
        dx = dy.new_empty(ctx.shape)
        call("double_backward", dy, dx, b * t, h, w, c)
        return dx


# ---------------------------------------------------------------- the operations
def gelu(x):
    return Gelu.apply(x) if fast(x) else F.gelu(x, approximate="tanh")


def norm(x, scale, shift):
    """Layer norm of x [b, n, d] without weights, then * (1 + scale) + shift, both [b, d] f32."""
    if fast(x):
        return Norm.apply(x, scale, shift)
    y = F.layer_norm(x.float(), x.shape[-1:], eps=1e-6)
    return (y * (1 + scale[:, None]) + shift[:, None]).to(x.dtype)


def gated(x, a, gate):
    """x + a * gate; x and a [b, n, d], gate [b, d] f32"""
    return Gate.apply(x, a, gate) if fast(x) else x + a * gate[:, None].to(x.dtype)


def query(x, weight, rope, heads, scale=1.):
    """RMS norm over all heads, rotation and scale of x [b, n, d]; gives [b, heads, n, d / heads]."""
    b, n, d = x.shape
    if fast(x):
        return Query.apply(x, weight, *(rope or (None, None)), heads, scale)
    y = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6) * weight.float() * scale
    y = y.view(b, n, heads, d // heads)
    if rope is not None:
        cosine, sine = rope[0][:, None], rope[1][:, None]
        even, odd = y[..., 0::2], y[..., 1::2]
        y = torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2)
    return y.to(x.dtype).transpose(1, 2)


def softmax(scores):
    """Over the last dimension; the fast path works in place."""
    return Softmax.apply(scores) if fast(scores) else torch.softmax(scores.float(), -1).to(scores.dtype)


def attention(q, k, v):
    """q (already scaled by 1 / sqrt(width)), k, v [b, heads, n, width]"""
    b, heads, n, width = q.shape
    scores = torch.bmm(q.reshape(b * heads, n, width), k.reshape(b * heads, -1, width).transpose(1, 2))
    return torch.bmm(softmax(scores), v.reshape(b * heads, -1, width)).view(b, heads, n, width)


def past(x):
    """Each frame of x [b, t, h, w, c] behind the two before it, as channels [b, t, h, w, 3c]; zeros before the first."""
    if fast(x):
        return Past.apply(x)
    x = F.pad(x, (0, 0, 0, 0, 0, 0, 2, 0))
    return torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], 4)


def double(x):
    """Nearest neighbour, twice the size: x [b, t, h, w, c]."""
    if fast(x):
        return Double.apply(x)
    b, t, h, w, c = x.shape
    return x[:, :, :, None, :, None].expand(b, t, h, 2, w, 2, c).reshape(b, t, 2 * h, 2 * w, c)


def rms_silu(x, gamma):
    """RMS norm over the last dimension of x, * gamma, then SiLU."""
    if fast(x):
        return RmsSilu.apply(x, gamma)
    return F.silu(rms(x, gamma))


def rms(x, gamma):
    inverse = x.float().pow(2).sum(-1, keepdim=True).clamp_min(1e-12).rsqrt() * x.shape[-1] ** .5
    return x * inverse.to(x.dtype) * gamma.flatten().to(x.dtype)
