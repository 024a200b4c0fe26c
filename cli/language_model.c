/* Opening a model to run it, with every failure told. */
#include "cli/language_model.h"

#include <string.h>
#include <sys/resource.h>

#include "cli/choose_device.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"
#include "format/rules.h"

const struct choice cache_choices[] = {{"f16", INGOT_F16}, {"f32", INGOT_F32}, {0}};

static int open_file(const char *path, ingot_file **file)
{
    ingot_error error = {0};
    const ingot_status status = ingot_file_open(path, NULL, file, &error);
    if (status == INGOT_OK) return EXITS_DONE;
    if (error.rule != R_101) return report_error(path, &error);
    return report_refusal(path, "is no .ingot file; \"ingot convert\" makes one of it");
}

static int check_adapters(const struct language_model *m, const struct texts *adapters)
{
    for (uint32_t i = 0; i < adapters->n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < ingot_file_n_adapters(m->file) && !found; k++) {
            const char *name;
            uint32_t n_bytes;
            ingot_file_adapter(m->file, k, &name, &n_bytes);
            found =
                strlen(adapters->at[i]) == n_bytes && memcmp(name, adapters->at[i], n_bytes) == 0;
        }
        if (!found) {
            return report_refusal(m->path, "has no adapter \"%s\"", adapters->at[i]);
        }
    }
    return EXITS_DONE;
}

static void tell_memory(const struct language_model *m)
{
    const struct lm_memory *f = &m->forecast;
    fprintf(stderr, "%s takes %s of memory: matrices %s, keys and values of %lu tokens %s\n",
            m->path, text_bytes(f->total).at, text_bytes(f->matrices).at,
            (unsigned long)m->n_context, text_bytes(f->cache).at);
}

static int open_lm(struct language_model *m, const struct lm_config *config,
                   const struct lm_values *v, struct lm_defaults defaults)
{
    ingot_error error = {0};
    struct lm_options options = {
        .n_context = v->n_context,
        .n_batch = v->n_batch,
        .cache = v->cache ? (ingot_dtype)v->cache->value : defaults.cache,
        .activations =
            v->activations ? (ingot_activations)v->activations->value : defaults.activations,
        .adapters = v->adapters.at,
        .n_adapters = v->adapters.n,
    };
    if (options.n_context == 0) {
        const bool longer = config->n_context == 0 || config->n_context > LM_DEFAULT_CONTEXT;
        options.n_context = longer ? LM_DEFAULT_CONTEXT : config->n_context;
    }
    m->n_context = options.n_context;
    ingot_status status = lm_forecast(m->file, m->device, &options, &m->forecast, &error);
    if (status == INGOT_OK && defaults.tells_memory) tell_memory(m);
    if (status == INGOT_OK) status = lm_open(m->file, m->device, &options, NULL, &m->lm, &error);
    return status == INGOT_OK ? EXITS_DONE : report_error(m->path, &error);
}

static int open_tokenizer(struct language_model *m)
{
    ingot_error error = {0};
    const ingot_status status = tokenizer_open(m->file, NULL, &m->tokenizer, &error);
    if (status == INGOT_NOT_FOUND) return report_refusal(m->path, "tokenizer: %s", error.what);
    return status == INGOT_OK ? EXITS_DONE : report_error(m->path, &error);
}

/* A vocabulary may be filled up to a round number of rows that no token has. */
static int check_fit(const struct language_model *m, uint32_t n_vocab)
{
    const uint32_t n_tokens = tokenizer_n_tokens(m->tokenizer);
    if (n_tokens <= n_vocab) return EXITS_DONE;
    return report_refusal(m->path,
                          "the tokenizer does not fit: it has %lu tokens, and the model "
                          "rows for %lu",
                          (unsigned long)n_tokens, (unsigned long)n_vocab);
}

int language_model_open(const char *verb, const char *path, const struct lm_values *values,
                        struct lm_defaults defaults, struct language_model *model)
{
    ingot_error error = {0};
    struct lm_config config;
    uint32_t device;
    *model = (struct language_model){.path = path};
    int status = choose_device(verb, values->device, &device);
    if (status == EXITS_DONE) status = open_file(path, &model->file);
    if (status == EXITS_DONE) status = check_adapters(model, &values->adapters);
    if (status == EXITS_DONE && ingot_device_open(device, values->n_threads, NULL, NULL,
                                                  &model->device, &error) != INGOT_OK) {
        status = report_error(NULL, &error);
    }
    if (status == EXITS_DONE && lm_config_read(model->file, NULL, &config, &error) != INGOT_OK) {
        status = report_error(path, &error);
    }
    if (status == EXITS_DONE) status = open_tokenizer(model);
    if (status == EXITS_DONE && config.n_vocab > 0) status = check_fit(model, config.n_vocab);
    if (status == EXITS_DONE) status = open_lm(model, &config, values, defaults);
    if (status == EXITS_DONE) status = check_fit(model, lm_config(model->lm)->n_vocab);
    return status;
}

void language_model_close(struct language_model *model)
{
    tokenizer_close(model->tokenizer);
    lm_close(model->lm);
    if (model->device) ingot_device_close(model->device);
    ingot_file_close(model->file);
    *model = (struct language_model){0};
}

uint64_t peak_bytes(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)usage.ru_maxrss * 1024; /* Linux counts in KiB */
}

static json_t *memory_json(const struct lm_memory *m, bool *failed)
{
    json_t *object = json_object();
    json_put(object, "matrices", json_count(m->matrices), failed);
    json_put(object, "vectors", json_count(m->vectors), failed);
    json_put(object, "embedding", json_count(m->embedding), failed);
    json_put(object, "cache", json_count(m->cache), failed);
    json_put(object, "scratch", json_count(m->scratch), failed);
    json_put(object, "total", json_count(m->total), failed);
    return object;
}

json_t *language_model_memory_json(const struct language_model *model, bool *failed)
{
    json_t *object = json_object();
    json_put(object, "forecast", memory_json(&model->forecast, failed), failed);
    json_put(object, "taken", memory_json(lm_memory(model->lm), failed), failed);
    json_put(object, "peak", json_count(peak_bytes()), failed);
    return object;
}
