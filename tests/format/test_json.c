/* The pull reader against RFC 8259: what it gives for good text, and that it refuses all else. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "format/json.h"

static struct json_pull over(const char *text)
{
    return json_pull_open((struct span){(const uint8_t *)text, strlen(text)}, 0, "text");
}

/* Reads text to its end from memory of exactly its length. */
static ingot_status read_all(const char *text, size_t n_bytes, ingot_error *error)
{
    uint8_t *exact = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(exact);
    memcpy(exact, text, n_bytes);
    struct json_pull pull = json_pull_open((struct span){exact, n_bytes}, 0, "text");
    ingot_status status = INGOT_OK;
    while (status == INGOT_OK) {
        struct json_event event;
        status = json_pull_next(&pull, &event, error);
    }
    free(exact);
    return status;
}

static void expect(struct json_pull *pull, uint8_t kind, const char *text)
{
    struct json_event event;
    assert_int_equal(json_pull_next(pull, &event, NULL), INGOT_OK);
    assert_int_equal(event.kind, kind);
    if (text == NULL) return;
    if (kind == JSON_KIND_NUMBER) {
        assert_int_equal(event.text.n_bytes, strlen(text));
        assert_memory_equal(event.text.data, text, strlen(text));
        return;
    }
    char decoded[64];
    assert_int_equal(event.text_bytes, strlen(text));
    json_event_text(&event, decoded);
    assert_memory_equal(decoded, text, strlen(text));
    assert_true(json_event_is(&event, text));
    assert_false(json_event_is(&event, "something else"));
}

static void test_events(void **state)
{
    (void)state;
    struct json_pull pull = over(
        " {\"a\" : [1, -2.5e+3,true],\t\"\\u0062\":{},\"c\":[],\n\"d\":null , \"e\":false}\r ");
    struct json_event event;
    expect(&pull, JSON_KIND_OBJECT, NULL);
    expect(&pull, JSON_KIND_KEY, "a");
    expect(&pull, JSON_KIND_ARRAY, NULL);
    expect(&pull, JSON_KIND_NUMBER, "1");
    expect(&pull, JSON_KIND_NUMBER, "-2.5e+3");
    expect(&pull, JSON_KIND_TRUE, NULL);
    expect(&pull, JSON_KIND_ARRAY_END, NULL);
    expect(&pull, JSON_KIND_KEY, "b");
    expect(&pull, JSON_KIND_OBJECT, NULL);
    expect(&pull, JSON_KIND_OBJECT_END, NULL);
    expect(&pull, JSON_KIND_KEY, "c");
    expect(&pull, JSON_KIND_ARRAY, NULL);
    expect(&pull, JSON_KIND_ARRAY_END, NULL);
    expect(&pull, JSON_KIND_KEY, "d");
    expect(&pull, JSON_KIND_NULL, NULL);
    expect(&pull, JSON_KIND_KEY, "e");
    expect(&pull, JSON_KIND_FALSE, NULL);
    expect(&pull, JSON_KIND_OBJECT_END, NULL);
    assert_int_equal(json_pull_next(&pull, &event, NULL), INGOT_END);
    assert_int_equal(json_pull_next(&pull, &event, NULL), INGOT_END);
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } rows[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u00e9\"", "\xc3\xa9"},
        {"\"\\u20AC\"", "\xe2\x82\xac"},
        {"\"\\ud83D\\uDe00\"", "\xf0\x9f\x98\x80"},
        {"\"\\uFFFF\"", "\xef\xbf\xbf"},
        {"\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\"\x7f\"", "\x7f"},
        {"\"\xf4\x8f\xbf\xbf\"", "\xf4\x8f\xbf\xbf"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_pull pull = over(rows[i].json);
        expect(&pull, JSON_KIND_STRING, rows[i].text);
    }
    struct json_pull pull = over("\"a\\u0000b\"");
    struct json_event event;
    char decoded[3];
    assert_int_equal(json_pull_next(&pull, &event, NULL), INGOT_OK);
    assert_int_equal(event.text_bytes, 3);
    json_event_text(&event, decoded);
    assert_memory_equal(decoded, "a\0b", 3);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"9007199254740993", true, 9007199254740993u},
        {"18446744073709551616", false, 0},
        {"99999999999999999999999999", false, 0},
        {"-0", false, 0},
        {"-1", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_pull pull = over(rows[i].text);
        struct json_event event;
        uint64_t value = 0;
        assert_int_equal(json_pull_next(&pull, &event, NULL), INGOT_OK);
        assert_int_equal(json_event_u64(&event, &value), rows[i].fits);
        assert_true(value == rows[i].value);
    }
    struct json_pull pull = over("\"12\"");
    struct json_event event;
    uint64_t value;
    assert_int_equal(json_pull_next(&pull, &event, NULL), INGOT_OK);
    assert_false(json_event_u64(&event, &value));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t offset; /* where the error is */
    } rows[] = {
        {"", 0},
        {" ", 1},
        {"nul", 0},
        {"True", 0},
        {"nan", 0},
        {"Infinity", 0},
        {"\xef\xbb\xbf{}", 0},
        {"{} {}", 3},
        {"1 2", 2},
        {"[1,]", 3},
        {"[,1]", 1},
        {"[1 2]", 3},
        {"[1", 2},
        {"[1}", 2},
        {"]", 0},
        {"{", 1},
        {"{\"a\"}", 4},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{\"a\":1]", 6},
        {"{,}", 1},
        {"{a:1}", 1},
        {"{'a':1}", 1},
        {"{1:2}", 1},
        {"{\"a\" 1}", 5},
        {"{\"a\"::1}", 5},
        {"01", 1},
        {"-", 1},
        {"+1", 0},
        {".5", 0},
        {"1.", 2},
        {"1.e3", 2},
        {"1e", 2},
        {"1e+", 3},
        {"0x10", 1},
        {"- 1", 1},
        {"\"abc", 4},
        {"\"a\nb\"", 2},
        {"\"a\tb\"", 2},
        {"\"\\x\"", 1},
        {"\"\\u12\"", 1},
        {"\"\\u12g4\"", 1},
        {"\"\\ud800\"", 1},
        {"\"\\udc00\"", 1},
        {"\"\\ud800\\u0041\"", 1},
        {"\"\\ud800x\"", 1},
        {"\"\\", 1},
        {"\"\x80\"", 1},
        {"\"\xc3\"", 1},
        {"\"\xc0\xaf\"", 1},
        {"\"\xe0\x80\xaf\"", 1},
        {"\"\xed\xa0\x80\"", 1},
        {"\"\xf4\x90\x80\x80\"", 1},
        {"\"\xf5\x80\x80\x80\"", 1},
        {"\"\xff\"", 1},
        {"/* no */ 1", 0},
        {"[1] // no", 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ingot_error error = {0};
        const ingot_status status = read_all(rows[i].text, strlen(rows[i].text), &error);
        if (status != INGOT_INVALID) fail_msg("%s is taken", rows[i].text);
        if (error.offset != rows[i].offset) {
            fail_msg("%s: the error is at %u", rows[i].text, (unsigned)error.offset);
        }
        assert_string_equal(error.field, "text");
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    static const char text[] =
        "{\"__metadata__\":{\"k\\u00e9y\":\"v\\ud83d\\ude00\"},\"w\":[{\"a\":-1.5e-7},true,null]}";
    const size_t n_bytes = sizeof text - 1;
    assert_int_equal(read_all(text, n_bytes, NULL), INGOT_END);
    for (size_t n = 0; n < n_bytes; n++) {
        if (read_all(text, n, NULL) != INGOT_INVALID) fail_msg("the first %zu bytes are taken", n);
    }
}

/* Any one byte changed to any other is taken or refused, but never read past the end. */
static void test_changed_bytes(void **state)
{
    (void)state;
    static const char text[] = "{\"k\\u00e9\\ud83d\\ude00y\":[\"\xf0\x9f\x98\x80\",-1.5e-7,true]}";
    char changed[sizeof text];
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        memcpy(changed, text, sizeof text);
        for (int c = 0; c < 256; c++) {
            changed[i] = (char)c;
            const ingot_status status = read_all(changed, sizeof text - 1, NULL);
            assert_true(status == INGOT_END || status == INGOT_INVALID);
        }
    }
}

