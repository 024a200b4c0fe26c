/* Tokenizers of every origin: the tokens of texts worked out by hand, what they refuse, every
 * truncated prefix, and memory running out. What the libraries of models make of real texts is
 * tests/interop/test_tokenizers.sh's matter. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/alloc.h"
#include "format/reader.h"
#include "runtime/merging.h"
#include "runtime/tokenizer_state.h"
#include "tests/support/failing_memory.h"
#include "tests/support/random.h"
#include "tests/support/specimen.h"

enum { MAX_TOKENS = 64 };

static ingot_tokenizer *opened(const char *attachment, const void *bytes, uint64_t n_bytes)
{
    ingot_tokenizer *tokenizer = NULL;
    ingot_error error = {.what = ""};
    const ingot_status status =
        tokenizer_open_bytes(attachment, bytes, n_bytes, NULL, &tokenizer, &error);
    if (status != INGOT_OK) fail_msg("%s: %s: %s", attachment, error.field, error.what);
    return tokenizer;
}

/* The text becomes these tokens, a list that ends with -1. */
static void becomes(const ingot_tokenizer *tokenizer, const char *text, bool with_special,
                    const int *expected)
{
    uint32_t *tokens = NULL;
    size_t n = 0;
    ingot_error error = {.what = ""};
    const ingot_status status =
        tokenizer_encode(tokenizer, text, strlen(text), false, with_special, &tokens, &n, &error);
    if (status != INGOT_OK) fail_msg("\"%s\": %s", text, error.what);
    for (size_t i = 0; i < n; i++) {
        if ((int64_t)tokens[i] != expected[i]) {
            fail_msg("\"%s\": token %zu is %u, not %d", text, i, tokens[i], expected[i]);
        }
    }
    if (expected[n] != -1) fail_msg("\"%s\": %zu tokens are too few", text, n);
    ingot_release(NULL, tokens);
}
#define LIST(...)       \
    (const int[])       \
    {                   \
        __VA_ARGS__, -1 \
    }

static void piece_is(const ingot_tokenizer *tokenizer, uint32_t token, const char *expected)
{
    const char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(tokenizer_piece(tokenizer, token, &bytes, &n), INGOT_OK);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(bytes, expected, n);
}

/* ------------------------------------------------------------------ tokenizer.json */

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define BYTE_VOCABULARY                                                             \
    "\"a\":0,\"b\":1,\"c\":2,\"\xc4\xa0\":3,\"ab\":4,\"bc\":5,\"abc\":6,\"\xc4\xa0" \
    "ab\":7,\"\xc3\x83\":8,\"\xc2\xa9\":9"
static const char byte_level[] =
    "{\"added_tokens\":[{\"id\":10,\"content\":\"<s>\",\"special\":true},"
    "{\"id\":11,\"content\":\"bb\",\"special\":false,\"lstrip\":true}],"
    "\"pre_tokenizer\":" BYTE_LEVEL ",\"model\":{\"type\":\"BPE\",\"vocab\":{" BYTE_VOCABULARY
    "},\"merges\":[\"b c\",\"a b\",[\"a\",\"bc\"],\"\xc4\xa0 ab\"]}}";

static void bytes_are_merged_by_rank(void **state)
{
    (void)state;
    ingot_tokenizer *t = opened("tokenizer.json", byte_level, sizeof byte_level - 1);
    assert_int_equal(tokenizer_n_tokens(t), 12);
    becomes(t, "", true, LIST(-1));
    /* "b c" comes before "a b". */
    becomes(t, "abc", true, LIST(6));
    becomes(t, "abab", true, LIST(4, 4));
    /* A space goes with the word after it. */
    becomes(t, "ab ab", true, LIST(4, 7));
    becomes(t, "a\xc3\xa9", true, LIST(0, 8, 9));
    piece_is(t, 7, " ab");
    piece_is(t, 8, "\xc3");
    tokenizer_close(t);
}

static void added_tokens_are_cut_out(void **state)
{
    (void)state;
    ingot_tokenizer *t = opened("tokenizer.json", byte_level, sizeof byte_level - 1);
    becomes(t, "a<s>ab", true, LIST(0, 10, 4));
    becomes(t, "a  bb", true, LIST(0, 11));
    becomes(t, "abbb", true, LIST(0, 11, 1));
    piece_is(t, 10, "");
    piece_is(t, 11, "bb");
    uint32_t *tokens = NULL;
    size_t n = 0;
    ingot_error error;
    /* Without special tokens "<s>" is text, and this vocabulary has no "<". */
    assert_int_equal(tokenizer_encode(t, "<s>", 3, false, false, &tokens, &n, &error),
                     INGOT_REFUSED);
    assert_null(tokens);
    tokenizer_close(t);
}

