/* ingot inspect: what is in a model of any format. Owns the words of the verb and the plain text;
 * inspect_json.c has the same facts as JSON. */
#include "cli/inspect.h"

#include <stdlib.h>
#include <string.h>

#include "cli/assume.h"
#include "cli/describe.h"
#include "cli/lookup.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "format/records.h"

enum { SHOWN_METADATA_BYTES = 72 };

struct inspect_values {
    const char *tensor;
    struct texts assume;
    bool json;
    bool quiet;
    bool verbose;
};

/* ------------------------------------------------------------------ facts */

bool inspect_is_alias(const struct model *model, uint32_t index, uint32_t *alias_of)
{
    const ingot_file *file = model_container(model);
    if (!file) return false;
    ingot_tensor facts;
    ingot_file_tensor(file, index, &facts);
    *alias_of = facts.alias_of;
    return facts.alias_of != INGOT_NONE;
}

struct inspect_totals inspect_totals(const struct model *model)
{
    struct inspect_totals totals = {.n_tensors = model_n_tensors(model)};
    for (uint32_t i = 0; i < totals.n_tensors; i++) {
        struct model_tensor tensor;
        uint32_t alias_of = 0;
        if (inspect_is_alias(model, i, &alias_of)) continue;
        model_tensor(model, i, &tensor);
        totals.n_weights += tensor.n_rows * tensor.n_cols;
        totals.stored_bytes += tensor.stored_bytes;
    }
    return totals;
}

double inspect_bits_per_weight(uint64_t n_bytes, uint64_t n_weights)
{
    return n_weights > 0 ? (double)n_bytes * 8 / (double)n_weights : 0;
}

bool inspect_restorable(const struct model *model)
{
    const ingot_file *file = model_container(model);
    return file && ingot_file_find_blob(file, INGOT_BLOB_SOURCE, "", 0) != INGOT_NONE;
}

/* ------------------------------------------------------------------ plain text */

static void print_container(const ingot_file *file)
{
    const uint8_t *id = ingot_file_content_id(file);
    fputs("content id:  ", stdout);
    for (size_t i = 0; i < HASH_BYTES; i++) printf("%02x", id[i]);
    printf("\nfile:        %s (%s bytes)\n", text_bytes(ingot_file_bytes(file)).at,
           text_count(ingot_file_bytes(file)).at);
}

static void print_facts(const struct model *model)
{
    const ingot_file *file = model_container(model);
    const struct inspect_totals totals = inspect_totals(model);
    printf("format:      %s", model_format(model));
    if (file) printf(" %u.%u", (unsigned)VERSION_MAJOR, (unsigned)VERSION_MINOR);
    putchar('\n');
    if (file) print_container(file);
    printf("tensors:     %s, %s weights\n", text_count(totals.n_tensors).at,
           text_count(totals.n_weights).at);
    printf("stored:      %s in tensors, %.2f bits per weight\n", text_bytes(totals.stored_bytes).at,
           inspect_bits_per_weight(totals.stored_bytes, totals.n_weights));
    if (file) {
        printf("restorable:  %s\n", inspect_restorable(model)
                                        ? "yes, \"ingot restore\" gives the source files again"
                                        : "no, it does not hold what restoring takes");
    }
}

static int print_tensors(const struct model *model)
{
    static const struct column columns[] = {
        {"tensor", false}, {"dtype", false},      {"shape", false}, {"encoding", false},
        {"stored", true},  {"bits/weight", true}, {"", false}};
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    for (uint32_t i = 0; i < model_n_tensors(model); i++) {
        struct model_tensor t;
        uint32_t alias_of = 0;
        model_tensor(model, i, &t);
        table_bytes(&table, t.name, t.name_bytes);
        table_cell(&table, "%s", ingot_dtype_name(t.dtype));
        table_cell(&table, "%s", text_shape(t.rank, t.dims).at);
        table_cell(&table, "%s", t.encoding);
        table_cell(&table, "%s", text_bytes(t.stored_bytes).at);
        table_cell(&table, "%.2f", inspect_bits_per_weight(t.stored_bytes, t.n_rows * t.n_cols));
        if (inspect_is_alias(model, i, &alias_of)) {
            struct model_tensor other;
            model_tensor(model, alias_of, &other);
            table_cell(&table, "same as %.*s", (int)other.name_bytes, other.name);
        } else {
            table_cell(&table, "%s", "");
        }
    }
    putchar('\n');
    const bool printed = table_print(&table, stdout, 0);
    table_release(&table);
    return printed ? EXITS_DONE : EXITS_SYSTEM;
}

static int print_metadata(const struct model *model, const char *path, bool whole)
{
    const struct span blob = model_metadata(model);
    ingot_error error = {0};
    if (blob.n_bytes == 0) return EXITS_DONE;
    puts("\nmetadata:");
    const ingot_status status =
        describe_metadata(blob, whole ? 0 : SHOWN_METADATA_BYTES, stdout, &error);
    return status == INGOT_OK ? EXITS_DONE : report_error(path, &error);
}

