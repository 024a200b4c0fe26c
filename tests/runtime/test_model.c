/* Models of every architecture, with the names of Hugging Face and of GGUF, against a forward pass
 * in double; and files that do not fit. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/lm.h"
#include "tests/support/failing_memory.h"
#include "tests/support/folder.h"
#include "tests/support/toy_adapter.h"
#include "tests/support/toy_lm.h"

static ingot_device *device;

static const struct toy_lm llama = {.architecture = "llama", .n_context = 64};

static void list_tokens(uint32_t *tokens, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) tokens[i] = (i * 7 + i * i * 3 + 5) % TOY_VOCAB;
}

static ingot_file *open_toy(const struct toy_lm *toy, const struct folder *folder)
{
    const char *path = folder_path(folder, "toy.ingot");
    ingot_file *file = NULL;
    toy_write(toy, path);
    assert_int_equal(ingot_file_open(path, NULL, &file, NULL), INGOT_OK);
    return file;
}

static struct lm *open_lm(const ingot_file *file, const struct lm_options *options)
{
    struct lm *lm = NULL;
    ingot_error error = {.what = ""};
    const ingot_status status = lm_open(file, device, options, NULL, &lm, &error);
    if (status != INGOT_OK) fail_msg("%s: %s", error.field, error.what);
    return lm;
}

/* Feeds n tokens, of which the first `n_first` in one call, and compares all logits. */
static void compare(struct lm *lm, const struct toy_lm *toy, uint32_t n, uint32_t n_first,
                    double tolerance)
{
    uint32_t tokens[TOY_MAX_TOKENS] = {0};
    double *wanted = calloc((size_t)n * TOY_VOCAB, sizeof *wanted);
    float *logits = calloc((size_t)n * TOY_VOCAB, sizeof *logits);
    double largest = 0;
    list_tokens(tokens, n);
    toy_logits(toy, tokens, n, wanted);
    lm_rewind(lm, 0);
    for (uint32_t at = 0; at < n;) {
        const uint32_t n_now = at == 0 ? n_first : 1;
        assert_int_equal(lm_feed(lm, tokens + at, n_now, NULL), INGOT_OK);
        assert_int_equal(lm_n_last(lm), n_now);
        assert_int_equal(lm_logits(lm, 0, n_now, logits + (size_t)at * TOY_VOCAB, NULL), INGOT_OK);
        at += n_now;
        assert_int_equal(lm_n_past(lm), at);
    }
    for (size_t i = 0; i < (size_t)n * TOY_VOCAB; i++) {
        largest = fmax(largest, fabs((double)logits[i] - wanted[i]));
    }
    if (!(largest < tolerance)) {
        fail_msg("%s%s: logits differ by %g", toy->architecture, toy->gguf ? ", GGUF" : "",
                 largest);
    }
    free(logits);
    free(wanted);
}

static void check_toy(const struct folder *folder, struct toy_lm toy)
{
    const struct lm_options f32 = {.cache = INGOT_F32, .n_context = toy.n_context};
    const struct lm_options f16 = {.cache = INGOT_F16, .n_context = toy.n_context};
    toy_make(&toy, 1);
    ingot_file *file = open_toy(&toy, folder);
    struct lm *lm = open_lm(file, &f32);
    compare(lm, &toy, 48, 48, 2e-5);
    compare(lm, &toy, 48, 33, 2e-5); /* and again from the beginning, with other cuts */
    compare(lm, &toy, 20, 1, 2e-5);
    lm_close(lm);
    lm = open_lm(file, &f16);
    compare(lm, &toy, 48, 40, 2e-2);
    lm_close(lm);
    ingot_file_close(file);
    toy_release(&toy);
}

static void check_both(void **state, struct toy_lm toy)
{
    check_toy(*state, toy);
    toy.gguf = true;
    check_toy(*state, toy);
}

/* ------------------------------------------------------------------ architectures */

static void test_llama(void **state)
{
    struct toy_lm toy = llama;
    check_toy(*state, toy);
    toy.gguf = toy.interleaved = true;
    check_toy(*state, toy);
    toy.tied = true;
    check_toy(*state, toy);
    toy.gguf = toy.interleaved = false;
    check_toy(*state, toy);
}

static void test_mistral(void **state)
{
    struct toy_lm toy = {.architecture = "mistral", .window = 7, .n_context = 64};
    check_toy(*state, toy);
    toy.window = 40; /* over blocks of keys */
    check_toy(*state, toy);
    toy.gguf = toy.interleaved = true;
    check_toy(*state, toy);
}

