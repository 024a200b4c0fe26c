"""Writes a GGUF file of one tensor "w" of random blocks: make_blocks.py OUT TYPE ROWS COLUMNS.

Needs gguf-py. For measuring products beside ggml's, also in types that nothing here encodes."""
import sys

import gguf
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

# Where the f16 factors of a block are.
FACTORS = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ3_XXS": [0], "IQ1_S": [0],
    "IQ4_NL": [0], "IQ3_S": [0], "IQ2_S": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64],
}
out, name, rows, cols = sys.argv[1], sys.argv[2].upper(), int(sys.argv[3]), int(sys.argv[4])
weights, n_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
n = rows * cols // weights
rng = np.random.default_rng(1)
blocks = rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)
for at in FACTORS.get(name, []):  # about 0.02
    blocks[:, at + 1] = 0x24 + rng.integers(0, 2, n)
if name == "IQ1_M":  # the factor's nibbles
    for i, v in enumerate((0, 0, 4, 2)):
        blocks[:, 49 + 2 * i] = blocks[:, 49 + 2 * i] & 0x0F | v << 4
if name == "MXFP4":
    blocks[:, 0] = 120 + rng.integers(0, 4, n)
if name == "NVFP4":
    blocks[:, :4] = 0x30 + rng.integers(0, 8, (n, 4))
if name == "TQ1_0":  # five digits of base 3 a byte, as its quantizer writes them
    digits = rng.integers(0, 243, (n, 52))
    digits[:, 48:] = digits[:, 48:] // 3 * 3
    blocks[:, :52] = (digits * 256 + 242) // 243
w = gguf.GGUFWriter(out, "llama")
w.add_tensor("w", blocks.reshape(rows, -1), raw_dtype=GGMLQuantizationType[name])
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
