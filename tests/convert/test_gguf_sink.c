/* GGUF as a target: every byte of the file, what is refused and what is told. */
#include "tests/convert/conversions.h"
#include "tests/convert/gguf_bytes.h"

#include "format/buffer.h"
#include "format/metadata.h"
#include "format/writer.h"

/* What a conversion told. */
struct heard {
    uint32_t n_refused;
    char refused[16][384]; /* "NAME: WHY" */
    uint32_t n_notes;
    char notes[16][512];
};

static void hear_refused(void *context, const struct model_tensor *tensor, const char *why)
{
    struct heard *h = context;
    assert_true(h->n_refused < 16);
    snprintf(h->refused[h->n_refused++], sizeof h->refused[0], "%.*s: %s", (int)tensor->name_bytes,
             tensor->name, why);
}

static void hear_note(void *context, const char *text)
{
    struct heard *h = context;
    assert_true(h->n_notes < 16);
    snprintf(h->notes[h->n_notes++], sizeof h->notes[0], "%s", text);
}

static bool heard_note(const struct heard *h, const char *part)
{
    for (uint32_t i = 0; i < h->n_notes; i++) {
        if (strstr(h->notes[i], part)) return true;
    }
    return false;
}

/* Plans and converts; both must come to the same end, and tell the same. */
static ingot_status convert_heard(const char *source, const char *target, const char *encode,
                                  struct heard *heard, struct convert_result *result,
                                  ingot_error *error)
{
    struct heard planned = {0};
    struct convert_options options = {.encode = encode,
                                      .replace = true,
                                      .context = &planned,
                                      .refused = hear_refused,
                                      .note = hear_note};
    struct convert_plan plan = {0};
    struct model *model;
    assert_ok(model_open(&source, 1, NULL, &model, error), error);
    const ingot_status plan_status = convert_plan(model, target, &options, &plan, error);
    *heard = (struct heard){0};
    options.context = heard;
    const ingot_status status = convert_model(model, target, &options, result, error);
    model_close(model);
    assert_int_equal(plan_status, status);
    assert_memory_equal(heard, &planned, sizeof planned);
    if (status != INGOT_OK) return status;
    size_t n_bytes;
    free(file_read(target, &n_bytes));
    assert_int_equal(result->target_bytes, n_bytes);
    assert_int_equal(plan.target_bytes, n_bytes);
    assert_int_equal(plan.n_encoded, result->n_encoded);
    assert_int_equal(plan.n_attachments_lost, result->n_attachments_lost);
    assert_int_equal(plan.n_metadata_lost, result->n_metadata_lost);
    return status;
}

static void expect_tensor(const struct gguf_bytes *g, uint64_t index, const char *name,
                          uint32_t type, uint32_t rank, const uint64_t *ne)
{
    const struct gguf_tensor *t = &g->tensors[index];
    assert_string_equal(t->name, name);
    assert_int_equal(t->type, type);
    assert_int_equal(t->rank, rank);
    for (uint32_t k = 0; k < rank; k++) assert_int_equal(t->ne[k], ne[k]);
}

