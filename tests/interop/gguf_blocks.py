"""Block types of ggml: a GGUF file of random blocks, and what gguf-py makes of them.

make OUT.gguf [SEED]         a tensor of each type that gguf-py decodes, 16 rows of 10 blocks or more
values FILE.gguf FOLDER      compares FOLDER/NAME.npy, of tensors, with gguf-py's values
types FILE.gguf              the types of all tensors
"""
import pathlib
import sys

import gguf
import numpy as np

ROWS, COLS = 16, 2560


def canonical_digits(blocks):
    """The bytes of TQ1_0 as quantizers write them."""
    number = blocks[:, :52].astype(np.uint32) % 243
    number[:, 48:] = number[:, 48:] % 81 * 3
    blocks[:, :52] = (number * 256 + 242) // 243


def make(path, seed=1):
    rng, writer = np.random.default_rng(int(seed)), gguf.GGUFWriter(path, "llama")
    for kind in gguf.quants._type_traits:
        n_weights, n_bytes = gguf.GGML_QUANT_SIZES[kind]
        if n_weights == 1:
            continue
        blocks = rng.integers(0, 256, (ROWS * COLS // n_weights, n_bytes), dtype=np.uint8)
        if kind.name == "TQ1_0":
            writer.add_tensor("careless", blocks.reshape(ROWS, -1).copy(), raw_dtype=kind)
            canonical_digits(blocks)
            blocks[7, 3], blocks[100, 50] = 1, 255
        writer.add_tensor(kind.name, blocks.reshape(ROWS, -1), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def values(file, folder):
    n = 0
    for t in gguf.GGUFReader(file).tensors:
        path = pathlib.Path(folder, f"{t.name}.npy")
        if not path.exists():
            continue
        with np.errstate(all="ignore"):
            expected = gguf.quants.dequantize(t.data, t.tensor_type).reshape(-1)
        found = np.load(path).reshape(-1)
        same = (found.view(np.uint32) == expected.astype(np.float32).view(np.uint32)) | \
            (np.isnan(found) & np.isnan(expected))
        assert same.all(), f"{t.name}: value {np.argmin(same)} differs"
        n += 1
    print(n, "tensors have the same values")


def types(path):
    for t in gguf.GGUFReader(path).tensors:
        print(t.name, t.tensor_type.name)


{"make": make, "values": values, "types": types}[sys.argv[1]](*sys.argv[2:])
