/* The verbs, one file each. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "cli/options.h"

extern const struct verb verb_bench;
extern const struct verb verb_compare;
extern const struct verb verb_convert;
extern const struct verb verb_devices;
extern const struct verb verb_eval;
extern const struct verb verb_extract;
extern const struct verb verb_inspect;
extern const struct verb verb_report;
extern const struct verb verb_restore;
extern const struct verb verb_run;
extern const struct verb verb_validate;

#endif
