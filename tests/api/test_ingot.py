"""Tests of python/ingot.py. test_python.sh runs them and says which library is meant."""
import gc
import os
import pathlib
import shutil
import tempfile
import threading
import unittest

import numpy as np

import ingot

try:
    import ingot_reader  # the second reader
except ImportError:
    ingot_reader = None
    print("note: not compared with the second reader: no zstandard or xxhash")

GOLDEN = "fixtures/golden"
ENCODINGS = ["int8", "int4", "sparse50", "lowrank16", "int4+lowrank16"]


def matrix(rows=64, cols=96, seed=1):
    return np.random.default_rng(seed).standard_normal((rows, cols)).astype(np.float32)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name="a.ingot"):
        return os.path.join(self.folder, name)

    def saved(self, tensors, name="a.ingot", **options):
        ingot.save_file(tensors, self.path(name), **options)
        return ingot.open(self.path(name))

    def same(self, a, b):
        self.assertEqual(a.dtype, b.dtype)
        self.assertEqual(a.shape, b.shape)
        self.assertEqual(np.asarray(a).tobytes(), np.asarray(b).tobytes())


class Reading(Case):
    def test_every_type(self):
        tensors = {}
        for kind in (np.float64, np.float32, np.float16, np.int8, np.int16, np.int32, np.int64,
                     np.uint8, np.uint16, np.uint32, np.uint64, np.complex64):
            tensors[np.dtype(kind).name] = np.arange(24).astype(kind).reshape(2, 3, 4)
        tensors["bool"] = np.array([[True, False], [False, True]])
        tensors["bf16"] = ingot.bfloat16(matrix())
        tensors["scalar"] = np.array(3.5, np.float32)
        tensors["vector"] = np.arange(7, dtype=np.int16)
        tensors["empty"] = np.zeros((0, 4), np.float32)
        tensors["also empty"] = np.zeros((3, 0), np.float64)
        tensors["columns first"] = np.asfortranarray(matrix())
        tensors["\u00e9\udcff"] = np.ones(2, np.float32)  # bytes that are not UTF-8
        for compress in ("none", "fast", "max"):
            with self.saved(tensors, compress=compress) as f:
                self.assertEqual(list(f.keys()), list(tensors))
                for name, array in tensors.items():
                    self.same(f[name][...], array)
                    self.assertEqual(f[name].shape, array.shape)
                f.verify()

    def test_byte_order(self):
        array = self.saved({"w": matrix().astype(">f4")})["w"][...]
        self.same(array, matrix())

    def test_indexing_is_numpys(self):
        array = np.arange(7 * 5 * 4, dtype=np.float32).reshape(7, 5, 4)
        keys = [0, -1, 3, slice(None), slice(2, 5), slice(5, 2), slice(None, None, -1),
                slice(6, 1, -2), slice(1, 7, 3), slice(-3, None), slice(100, 200), Ellipsis, (),
                (2, 3), (slice(1, 3), 2), (slice(4, 0, -1), slice(None), 1), (Ellipsis, 2),
                np.int64(4), [1, 3, 3], np.array([True] + [False] * 5 + [True]), None,
                (slice(2, 4), None, [0, 2])]
        # Zero copy, compressed, and encoded (int8 has these values for rows of powers of two).
        sources = [self.saved({"w": array}, "a", compress="none"),
                   self.saved({"w": np.zeros_like(array)}, "b"),
                   self.saved({"w": array}, "c", encode={"w": "int8"})]
        for f in sources:
            whole = f["w"].to_f32()
            for key in keys:
                self.same(f["w"][key], whole[key])
            for bad in (7, -8, (0, 5)):
                with self.assertRaises(IndexError):
                    f["w"][bad]
            self.assertEqual(len(f["w"]), 7)
            self.same(np.asarray(f["w"]), whole)
        self.assertTrue(np.array_equal(sources[0]["w"][...], array))

    def test_zero_copy(self):
        array = matrix(300, 1000)
        f = self.saved({"w": array, "v": array[:5]}, compress="none")
        first, again = f["w"][...], f["w"][10:20]
        self.assertTrue(np.shares_memory(first, again))
        self.assertFalse(first.flags.writeable)
        with self.assertRaises(ValueError):
            first.flags.writeable = True
        with self.assertRaises(ValueError):
            first[0, 0] = 1
        self.assertEqual(first.ctypes.data % 64, 0)
        self.assertFalse(np.shares_memory(first, f["v"][...]))
        with self.saved({"w": np.zeros((300, 1000), np.float32)}, "packed") as packed:
            self.assertTrue(packed["w"][...].flags.writeable)

    def test_arrays_outlive_the_file(self):
        array = matrix(300, 1000)
        with self.saved({"w": array}, compress="none") as f:
            part = f["w"][7:9, ::3]
            tensor = f["w"]
        del f
        os.remove(self.path())
        gc.collect()
        for _ in range(50):  # memory that is given back would be taken again
            np.ones(1 << 18)
        self.assertTrue(np.array_equal(part, array[7:9, ::3]))
        for use in (lambda: tensor.verify(), lambda: tensor.to_f32(), lambda: tensor.matrix()):
            with self.assertRaisesRegex(ValueError, "closed"):
                use()

    def test_bytes_outlive_the_caller(self):
        ingot.save_file({"w": matrix(300, 1000)}, self.path(), compress="none")
        with open(self.path(), "rb") as stream:
            view = ingot.open(bytearray(stream.read()))["w"][1]
        gc.collect()
        self.assertTrue(np.array_equal(view, matrix(300, 1000)[1]))

    def test_stacks(self):
        experts = matrix(12, 256).reshape(3, 4, 256)
        tensors = {"experts": experts, "norm": experts[0, 0]}
        for encode in None, "int4":
            with self.saved(tensors, encode=encode, stacks=["experts"]) as f:
                self.assertEqual(f["experts"].n_matrices, 3)
                self.assertEqual(f["norm"].n_matrices, 1)
                y = f["experts"].matrix(index=2).matmul(np.eye(256, dtype=np.float32))
                self.assertTrue(np.allclose(y.T, f["experts"][2], atol=1e-6))
        with self.saved({"experts": experts}) as f:
            self.assertEqual(f["experts"].n_matrices, 1)

    def test_mapping(self):
        f = self.saved({"a": matrix(), "b": matrix()})
        self.assertEqual(len(f), 2)
        self.assertIn("a", f)
        self.assertNotIn("c", f)
        self.assertIsNone(f.get("c"))
        self.assertEqual([t.name for t in f.values()], ["a", "b"])
        self.assertIn("f32", repr(f["a"]))
        f.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            f.metadata

    def test_bfloat16(self):
        values = np.random.default_rng(2).integers(0, 1 << 32, 100000, np.uint32)
        special = [0, -0.0, np.inf, -np.inf, np.nan, 1 + 2**-8, 1 + 3 * 2**-8]
        values = np.concatenate([values.view(np.float32), np.array(special, np.float32)])
        # As the library rounds, and back.
        ours = ingot.bfloat16(values)
        f = self.saved({"w": values}, encode={"w": "f32"})
        limit = np.array(0x7F7F7FFF, np.uint32).view(np.float32)
        held = ~(np.abs(values) > limit) | np.isinf(values)
        g = self.saved({"w": values[held]}, "b", encode={"w": "bf16"})
        self.same(g["w"][...], ours[held])
        self.same(g["w"].to_f32(), ours[held].to_f32())
        self.assertEqual(g["w"].dtype, "bf16")
        self.same(f["w"][...], values)
        self.assertIsInstance(g["w"][3:9], ingot.Bfloat16)
        self.assertNotIsInstance(g["w"][3:9] == g["w"][3:9], ingot.Bfloat16)
        self.assertEqual(np.asarray(g["w"]).dtype, np.float32)
        with self.assertRaises(TypeError):
            ingot.Bfloat16([1.5])
        self.assertEqual(ingot.bfloat16(1.0).to_f32().shape, ())


