/* A language model with its tokenizer on a device, and the options that say how. */
#ifndef CLI_LANGUAGE_MODEL_H
#define CLI_LANGUAGE_MODEL_H

#include <jansson.h>

#include "cli/options.h"
#include "runtime/lm.h"
#include "runtime/tokenizer.h"

struct lm_values {
    const char *device;
    const struct choice *activations;
    const struct choice *cache;
    struct texts adapters;
    uint32_t n_threads;
    uint32_t n_context;
    uint32_t n_batch;
};

extern const struct choice cache_choices[];

/* Rows of a verb's table of options; `type` is its structure of values, which has `model`. */
#define LM_OPTION(type, member) .offset = offsetof(type, model.member)
#define LM_OPTIONS(type)                                                                       \
    {"device",                                                                                 \
     'd',                                                                                      \
     OPTION_TEXT,                                                                              \
     LM_OPTION(type, device),                                                                  \
     .value_name = "cpu|N",                                                                    \
     .help = "the device to run on, as \"ingot devices\" lists them; the default is cpu"},     \
        {"adapter",                                                                            \
         0,                                                                                    \
         OPTION_TEXTS,                                                                         \
         LM_OPTION(type, adapters),                                                            \
         .value_name = "NAME",                                                                 \
         .help = "turn an adapter of the file on; may be given again"},                        \
        {"activations",                                                                        \
         0,                                                                                    \
         OPTION_CHOICE,                                                                        \
         LM_OPTION(type, activations),                                                         \
         .value_name = "HOW",                                                                  \
         .choices = activation_choices,                                                        \
         .help = "how matrices take numbers: f32, bf16 or i8"},                                \
        {"cache",                                                                              \
         0,                                                                                    \
         OPTION_CHOICE,                                                                        \
         LM_OPTION(type, cache),                                                               \
         .value_name = "TYPE",                                                                 \
         .choices = cache_choices,                                                             \
         .help = "how keys and values are kept: f16 or f32"},                                  \
        {"context",                                                                            \
         0,                                                                                    \
         OPTION_COUNT,                                                                         \
         LM_OPTION(type, n_context),                                                           \
         .value_name = "N",                                                                    \
         .help = "room for so many tokens; the default is what the model was trained for, at " \
                 "most 4096"},                                                                 \
        {"batch",                                                                              \
         0,                                                                                    \
         OPTION_COUNT,                                                                         \
         LM_OPTION(type, n_batch),                                                             \
         .value_name = "N",                                                                    \
         .help = "tokens that go through the model together; the default is 512"},             \
    {                                                                                          \
        "threads", 0, OPTION_COUNT, LM_OPTION(type, n_threads),                                \
            .value_name = "N", .help = "threads on the CPU; the default is one per core"       \
    }

struct language_model {
    const char *path;
    ingot_file *file;
    ingot_device *device;
    ingot_tokenizer *tokenizer;
    struct lm *lm;
    struct lm_memory forecast;
    uint32_t n_context;
};

/* What the options leave open, and whether the memory that it will take is told before. */
struct lm_defaults {
    ingot_dtype cache;
    ingot_activations activations;
    bool tells_memory;
};

/* The exit status; what failed was said. model is closed in any case. */
int language_model_open(const char *verb, const char *path, const struct lm_values *values,
                        struct lm_defaults defaults, struct language_model *model);
void language_model_close(struct language_model *model);

/* {"forecast": {...}, "taken": {...}, "peak": n} of all that the command holds. */
json_t *language_model_memory_json(const struct language_model *model, bool *failed);
/* The most bytes of memory that the command has had. */
uint64_t peak_bytes(void);

#endif