static void test_every_byte(void **state)
{
    char *source = scratch_path(state, "g.safetensors");
    char *middle = scratch_path(state, "g.ingot");
    char *target = scratch_path(state, "g.gguf");
    char *again = scratch_path(state, "again.gguf");
    uint8_t data[24 + 40 + 14 + 3 + 16 + 2 + 4 + 8];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7 + 1);
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    safetensors_write(source,
                      "{\"__metadata__\":{\"format\":\"pt\",\"\xc3\xa9\":\"\"},"
                      "\"f\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                      "\"b\":{\"dtype\":\"BF16\",\"shape\":[4,1,5],\"data_offsets\":[24,64]},"
                      "\"h\":{\"dtype\":\"F16\",\"shape\":[7],\"data_offsets\":[64,78]},"
                      "\"i8\":{\"dtype\":\"I8\",\"shape\":[3,1],\"data_offsets\":[78,81]},"
                      "\"i64\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[81,97]},"
                      "\"i16\":{\"dtype\":\"I16\",\"shape\":[1,1,1,1],\"data_offsets\":[97,99]},"
                      "\"i32\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[99,103]},"
                      "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[103,111]}}",
                      data, sizeof data);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_int_equal(heard.n_notes, 1);
    assert_true(heard_note(&heard, "general.architecture"));
    struct gguf_bytes g = gguf_read(target, 32);
    assert_int_equal(g.n_entries, 2);
    assert_string_equal(g.entries[0].key, "format");
    assert_int_equal(g.entries[0].type, 8);
    assert_memory_equal(g.entries[0].value, "\2\0\0\0\0\0\0\0pt", 10);
    assert_string_equal(g.entries[1].key, "\xc3\xa9");
    assert_int_equal(g.entries[1].n_bytes, 8);
    assert_int_equal(g.n_tensors, 8);
    expect_tensor(&g, 0, "f", 0, 2, (const uint64_t[]){3, 2});
    expect_tensor(&g, 1, "b", 30, 3, (const uint64_t[]){5, 1, 4});
    expect_tensor(&g, 2, "h", 1, 1, (const uint64_t[]){7});
    expect_tensor(&g, 3, "i8", 24, 2, (const uint64_t[]){1, 3});
    expect_tensor(&g, 4, "i64", 27, 2, (const uint64_t[]){2, 1});
    expect_tensor(&g, 5, "i16", 25, 4, (const uint64_t[]){1, 1, 1, 1});
    expect_tensor(&g, 6, "i32", 26, 1, (const uint64_t[]){1});
    expect_tensor(&g, 7, "d", 28, 1, (const uint64_t[]){1});
    const size_t ends[] = {0, 24, 64, 78, 81, 97, 99, 103, 111};
    for (uint64_t i = 0; i < 8; i++) {
        gguf_expect_data(&g, i, data + ends[i], ends[i + 1] - ends[i], 32);
    }
    assert_int_equal(g.at, g.n_bytes);
    gguf_release(&g);
    /* By way of a container it is the same file. */
    assert_ok(convert_path(source, middle, NULL, &result, &error), &error);
    assert_ok(convert_path(middle, again, NULL, &result, &error), &error);
    assert_same_file(target, again);
    free(again);
    free(target);
    free(middle);
    free(source);
}

/* ------------------------------------------------------------------ metadata */

static void put_key(struct byte_buffer *out, const char *key, uint32_t type)
{
    buffer_u32(out, (uint32_t)strlen(key));
    buffer_append(out, key, strlen(key));
    buffer_u32(out, type);
}

/* An array of the container's metadata: its type, count and length before the elements. */
static void put_array(struct byte_buffer *out, uint32_t type, uint64_t count, const void *elements,
                      uint64_t n_bytes)
{
    buffer_u32(out, type);
    buffer_u64(out, count);
    buffer_u64(out, n_bytes);
    buffer_append(out, elements, n_bytes);
}

static const uint8_t numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
static const char texts[] = "\1\0\0\0\0\0\0\0a\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0bc";
enum { TEXTS_BYTES = sizeof texts - 1 };

/* Every type that there is; the alignment is among the entries. */
static uint64_t put_all_types(struct byte_buffer *out, uint32_t alignment)
{
    static const struct {
        uint32_t type;
        uint32_t n_bytes;
    } scalars[] = {{0, 1}, {1, 1}, {2, 2},  {3, 2},  {4, 4},
                   {5, 4}, {6, 4}, {10, 8}, {11, 8}, {12, 8}};
    const uint8_t yes = 1;
    char key[16];
    for (size_t i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "scalar.%u", scalars[i].type);
        put_key(out, key, scalars[i].type);
        buffer_append(out, numbers, scalars[i].n_bytes);
    }
    put_key(out, "bool", 7);
    buffer_u8(out, yes);
    put_key(out, "numbers", 9);
    put_array(out, 2, 4, numbers, 8);
    put_key(out, "texts", 9);
    put_array(out, 8, 3, texts, TEXTS_BYTES);
    put_key(out, "nothing", 9);
    put_array(out, 8, 0, NULL, 0);
    put_key(out, "general.alignment", 4);
    buffer_u32(out, alignment);
    put_key(out, "general.architecture", 8);
    buffer_u64(out, 5);
    buffer_append(out, "llama", 5);
    return 16;
}

