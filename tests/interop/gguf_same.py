"""Compares GGUF files as gguf-py reads them, and with safetensors files as they lie on the disk.

same OLD.gguf NEW.gguf                  the same metadata and the same tensors, in the same order
holds FILE.gguf FILE.safetensors...     every tensor of the safetensors files, bit for bit
permuted FILE.gguf FILE.safetensors...  the rows of attn_q and attn_k of 32-row heads, as
                                        docs/llama-hf-gguf.map says that they are
"""
import json
import sys

import gguf


def entries(reader):
    for field in reader.fields.values():
        if field.name.startswith("GGUF."):
            continue
        yield field.name, field.types, [part.tobytes() for part in field.parts]


def tensors(reader):
    for t in reader.tensors:
        yield t.name, t.tensor_type, [int(n) for n in t.shape], t.data.tobytes()


def same(old, new):
    a, b = gguf.GGUFReader(old), gguf.GGUFReader(new)
    assert list(entries(a)) == list(entries(b)), "the metadata differs"
    assert len(a.tensors) == len(b.tensors), "not as many tensors"
    for one, other in zip(tensors(a), tensors(b)):
        assert one == other, one[0]
    print(len(a.tensors), "tensors and", len(a.fields), "fields are the same")


def stored(path):
    with open(path, "rb") as file:
        data = file.read()
    begin = 8 + int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            yield name, entry["shape"], data[begin + first:begin + last]


def holds(path, sources):
    found = {t[0]: t for t in tensors(gguf.GGUFReader(path))}
    n = 0
    for source in sources:
        for name, shape, data in stored(source):
            assert found[name][2] == shape[::-1], name
            assert found[name][3] == data, name
            n += 1
    assert n == len(found), "other tensors than the source"
    print(n, "tensors are the same")


def permuted(path, sources, n_head_rows=32):
    found = {t[0]: t for t in tensors(gguf.GGUFReader(path))}
    n = 0
    for name, shape, data in (t for source in sources for t in stored(source)):
        if not name.endswith(("q_proj.weight", "k_proj.weight")):
            continue
        layer, which = name.split(".")[2], name.split(".")[4][0]
        row_bytes = len(data) // shape[0]
        rows = [data[i * row_bytes:(i + 1) * row_bytes] for i in range(shape[0])]
        wanted = [None] * shape[0]
        half = n_head_rows // 2
        for head in range(0, shape[0], n_head_rows):
            for i in range(half):
                for k in (0, 1):
                    wanted[head + 2 * i + k] = rows[head + i + half * k]
        assert found[f"blk.{layer}.attn_{which}.weight"][3] == b"".join(wanted), name
        n += 1
    print(n, "tensors are permuted as documented")


verb, first, *rest = sys.argv[1:]
if verb == "same":
    same(first, rest[0])
else:
    {"holds": holds, "permuted": permuted}[verb](first, rest)
