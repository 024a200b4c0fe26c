/* Memory for tables that grow with a model's number of tensors: what is large lies in nameless
 * files, which the system may write out, in place of anonymous memory, which it may not. */
#ifndef INGOT_CONVERT_SPILL_H
#define INGOT_CONVERT_SPILL_H

#include "format/ingot.h"

enum { SPILL_BYTES = 4 << 20 };

/* Blocks of SPILL_BYTES and more are mapped from files without a name in `folder`, which must
 * outlive the allocator; all others, and those that cannot be had there, come from malloc. For any
 * number of threads. */
ingot_allocator spill_allocator(const char *folder);

#endif
