/* A progress bar on a terminal. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "convert/convert.h"

/* One line of stderr, drawn only when that is a terminal and the work takes over two seconds. */
struct progress_bar {
    bool enabled;
    bool shown;
    char phase[48];     /* what is being done */
    double phase_start; /* seconds of the monotonic clock */
    double last_drawn;
    uint64_t last_done;
};

/* A quiet bar never shows. */
struct progress_bar progress_bar_begin(bool quiet);
/* For convert/convert.h. The bar must outlive it. */
struct progress progress_bar_reports(struct progress_bar *bar);
/* done of total, in any unit. */
void progress_bar_report(struct progress_bar *bar, const char *what, uint64_t done, uint64_t total);
/* Takes the line away. It comes back with the next report. */
void progress_bar_erase(struct progress_bar *bar);

/* Seconds of the monotonic clock. */
double seconds_now(void);

#endif
