#!/bin/sh
# The Python module: tests/api/test_ingot.py with the library that was built, and a check that the
# structures which it declares are those of the header.
. tests/cli/common.sh
library=${BUILD:-build/release}/libingot.so
[ "${BUILD:-build/release}" != build/release ] || library=build/libingot.so

case ${BUILD:-} in
build/sanitize | build/thread | build/coverage)
    echo 'an interpreter is not built with the sanitizers'
    exit 77
    ;;
esac
python=$(sh tools/python.sh numpy) || {
    echo 'no Python 3.11 with numpy ("make deps" installs them)'
    exit 77
}
[ -f "$library" ] || {
    echo "there is no $library"
    exit 77
}
INGOT_LIBRARY=$PWD/$library
export INGOT_LIBRARY

# Size and offsets of each structure, by both.
PYTHONPATH=python "$python" -B -c '
import ingot
for name, kind in ingot.STRUCTURES.items():
    print(f"P({name}, %zu, sizeof({name}));")
    for field, _ in kind._fields_:
        print(f"P({name}.{field}, %zu, offsetof({name}, {field}));")' | sed 's/%zu, //' >"$scratch/fields"
{
    printf '#include <stdio.h>\n#include "format/ingot.h"\n#define P(name, value) printf("%%s %%zu\\n", #name, (size_t)(value))\nint main(void)\n{\n'
    cat "$scratch/fields"
    printf 'return 0;\n}\n'
} >"$scratch/layout.c"
expect 0 "${CC:-cc}" -I. -o "$scratch/layout" "$scratch/layout.c"
"$scratch/layout" >"$scratch/of-header"
PYTHONPATH=python "$python" -B -c '
import ctypes, ingot
for name, kind in ingot.STRUCTURES.items():
    print(name, ctypes.sizeof(kind))
    for field, _ in kind._fields_:
        print(f"{name}.{field}", getattr(kind, field).offset)' >"$scratch/of-module"
cmp -s "$scratch/of-header" "$scratch/of-module" ||
    fail "structures: $(diff "$scratch/of-header" "$scratch/of-module")"

# The library beside the module, and one that is not there.
mkdir "$scratch/beside" && cp python/ingot.py "$scratch/beside/" && ln -s "$INGOT_LIBRARY" "$scratch/beside/libingot.so"
expect 0 env -u INGOT_LIBRARY PYTHONPATH="$scratch/beside" "$python" -B -c 'import ingot'
expect 1 env INGOT_LIBRARY="$scratch/none.so" PYTHONPATH=python "$python" -B -c 'import ingot'
says 'none.so'

PYTHONPATH=python:tests/reference "$python" -B -W error tests/api/test_ingot.py >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    n_failed=1
}
grep '^note: ' "$scratch/log"
finish