static const char llama_like[] =
    "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
    "\"\xe2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":"
    "\"\xe2\x96\x81\"}]},\"pre_tokenizer\":null,"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,"
    "\"vocab\":{\"<unk>\":0,\"<0xC3>\":1,\"<0xA9>\":2,\"\xe2\x96\x81\":3,\"x\":4,\"\xe2\x96\x81"
    "x\":5},\"merges\":[\"\xe2\x96\x81 x\"]}}";

static void characters_fall_back_to_bytes(void **state)
{
    (void)state;
    ingot_tokenizer *t = opened("tokenizer.json", llama_like, sizeof llama_like - 1);
    becomes(t, "x x", true, LIST(5, 5));
    becomes(t, "x\xc3\xa9x", true, LIST(5, 1, 2, 4));
    /* Two characters without bytes of their own are one unknown. */
    becomes(t, "xyz", true, LIST(5, 0));
    piece_is(t, 5, " x");
    piece_is(t, 1, "\xc3");
    tokenizer_close(t);
}

static void whole_words_come_before_merges(void **state)
{
    (void)state;
    static const char format[] =
        "{\"pre_tokenizer\":" BYTE_LEVEL
        ",\"model\":{\"type\":\"BPE\",\"ignore_merges\":%s,\"vocab\":{" BYTE_VOCABULARY
        "},\"merges\":[\"a b\"]}}";
    char text[1024];
    const int n = snprintf(text, sizeof text, format, "true");
    ingot_tokenizer *t = opened("tokenizer.json", text, (uint64_t)n);
    becomes(t, "abc", true, LIST(6));
    tokenizer_close(t);
    const int m = snprintf(text, sizeof text, format, "false");
    t = opened("tokenizer.json", text, (uint64_t)m);
    becomes(t, "abc", true, LIST(4, 2));
    tokenizer_close(t);
}

static void the_unigram_model_takes_the_best_way(void **state)
{
    (void)state;
    static const char text[] =
        "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"never\",\"split\":true},"
        "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1.0],"
        "[\"b\",-1.5],[\"ab\",-3.0],[\"abab\",-4.5],[\"\xe2\x96\x81\",-2]]}}";
    ingot_tokenizer *t = opened("tokenizer.json", text, sizeof text - 1);
    becomes(t, "ab", true, LIST(1, 2));
    becomes(t, "abab", true, LIST(4));
    becomes(t, "ab a", true, LIST(1, 2, 5, 1));
    becomes(t,
            "a\xc3\xa9\xc3\xa8"
            "b",
            true, LIST(1, 0, 2));
    tokenizer_close(t);
}

static void wrong_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ingot_status status;
        const char *field;
    } cases[] = {
        {"", INGOT_INVALID, "tokenizer.json"},
        {"{}", INGOT_UNSUPPORTED, "model"},
        {"[1]", INGOT_UNSUPPORTED, "model"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}", INGOT_UNSUPPORTED, "model"},
        {"{\"model\":{\"type\":\"BPE\"}}", INGOT_INVALID, "vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4000000000}}}", INGOT_INVALID, "vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1}}}", INGOT_INVALID, "vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"b\"}}}", INGOT_INVALID, "vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", INGOT_INVALID,
         "merges"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", INGOT_INVALID,
         "merges"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[7]}}", INGOT_INVALID,
         "merges"},
        {"{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"a\":0}}}",
         INGOT_UNSUPPORTED, "end_of_word_suffix"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", INGOT_INVALID, "vocab"},
        {"{\"normalizer\":{\"type\":\"Lowercase\"},\"model\":{\"type\":\"BPE\"}}",
         INGOT_UNSUPPORTED, "normalizer"},
        {"{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":\"BPE\"}}",
         INGOT_UNSUPPORTED, "pre_tokenizer"},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":"
         "\"(\"}},\"model\":{\"type\":\"BPE\"}}",
         INGOT_INVALID, "pre_tokenizer"},
        {"{\"added_tokens\":[{\"id\":0,\"content\":\"a\",\"single_word\":true}],\"model\":"
         "{\"type\":\"BPE\",\"vocab\":{\"b\":1}}}",
         INGOT_UNSUPPORTED, "added_tokens"},
        {"{\"added_tokens\":[{\"id\":0}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"b\":1}}}",
         INGOT_INVALID, "added_tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ingot_tokenizer *tokenizer = NULL;
        ingot_error error = {.field = ""};
        const ingot_status status = tokenizer_open_bytes(
            "tokenizer.json", cases[i].text, strlen(cases[i].text), NULL, &tokenizer, &error);
        if (status != cases[i].status || strcmp(error.field, cases[i].field) != 0) {
            fail_msg("%s: %s, %s: %s", cases[i].text, ingot_status_name(status), error.field,
                     error.what);
        }
        assert_null(tokenizer);
    }
}

