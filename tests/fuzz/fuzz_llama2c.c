/* Fuzzes the heads of llama2.c's checkpoints: where one is taken, its arrays fill the file in order
 * and its metadata can be walked. The first 8 bytes are the length of the file. */
#include <stdlib.h>

#include "convert/llama2c.h"
#include "format/metadata.h"
#include "tests/fuzz/fuzz.h"

static void check_metadata(const struct llama2c *checkpoint)
{
    struct byte_buffer blob = {0};
    struct metadata_walk walk;
    const char *key;
    uint32_t key_bytes;
    struct metadata_value value;
    llama2c_put_metadata(checkpoint, &blob);
    ingot_status status = metadata_open((struct span){blob.data, blob.n_bytes}, &walk, NULL);
    while (status == INGOT_OK) status = metadata_next(&walk, &key, &key_bytes, &value, NULL);
    if (status != INGOT_END) abort();
    buffer_release(&blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct llama2c checkpoint;
    ingot_error error = {0};
    if (n_bytes < 8) return 0;
    const uint64_t file_bytes = load_u64(data);
    const struct span head = {data + 8, min_u64(n_bytes - 8, LLAMA2C_HEAD_BYTES)};
    const ingot_status status = llama2c_read(head, file_bytes, &checkpoint, &error);
    if (status != INGOT_OK) {
        if (error.status != status || error.field[0] == 0) abort();
        return 0;
    }
    uint64_t end = 0;
    for (uint32_t i = 0; i < checkpoint.n_arrays; i++) {
        const struct llama2c_array *array = &checkpoint.arrays[i];
        const uint64_t n = array->of_layers ? checkpoint.n_layers : 1;
        if (array->offset < end || array->n_bytes == 0) abort();
        end = array->offset + n * array->n_bytes;
        if (end > file_bytes) abort();
    }
    if (llama2c_n_tensors(&checkpoint) > file_bytes / 4) abort();
    check_metadata(&checkpoint);
    return 0;
}
