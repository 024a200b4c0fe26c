/* ingot compare: what two models of any format have in common, and how far apart the rest is. Owns
 * the words of the verb. */
#include <stdlib.h>
#include <string.h>

#include "cli/assume.h"
#include "cli/json.h"
#include "cli/name_map.h"
#include "cli/pairs.h"
#include "cli/report.h"
#include "cli/verbs.h"

struct compare_values {
    const char *map;
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
    pairs_put_totals(root, visitor, &failed);
    json_put(root, "tensors", json_incref(list->json), &failed);
    return json_print(root, failed, status);
}

/* Sets *partners, which the caller frees, where there is a map. */
static int read_map(const struct compare_values *v, const struct model *a, const struct model *b,
                    uint32_t **partners)
{
    int exits = EXITS_DONE;
    if (!v->map) return EXITS_DONE;
    struct name_map *map = name_map_open(v->map, &exits);
    if (!map) return exits;
    *partners = malloc(((size_t)model_n_tensors(a) + 1) * sizeof **partners);
    exits = *partners ? name_map_pair(map, a, b, v->quiet, *partners) : report_no_memory();
    name_map_close(map);
    return exits;
}

static int compare(const struct compare_values *v, struct operands operands, const struct model *a,
                   const struct model *b)
{
    uint32_t *partners = NULL;
    struct progress_bar bar = progress_bar_begin(v->quiet);
    struct pairs_list list;
    pairs_list_begin(&list, a, b, v->json);
    struct pair_visitor visitor = {.context = &list, .visit = pairs_list_visit};
    const uint64_t *counts = visitor.counts;
    ingot_error error = {0};
    int status = read_map(v, a, b, &partners);
    if (status != EXITS_DONE) goto done;
    visitor.partners = partners;
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
    pairs_print_totals(&visitor);
    if (n_compared == 0) report_refusal(NULL, "the models have no tensor that could be compared");
done:
    pairs_list_release(&list);
    free(partners);
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
    {"map", 'm', OPTION_TEXT, AT(map), .value_name = "FILE",
     .help = "which tensor of B a tensor of A is: a line NAME_IN_A NAME_IN_B for each, in which * "
             "stands for any characters and is the same in both; # begins a comment, names with "
             "blanks stand in double quotes. The first line that matches decides; other tensors "
             "keep their name"},
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
             "truth: SQNR and relative error are against its values. Shapes that differ only in "
             "dimensions of 1 are compared, and it is said. Exit status 0 says that all "
             "of them could be compared, not that they are equal.",
    .examples = "  ingot compare model/ small.ingot\n"
                "  ingot compare model/ model.gguf --map docs/llama-hf-gguf.map\n"
                "  ingot compare a.safetensors b.safetensors --json\n",
    .options = options,
    .values_bytes = sizeof(struct compare_values),
    .run = run,
};
