/* A tokenizer from the attachment tokenizer.model: SentencePiece's, which is a message in Protocol
 * Buffers' wire format (fields numbered as in sentencepiece_model.proto). */
#include "format/fail.h"
#include "runtime/tokenizer_state.h"

/* ------------------------------------------------------------------ the wire format */

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct field {
    uint64_t number;
    uint64_t value;    /* WIRE_VARINT; the bits of WIRE_32 and WIRE_64 */
    struct span bytes; /* WIRE_BYTES */
};

/* Seven bits a byte, the lowest first. */
static uint64_t varint(struct cursor *at)
{
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        const uint8_t byte = cursor_u8(at);
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    at->failed = true;
    return 0;
}

/* False at the end, and where at->failed. */
static bool next_field(struct cursor *at, struct field *field)
{
    if (at->failed || at->offset == at->whole.n_bytes) return false;
    const uint64_t tag = varint(at);
    *field = (struct field){.number = tag >> 3};
    switch (tag & 7) {
    case WIRE_VARINT: field->value = varint(at); break;
    case WIRE_64: field->value = cursor_u64(at); break;
    case WIRE_32: field->value = cursor_u32(at); break;
    case WIRE_BYTES: {
        const uint64_t n = varint(at);
        field->bytes = (struct span){cursor_bytes(at, n), n};
        break;
    }
    default: at->failed = true;
    }
    return !at->failed;
}

/* ------------------------------------------------------------------ the message */

enum {
    MODEL_PIECE = 1,
    MODEL_TRAINER = 2,
    MODEL_NORMALIZER = 3,
    PIECE_TEXT = 1,
    PIECE_SCORE = 2,
    PIECE_KIND = 3,
    TRAINER_MODEL_TYPE = 3,
    TRAINER_BYTE_FALLBACK = 35,
    TRAINER_UNKNOWN = 40,
    TRAINER_BOS = 41,
    TRAINER_EOS = 42,
    NORMALIZER_MAP = 2,
    NORMALIZER_PREFIX = 3,
    NORMALIZER_SQUEEZE = 4,
    NORMALIZER_ESCAPE = 5,
    TYPE_UNIGRAM = 1,
    TYPE_BPE = 2,
};

/* What is read besides the pieces, preset to what it is where the file is silent. */
struct settings {
    uint64_t model_type;
    uint64_t byte_fallback;
    uint64_t unknown, bos, eos;
    uint64_t prefix, squeeze, escape;
    uint64_t n_pieces;
    bool has_map;
};

static struct cursor over(struct span bytes)
{
    return cursor_over(bytes.data, bytes.n_bytes);
}

static bool read_trainer(struct span bytes, struct settings *settings)
{
    struct cursor at = over(bytes);
    struct field field;
    while (next_field(&at, &field)) {
        uint64_t *const value = field.number == TRAINER_MODEL_TYPE      ? &settings->model_type
                                : field.number == TRAINER_BYTE_FALLBACK ? &settings->byte_fallback
                                : field.number == TRAINER_UNKNOWN       ? &settings->unknown
                                : field.number == TRAINER_BOS           ? &settings->bos
                                : field.number == TRAINER_EOS           ? &settings->eos
                                                                        : NULL;
        if (value != NULL) *value = field.value;
    }
    return !at.failed;
}

static bool read_normalizer(struct span bytes, struct settings *settings)
{
    struct cursor at = over(bytes);
    struct field field;
    while (next_field(&at, &field)) {
        if (field.number == NORMALIZER_MAP && field.bytes.n_bytes > 0) settings->has_map = true;
        if (field.number == NORMALIZER_PREFIX) settings->prefix = field.value;
        if (field.number == NORMALIZER_SQUEEZE) settings->squeeze = field.value;
        if (field.number == NORMALIZER_ESCAPE) settings->escape = field.value;
    }
    return !at.failed;
}

