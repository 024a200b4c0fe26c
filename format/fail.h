/* How a failure is made and told. Owns nothing; knows ingot.h. */
#ifndef INGOT_FAIL_H
#define INGOT_FAIL_H

#include "format/compiler.h"
#include "format/ingot.h"

/* Fills *error (which may be NULL) and returns status. `field` names what was being read or done,
 * the formatted text says what is wrong with it. */
ingot_status ingot_fail(ingot_error *error, ingot_status status, uint64_t offset, const char *field,
                        const char *format, ...) INGOT_PRINTF(5, 6);

/* A broken rule of the specification: status INGOT_INVALID (or INGOT_DAMAGED for the checksum
 * rules), rule one of format/rules.h. */
ingot_status ingot_fail_rule(ingot_error *error, uint32_t rule, uint64_t offset, const char *field,
                             const char *format, ...) INGOT_PRINTF(5, 6);

/* INGOT_NO_MEMORY for n_bytes bytes that were wanted for `what`. */
ingot_status ingot_fail_memory(ingot_error *error, uint64_t n_bytes, const char *what);

#endif
