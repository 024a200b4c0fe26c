/* Entries of tables: scales, zeros, offsets. The includer has interface.glsl and half.glsl. */
#define TABLE_SPEC(t, which) (SPEC_TABLES + (t) * SPECS_OF_TABLE + (which))
layout(constant_id = SPEC_GRAIN) const uint GRAIN = 4;
#define TABLE_CONSTANTS(NAME, t)                                                              \
    layout(constant_id = TABLE_SPEC(t, SPEC_OF_FORM)) const uint NAME##_FORM = ENTRIES_NONE;  \
    layout(constant_id = TABLE_SPEC(t, SPEC_OF_GROUP)) const uint NAME##_GROUP = 1;           \
    layout(constant_id = TABLE_SPEC(t, SPEC_OF_SUPER)) const uint NAME##_SUPER = 0;           \
    layout(constant_id = TABLE_SPEC(t, SPEC_OF_INVERSE)) const bool NAME##_INVERSE = false;
TABLE_CONSTANTS(ZERO_TABLE, TABLE_ZERO)
TABLE_CONSTANTS(SCALE_TABLE, TABLE_SCALE)
TABLE_CONSTANTS(BIAS_TABLE, TABLE_BIAS)

/* The rows of entries of one row of weights. */
struct TableRows
{
    uint zero;
    uint scale;
    uint bias;
};

uint table_row(uint form, uint t, uint row)
{
    if (form <= ENTRIES_CONSTANT) return 0u;
    return (row + HEADER.tables[t].row_phase) / HEADER.tables[t].group_rows;
}

TableRows table_rows(uint row)
{
    return TableRows(table_row(ZERO_TABLE_FORM, TABLE_ZERO, row),
                     table_row(SCALE_TABLE_FORM, TABLE_SCALE, row),
                     table_row(BIAS_TABLE_FORM, TABLE_BIAS, row));
}

/* All but `t`, `row` and `quarter` are specialization constants. */
float table_entry(uint form, uint group, uint super_group, bool inverse, uint t, uint row,
                  uint quarter)
{
    const Table table = HEADER.tables[t];
    if (form == ENTRIES_CONSTANT) return table.factor;
    const uint g = min(quarter / group, table.row_entries - 1u);
    const uint at = row * table.row_entries + g;
    precise float value = 0.0;
    if (form == ENTRIES_F32) value = uintBitsToFloat(WORD(table.entries + at));
    if (form == ENTRIES_F16) {
        value = f32_from_half((WORD(table.entries + at / 2u) >> (16u * (at & 1u))) & 0xffffu);
    }
    if (form >= ENTRIES_INTEGER) {
        const uint byte = (WORD(table.entries + at / 4u) >> (8u * (at & 3u))) & 0xffu;
        value = form == ENTRIES_INTEGER ? float(byte) - table.zero
                                        : uintBitsToFloat(WORD(table.lookup + byte));
    }
    if (inverse) value = 1.0 / value;
    if (super_group != 0u) {
        const uint super = (row * table.super_linear + table.super_phase + g) / super_group +
                           row * table.super_row;
        value = value * uintBitsToFloat(WORD(table.supers + super));
    }
    value = value + table.add;
    return value * table.factor;
}

bool has_offset()
{
    return ZERO_TABLE_FORM != ENTRIES_NONE || BIAS_TABLE_FORM != ENTRIES_NONE;
}

bool has_tables()
{
    return SCALE_TABLE_FORM != ENTRIES_NONE || has_offset();
}

float scale_entry(TableRows rows, uint quarter)
{
    if (SCALE_TABLE_FORM == ENTRIES_NONE) return 1.0;
    return table_entry(SCALE_TABLE_FORM, SCALE_TABLE_GROUP, SCALE_TABLE_SUPER, SCALE_TABLE_INVERSE,
                       TABLE_SCALE, rows.scale, quarter);
}

float zero_entry(TableRows rows, uint quarter)
{
    if (ZERO_TABLE_FORM == ENTRIES_NONE) return 0.0;
    return table_entry(ZERO_TABLE_FORM, ZERO_TABLE_GROUP, ZERO_TABLE_SUPER, false, TABLE_ZERO,
                       rows.zero, quarter);
}

float bias_entry(TableRows rows, uint quarter)
{
    if (BIAS_TABLE_FORM == ENTRIES_NONE) return 0.0;
    return table_entry(BIAS_TABLE_FORM, BIAS_TABLE_GROUP, BIAS_TABLE_SUPER, false, TABLE_BIAS,
                       rows.bias, quarter);
}

/* The entries of one grain of a row. */
struct Entries
{
    float zero;
    float scale;
    float bias;
};

Entries entries_at(TableRows rows, uint quarter)
{
    return Entries(zero_entry(rows, quarter), scale_entry(rows, quarter),
                   bias_entry(rows, quarter));
}

/* Weights, each step rounded as the coding's formula has it. */
vec4 complete_weights(vec4 mapped, Entries entries)
{
    precise vec4 w = mapped;
    if (ZERO_TABLE_FORM != ENTRIES_NONE) w = w - vec4(entries.zero);
    if (SCALE_TABLE_FORM != ENTRIES_NONE) w = w * entries.scale;
    if (BIAS_TABLE_FORM != ENTRIES_NONE) w = w + vec4(entries.bias);
    return w;
}
