/* A progress bar on a terminal: one line, redrawn, gone at the end. Knows nothing of the work. */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double shown_after_seconds = 2.0;
static const double foreseen_after_seconds = 0.3;
static const double redraw_seconds = 0.1;

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct progress_bar progress_bar_begin(bool quiet)
{
    return (struct progress_bar){.enabled = !quiet && isatty(STDERR_FILENO)};
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

static void draw(const struct progress_bar *bar, double share, double elapsed)
{
    char cells[31];
    const size_t n_cells = sizeof cells - 1;
    const size_t n_full = (size_t)(share * (double)n_cells);
    memset(cells, '.', n_cells);
    memset(cells, '#', n_full);
    cells[n_cells] = 0;
    const double left = share > 0 ? elapsed * (1 - share) / share : 0;
    char line[256];
    snprintf(line, sizeof line, "%s [%s] %3.0f%%, %.0f s left", bar->phase, cells, share * 100,
             left);
    /* A full line would wrap, and only its last part could be taken back. */
    fprintf(stderr, "\r\033[K%.*s", terminal_columns() - 1, line);
    fflush(stderr);
}

void progress_bar_report(struct progress_bar *bar, const char *what, uint64_t done, uint64_t total)
{
    if (!bar->enabled || total == 0) return;
    const double now = seconds_now();
    const bool same_phase = strncmp(bar->phase, what, sizeof bar->phase - 1) == 0;
    if (!same_phase || done < bar->last_done) {
        snprintf(bar->phase, sizeof bar->phase, "%s", what);
        bar->phase_start = now;
        bar->last_drawn = now;
    }
    bar->last_done = done;
    const double share = done < total ? (double)done / (double)total : 1;
    const double elapsed = now - bar->phase_start;
    const bool foreseen = elapsed > foreseen_after_seconds && elapsed > share * shown_after_seconds;
    const bool wanted = bar->shown || elapsed > shown_after_seconds || foreseen;
    if (!wanted || now - bar->last_drawn < redraw_seconds) return;
    draw(bar, share, elapsed);
    bar->shown = true;
    bar->last_drawn = now;
}

static void report(void *context, const char *what, uint64_t done, uint64_t total)
{
    progress_bar_report(context, what, done, total);
}

struct progress progress_bar_reports(struct progress_bar *bar)
{
    return (struct progress){.context = bar, .report = report};
}

void progress_bar_erase(struct progress_bar *bar)
{
    if (!bar->shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    bar->shown = false;
}
