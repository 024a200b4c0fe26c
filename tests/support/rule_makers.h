/* Makers of broken files that rule_files.c lists: those about codings, terms, tensors and blobs. */
#ifndef INGOT_TESTS_SUPPORT_RULE_MAKERS_H
#define INGOT_TESTS_SUPPORT_RULE_MAKERS_H

#include "tests/support/draft.h"

void broken_three_levels(struct draft *d);
void broken_table_of_257(struct draft *d);
void broken_table_with_post(struct draft *d);
void broken_stray_table_code(struct draft *d);
void broken_stray_kept_code(struct draft *d);
void broken_offsets_of_no_columns(struct draft *d);
void broken_offsets_of_no_rows(struct draft *d);
void broken_term_of_nobody(struct draft *d);
void broken_first_term_optional(struct draft *d);
void broken_optional_xor(struct draft *d);
void broken_rescaled_xor(struct draft *d);
void broken_two_magnitudes(struct draft *d);
void broken_deep_rescale(struct draft *d);
void broken_coded_complex(struct draft *d);
void broken_alias_of_alias(struct draft *d);
void broken_equal_names(struct draft *d);
void broken_swapped_names(struct draft *d);
void broken_unknown_blob(struct draft *d);
void broken_equal_attachments(struct draft *d);
void broken_two_sources(struct draft *d);
void broken_metadata_bool(struct draft *d);
void broken_metadata_cut(struct draft *d);
void broken_metadata_long_key(struct draft *d);
void broken_metadata_nested_5(struct draft *d);
void broken_source_names_twice(struct draft *d);
void broken_receipt_with_mark(struct draft *d);
void broken_receipt_and_more(struct draft *d);
void broken_receipt_too_deep(struct draft *d);

#endif