class Metadata(Case):
    def test_round_trip(self):
        metadata = {"text": "h\u00e9llo", "empty": "", "yes": True, "n": -5, "big": (1 << 64) - 1,
                    "x": 0.1, "typed": np.uint8(7), "half": np.float32(0.1),
                    "words": ["a", "", "bcd"], "numbers": [1, -2, 3], "mixed": [1, (1 << 63)],
                    "floats": np.array([0.5, 1.5], np.float32), "flags": [True, False],
                    "nested": [[1, 2], []], "none": [],
                    "table": np.arange(6, dtype=np.int16).reshape(2, 3)}
        f = self.saved({}, metadata=metadata)
        read = f.metadata
        self.assertEqual(list(read), list(metadata))
        for key, value in metadata.items():
            wanted = value.tolist() if isinstance(value, np.ndarray) else value
            self.assertEqual(read[key], wanted, key)
        read["text"] = "changed"
        self.assertEqual(f.metadata["text"], "h\u00e9llo")
        self.assertIs(f.metadata["yes"], True)
        f.verify()
        self.assertEqual(self.saved({}, "b").metadata, {})

    def test_refused(self):
        for value, error in [(object(), TypeError), ([1, "a"], TypeError), (1 << 64, OverflowError),
                             (np.float16(1), TypeError), ([-1, 1 << 63], TypeError)]:
            with self.assertRaises(error, msg=repr(value)):
                ingot.save_file({}, self.path(), metadata={"k": value})
            self.assertFalse(os.listdir(self.folder))

    def test_attachments(self):
        f = self.saved({}, attachments={"config.json": b"{}", "d/empty": b""})
        self.assertEqual(dict(f.attachments), {"config.json": b"{}", "d/empty": b""})
        with self.assertRaises(KeyError):
            f.attachments["none"]


