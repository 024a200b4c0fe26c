#!/usr/bin/python3
"""Writes fixtures/dialects anew: small safetensors files as other programs write quantized tensors,
and the f32 values of those tensors (NAME.values: each tensor's in the order of names, NaN written as
7FC00000). The arithmetic is bitsandbytes' and OCP's, in numpy alone. Usage:
make_dialect_fixtures.py FIXTURES/dialects"""

import json
import struct
import sys
from pathlib import Path

import numpy as np

F32 = np.float32
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
                -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
                0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], F32)
FP4 = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3, -0.0, -0.0625, -8, -12, -4, -6, -2, -3]) / 12
DTYPES = {np.dtype("u1"): "U8", np.dtype("<f4"): "F32", np.dtype("<u2"): "BF16"}


def save(path, tensors):
    """A safetensors file in the order that is given."""
    header, data = {}, b""
    for name, array in tensors.items():
        raw = array.tobytes()
        header[name] = {"dtype": DTYPES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def save_values(path, values):
    """Each tensor's values, by name."""
    out = b""
    for name in sorted(values):
        v = values[name].astype("<f4")
        bits = v.view("<u4").copy()
        bits[np.isnan(v)] = 0x7FC00000
        out += bits.tobytes()
    path.write_bytes(out)


def bitsandbytes(rng, name, shape, levels=NF4, kind="nf4", block=64, nested=None, rest=0,
                 dtype="bfloat16", storage=None):
    """The tensors of one weight, and its values."""
    n = int(np.prod(shape))
    n_blocks = -(-n // block)
    codes = rng.integers(0, 16, n, np.uint8)
    padded = np.append(codes, np.full(n % 2, rest, np.uint8))
    packed = padded[0::2] << 4 | padded[1::2]
    levels = levels.astype(F32)
    state = {"quant_type": kind, "blocksize": block, "dtype": dtype, "shape": list(shape)}
    tensors = {name: packed.reshape(-1, 1)}
    if storage:
        tensors[name] = packed.view(storage).reshape(-1, 1)
    if nested:
        nested_block, offset = nested
        state |= {"nested_blocksize": nested_block, "nested_dtype": "float32",
                  "nested_offset": offset}
        scale_codes = rng.integers(0, 256, n_blocks, np.uint8)
        scale_levels = np.sort(rng.uniform(-1, 1, 256)).astype(F32)
        outer = rng.uniform(0.01, 0.2, -(-n_blocks // nested_block)).astype(F32)
        tensors |= {f"{name}.absmax": scale_codes, f"{name}.quant_map": levels,
                    f"{name}.nested_absmax": outer, f"{name}.nested_quant_map": scale_levels}
        absmax = scale_levels[scale_codes] * outer[np.arange(n_blocks) // nested_block] + F32(offset)
    else:
        absmax = rng.uniform(0.001, 0.3, n_blocks).astype(F32)
        tensors |= {f"{name}.absmax": absmax, f"{name}.quant_map": levels}
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    tensors[f"{name}.quant_state.bitsandbytes__{kind}"] = text
    values = levels[codes] * absmax[np.arange(n) // block]
    assert absmax.dtype == values.dtype == F32
    return tensors, values.reshape(shape)


def mxfp4(rng, name, shape, names=("_blocks", "_scales")):
    """The tensors of one weight, whose last extent is a multiple of 32, and its values."""
    codes = rng.integers(0, 16, shape, np.uint8)
    scales = rng.integers(100, 140, (*shape[:-1], shape[-1] // 32), np.uint8)
    scales.reshape(-1)[:3] = 0, 254, 255
    blocks = (codes[..., 0::2] | codes[..., 1::2] << 4).reshape(*scales.shape, 16)
    table = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], F32)
    table = np.concatenate([table, -table])
    powers = np.ldexp(1.0, scales.astype(int) - 127)
    powers[scales == 255] = np.nan  # as OCP has it
    values = (table[codes] * powers.astype(F32).repeat(32, -1)).astype(F32)
    return {name + names[0]: blocks, name + names[1]: scales}, values


def plain(rng, name, shape):
    values = rng.standard_normal(shape).astype("<f4")
    return {name: values}, values


def write(folder, name, *weights):
    tensors, values = {}, {}
    for made, v in weights:
        tensors |= made
        values[next(iter(made)).removesuffix("_blocks").removesuffix(".blocks")] = v
    # As the format's own writer sorts: wide types first.
    order = {"F32": 0, "BF16": 1, "U8": 2}
    tensors = dict(sorted(tensors.items(), key=lambda t: (order[DTYPES[t[1].dtype]], t[0])))
    save(folder / f"{name}.safetensors", tensors)
    save_values(folder / f"{name}.values", values)


def main():
    folder, rng = Path(sys.argv[1]), np.random.default_rng(4)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, "bitsandbytes",
          plain(rng, "norm.weight", (48,)),
          bitsandbytes(rng, "fp4.weight", (12, 48), FP4, "fp4", dtype="float16"),
          bitsandbytes(rng, "nested.weight", (40, 88), nested=(8, 0.0421875)),
          bitsandbytes(rng, "odd.weight", (5, 13), nested=(256, 0.125), rest=7, dtype="float32"),
          bitsandbytes(rng, "padded.weight", (6, 44), block=32),
          bitsandbytes(rng, "stored.weight", (16, 32), block=128, storage="<u2"))
    write(folder, "mxfp4",
          plain(rng, "mlp.router.weight", (3, 64)),
          mxfp4(rng, "mlp.experts.down_proj", (3, 16, 64)),
          mxfp4(rng, "mlp.experts.gate_up_proj", (3, 8, 96)),
          mxfp4(rng, "matrix", (4, 32), (".blocks", ".scales")))


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main()
