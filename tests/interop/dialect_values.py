"""Compares the values of quantized tensors in a safetensors file, as other programs read it, with
those of a file of f32: dialect_values.py QUANTIZED F32. MXFP4 is read by transformers' own function;
of bitsandbytes, whose package wants a GPU's libraries, the formulas stand here."""

import json
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors


def bitsandbytes(tensors, name, state):
    """w = quant_map[code] * absmax[i / blocksize], codes high half first."""
    get = lambda suffix: tensors[name + suffix].view(-1)  # noqa: E731
    packed = get("").view(torch.uint8).numpy()
    n = int(np.prod(state["shape"]))
    codes = np.stack([packed >> 4, packed & 15], 1).reshape(-1)[:n]
    absmax = get(".absmax").numpy()
    if "nested_blocksize" in state:
        outer = get(".nested_absmax").numpy()[np.arange(len(absmax)) // state["nested_blocksize"]]
        absmax = get(".nested_quant_map").numpy()[absmax] * outer + np.float32(state["nested_offset"])
    assert absmax.dtype == np.float32
    values = get(".quant_map").numpy()[codes] * absmax[np.arange(n) // state["blocksize"]]
    return values.reshape(state["shape"])


def mxfp4(blocks, scales):
    """transformers gives the transposed of each matrix; 255 is infinite there and NaN in OCP."""
    stacked = blocks if blocks.dim() == 4 else blocks[None]
    many = scales if scales.dim() == 3 else scales[None]
    values = convert_moe_packed_tensors(stacked.clone(), many.clone(), dtype=torch.float32)
    values = values.transpose(1, 2).contiguous()
    values[many.repeat_interleave(32, -1) == 255] = torch.nan
    return values.reshape(*scales.shape[:-1], scales.shape[-1] * 32).numpy()


def main():
    tensors, plain = load_file(sys.argv[1]), load_file(sys.argv[2])
    compared = 0
    for name, t in tensors.items():
        if ".quant_state.bitsandbytes__" in name:
            base = name[:name.index(".quant_state.")]
            theirs = bitsandbytes(tensors, base, json.loads(t.numpy().tobytes()))
        elif name.endswith(("_blocks", ".blocks")):
            base = name[:-7]
            theirs = mxfp4(t, tensors[base + name[-7] + "scales"])
        else:
            continue
        ours = plain[base].numpy()
        assert ours.shape == theirs.shape, (base, ours.shape, theirs.shape)
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        assert same.all(), (base, np.argwhere(~same)[:3])
        compared += 1
    assert compared > 0
    print(compared, "tensors have the same values")


main()
