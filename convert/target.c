/* Candidates of tensors, what they cost and lose, and the choice. */
#include "convert/target.h"

#include <stdlib.h>
#include <string.h>

#include "convert/budget.h"
#include "convert/encode_memory.h"
#include "convert/weighted_error.h"
#include "format/alloc.h"
#include "format/fail.h"

struct item {
    uint32_t group;
    uint64_t n_weights;
    const struct rule *rule; /* NULL: it is kept */
    struct place place;
    const struct encoding *encodings[BUDGET_MAX_OPTIONS]; /* NULL: kept */
    uint64_t n_bytes[BUDGET_MAX_OPTIONS];
    double errors[BUDGET_MAX_OPTIONS];
};

struct search {
    struct conversion *c;
    const struct recipe *recipe;
    bool blocks;
    ingot_status (*plan)(struct conversion *c, struct convert_plan *plan, ingot_error *error);
    uint32_t n_items;
    struct item *items;
    uint32_t n_groups;
    struct budget_group *groups;
    uint64_t n_weights;
    uint32_t at;     /* tensor, and */
    uint32_t option; /* candidate, that a plan tells of */
    uint64_t planned_bytes;
    ingot_error *error;
};

struct recipe target_recipe(void)
{
    static const struct rule rules[] = {
        /* What the output loses, every prediction does. */
        {.roles = ROLE_OUTPUT, .encode = {"q4_k", "q5_k", "q6_k", "q8_0", "keep"}},
        {.encode = {"q2_k", "q3_k", "iq4_xs", "q4_k", "q5_k", "q6_k", "q8_0", "keep"}},
    };
    return (struct recipe){.n_rules = sizeof rules / sizeof *rules, .rules = rules};
}

static uint32_t n_options(const struct item *item)
{
    uint32_t n = 0;
    while (item->rule && item->rule->encode[n]) n++;
    return n ? n : 1;
}

/* ------------------------------------------------------------------ groups */

enum fusion { FUSED_NONE, FUSED_QKV, FUSED_GATE_UP };

static enum fusion fusion_of(const struct place *place)
{
    if (place->layer == INGOT_NONE) return FUSED_NONE;
    if (place->role & (ROLE_ATTN_Q | ROLE_ATTN_K | ROLE_ATTN_V)) return FUSED_QKV;
    return place->role & (ROLE_FFN_GATE | ROLE_FFN_UP) ? FUSED_GATE_UP : FUSED_NONE;
}

/* The earlier tensor whose choice this one shares, or INGOT_NONE. */
static uint32_t partner_of(const struct search *s, uint32_t index, const uint32_t *leaders)
{
    const struct item *item = &s->items[index];
    const uint32_t original = model_alias_of(s->c->model, index);
    const enum fusion fusion = fusion_of(&item->place);
    if (original != INGOT_NONE) return original;
    if (fusion == FUSED_NONE) return INGOT_NONE;
    const uint32_t leader = leaders[2 * (size_t)item->place.layer + (fusion == FUSED_GATE_UP)];
    return leader != INGOT_NONE && s->items[leader].rule == item->rule ? leader : INGOT_NONE;
}

static ingot_status make_groups(struct search *s, uint32_t n_layers)
{
    uint32_t *leaders = ingot_allocate(NULL, (2 * (uint64_t)n_layers + 1) * sizeof *leaders);
    if (leaders == NULL) return ingot_fail_memory(s->error, n_layers, "layers");
    for (uint64_t i = 0; i < 2 * (uint64_t)n_layers; i++) leaders[i] = INGOT_NONE;
    for (uint32_t i = 0; i < s->n_items; i++) {
        struct item *item = &s->items[i];
        const enum fusion fusion = fusion_of(&item->place);
        const uint32_t partner = partner_of(s, i, leaders);
        if (partner != INGOT_NONE) {
            item->group = s->items[partner].group;
            continue;
        }
        item->group = s->n_groups++;
        if (fusion != FUSED_NONE) {
            leaders[2 * (size_t)item->place.layer + (fusion == FUSED_GATE_UP)] = i;
        }
    }
    ingot_release(NULL, leaders);
    s->groups = ingot_allocate_zeroed(NULL, s->n_groups, sizeof *s->groups);
    return s->groups ? INGOT_OK
                     : ingot_fail_memory(s->error, s->n_groups * sizeof *s->groups, "groups");
}

/* ------------------------------------------------------------------ candidates */

