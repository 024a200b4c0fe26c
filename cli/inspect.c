/* ingot inspect: what is in a model of any format. Owns the words of the verb and the plain text;
 * inspect_json.c has the same facts as JSON. */
#include "cli/inspect.h"

#include <stdlib.h>
#include <string.h>

#include "cli/assume.h"
#include "cli/describe.h"
#include "cli/json.h"
#include "cli/lookup.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "format/records.h"

struct inspect_options {
    const char *tensor;
    const char *key;
    struct texts assume;
    bool json;
    bool quiet;
    bool verbose;
};

/* ------------------------------------------------------------------ plain text */

static void print_container(const ingot_file *file)
{
    const uint8_t *id = ingot_file_content_id(file);
    fputs("content id:  ", stdout);
    for (size_t i = 0; i < HASH_BYTES; i++) printf("%02x", id[i]);
    printf("\nfile:        %s (%s bytes)\n", text_bytes(ingot_file_bytes(file)).at,
           text_count(ingot_file_bytes(file)).at);
}

static void print_facts(const struct model *model, const struct inspect_sum *all)
{
    const ingot_file *file = model_container(model);
    printf("format:      %s", model_format(model));
    if (file) printf(" %u.%u", (unsigned)VERSION_MAJOR, (unsigned)ingot_file_minor(file));
    putchar('\n');
    if (file) {
        print_container(file);
    } else {
        printf("files:       %s\n", text_bytes(model_source_bytes(model)).at);
    }
    printf("tensors:     %s, %s weights\n", text_count(all->n_tensors).at,
           text_count(all->n_weights).at);
    printf("stored:      %s in tensors, %.2f bits per weight\n", text_bytes(all->stored_bytes).at,
           inspect_bits_per_weight(all->stored_bytes, all->n_weights));
    if (file) {
        printf("restorable:  %s\n", inspect_restorable(model)
                                        ? "yes, \"ingot restore\" gives the source files again"
                                        : "no, it does not hold what restoring takes");
    }
}

static int print_and_release(struct table *table)
{
    putchar('\n');
    const bool printed = table_print(table, stdout, 0);
    table_release(table);
    return printed ? EXITS_DONE : EXITS_SYSTEM;
}

static int print_encodings(const struct inspect_totals *totals)
{
    static const struct column columns[] = {{"encoding", false},
                                            {"tensors", true},
                                            {"weights", true},
                                            {"stored", true},
                                            {"bits/weight", true}};
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    if (totals->n_encodings == 0) return EXITS_DONE;
    for (uint32_t i = 0; i < totals->n_encodings; i++) {
        const struct inspect_sum *sum = &totals->encodings[i];
        table_cell(&table, "%s", sum->encoding);
        table_cell(&table, "%s", text_count(sum->n_tensors).at);
        table_cell(&table, "%s", text_count(sum->n_weights).at);
        table_cell(&table, "%s", text_bytes(sum->stored_bytes).at);
        table_cell(&table, "%.2f", inspect_bits_per_weight(sum->stored_bytes, sum->n_weights));
    }
    return print_and_release(&table);
}

static int print_tensors(const struct model *model)
{
    static const struct column columns[] = {
        {"tensor", false}, {"dtype", false},      {"shape", false}, {"encoding", false},
        {"stored", true},  {"bits/weight", true}, {"", false}};
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    if (model_n_tensors(model) == 0) return EXITS_DONE;
    for (uint32_t i = 0; i < model_n_tensors(model); i++) {
        const uint32_t alias_of = model_alias_of(model, i);
        struct model_tensor t;
        model_tensor(model, i, &t);
        table_bytes(&table, t.name, t.name_bytes);
        table_cell(&table, "%s", ingot_dtype_name(t.dtype));
        table_cell(&table, "%s", text_shape(t.rank, t.dims).at);
        table_cell(&table, "%s", t.encoding);
        table_cell(&table, "%s", text_bytes(t.stored_bytes).at);
        table_cell(&table, "%.2f", inspect_bits_per_weight(t.stored_bytes, t.n_rows * t.n_cols));
        if (alias_of != INGOT_NONE) {
            struct model_tensor other;
            model_tensor(model, alias_of, &other);
            table_cell(&table, "same as %.*s", (int)other.name_bytes, other.name);
        } else {
            table_cell(&table, "%s", "");
        }
    }
    return print_and_release(&table);
}

static int print_metadata(const struct model *model, const char *path, bool whole)
{
    const struct span blob = model_metadata(model);
    ingot_error error = {0};
    if (blob.n_bytes == 0) return EXITS_DONE;
    putchar('\n');
    const ingot_status status = describe_metadata(blob, whole, stdout, &error);
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
    return print_and_release(&table);
}

static int print_model(const struct model *model, const char *path,
                       const struct inspect_options *options)
{
    struct inspect_totals totals;
    if (!inspect_totals(model, &totals)) return report_no_memory();
    print_facts(model, &totals.all);
    int status = EXITS_DONE;
    if (!options->quiet) {
        status = print_encodings(&totals);
        if (status == EXITS_DONE) status = print_tensors(model);
        if (status == EXITS_DONE) status = print_attachments(model);
        if (status == EXITS_DONE) status = print_metadata(model, path, options->verbose);
    }
    inspect_totals_release(&totals);
    return status;
}

/* ------------------------------------------------------------------ one tensor */

