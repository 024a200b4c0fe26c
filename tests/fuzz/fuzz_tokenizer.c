/* Fuzzes the files of tokenizers: the first byte chooses which kind the rest is. One that is
 * accepted must cut a text, and the file itself, into tokens that it has. */
#include <stdlib.h>
#include <string.h>

#include "format/alloc.h"
#include "runtime/tokenizer_state.h"
#include "tests/fuzz/fuzz.h"

static void encode(const ingot_tokenizer *tokenizer, const void *text, size_t n_bytes)
{
    uint32_t *tokens;
    size_t n, piece_bytes;
    const char *piece;
    if (tokenizer_encode(tokenizer, text, n_bytes, true, true, &tokens, &n, NULL) != INGOT_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] >= tokenizer_n_tokens(tokenizer)) abort();
        if (tokenizer_piece(tokenizer, tokens[i], &piece, &piece_bytes) != INGOT_OK) abort();
    }
    ingot_release(NULL, tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const char *const kinds[] = {"tokenizer.json", "tokenizer.model", "tokenizer.bin"};
    static const char text[] = " Hello  World's 12345\n\t<s>caf\303\251 \342\226\201\377";
    ingot_tokenizer *tokenizer;
    if (n_bytes == 0) return 0;
    const char *kind = kinds[data[0] % (sizeof kinds / sizeof *kinds)];
    if (tokenizer_open_bytes(kind, data + 1, n_bytes - 1, NULL, &tokenizer, NULL) != INGOT_OK) {
        return 0;
    }
    encode(tokenizer, text, sizeof text - 1);
    encode(tokenizer, data, n_bytes < 1000 ? n_bytes : 1000);
    tokenizer_close(tokenizer);
    return 0;
}