/* A container of one f32 vector "v" of 3 with that metadata. */
static void write_container(const char *path, const struct byte_buffer *entries, uint64_t n)
{
    static const float values[3] = {1, 2, 3};
    const uint64_t dims[1] = {3};
    struct byte_buffer blob = {0};
    ingot_writer *writer;
    ingot_error error = {0};
    metadata_begin(&blob, n);
    buffer_append(&blob, entries->data, entries->n_bytes);
    const struct span span = {blob.data, blob.n_bytes};
    const struct byte_source source = memory_bytes(&span);
    assert_ok(ingot_writer_create(path, true, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    assert_ok(ingot_writer_add(writer, "v", INGOT_F32, 1, dims, values, &error), &error);
    assert_ok(ingot_writer_blob(writer, INGOT_BLOB_METADATA, NULL, NULL, blob.n_bytes, &source,
                                NULL, &error),
              &error);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    buffer_release(&blob);
}

static const struct gguf_entry *entry_of(const struct gguf_bytes *g, const char *key)
{
    for (uint64_t i = 0; i < g->n_entries; i++) {
        if (strcmp(g->entries[i].key, key) == 0) return &g->entries[i];
    }
    return NULL;
}

static void test_typed_metadata(void **state)
{
    static const float values[3] = {1, 2, 3};
    char *source = scratch_path(state, "types.ingot");
    char *target = scratch_path(state, "types.gguf");
    struct byte_buffer entries = {0};
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    const uint64_t n = put_all_types(&entries, 128);
    write_container(source, &entries, n);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_int_equal(heard.n_notes, 0);
    struct gguf_bytes g = gguf_read(target, 128);
    assert_int_equal(g.n_entries, n);
    for (uint64_t i = 0; i < 10; i++) {
        assert_memory_equal(g.entries[i].value, numbers, g.entries[i].n_bytes);
    }
    assert_int_equal(g.entries[10].type, 7);
    assert_int_equal(g.entries[10].value[0], 1);
    const struct gguf_entry *e = entry_of(&g, "numbers");
    assert_int_equal(e->n_bytes, 4 + 8 + 8);
    assert_memory_equal(e->value, "\2\0\0\0\4\0\0\0\0\0\0\0\1\2\3\4\5\6\7\10", 20);
    e = entry_of(&g, "texts");
    assert_int_equal(e->n_bytes, 4 + 8 + TEXTS_BYTES);
    assert_memory_equal(e->value + 12, texts, TEXTS_BYTES);
    assert_int_equal(entry_of(&g, "nothing")->n_bytes, 12);
    gguf_expect_data(&g, 0, values, sizeof values, 128);
    assert_int_equal(g.at, g.n_bytes);
    gguf_release(&g);
    buffer_release(&entries);
    free(target);
    free(source);
}

static void test_odd_metadata(void **state)
{
    char *source = scratch_path(state, "odd.ingot");
    char *target = scratch_path(state, "odd.gguf");
    struct byte_buffer entries = {0};
    struct byte_buffer inner = {0};
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    put_array(&inner, 2, 1, numbers, 2);
    put_array(&inner, 8, 3, texts, TEXTS_BYTES);
    put_key(&entries, "nested", 9);
    put_array(&entries, 9, 2, inner.data, inner.n_bytes);
    put_key(&entries, "", 7);
    buffer_u8(&entries, 0);
    put_key(&entries, "split.no", 2);
    buffer_u16(&entries, 0);
    put_key(&entries, "split.count", 2);
    buffer_u16(&entries, 2);
    put_key(&entries, "split.tensors.count", 5);
    buffer_u32(&entries, 1);
    write_container(source, &entries, 5);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_true(heard_note(&heard, "empty key"));
    assert_true(heard_note(&heard, "holds arrays"));
    assert_true(heard_note(&heard, "split.no"));
    assert_true(heard_note(&heard, "general.architecture"));
    struct gguf_bytes g = gguf_read(target, 32);
    assert_int_equal(g.n_entries, 2);
    assert_int_equal(g.entries[0].n_bytes, 4 + 8 + (4 + 8 + 2) + (4 + 8 + TEXTS_BYTES));
    assert_memory_equal(g.entries[0].value, "\11\0\0\0\2\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\1\2",
                        26);
    gguf_release(&g);
    buffer_release(&inner);
    buffer_release(&entries);
    free(target);
    free(source);
}

static void test_alignment(void **state)
{
    static const uint32_t wrong[] = {0, 3, 48, 1u << 21};
    char *source = scratch_path(state, "align.ingot");
    char *text = scratch_path(state, "align.safetensors");
    char *target = scratch_path(state, "align.gguf");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct byte_buffer entries = {0};
        write_container(source, &entries, put_all_types(&entries, wrong[i]));
        assert_int_equal(convert_heard(source, target, NULL, &heard, &result, &error),
                         INGOT_REFUSED);
        assert_string_equal(error.field, "general.alignment");
        buffer_release(&entries);
    }
    safetensors_write(text,
                      "{\"__metadata__\":{\"general.alignment\":\"32\"},"
                      "\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                      "x", 1);
    assert_int_equal(convert_heard(text, target, NULL, &heard, &result, &error), INGOT_REFUSED);
    assert_string_equal(error.field, "general.alignment");
    assert_false(exists(target));
    free(target);
    free(text);
    free(source);
}

/* What safetensors makes of the same metadata. */
static void test_metadata_as_text(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"scalar.0\":\"1\",\"scalar.1\":\"1\",\"scalar.2\":\"513\","
        "\"scalar.3\":\"513\",\"scalar.4\":\"67305985\",\"scalar.5\":\"67305985\","
        "\"scalar.6\":\"1.5399896e-36\",\"scalar.10\":\"578437695752307201\","
        "\"scalar.11\":\"578437695752307201\",\"scalar.12\":\"5.447603722011605e-270\","
        "\"bool\":\"true\",\"general.alignment\":\"32\",\"general.architecture\":\"llama\"},"
        "\"v\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}";
    char *source = scratch_path(state, "text.ingot");
    char *target = scratch_path(state, "text.safetensors");
    struct byte_buffer entries = {0};
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    write_container(source, &entries, put_all_types(&entries, 32));
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_int_equal(result.n_metadata_lost, 3);
    assert_true(heard_note(&heard, "12 metadata values are written as text"));
    assert_true(heard_note(&heard, "3 metadata entries are left out"));
    assert_true(heard_note(&heard, "'numbers' and others"));
    size_t n_bytes;
    uint8_t *bytes = file_read(target, &n_bytes);
    assert_true(n_bytes > 8 + sizeof header - 1);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    free(bytes);
    buffer_release(&entries);
    free(target);
    free(source);
}

/* ------------------------------------------------------------------ tensors */

static void test_refusals(void **state)
{
    static const char *const expected[] = {
        "u: GGUF has no type for u8: its plain types are f64, f32, f16, bf16, i8, i16, i32, i64",
        "bool: GGUF has no type for bool: its plain types are f64, f32, f16, bf16, i8, i16, i32, "
        "i64",
        "e4m3: GGUF has no type for f8_e4m3: its plain types are f64, f32, f16, bf16, i8, i16, "
        "i32, "
        "i64",
        "five: it has 5 dimensions, and GGUF's tensors have at most 4",
        "scalar: it is a scalar, without dimensions, and GGUF's tensors have at least one",
        "empty: it is empty, and GGUF's readers refuse a dimension of 0",
        "n23456789012345678901234567890123456789012345678901234567890abcd: its name has 64 bytes, "
        "and GGUF's have at most 63",
    };
    static const uint8_t data[64] = {0};
    char *source = scratch_path(state, "r.safetensors");
    char *target = scratch_path(state, "r.gguf");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    safetensors_write(source,
                      "{\"good\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                      "\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]},"
                      "\"bool\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[2,3]},"
                      "\"e4m3\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[3,4]},"
                      "\"five\":{\"dtype\":\"I8\",\"shape\":[1,1,1,1,1],\"data_offsets\":[4,5]},"
                      "\"scalar\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[5,6]},"
                      "\"empty\":{\"dtype\":\"I8\",\"shape\":[2,0],\"data_offsets\":[6,6]},"
                      "\"n23456789012345678901234567890123456789012345678901234567890abcd\":"
                      "{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[6,7]},"
                      "\"n2345678901234567890123456789012345678901234567890123456789abcd\":"
                      "{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[7,8]}}",
                      data, 8);
    assert_int_equal(convert_heard(source, target, NULL, &heard, &result, &error), INGOT_REFUSED);
    assert_int_equal(heard.n_refused, 7);
    for (size_t i = 0; i < 7; i++) assert_string_equal(heard.refused[i], expected[i]);
    assert_string_equal(error.field, "u");
    assert_non_null(strstr(error.what, "(7 tensors cannot be written)"));
    assert_false(exists(target));
    assert_int_equal(convert_heard(source, target, "int4", &heard, &result, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "GGUF holds plain types"));
    free(target);
    free(source);
}

