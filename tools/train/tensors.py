"""tensors - reads and writes safetensors files."""
import json
import struct
import numpy as np

NAMES = {np.dtype(np.float16): "F16", np.dtype(np.float32): "F32", np.dtype(np.int64): "I64", np.dtype(np.uint8): "U8"}


def tensors_write(path, arrays):
    """arrays: name to numpy array, written in the order of their names."""
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        header[name] = {"dtype": NAMES[a.dtype], "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        blobs.append(a.tobytes())
        at += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def tensors_read(path):
    data = open(path, "rb").read()
    size, = struct.unpack("<Q", data[:8])
    dtypes = {v: k for k, v in NAMES.items()}
    out = {}
    for name, t in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(data[8 + size + a:8 + size + b], dtypes[t["dtype"]]).reshape(t["shape"])
    return out


def half(state):
    """A state dict as f16 arrays; a value that f16 cannot hold is an error."""
    out = {}
    for name, t in state.items():
        a = t.detach().float().cpu().numpy()
        if not np.isfinite(a.astype(np.float16)).all():
            raise ValueError(f"{name} does not fit f16")
        out[name] = a.astype(np.float16)
    return out
