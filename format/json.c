/* A strict JSON reader: one state, one stack of container kinds. Builds nothing. */
#include "format/json.h"

#include "format/fail.h"

enum expects {
    EXPECTS_VALUE,
    EXPECTS_VALUE_OR_END, /* after [ */
    EXPECTS_KEY,          /* after a comma in an object */
    EXPECTS_KEY_OR_END,   /* after { */
    EXPECTS_COMMA_OR_END,
    EXPECTS_NOTHING
};

static ingot_status fail(const struct json_pull *pull, const char *what, ingot_error *error)
{
    return ingot_fail(error, INGOT_INVALID, pull->first_offset + pull->at, pull->field,
                      "not JSON: %s", what);
}

struct json_pull json_pull_open(struct span text, uint64_t first_offset, const char *field)
{
    return (struct json_pull){.text = text, .first_offset = first_offset, .field = field};
}

/* The byte at the reader's place, or -1 at the end. */
static int peek(const struct json_pull *pull)
{
    return pull->at < pull->text.n_bytes ? pull->text.data[pull->at] : -1;
}

static void skip_space(struct json_pull *pull)
{
    for (int c = peek(pull); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(pull)) {
        pull->at++;
    }
}

/* Bytes of the UTF-8 character that begins at p, or 0 when there is none. */
static uint32_t utf8_character(const uint8_t *p, uint64_t n_bytes)
{
    /* The second byte's range is what keeps out long forms, surrogates and what is past U+10FFFF.
     * Unicode 15, table 3-7. */
    static const struct {
        uint8_t first_low, first_high, second_low, second_high, n_bytes;
    } rows[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (n_bytes == 0) return 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (p[0] < rows[i].first_low || p[0] > rows[i].first_high) continue;
        if (rows[i].n_bytes > n_bytes) return 0;
        if (rows[i].n_bytes == 1) return 1;
        if (p[1] < rows[i].second_low || p[1] > rows[i].second_high) return 0;
        for (uint32_t j = 2; j < rows[i].n_bytes; j++) {
            if (p[j] < 0x80 || p[j] > 0xbf) return 0;
        }
        return rows[i].n_bytes;
    }
    return 0;
}

bool utf8_valid(const char *text, uint64_t n_bytes)
{
    for (uint64_t at = 0; at < n_bytes;) {
        const uint32_t n = utf8_character((const uint8_t *)text + at, n_bytes - at);
        if (n == 0) return false;
        at += n;
    }
    return true;
}

/* ------------------------------------------------------------------ strings */

static bool hex4(const uint8_t *p, uint32_t *out)
{
    uint32_t v = 0;
    for (uint32_t i = 0; i < 4; i++) {
        const uint8_t c = p[i];
        const uint8_t lower = c | 0x20;
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint32_t)(c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            v = v << 4 | (uint32_t)(lower - 'a' + 10);
        } else {
            return false;
        }
    }
    *out = v;
    return true;
}

/* Reads the escape that begins at p with a backslash. Gives its character and its length as
 * written; 0 when it is not an escape. */