static int print_attachments(const struct model *model)
{
    static const struct column columns[] = {{"attachment", false}, {"bytes", true}};
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    const uint32_t n = model_n_attachments(model);
    if (n == 0) return EXITS_DONE;
    for (uint32_t i = 0; i < n; i++) {
        struct model_attachment attachment;
        model_attachment(model, i, &attachment);
        table_cell(&table, "%s", attachment.name);
        table_cell(&table, "%s", text_count(attachment.n_bytes).at);
    }
    putchar('\n');
    const bool printed = table_print(&table, stdout, 0);
    table_release(&table);
    return printed ? EXITS_DONE : EXITS_SYSTEM;
}

static int print_model(const struct model *model, const char *path, const struct inspect_values *v)
{
    print_facts(model);
    if (v->quiet) return EXITS_DONE;
    int status = print_tensors(model);
    if (status == EXITS_DONE) status = print_attachments(model);
    if (status == EXITS_DONE) status = print_metadata(model, path, v->verbose);
    return status;
}

static int print_tensor(const struct model *model, uint32_t index)
{
    const ingot_file *file = model_container(model);
    struct model_tensor t;
    uint32_t alias_of = 0;
    model_tensor(model, index, &t);
    char *name = text_safe(t.name, t.name_bytes);
    char *encoding = text_safe(t.encoding, strlen(t.encoding));
    if (!name || !encoding) {
        free(encoding);
        free(name);
        return report_no_memory();
    }
    const uint64_t n_weights = t.n_rows * t.n_cols;
    printf("tensor:      %s\n", name);
    printf("dtype:       %s\n", ingot_dtype_name(t.dtype));
    printf("shape:       %s, %s weights\n", text_shape(t.rank, t.dims).at,
           text_count(n_weights).at);
    printf("read as:     %s rows of %s columns\n", text_count(t.n_rows).at,
           text_count(t.n_cols).at);
    printf("encoding:    %s\n", encoding);
    printf("stored:      %s, %.3f bits per weight\n", text_bytes(t.stored_bytes).at,
           inspect_bits_per_weight(t.stored_bytes, n_weights));
    if (inspect_is_alias(model, index, &alias_of)) puts("alias:       shares another's terms");
    if (file) {
        puts("terms:");
        describe_terms(file, index, stdout);
    }
    free(encoding);
    free(name);
    return EXITS_DONE;
}

/* ------------------------------------------------------------------ the verb */

static int inspect(const struct model *model, const char *path, const struct inspect_values *v)
{
    if (!v->tensor) {
        return v->json ? inspect_json(model, path) : print_model(model, path, v);
    }
    const uint32_t index = lookup_tensor(model, v->tensor);
    if (index == INGOT_NONE) {
        const struct lookup_kinds kinds = {"tensor", true, false};
        return lookup_failed(model, path, v->tensor, kinds);
    }
    return v->json ? inspect_tensor_json(model, index) : print_tensor(model, index);
}

static int run(const void *values, struct operands operands)
{
    const struct inspect_values *v = values;
    struct model *model = NULL;
    struct assumptions assumptions;
    ingot_error error = {0};
    int status = assume_read("inspect", &v->assume, &assumptions);
    if (status != EXITS_DONE) return status;
    if (model_open_assuming(operands.at, 1, &assumptions, NULL, &model, &error) != INGOT_OK) {
        return report_error(operands.at[0], &error);
    }
    report_model_notes(operands.at[0], model);
    status = inspect(model, operands.at[0], v);
    model_close(model);
    return status;
}

#define AT(member) .offset = offsetof(struct inspect_values, member)
static const struct option options[] = {
    {"tensor", 't', OPTION_TEXT, AT(tensor), .value_name = "NAME",
     .help = "print what is known of one tensor, with its terms and codings"},
    ASSUME_OPTION(offsetof(struct inspect_values, assume)),
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the facts as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print the totals only"},
    {"verbose", 'v', OPTION_FLAG, AT(verbose), .help = "print metadata values whole"},
    {0},
};

const struct verb verb_inspect = {
    .name = "inspect",
    .summary = "print what is in a model of any supported format",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Prints format, totals, tensors, attachments and metadata of an .ingot file, a "
             ".safetensors file, or a checkpoint in a folder or an archive. Only the index is "
             "read; \"ingot validate\" "
             "checks the rest.",
    .examples = "  ingot inspect model.ingot\n"
                "  ingot inspect model/ -q\n"
                "  ingot inspect model.ingot --tensor lm_head.weight\n"
                "  ingot inspect model.ingot --json | jq '.tensors[].encoding'\n",
    .options = options,
    .values_bytes = sizeof(struct inspect_values),
    .run = run,
};
