"""Ingot files in Python: one file over ctypes and numpy.

    import ingot

    with ingot.open("model.ingot") as f:
        print(f.keys(), f.metadata, f.attachments.keys())
        w = f["lm_head.weight"]            # nothing is read yet
        print(w.shape, w.dtype, w.encoding)
        rows = w[10:20]                    # a numpy array
        y = w.matmul(x)                    # x @ w.T, straight from the codes

    ingot.save_file({"w": array}, "small.ingot", encode="int4", metadata={"name": "small"})

What w[...] gives:

* A tensor that is held raw comes in its own type. Where it lies in the file as one run (written
  without compression), the array is a view into the mapped file: nothing is copied, and the array
  stays good after the file object is closed or gone. It is read-only. Its bytes are compared with
  their checksums once, before the first view; ingot.open(path, verify=False) leaves that to
  f.verify().
* bf16, which numpy lacks, comes as its bits: a Bfloat16 array, which is a uint16 array with a
  method to_f32().
* Every other tensor (encoded, or of a type of less than 16 bits that numpy lacks) comes as float32.

Files, devices and matrices may be shared by threads; numpy arrays hold no lock. Failures raise
ingot.Error, or for names that are not there ingot.NotFound, which is a KeyError too.

The library is the one that INGOT_LIBRARY names, else libingot.so beside this file, else the one
that was installed with it (PREFIX/lib for PREFIX/share/ingot/ingot.py), else the system's.
"""
import collections.abc
import ctypes
import os
import weakref
from ctypes import POINTER, byref, c_bool, c_char, c_char_p, c_double, c_float, c_int, c_int64
from ctypes import c_size_t, c_uint32, c_uint64, c_void_p

import numpy as np

__all__ = ["open", "save_file", "devices", "Device", "Error", "NotFound", "File", "Tensor",
           "Matrix", "Bfloat16", "bfloat16"]

MAX_RANK = 8
CPU = 0xFFFFFFFF
NO_OFFSET = 0xFFFFFFFFFFFFFFFF
STATUS_END, STATUS_NOT_FOUND, STATUS_REFUSED = 1, 5, 10
BLOB_ATTACHMENT = 4


# ---------------------------------------------------------------- the structures of ingot.h

class _Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("rule", c_uint32), ("offset", c_uint64), ("field", c_char * 96),
                ("what", c_char * 256)]


class _Tensor(ctypes.Structure):
    _fields_ = [("name", POINTER(c_char)), ("name_bytes", c_uint32), ("dtype", c_int),
                ("rank", c_uint32), ("dims", c_uint64 * MAX_RANK), ("n_matrices", c_uint64),
                ("n_rows", c_uint64), ("n_cols", c_uint64), ("n_terms", c_uint32),
                ("alias_of", c_uint32), ("coded_bytes", c_uint64), ("stored_bytes", c_uint64),
                ("encoding", c_char * 96)]


class _Blob(ctypes.Structure):
    _fields_ = [("kind", c_uint32), ("name", POINTER(c_char)), ("name_bytes", c_uint32),
                ("n_bytes", c_uint64)]


class _Value(ctypes.Structure):
    _fields_ = [("type", c_int), ("element_type", c_int), ("n_elements", c_uint64), ("u", c_uint64),
                ("i", c_int64), ("f", c_double), ("data", c_void_p), ("n_bytes", c_uint64)]


class _DeviceInfo(ctypes.Structure):
    _fields_ = [("index", c_uint32), ("name", c_char * 256), ("driver", c_char * 256),
                ("kind", c_char * 16), ("memory_bytes", c_uint64), ("usable", c_bool),
                ("why_not", c_char * 128), ("uuid", c_char * 40), ("features", c_char * 160),
                ("kernels", c_char * 96), ("avoids", c_char * 160)]


ACTIVATIONS = ("f32", "bf16", "i8")  # by ingot_activations


class _MatrixOptions(ctypes.Structure):
    _fields_ = [("adapters", POINTER(c_char_p)), ("n_adapters", c_uint32), ("switchable", c_bool),
                ("activations", c_int), ("lazy", c_bool), ("in_place", c_bool),
                ("unchecked", c_bool)]


STRUCTURES = {"ingot_error": _Error, "ingot_tensor": _Tensor, "ingot_blob": _Blob,
              "ingot_value": _Value, "ingot_device_info": _DeviceInfo,
              "ingot_matrix_options": _MatrixOptions}