class Errors(Case):
    def test_names(self):
        f = self.saved({"w": matrix()})
        with self.assertRaises(KeyError):
            f["x"]
        with self.assertRaises(ingot.Error) as caught:
            f["x"]
        self.assertEqual(caught.exception.status, "not found")
        self.assertIn("x", str(caught.exception))

    def test_files(self):
        with self.assertRaises(ingot.Error) as caught:
            ingot.open(self.path("none"))
        self.assertEqual(caught.exception.status, "input/output")
        self.assertIsNone(caught.exception.offset)
        self.assertIn(self.path("none"), str(caught.exception))
        with self.assertRaises(ValueError):  # and not the file "a"
            ingot.open(self.path("a\0b"))
        for data in (b"", b"x" * 500):
            with self.assertRaises(ingot.Error) as caught:
                ingot.open(data)
            self.assertEqual(caught.exception.status, "invalid")
            self.assertGreater(caught.exception.rule, 0)
        for name in sorted(os.listdir("fixtures/bad")):
            with self.assertRaises(ingot.Error) as caught:
                ingot.open(os.path.join("fixtures/bad", name)).verify()
            self.assertRegex(name, rf"^R-{caught.exception.rule}(-\w+)*\.ingot$")

    def test_damage(self):
        f = self.saved({"v": matrix(), "w": matrix(seed=2)}, compress="none")
        at = f["w"][...].ctypes.data - f["v"][...].ctypes.data
        del f
        with open(self.path(), "rb") as stream:
            data = bytearray(stream.read())
        start = data.index(matrix()[0, :4].tobytes())
        data[start + at + 100] ^= 1
        f = ingot.open(data)
        self.same(f["v"][...], matrix())
        for use in (lambda: f["w"][0], lambda: f["w"].to_f32(), f["w"].verify, f.verify,
                    lambda: f["w"].matmul(np.zeros(96))):
            with self.assertRaises(ingot.Error) as caught:
                use()
            self.assertEqual(caught.exception.status, "damaged")
            self.assertEqual(caught.exception.rule, 310)
            self.assertEqual(caught.exception.field, "tensor w")
            self.assertIsNotNone(caught.exception.offset)
        self.assertEqual(ingot.open(data, verify=False)["w"][1].shape, (96,))

    def test_writing(self):
        cases = [(dict(encode={"w": "int44"}), ingot.Error, "unsupported"),
                 (dict(encode={"i": "int4"}), ingot.Error, "unsupported"),
                 (dict(encode={"nan": "int4"}), ingot.Error, "refused"),
                 (dict(attachments={"../x": b""}), ingot.Error, "invalid"),
                 (dict(compress="zip"), ValueError, None),
                 (dict(encode={"none": "int4"}), ValueError, None),
                 (dict(stacks=["none"]), ValueError, None),
                 (dict(threads=-1), ValueError, None)]
        tensors = {"w": matrix(), "i": np.arange(4), "nan": np.full((2, 4), np.nan, np.float32)}
        for options, kind, status in cases:
            with self.assertRaises(kind) as caught:
                ingot.save_file(tensors, self.path(), **options)
            if status:
                self.assertEqual(caught.exception.status, status)
            self.assertFalse(os.listdir(self.folder))
        with self.assertRaisesRegex(TypeError, "tensor w"):
            ingot.save_file({"w": np.array(["a"])}, self.path())
        with self.assertRaises(ValueError):
            ingot.save_file({}, self.path("a\0b"))
        with self.assertRaises(ValueError):
            ingot.save_file({"a\0b": matrix()}, self.path())
        ingot.save_file({}, self.path())
        with self.assertRaises(ingot.Error) as caught:
            ingot.save_file({}, self.path(), replace=False)
        self.assertEqual(caught.exception.status, "exists")
        self.assertEqual(os.listdir(self.folder), ["a.ingot"])