static int print_values(const struct model *model, const char *path, uint32_t index)
{
    struct progress_bar bar = progress_bar_begin(false);
    const struct progress progress = progress_bar_reports(&bar);
    struct inspect_values v;
    ingot_error error = {0};
    const ingot_status status = inspect_values(model, index, &progress, &v, &error);
    progress_bar_erase(&bar);
    if (inspect_has_no_values(status)) {
        char *why = error_text(&error);
        printf("values:      none to show: %s\n", why ? why : "out of memory");
        free(why);
        return EXITS_DONE;
    }
    if (status != INGOT_OK) return report_error(path, &error);
    printf("values:      min %.6g, max %.6g, mean %.6g, deviation %.6g\n", v.min, v.max, v.mean,
           v.deviation);
    printf("             %s zero, %s NaN, %s infinite\n", text_count(v.n_zero).at,
           text_count(v.n_nan).at, text_count(v.n_infinite).at);
    fputs("first:      ", stdout);
    for (uint32_t i = 0; i < v.n_first; i++) printf(" %.6g", (double)v.first[i]);
    puts(v.n > v.n_first ? " ..." : "");
    return EXITS_DONE;
}

static int print_tensor(const struct model *model, const char *path, uint32_t index)
{
    const ingot_file *file = model_container(model);
    const uint32_t alias_of = model_alias_of(model, index);
    struct model_tensor t;
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
    if (t.foreign.name && t.foreign.block_weights > 0) {
        printf("blocks:      %u weights in %u bytes each\n", (unsigned)t.foreign.block_weights,
               (unsigned)t.foreign.block_bytes);
    }
    printf("stored:      %s, %.3f bits per weight\n", text_bytes(t.stored_bytes).at,
           inspect_bits_per_weight(t.stored_bytes, n_weights));
    if (alias_of != INGOT_NONE) puts("alias:       shares another's terms");
    free(encoding);
    free(name);
    if (file) {
        puts("terms:");
        describe_terms(file, t.number, stdout);
    }
    return print_values(model, path, index);
}

/* ------------------------------------------------------------------ the verb */

static int inspect_tensor(const struct model *model, const char *path,
                          const struct inspect_options *options)
{
    const uint32_t index = lookup_tensor(model, options->tensor);
    if (index == INGOT_NONE) {
        const struct lookup_kinds kinds = {"tensor", true, false};
        return lookup_failed(model, path, options->tensor, kinds);
    }
    return options->json ? inspect_tensor_json(model, path, index)
                         : print_tensor(model, path, index);
}

static int inspect_key(const struct model *model, const char *path,
                       const struct inspect_options *options)
{
    struct metadata_value value;
    char *nearest = NULL;
    ingot_error error = {0};
    const ingot_status status = inspect_find_key(model, options->key, &value, &nearest, &error);
    if (status == INGOT_NOT_FOUND) {
        const int exits = nearest
                              ? report_refusal(path, "there is no key \"%s\"; did you mean \"%s\"?",
                                               options->key, nearest)
                              : report_refusal(path, "there is no key \"%s\"", options->key);
        free(nearest);
        return exits;
    }
    if (status != INGOT_OK) return report_error(path, &error);
    if (options->json) {
        bool failed = false;
        const uint32_t key_bytes = (uint32_t)strlen(options->key);
        json_t *entry = describe_entry_json(options->key, key_bytes, &value, true, &failed);
        return json_print(entry, failed, EXITS_DONE);
    }
    describe_value(&value, stdout);
    return EXITS_DONE;
}

static int run(const void *values, struct operands operands)
{
    const struct inspect_options *options = values;
    const char *path = operands.at[0];
    struct model *model = NULL;
    struct assumptions assumptions;
    ingot_error error = {0};
    if (options->tensor && options->key) {
        return report_usage("inspect", "--tensor and --key exclude each other");
    }
    int status = assume_read("inspect", &options->assume, &assumptions);
    if (status != EXITS_DONE) return status;
    if (model_open_assuming(operands.at, 1, &assumptions, NULL, &model, &error) != INGOT_OK) {
        return report_error(path, &error);
    }
    report_model_notes(path, model);
    if (options->tensor) {
        status = inspect_tensor(model, path, options);
    } else if (options->key) {
        status = inspect_key(model, path, options);
    } else {
        status = options->json ? inspect_json(model, path, options->verbose)
                               : print_model(model, path, options);
    }
    model_close(model);
    return status;
}

#define AT(member) .offset = offsetof(struct inspect_options, member)
static const struct option option_table[] = {
    {"tensor", 't', OPTION_TEXT, AT(tensor), .value_name = "NAME",
     .help = "print what is known of one tensor, with its terms and codings, and read it for its "
             "values as f32"},
    {"key", 'k', OPTION_TEXT, AT(key), .value_name = "NAME",
     .help = "print the value of one metadata key, whole and alone; an array's elements a line "
             "each"},
    ASSUME_OPTION(offsetof(struct inspect_options, assume)),
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the facts as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print the totals only"},
    {"verbose", 'v', OPTION_FLAG, AT(verbose), .help = "print metadata values whole, also as JSON"},
    {0},
};

const struct verb verb_inspect = {
    .name = "inspect",
    .summary = "print what is in a model of any supported format",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Prints format, totals, tensors, attachments and metadata of a model in any format "
             "that \"ingot convert\" reads. Long texts and arrays of the metadata are cut, and it "
             "is said how long they are; as JSON only arrays are, marked by \"cut\". But for "
             "--tensor only headers are read; \"ingot validate\" checks the rest.",
    .examples = "  ingot inspect model.ingot\n"
                "  ingot inspect model/ -q\n"
                "  ingot inspect model.ingot --tensor lm_head.weight\n"
                "  ingot inspect model.ingot --key general.architecture\n"
                "  ingot inspect model.ingot --json | jq '.tensors[].encoding'\n",
    .options = option_table,
    .values_bytes = sizeof(struct inspect_options),
    .run = run,
};