# ---------------------------------------------------------------- the library

def _find_library():
    named = os.environ.get("INGOT_LIBRARY")
    if named:
        return named
    here = os.path.dirname(os.path.abspath(__file__))
    for path in ("libingot.so", "../../lib/libingot.so.0"):
        path = os.path.normpath(os.path.join(here, path))
        if os.path.exists(path):
            return path
    return "libingot.so.0"


def _declare(library):
    names = POINTER(c_char_p)
    text, n_text = POINTER(POINTER(c_char)), POINTER(c_uint32)
    error = POINTER(_Error)
    status = c_int
    for name, result, arguments in [
            ("status_name", c_char_p, [c_int]),
            ("dtype_name", c_char_p, [c_int]),
            ("file_open", status, [c_char_p, c_void_p, POINTER(c_void_p), error]),
            ("file_open_memory", status, [c_void_p, c_size_t, c_void_p, POINTER(c_void_p), error]),
            ("file_close", None, [c_void_p]),
            ("file_n_tensors", c_uint32, [c_void_p]),
            ("file_tensor", None, [c_void_p, c_uint32, POINTER(_Tensor)]),
            ("file_decode", status, [c_void_p, c_uint32, c_uint64, c_uint64, c_int, names, c_uint32,
                                     c_void_p, error]),
            ("file_n_adapters", c_uint32, [c_void_p]),
            ("file_adapter", None, [c_void_p, c_uint32, text, n_text]),
            ("file_read_raw", status, [c_void_p, c_uint32, c_uint64, c_uint64, c_void_p, error]),
            ("file_view_raw", status, [c_void_p, c_uint32, POINTER(c_void_p), error]),
            ("file_verify", status, [c_void_p, c_uint32, error]),
            ("file_verify_all", status, [c_void_p, error]),
            ("metadata_open", status, [c_void_p, POINTER(c_void_p), error]),
            ("metadata_close", None, [c_void_p]),
            ("metadata_n_entries", c_uint64, [c_void_p]),
            ("metadata_entry", None, [c_void_p, c_uint64, text, n_text, POINTER(_Value)]),
            ("value_next", status, [POINTER(_Value), POINTER(c_uint64), POINTER(_Value)]),
            ("file_n_blobs", c_uint32, [c_void_p]),
            ("file_blob", None, [c_void_p, c_uint32, POINTER(_Blob)]),
            ("file_read_blob", status, [c_void_p, c_uint32, c_uint64, c_uint64, c_void_p, error]),
            ("writer_create", status, [c_char_p, c_bool, c_int, c_void_p, POINTER(c_void_p),
                                       error]),
            ("writer_add", status, [c_void_p, c_char_p, c_int, c_uint32, POINTER(c_uint64),
                                    c_void_p, error]),
            ("writer_add_encoded", status, [c_void_p, c_char_p, c_int, c_uint32, POINTER(c_uint64),
                                            c_void_p, c_char_p, error]),
            ("writer_set_threads", None, [c_void_p, c_uint32]),
            ("writer_set_stack", None, [c_void_p, c_uint32, c_uint32]),
            ("writer_metadata", status, [c_void_p, c_char_p, POINTER(_Value), error]),
            ("writer_attach", status, [c_void_p, c_char_p, c_void_p, c_uint64, error]),
            ("writer_finish", status, [c_void_p, error]),
            ("writer_close", None, [c_void_p]),
            ("device_list", status, [POINTER(_DeviceInfo), c_uint32, POINTER(c_uint32), error]),
            ("device_open", status, [c_uint32, c_uint32, c_char_p, c_void_p, POINTER(c_void_p),
                                     error]),
            ("device_close", None, [c_void_p]),
            ("matrix_open_with", status, [c_void_p, c_void_p, c_uint32, c_uint64,
                                          POINTER(_MatrixOptions), POINTER(c_void_p), error]),
            ("matrix_forecast", status, [c_void_p, c_void_p, c_uint32, c_uint64,
                                         POINTER(_MatrixOptions), POINTER(c_uint64), error]),
            ("matrix_load", status, [c_void_p, error]),
            ("matrix_close", None, [c_void_p]),
            ("matrix_rows", c_uint64, [c_void_p]),
            ("matrix_cols", c_uint64, [c_void_p]),
            ("matrix_resident_bytes", c_uint64, [c_void_p]),
            ("matrix_switch", status, [c_void_p, c_char_p, c_bool, error]),
            ("matmul", status, [c_void_p, c_int, c_void_p, c_uint64, c_void_p, error]),
    ]:
        function = getattr(library, "ingot_" + name)
        function.restype = result
        function.argtypes = arguments
    return library


