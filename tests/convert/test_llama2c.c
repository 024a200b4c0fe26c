/* Checkpoints of llama2.c: written here by hand, array after array, and read as models. */
#include "tests/convert/conversions.h"

#include "convert/llama2c.h"
#include "convert/model.h"
#include "format/buffer.h"

/* dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, max_seq_len. */
enum { DIM, FFN, LAYERS, HEADS, KV_HEADS, VOCAB, CONTEXT, N_NUMBERS };
static const int32_t plain[N_NUMBERS] = {8, 12, 3, 4, 2, 10, 5};

static void put_floats(struct byte_buffer *b, uint32_t n)
{
    static float next = 1;
    for (uint32_t i = 0; i < n; i++, next += 0.5f) buffer_append(b, &next, sizeof next);
}

static void put_numbers(struct byte_buffer *b, const int32_t *numbers)
{
    for (int i = 0; i < N_NUMBERS; i++) buffer_u32(b, (uint32_t)numbers[i]);
}

/* Version 0: 1,412 values of tensors, and tables. */
static struct byte_buffer version_0(bool tied)
{
    struct byte_buffer b = {0};
    int32_t numbers[N_NUMBERS];
    memcpy(numbers, plain, sizeof numbers);
    if (!tied) numbers[VOCAB] = -numbers[VOCAB];
    put_numbers(&b, numbers);
    put_floats(&b, 10 * 8);
    put_floats(&b, 3 * (8 + 8 * 8 + 4 * 8 + 4 * 8 + 8 * 8 + 8 + 12 * 8 + 8 * 12 + 12 * 8));
    put_floats(&b, 8);
    put_floats(&b, 5 * 2);
    if (!tied) put_floats(&b, 10 * 8);
    return b;
}

static struct byte_buffer version_1(uint32_t version, uint8_t shared)
{
    struct byte_buffer b = {0};
    buffer_u32(&b, 0x616b3432);
    buffer_u32(&b, version);
    put_numbers(&b, plain);
    buffer_u8(&b, shared);
    while (b.n_bytes < 256) buffer_u8(&b, 0);
    put_floats(&b, 3 * 8 + 3 * 8 + 8 + 10 * 8);
    put_floats(&b, 3 * (8 * 8 + 4 * 8 + 4 * 8 + 8 * 8 + 12 * 8 + 8 * 12 + 12 * 8));
    if (!shared) put_floats(&b, 10 * 8);
    return b;
}

/* Where a tensor's values are expected in the file, and what it is. */
struct expected {
    const char *name;
    uint32_t rank;
    uint64_t dims[2];
    uint64_t offset;
};

static void check_tensor(const struct model *model, const struct byte_buffer *file,
                         const struct expected *e)
{
    uint32_t index;
    struct model_tensor t;
    uint8_t bytes[512];
    ingot_error error = {0};
    assert_int_equal(model_find(model, e->name, strlen(e->name), &index), INGOT_OK);
    model_tensor(model, index, &t);
    assert_int_equal(t.rank, e->rank);
    assert_int_equal(t.dims[0], e->dims[0]);
    if (t.rank > 1) assert_int_equal(t.dims[1], e->dims[1]);
    assert_ok(model_read_raw(model, index, 0, t.stored_bytes, bytes, &error), &error);
    assert_memory_equal(bytes, file->data + e->offset, t.stored_bytes);
}

static void check_checkpoint(void **state, struct byte_buffer *b, const struct expected *expected,
                             size_t n_expected, uint32_t n_tensors)
{
    char *source = scratch_path(state, "model.bin");
    char *target = scratch_path(state, "model.ingot");
    char *back = scratch_path(state, "back.bin");
    struct model *model;
    struct convert_result result;
    struct restore_result restored;
    ingot_error error = {0};
    file_write(source, b->data, b->n_bytes);
    assert_ok(model_open((const char *const *)&source, 1, NULL, &model, &error), &error);
    assert_string_equal(model_format(model), "llama2.c");
    assert_int_equal(model_n_tensors(model), n_tensors);
    for (size_t i = 0; i < n_expected; i++) check_tensor(model, b, &expected[i]);
    model_close(model);
    assert_ok(convert_path(source, target, NULL, &result, &error), &error);
    ingot_file *file = open_valid(target);
    assert_ok(restore_model(file, back, true, 0, NULL, &restored, &error), &error);
    ingot_file_close(file);
    assert_same_file(source, back);
    free(back);
    free(target);
    free(source);
    buffer_release(b);
}