static void test_casts(void **state)
{
    char *source = scratch_path(state, "c.safetensors");
    char *middle = scratch_path(state, "c.ingot");
    char *target = scratch_path(state, "c.gguf");
    float w[16 * 32];
    uint8_t halves[2 * 16 * 32];
    for (int i = 0; i < 512; i++) {
        w[i] = (float)(i % 15 - 8);
        store_u16(halves + 2 * i, (uint16_t)(f32_bits(w[i]) >> 16));
    }
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    write_matrix(source, 16, 32, w);
    assert_ok(convert_heard(source, target, "bf16", &heard, &result, &error), &error);
    assert_int_equal(result.n_encoded, 1);
    struct gguf_bytes g = gguf_read(target, 32);
    expect_tensor(&g, 0, "w", 30, 2, (const uint64_t[]){32, 16});
    gguf_expect_data(&g, 0, halves, sizeof halves, 32);
    gguf_release(&g);
    /* What is held in a coding of its own is decoded only when that is asked for. */
    assert_ok(convert_path(source, middle, "int4", &result, &error), &error);
    assert_int_equal(convert_heard(middle, target, NULL, &heard, &result, &error), INGOT_REFUSED);
    assert_non_null(strstr(heard.refused[0], "w: it is held as int4-g32; encode f32"));
    assert_ok(convert_heard(middle, target, "f32", &heard, &result, &error), &error);
    assert_int_equal(result.n_encoded, 1);
    free(target);
    free(middle);
    free(source);
}

