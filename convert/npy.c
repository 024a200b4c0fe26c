/* Headers of .npy files, version 1.0: magic, u16 length, a Python dictionary padded with blanks so
 * that the data begins at a multiple of 64. */
#include "convert/npy.h"

#include <stdio.h>
#include <string.h>

#include "format/bytes.h"

static const char *const descrs[] = {
    [INGOT_F64] = "<f8", [INGOT_F32] = "<f4", [INGOT_F16] = "<f2", [INGOT_I8] = "|i1",
    [INGOT_I16] = "<i2", [INGOT_I32] = "<i4", [INGOT_I64] = "<i8", [INGOT_U8] = "|u1",
    [INGOT_U16] = "<u2", [INGOT_U32] = "<u4", [INGOT_U64] = "<u8", [INGOT_BOOL] = "|b1",
    [INGOT_C64] = "<c8",
};

const char *npy_descr(ingot_dtype dtype)
{
    return (size_t)dtype < sizeof descrs / sizeof *descrs ? descrs[dtype] : NULL;
}

uint32_t npy_header(ingot_dtype dtype, uint32_t rank, const uint64_t *dims,
                    uint8_t header[NPY_MAX_HEADER_BYTES])
{
    enum { PREFIX_BYTES = 10, ALIGNMENT = 64 };
    static const uint8_t magic[8] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    char text[NPY_MAX_HEADER_BYTES];
    size_t n = (size_t)snprintf(
        text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (", npy_descr(dtype));
    for (uint32_t i = 0; i < rank; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%llu", i ? ", " : "",
                              (unsigned long long)dims[i]);
    }
    n += (size_t)snprintf(text + n, sizeof text - n, "%s), }", rank == 1 ? "," : "");
    const size_t n_header = ceil_div(PREFIX_BYTES + n + 1, ALIGNMENT) * ALIGNMENT;
    memcpy(header, magic, sizeof magic);
    store_u16(header + sizeof magic, (uint16_t)(n_header - PREFIX_BYTES));
    memset(header + PREFIX_BYTES, ' ', n_header - PREFIX_BYTES);
    memcpy(header + PREFIX_BYTES, text, n);
    header[n_header - 1] = '\n';
    return (uint32_t)n_header;
}