_library = _declare(ctypes.CDLL(_find_library()))


class Error(Exception):
    """A call failed. status is its name ("damaged"), rule the number of the broken rule of the
    specification or 0, field what was being read, offset where in the file or None."""

    def __init__(self, status, rule=0, field="", offset=None, what=""):
        self.status, self.rule, self.field, self.offset, self.what = (status, rule, field, offset,
                                                                       what)
        place = "" if offset is None else f" at offset {offset}"
        broken = f" [R-{rule}]" if rule else ""
        super().__init__(f"{field}{place}: {what} ({status}){broken}")


class NotFound(Error, KeyError):
    """There is nothing of that name."""

    def __init__(self, field, name):
        super().__init__("not found", field=field, what=f"there is none named {name!r}")

    __str__ = Exception.__str__


def _call(name, *arguments):
    """Calls a function whose last parameter is an ingot_error."""
    error = _Error()
    status = getattr(_library, "ingot_" + name)(*arguments, byref(error))
    if status:
        offset = None if error.offset == NO_OFFSET else error.offset
        raise Error(_library.ingot_status_name(status).decode(), error.rule,
                    error.field.decode("utf-8", "replace"), offset,
                    error.what.decode("utf-8", "replace"))


def _text(pointer, n_bytes):
    """Names are bytes; those that are not UTF-8 come with surrogate escapes."""
    return ctypes.string_at(pointer, n_bytes).decode("utf-8", "surrogateescape")


def _bytes(text):
    encoded = text.encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        raise ValueError("a name may not hold a zero byte")
    return encoded


def _path(path):
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("a path may not hold a zero byte")
    return encoded


def _count(n, what):
    """What is passed on as a 32-bit number."""
    if not 0 <= n < 1 << 32:
        raise ValueError(f"{what} is {n}")
    return n


def _names(adapters):
    if isinstance(adapters, str):
        adapters = (adapters,)
    return (c_char_p * len(adapters))(*[_bytes(name) for name in adapters]), len(adapters)


class _Handle:
    """Something the library opened, which is closed when nothing refers to it any more."""

    def __init__(self, pointer, close, *kept):
        self.pointer = pointer
        self.kept = kept  # what must live as long
        self._close = weakref.finalize(self, close, pointer)


# ---------------------------------------------------------------- types

class Bfloat16(np.ndarray):
    """The bits of bf16 numbers as uint16. Slices and copies are Bfloat16 too; of arithmetic, which
    would be on the bits, the results are plain arrays: use to_f32()."""

    def __new__(cls, bits):
        bits = np.asarray(bits)
        if bits.dtype != np.uint16:
            raise TypeError("Bfloat16 is made of uint16 bits; bfloat16() rounds floats to it")
        return bits.view(cls)

    def to_f32(self):
        bits = np.asarray(self).reshape(-1).astype(np.uint32)
        return (bits << 16).view(np.float32).reshape(self.shape)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array[()] if return_scalar else np.asarray(array)