static uint32_t read_escape(const uint8_t *p, uint64_t n_bytes, uint32_t *character)
{
    static const char names[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    uint32_t low;
    if (n_bytes < 2) return 0;
    for (uint32_t i = 0; names[i]; i++) {
        if (p[1] == (uint8_t)names[i]) {
            *character = (uint8_t)meanings[i];
            return 2;
        }
    }
    if (p[1] != 'u' || n_bytes < 6 || !hex4(p + 2, character)) return 0;
    if (*character < 0xd800 || *character > 0xdfff) return 6;
    /* A surrogate pair: the high half first, the low half at once after it. */
    if (*character > 0xdbff || n_bytes < 12 || p[6] != '\\' || p[7] != 'u') return 0;
    if (!hex4(p + 8, &low) || low < 0xdc00 || low > 0xdfff) return 0;
    *character = 0x10000 + ((*character - 0xd800) << 10) + (low - 0xdc00);
    return 12;
}

/* Writes a character as UTF-8 (dst may be NULL) and returns how many bytes that takes. */
static uint32_t write_utf8(uint32_t character, char *dst)
{
    const uint32_t n = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (dst == NULL) return n;
    for (uint32_t i = n; i-- > 1; character >>= 6) dst[i] = (char)(0x80 | (character & 0x3f));
    dst[0] = (char)(lead[n] | character);
    return n;
}

static ingot_status read_string(struct json_pull *pull, struct json_event *event,
                                ingot_error *error)
{
    const uint64_t first = ++pull->at;
    uint64_t text_bytes = 0;
    for (int c = peek(pull); c != '"'; c = peek(pull)) {
        const uint8_t *p = pull->text.data + pull->at;
        const uint64_t left = pull->text.n_bytes - pull->at;
        uint32_t n_bytes, character;
        if (c < 0) return fail(pull, "a string without its end", error);
        if (c < 0x20) return fail(pull, "a control character in a string", error);
        if (c == '\\') {
            n_bytes = read_escape(p, left, &character);
            if (n_bytes == 0) return fail(pull, "a bad escape in a string", error);
            text_bytes += write_utf8(character, NULL);
        } else {
            n_bytes = utf8_character(p, left);
            if (n_bytes == 0) return fail(pull, "a string that is not UTF-8", error);
            text_bytes += n_bytes;
        }
        pull->at += n_bytes;
    }
    event->kind = JSON_KIND_STRING;
    event->text = (struct span){pull->text.data + first, pull->at - first};
    event->text_bytes = text_bytes;
    pull->at++;
    return INGOT_OK;
}

void json_event_text(const struct json_event *event, char *dst)
{
    const struct span s = event->text;
    for (uint64_t at = 0; at < s.n_bytes;) {
        uint32_t character;
        if (s.data[at] != '\\') {
            *dst++ = (char)s.data[at++];
            continue;
        }
        at += read_escape(s.data + at, s.n_bytes - at, &character);
        dst += write_utf8(character, dst);
    }
}

bool json_event_is(const struct json_event *event, const char *text)
{
    return json_event_is_bytes(event, text, strlen(text));
}

bool json_event_is_bytes(const struct json_event *event, const char *text, uint64_t n_bytes)
{
    const struct span s = event->text;
    if (event->text_bytes != n_bytes) return false;
    if (s.n_bytes == n_bytes) return memcmp(s.data, text, (size_t)n_bytes) == 0;
    for (uint64_t at = 0; at < s.n_bytes;) {
        uint32_t character = s.data[at];
        char written[4];
        uint32_t n = 1;
        if (character == '\\') {
            at += read_escape(s.data + at, s.n_bytes - at, &character);
            n = write_utf8(character, written);
        } else {
            written[0] = (char)character;
            at++;
        }
        if (memcmp(text, written, n) != 0) return false;
        text += n;
    }
    return true;
}

/* ------------------------------------------------------------------ other scalars */

static bool read_digits(struct json_pull *pull)
{
    const uint64_t first = pull->at;
    while (peek(pull) >= '0' && peek(pull) <= '9') pull->at++;
    return pull->at > first;
}

static ingot_status read_number(struct json_pull *pull, struct json_event *event,
                                ingot_error *error)
{
    const uint64_t first = pull->at;
    if (peek(pull) == '-') pull->at++;
    if (peek(pull) == '0') {
        pull->at++;
    } else if (!read_digits(pull)) {
        return fail(pull, "a number without digits", error);
    }
    if (peek(pull) == '.') {
        pull->at++;
        if (!read_digits(pull)) return fail(pull, "a fraction without digits", error);
    }
    if (peek(pull) == 'e' || peek(pull) == 'E') {
        pull->at++;
        if (peek(pull) == '+' || peek(pull) == '-') pull->at++;
        if (!read_digits(pull)) return fail(pull, "an exponent without digits", error);
    }
    event->kind = JSON_KIND_NUMBER;
    event->text = (struct span){pull->text.data + first, pull->at - first};
    return INGOT_OK;
}

bool json_event_u64(const struct json_event *event, uint64_t *out)
{
    const struct span s = event->text;
    uint64_t v = 0;
    if (event->kind != JSON_KIND_NUMBER) return false;
    for (uint64_t i = 0; i < s.n_bytes; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') return false;
        if (!mul_u64(v, 10, &v) || !add_u64(v, (uint64_t)(s.data[i] - '0'), &v)) return false;
    }
    *out = v;
    return true;
}

static ingot_status read_word(struct json_pull *pull, struct json_event *event, ingot_error *error)
{
    static const struct {
        const char *text;
        uint8_t kind;
    } words[] = {{"true", JSON_KIND_TRUE}, {"false", JSON_KIND_FALSE}, {"null", JSON_KIND_NULL}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n_bytes = strlen(words[i].text);
        if (!range_within(pull->at, n_bytes, pull->text.n_bytes)) continue;
        if (memcmp(pull->text.data + pull->at, words[i].text, n_bytes) != 0) continue;
        pull->at += n_bytes;
        event->kind = words[i].kind;
        return INGOT_OK;
    }
    return fail(pull, peek(pull) < 0 ? "it ends where a value is due" : "not a value", error);
}

/* ------------------------------------------------------------------ structure */

static void value_done(struct json_pull *pull)
{
    pull->expects = pull->depth ? EXPECTS_COMMA_OR_END : EXPECTS_NOTHING;
}

static ingot_status open_container(struct json_pull *pull, uint8_t kind, uint8_t expects,
                                   struct json_event *event, ingot_error *error)
{
    if (pull->depth == JSON_MAX_DEPTH) {
        return ingot_fail(error, INGOT_INVALID, pull->first_offset + pull->at, pull->field,
                          "JSON nested deeper than %d", JSON_MAX_DEPTH);
    }
    pull->kinds[pull->depth++] = kind;
    pull->expects = expects;
    pull->at++;
    event->kind = kind;
    return INGOT_OK;
}

static ingot_status read_value(struct json_pull *pull, struct json_event *event, ingot_error *error)
{
    const int c = peek(pull);
    ingot_status status;
    if (c == '{') {
        return open_container(pull, JSON_KIND_OBJECT, EXPECTS_KEY_OR_END, event, error);
    }
    if (c == '[') {
        return open_container(pull, JSON_KIND_ARRAY, EXPECTS_VALUE_OR_END, event, error);
    }
    if (c == '"') {
        status = read_string(pull, event, error);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        status = read_number(pull, event, error);
    } else {
        status = read_word(pull, event, error);
    }
    if (status == INGOT_OK) value_done(pull);
    return status;
}

static ingot_status read_key(struct json_pull *pull, struct json_event *event, ingot_error *error)
{
    if (peek(pull) != '"') return fail(pull, "a key is due", error);
    const ingot_status status = read_string(pull, event, error);
    if (status != INGOT_OK) return status;
    skip_space(pull);
    if (peek(pull) != ':') return fail(pull, "a colon is due", error);
    pull->at++;
    pull->expects = EXPECTS_VALUE;
    event->kind = JSON_KIND_KEY;
    return INGOT_OK;
}

/* Closes the innermost container when its closing byte is here. */
static bool read_end(struct json_pull *pull, struct json_event *event)
{
    const bool object = pull->kinds[pull->depth - 1] == JSON_KIND_OBJECT;
    if (peek(pull) != (object ? '}' : ']')) return false;
    pull->at++;
    pull->depth--;
    value_done(pull);
    event->kind = object ? JSON_KIND_OBJECT_END : JSON_KIND_ARRAY_END;
    return true;
}

ingot_status json_pull_next(struct json_pull *pull, struct json_event *event, ingot_error *error)
{
    struct json_event found = {0};
    ingot_status status = INGOT_OK;
    skip_space(pull);
    if (pull->expects == EXPECTS_NOTHING) {
        if (peek(pull) < 0) return INGOT_END;
        return fail(pull, "something after its value", error);
    }
    if (pull->expects == EXPECTS_COMMA_OR_END && peek(pull) == ',') {
        const bool object = pull->kinds[pull->depth - 1] == JSON_KIND_OBJECT;
        pull->expects = object ? EXPECTS_KEY : EXPECTS_VALUE;
        pull->at++;
        skip_space(pull);
    }
    found.offset = pull->first_offset + pull->at;
    const uint8_t expects = pull->expects;
    const bool may_end = expects == EXPECTS_COMMA_OR_END || expects == EXPECTS_KEY_OR_END ||
                         expects == EXPECTS_VALUE_OR_END;
    if (may_end && read_end(pull, &found)) {
        status = INGOT_OK;
    } else if (expects == EXPECTS_COMMA_OR_END) {
        status = fail(pull, "a comma or an end is due", error);
    } else if (expects == EXPECTS_KEY || expects == EXPECTS_KEY_OR_END) {
        status = read_key(pull, &found, error);
    } else {
        status = read_value(pull, &found, error);
    }
    if (status == INGOT_OK) *event = found;
    return status;
}

ingot_status json_pull_skip(struct json_pull *pull, const struct json_event *begin,
                            ingot_error *error)
{
    if (begin->kind != JSON_KIND_OBJECT && begin->kind != JSON_KIND_ARRAY) return INGOT_OK;
    const uint32_t outside = pull->depth - 1;
    while (pull->depth > outside) {
        struct json_event event;
        const ingot_status status = json_pull_next(pull, &event, error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}
