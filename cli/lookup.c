/* Looks names up in models. */
#include "cli/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/text.h"

uint32_t lookup_tensor(const struct model *model, const char *name)
{
    uint32_t index;
    return model_find(model, name, strlen(name), &index) == INGOT_OK ? index : INGOT_NONE;
}

uint32_t lookup_attachment(const struct model *model, const char *name)
{
    for (uint32_t i = 0; i < model_n_attachments(model); i++) {
        struct model_attachment attachment;
        model_attachment(model, i, &attachment);
        if (strcmp(attachment.name, name) == 0) return i;
    }
    return INGOT_NONE;
}

/* Offers a name, and keeps a safe copy of it when it is the best so far. */
static void offer(struct nearest *nearest, char **best, const char *name, size_t n_bytes)
{
    char *candidate = text_safe(name, n_bytes);
    if (!candidate) return;
    nearest_offer(nearest, candidate);
    if (nearest->best == candidate) {
        free(*best);
        *best = candidate;
    } else {
        free(candidate);
    }
}

int lookup_failed(const struct model *model, const char *path, const char *name,
                  struct lookup_kinds kinds)
{
    struct nearest nearest = {.word = name};
    char *best = NULL;
    for (uint32_t i = 0; kinds.tensors && i < model_n_tensors(model); i++) {
        struct model_tensor t;
        model_tensor(model, i, &t);
        offer(&nearest, &best, t.name, t.name_bytes);
    }
    for (uint32_t i = 0; kinds.attachments && i < model_n_attachments(model); i++) {
        struct model_attachment a;
        model_attachment(model, i, &a);
        offer(&nearest, &best, a.name, strlen(a.name));
    }
    const int status = best ? report_refusal(path, "there is no %s \"%s\"; did you mean \"%s\"?",
                                             kinds.noun, name, best)
                            : report_refusal(path, "there is no %s \"%s\"", kinds.noun, name);
    free(best);
    return status;
}
