"""measures - what can be said of frames without any model: colours, flicker, sharpness, motion, window borders."""
import numpy as np
from world import cast, places

EPS = 1e-6


def luma(pixels):
    """uint8 [n, H, W, 3] to floats [n, H, W], 0..255 (BT.709)"""
    return pixels.astype(np.float32) @ np.array([.2126, .7152, .0722], np.float32)


def sharpness(pixels):
    """Mean absolute Laplacian."""
    y = luma(pixels)
    inner = y[:, 1:-1, 1:-1]
    return float(np.abs(4 * inner - y[:, :-2, 1:-1] - y[:, 2:, 1:-1] - y[:, 1:-1, :-2] - y[:, 1:-1, 2:]).mean())


def motion(pixels):
    """Mean change of a pixel from frame to frame."""
    return float(np.abs(np.diff(luma(pixels), axis=0)).mean())


def flicker(pixels):
    """Mean second difference in time: what moves evenly has little, what jumps there and back has much."""
    return float(np.abs(np.diff(luma(pixels), 2, axis=0)).mean())


def changes(pixels):
    """Mean change of a pixel into each frame after the first: [n - 1]"""
    return np.abs(np.diff(luma(pixels), axis=0)).mean((1, 2))


def windows(latents, window, overlap):
    """First latents of the windows after the first, as the coordinator lays them (compile_windows)."""
    if latents <= window:
        return []
    count = -(-(latents - overlap) // (window - overlap))
    total, first, firsts = latents + (count - 1) * overlap, 0, []
    equal = count == 2 or total // count >= 2 * overlap
    for i in range(count):
        size = total // count + (i < total % count) if equal else min(window, latents - first)
        if i:
            firsts.append(first)
        first += size - overlap
    return firsts


def border_frames(latents, window, overlap, stride, frames):
    """Frames that lie where one window takes over from another: those of the overlaps' latents."""
    at = set()
    for first in windows(latents, window, overlap):
        at |= set(range(stride * (first - 1) + 1, min(frames, stride * (first + overlap - 1) + 1)))
    return sorted(at)


def lab(rgb):
    """sRGB 0..1 [..., 3] to CIE Lab (D65)"""
    linear = np.where(rgb <= .04045, rgb / 12.92, ((np.maximum(rgb, .04045) + .055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[.4124564, .2126729, .0193339], [.3575761, .7151522, .1191920], [.1804375, .0721750, .9503041]])
    xyz = xyz / np.array([.95047, 1., 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


class Palette:
    """Shares of the named colours within a figure; what they are without a pattern is learnt from real clips.

    Each colour counts at two depths, as it is and shaded; a lens of lightness weighs less than hue, which light does not
    change."""
    NAMES = list(cast.SECONDS)
    WEIGHT = np.array([.6, 1., 1.])

    def __init__(self):
        self.usual = {}

    def shares(self, pixels, cover, light):
        """pixels uint8 [n, H, W, 3], cover [n, H/8, W/8] in 0..1: how much of the figure has each named colour."""
        tint = places.tint_of(light, .26)
        colours = [tint(cast.SECONDS[n]) * depth for n in self.NAMES for depth in (1., .85)]
        table = lab(np.clip(np.stack(colours), 0, 1)) * self.WEIGHT
        inside = np.kron(cover > .6, np.ones((1, 8, 8), bool))
        if inside.sum() < 64:
            inside = np.kron(cover >= np.sort(cover.ravel())[-4], np.ones((1, 8, 8), bool))
        points = lab(pixels[inside].astype(np.float64) / 255) * self.WEIGHT
        nearest = ((points[:, None] - table[None]) ** 2).sum(-1).argmin(1) // 2
        return np.bincount(nearest, minlength=len(self.NAMES)) / len(nearest)

    def learn(self, samples):
        """samples of (figure, shares): the usual share of a colour in figures of a main colour that do not have it as their
        second: eyes are white, hats are dark or golden."""
        gathered = {}
        for figure, shares in samples:
            for name, share in zip(self.NAMES, shares):
                if name != figure["second"]:
                    gathered.setdefault((figure["colour"], name), []).append(share)
        self.usual = {k: float(np.mean(v)) for k, v in gathered.items()}

    def second(self, colour, shares):
        """The second colour of a figure whose main colour is known."""
        can_be = cast.seconds_of(colour)
        return max(can_be, key=lambda n: shares[self.NAMES.index(n)] - self.usual.get((colour, n), 0.))
