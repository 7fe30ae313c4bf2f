"""picture - writes PNG files and contact sheets without any imaging library."""
import struct
import zlib
import numpy as np


def png_write(path, pixels):
    """pixels: uint8 [height, width, 3]"""
    h, w, _ = pixels.shape
    raw = np.concatenate([np.zeros((h, 1), np.uint8), np.ascontiguousarray(pixels).reshape(h, w * 3)], 1).tobytes()
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(raw, 6)) + chunk(b"IEND", b""))


def to_bytes(frames):
    """float 0..1 to uint8"""
    return (np.clip(frames, 0, 1) * 255 + .5).astype(np.uint8)


def sheet(rows, gap=2):
    """Rows of equally sized uint8 frames to one picture."""
    pad = lambda a: np.pad(a, ((0, gap), (0, gap), (0, 0)), constant_values=40)
    return np.concatenate([np.concatenate([pad(frame) for frame in row], 1) for row in rows], 0)
