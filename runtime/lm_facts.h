/* Facts about a language model by name: members of config.json, or keys of GGUF's metadata. */
#ifndef INGOT_LM_FACTS_H
#define INGOT_LM_FACTS_H

#include <jansson.h>

#include "format/ingot.h"

struct lm_facts {
    json_t *config;           /* the object of config.json; NULL: facts are those of GGUF */
    const json_t *rope;       /* its rope_parameters or rope_scaling, or NULL */
    ingot_metadata *metadata; /* NULL beside config.json */
    char architecture[64];    /* model_type, or general.architecture */
};

/* Closed with lm_facts_close. INGOT_REFUSED when the file has neither. */
ingot_status lm_facts_open(const ingot_file *file, const ingot_allocator *allocator,
                           struct lm_facts *facts, ingot_error *error);
void lm_facts_close(struct lm_facts *facts);

/* A fact under its name in config.json and in GGUF (after the architecture's), either of which may
 * be NULL. INGOT_NOT_FOUND when there is none, or it is null; INGOT_INVALID when it is no number,
 * truth or text. What *value points to lives as long as the facts. */
ingot_status lm_fact(const struct lm_facts *facts, const char *key, const char *gguf_key,
                     ingot_value *value, ingot_error *error);
/* The same for facts of rotary positions, which config.json may have in an object of their own. */
ingot_status lm_fact_of_rope(const struct lm_facts *facts, const char *key, const char *gguf_key,
                             ingot_value *value, ingot_error *error);

/* The same into these, which keep their value when the fact is not there. A number that is not
 * finite, or no whole one from 0 to `most` where a count is wanted, is INGOT_INVALID. */
ingot_status lm_value_count(const ingot_value *value, const char *name, uint32_t most,
                            uint32_t *count, ingot_error *error);
ingot_status lm_value_number(const ingot_value *value, const char *name, double *number,
                             ingot_error *error);
bool lm_value_is(const ingot_value *value, const char *text);

#endif
