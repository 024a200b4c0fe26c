/* Names that are looked up in a model, and what is said when they are not there. */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "convert/model.h"

/* INGOT_NONE when there is none. */
uint32_t lookup_tensor(const struct model *model, const char *name);
uint32_t lookup_attachment(const struct model *model, const char *name);

/* What may have been meant. */
struct lookup_kinds {
    const char *noun; /* "tensor" */
    bool tensors;
    bool attachments;
};
/* Says that there is no such thing, with the nearest name there is. Returns the exit status. */
int lookup_failed(const struct model *model, const char *path, const char *name,
                  struct lookup_kinds kinds);

#endif