/* Vectors are held in f32 whatever the cast. */
static void test_cast_vectors(void **state)
{
    static const uint8_t data[] = {0, 0x80, 0x3f, 0xc0, 0, 0, 0x80, 0x40, 0x80, 0x3f};
    static const uint8_t half[2] = {0, 0x3c};
    static const uint8_t wide[] = {0, 0, 0, 0x80, 0, 0, 0x3f, 0xc0};
    char *source = scratch_path(state, "v.safetensors");
    char *target = scratch_path(state, "v.gguf");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    safetensors_write(source,
                      "{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]},"
                      "\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]},"
                      "\"m\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[8,10]}}",
                      data, sizeof data);
    assert_ok(convert_heard(source, target, "f16", &heard, &result, &error), &error);
    assert_int_equal(result.n_encoded, 2);
    struct gguf_bytes g = gguf_read(target, 32);
    expect_tensor(&g, 0, "b", 0, 1, (const uint64_t[]){2});
    expect_tensor(&g, 1, "f", 0, 1, (const uint64_t[]){1});
    expect_tensor(&g, 2, "m", 1, 2, (const uint64_t[]){1, 1});
    gguf_expect_data(&g, 0, wide, sizeof wide, 32);
    gguf_expect_data(&g, 1, data + 4, 4, 32);
    gguf_expect_data(&g, 2, half, sizeof half, 32);
    gguf_release(&g);
    free(target);
    free(source);
}

/* Blocks go through a container as they are: the file comes back. */
static void test_blocks(void **state)
{
    static const char wanted[] = "blocks, for which safetensors has no type";
    struct byte_buffer file = {0};
    char *source = scratch_path(state, "q.gguf");
    char *middle = scratch_path(state, "q.ingot");
    char *target = scratch_path(state, "q2.gguf");
    char *plain = scratch_path(state, "q.safetensors");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    buffer_append(&file, "GGUF\3\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 24);
    buffer_append(&file, "\24\0\0\0\0\0\0\0general.architecture\10\0\0\0", 32);
    buffer_append(&file, "\5\0\0\0\0\0\0\0llama", 13);
    for (uint32_t i = 0; i < 2; i++) { /* Q4_0, of 1 and of 3 rows */
        buffer_u64(&file, 1);
        buffer_u8(&file, (uint8_t)('s' + i));
        buffer_u32(&file, 2);
        buffer_u64(&file, 32);
        buffer_u64(&file, i ? 3 : 1);
        buffer_u32(&file, 2);
        buffer_u64(&file, i ? 32 : 0);
    }
    buffer_align(&file, 32);
    for (uint8_t k = 0; k < 18; k++) buffer_u8(&file, (uint8_t)(k * 5));
    buffer_align(&file, 32);
    for (uint8_t k = 0; k < 3 * 18; k++) buffer_u8(&file, (uint8_t)(k * 3));
    buffer_align(&file, 32);
    file_write(source, file.data, file.n_bytes);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_same_file(source, target);
    assert_int_equal(heard.n_notes, 0);
    assert_ok(convert_path(source, middle, NULL, &result, &error), &error);
    assert_ok(convert_path(middle, target, NULL, &result, &error), &error);
    assert_same_file(source, target);
    assert_int_equal(convert_heard(middle, plain, NULL, &heard, &result, &error), INGOT_REFUSED);
    assert_int_equal(heard.n_refused, 2);
    assert_non_null(strstr(heard.refused[1], wanted));
    assert_false(exists(plain));
    buffer_release(&file);
    free(plain);
    free(target);
    free(middle);
    free(source);
}

static void test_nothing(void **state)
{
    char *source = scratch_path(state, "n.safetensors");
    char *target = scratch_path(state, "n.gguf");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    safetensors_write(source, "{}", NULL, 0);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    struct gguf_bytes g = gguf_read(target, 32);
    assert_int_equal(g.n_tensors + g.n_entries, 0);
    assert_int_equal(g.n_bytes, 32);
    gguf_release(&g);
    free(target);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_typed_metadata),
        cmocka_unit_test(test_odd_metadata),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_metadata_as_text),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_cast_vectors),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
