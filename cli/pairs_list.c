/* The results of comparing two models, as a table or as JSON. Compares nothing. */
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/notes.h"
#include "cli/pairs.h"
#include "cli/report.h"
#include "cli/text.h"

static const struct {
    const char *text;  /* in a row */
    const char *total; /* after a count */
    const char *json;
} verdicts[N_PAIR_VERDICTS] = {
    [PAIR_SAME_BITS] = {"identical", "identical", "identical"},
    [PAIR_SAME_VALUES] = {"equal values", "with equal values", "equal_values"},
    [PAIR_DIFFERENT] = {"differs", "different", "different"},
    [PAIR_REFUSED] = {"not compared", "not compared", "not_compared"},
    [PAIR_ONLY_A] = {"only in the first", "only in the first", "only_a"},
    [PAIR_ONLY_B] = {"only in the second", "only in the second", "only_b"},
};

static const struct column columns[] = {
    {"tensor", false}, {"first", false},         {"second", false},   {"different", true},
    {"SQNR dB", true}, {"relative error", true}, {"max error", true}, {"", false},
};

void pairs_list_begin(struct pairs_list *list, const struct model *a, const struct model *b,
                      bool as_json)
{
    *list = (struct pairs_list){.a = a, .b = b};
    list->table = (struct table){.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    list->json = as_json ? json_array() : NULL;
    list->failed = as_json && !list->json;
}

/* "int4-g32" or "-" */
static const char *encoding_of(const struct model *model, uint32_t index)
{
    if (index == INGOT_NONE) return "-";
    struct model_tensor tensor;
    model_tensor(model, index, &tensor);
    return tensor.encoding;
}

/* "[256, 1] and [256]", of a pair. */
static struct text shapes_of(const struct pairs_list *list, const struct pair *pair)
{
    struct model_tensor a;
    struct model_tensor b;
    struct text text;
    model_tensor(list->a, pair->a, &a);
    model_tensor(list->b, pair->b, &b);
    snprintf(text.at, sizeof text.at, "%.90s and %.90s", text_shape(a.rank, a.dims).at,
             text_shape(b.rank, b.dims).at);
    return text;
}

static void add_outcome(struct pairs_list *list, const struct pair *pair)
{
    struct table *table = &list->table;
    const char *verdict = verdicts[pair->verdict].text;
    if (pair->verdict == PAIR_REFUSED) {
        char *why = error_text(&pair->why);
        table_cell(table, "%s: %s", verdict, why ? why : "");
        free(why);
    } else if (pair->reshaped) {
        table_cell(table, "%s; the shapes %s differ in dimensions of 1", verdict,
                   shapes_of(list, pair).at);
    } else {
        table_cell(table, "%s", verdict);
    }
}

/* The name of the partner where it is another. */
static bool other_name(const struct pairs_list *list, const struct pair *pair,
                       struct model_tensor *b)
{
    if (pair->a == INGOT_NONE || pair->b == INGOT_NONE) return false;
    model_tensor(list->b, pair->b, b);
    return b->name_bytes != pair->name_bytes || memcmp(b->name, pair->name, b->name_bytes) != 0;
}

static void add_row(struct pairs_list *list, const struct pair *pair)
{
    struct table *table = &list->table;
    const struct tensor_error *error = &pair->error;
    struct model_tensor other;
    if (other_name(list, pair, &other)) {
        table_cell(table, "%.*s = %.*s", (int)pair->name_bytes, pair->name, (int)other.name_bytes,
                   other.name);
    } else {
        table_bytes(table, pair->name, pair->name_bytes);
    }
    table_cell(table, "%s", encoding_of(list->a, pair->a));
    table_cell(table, "%s", encoding_of(list->b, pair->b));
    if (pair->measured) {
        table_cell(table, "%s", text_count(error->n_different).at);
        table_cell(table, "%s", text_decibels(error->sqnr_db, error->n_different).at);
        table_cell(table, "%.3g", error->relative_error);
        table_cell(table, "%.3g", error->max_error);
    } else {
        const char *text = pair->verdict == PAIR_SAME_BITS ? "0" : "-";
        table_cell(table, "%s", text);
        table_cell(table, "%s", pair->verdict == PAIR_SAME_BITS ? "exact" : "-");
        table_cell(table, "%s", text);
        table_cell(table, "%s", text);
    }
    add_outcome(list, pair);
}

static void put_encoding(json_t *object, const char *key, const struct model *model, uint32_t index,
                         bool *failed)
{
    const char *encoding = encoding_of(model, index);
    if (index != INGOT_NONE) json_put_bytes(object, key, encoding, strlen(encoding), failed);
}

static void add_json(struct pairs_list *list, const struct pair *pair)
{
    json_t *one = json_object();
    bool *failed = &list->failed;
    json_put_bytes(one, "name", pair->name, pair->name_bytes, failed);
    struct model_tensor other;
    if (other_name(list, pair, &other)) {
        json_put_bytes(one, "name_b", other.name, other.name_bytes, failed);
    }
    json_put(one, "reshaped", json_boolean(pair->reshaped), failed);
    json_put(one, "verdict", json_string(verdicts[pair->verdict].json), failed);
    put_encoding(one, "encoding_a", list->a, pair->a, failed);
    put_encoding(one, "encoding_b", list->b, pair->b, failed);
    if (pair->measured) error_json(one, &pair->error, failed);
    if (pair->verdict == PAIR_REFUSED) {
        char *why = error_text(&pair->why);
        json_put(one, "why", json_string(why), failed);
        free(why);
    }
    json_add(list->json, one, failed);
}

void pairs_list_visit(void *context, const struct pair *pair)
{
    struct pairs_list *list = context;
    if (list->json) {
        add_json(list, pair);
    } else {
        add_row(list, pair);
    }
}

void pairs_print_totals(const struct pair_visitor *visitor)
{
    const uint64_t *counts = visitor->counts;
    uint64_t total = 0;
    for (size_t i = 0; i < N_PAIR_VERDICTS; i++) total += counts[i];
    printf("%s tensor%s", text_count(total).at, total == 1 ? "" : "s");
    const char *gap = ": ";
    for (size_t i = 0; i < N_PAIR_VERDICTS; i++) {
        if (counts[i] == 0) continue;
        printf("%s%s %s", gap, text_count(counts[i]).at, verdicts[i].total);
        gap = ", ";
    }
    if (visitor->n_reshaped > 0) {
        printf("; %s in another shape, but for dimensions of 1 the same",
               text_count(visitor->n_reshaped).at);
    }
    putchar('\n');
}

void pairs_put_totals(json_t *object, const struct pair_visitor *visitor, bool *failed)
{
    const uint64_t *counts = visitor->counts;
    char key[32];
    for (size_t i = 0; i < N_PAIR_VERDICTS; i++) {
        snprintf(key, sizeof key, "n_%s", verdicts[i].json);
        json_put(object, key, json_count(counts[i]), failed);
    }
    json_put(object, "n_reshaped", json_count(visitor->n_reshaped), failed);
}

void pairs_list_release(struct pairs_list *list)
{
    table_release(&list->table);
    json_decref(list->json);
    list->json = NULL;
}
