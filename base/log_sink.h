/* A descriptor that lines are written to: a file, a pipe, a terminal, a socket, the journal.
 *
 * Each line is one write(2) and never blocks: what a full pipe does not take is dropped and counted. Lines of up to
 * LOG_LINE_BYTES never mix with those of other processes that write to the same place. */
#ifndef BASE_LOG_SINK_H
#define BASE_LOG_SINK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_BYTES PIPE_BUF

enum log_sink_kind { SINK_PLAIN = 0, SINK_FILE, SINK_NONBLOCKING, SINK_SOCKET };

struct log_sink {
    int fd;
    bool owns_fd;
    bool to_journal; /* it adds the time itself and reads a priority */
    bool is_torn;    /* it took only the beginning of the last line */
    enum log_sink_kind kind;
    uint64_t dropped_count;
};
#define LOG_SINK_STDERR                                                                                                \
    {                                                                                                                  \
        .fd = STDERR_FILENO                                                                                            \
    }

/* Lines go to `fd` from now on, closed in the end if it is owned; the descriptor before it is closed if that was. */
void log_sink_use(struct log_sink *s, int fd, bool owns_fd);
/* Back to standard error. */
void log_sink_close(struct log_sink *s);
/* `line` with the line feed at its end. */
void log_sink_write(struct log_sink *s, const char *line, size_t len);

/* Opens a file for lines, to append to; -1 with errno. */
int log_file_open(const char *path);

#endif