def bfloat16(values):
    """Floats rounded to the nearest bf16, ties to even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    quiet = (bits >> 16 | 0x40).astype(np.uint16)
    nan = (bits & 0x7FFFFFFF) > 0x7F800000
    return Bfloat16(np.where(nan, quiet, rounded).astype(np.uint16).reshape(np.shape(values)))


# By the names and numbers of the specification: what numpy has.
_F32, _F16, _BF16 = 2, 3, 4
_NUMPY_TYPES = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": np.uint16,
                "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "u8": np.uint8,
                "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "bool": np.bool_,
                "c64": np.complex64}
_NUMBERS = {"f64": 1, "f32": 2, "f16": 3, "bf16": 4, "i8": 16, "i16": 17, "i32": 18, "i64": 19,
            "u8": 20, "u16": 21, "u32": 22, "u64": 23, "bool": 24, "c64": 25}


def _type_of(name, array):
    """Name of the type of an array, and the array as the bytes that a file holds."""
    if isinstance(array, Bfloat16):
        return "bf16", np.ascontiguousarray(np.asarray(array)).reshape(array.shape)
    array = np.asarray(array)
    for kind, dtype in _NUMPY_TYPES.items():
        if kind != "bf16" and array.dtype.newbyteorder("<") == dtype:
            return kind, np.ascontiguousarray(array, dtype).reshape(array.shape)
    raise TypeError(f"tensor {name}: a file has no type for numpy's {array.dtype}")


def _activations(x):
    """x for a multiplication: its type's number, and the array."""
    if isinstance(x, Bfloat16):
        return _BF16, np.ascontiguousarray(np.asarray(x))
    x = np.asarray(x)
    if x.dtype == np.float16:
        return _F16, np.ascontiguousarray(x)
    if np.iscomplexobj(x):
        raise TypeError("complex numbers cannot be multiplied by a matrix")
    return _F32, np.ascontiguousarray(x, dtype=np.float32)


# ---------------------------------------------------------------- metadata

_SCALARS = {0: ("u", "<u1"), 1: ("i", "<i1"), 2: ("u", "<u2"), 3: ("i", "<i2"), 4: ("u", "<u4"),
            5: ("i", "<i4"), 6: ("f", "<f4"), 7: ("u", "?"), 10: ("u", "<u8"), 11: ("i", "<i8"),
            12: ("f", "<f8")}
_BOOL, _STRING, _ARRAY, _U64, _I64, _F64 = 7, 8, 9, 10, 11, 12


def _from_value(value):
    if value.type == _STRING:
        return _text(value.data, value.n_bytes) if value.n_bytes else ""
    if value.type != _ARRAY:
        scalar = getattr(value, _SCALARS[value.type][0])
        return bool(scalar) if value.type == _BOOL else scalar
    if value.element_type in _SCALARS:
        data = ctypes.string_at(value.data, value.n_bytes) if value.n_bytes else b""
        return np.frombuffer(data, _SCALARS[value.element_type][1]).tolist()
    elements, element, offset = [], _Value(), c_uint64(0)
    while _library.ingot_value_next(byref(value), byref(offset), byref(element)) == 0:
        elements.append(_from_value(element))
    return elements


def _scalar_type(value):
    """The metadata type of a Python or numpy scalar."""
    if isinstance(value, (bool, np.bool_)):
        return _BOOL
    if isinstance(value, np.generic):
        for number, (_, kind) in _SCALARS.items():
            if value.dtype == np.dtype(kind):
                return number
    if isinstance(value, int):
        return _I64 if value < 1 << 63 else _U64
    if isinstance(value, float):
        return _F64
    if isinstance(value, str):
        return _STRING
    if isinstance(value, (list, tuple, np.ndarray)):
        return _ARRAY
    raise TypeError(f"metadata has no type for {type(value).__name__}")


def _element_type(values):
    if isinstance(values, np.ndarray):
        return _scalar_type(values.dtype.type()) if values.ndim == 1 else _ARRAY
    types = {_scalar_type(v) for v in values}
    if types <= {_I64, _U64} and len(types) == 2:
        if min(values) >= 0:
            return _U64
    if len(types) > 1:
        raise TypeError("the elements of a metadata array are of one type")
    return types.pop() if types else _STRING


def _packed(value, kind):
    """The bytes of a value as an element of an array."""
    if kind == _STRING:
        data = value.encode("utf-8", "surrogateescape")
        return len(data).to_bytes(8, "little") + data
    if kind == _ARRAY:
        element, data = _packed_array(value)
        head = [(element, 4), (len(value), 8), (len(data), 8)]
        return b"".join(n.to_bytes(size, "little") for n, size in head) + data
    return np.array(value, dtype=_SCALARS[kind][1]).tobytes()


def _packed_array(values):
    kind = _element_type(values)
    if isinstance(values, np.ndarray) and kind in _SCALARS:
        return kind, values.astype(_SCALARS[kind][1]).tobytes()
    return kind, b"".join(_packed(v, kind) for v in values)