static ingot_status list_candidates(struct search *s)
{
    const struct model_facts facts = conversion_facts(s->c);
    for (uint32_t i = 0; i < s->n_items; i++) {
        struct item *item = &s->items[i];
        struct model_tensor t;
        model_tensor(s->c->model, i, &t);
        item->n_weights = t.n_rows * t.n_cols;
        s->n_weights += item->n_weights;
        item->place = place_of(t.name, t.name_bytes);
        item->rule = recipe_rule(s->recipe, &t, &facts);
        /* Another name of a tensor has what that has, also its candidates. */
        const uint32_t original = model_alias_of(s->c->model, i);
        if (original != INGOT_NONE) item->rule = s->items[original].rule;
        for (uint32_t k = 0; item->rule && k < n_options(item); k++) {
            const ingot_status status = choices_take(&s->c->choices, &t, item->rule->encode[k],
                                                     s->blocks, &item->encodings[k], s->error);
            if (status != INGOT_OK) return status;
        }
    }
    return make_groups(s, facts.n_layers);
}

/* Sets the choices of all tensors to their option, or their last. */
static void set_option(struct search *s, uint32_t option)
{
    for (uint32_t i = 0; i < s->n_items; i++) {
        const uint32_t n = n_options(&s->items[i]);
        s->c->choices.of[i] = s->items[i].encodings[option < n ? option : n - 1];
    }
}

static void take_bytes(void *context, const struct model_tensor *tensor, const char *encoding,
                       uint64_t coded_bytes, bool encoded)
{
    struct search *s = context;
    struct item *item = &s->items[s->at++];
    (void)tensor;
    (void)encoding;
    (void)encoded;
    s->planned_bytes += coded_bytes;
    if (s->option < n_options(item)) item->n_bytes[s->option] = coded_bytes;
}

static ingot_status plan_choices(struct search *s, struct convert_plan *plan)
{
    *plan = (struct convert_plan){.n_tensors = s->n_items, .context = s, .tensor = take_bytes};
    s->at = 0;
    s->planned_bytes = 0;
    return s->plan(s->c, plan, s->error);
}

static ingot_status measure_bytes(struct search *s)
{
    ingot_status status = INGOT_OK;
    for (s->option = 0; s->option < BUDGET_MAX_OPTIONS && status == INGOT_OK; s->option++) {
        struct convert_plan plan;
        bool any = false;
        for (uint32_t i = 0; i < s->n_items; i++) any |= s->option < n_options(&s->items[i]);
        if (!any) break;
        set_option(s, s->option);
        status = plan_choices(s, &plan);
    }
    s->option = BUDGET_MAX_OPTIONS;
    return status;
}

/* The squared error relative to the signal, both weighted by the importance of columns where that
 * is known, times the weights. */
static ingot_status take_error(struct search *s, uint32_t index,
                               const struct encoded_tensor *encoded, struct span container,
                               double *error)
{
    const double n = (double)s->items[index].n_weights;
    struct model_tensor t;
    struct stack_shape stack;
    float *importance = NULL;
    if (encoded->error.signal > 0) *error = encoded->error.noise / encoded->error.signal * n;
    model_tensor(s->c->model, index, &t);
    if (!encoded->weighted || !stack_of(t.rank, t.dims, t.stack, t.split, &stack)) return INGOT_OK;
    ingot_status status = imatrix_weights(s->c->imatrix, t.name, t.name_bytes, stack.n_matrices,
                                          stack.n_cols, &importance, s->error);
    if (status == INGOT_OK && importance) {
        double relative = 0;
        status = weighted_error(s->c->model, index, container, importance, &relative, s->error);
        *error = relative * n;
    }
    ingot_release(NULL, importance);
    return status;
}

/* Searches are brief. */
static ingot_status measure_error(struct search *s, uint32_t index, const struct encoding *encoding,
                                  struct ingot_pool *pool, double *error)
{
    struct byte_buffer container = {.allocator = NULL};
    struct encoded_tensor encoded;
    struct encoding *brief = ingot_allocate(NULL, sizeof *brief);
    *error = 0;
    if (brief == NULL) return ingot_fail_memory(s->error, sizeof *brief, "encoding");
    *brief = *encoding;
    encoding_hurry(brief);
    brief->imatrix = s->c->imatrix;
    ingot_status status =
        encode_to_memory(s->c->model, index, brief, pool, NULL, &container, &encoded, s->error);
    const struct span bytes = {container.data, container.n_bytes};
    if (status == INGOT_OK) status = take_error(s, index, &encoded, bytes, error);
    buffer_release(&container);
    ingot_release(NULL, brief);
    return status;
}

