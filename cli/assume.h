/* --assume: what the user says of sources that leave a doubt. */
#ifndef CLI_ASSUME_H
#define CLI_ASSUME_H

#include "cli/options.h"
#include "convert/assume.h"

/* The value of --assume, in a verb's structure of values. */
#define ASSUME_OPTION(at)                                                                        \
    {                                                                                            \
        "assume", 0, OPTION_TEXTS,                                                               \
            .offset = (at), .value_name = "KEY=VALUE",                                           \
            .help =                                                                              \
                "decide a doubt that a source leaves: dialect=ggml or dialect=opaque, for GGUF " \
                "types whose numbers forks use otherwise or that are not known"                  \
    }

/* The exit status: a word that is not known is a wrong usage. */
int assume_read(const char *verb, const struct texts *words, struct assumptions *assumptions);

#endif
