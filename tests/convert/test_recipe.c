/* Recipes: names and roles, layers, rules in their order, and JSON that is refused. */
#include "tests/convert/conversions.h"

#include "convert/recipe.h"

static void test_roles(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t role, layer;
    } cases[] = {
        {"token_embd.weight", ROLE_EMBEDDING, INGOT_NONE},
        {"model.embed_tokens.weight", ROLE_EMBEDDING, INGOT_NONE},
        {"output.weight", ROLE_OUTPUT, INGOT_NONE},
        {"lm_head.weight", ROLE_OUTPUT, INGOT_NONE},
        {"output_norm.weight", ROLE_NORM, INGOT_NONE},
        {"model.layers.11.input_layernorm.weight", ROLE_NORM, 11},
        {"blk.3.attn_q_norm.weight", ROLE_NORM, 3},
        {"blk.0.attn_q.weight", ROLE_ATTN_Q, 0},
        {"blk.0.attn_q.bias", ROLE_BIAS, 0},
        {"model.layers.2.self_attn.v_proj.weight", ROLE_ATTN_V, 2},
        {"model.layers.2.self_attn.o_proj.weight", ROLE_ATTN_OUTPUT, 2},
        {"blk.7.ffn_gate_inp.weight", ROLE_ROUTER, 7},
        {"model.layers.7.mlp.gate.weight", ROLE_ROUTER, 7},
        {"model.layers.7.mlp.gate_proj.weight", ROLE_FFN_GATE, 7},
        {"model.layers.7.block_sparse_moe.experts.3.w2.weight", ROLE_FFN_DOWN, 7},
        {"blk.7.ffn_down_exps.weight", ROLE_FFN_DOWN, 7},
        {"transformer.h.5.attn.c_attn.weight", ROLE_ATTN_QKV, 5},
        {"transformer.h.5.mlp.c_proj.weight", ROLE_FFN_DOWN, 5},
        {"anything", ROLE_OTHER, INGOT_NONE},
        {"layers.99999999999.w", ROLE_OTHER, INGOT_NONE},
        {"slayers.1.w", ROLE_OTHER, INGOT_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct place place = place_of(cases[i].name, (uint32_t)strlen(cases[i].name));
        if (place.role != cases[i].role || place.layer != cases[i].layer) {
            fail_msg("%s: role %u, layer %u", cases[i].name, place.role, place.layer);
        }
    }
}

/* What a mix gives a matrix of 256 columns of a model. */
static const char *given(const char *mix, const char *name, const struct model_facts *facts)
{
    const struct recipe recipe = mix_recipe(mix_named(mix));
    const struct model_tensor t = {.name = name,
                                   .name_bytes = (uint32_t)strlen(name),
                                   .rank = 2,
                                   .dims = {64, 256},
                                   .n_rows = 64,
                                   .n_cols = 256};
    const struct rule *rule = recipe_rule(&recipe, &t, facts);
    return rule ? rule->encode[0] : "keep";
}

static void test_mixes(void **state)
{
    (void)state;
    static const struct {
        const char *mix, *name, *encode;
    } cases[] = {
        {"Q4_K_M", "output.weight", "q6_k"},
        {"Q4_K_M", "token_embd.weight", "q4_k"},
        {"q4_k", "blk.3.ffn_down.weight", "q6_k"}, /* the first eighth of 32 layers */
        {"Q4_K_M", "blk.4.ffn_down.weight", "q4_k"},
        {"Q4_K_M", "blk.6.attn_v.weight", "q6_k"},  /* every third of the middle */
        {"Q4_K_M", "blk.28.attn_v.weight", "q6_k"}, /* the last eighth */
        {"Q4_K_M", "blk.28.attn_k.weight", "q4_k"},
        {"Q4_K_M", "blk.28.ffn_gate_inp.weight", "keep"},
        {"Q3_K_M", "blk.1.attn_v.weight", "q5_k"},
        {"Q3_K_M", "blk.2.attn_v.weight", "q4_k"},
        {"Q2_K", "blk.2.attn_output.weight", "q3_k"},
        {"Q8_0", "output.weight", "q8_0"},
        {"Q4_K_S", "blk.3.attn_v.weight", "q5_k"},
        {"Q4_K_S", "blk.4.attn_v.weight", "q4_k"},
    };
    struct model_facts facts = {.n_layers = 32, .n_shared = 1, .has_output = true};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(given(cases[i].mix, cases[i].name, &facts), cases[i].encode);
    }
    assert_null(mix_named("Q9"));
    const struct mix *mix;
    facts.n_layers = 2;
    for (uint32_t i = 0; (mix = mix_at(i)) != NULL; i++) {
        assert_ptr_equal(mix_named(mix->name), mix);
        assert_string_not_equal(given(mix->name, "blk.1.attn_k.weight", &facts), "keep");
    }
}

/* What the model as a whole decides: shared heads, experts, an imatrix, and an embedding that is
 * the output as well. */
