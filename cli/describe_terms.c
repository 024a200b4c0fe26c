/* Codings and terms in words and as JSON. Owns the names that people see; decodes nothing. */
#include <stdlib.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/json.h"
#include "cli/text.h"

static const char *const map_names[] = {
    [MAP_UINT] = "uint",         [MAP_INT] = "int",       [MAP_FLOAT] = "float",
    [MAP_CODEBOOK] = "codebook", [MAP_VECTOR] = "vector", [MAP_OPAQUE] = "opaque",
};
static const char *const slot_names[N_SLOTS] = {"zero", "scale", "bias", "post"};
static const char *const group_names[] = {
    [GROUP_NONE] = "none",
    [GROUP_BLOCK] = "block",
    [GROUP_TENSOR] = "tensor",
    [GROUP_RUN] = "run",
    [GROUP_COLUMN_INDEX] = "column index",
};
static const char *const kind_names[] = {
    [TERM_DENSE] = "dense",
    [TERM_SPARSE] = "sparse",
    [TERM_LOWRANK] = "lowrank",
    [TERM_REF] = "ref",
};
static const char *const combine_names[] = {
    [COMBINE_FIRST] = "first",
    [COMBINE_ADD] = "add",
    [COMBINE_SET] = "set",
    [COMBINE_XOR] = "xor",
};
static const char *const mask_names[] = {
    [MASK_NONE] = "none",       [MASK_BITMAP] = "bitmap", [MASK_TWO_OF_FOUR] = "two of four",
    [MASK_COLUMNS] = "columns", [MASK_ROWS] = "rows",     [MASK_BLOCKS] = "blocks",
    [MASK_LIST] = "list",
};

static void print_safe(FILE *out, const char *bytes, size_t n_bytes)
{
    char *text = text_safe(bytes, n_bytes);
    fputs(text ? text : "?", out);
    free(text);
}

/* ------------------------------------------------------------------ in words */

/* "1 x 32", 0 standing for the whole extent */
static void print_group(const struct coding_slot *slot, FILE *out)
{
    if (slot->group == GROUP_TENSOR) {
        fputs("one for the whole tensor", out);
    } else if (slot->group == GROUP_RUN) {
        fprintf(out, "one for %llu weights in a run", (unsigned long long)slot->group_cols);
    } else if (slot->group == GROUP_COLUMN_INDEX) {
        fprintf(out, "by column index, %llu groups", (unsigned long long)slot->group_cols);
    } else {
        fputs("one for ", out);
        if (slot->group_rows == 0) fputs("all rows", out);
        if (slot->group_rows > 0) fprintf(out, "%u", (unsigned)slot->group_rows);
        fputs(" x ", out);
        if (slot->group_cols == 0) fputs("all columns", out);
        if (slot->group_cols > 0) fprintf(out, "%llu", (unsigned long long)slot->group_cols);
    }
}

static void print_map(const struct ingot_coding *coding, FILE *out)
{
    const char *format = ingot_dtype_name((ingot_dtype)coding->format);
    if (coding->map == MAP_FLOAT) {
        fputs(format, out);
    } else {
        fprintf(out, "%s, %u bits", map_names[coding->map], (unsigned)coding->bits);
    }
    if (coding->n_entries > 0) {
        fprintf(out, ", %u entries of %s", (unsigned)coding->n_entries, format);
    }
    if (coding->vector_length > 0) {
        fprintf(out, " x %u, %u sign bits", (unsigned)coding->vector_length,
                (unsigned)coding->signs);
    }
    if (coding->name[0]) {
        fputs(", \"", out);
        print_safe(out, coding->name, strlen(coding->name));
        fputc('"', out);
    }
    fputc('\n', out);
}

/* A coding and, deeper, its tables. Tables nest at most CODING_MAX_DEPTH deep. */
static void print_coding(const struct ingot_coding *coding, int indent, FILE *out)
{
    print_map(coding, out);
    for (size_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (!slot->has_table && !slot->has_constant) continue;
        fprintf(out, "%*s%s: ", indent, "", slot_names[i]);
        if (slot->has_constant) {
            fprintf(out, "%sconstant %.9g", slot->inverse_constant ? "inverse " : "",
                    (double)slot->constant);
        }
        if (slot->has_table) {
            fprintf(out, "%s%stable, ", slot->has_constant ? "; " : "",
                    slot->inverse_table ? "inverse " : "");
            print_group(slot, out);
            fputs(": ", out);
            print_coding(slot->table, indent + 4, out);
        } else {
            fputc('\n', out);
        }
    }
}

