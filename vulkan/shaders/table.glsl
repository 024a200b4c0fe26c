/* What a kernel must know of one table of entries, field by field; for a struct of GLSL and one of
 * C. The entry of group g of row r of weights is
 *
 *     e = (r + row_phase) / group_rows                its row of entries
 *     v = entry e * row_entries + g                   decoded, or its reciprocal
 *     s = (e * super_linear + super_phase + g) / super group + e * super_row
 *     (v * super entry s + add) * factor
 *
 * Offsets count words from the header. */
UINT entries;
UINT supers;
UINT lookup;
UINT row_entries;
UINT group_rows;
UINT row_phase;
UINT super_linear;
UINT super_phase;
UINT super_row;
FLOAT zero;   /* ENTRIES_INTEGER */
FLOAT add;
FLOAT factor; /* ENTRIES_CONSTANT: the entry */