/* A pattern that would take for ever gives up. */
static void patterns_are_bounded(void **state)
{
    (void)state;
    static const char text[] =
        "{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":"
        "\"(a|a|aa)+$\"}},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1}}}";
    ingot_tokenizer *t = opened("tokenizer.json", text, sizeof text - 1);
    char input[65];
    memset(input, 'a', sizeof input - 1);
    input[sizeof input - 1] = 'b';
    uint32_t *tokens = NULL;
    size_t n;
    ingot_error error;
    assert_int_equal(tokenizer_encode(t, input, sizeof input, false, true, &tokens, &n, &error),
                     INGOT_INVALID);
    assert_string_equal(error.field, "pre_tokenizer");
    tokenizer_close(t);
}

/* ------------------------------------------------------------------ other files */

/* A SentencePiece model of pieces, all of them normal but the first three. */
static struct byte_buffer sentencepiece(uint8_t model_type)
{
    static const struct {
        const char *text;
        float score;
        uint8_t kind;
    } pieces[] = {{"<unk>", 0, 2},
                  {"<s>", 0, 3},
                  {"</s>", 0, 3},
                  {"<0x62>", 0, 6},
                  {"\xe2\x96\x81", -1, 1},
                  {"a", -2, 1},
                  {"aa", -3, 1},
                  {"\xe2\x96\x81"
                   "a",
                   -2.5f, 1},
                  {"u!", 0, 4}};
    struct byte_buffer message = {0};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        const uint8_t n = (uint8_t)strlen(pieces[i].text);
        buffer_u8(&message, 1 << 3 | 2);
        buffer_u8(&message, (uint8_t)(n + 9));
        buffer_u8(&message, 1 << 3 | 2);
        buffer_u8(&message, n);
        buffer_append(&message, pieces[i].text, n);
        buffer_u8(&message, 2 << 3 | 5);
        buffer_u32(&message, f32_bits(pieces[i].score));
        buffer_u8(&message, 3 << 3);
        buffer_u8(&message, pieces[i].kind);
    }
    const uint8_t trainer[] = {2 << 3 | 2, 5, 3 << 3, model_type, (35 << 3 & 0x7F) | 0x80,
                               35 >> 4,    1};
    const uint8_t normalizer[] = {3 << 3 | 2, 2, 4 << 3, 0};
    buffer_append(&message, trainer, sizeof trainer);
    buffer_append(&message, normalizer, sizeof normalizer);
    return message;
}

static void sentencepiece_models_are_read(void **state)
{
    (void)state;
    struct byte_buffer message = sentencepiece(2);
    ingot_tokenizer *t = opened("tokenizer.model", message.data, message.n_bytes);
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    /* The best score first: the space and "a" before "aa". */
    becomes(t, "aaa", true, LIST(7, 6));
    becomes(t, "a a", true, LIST(7, 7));
    becomes(t, "ab", true, LIST(7, 3));
    becomes(t, "<s>au!a", true, LIST(1, 5, 8, 5));
    piece_is(t, 7, " a");
    piece_is(t, 3, "b");
    tokenizer_close(t);
    for (uint64_t n = 0; n < message.n_bytes; n++) {
        uint8_t *prefix = malloc(n + 1);
        memcpy(prefix, message.data, n);
        t = NULL;
        if (tokenizer_open_bytes("tokenizer.model", prefix, n, NULL, &t, NULL) == INGOT_OK) {
            tokenizer_close(t);
        }
        free(prefix);
    }
    buffer_release(&message);
    message = sentencepiece(1);
    t = opened("tokenizer.model", message.data, message.n_bytes);
    /* -1 - 2 is less than -2.5, and -2 - 3 as much as -3 - 2. */
    becomes(t, "a", true, LIST(7));
    tokenizer_close(t);
    buffer_release(&message);
    message = sentencepiece(3);
    assert_int_equal(
        tokenizer_open_bytes("tokenizer.model", message.data, message.n_bytes, NULL, &t, NULL),
        INGOT_UNSUPPORTED);
    buffer_release(&message);
}

