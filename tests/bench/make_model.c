/* Writes a safetensors file of pseudo-random bf16 weights with the shapes of a llama, for
 * measurements: the same bytes for the same arguments. Usage:
 *
 *     make_model OUT.safetensors LAYERS [HEADER_BYTES [TINY]]
 *
 * A layer is 436 MB. HEADER_BYTES pads the header with metadata up to about that length. TINY is
 * how many tensors of 16 bytes follow. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "format/floats.h"

enum { DIM = 4096, KV = 1024, HIDDEN = 14336, PART_WEIGHTS = 1 << 19, TINY_BYTES = 16 };

static const struct {
    const char *name;
    uint64_t rows, cols;
} shapes[] = {
    {"input_layernorm.weight", 0, DIM},    {"self_attn.q_proj.weight", DIM, DIM},
    {"self_attn.k_proj.weight", KV, DIM},  {"self_attn.v_proj.weight", KV, DIM},
    {"self_attn.o_proj.weight", DIM, DIM}, {"post_attention_layernorm.weight", 0, DIM},
    {"mlp.gate_proj.weight", HIDDEN, DIM}, {"mlp.up_proj.weight", HIDDEN, DIM},
    {"mlp.down_proj.weight", DIM, HIDDEN},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static uint64_t n_weights(size_t shape)
{
    return (shapes[shape].rows ? shapes[shape].rows : 1) * shapes[shape].cols;
}

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The sum of eight uniform bytes is close to normal: mean 1020, standard deviation 209. */
static uint16_t weight(uint64_t *state)
{
    const uint64_t r = next(state);
    int sum = 0;
    for (int i = 0; i < 8; i++) sum += (int)(r >> 8 * i & 255);
    const float jitter = (float)(next(state) >> 40) * 0x1p-24f;
    return bf16_from_f32(((float)(sum - 1020) + jitter) * (0.02f / 209.0f));
}

static void write_all(const void *bytes, size_t n_bytes, FILE *out)
{
    if (fwrite(bytes, 1, n_bytes, out) != n_bytes) {
        perror("make_model");
        exit(3);
    }
}

static void write_header(unsigned n_layers, size_t padding, uint64_t n_tiny, FILE *out)
{
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *memory = open_memstream(&text, &n_bytes);
    uint64_t offset = 0;
    if (memory == NULL) exit(3);
    fprintf(memory, "{\"__metadata__\":{\"format\":\"pt\"");
    for (size_t i = 0; i < padding / 1000; i++) fprintf(memory, ",\"pad%08zu\":\"%0984d\"", i, 0);
    fprintf(memory, "}");
    for (unsigned layer = 0; layer < n_layers; layer++) {
        for (size_t i = 0; i < N_SHAPES; i++) {
            const uint64_t end = offset + n_weights(i) * 2;
            fprintf(memory, ",\"model.layers.%u.%s\":{\"dtype\":\"BF16\",\"shape\":[", layer,
                    shapes[i].name);
            if (shapes[i].rows) fprintf(memory, "%" PRIu64 ",", shapes[i].rows);
            fprintf(memory, "%" PRIu64 "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                    shapes[i].cols, offset, end);
            offset = end;
        }
    }
    for (uint64_t i = 0; i < n_tiny; i++, offset += TINY_BYTES) {
        fprintf(memory,
                ",\"model.layers.%" PRIu64 ".experts.%" PRIu64 ".scale%07" PRIu64
                "\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                i / 1000, i % 1000, i, offset, offset + TINY_BYTES);
    }
    fprintf(memory, "}");
    while (ftell(memory) % 8) fputc(' ', memory);
    fclose(memory);
    uint8_t length[8];
    store_u64(length, n_bytes);
    write_all(length, sizeof length, out);
    write_all(text, n_bytes, out);
    free(text);
}

int main(int n_arguments, char **arguments)
{
    if (n_arguments < 3) {
        fprintf(stderr, "usage: make_model OUT.safetensors LAYERS [HEADER_BYTES [TINY]]\n");
        return 2;
    }
    const unsigned n_layers = (unsigned)strtoul(arguments[2], NULL, 10);
    const size_t padding = n_arguments > 3 ? strtoul(arguments[3], NULL, 10) : 0;
    const uint64_t n_tiny = n_arguments > 4 ? strtoull(arguments[4], NULL, 10) : 0;
    uint16_t *part = malloc(PART_WEIGHTS * sizeof *part);
    FILE *out = fopen(arguments[1], "wb");
    uint64_t state = 1;
    if (part == NULL || out == NULL) {
        perror("make_model");
        return 3;
    }
    write_header(n_layers, padding, n_tiny, out);
    for (unsigned layer = 0; layer < n_layers; layer++) {
        for (size_t i = 0; i < N_SHAPES; i++) {
            for (uint64_t left = n_weights(i); left > 0;) {
                const size_t n = (size_t)min_u64(left, PART_WEIGHTS);
                for (size_t k = 0; k < n; k++) part[k] = weight(&state);
                write_all(part, n * sizeof *part, out);
                left -= n;
            }
        }
    }
    for (uint64_t i = 0; i < n_tiny; i++) {
        const uint64_t values[2] = {next(&state), next(&state)};
        write_all(values, TINY_BYTES, out);
    }
    free(part);
    return fclose(out) == 0 ? 0 : 3;
}
