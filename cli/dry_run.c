/* ingot convert --dry-run: plans as text and as JSON. Plans and measures nothing itself. */
#include "cli/dry_run.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

struct listing {
    struct table table;
    json_t *tensors; /* NULL unless as JSON */
    uint64_t n_weights;
    bool failed;
};

static double bits_per_weight(uint64_t n_bytes, uint64_t n_weights)
{
    return n_weights > 0 ? (double)n_bytes * 8 / (double)n_weights : 0;
}

static void add_json(struct listing *l, const struct model_tensor *t, const char *encoding,
                     uint64_t coded_bytes, bool encoded)
{
    json_t *one = json_object();
    json_t *dims = json_array();
    for (uint32_t i = 0; i < t->rank; i++) json_add(dims, json_count(t->dims[i]), &l->failed);
    json_put_bytes(one, "name", t->name, t->name_bytes, &l->failed);
    json_put(one, "dtype", json_string(ingot_dtype_name(t->dtype)), &l->failed);
    json_put(one, "shape", dims, &l->failed);
    json_put_bytes(one, "encoding", encoding, strlen(encoding), &l->failed);
    json_put(one, "coded_bytes", json_count(coded_bytes), &l->failed);
    json_put(one, "kept", json_boolean(!encoded), &l->failed);
    json_add(l->tensors, one, &l->failed);
}

static void add_row(struct listing *l, const struct model_tensor *t, const char *encoding,
                    uint64_t coded_bytes, bool encoded)
{
    table_bytes(&l->table, t->name, t->name_bytes);
    table_cell(&l->table, "%s", ingot_dtype_name(t->dtype));
    table_cell(&l->table, "%s", text_shape(t->rank, t->dims).at);
    table_cell(&l->table, "%s", encoding);
    table_cell(&l->table, "%s", encoded ? "encoded" : "kept");
    table_cell(&l->table, "%s", text_count(coded_bytes).at);
    table_cell(&l->table, "%.2f", bits_per_weight(coded_bytes, t->n_rows * t->n_cols));
}

static void take(void *context, const struct model_tensor *tensor, const char *encoding,
                 uint64_t coded_bytes, bool encoded)
{
    struct listing *l = context;
    l->n_weights += tensor->n_rows * tensor->n_cols;
    if (l->tensors) {
        add_json(l, tensor, encoding, coded_bytes, encoded);
    } else {
        add_row(l, tensor, encoding, coded_bytes, encoded);
    }
}

static int print_json(const struct dry_run *run, const struct convert_plan *plan, struct listing *l)
{
    bool *failed = &l->failed;
    json_t *root = json_object();
    json_put(root, "dry_run", json_true(), failed);
    json_put_bytes(root, "target", run->target, strlen(run->target), failed);
    json_put(root, "n_tensors", json_count(plan->n_tensors), failed);
    json_put(root, "n_encoded", json_count(plan->n_encoded), failed);
    json_put(root, "source_bytes", json_count(plan->source_bytes), failed);
    json_put(root, "tensor_bytes", json_count(plan->tensor_bytes), failed);
    json_put(root, "attachment_bytes", json_count(plan->attachment_bytes), failed);
    json_put(root, "target_bytes",
             plan->target_bytes ? json_count(plan->target_bytes) : json_null(), failed);
    json_put(root, "most_bytes", plan->most_bytes ? json_count(plan->most_bytes) : json_null(),
             failed);
    json_put(root, "expected_bytes",
             plan->expected_bytes ? json_count(plan->expected_bytes) : json_null(), failed);
    json_put(root, "at_most", json_boolean(plan->at_most), failed);
    json_put(root, "n_attachments_lost", json_count(plan->n_attachments_lost), failed);
    json_put(root, "n_metadata_lost", json_count(plan->n_metadata_lost), failed);
    json_put(root, "restorable", json_boolean(plan->restorable), failed);
    json_put(root, "notes", json_incref(run->told), failed);
    json_put(root, "tensors", json_incref(l->tensors), failed);
    return json_print(root, *failed, EXITS_DONE);
}

static int print_text(const struct dry_run *run, const struct convert_plan *plan,
                      const struct listing *l)
{
    char *target = text_safe(run->target, strlen(run->target));
    if (!target) return report_no_memory();
    if (!run->brief) {
        if (!table_print(&l->table, stdout, 0)) {
            free(target);
            return EXITS_SYSTEM;
        }
        putchar('\n');
    }
    const char *bound = plan->at_most ? "at most " : "";
    printf("%s would hold %s tensor%s, %s re-encoded (nothing was written)\n", target,
           text_count(plan->n_tensors).at, plan->n_tensors == 1 ? "" : "s",
           plan->n_encoded > 0 ? text_count(plan->n_encoded).at : "none");
    printf("tensors: %s%s bytes, %.2f bits per weight\n", bound, text_count(plan->tensor_bytes).at,
           bits_per_weight(plan->tensor_bytes, l->n_weights));
    if (plan->target_bytes) {
        printf("the file: %s bytes", text_count(plan->target_bytes).at);
    } else if (plan->expected_bytes) {
        printf("the file: about %s bytes", text_count(plan->expected_bytes).at);
        if (plan->most_bytes) printf(", at most %s", text_count(plan->most_bytes).at);
    } else if (plan->most_bytes) {
        printf("the file: at most %s bytes, attached files included",
               text_count(plan->most_bytes).at);
    } else {
        printf("attached files: %s%s bytes; the index comes on top", bound,
               text_count(plan->attachment_bytes).at);
    }
    printf("; the source is %s bytes\n", text_count(plan->source_bytes).at);
    if (plan->n_attachments_lost > 0) {
        printf("left out, as the target has no place for them: %u attached file%s\n",
               (unsigned)plan->n_attachments_lost, plan->n_attachments_lost == 1 ? "" : "s");
    }
    puts(plan->restorable ? "the source files could be restored from it, byte for byte"
                          : "the source files could not be restored from it");
    free(target);
    return EXITS_DONE;
}

ingot_status dry_run(const struct dry_run *run, int *exits, ingot_error *error)
{
    static const struct column columns[] = {
        {"tensor", false}, {"dtype", false}, {"shape", false},     {"encoding", false},
        {"", false},       {"bytes", true},  {"bits/weight", true}};
    struct listing l = {
        .table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns},
        .tensors = run->told ? json_array() : NULL,
    };
    struct convert_plan plan = {.context = &l, .tensor = take};
    const ingot_status status = convert_plan(run->model, run->target, run->options, &plan, error);
    if (status == INGOT_OK) {
        *exits = run->told ? print_json(run, &plan, &l) : print_text(run, &plan, &l);
    }
    json_decref(l.tensors);
    table_release(&l.table);
    return status;
}