class Encoding(Case):
    def test_one_for_all(self):
        tensors = {"w": matrix(), "norm": np.ones(500, np.float32),
                   "small": np.ones((2, 2), np.float32), "ids": np.arange(1000).reshape(10, 100)}
        f = self.saved(tensors, encode="int4")
        self.assertEqual([t.encoding for t in f.values()], ["int4-g32", "f32", "f32", "i64"])
        error = f["w"].to_f32() - tensors["w"]
        self.assertLess((error ** 2).mean() / (tensors["w"] ** 2).mean(), 0.007)
        self.assertEqual(f["w"][3:5].dtype, np.float32)
        same = self.saved(tensors, "b", encode="int4", threads=1)
        same.close()
        with open(self.path(), "rb") as a, open(self.path("b"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_copy(self):
        f = self.saved({"w": matrix(), "b": ingot.bfloat16(matrix())})
        g = self.saved(f, "b")
        for name in f:
            self.same(f[name][...], g[name][...])


class Computing(Case):
    def check(self, y, x, w):
        x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
        bound = 4 * w.shape[1] * 2.0**-24 * (np.abs(x) @ np.abs(w.T)) + 1e-30
        self.assertEqual(y.dtype, np.float32)
        self.assertEqual(y.shape, x.shape[:-1] + (w.shape[0],))
        self.assertTrue((np.abs(y - x @ w.T) <= bound).all())

    def test_products(self):
        x = matrix(6, 96, 3)
        tensors = {e: matrix() for e in ENCODINGS}
        f = self.saved(tensors, encode={e: e for e in ENCODINGS})
        for tensor in f.values():
            w = tensor.to_f32()
            for shape in [(96,), (1, 96), (6, 96), (2, 3, 96), (0, 96)]:
                part = np.resize(x, shape)
                self.check(tensor.matmul(part), part, w)
            self.check(tensor.matmul(x[:, ::-1]), x[:, ::-1], w)
            half, brain = x.astype(np.float16), ingot.bfloat16(x)
            self.check(tensor.matmul(half), half, w)
            self.check(tensor.matmul(brain), brain.to_f32(), w)
            with self.assertRaises(ValueError):
                tensor.matmul(x[:, 1:])
            with self.assertRaises(ValueError):
                tensor.matmul(1.0)

    def test_devices(self):
        listed = ingot.devices()
        self.assertEqual(listed[-1]["device"], "cpu")
        f = self.saved({"w": matrix()}, encode="int8")
        x, w = matrix(2, 96, 3), f["w"].to_f32()
        for info in listed:
            if not info["usable"]:
                continue
            m = f["w"].matrix(ingot.Device(info["device"], threads=1))
            self.assertGreaterEqual(m.forecast_bytes, m.resident_bytes)
            self.check(m.matmul(x), x, w)
        with self.assertRaises(ingot.Error) as caught:
            ingot.Device(999)
        self.assertEqual(caught.exception.status, "device")
        for wrong in (dict(threads=-1), dict(device="gpu"), dict(device=-1)):
            with self.assertRaises(ValueError):
                ingot.Device(**wrong)
        with self.assertRaises(TypeError):
            f["w"].matmul(np.ones(96, complex))
        with self.assertRaises(IndexError):
            f["w"].matrix(index=1)

    def test_loading_later(self):
        x = matrix(2, 96, 3)
        for compress in "none", "fast":
            f = self.saved({"w": ingot.bfloat16(matrix())}, compress=compress)
            expected = f["w"].matmul(x)
            m = f["w"].matrix(lazy=True)
            self.assertEqual(m.resident_bytes, 0)
            m.load()
            self.assertGreaterEqual(m.resident_bytes, matrix().size)
            in_place = f["w"].matrix(lazy=True, in_place=True, unchecked=True)
            f.close()
            del f
            self.assertTrue(np.array_equal(m.matmul(x), expected))
            self.assertTrue(np.allclose(in_place.matmul(x), expected, atol=1e-5))

    def test_activations(self):
        w = self.saved({"w": matrix(64, 512, 1)}, encode="int8")["w"]
        x = matrix(3, 512, 2)
        exact = x.astype(np.float64) @ w.to_f32().astype(np.float64).T
        for how in ingot.ACTIVATIONS:
            y = w.matrix(ingot.Device(threads=1), activations=how).matmul(x)
            self.assertLess(np.linalg.norm(y - exact), 0.02 * np.linalg.norm(exact))
        with self.assertRaises(ValueError):
            w.matrix(activations="i4")

    def test_matrices_outlive_the_file(self):
        f = self.saved({"w": matrix()}, encode="int8")
        w, m = f["w"].to_f32(), f["w"].matrix(ingot.Device(threads=2))
        f.close()
        del f
        gc.collect()
        x = matrix(2, 96, 3)
        self.check(m.matmul(x), x, w)

    def test_adapters(self):
        with ingot.open(os.path.join(GOLDEN, "every-feature.ingot")) as f:
            self.assertTrue(f.adapters)
            n_changed = 0
            for tensor in f.values():
                if tensor.dtype == "c64":
                    continue
                try:
                    off = tensor.to_f32()
                except ingot.Error as error:
                    self.assertIn(error.status, ("not found", "unsupported"))
                    continue
                on = tensor.to_f32(adapters=f.adapters)
                if np.array_equal(off, on, equal_nan=True):
                    continue
                n_changed += 1
                m = tensor.matrix(adapters=f.adapters)
                self.check(m.matmul(np.eye(m.shape[1])), np.eye(m.shape[1]), on.reshape(m.shape))
                with self.assertRaises(ingot.Error):
                    m.switch(f.adapters[0], False)
            self.assertGreater(n_changed, 0)

    def test_threads(self):
        f = self.saved({"w": matrix(), "v": matrix(seed=4)}, encode={"w": "int4"}, compress="none")
        x = matrix(4, 96, 3)
        wanted = f["w"].matmul(x), f["w"].to_f32(), f["v"][...].copy()
        failures = []

        def work():
            for _ in range(20):
                found = f["w"].matmul(x), f["w"].to_f32(), f["v"][...]
                if not all(np.array_equal(a, b) for a, b in zip(found, wanted)):
                    failures.append("another result")

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


@unittest.skipIf(ingot_reader is None, "no second reader")
class SecondReader(Case):
    """All that the two readers say of a file is the same."""

    def compare(self, path):
        theirs = ingot_reader.open_file(pathlib.Path(path))
        n_compared = 0
        with ingot.open(path) as f:
            for i, (tensor, other) in enumerate(zip(f.values(), theirs.tensors, strict=True)):
                self.assertEqual(tensor.shape, tuple(other.dims[:other.rank]))
                for adapters in [()] + [(name,) for name in f.adapters]:
                    try:
                        values = theirs.values(i, [name.encode() for name in adapters])
                    except (ingot_reader.Undecodable, ingot_reader.RuleError):
                        with self.assertRaises(ingot.Error):
                            tensor.to_f32(adapters)
                        continue
                    values = values.reshape(tensor.shape)
                    self.assertTrue(np.array_equal(tensor.to_f32(adapters), values, equal_nan=True),
                                    tensor.name)
                    n_compared += 1
                if theirs.held_raw(i) and tensor._is_raw():
                    self.assertEqual(tensor[...].tobytes(), bytes(theirs.tensor_bytes(i)[1]))
            self.assertEqual(len(f.attachments), len(theirs.attachments()))
        return n_compared

    def test_golden_files(self):
        names = [n for n in sorted(os.listdir(GOLDEN)) if n.endswith(".ingot")]
        self.assertTrue(names)
        for name in names:
            self.assertGreater(self.compare(os.path.join(GOLDEN, name)), 0)

    def test_what_is_written(self):
        tensors = {e: matrix(33, 70) for e in ENCODINGS}
        tensors["bf16"] = ingot.bfloat16(matrix())
        self.saved(tensors, encode={e: e for e in ENCODINGS}, metadata={"a": [1, 2], "b": "text"},
                   attachments={"x": b"y"}).close()
        self.assertEqual(self.compare(self.path()), len(tensors))
        theirs = ingot_reader.open_file(pathlib.Path(self.path()))
        self.assertEqual(theirs.validate(), [])
        self.assertEqual(len(theirs.metadata()), 2)


if __name__ == "__main__":
    unittest.main()