static ingot_status measure_errors(struct search *s)
{
    struct ingot_pool *pool = NULL;
    ingot_status status = ingot_pool_create(s->c->options->n_threads, NULL, &pool, s->error);
    for (uint32_t i = 0; i < s->n_items && status == INGOT_OK; i++) {
        struct item *item = &s->items[i];
        const uint32_t n = n_options(item);
        if (n < 2 || model_alias_of(s->c->model, i) != INGOT_NONE) continue;
        for (uint32_t k = 0; k < n && status == INGOT_OK; k++) {
            if (item->encodings[k] == NULL) continue;
            status = measure_error(s, i, item->encodings[k], pool, &item->errors[k]);
        }
    }
    ingot_pool_close(pool);
    return status;
}

static void fill_groups(struct search *s)
{
    for (uint32_t i = 0; i < s->n_items; i++) {
        const struct item *item = &s->items[i];
        struct budget_group *group = &s->groups[item->group];
        group->n_options = n_options(item);
        for (uint32_t k = 0; k < group->n_options; k++) {
            group->options[k].n_bytes += item->n_bytes[k];
            group->options[k].error += item->errors[k];
        }
    }
}

/* ------------------------------------------------------------------ the choice */

static ingot_status fail_least(const struct search *s, uint64_t least, uint64_t most)
{
    if (least == 0) return ingot_fail_memory(s->error, s->n_groups, "budget");
    return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, s->c->target,
                      "the smallest encodings that the rules allow take %llu bytes, and %llu are "
                      "left for tensors",
                      (unsigned long long)least, (unsigned long long)most);
}

static ingot_status take_budget(struct search *s, uint64_t max_bytes)
{
    uint64_t least;
    if (!budget_choose(s->groups, s->n_groups, max_bytes, &least)) {
        return fail_least(s, least, max_bytes);
    }
    for (uint32_t i = 0; i < s->n_items; i++) {
        const struct item *item = &s->items[i];
        s->c->choices.of[i] = item->encodings[s->groups[item->group].chosen];
    }
    return INGOT_OK;
}

/* What the file takes besides tensors depends on the choice a little: the budget shrinks until all
 * of it fits. */
static ingot_status fit_file(struct search *s, uint64_t target_bytes)
{
    uint64_t budget = target_bytes;
    for (;;) {
        struct convert_plan plan;
        ingot_status status = take_budget(s, budget);
        if (status == INGOT_OK) status = plan_choices(s, &plan);
        if (status != INGOT_OK || plan.most_bytes <= target_bytes) return status;
        const uint64_t over = plan.most_bytes - target_bytes;
        if (over > budget) return fail_least(s, s->planned_bytes, 0);
        budget -= over;
    }
}

static ingot_status choose(struct search *s)
{
    const struct convert_options *o = s->c->options;
    ingot_status status = list_candidates(s);
    if (status == INGOT_OK) status = measure_bytes(s);
    if (status == INGOT_OK) status = measure_errors(s);
    if (status != INGOT_OK) return status;
    fill_groups(s);
    if (o->target_bytes) return fit_file(s, o->target_bytes);
    return take_budget(s, (uint64_t)(o->target_bpw / 8 * (double)s->n_weights));
}

ingot_status target_choose(struct conversion *c, const struct recipe *recipe, bool blocks,
                           ingot_status (*plan)(struct conversion *c, struct convert_plan *plan,
                                                ingot_error *error),
                           ingot_error *error)
{
    struct search s = {.c = c, .recipe = recipe, .blocks = blocks, .plan = plan, .error = error};
    const struct convert_options *options = c->options;
    struct convert_options silent = *options; /* what plans would tell is told when it is written */
    silent.note = NULL;
    silent.refused = NULL;
    if (plan == plan_safetensors) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, c->target,
                          "target sizes are for .ingot and .gguf");
    }
    c->options = &silent;
    s.n_items = model_n_tensors(c->model);
    s.items = ingot_allocate_zeroed(NULL, s.n_items, sizeof *s.items);
    c->choices.of = ingot_allocate_zeroed(NULL, s.n_items, sizeof *c->choices.of);
    const ingot_status status =
        s.items && c->choices.of
            ? choose(&s)
            : ingot_fail_memory(error, s.n_items * sizeof *s.items, "candidates");
    c->options = options;
    ingot_release(NULL, s.groups);
    ingot_release(NULL, s.items);
    return status;
}
