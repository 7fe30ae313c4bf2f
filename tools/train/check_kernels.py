"""check_kernels - the fused kernels against plain PyTorch: results and gradients, as relative errors. Exits 1 when one is too large."""
import sys
import torch
import kernels

LIMIT = .03             # bf16 has 8 bits
ROPE = torch.rand(20, 32), torch.rand(20, 32)
CASES = [           # name, operation, shapes of its arguments, how many of them are bf16
    ("gelu", kernels.gelu, [(7, 33, 64)], 1),
    ("norm", kernels.norm, [(3, 20, 192), (3, 192), (3, 192)], 1),
    ("gated", kernels.gated, [(3, 20, 192), (3, 20, 192), (3, 192)], 2),
    ("query", lambda x, w: kernels.query(x, w, ROPE, 3, .125), [(2, 20, 192), (192,)], 1),
    ("attention", kernels.attention, [(2, 3, 20, 64)] * 3, 3),
    ("rms_silu", kernels.rms_silu, [(2, 3, 4, 5, 64), (64, 1, 1, 1)], 1),
    ("past", kernels.past, [(2, 4, 3, 3, 16)], 1),
    ("double", kernels.double, [(2, 2, 3, 3, 16)], 1)]


def errors(operation, shapes, halves):
    """The relative error of the result and of each gradient."""
    values = [torch.randn(s).bfloat16() for s in shapes]
    exact = [v.float().requires_grad_() for v in values]
    fused = [(v if i < halves else v.float()).clone().requires_grad_() for i, v in enumerate(values)]
    a, b = operation(*exact), operation(*fused)
    gradient = torch.randn(a.shape).bfloat16()
    a.backward(gradient.float())
    b.backward(gradient)
    relative = lambda x, y: float((y.float() - x).norm() / x.norm())
    return [relative(a, b)] + [relative(x.grad, y.grad) for x, y in zip(exact, fused)]


def main():
    if kernels.LIBRARY is None:
        raise SystemExit("check_kernels: there is no C compiler, so there is nothing to compare")
    torch.manual_seed(0)
    worst = 0.
    for name, operation, shapes, halves in CASES:
        found = errors(operation, shapes, halves)
        print(f"{name:10}" + "".join(f" {e:.4f}" for e in found))
        worst = max(worst, *found)
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