static void test_qwen2(void **state)
{
    const struct toy_lm toy = {.architecture = "qwen2", .biases = true, .n_context = 64};
    check_both(state, toy);
}

static void test_qwen3(void **state)
{
    const struct toy_lm toy = {
        .architecture = "qwen3", .qk_norms = true, .tied = true, .n_context = 64};
    check_both(state, toy);
}

static void test_mixtral(void **state)
{
    struct toy_lm toy = {.architecture = "mixtral",
                         .mixtral_names = true,
                         .n_experts = 5,
                         .n_experts_used = 2,
                         .norm_topk = true,
                         .n_context = 64};
    check_toy(*state, toy);
    toy.gguf = toy.interleaved = true;
    check_toy(*state, toy);
}

static void test_qwen_experts(void **state)
{
    struct toy_lm toy = {.architecture = "qwen2_moe",
                         .biases = true,
                         .n_experts = 6,
                         .n_experts_used = 3,
                         .shared_expert = true,
                         .n_context = 64};
    check_both(state, toy);
    toy = (struct toy_lm){.architecture = "qwen3_moe",
                          .qk_norms = true,
                          .n_experts = 6,
                          .n_experts_used = 2,
                          .norm_topk = true,
                          .n_context = 64};
    check_both(state, toy);
}

/* ------------------------------------------------------------------ rotary positions */

static double plain_frequency(uint32_t i)
{
    return pow(10000, -2.0 * i / TOY_HEAD_DIM);
}

static void test_linear(void **state)
{
    struct toy_lm toy = llama;
    toy.rope = "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0},";
    for (uint32_t i = 0; i < 4; i++) toy.frequencies[i] = plain_frequency(i) / 4;
    check_toy(*state, toy);
}

static void test_theta(void **state)
{
    struct toy_lm toy = llama;
    toy.rope = "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 500.0},";
    for (uint32_t i = 0; i < 4; i++) toy.frequencies[i] = pow(500, -2.0 * i / TOY_HEAD_DIM);
    check_toy(*state, toy);
}

/* Wavelengths are 6.3, 63, 628 and 6283: against 80 positions the first is kept, the last two are
 * scaled, and the second lies between: 80 / 62.83 = 1.273 turns, of 1 to 4. */
static void test_llama3(void **state)
{
    struct toy_lm toy = llama;
    toy.rope = "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, "
               "\"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
               "\"original_max_position_embeddings\": 80},";
    const double share = (80 / (2 * 3.14159265358979323846 * 10) - 1) / 3;
    toy.frequencies[0] = 1;
    toy.frequencies[1] = 0.1 * ((1 - share) / 8 + share);
    toy.frequencies[2] = 0.01 / 8;
    toy.frequencies[3] = 0.001 / 8;
    check_toy(*state, toy);
}

/* Pairs that turn 32 times and once over 1000 positions: 4 log10(1000 / (2 pi n)) / 4 is 0.7 and
 * 2.2, so that the ramp goes from 0 to 3. */
static void test_yarn(void **state)
{
    struct toy_lm toy = llama;
    toy.rope = "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 16.0, "
               "\"original_max_position_embeddings\": 1000},";
    for (uint32_t i = 0; i < 4; i++) {
        toy.frequencies[i] = plain_frequency(i) * (i / 3.0 / 16 + (1 - i / 3.0));
    }
    toy.magnitude = 0.1 * log(16) + 1;
    check_toy(*state, toy);
}

static void test_dynamic(void **state)
{
    struct toy_lm toy = llama;
    toy.rope = "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0, "
               "\"original_max_position_embeddings\": 32},";
    const double base = 10000 * pow(2.0 * 64 / 32 - 1, 8.0 / 6);
    for (uint32_t i = 0; i < 4; i++) toy.frequencies[i] = pow(base, -2.0 * i / TOY_HEAD_DIM);
    check_toy(*state, toy);
}

/* ------------------------------------------------------------------ adapters */

/* Off, it changes nothing; on, the model is that of the merged weights. */
static void test_adapter(void **state)
{
    static const char *const names[] = {"poems"};
    struct lm_options options = {.cache = INGOT_F32, .n_context = 64};
    struct toy_lm toy = llama;
    toy.adapter = names[0];
    for (int tied = 0; tied < 2; tied++) {
        toy.tied = tied;
        toy_make(&toy, 1);
        ingot_file *file = open_toy(&toy, *state);
        options.n_adapters = 0;
        struct lm *lm = open_lm(file, &options);
        compare(lm, &toy, 48, 40, 2e-5);
        lm_close(lm);
        toy_adapter_merge(&toy);
        options.adapters = names;
        options.n_adapters = 1;
        lm = open_lm(file, &options);
        compare(lm, &toy, 48, 40, 5e-5);
        lm_close(lm);
        ingot_file_close(file);
        toy_release(&toy);
    }
}

