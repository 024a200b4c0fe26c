/* Fuzzes recipes: what is accepted has an encoding in every rule, and a rule for a tensor is one of
 * them. */
#include <stdlib.h>
#include <string.h>

#include "convert/recipe.h"
#include "tests/fuzz/fuzz.h"

static void check_rules(const struct recipe *recipe)
{
    static const char *const names[] = {"blk.0.attn_v.weight", "blk.31.ffn_down.weight",
                                        "output.weight", "token_embd.weight", "x"};
    static const struct model_facts facts[] = {{.n_layers = 32, .has_output = true},
                                               {.n_layers = 0, .n_experts = 8}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct model_tensor t = {.name = names[i],
                                       .name_bytes = (uint32_t)strlen(names[i]),
                                       .rank = 2,
                                       .dims = {64, 256},
                                       .n_rows = 64,
                                       .n_cols = 256};
        for (size_t k = 0; k < sizeof facts / sizeof *facts; k++) {
            const struct rule *rule = recipe_rule(recipe, &t, &facts[k]);
            if (rule && (rule < recipe->rules || rule >= recipe->rules + recipe->n_rules)) abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct recipe recipe = {0};
    ingot_error error = {0};
    const struct span text = {data, n_bytes};
    const ingot_status status = recipe_parse("recipe", text, &recipe, &error);
    if (status != INGOT_OK) {
        if (status != INGOT_INVALID || error.status != status || error.what[0] == 0) abort();
        return 0;
    }
    if (recipe.n_rules == 0) abort();
    for (uint32_t i = 0; i < recipe.n_rules; i++) {
        if (recipe.rules[i].encode[0] == NULL) abort();
    }
    check_rules(&recipe);
    recipe_close(&recipe);
    return 0;
}