static void test_mixes_of_models(void **state)
{
    (void)state;
    static const struct {
        const char *mix, *name;
        struct model_facts facts;
        const char *encode;
    } cases[] = {
        {"Q2_K", "blk.1.attn_v.weight", {32, 1, 0, true, false}, "q3_k"},
        {"Q2_K", "blk.1.attn_v.weight", {32, 4, 0, true, false}, "q4_k"},
        {"IQ4_XS", "blk.9.attn_v.weight", {32, 8, 0, true, false}, "q5_k"},
        {"IQ4_XS", "blk.1.ffn_down.weight", {32, 1, 0, true, false}, "q5_k"},
        {"IQ4_XS", "blk.1.ffn_down.weight", {32, 1, 0, true, true}, "iq4_xs"},
        {"Q4_0", "blk.1.ffn_down.weight", {32, 1, 0, true, true}, "q4_1"},
        {"Q4_K_M", "blk.9.attn_v.weight", {80, 8, 0, true, true}, "q6_k"},
        {"Q4_K_M", "blk.11.attn_v.weight", {80, 8, 0, true, true}, "q5_k"},
        {"Q4_K_M", "blk.9.attn_k.weight", {32, 4, 8, true, true}, "q8_0"},
        {"Q4_K_M", "blk.9.attn_output.weight", {32, 4, 8, true, true}, "q5_k"},
        {"Q4_K_M", "blk.9.attn_output.weight", {32, 4, 16, true, true}, "q4_k"},
        {"Q4_K_M", "token_embd.weight", {32, 4, 0, false, false}, "q6_k"},
        {"IQ2_XS", "token_embd.weight", {32, 4, 0, false, true}, "q5_k"},
        {"IQ2_XS", "token_embd.weight", {32, 4, 0, true, true}, "q2_k"},
        {"IQ2_XS", "blk.9.attn_v.weight", {32, 1, 4, true, true}, "q4_k"},
        {"IQ2_M", "blk.9.attn_v.weight", {32, 1, 0, true, true}, "iq3_s"},
        {"IQ2_M", "blk.9.attn_q.weight", {32, 1, 0, true, true}, "iq2_s"},
        {"IQ3_XS", "blk.3.ffn_up.weight", {32, 1, 0, true, true}, "iq3_s"},
        {"IQ3_XS", "blk.4.ffn_up.weight", {32, 1, 0, true, true}, "iq3_xxs"},
        {"IQ3_XS", "blk.27.ffn_up.weight", {32, 1, 0, true, true}, "iq3_xxs"},
        {"IQ3_XS", "blk.28.ffn_up.weight", {32, 1, 0, true, true}, "iq3_s"},
        {"IQ3_XXS", "blk.9.attn_v.weight", {32, 1, 0, true, false}, "iq3_s"},
        {"IQ3_XXS", "blk.9.attn_v.weight", {32, 1, 0, true, true}, "iq3_xxs"},
        {"IQ3_XXS", "blk.9.ffn_down.weight", {32, 1, 0, true, false}, "q3_k"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *encode = given(cases[i].mix, cases[i].name, &cases[i].facts);
        if (strcmp(encode, cases[i].encode) != 0) fail_msg("case %zu: %s", i, encode);
    }
}

static void test_json(void **state)
{
    static const struct {
        const char *text, *what; /* what: NULL when it is fine */
    } cases[] = {
        {"{\"rules\": [{\"encode\": \"int4\"}]}", NULL},
        {"{\"about\": \"x\", \"rules\": [{\"name\": \"*\", \"role\": [\"norm\", \"attn_q\"], "
         "\"layers\": {\"first\": 1, \"last\": 2, \"first_part\": 8, \"more\": true}, "
         "\"min_weights\": 4096, \"cols_multiple\": 32, \"encode\": [\"q4_k\", \"keep\"]}]}",
         NULL},
        {"[]", "recipe: it is to be an object"},
        {"{\"rules\": []}", "rules: it is to be a list"},
        {"{\"rule\": []}", "rule: there is no such key"},
        {"{\"rules\": [{}]}", "rule 1: encode: it is missing"},
        {"{\"rules\": [{\"encode\": \"int4\"}, {\"encode\": \"int99\"}]}",
         "rule 2: encode: there is no preset 'int99'"},
        {"{\"rules\": [{\"encode\": []}]}", "rule 1: encode: a list is to have"},
        {"{\"rules\": [{\"role\": \"nose\", \"encode\": \"int4\"}]}",
         "rule 1: role: 'nose' is none"},
        {"{\"rules\": [{\"role\": [], \"encode\": \"int4\"}]}", "rule 1: role: the list is empty"},
        {"{\"rules\": [{\"layers\": {}, \"encode\": \"int4\"}]}", "rule 1: layers: it is to be"},
        {"{\"rules\": [{\"layers\": {\"most\": 1}, \"encode\": \"int4\"}]}",
         "rule 1: layers: 'most' is none"},
        {"{\"rules\": [{\"layers\": {\"first\": 0}, \"encode\": \"int4\"}]}",
         "rule 1: layers: it is to be a whole number"},
        {"{\"rules\": [{\"min_weights\": -1, \"encode\": \"int4\"}]}", "rule 1: min_weights: "},
        {"{\"rules\": [{\"pattern\": \"x\", \"encode\": \"int4\"}]}",
         "rule 1: pattern: there is no such key"},
        {"{\"rules\": [{\"encode\": \"int4\", \"encode\": \"int4\"}]}", "line 1: duplicate"},
        {"{\"rules\": [", "line 1: "},
    };
    char *path = scratch_path(state, "recipe.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct recipe recipe = {0};
        ingot_error error = {0};
        file_write(path, cases[i].text, strlen(cases[i].text));
        const ingot_status status = recipe_open(path, &recipe, &error);
        assert_int_equal(status, cases[i].what ? INGOT_INVALID : INGOT_OK);
        if (cases[i].what && !strstr(error.what, cases[i].what)) {
            fail_msg("%s: \"%s\"", cases[i].text, error.what);
        }
        if (cases[i].what) assert_string_equal(error.field, path);
        recipe_close(&recipe);
    }
    struct recipe recipe;
    ingot_error error = {0};
    assert_int_equal(recipe_open("/nowhere/recipe.json", &recipe, &error), INGOT_IO);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_mixes),
        cmocka_unit_test(test_mixes_of_models),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