static void test_versions(void **state)
{
    /* Version 0: the embedding, then 440 values before blk.1's q. */
    static const struct expected v0[] = {
        {"token_embd.weight", 2, {10, 8}, 28},
        {"blk.2.attn_norm.weight", 1, {8}, 28 + 4 * (80 + 16)},
        {"blk.1.attn_q.weight", 2, {8, 8}, 28 + 4 * (80 + 24 + 64)},
        {"blk.0.attn_k.weight", 2, {4, 8}, 28 + 4 * (80 + 24 + 192)},
        {"blk.2.ffn_down.weight",
         2,
         {8, 12},
         28 + 4 * (80 + 24 + 192 + 96 + 96 + 192 + 24 + 288 + 192)},
        {"output_norm.weight", 1, {8}, 28 + 4 * (80 + 24 + 192 + 96 + 96 + 192 + 24 + 3 * 288)},
    };
    static const struct expected untied[] = {
        {"output.weight",
         2,
         {10, 8},
         28 + 4 * (80 + 24 + 192 + 96 + 96 + 192 + 24 + 3 * 288 + 8 + 10)},
    };
    static const struct expected v1[] = {
        {"blk.1.attn_norm.weight", 1, {8}, 256 + 4 * 8},
        {"blk.1.ffn_norm.weight", 1, {8}, 256 + 4 * (24 + 8)},
        {"output_norm.weight", 1, {8}, 256 + 4 * 48},
        {"token_embd.weight", 2, {10, 8}, 256 + 4 * 56},
        {"blk.2.attn_v.weight", 2, {4, 8}, 256 + 4 * (136 + 192 + 96 + 64)},
        {"output.weight", 2, {10, 8}, 256 + 4 * (136 + 192 + 96 + 96 + 192 + 3 * 288)},
    };
    struct byte_buffer files[] = {version_0(true), version_0(false), version_1(1, 1),
                                  version_1(1, 0)};
    check_checkpoint(state, &files[0], v0, sizeof v0 / sizeof *v0, 29);
    check_checkpoint(state, &files[1], untied, 1, 30);
    check_checkpoint(state, &files[2], v1, 5, 29);
    check_checkpoint(state, &files[3], v1, 6, 30);
}

/* A folder, and files by name: the others are attachments. */
static void test_others_are_attached(void **state)
{
    struct byte_buffer b = version_0(true);
    char *source = scratch_path(state, "a.bin");
    char *other = scratch_path(state, "tokenizer.bin");
    const struct scratch *s = *state;
    const char *const folder[] = {s->folder};
    const char *const files[] = {other, source};
    const char *const *const paths[] = {folder, files};
    file_write(source, b.data, b.n_bytes);
    file_write(other, "\5\0\0\0", 4);
    for (uint32_t i = 0; i < 2; i++) {
        struct model *model;
        struct model_attachment attachment;
        ingot_error error = {0};
        assert_ok(model_open(paths[i], i + 1, NULL, &model, &error), &error);
        assert_int_equal(model_n_attachments(model), 1);
        model_attachment(model, 0, &attachment);
        assert_string_equal(attachment.name, "tokenizer.bin");
        assert_int_equal(attachment.n_bytes, 4);
        model_close(model);
    }
    free(other);
    free(source);
    buffer_release(&b);
}

static void refused(void **state, const void *bytes, uint64_t n_bytes, ingot_status expected,
                    const char *says)
{
    char *path = scratch_path(state, "bad.bin");
    struct model *model = NULL;
    ingot_error error = {0};
    file_write(path, bytes, n_bytes);
    assert_int_equal(model_open((const char *const *)&path, 1, NULL, &model, &error), expected);
    if (strstr(error.what, says) == NULL) fail_msg("\"%s\" is not in: %s", says, error.what);
    free(path);
}

static void test_refusals(void **state)
{
    struct byte_buffer v0 = version_0(true), v1 = version_1(1, 1), v2 = version_1(2, 1);
    buffer_u8(&v0, 0);
    buffer_u8(&v1, 0);
    refused(state, v0.data, v0.n_bytes, INGOT_UNSUPPORTED, "llama2.c");
    refused(state, v0.data, v0.n_bytes - 2, INGOT_UNSUPPORTED, "llama2.c");
    refused(state, v0.data, 27, INGOT_UNSUPPORTED, "llama2.c");
    refused(state, "", 0, INGOT_UNSUPPORTED, "llama2.c");
    refused(state, "PK\3\4 and the rest of an archive", 31, INGOT_UNSUPPORTED, "safetensors");
    refused(state, v1.data, v1.n_bytes, INGOT_INVALID, "fewer");
    refused(state, v1.data, v1.n_bytes - 2, INGOT_INVALID, "more");
    refused(state, v1.data, 39, INGOT_INVALID, "short");
    refused(state, v2.data, v2.n_bytes, INGOT_UNSUPPORTED, "version 2");
    v1.n_bytes--;
    store_u32(v1.data + 8 + 4 * HEADS, 3);
    refused(state, v1.data, v1.n_bytes, INGOT_INVALID, "n_kv_heads");
    store_u32(v1.data + 8 + 4 * HEADS, 0);
    refused(state, v1.data, v1.n_bytes, INGOT_INVALID, "above 0");
    for (int i = 0; i < N_NUMBERS; i++) store_u32(v1.data + 8 + 4 * (uint32_t)i, 0x7fffffff);
    store_u32(v1.data + 8, 0x40000000);
    store_u32(v1.data + 8 + 4 * LAYERS, 1 << 20);
    store_u32(v1.data + 8 + 4 * HEADS, 1);
    store_u32(v1.data + 8 + 4 * KV_HEADS, 1);
    refused(state, v1.data, v1.n_bytes, INGOT_INVALID, "more");
    buffer_release(&v2);
    buffer_release(&v1);
    buffer_release(&v0);
}

/* Two checkpoints are no model. */
static void test_two(void **state)
{
    struct byte_buffer b = version_0(true);
    char *one = scratch_path(state, "a.bin");
    char *two = scratch_path(state, "b.bin");
    const char *const paths[] = {one, two};
    struct model *model = NULL;
    ingot_error error = {0};
    file_write(one, b.data, b.n_bytes);
    file_write(two, b.data, b.n_bytes);
    assert_int_equal(model_open(paths, 2, NULL, &model, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "second checkpoint"));
    free(two);
    free(one);
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_others_are_attached, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_refusals, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_two, scratch_begin, scratch_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
