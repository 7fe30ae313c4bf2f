"""world_sheet - contact sheets of the drawn world: some shots, and some figures as reference images."""
import argparse
import sys
import numpy as np
import picture
import world


def shots(seed, rows, columns, frames=17):
    """Rows of shots, each by its first, middle and last frame."""
    show = lambda i: [picture.to_bytes(world.render(world.spec_numbered(seed, i), frames)[0][k]) for k in (0, frames // 2, frames - 1)]
    return [sum((show(r * columns + c) for c in range(columns)), []) for r in range(rows)]


def references(seed, rows, columns):
    looks = world.looks_all()
    picks = np.random.RandomState(seed).permutation(len(looks))[:rows * columns].reshape(rows, columns)
    return [[picture.to_bytes(world.render_reference(looks[i])[0][0]) for i in row] for row in picks]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", default="world.png")
    p.add_argument("--seed", type=int, default=5)
    a = p.parse_args()
    picture.png_write(a.out, picture.sheet(shots(a.seed, 8, 2) + references(a.seed, 3, 6)))


if __name__ == "__main__":
    sys.exit(main())