/* Everything but the pieces, which it counts. */
static bool read_settings(struct span bytes, struct settings *settings)
{
    struct cursor at = over(bytes);
    struct field field;
    bool is_right = true;
    while (is_right && next_field(&at, &field)) {
        if (field.number == MODEL_PIECE) settings->n_pieces++;
        if (field.number == MODEL_TRAINER) is_right = read_trainer(field.bytes, settings);
        if (field.number == MODEL_NORMALIZER) is_right = read_normalizer(field.bytes, settings);
    }
    return is_right && !at.failed && settings->n_pieces > 0 && settings->n_pieces < INT32_MAX;
}

static bool read_piece(struct span bytes, struct vocabulary *vocabulary, uint32_t number)
{
    struct cursor at = over(bytes);
    struct field field;
    struct span text = {(const uint8_t *)"", 0};
    uint64_t score = 0, kind = TOKEN_NORMAL;
    while (next_field(&at, &field)) {
        if (field.number == PIECE_TEXT && field.bytes.n_bytes > 0) text = field.bytes;
        if (field.number == PIECE_SCORE) score = field.value;
        if (field.number == PIECE_KIND) kind = field.value;
    }
    if (at.failed || text.n_bytes > UINT16_MAX || kind == 0 || kind >= N_TOKEN_KINDS) return false;
    vocabulary_set(vocabulary, number, text.data, text.n_bytes, f32_from_bits((uint32_t)score),
                   (uint32_t)kind);
    return true;
}

static bool read_pieces(struct span bytes, struct vocabulary *vocabulary)
{
    struct cursor at = over(bytes);
    struct field field;
    uint32_t number = 0;
    while (next_field(&at, &field)) {
        if (field.number != MODEL_PIECE) continue;
        if (!read_piece(field.bytes, vocabulary, number++)) return false;
    }
    return true;
}

/* ------------------------------------------------------------------ the tokenizer */

static uint32_t token(const struct settings *settings, uint64_t number)
{
    return number < settings->n_pieces ? (uint32_t)number : INGOT_NONE;
}

static ingot_status check_supported(const struct settings *settings, ingot_error *error)
{
    if (settings->model_type != TYPE_UNIGRAM && settings->model_type != TYPE_BPE) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "tokenizer.model",
                          "its model is neither unigram nor BPE");
    }
    if (settings->has_map || settings->escape == 0) {
        return ingot_fail(
            error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "tokenizer.model", "%s are not supported",
            settings->has_map ? "tokenizers that map characters" : "spaces that are not marked");
    }
    return INGOT_OK;
}

ingot_status tokenizer_from_sentencepiece(struct ingot_tokenizer *tokenizer, struct span bytes,
                                          ingot_error *error)
{
    struct settings settings = {
        .model_type = TYPE_UNIGRAM, .bos = 1, .eos = 2, .prefix = 1, .squeeze = 1, .escape = 1};
    if (!read_settings(bytes, &settings)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "tokenizer.model",
                          "is no SentencePiece model, or is damaged");
    }
    ingot_status status = check_supported(&settings, error);
    if (status != INGOT_OK) return status;
    status = vocabulary_begin(&tokenizer->vocabulary, (uint32_t)settings.n_pieces, error);
    if (status != INGOT_OK) return status;
    if (!read_pieces(bytes, &tokenizer->vocabulary)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "tokenizer.model",
                          "one of its pieces is damaged");
    }
    vocabulary_unmark_spaces(&tokenizer->vocabulary);
    tokenizer->model = settings.model_type == TYPE_BPE ? &token_model_scores : &token_model_unigram;
    tokenizer->falls_back_to_bytes = settings.byte_fallback != 0;
    tokenizer->fuses_unknown = true;
    tokenizer->unknown = token(&settings, settings.unknown);
    tokenizer->bos = token(&settings, settings.bos);
    tokenizer->eos = token(&settings, settings.eos);
    status = vocabulary_end(&tokenizer->vocabulary, error);
    if (status == INGOT_OK && settings.squeeze != 0) {
        const struct span nothing = {0};
        status = normalizer_add(&tokenizer->normalizer, STEP_SQUEEZE_SPACES, false, nothing,
                                nothing, error);
    }
    if (status == INGOT_OK)
        status =
            tokenizer_mark_spaces(tokenizer, settings.prefix ? PREFIX_FIRST : PREFIX_NONE, error);
    return status == INGOT_OK ? tokenizer_add_kinds(tokenizer, error) : status;
}
