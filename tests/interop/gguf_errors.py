"""Errors of two GGUF files against a third, matrix by matrix.

    gguf_errors.py make RAW AESTHETIC PLAIN OUT IMATRIX   real matrices and made ones, and an imatrix (.dat) of them
    gguf_errors.py compare SOURCE OURS THEIRS [IMATRIX]   one line; exit status 1 where ours is worse

Errors are squared, relative to the matrix's own squares, both weighted by the imatrix where one is given. Needs gguf-py."""
import collections, io, pathlib, pickle, struct, sys, zipfile

import gguf
import numpy as np
from gguf.quants import dequantize


def torch_matrices(path):
    """The f32 matrices of a state dict with rows of 768, without torch."""
    found = []
    with zipfile.ZipFile(path) as z:
        class Reader(pickle.Unpickler):
            def persistent_load(self, saved):
                return z.read("archive/data/" + saved[2])

            def find_class(self, module, name):
                if name == "_rebuild_tensor_v2":
                    def rebuild(data, offset, size, *rest):
                        return np.frombuffer(data, "<f4")[offset:offset + int(np.prod(size))].reshape(size)
                    return rebuild
                if name == "OrderedDict":
                    return collections.OrderedDict
                return lambda *a: None
        state = Reader(io.BytesIO(z.read("archive/data.pkl"))).load()
        found = [v for v in state.values() if isinstance(v, np.ndarray) and v.ndim == 2 and v.shape[1] == 768]
    assert found
    return found


def make(raw, aesthetic, plain, out, imatrix):
    rng = np.random.default_rng(1)
    matrices = [np.fromfile(p, "<f4").reshape(768, 768) for p in sorted(pathlib.Path(raw).glob("gpt2*768x768.f32"))]
    matrices += torch_matrices(aesthetic)
    matrices += [dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(plain).tensors if len(t.shape) == 2]
    matrices += [rng.standard_normal((128, 4096), dtype=np.float32),
                 rng.standard_t(5, (128, 2048)).astype(np.float32) * 0.02,
                 (rng.standard_normal((128, 1024)) * np.exp(rng.standard_normal(1024))).astype(np.float32)]
    w = gguf.GGUFWriter(out, "llama")
    for add, value in ((w.add_block_count, len(matrices)), (w.add_context_length, 128), (w.add_embedding_length, 768),
                       (w.add_feed_forward_length, 768), (w.add_head_count, 12), (w.add_layer_norm_rms_eps, 1e-5)):
        add(value)
    with open(imatrix, "wb") as f:
        f.write(struct.pack("<i", len(matrices)))
        for i, m in enumerate(matrices):
            name = f"blk.{i}.ffn_up.weight"
            w.add_tensor(name, np.ascontiguousarray(m, np.float32))
            h = np.exp(1.5 * rng.standard_normal(m.shape[1])).astype("<f4")
            f.write(struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", 1, len(h)) + h.tobytes())
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


def read_imatrix(path):
    data, at, entries = pathlib.Path(path).read_bytes(), 4, {}
    for _ in range(struct.unpack_from("<i", data)[0]):
        n = struct.unpack_from("<i", data, at)[0]
        name, (calls, count) = data[at + 4:at + 4 + n].decode(), struct.unpack_from("<ii", data, at + 4 + n)
        at += 12 + n
        entries[name] = np.frombuffer(data, "<f4", count, at).astype("f8") / max(calls, 1)
        at += 4 * count
    return entries


def compare(source, ours, theirs, imatrix=None):
    weights = read_imatrix(imatrix) if imatrix else {}
    files = [{t.name: t for t in gguf.GGUFReader(p).tensors} for p in (source, ours, theirs)]
    ratios, types = [], set()
    for name, s in files[0].items():
        a, b = files[1][name], files[2][name]
        if a.tensor_type == s.tensor_type or len(s.shape) < 2:
            continue
        assert a.tensor_type == b.tensor_type, (name, a.tensor_type, b.tensor_type)
        types.add(a.tensor_type.name)
        x = dequantize(s.data, s.tensor_type).astype("f8")
        h = weights.get(name, 1.0)
        e = [float((h * (x - dequantize(t.data, t.tensor_type)) ** 2).sum() / (h * x * x).sum()) for t in (a, b)]
        ratios.append((e[0] / e[1], name, *e))
    ratios.sort(reverse=True)
    worst = ratios[0]
    print(f"{len(ratios)} matrices: worst {worst[1]} {worst[2]:.6f} against {worst[3]:.6f}, ratio {worst[0]:.4f}; "
          f"median {ratios[len(ratios) // 2][0]:.4f}; best {ratios[-1][0]:.4f} ({'/'.join(sorted(types))})")
    return int(worst[0] > 1)


if __name__ == "__main__":
    sys.exit({"make": make, "compare": compare}[sys.argv[1]](*sys.argv[2:]))
