/* Scalars of the metadata as numbers and as text. */
#include "convert/metadata_scalar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    enum scalar_kind kind;
    uint32_t n_bytes;
} scalars[] = {
    [META_U8] = {SCALAR_UNSIGNED, 1},  [META_I8] = {SCALAR_SIGNED, 1},
    [META_U16] = {SCALAR_UNSIGNED, 2}, [META_I16] = {SCALAR_SIGNED, 2},
    [META_U32] = {SCALAR_UNSIGNED, 4}, [META_I32] = {SCALAR_SIGNED, 4},
    [META_F32] = {SCALAR_FLOAT, 4},    [META_BOOL] = {SCALAR_BOOL, 1},
    [META_STRING] = {SCALAR_NONE, 0},  [META_ARRAY] = {SCALAR_NONE, 0},
    [META_U64] = {SCALAR_UNSIGNED, 8}, [META_I64] = {SCALAR_SIGNED, 8},
    [META_F64] = {SCALAR_FLOAT, 8},
};

enum scalar_kind metadata_scalar_kind(const struct metadata_value *value)
{
    return scalars[value->type].kind;
}

uint64_t metadata_unsigned(const struct metadata_value *value)
{
    uint8_t padded[8] = {0};
    memcpy(padded, value->bytes.data, scalars[value->type].n_bytes);
    return load_u64(padded);
}

int64_t metadata_signed(const struct metadata_value *value)
{
    const uint64_t bits = metadata_unsigned(value);
    const uint64_t sign = (uint64_t)1 << (scalars[value->type].n_bytes * 8 - 1);
    return (int64_t)((bits ^ sign) - sign);
}

double metadata_float(const struct metadata_value *value)
{
    const uint64_t bits = metadata_unsigned(value);
    if (value->type == META_F32) return (double)f32_from_bits((uint32_t)bits);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void put_unsigned(const struct metadata_value *value, struct scalar_text *text)
{
    snprintf(text->at, sizeof text->at, "%llu", (unsigned long long)metadata_unsigned(value));
}

static void put_signed(const struct metadata_value *value, struct scalar_text *text)
{
    snprintf(text->at, sizeof text->at, "%lld", (long long)metadata_signed(value));
}

static void put_bool(const struct metadata_value *value, struct scalar_text *text)
{
    snprintf(text->at, sizeof text->at, "%s", value->bytes.data[0] ? "true" : "false");
}

static void put_none(const struct metadata_value *value, struct scalar_text *text)
{
    (void)value;
    text->at[0] = '\0';
}

static bool gives_again(const struct metadata_value *value, const char *text, double v)
{
    if (value->type == META_F32) return strtof(text, NULL) == (float)v;
    return strtod(text, NULL) == v;
}

static void put_float(const struct metadata_value *value, struct scalar_text *text)
{
    const double v = metadata_float(value);
    if (isnan(v) || isinf(v)) {
        snprintf(text->at, sizeof text->at, "%s",
                 isnan(v) ? "NaN"
                 : v > 0  ? "Infinity"
                          : "-Infinity");
        return;
    }
    const int most = value->type == META_F32 ? 9 : 17;
    for (int n_digits = 6; n_digits <= most; n_digits++) {
        snprintf(text->at, sizeof text->at, "%.*g", n_digits, v);
        if (gives_again(value, text->at, v)) break;
    }
    /* The one other character that there may be is the locale's decimal point. */
    for (char *c = text->at; *c; c++) {
        if (strchr("0123456789+-e", *c) == NULL) *c = '.';
    }
}

static void (*const putters[])(const struct metadata_value *, struct scalar_text *) = {
    [SCALAR_NONE] = put_none,   [SCALAR_UNSIGNED] = put_unsigned, [SCALAR_SIGNED] = put_signed,
    [SCALAR_FLOAT] = put_float, [SCALAR_BOOL] = put_bool,
};

struct scalar_text metadata_scalar_text(const struct metadata_value *value)
{
    struct scalar_text text;
    putters[metadata_scalar_kind(value)](value, &text);
    return text;
}
