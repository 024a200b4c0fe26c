/* ingot validate: every rule of the specification, and the source. Owns the words of the verb and
 * how a violation is shown; knows no rule. */
#include <stdlib.h>
#include <string.h>

#include "cli/assume.h"
#include "cli/check_receipt.h"
#include "cli/json.h"
#include "cli/pairs.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "format/pool.h"
#include "format/reader.h"
#include "format/rules.h"

struct validate_values {
    const char *against;
    struct texts assume;
    uint32_t n_threads;
    bool json;
    bool quiet;
};

struct validation {
    const struct validate_values *values;
    const char *path;
    struct assumptions assumptions; /* of the source */
    struct progress_bar bar;
    uint64_t n_violations;
    uint32_t last_rule;   /* whose text was printed last */
    uint64_t n_deviating; /* tensors that are not what the source says */
    uint64_t n_false;     /* tensors of which the receipt says what is not measured */
    json_t *root;         /* NULL unless values->json */
    json_t *violations;   /* belongs to root */
    json_t *receipt;      /* figures that are false, likewise */
    bool failed;          /* no memory for JSON */
};

/* ------------------------------------------------------------------ violations */

static void add_violation(struct validation *v, const ingot_error *violation, const char *rule_text)
{
    char rule[16];
    snprintf(rule, sizeof rule, "R-%u", (unsigned)violation->rule);
    const bool has_rule = violation->rule != 0;
    const bool has_offset = violation->offset != INGOT_NO_OFFSET;
    json_t *one = json_object();
    json_put(one, "rule", has_rule ? json_string(rule) : json_null(), &v->failed);
    json_put(one, "rule_text", rule_text ? json_string(rule_text) : json_null(), &v->failed);
    json_put_bytes(one, "field", violation->field, strlen(violation->field), &v->failed);
    json_put(one, "offset", has_offset ? json_count(violation->offset) : json_null(), &v->failed);
    json_put_bytes(one, "what", violation->what, strlen(violation->what), &v->failed);
    json_put(one, "status", json_string(ingot_status_name(violation->status)), &v->failed);
    json_add(v->violations, one, &v->failed);
}

/* FILE: FIELD at offset N: WHAT, and the rule's text below, once in a run of equal ones. */
static void print_violation(struct validation *v, const ingot_error *violation,
                            const char *rule_text)
{
    char *file = text_safe(v->path, strlen(v->path));
    char *text = error_text(violation);
    printf("%s: %s\n", file ? file : "", text ? text : "out of memory");
    free(text);
    free(file);
    if (rule_text && violation->rule != v->last_rule) {
        printf("    R-%u: ", (unsigned)violation->rule);
        print_wrapped(stdout, rule_text, 11, 11);
    }
    v->last_rule = violation->rule;
}

static void found(void *context, const ingot_error *violation)
{
    struct validation *v = context;
    const char *rule_text = violation->rule != 0 ? ingot_rule_text(violation->rule) : NULL;
    progress_bar_erase(&v->bar);
    v->n_violations++;
    if (v->root) {
        add_violation(v, violation, rule_text);
    } else {
        print_violation(v, violation, rule_text);
    }
}

static void checked(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct validation *v = context;
    progress_bar_report(&v->bar, "checking", done_bytes, total_bytes);
}

/* ------------------------------------------------------------------ the source */

static void print_against(const struct validation *v, const struct pair_visitor *visitor,
                          struct pairs_list *list)
{
    if (v->values->quiet) return;
    if (!table_print(&list->table, stdout, 0)) list->failed = true;
    fputs("\nagainst the source: ", stdout);
    pairs_print_totals(visitor);
}

/* Counts what the source does not allow while the list keeps it. */
struct against_context {
    struct validation *v;
    struct pairs_list list;
    struct receipt_check check;
};

