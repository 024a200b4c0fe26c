/* What presets lose of normal weights, as it was measured: tests/convert/test_quality.c holds the
 * numbers, and tests/bench/quantize.c prints them. */
#include <math.h>
#include <string.h>

#include "convert/encode.h"

static const struct {
    const char *name;
    double nmse;
} rows[] = {
    {"f32", 0},
    {"f16", 4.31e-8},
    {"bf16", 2.76e-6},
    {"int8", 7.4e-5},
    {"int6", 0.000390},
    {"int5", 0.001609},
    {"int4", 0.006544},
    {"int3", 0.026316},
    {"int2", 0.110361},
    {"ternary", 0.183984},
    {"nf4", 0.006881},
    {"fp4", 0.012681},
    {"code2", 0.116861},
    {"code3", 0.030279},
    {"code4", 0.007415},
    {"fp8", 0.000681},
    {"nf4-bnb", 0.007268},
    {"mxfp4", 0.012462},
    {"mxfp6", 0.000795},
    {"mxfp6e3m2", 0.002795},
    {"mxfp8", 0.000703},
    {"mxfp8e5m2", 0.002795},
    {"nvfp4", 0.007380},
    {"fp8e5m2", 0.002723},
    {"q4_0", 0.006544},
    {"q4_1", 0.004858},
    {"q5_0", 0.001609},
    {"q5_1", 0.001138},
    {"q8_0", 2.36e-5},
    {"mxfp4_gguf", 0.012462},
    {"nvfp4_gguf", 0.007386},
    {"q2_k", 0.067281},
    {"q3_k", 0.020549},
    {"q4_k", 0.004850},
    {"q5_k", 0.001206},
    {"q6_k", 0.000278},
    {"iq4_nl", 0.005403},
    {"iq4_xs", 0.005470},
    {"tq2_0", 0.188805},
    {"tq1_0", 0.188805},
    {"q2_0", 0.123591},
    {"q1_0", 0.360627},
    {"iq3_s", 0.016797},
    {"iq3_xxs", 0.031260},
    {"iq2_s", 0.056893},
    {"iq2_xs", 0.081279},
    {"iq2_xxs", 0.106745},
    {"iq1_m", 0.178333},
    {"iq1_s", 0.208471},
};

double preset_normal_error(const struct preset *preset)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, preset->name) == 0) return rows[i].nmse;
    }
    return NAN;
}
