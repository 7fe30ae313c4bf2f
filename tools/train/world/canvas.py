"""canvas - anti-aliased shapes drawn over a batch of frames with numpy.

One unit is the height of the screen at zoom 1; the ground is y = 0 and y points up. A shape is a signed
distance: its coverage falls smoothly over about two pixels at the edge, so no supersampling is needed and nothing
flickers when it moves by parts of a pixel.
A camera is three arrays of one value per frame: centre x, centre y, zoom.
"""
import numpy as np

WIDTH, HEIGHT = 128, 80
f32 = np.float32
SOFT = 2.2              # pixels over which an edge fades


def rgb(*values):
    return np.array(values, f32)


def mix(a, b, amount):
    return a * (1 - amount) + b * amount


def keep(colour):
    """The tint of daylight."""
    return colour


def coverage(distance, scale, soft=SOFT):
    """How much of each pixel lies within the shape; scale is pixels per unit."""
    c = np.clip(.5 - distance * (scale / soft), 0, 1)
    return c * c * (3 - 2 * c)


# ---------------------------------------------------------------- distances
def circle(x, y, cx, cy, r):
    return np.sqrt((x - cx) ** 2 + (y - cy) ** 2) - r


def ellipse(x, y, cx, cy, rx, ry):
    u, v = (x - cx) / rx, (y - cy) / ry
    inside = np.sqrt(u * u + v * v)
    return inside * (inside - 1) / (np.sqrt((u / rx) ** 2 + (v / ry) ** 2) + 1e-6)


def box(x, y, cx, cy, half_w, half_h, round_=0.):
    qx, qy = np.abs(x - cx) - half_w + round_, np.abs(y - cy) - half_h + round_
    if round_ == 0:
        return np.maximum(qx, qy)
    return np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2) + np.minimum(np.maximum(qx, qy), 0) - round_


def capsule(x, y, ax, ay, bx, by, r):
    px, py, dx, dy = x - ax, y - ay, bx - ax, by - ay
    along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
    return np.sqrt((px - along * dx) ** 2 + (py - along * dy) ** 2) - r


def convex(x, y, points):
    """Distance to a convex polygon (exact at edges, a lower bound at corners)."""
    p = np.array(points, f32)
    q = np.roll(p, -1, 0)
    turn = 1 if (p[:, 0] * q[:, 1] - q[:, 0] * p[:, 1]).sum() > 0 else -1
    d = None
    for (ax, ay), (ex, ey) in zip(p, q - p):
        side = turn * ((x - ax) * ey - (y - ay) * ex) / np.hypot(ex, ey)
        d = side if d is None else np.maximum(d, side)
    return d


