/* GPT-2's tokenizer writes each byte as a printable character: those that are one in Latin-1 as
 * themselves, the others as U+0100 and on, in their order. */
#include "runtime/tokenizer_state.h"

static bool is_printable(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

/* The byte of a character, or -1. */
static int byte_of(uint32_t character)
{
    uint32_t next = 0x100;
    if (character < 0x100) return is_printable(character) ? (int)character : -1;
    for (uint32_t byte = 0; byte < 0x100; byte++) {
        if (!is_printable(byte) && next++ == character) return (int)byte;
    }
    return -1;
}

bool bytes_of_byte_text(struct span text, struct byte_buffer *bytes)
{
    const uint64_t begin = bytes->n_bytes;
    for (uint64_t at = 0; at < text.n_bytes;) {
        const uint8_t c = text.data[at];
        uint32_t character = c;
        if (c >= 0xC0 && c < 0xE0 && at + 1 < text.n_bytes) {
            character = (uint32_t)(c & 0x1F) << 6 | (text.data[at + 1] & 0x3F);
            at += 2;
        } else if (c < 0x80) {
            at++;
        } else {
            character = UINT32_MAX;
        }
        const int byte = byte_of(character);
        if (byte < 0) {
            bytes->n_bytes = begin;
            return false;
        }
        buffer_u8(bytes, (uint8_t)byte);
    }
    return true;
}
