/* Rules and tensors: which rule fits. */
#include "convert/recipe.h"

#include "convert/glob.h"

static bool layer_fits(const struct layer_rule *rule, uint32_t layer, uint32_t n)
{
    const uint32_t last_part = rule->last_part;
    if (!rule->more && rule->first + rule->last + rule->first_part + last_part == 0) return true;
    if (layer == INGOT_NONE) return false;
    const uint32_t eighth = n / 8;
    if (rule->more && (layer < eighth || layer >= 7 * n / 8 || (layer - eighth) % 3 == 2)) {
        return true;
    }
    if (layer < rule->first || (rule->last > 0 && layer + rule->last >= n)) return true;
    if (last_part > 0 && layer >= (uint64_t)n * (last_part - 1) / last_part) return true;
    return rule->first_part > 0 && layer < n / rule->first_part;
}

static bool model_fits(const struct model_rule *rule, const struct model_facts *facts)
{
    if (facts->n_shared < rule->min_shared || facts->n_layers < rule->min_layers) return false;
    if (rule->n_experts > 0 && facts->n_experts != rule->n_experts) return false;
    if (facts->n_experts < rule->min_experts) return false;
    return rule->imatrix == ANY_IMATRIX || (rule->imatrix == WITH_IMATRIX) == facts->has_imatrix;
}

static bool rule_fits(const struct rule *rule, const struct model_tensor *t,
                      const struct place *place, const struct model_facts *facts)
{
    const uint32_t delicate = ROLE_NORM | ROLE_BIAS | ROLE_ROUTER;
    const uint32_t roles = rule->roles ? rule->roles : ~delicate;
    const bool is_output = place->role == ROLE_EMBEDDING && !facts->has_output;
    if ((roles & (place->role | (is_output ? ROLE_OUTPUT : 0))) == 0) return false;
    if (!model_fits(&rule->model, facts)) return false;
    if (rule->name && !glob_matches(rule->name, t->name, t->name_bytes)) return false;
    if (t->n_rows * t->n_cols < rule->min_weights) return false;
    if (rule->cols_multiple > 0 && t->n_cols % rule->cols_multiple != 0) return false;
    return layer_fits(&rule->layers, place->layer, facts->n_layers);
}

const struct rule *recipe_rule(const struct recipe *recipe, const struct model_tensor *tensor,
                               const struct model_facts *facts)
{
    const struct place place = place_of(tensor->name, tensor->name_bytes);
    for (uint32_t i = 0; i < recipe->n_rules; i++) {
        if (rule_fits(&recipe->rules[i], tensor, &place, facts)) return &recipe->rules[i];
    }
    return NULL;
}
