/* The rules of the specification by number. The table stands once, in spec/ingot-v1.md; the build
 * turns it into rules.inc, so a rule that is cited here and not written there does not compile. */
#ifndef INGOT_RULES_H
#define INGOT_RULES_H

#include <stdint.h>

enum ingot_rule {
#define RULE(number, text) R_##number = number,
#include "rules.inc"
#undef RULE
    R_NONE = 0
};

/* Text of a rule, or NULL when there is no such rule. */
const char *ingot_rule_text(uint32_t rule);

#endif