/* "FILE: NAME: the receipt says that sqnr_db is 21.4, and measured is 20.1" */
static void found_false(struct validation *v, const struct pair *pair,
                        const struct receipt_figure *figure)
{
    v->n_false++;
    progress_bar_erase(&v->bar);
    if (v->root) {
        json_t *one = json_object();
        json_put_bytes(one, "name", pair->name, pair->name_bytes, &v->failed);
        json_put(one, "figure", json_string(figure->key), &v->failed);
        json_put(one, "stored", json_number(figure->stored), &v->failed);
        json_put(one, "measured", json_number(figure->measured), &v->failed);
        json_add(v->receipt, one, &v->failed);
        return;
    }
    char *file = text_safe(v->path, strlen(v->path));
    char *name = text_safe(pair->name, pair->name_bytes);
    printf("%s: %s: the receipt says that %s is %.9g, and measured is %.9g\n", file ? file : "",
           name ? name : "", figure->key, figure->stored, figure->measured);
    free(name);
    free(file);
}

static void visit(void *context, const struct pair *pair)
{
    struct against_context *a = context;
    const bool changed_bits =
        (pair->both_raw || pair->same_blocks) && pair->verdict == PAIR_DIFFERENT;
    const bool deviates = changed_bits || pair->reshaped || pair->verdict == PAIR_REFUSED ||
                          pair->verdict == PAIR_ONLY_A;
    a->v->n_deviating += deviates;
    struct receipt_figure figure;
    if (!receipt_check_pair(&a->check, a->list.a, a->list.b, pair, &figure)) {
        found_false(a->v, pair, &figure);
    }
    pairs_list_visit(&a->list, pair);
}

static int compare_with_source(struct validation *v, const struct model *source,
                               const struct model *model)
{
    struct against_context context = {.v = v};
    pairs_list_begin(&context.list, source, model, v->values->json);
    struct pair_visitor visitor = {.context = &context, .visit = visit};
    ingot_error error = {0};
    int status = EXITS_DONE;
    if (receipt_check_open(&context.check, model, &error) != INGOT_OK ||
        pairs_visit(source, model, &v->bar, &visitor, &error) != INGOT_OK) {
        status = report_error(NULL, &error);
        goto done;
    }
    if (v->root) {
        json_put(v->root, "against", json_incref(context.list.json), &v->failed);
        v->failed = v->failed || context.list.failed;
    } else {
        print_against(v, &visitor, &context.list);
        if (context.list.failed) status = EXITS_SYSTEM;
    }
done:
    receipt_check_release(&context.check);
    pairs_list_release(&context.list);
    return status;
}

static int check_against(struct validation *v)
{
    struct model *source = NULL;
    struct model *model = NULL;
    ingot_error error = {0};
    int status = EXITS_DONE;
    if (model_open_assuming(&v->values->against, 1, &v->assumptions, NULL, &source, &error) !=
        INGOT_OK) {
        status = report_error(v->values->against, &error);
    } else if (model_open(&v->path, 1, NULL, &model, &error) != INGOT_OK) {
        status = report_error(v->path, &error);
    } else {
        status = compare_with_source(v, source, model);
    }
    model_close(model);
    model_close(source);
    return status;
}

/* ------------------------------------------------------------------ the verb */

/* A file that does not open breaks a rule as well, unless the system failed. */
static int check_file(struct validation *v)
{
    ingot_file *file = NULL;
    ingot_error error = {0};
    ingot_status status = ingot_file_open(v->path, NULL, &file, &error);
    if (status != INGOT_OK) {
        if (exit_status_of(status) == EXITS_SYSTEM) return report_error(v->path, &error);
        found(v, &error);
        return EXITS_DONE;
    }
    const uint32_t n_tensors = ingot_file_n_tensors(file);
    const uint32_t n_blobs = ingot_file_n_blobs(file);
    const uint64_t n_bytes = ingot_file_bytes(file);
    struct validate_report report = {.context = v, .found = found, .progress = checked};
    uint64_t n_found = 0;
    status = ingot_pool_create(v->values->n_threads, NULL, &report.pool, &error);
    if (status == INGOT_OK) status = ingot_file_validate(file, &report, &n_found, &error);
    ingot_pool_close(report.pool);
    progress_bar_erase(&v->bar);
    ingot_file_close(file);
    if (status != INGOT_OK) return report_error(v->path, &error);
    if (v->root) {
        json_put(v->root, "n_tensors", json_count(n_tensors), &v->failed);
        json_put(v->root, "n_blobs", json_count(n_blobs), &v->failed);
        json_put(v->root, "n_bytes", json_count(n_bytes), &v->failed);
    } else if (v->n_violations == 0 && !v->values->quiet) {
        char *path = text_safe(v->path, strlen(v->path));
        printf("%s: valid: %s tensor%s, %s blob%s, %s checked\n", path ? path : "",
               text_count(n_tensors).at, n_tensors == 1 ? "" : "s", text_count(n_blobs).at,
               n_blobs == 1 ? "" : "s", text_bytes(n_bytes).at);
        free(path);
    }
    return EXITS_DONE;
}