/* ------------------------------------------------------------------ what does not fit */

static void refuses(void **state, struct toy_lm toy, ingot_status wanted, const char *named)
{
    const struct lm_options options = {.cache = INGOT_F32};
    struct lm *lm = NULL;
    struct lm_memory memory = {.total = 77};
    ingot_error error = {.what = ""};
    char all[400];
    toy_make(&toy, 1);
    ingot_file *file = open_toy(&toy, *state);
    assert_int_equal(lm_open(file, device, &options, NULL, &lm, &error), wanted);
    assert_null(lm);
    snprintf(all, sizeof all, "%s: %s", error.field, error.what);
    if (strstr(all, named) == NULL) fail_msg("\"%s\" does not name %s", all, named);
    assert_int_equal(lm_forecast(file, device, &options, &memory, NULL), wanted);
    assert_int_equal(memory.total, 77);
    ingot_file_close(file);
    toy_release(&toy);
}

static void test_wrong_tensors(void **state)
{
    struct toy_lm toy = llama;
    toy.leave_out = "model.layers.1.self_attn.k_proj.weight";
    refuses(state, toy, INGOT_INVALID, toy.leave_out);
    toy.leave_out = "lm_head.weight";
    refuses(state, toy, INGOT_INVALID, toy.leave_out);
    toy.leave_out = "model.embed_tokens.weight";
    refuses(state, toy, INGOT_INVALID, toy.leave_out);
    toy.leave_out = NULL;
    toy.widen = "model.layers.0.mlp.down_proj.weight";
    refuses(state, toy, INGOT_INVALID, toy.widen);
    toy.widen = "model.norm.weight";
    refuses(state, toy, INGOT_INVALID, toy.widen);
    toy.widen = NULL;
    toy.extra = "model.layers.0.self_attn.sinks";
    refuses(state, toy, INGOT_UNSUPPORTED, toy.extra);
    toy.extra = "model.layers.2.self_attn.q_proj.weight";
    refuses(state, toy, INGOT_UNSUPPORTED, toy.extra);
    toy.extra = "model.layers.0.self_attn.q_norm.weight"; /* llama has none */
    refuses(state, toy, INGOT_UNSUPPORTED, toy.extra);
    toy = (struct toy_lm){.architecture = "qwen2", .n_context = 64};
    refuses(state, toy, INGOT_INVALID, "model.layers.0.self_attn.q_proj.bias");
    toy.gguf = true;
    refuses(state, toy, INGOT_INVALID, "blk.0.attn_q.bias");
    toy = (struct toy_lm){.architecture = "mixtral",
                          .gguf = true,
                          .n_experts = 4,
                          .n_experts_used = 2,
                          .n_context = 64,
                          .widen = "blk.1.ffn_up_exps.weight"};
    refuses(state, toy, INGOT_INVALID, toy.widen);
}