def _to_value(value):
    """A _Value and what must live as long as it."""
    made = _Value(type=_scalar_type(value))
    data = b""
    if made.type == _STRING:
        data = value.encode("utf-8", "surrogateescape")
    elif made.type == _ARRAY:
        made.element_type, data = _packed_array(value)
        made.n_elements = len(value)
    else:
        field = _SCALARS[made.type][0]
        if field != "f" and not -(1 << 63) <= int(value) < 1 << 64:
            raise OverflowError("metadata holds integers of 64 bits at most")
        setattr(made, field, float(value) if field == "f" else int(value))
        return made, None
    kept = ctypes.create_string_buffer(data, max(1, len(data)))
    made.data, made.n_bytes = ctypes.addressof(kept), len(data)
    return made, kept


# ---------------------------------------------------------------- reading

class Attachments(collections.abc.Mapping):
    """The attached files by name, each read when it is asked for."""

    def __init__(self, file):
        self._file = file
        self._blobs = {}
        for i in range(_library.ingot_file_n_blobs(file._pointer())):
            blob = _Blob()
            _library.ingot_file_blob(file._pointer(), i, byref(blob))
            if blob.kind == BLOB_ATTACHMENT:
                self._blobs[_text(blob.name, blob.name_bytes)] = (i, blob.n_bytes)

    def __getitem__(self, name):
        if name not in self._blobs:
            raise NotFound("attachment", name)
        index, n_bytes = self._blobs[name]
        data = ctypes.create_string_buffer(n_bytes)
        _call("file_read_blob", self._file._pointer(), index, 0, n_bytes, data)
        return data.raw

    def __iter__(self):
        return iter(self._blobs)

    def __len__(self):
        return len(self._blobs)


class File(collections.abc.Mapping):
    """An open file: a mapping of names to tensors."""

    def __init__(self, source, verify=True):
        opened = c_void_p()
        if isinstance(source, (str, os.PathLike)):
            kept = None
            self._open_path(source, opened)
        else:
            kept = np.frombuffer(source, np.uint8) if len(source) else np.empty(0, np.uint8)
            _call("file_open_memory", kept.ctypes.data, kept.size, None, byref(opened))
        self._handle = _Handle(opened, _library.ingot_file_close, kept)
        self._verify = verify
        self._tensors, self._metadata = {}, None
        for i in range(_library.ingot_file_n_tensors(opened)):
            tensor = Tensor(self, i)
            self._tensors[tensor.name] = tensor

    @staticmethod
    def _open_path(path, opened):
        try:
            _call("file_open", _path(path), None, byref(opened))
        except Error as error:  # of several files, which
            raise Error(error.status, error.rule, f"{os.fsdecode(path)}: {error.field}",
                        error.offset, error.what) from None

    def _pointer(self):
        if self._handle is None:
            raise ValueError("the file is closed")
        return self._handle.pointer

    def close(self):
        """Lets go of the file. Arrays and matrices that came from it stay good."""
        self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getitem__(self, name):
        if name not in self._tensors:
            raise NotFound("tensor", name)
        return self._tensors[name]

    def __iter__(self):
        return iter(self._tensors)

    def __len__(self):
        return len(self._tensors)

    @property
    def metadata(self):
        """The metadata as a dictionary, in the order of the file."""
        if self._metadata is None:
            opened = c_void_p()
            _call("metadata_open", self._pointer(), byref(opened))
            try:
                self._metadata = dict(self._entries(opened))
            finally:
                _library.ingot_metadata_close(opened)
        return dict(self._metadata)

    @staticmethod
    def _entries(opened):
        for i in range(_library.ingot_metadata_n_entries(opened)):
            key, key_bytes, value = POINTER(c_char)(), c_uint32(), _Value()
            _library.ingot_metadata_entry(opened, i, byref(key), byref(key_bytes), byref(value))
            yield _text(key, key_bytes.value), _from_value(value)

    @property
    def attachments(self):
        return Attachments(self)

    @property
    def adapters(self):
        """The names of the adapters, which to_f32 and matrix turn on."""
        names = []
        for i in range(_library.ingot_file_n_adapters(self._pointer())):
            name, name_bytes = POINTER(c_char)(), c_uint32()
            _library.ingot_file_adapter(self._pointer(), i, byref(name), byref(name_bytes))
            names.append(_text(name, name_bytes.value))
        return names

    def verify(self):
        """Checks every rule of the format that opening did not; raises the first violation."""
        _call("file_verify_all", self._pointer())


