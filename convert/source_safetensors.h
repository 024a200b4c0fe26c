/* Opens safetensors files, alone or as the shards of a checkpoint, as a model. */
#ifndef INGOT_CONVERT_SOURCE_SAFETENSORS_H
#define INGOT_CONVERT_SOURCE_SAFETENSORS_H

#include "convert/assume.h"
#include "convert/file_set.h"
#include "convert/model.h"

/* Files whose base names differ. */
ingot_status safetensors_open_files(const char *const *paths, uint32_t n_paths,
                                    const ingot_allocator *allocator, struct model **model,
                                    ingot_error *error);
/* A folder: its *.safetensors files, in the order of their names, give the tensors; every other
 * file under it is an attachment. Or an archive that holds such a folder or its files: their names
 * are their paths in the archive; tensors are in the order of their bytes in it, files in that of
 * the archive. The model takes the bundle over. */
ingot_status safetensors_open_set(struct file_set *set, const struct assumptions *assumptions,
                                  struct model **model, ingot_error *error);

#endif
