/* Signals that end the command. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* From here on SIGINT, SIGTERM, SIGHUP and SIGQUIT remove the temporary files of unfinished outputs
 * before they end the process; a mapped file that can no longer be read is told of and ends it with
 * EXITS_SYSTEM; a closed pipe and a file over the limit of its length are failed writes. */
void signals_prepare(void);

#endif