static void test_wrong_facts(void **state)
{
    static const struct {
        const char *more;
        ingot_status status;
        const char *named;
    } rows[] = {
        {"\"hidden_act\": \"gelu\",", INGOT_INVALID, "config.json"}, /* there twice */
        {"\"layer_types\": [\"full_attention\"],", INGOT_INVALID, "layer_types"},
        {"\"layer_types\": [\"full_attention\", \"mamba\"],", INGOT_UNSUPPORTED, "mamba"},
        {"\"layer_types\": [\"full_attention\", \"sliding_attention\"],", INGOT_INVALID,
         "layer_types"},
        {"\"rope_scaling\": {\"rope_type\": \"longrope\", \"factor\": 2},", INGOT_UNSUPPORTED,
         "longrope"},
        {"\"rope_scaling\": {\"rope_type\": \"linear\"},", INGOT_INVALID, "factor"},
        {"\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 2},", INGOT_INVALID,
         "high_freq_factor"},
        {"\"rope_theta\": 0.5,", INGOT_INVALID, "rope_theta"},
        {"\"rope_theta\": \"x\",", INGOT_INVALID, "rope_theta"},
        {"\"partial_rotary_factor\": 0.1,", INGOT_INVALID, "rotary"},
        {"\"attention_bias\": 2,", INGOT_INVALID, "attention_bias"},
        {"\"mlp_bias\": true,", INGOT_INVALID, "model.layers.0.mlp.gate_proj.bias"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct toy_lm toy = llama;
        toy.more = rows[i].more;
        refuses(state, toy, rows[i].status, rows[i].named);
    }
    struct toy_lm toy = llama;
    toy.architecture = "gpt2";
    refuses(state, toy, INGOT_UNSUPPORTED, "gpt2");
    toy.gguf = true;
    refuses(state, toy, INGOT_UNSUPPORTED, "gpt2");
}

static void test_calls(void **state)
{
    const struct lm_options options = {.cache = INGOT_F32, .n_context = 8, .n_batch = 3};
    const uint32_t tokens[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, wrong = TOY_VOCAB;
    struct toy_lm toy = llama;
    toy_make(&toy, 1);
    ingot_file *file = open_toy(&toy, *state);
    struct lm *lm = open_lm(file, &options);
    assert_int_equal(lm_feed(lm, &wrong, 1, NULL), INGOT_REFUSED);
    assert_int_equal(lm_feed(lm, tokens, 9, NULL), INGOT_REFUSED);
    assert_int_equal(lm_feed(lm, tokens, 8, NULL), INGOT_OK);
    assert_int_equal(lm_n_last(lm), 2); /* 3, 3 and 2 */
    assert_int_equal(lm_feed(lm, tokens, 1, NULL), INGOT_REFUSED);
    lm_rewind(lm, 7);
    assert_int_equal(lm_feed(lm, tokens, 1, NULL), INGOT_OK);
    lm_close(lm);
    ingot_file_close(file);
    toy_release(&toy);
}

static void test_forecast(void **state)
{
    const struct lm_options options = {.cache = INGOT_F16, .n_context = 40};
    struct lm_memory forecast;
    struct toy_lm toy = llama;
    toy_make(&toy, 1);
    ingot_file *file = open_toy(&toy, *state);
    assert_int_equal(lm_forecast(file, device, &options, &forecast, NULL), INGOT_OK);
    struct lm *lm = open_lm(file, &options);
    const struct lm_memory *taken = lm_memory(lm);
    assert_true(taken->matrices > 0 && taken->matrices <= forecast.matrices);
    assert_int_equal(taken->vectors, forecast.vectors);
    assert_int_equal(taken->cache, forecast.cache);
    /* 64 positions of keys and values of 2 heads of 8, in f16, in 2 layers */
    assert_int_equal(taken->cache, 64 * 2 * 2 * 8 * 2 * 2);
    assert_int_equal(taken->scratch, forecast.scratch);
    assert_true(taken->total <= forecast.total);
    lm_close(lm);
    ingot_file_close(file);
    toy_release(&toy);
}

static ingot_status attempt(void *context, const ingot_allocator *allocator, ingot_error *error)
{
    const struct lm_options options = {.cache = INGOT_F32, .n_context = 8};
    struct lm *lm = NULL;
    const ingot_status status = lm_open(context, device, &options, allocator, &lm, error);
    lm_close(lm);
    return status;
}

static void test_memory(void **state)
{
    struct toy_lm toy = {.architecture = "qwen2_moe",
                         .biases = true,
                         .n_experts = 2,
                         .n_experts_used = 1,
                         .shared_expert = true,
                         .n_context = 64};
    toy_make(&toy, 1);
    ingot_file *file = open_toy(&toy, *state);
    assert_true(fail_every_allocation(attempt, file) > 20);
    ingot_file_close(file);
    toy_release(&toy);
}

static int open_device(void **state)
{
    (void)state;
    return ingot_device_open(INGOT_DEVICE_CPU, 2, NULL, NULL, &device, NULL) == INGOT_OK ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    ingot_device_close(device);
    return 0;
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_llama),         IN_FOLDER(test_mistral),     IN_FOLDER(test_qwen2),
        IN_FOLDER(test_qwen3),         IN_FOLDER(test_mixtral),     IN_FOLDER(test_qwen_experts),
        IN_FOLDER(test_linear),        IN_FOLDER(test_theta),       IN_FOLDER(test_llama3),
        IN_FOLDER(test_yarn),          IN_FOLDER(test_dynamic),     IN_FOLDER(test_adapter),
        IN_FOLDER(test_wrong_tensors), IN_FOLDER(test_wrong_facts), IN_FOLDER(test_calls),
        IN_FOLDER(test_forecast),      IN_FOLDER(test_memory),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