class Tensor:
    """A tensor of a file. Nothing of it is read until it is indexed."""

    def __init__(self, file, index):
        info = _Tensor()
        _library.ingot_file_tensor(file._pointer(), index, byref(info))
        self._file, self._index = file, index
        self._whole = self._raw = self._matrix = None
        self.name = _text(info.name, info.name_bytes)
        self.dtype = _library.ingot_dtype_name(info.dtype).decode()
        self.shape = tuple(info.dims[:info.rank])
        self.encoding = info.encoding.decode("utf-8", "replace")
        self.stored_bytes = info.stored_bytes
        self.n_matrices, self.n_rows, self.n_cols = info.n_matrices, info.n_rows, info.n_cols

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: int(np.prod(self.shape, dtype=object)))

    def __repr__(self):
        return f"<ingot tensor {self.name!r}: {self.dtype} as {self.encoding}, {self.shape}>"

    def __len__(self):
        if not self.shape:
            raise TypeError("a tensor of rank 0 has no length")
        return self.shape[0]

    def verify(self):
        """Compares all stored bytes with their checksums."""
        _call("file_verify", self._file._pointer(), self._index)

    def __getitem__(self, key):
        array = self._view()
        if array is not None:
            return array[key]
        keys = key if isinstance(key, tuple) else (key,)
        begin, end, first = self._range(keys[0] if keys else Ellipsis)
        return self._read(begin, end)[(first,) + keys[1:] if first is not None else key]

    def __array__(self, dtype=None, copy=None):
        array = self[...]
        if isinstance(array, Bfloat16):
            array = array.to_f32()
        return np.array(array, dtype=dtype) if copy else np.asarray(array, dtype=dtype)

    def to_f32(self, adapters=()):
        """All values as float32, with these adapters on."""
        return self._decode(0, self.n_matrices * self.n_rows, adapters).reshape(self.shape)

    # ---- how it is read

    def _is_raw(self):
        if self._raw is None:
            self._raw = False
            if self.dtype in _NUMPY_TYPES:
                try:
                    _call("file_read_raw", self._file._pointer(), self._index, 0, 0, None)
                    self._raw = True
                except Error as error:
                    if error.status != "refused":
                        raise
        return self._raw

    def _typed(self, array):
        return array.view(Bfloat16) if self.dtype == "bf16" else array

    def _view(self):
        """The whole tensor where it lies, or None."""
        if self._whole is not None and self._whole() is not None:
            return self._whole()
        if not self._is_raw():
            return None
        data = c_void_p()
        try:
            _call("file_view_raw", self._file._pointer(), self._index, byref(data))
        except Error as error:
            if error.status != "refused":
                raise
            return None
        if self._file._verify:
            self.verify()
        kind = np.dtype(_NUMPY_TYPES[self.dtype])
        if self.size == 0:
            return self._typed(np.empty(self.shape, kind))
        # The array holds the buffer, and the buffer the file.
        buffer = (c_char * (self.size * kind.itemsize)).from_address(data.value)
        buffer.owner = self._file._handle
        array = np.frombuffer(memoryview(buffer).toreadonly(), kind)
        array = self._typed(array.reshape(self.shape))
        self._whole = weakref.ref(array)
        return array

    def _range(self, key):
        """Which part of the first dimension an index needs, and the index within it; None when
        that is the whole."""
        n = self.shape[0] if self.shape else 0
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            at = int(key) + (n if key < 0 else 0)
            if not 0 <= at < n:
                raise IndexError(f"index {key} of {n}")
            return at, at + 1, 0
        if isinstance(key, slice) and self.shape:
            taken = range(*key.indices(n))
            if len(taken) == 0:
                return 0, 0, slice(0, 0)
            begin, end = min(taken[0], taken[-1]), max(taken[0], taken[-1]) + 1
            if taken.step > 0:
                return begin, end, slice(0, end - begin, taken.step)
            return begin, end, slice(end - begin - 1, None, taken.step)
        return 0, n, None

    def _read(self, begin, end):
        """Entries [begin, end) of the first dimension; all of a tensor without dimensions."""
        n = self.shape[0] if self.shape else 1
        if not self.shape:
            begin, end = 0, 1
        shape = (end - begin,) + self.shape[1:] if self.shape else ()
        inner = int(np.prod(self.shape[1:], dtype=object))
        if self._is_raw():
            array = np.empty(shape, _NUMPY_TYPES[self.dtype])
            n_each = inner * array.itemsize
            _call("file_read_raw", self._file._pointer(), self._index, begin * n_each,
                  (end - begin) * n_each, array.ctypes.data)
            return self._typed(array)
        n_rows = self.n_matrices * self.n_rows
        if n and n_rows % n == 0 and inner == n_rows // n * self.n_cols:
            rows = self._decode(begin * (n_rows // n), (end - begin) * (n_rows // n))
            return rows.reshape(shape)
        return self._decode(0, n_rows).reshape(self.shape)[begin:end].reshape(shape)

    def _decode(self, first_row, n_rows, adapters=()):
        values = np.empty((n_rows, self.n_cols), np.float32)
        names, n_names = _names(adapters)
        _call("file_decode", self._file._pointer(), self._index, first_row, n_rows, _F32, names,
              n_names, values.ctypes.data)
        return values

    # ---- computing

    def matrix(self, device=None, index=0, **options):
        """Matrix `index` of the stack on a device; see Matrix."""
        return Matrix(self, device, index, **options)

    def matmul(self, x):
        """x @ w.T on the CPU, for w the matrix of this tensor; see Matrix.matmul. The matrix is
        loaded by the first call and kept."""
        if self._matrix is None:
            self._matrix = self.matrix()
        return self._matrix.matmul(x)


def open(source, verify=True):
    """Opens a file by its path, or bytes that hold one. See File."""
    return File(source, verify)


# ---------------------------------------------------------------- writing

_COMPRESSIONS = {"none": 0, "fast": 1, "max": 2}


def _encoding_of(encode, name, kind, array):
    """What a tensor is encoded as, or None. One encoding for all is for matrices of floats."""
    if encode is None or isinstance(encode, str):
        fits = kind in ("f64", "f32", "f16", "bf16") and array.ndim >= 2 and array.size >= 256
        return encode if fits else None
    return encode.get(name)


def _check_names(names, tensors, what):
    for name in names:
        if name not in tensors:
            raise ValueError(f"{what}: there is no tensor {name!r} to be written")


def _write(writer, tensors, encode, metadata, attachments, stacks):
    for name, array in tensors.items():
        _library.ingot_writer_set_stack(writer, *((1, 2) if name in stacks else (0, 0)))
        kind, array = _type_of(name, array[...] if isinstance(array, Tensor) else array)
        dims = (c_uint64 * max(1, array.ndim))(*array.shape)
        encoding = _encoding_of(encode, name, kind, array)
        arguments = (writer, _bytes(name), _NUMBERS[kind], array.ndim, dims, array.ctypes.data)
        if encoding is None:
            _call("writer_add", *arguments)
        else:
            _call("writer_add_encoded", *arguments, _bytes(encoding))
    for key, value in (metadata or {}).items():
        made, kept = _to_value(value)
        _call("writer_metadata", writer, _bytes(key), byref(made))
        del kept
    for name, data in (attachments or {}).items():
        data = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
        _call("writer_attach", writer, _bytes(name), data.ctypes.data, data.size)
    _call("writer_finish", writer)


def save_file(tensors, path, encode=None, metadata=None, attachments=None, compress="fast",
              replace=True, threads=0, stacks=()):
    """Writes a file, which gets its name when it is whole.

    tensors      a mapping of names to arrays, or to tensors of a file
    encode       None, an encoding for all matrices of floats of at least 256 weights (what
                 `ingot convert --encode` takes, such as "int4"), or a mapping of names to
                 encodings
    metadata     strings, bools, integers, floats, numpy scalars, and lists or one-dimensional
                 arrays of one of them, by key
    attachments  bytes by name
    compress     "none" (arrays are then read without a copy), "fast" or "max"
    threads      how many encode; 0 takes all cores
    stacks       names of tensors whose first dimension numbers matrices, as [experts, out, in]
    """
    writer = c_void_p()
    stacks = (stacks,) if isinstance(stacks, str) else stacks
    if compress not in _COMPRESSIONS:
        raise ValueError(f"compress is one of {', '.join(_COMPRESSIONS)}, not {compress}")
    _check_names(stacks, tensors, "stacks")
    _check_names(() if encode is None or isinstance(encode, str) else encode, tensors, "encode")
    _count(threads, "threads")
    _call("writer_create", _path(path), replace, _COMPRESSIONS[compress], None, byref(writer))
    try:
        _library.ingot_writer_set_threads(writer, threads)
        _write(writer, tensors, encode, metadata, attachments, stacks)
    finally:
        _library.ingot_writer_close(writer)


# ---------------------------------------------------------------- computing

def devices():
    """The devices of this machine, the CPU last, as dictionaries; "device" is what Device takes."""
    infos, n = (_DeviceInfo * 64)(), c_uint32()
    _call("device_list", infos, len(infos), byref(n))
    return [{"device": "cpu" if i.index == CPU else i.index, "name": i.name.decode(),
             "kind": i.kind.decode(), "driver": i.driver.decode(), "memory_bytes": i.memory_bytes,
             "usable": i.usable, "why_not": i.why_not.decode()}
            for i in infos[:min(n.value, len(infos))]]


class Device:
    """An open device: "cpu", or a number of devices()."""

    _cpu = None

    def __init__(self, device="cpu", threads=0):
        opened = c_void_p()
        if isinstance(device, str) and device != "cpu":
            raise ValueError(f'a device is "cpu" or a number, not "{device}"')
        index = CPU if device == "cpu" else _count(device, "device")
        _call("device_open", index, _count(threads, "threads"), None, None, byref(opened))
        self._handle = _Handle(opened, _library.ingot_device_close)

    @classmethod
    def cpu(cls):
        """The CPU with a thread a core, opened once."""
        if cls._cpu is None:
            cls._cpu = cls()
        return cls._cpu


class Matrix:
    """A matrix on a device. With switchable, switch(name, on) turns one of its adapters off and on
    again. activations is how products may round x: "f32" (not at all), "bf16" or "i8". With lazy,
    the first product loads it, or load(); with in_place, raw floats of a file without compression
    are multiplied by where they lie in it, and with unchecked not compared with their checksums
    (the file's verify() does that). ingot.h says more of each."""

    def __init__(self, tensor, device=None, index=0, adapters=(), switchable=False,
                 activations="f32", lazy=False, in_place=False, unchecked=False):
        if activations not in ACTIVATIONS:
            raise ValueError(f"activations are one of {', '.join(ACTIVATIONS)}, not {activations}")
        if not 0 <= index < tensor.n_matrices:
            raise IndexError(f"matrix {index} of {tensor.n_matrices}")
        device = device or Device.cpu()
        names, n_names = _names(adapters)
        options = _MatrixOptions(ctypes.cast(names, POINTER(c_char_p)), n_names, switchable,
                                 ACTIVATIONS.index(activations), lazy, in_place, unchecked)
        where = (device._handle.pointer, tensor._file._pointer(), tensor._index, index,
                 byref(options))
        forecast, opened = c_uint64(), c_void_p()
        _call("matrix_forecast", *where, byref(forecast))
        _call("matrix_open_with", *where, byref(opened))
        self._handle = _Handle(opened, _library.ingot_matrix_close, device._handle,
                               tensor._file._handle if lazy or in_place else None)
        self.shape = (_library.ingot_matrix_rows(opened), _library.ingot_matrix_cols(opened))
        self.forecast_bytes = forecast.value

    @property
    def resident_bytes(self):
        """What it takes on its device; 0 while it is not loaded."""
        return _library.ingot_matrix_resident_bytes(self._handle.pointer)

    def load(self):
        _call("matrix_load", self._handle.pointer)

    def switch(self, adapter, on):
        _call("matrix_switch", self._handle.pointer, _bytes(adapter), on)

    def matmul(self, x):
        """x @ w.T as float32. x has as many columns as the matrix and any dimensions before them;
        it is taken in float32, float16 or Bfloat16, and anything else converted to float32."""
        kind, array = _activations(x)
        n_rows, n_cols = self.shape
        if array.ndim == 0 or array.shape[-1] != n_cols:
            raise ValueError(f"x of shape {array.shape} for a matrix of {n_cols} columns")
        y = np.empty(array.shape[:-1] + (n_rows,), np.float32)
        n = int(np.prod(array.shape[:-1], dtype=object))
        _call("matmul", self._handle.pointer, kind, array.ctypes.data, n, y.ctypes.data)
        return y