static void llama2c_files_are_read(void **state)
{
    (void)state;
    struct byte_buffer file = {0};
    ingot_tokenizer *t = NULL;
    buffer_u32(&file, 8);
    for (uint32_t i = 0; i < 262; i++) {
        static const char *const words[] = {" ", "a", " a"};
        char name[16];
        const int n = i < 3     ? snprintf(name, sizeof name, "<%u>", i)
                      : i < 259 ? snprintf(name, sizeof name, "<0x%02X>", i - 3)
                                : snprintf(name, sizeof name, "%s", words[i - 259]);
        buffer_u32(&file, f32_bits(-(float)i));
        buffer_u32(&file, (uint32_t)n);
        buffer_append(&file, name, (uint64_t)n);
    }
    t = opened("tokenizer.bin", file.data, file.n_bytes);
    becomes(t, "a a", true, LIST(261, 261));
    becomes(t, "b", true, LIST(259, 3 + 'b'));
    piece_is(t, 3 + 'b', "b");
    assert_int_equal(tokenizer_bos(t), 1);
    tokenizer_close(t);
    for (uint64_t n = 0; n < file.n_bytes; n += 7) {
        t = NULL;
        if (tokenizer_open_bytes("tokenizer.bin", file.data, n, NULL, &t, NULL) == INGOT_OK) {
            tokenizer_close(t);
        }
    }
    buffer_release(&file);
}

/* ------------------------------------------------------------------ merging */

/* Pairs of letters whose sum is divisible by 3 may be joined, in an order without sense. */
static bool join_some(const void *context, const struct symbol *left, const struct symbol *right,
                      struct joint *joint)
{
    (void)context;
    const uint32_t sum = left->token * 7 + right->token * 5;
    *joint = (struct joint){sum % 11, left->token + right->token};
    return sum % 3 == 0;
}

/* The definition: look at all pairs, join the best, and again. */
static uint32_t joined_slowly(struct symbol *symbols, uint32_t n)
{
    for (;;) {
        struct joint best = {0}, joint;
        uint32_t at = INGOT_NONE;
        for (uint32_t i = 0; i + 1 < n; i++) {
            if (!join_some(NULL, &symbols[i], &symbols[i + 1], &joint)) continue;
            if (at != INGOT_NONE && joint.order >= best.order) continue;
            at = i;
            best = joint;
        }
        if (at == INGOT_NONE) return n;
        symbols[at].token = best.token;
        symbols[at].n_bytes += symbols[at + 1].n_bytes;
        n--;
        memmove(&symbols[at + 1], &symbols[at + 2], (n - at - 1) * sizeof *symbols);
    }
}

static void merging_equals_its_definition(void **state)
{
    (void)state;
    struct random random = {7};
    struct merging merging = {0};
    for (uint32_t run = 0; run < 500; run++) {
        struct symbol slow[100];
        const uint32_t n = 1 + (uint32_t)(random_below(&random, 100));
        assert_int_equal(merging_begin(&merging, n, NULL), INGOT_OK);
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t token = (uint32_t)(random_below(&random, 6));
            merging_symbol(&merging, i, 1, token);
            slow[i] = (struct symbol){i, 1, token, 0, 0};
        }
        merging_run(&merging, join_some, NULL);
        const uint32_t n_slow = joined_slowly(slow, n);
        uint32_t i = 0;
        for (uint32_t at = 0; at != INGOT_NONE; at = merging.symbols[at].next, i++) {
            assert_true(i < n_slow);
            assert_int_equal(merging.symbols[at].token, slow[i].token);
            assert_int_equal(merging.symbols[at].n_bytes, slow[i].n_bytes);
        }
        assert_int_equal(i, n_slow);
    }
    merging_release(&merging);
}

/* ------------------------------------------------------------------ memory */

static ingot_status open_and_encode(void *context, const ingot_allocator *allocator,
                                    ingot_error *error)
{
    ingot_tokenizer *tokenizer;
    uint32_t *tokens;
    size_t n;
    const char *text = context;
    ingot_status status =
        tokenizer_open_bytes("tokenizer.json", text, strlen(text), allocator, &tokenizer, error);
    if (status != INGOT_OK) return status;
    status = tokenizer_encode(tokenizer, "x x x", 5, false, true, &tokens, &n, error);
    if (status == INGOT_OK) ingot_release(allocator, tokens);
    tokenizer_close(tokenizer);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    char text[sizeof llama_like];
    memcpy(text, llama_like, sizeof text);
    assert_true(fail_every_allocation(open_and_encode, text) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_merged_by_rank),
        cmocka_unit_test(added_tokens_are_cut_out),
        cmocka_unit_test(characters_fall_back_to_bytes),
        cmocka_unit_test(whole_words_come_before_merges),
        cmocka_unit_test(the_unigram_model_takes_the_best_way),
        cmocka_unit_test(wrong_json_is_refused),
        cmocka_unit_test(patterns_are_bounded),
        cmocka_unit_test(sentencepiece_models_are_read),
        cmocka_unit_test(llama2c_files_are_read),
        cmocka_unit_test(merging_equals_its_definition),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