static void test_depth(void **state)
{
    (void)state;
    char text[2 * JSON_MAX_DEPTH + 4];
    for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        const ingot_status status = read_all(text, 2 * depth, NULL);
        assert_int_equal(status, depth <= JSON_MAX_DEPTH ? INGOT_END : INGOT_INVALID);
    }
}

static void test_skip(void **state)
{
    (void)state;
    struct json_pull pull = over("{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":3,\"e\":\"f\"}");
    struct json_event event;
    expect(&pull, JSON_KIND_OBJECT, NULL);
    expect(&pull, JSON_KIND_KEY, "a");
    assert_int_equal(json_pull_next(&pull, &event, NULL), INGOT_OK);
    assert_int_equal(json_pull_skip(&pull, &event, NULL), INGOT_OK);
    expect(&pull, JSON_KIND_KEY, "d");
    assert_int_equal(json_pull_next(&pull, &event, NULL), INGOT_OK);
    assert_int_equal(json_pull_skip(&pull, &event, NULL), INGOT_OK);
    expect(&pull, JSON_KIND_KEY, "e");
    expect(&pull, JSON_KIND_STRING, "f");
    expect(&pull, JSON_KIND_OBJECT_END, NULL);
    pull = over("[[1,[2}]]");
    expect(&pull, JSON_KIND_ARRAY, NULL);
    assert_int_equal(json_pull_next(&pull, &event, NULL), INGOT_OK);
    assert_int_equal(json_pull_skip(&pull, &event, NULL), INGOT_INVALID);
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("a\0\xc3\xa9", 4));
    assert_false(utf8_valid("\xc3\xa9", 1));
    assert_false(utf8_valid("a\xff", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),   cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_depth),    cmocka_unit_test(test_skip),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