# ---------------------------------------------------------------- surfaces
class Layer:
    """A sheet of scenery: a whole-frame surface whose parallax scales the camera's movement."""

    def __init__(self, frames, camera, parallax=1., zoom_power=None, tint=keep):
        cx, cy, zoom = [np.asarray(a, f32).reshape(-1, 1, 1) for a in camera]
        z = zoom ** (parallax if zoom_power is None else zoom_power)
        px = ((np.arange(WIDTH, dtype=f32) + .5 - WIDTH / 2) / HEIGHT).reshape(1, 1, -1)
        py = (-(np.arange(HEIGHT, dtype=f32) + .5 - HEIGHT / 2) / HEIGHT).reshape(1, -1, 1)
        self.frames, self.tint = frames, tint
        self.x = px / z + cx * parallax
        self.y = py / z + .30 + (cy - .30) * min(1, .35 + .65 * parallax)
        self.scale = z * HEIGHT

    def crop(self, x0, x1, y0, y1):
        """The part of the layer that a shape can touch, or None."""
        margin = SOFT / self.scale.min()
        cols = np.nonzero(((self.x > x0 - margin) & (self.x < x1 + margin)).any((0, 1)))[0]
        rows = np.nonzero(((self.y > y0 - margin) & (self.y < y1 + margin)).any((0, 2)))[0]
        if len(cols) == 0 or len(rows) == 0:
            return None
        part = object.__new__(Layer)
        c, r = slice(cols[0], cols[-1] + 1), slice(rows[0], rows[-1] + 1)
        part.frames, part.tint, part.scale = self.frames[:, r, c], self.tint, self.scale
        part.x, part.y = self.x[:, :, c], self.y[:, r]
        return part

    def paint(self, distance, colour, alpha=1., soft=SOFT):
        cover = coverage(distance, self.scale, soft) * f32(alpha)
        self.frames += cover[..., None] * (self.tint(np.asarray(colour, f32)) - self.frames)

    def _paint_cropped(self, bounds, shape, colour, alpha):
        part = self.crop(*bounds)
        if part is not None:
            part.paint(shape(part.x, part.y), colour, alpha)

    def circle(self, cx, cy, r, colour, alpha=1.):
        self._paint_cropped((cx - r, cx + r, cy - r, cy + r), lambda x, y: circle(x, y, cx, cy, r), colour, alpha)

    def ellipse(self, cx, cy, rx, ry, colour, alpha=1.):
        self._paint_cropped((cx - rx, cx + rx, cy - ry, cy + ry), lambda x, y: ellipse(x, y, cx, cy, rx, ry), colour, alpha)

    def box(self, x0, x1, y0, y1, colour, alpha=1.):
        shape = lambda x, y: box(x, y, (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2)
        self._paint_cropped((x0, x1, y0, y1), shape, colour, alpha)

    def capsule(self, ax, ay, bx, by, r, colour, alpha=1.):
        bounds = (min(ax, bx) - r, max(ax, bx) + r, min(ay, by) - r, max(ay, by) + r)
        self._paint_cropped(bounds, lambda x, y: capsule(x, y, ax, ay, bx, by, r), colour, alpha)

    def convex(self, points, colour, alpha=1.):
        xs, ys = zip(*points)
        self._paint_cropped((min(xs), max(xs), min(ys), max(ys)), lambda x, y: convex(x, y, points), colour, alpha)

    def glow(self, cx, cy, r, colour, alpha):
        """A light that fades towards its edge."""
        part = self.crop(cx - r, cx + r, cy - r, cy + r)
        if part is not None:
            near = np.clip(1 - ((part.x - cx) ** 2 + (part.y - cy) ** 2) / (r * r), 0, 1)
            part.frames += (near * near * f32(alpha))[..., None] * (part.tint(np.asarray(colour, f32)) - part.frames)

    def hills(self, height, colour, low=None, depth=.22):
        """Fills everything below y = height(x), fading to the colour `low` over `depth`."""
        down = self.y - height(self.x)
        self.paint(down, colour)
        if low is not None:
            fade = np.clip(-down / depth, 0, 1)[..., None]
            self.frames += fade * (self.tint(np.asarray(low, f32)) - self.frames)


class Sprite:
    """A small transparent window per frame that moves with a figure; u and v are in units of its size, from its feet."""

    def __init__(self, frames, camera, x, y, size, half_width, low, high):
        count = frames.shape[0]
        cx, cy, zoom, x, y = [np.broadcast_to(np.asarray(a, f32), (count,)) for a in (*camera, x, y)]
        scale = zoom * HEIGHT
        sx, sy = (x - cx) * scale + WIDTH / 2, -(y - cy) * scale + HEIGHT / 2
        k = scale * size
        self.w = min(int(np.ceil(2 * half_width * k.max())) + 5, WIDTH)
        self.h = min(int(np.ceil((high - low) * k.max())) + 5, HEIGHT)
        self.left = np.floor(sx - self.w / 2).astype(int) if self.w < WIDTH else np.zeros(count, int)
        self.top = np.floor(sy - high * k).astype(int) - 2 if self.h < HEIGHT else np.zeros(count, int)
        px = self.left[:, None, None] + np.arange(self.w, dtype=f32)[None, None] + .5
        py = self.top[:, None, None] + np.arange(self.h, dtype=f32)[None, :, None] + .5
        self.k = k[:, None, None]
        self.u = ((px - sx[:, None, None]) / self.k).astype(f32) + np.zeros((1, self.h, 1), f32)
        self.v = (-(py - sy[:, None, None]) / self.k).astype(f32) + np.zeros((1, 1, self.w), f32)
        self.frames = frames
        self.colour = np.zeros((count, self.h, self.w, 3), f32)     # premultiplied
        self.alpha = np.zeros((count, self.h, self.w), f32)

    def paint(self, distance, colour, mask=None, alpha=1.):
        """Paints a shape and returns its coverage, to be used as a mask for what lies on it."""
        cover = coverage(distance, self.k) * f32(alpha)
        return self.wash(cover if mask is None else cover * mask, colour)

    def wash(self, cover, colour):
        """Lays a colour on, as thick as `cover` says."""
        rows, cols = np.nonzero(cover.any((0, 2)))[0], np.nonzero(cover.any((0, 1)))[0]
        if len(rows):
            part = np.s_[:, rows[0]:rows[-1] + 1, cols[0]:cols[-1] + 1]
            c = cover[part]
            self.colour[part] += c[..., None] * (np.asarray(colour, f32) - self.colour[part])
            self.alpha[part] += c * (1 - self.alpha[part])
        return cover

    def outlined(self, distance, colour, outline, width=.024):
        self.paint(distance - width, outline)
        return self.paint(distance, colour)

    def composite(self, tint=keep):
        """Puts the sprite on the frames. Returns its coverage of every frame [frames, HEIGHT, WIDTH]."""
        solid = np.maximum(self.alpha, 1e-3)[..., None]
        tinted = tint(self.colour / solid) * self.alpha[..., None]
        cover = np.zeros(self.frames.shape[:3], f32)
        for i in range(self.frames.shape[0]):
            x0, y0 = self.left[i], self.top[i]
            a, b, c, d = max(x0, 0), min(x0 + self.w, WIDTH), max(y0, 0), min(y0 + self.h, HEIGHT)
            if b <= a or d <= c:
                continue
            inner = np.s_[c - y0:d - y0, a - x0:b - x0]
            alpha = self.alpha[i][inner]
            self.frames[i, c:d, a:b] = self.frames[i, c:d, a:b] * (1 - alpha[..., None]) + tinted[i][inner]
            cover[i, c:d, a:b] = alpha
        return cover
