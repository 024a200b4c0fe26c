/* ingot compare: what two models of any format have in common, and how far apart the rest is. Owns
 * the words of the verb. */
#include <stdlib.h>
#include <string.h>

#include "cli/assume.h"
#include "cli/json.h"
#include "cli/pairs.h"
#include "cli/report.h"
#include "cli/verbs.h"

struct compare_values {
    struct texts assume;
    bool json;
    bool quiet;
};

static int print_json(struct operands operands, const struct pair_visitor *visitor,
                      struct pairs_list *list, int status)
{
    bool failed = list->failed;
    json_t *root = json_object();
    json_put_bytes(root, "a", operands.at[0], strlen(operands.at[0]), &failed);
    json_put_bytes(root, "b", operands.at[1], strlen(operands.at[1]), &failed);
    pairs_put_totals(root, visitor->counts, &failed);
    json_put(root, "tensors", json_incref(list->json), &failed);
    return json_print(root, failed, status);
}

static int compare(const struct compare_values *v, struct operands operands, const struct model *a,
                   const struct model *b)
{
    struct progress_bar bar = progress_bar_begin(v->quiet);
    struct pairs_list list;
    pairs_list_begin(&list, a, b, v->json);
    struct pair_visitor visitor = {.context = &list, .visit = pairs_list_visit};
    const uint64_t *counts = visitor.counts;
    ingot_error error = {0};
    int status = EXITS_DONE;
    if (pairs_visit(a, b, &bar, &visitor, &error) != INGOT_OK) {
        status = report_error(NULL, &error);
        goto done;
    }
    const uint64_t n_compared =
        counts[PAIR_SAME_BITS] + counts[PAIR_SAME_VALUES] + counts[PAIR_DIFFERENT];
    const bool all_compared = counts[PAIR_REFUSED] == 0 && n_compared > 0;
    status = all_compared ? EXITS_DONE : EXITS_SHORT;
    if (v->json) {
        status = print_json(operands, &visitor, &list, status);
        goto done;
    }
    if (!v->quiet) {
        if (!table_print(&list.table, stdout, 0)) status = EXITS_SYSTEM;
        putchar('\n');
    }
    pairs_print_totals(counts);
    if (n_compared == 0) report_refusal(NULL, "the models have no tensor that could be compared");
done:
    pairs_list_release(&list);
    return status;
}

static int run(const void *values, struct operands operands)
{
    struct model *models[2] = {NULL, NULL};
    const struct compare_values *v = values;
    struct assumptions assumptions;
    int status = assume_read("compare", &v->assume, &assumptions);
    for (size_t i = 0; i < 2 && status == EXITS_DONE; i++) {
        ingot_error error = {0};
        if (model_open_assuming(&operands.at[i], 1, &assumptions, NULL, &models[i], &error) ==
            INGOT_OK) {
            continue;
        }
        status = report_error(operands.at[i], &error);
    }
    if (status == EXITS_DONE) status = compare(v, operands, models[0], models[1]);
    model_close(models[1]);
    model_close(models[0]);
    return status;
}

#define AT(member) .offset = offsetof(struct compare_values, member)
static const struct option options[] = {
    ASSUME_OPTION(offsetof(struct compare_values, assume)),
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the result as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print the totals only"},
    {0},
};

const struct verb verb_compare = {
    .name = "compare",
    .summary = "measure the error between two models, tensor by tensor",
    .operands = "A B",
    .min_operands = 2,
    .max_operands = 2,
    .about = "Compares the tensors that have the same name in both models, of any supported "
             "format: bit for bit where both hold a tensor raw, else by value. A is taken as the "
             "truth: SQNR and relative error are against its values. Exit status 0 says that all "
             "of them could be compared, not that they are equal.",
    .examples = "  ingot compare model/ small.ingot\n"
                "  ingot compare a.safetensors b.safetensors --json\n",
    .options = options,
    .values_bytes = sizeof(struct compare_values),
    .run = run,
};
