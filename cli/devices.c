/* ingot devices: what can compute on this machine. Knows only the public interface. */
#include <string.h>

#include "cli/json.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "format/ingot.h"

enum { MAX_DEVICES = 64 };

struct devices_values {
    bool json;
};

static int print_json(const ingot_device_info *devices, uint32_t n)
{
    bool failed = false;
    json_t *root = json_object();
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) {
        const ingot_device_info *d = &devices[i];
        const bool is_cpu = d->index == INGOT_DEVICE_CPU;
        json_t *one = json_object();
        json_put(one, "device", is_cpu ? json_string("cpu") : json_integer(d->index), &failed);
        json_put_bytes(one, "name", d->name, strlen(d->name), &failed);
        json_put_bytes(one, "kind", d->kind, strlen(d->kind), &failed);
        json_put_bytes(one, "driver", d->driver, strlen(d->driver), &failed);
        json_put(one, "memory_bytes", d->memory_bytes ? json_count(d->memory_bytes) : json_null(),
                 &failed);
        json_put(one, "usable", json_boolean(d->usable), &failed);
        json_put_bytes(one, "uuid", d->uuid, strlen(d->uuid), &failed);
        json_put_bytes(one, "features", d->features, strlen(d->features), &failed);
        json_put_bytes(one, "kernels", d->kernels, strlen(d->kernels), &failed);
        json_put_bytes(one, "avoids", d->avoids, strlen(d->avoids), &failed);
        if (!d->usable) json_put_bytes(one, "why_not", d->why_not, strlen(d->why_not), &failed);
        json_add(list, one, &failed);
    }
    json_put(root, "devices", list, &failed);
    return json_print(root, failed, EXITS_DONE);
}

static int print_table(const ingot_device_info *devices, uint32_t n)
{
    static const struct column columns[] = {{"device", false}, {"name", false},   {"kind", false},
                                            {"memory", true},  {"driver", false}, {"", false}};
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    for (uint32_t i = 0; i < n; i++) {
        const ingot_device_info *d = &devices[i];
        if (d->index == INGOT_DEVICE_CPU) {
            table_cell(&table, "cpu");
        } else {
            table_cell(&table, "%u", (unsigned)d->index);
        }
        table_cell(&table, "%s", d->name);
        table_cell(&table, "%s", d->kind);
        table_cell(&table, "%s", d->memory_bytes ? text_bytes(d->memory_bytes).at : "-");
        table_cell(&table, "%s", d->driver);
        table_cell(&table, "%s%s", d->usable ? "" : "not usable: ", d->usable ? "" : d->why_not);
    }
    const bool printed = table_print(&table, stdout, 0);
    table_release(&table);
    for (uint32_t i = 0; i < n && printed; i++) {
        const ingot_device_info *d = &devices[i];
        if (d->uuid[0] == '\0' || !d->usable) continue;
        printf("\ndevice %u: %s\n  uses:    %s\n  kernels: %s\n", (unsigned)d->index, d->uuid,
               d->features, d->kernels);
        if (d->avoids[0] != '\0') printf("  avoids:  %s\n", d->avoids);
    }
    return printed ? EXITS_DONE : EXITS_SYSTEM;
}

static int run(const void *values, struct operands operands)
{
    (void)operands;
    const struct devices_values *v = values;
    ingot_device_info devices[MAX_DEVICES];
    uint32_t n = 0;
    ingot_error error = {0};
    if (ingot_device_list(devices, MAX_DEVICES, &n, &error) != INGOT_OK) {
        return report_error(NULL, &error);
    }
    if (n > MAX_DEVICES) {
        report_note(NULL, "%u devices, of which the first %u are shown", (unsigned)n,
                    (unsigned)MAX_DEVICES);
        n = MAX_DEVICES;
    }
    return v->json ? print_json(devices, n) : print_table(devices, n);
}

static const struct option options[] = {
    {"json", 0, OPTION_FLAG, .offset = offsetof(struct devices_values, json),
     .help = "print the list as JSON"},
    {0},
};

const struct verb verb_devices = {
    .name = "devices",
    .summary = "list what this machine can compute on",
    .operands = "",
    .min_operands = 0,
    .max_operands = 0,
    .about = "Lists the CPU and the Vulkan devices of this machine. The first column is what "
             "--device takes.",
    .examples = "  ingot devices\n"
                "  ingot devices --json\n",
    .options = options,
    .values_bytes = sizeof(struct devices_values),
    .run = run,
};
