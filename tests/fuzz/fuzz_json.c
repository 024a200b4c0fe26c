/* Fuzzes the JSON reader: every text ends in the end or an error, texts given for keys and strings
 * are UTF-8 of the length that was promised, and containers close in order. */
#include <stdlib.h>

#include "format/json.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const struct json_event *event)
{
    char *text = malloc((size_t)event->text_bytes + 1);
    if (text == NULL) abort();
    json_event_text(event, text);
    if (!utf8_valid(text, event->text_bytes)) abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const struct span text = {data, n_bytes};
    struct json_pull pull = json_pull_open(text, 0, "json");
    ingot_error error;
    ingot_status status = INGOT_OK;
    while (status == INGOT_OK) {
        struct json_event event;
        uint64_t number;
        status = json_pull_next(&pull, &event, &error);
        if (status != INGOT_OK) break;
        if (event.kind == JSON_KIND_KEY || event.kind == JSON_KIND_STRING) check_text(&event);
        if (event.kind == JSON_KIND_NUMBER) (void)json_event_u64(&event, &number);
        if (event.offset > n_bytes) abort();
    }
    if (status != INGOT_END && status != INGOT_INVALID) abort();
    return 0;
}