static int begin_json(struct validation *v)
{
    v->root = json_object();
    v->violations = json_array();
    v->receipt = json_array();
    if (!v->root || !v->violations || !v->receipt) return report_no_memory();
    json_put_bytes(v->root, "file", v->path, strlen(v->path), &v->failed);
    return EXITS_DONE;
}

static int finish(struct validation *v)
{
    const bool is_short = v->n_violations > 0 || v->n_deviating > 0 || v->n_false > 0;
    const int status = is_short ? EXITS_SHORT : EXITS_DONE;
    if (v->root) {
        json_put(v->root, "valid", json_boolean(v->n_violations == 0), &v->failed);
        json_put(v->root, "n_violations", json_count(v->n_violations), &v->failed);
        json_put(v->root, "violations", json_incref(v->violations), &v->failed);
        if (v->values->against) {
            json_put(v->root, "n_deviating", json_count(v->n_deviating), &v->failed);
            json_put(v->root, "false_receipt", json_incref(v->receipt), &v->failed);
        }
        return json_print(json_incref(v->root), v->failed, status);
    }
    if (v->n_violations > 0) {
        printf("invalid: %s violation%s\n", text_count(v->n_violations).at,
               v->n_violations == 1 ? "" : "s");
    }
    if (v->n_deviating > 0) {
        printf("not what the source says: %s tensor%s\n", text_count(v->n_deviating).at,
               v->n_deviating == 1 ? "" : "s");
    }
    if (v->n_false > 0) {
        printf("not what the receipt says: %s tensor%s\n", text_count(v->n_false).at,
               v->n_false == 1 ? "" : "s");
    }
    return status;
}

static int run(const void *values, struct operands operands)
{
    struct validation v = {.values = values, .path = operands.at[0]};
    v.bar = progress_bar_begin(v.values->quiet);
    int status = assume_read("validate", &v.values->assume, &v.assumptions);
    if (status == EXITS_DONE && v.values->json) status = begin_json(&v);
    if (status == EXITS_DONE) status = check_file(&v);
    /* The tensors of an invalid file would only fail to be read. */
    const bool wants_source = v.values->against && v.n_violations == 0;
    if (status == EXITS_DONE && wants_source) status = check_against(&v);
    if (status == EXITS_DONE) status = finish(&v);
    json_decref(v.receipt);
    json_decref(v.violations);
    json_decref(v.root);
    return status;
}

#define AT(member) .offset = offsetof(struct validate_values, member)
static const struct option options[] = {
    {"against", 0, OPTION_TEXT, AT(against), .value_name = "SRC",
     .help = "compare every tensor with that of SRC, a model in any supported format: bit for bit "
             "where it is held raw, else by the measured error, which is to be what the receipt "
             "says"},
    ASSUME_OPTION(offsetof(struct validate_values, assume)),
    {"threads", 0, OPTION_COUNT, AT(n_threads), .value_name = "N",
     .help = "threads; the default is one per core. What is found does not depend on it"},
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the result as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print violations only"},
    {0},
};

const struct verb verb_validate = {
    .name = "validate",
    .summary = "check an .ingot file against every rule of the format",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Checks everything that the specification asks of a file: structure, all checksums, "
             "padding, masks, the content id. Each violation is printed with its rule, its place "
             "and the rule's text.",
    .examples = "  ingot validate model.ingot\n"
                "  ingot validate model.ingot --against model/\n"
                "  ingot validate model.ingot --json\n",
    .options = options,
    .values_bytes = sizeof(struct validate_values),
    .run = run,
};
