/* A name that is not UTF-8 reaches the command whole: shown escaped, and in JSON with its bytes in
 * hexadecimal. Only the library can write such a file. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/ingot.h"

static const char odd_name[] = "w\xff\xc3\x28\x1b[31m";
static const char path[] = "odd_names_test.ingot";

/* Output of `$INGOT arguments`, cut at the end of `text`. */
static int run(const char *arguments, char *text, size_t text_bytes)
{
    char command[1024];
    const char *ingot = getenv("INGOT");
    snprintf(command, sizeof command, "%s %s 2>&1", ingot ? ingot : "build/ingot", arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    const size_t n = fread(text, 1, text_bytes - 1, pipe);
    text[n] = 0;
    return pclose(pipe);
}

static void test_odd_name(void **state)
{
    (void)state;
    static const float values[4] = {1, 2, 3, 4};
    const uint64_t dims[2] = {2, 2};
    char folder[] = "/tmp/ingot-test-XXXXXX";
    char target[128];
    char arguments[512];
    char text[8192];
    ingot_writer *writer = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(target, sizeof target, "%s/%s", folder, path);
    assert_int_equal(INGOT_OK,
                     ingot_writer_create(target, false, INGOT_COMPRESS_NONE, NULL, &writer, NULL));
    assert_int_equal(INGOT_OK,
                     ingot_writer_add(writer, odd_name, INGOT_F32, 2, dims, values, NULL));
    assert_int_equal(INGOT_OK, ingot_writer_finish(writer, NULL));
    ingot_writer_close(writer);

    snprintf(arguments, sizeof arguments, "inspect %s", target);
    assert_int_equal(0, run(arguments, text, sizeof text));
    assert_non_null(strstr(text, "w\\xFF\\xC3(\\x1B[31m"));

    snprintf(arguments, sizeof arguments, "inspect %s --json", target);
    assert_int_equal(0, run(arguments, text, sizeof text));
    assert_non_null(strstr(text, "\"name\": \"w\xef\xbf\xbd\xef\xbf\xbd(\\u001B[31m\""));
    assert_non_null(strstr(text, "\"name_hex\": \"77ffc3281b5b33316d\""));

    snprintf(arguments, sizeof arguments, "validate %s --against %s", target, target);
    assert_int_equal(0, run(arguments, text, sizeof text));

    snprintf(arguments, sizeof arguments, "inspect %s --tensor no", target);
    assert_int_not_equal(0, run(arguments, text, sizeof text));
    assert_null(strchr(text, 0x1b));
    assert_int_equal(0, unlink(target));
    assert_int_equal(0, rmdir(folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_odd_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