static void print_term(const ingot_file *file, const struct file_term *term, FILE *out)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < term->n_streams; i++) {
        n_bytes += ingot_file_stream_bytes(file, term->first_stream + i);
    }
    fprintf(out, "  %s (%s)", kind_names[term->kind], combine_names[term->combine]);
    if (term->mask != MASK_NONE) {
        fprintf(out, ", mask %s, %s values kept", mask_names[term->mask],
                text_count(term->n_kept).at);
    }
    if (term->rank > 0) {
        fprintf(out, ", rank %u, multiplier %.9g", (unsigned)term->rank, (double)term->multiplier);
    }
    if (term->name_bytes > 0) {
        fputs(", adapter \"", out);
        print_safe(out, term->name, term->name_bytes);
        fputs(term->optional ? "\" (optional)" : "\"", out);
    }
    fprintf(out, ", %s in %u streams\n", text_bytes(n_bytes).at, (unsigned)term->n_streams);
    const struct {
        const char *title;
        const struct ingot_coding *coding;
    } codings[] = {{term->coding_b ? "A: " : "", term->coding},
                   {"B: ", term->coding_b},
                   {"magnitude: ", term->magnitude}};
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        if (!codings[i].coding) continue;
        fprintf(out, "    %s", codings[i].title);
        print_coding(codings[i].coding, 6, out);
    }
}

void describe_terms(const ingot_file *file, uint32_t tensor, FILE *out)
{
    ingot_tensor facts;
    ingot_file_tensor(file, tensor, &facts);
    for (uint32_t i = 0; i < facts.n_terms; i++) {
        struct file_term term;
        ingot_file_term(file, tensor, i, &term);
        print_term(file, &term, out);
    }
}

/* ------------------------------------------------------------------ as JSON */

static json_t *coding_json(const struct ingot_coding *coding, bool *failed);

static json_t *slot_json(const struct coding_slot *slot, bool *failed)
{
    json_t *one = json_object();
    if (slot->has_constant) {
        json_put(one, "constant", json_number((double)slot->constant), failed);
        json_put(one, "inverse_constant", json_boolean(slot->inverse_constant), failed);
    }
    if (slot->has_table) {
        json_put(one, "group", json_string(group_names[slot->group]), failed);
        json_put(one, "group_rows", json_count(slot->group_rows), failed);
        json_put(one, "group_cols", json_count(slot->group_cols), failed);
        json_put(one, "inverse_table", json_boolean(slot->inverse_table), failed);
        json_put(one, "table", coding_json(slot->table, failed), failed);
    }
    return one;
}

static json_t *coding_json(const struct ingot_coding *coding, bool *failed)
{
    json_t *one = json_object();
    const char *format = ingot_dtype_name((ingot_dtype)coding->format);
    json_put(one, "map", json_string(map_names[coding->map]), failed);
    json_put(one, "bits", json_count(coding->bits), failed);
    if (format) json_put(one, "format", json_string(format), failed);
    if (coding->n_entries > 0) json_put(one, "n_entries", json_count(coding->n_entries), failed);
    if (coding->vector_length > 0) {
        json_put(one, "vector_length", json_count(coding->vector_length), failed);
        json_put(one, "signs", json_count(coding->signs), failed);
    }
    if (coding->name[0]) {
        json_put_bytes(one, "name", coding->name, strlen(coding->name), failed);
    }
    for (size_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        const bool present = slot->has_table || slot->has_constant;
        if (present) json_put(one, slot_names[i], slot_json(slot, failed), failed);
    }
    return one;
}

static json_t *term_json(const ingot_file *file, const struct file_term *term, bool *failed)
{
    json_t *one = json_object();
    json_put(one, "kind", json_string(kind_names[term->kind]), failed);
    json_put(one, "combine", json_string(combine_names[term->combine]), failed);
    if (term->name_bytes > 0) {
        json_put_bytes(one, "adapter", term->name, term->name_bytes, failed);
        json_put(one, "optional", json_boolean(term->optional), failed);
    }
    if (term->mask != MASK_NONE) {
        json_put(one, "mask", json_string(mask_names[term->mask]), failed);
        json_put(one, "n_kept", json_count(term->n_kept), failed);
    }
    if (term->rank > 0) {
        json_put(one, "rank", json_count(term->rank), failed);
        json_put(one, "multiplier", json_number((double)term->multiplier), failed);
    }
    const struct {
        const char *key;
        const struct ingot_coding *coding;
    } codings[] = {
        {"coding", term->coding}, {"coding_b", term->coding_b}, {"magnitude", term->magnitude}};
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        if (!codings[i].coding) continue;
        json_put(one, codings[i].key, coding_json(codings[i].coding, failed), failed);
    }
    json_t *streams = json_array();
    for (uint32_t i = 0; i < term->n_streams; i++) {
        json_add(streams, json_count(ingot_file_stream_bytes(file, term->first_stream + i)),
                 failed);
    }
    json_put(one, "stream_bytes", streams, failed);
    return one;
}

json_t *describe_terms_json(const ingot_file *file, uint32_t tensor, bool *failed)
{
    ingot_tensor facts;
    ingot_file_tensor(file, tensor, &facts);
    json_t *terms = json_array();
    for (uint32_t i = 0; i < facts.n_terms; i++) {
        struct file_term term;
        ingot_file_term(file, tensor, i, &term);
        json_add(terms, term_json(file, &term, failed), failed);
    }
    return terms;
}
