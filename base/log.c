/* The process's log: what is below it are a sink (base/log_sink.h) and two formats (base/log_line.h). */
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/log_line.h"
#include "base/log_sink.h"
#include "base/mem.h"

#define ROLE_BYTES 32u

/* See log.h for why this is the exception to "no process-wide state". */
static struct {
    enum log_level level;
    enum log_format format;
    char role[ROLE_BYTES];
    char *path; /* owned; NULL: not a file of our own */
    struct log_sink out;
    struct strbuf line; /* memory kept from line to line */
} sink = {.level = LOG_LEVEL_INFO, .out = LOG_SINK_STDERR, .line = {.max_bytes = LOG_LINE_BYTES - 1}};

void log_open(const char *role, enum log_level level, enum log_format format, const char *path)
{
    ASSERT((unsigned)level <= LOG_LEVEL_DEBUG);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader who went away must not end the process */
    (void)snprintf(sink.role, sizeof sink.role, "%s", role);
    sink.level = level;
    sink.format = format;
    mem_free(sink.path);
    sink.path = NULL;
    int fd = path != NULL ? log_file_open(path) : -1;
    if (fd >= 0) {
        sink.path = mem_strdup(path);
        log_sink_use(&sink.out, fd, true);
        return;
    }
    int open_errno = errno;
    log_sink_close(&sink.out);
    if (path != NULL)
        LOG_ERR("log file cannot be opened, using stderr", KV_STR("path", path), KV_STR("cause", strerror(open_errno)));
}

void log_reopen(void)
{
    if (sink.path == NULL)
        return;
    int fd = log_file_open(sink.path);
    if (fd >= 0)
        log_sink_use(&sink.out, fd, true);
    else
        LOG_ERR("log file cannot be opened again, using the old one", KV_STR("path", sink.path),
                KV_STR("cause", strerror(errno)));
}

void log_close(void)
{
    mem_free(sink.path);
    sink.path = NULL;
    strbuf_fini(&sink.line);
    log_sink_close(&sink.out);
}

int log_fd(void)
{
    return sink.out.fd;
}

void log_use_fd(int fd)
{
    (void)signal(SIGPIPE, SIG_IGN);
    mem_free(sink.path);
    sink.path = NULL;
    if (fd != sink.out.fd)
        log_sink_use(&sink.out, fd, fd != STDERR_FILENO);
}

bool log_enabled(enum log_level level)
{
    return level <= sink.level;
}

enum log_format log_format_in_use(void)
{
    return sink.format;
}

const char *log_role(void)
{
    return sink.role;
}

uint64_t log_dropped_count(void)
{
    return sink.out.dropped_count;
}

static int64_t wall_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void log_write(enum log_level level, const char *what, const struct log_field *fields)
{
    struct strbuf *b = &sink.line;
    char time[LOG_TIME_BYTES];
    struct log_stamp stamp = {.level = level, .role = sink.role};

    if (!log_enabled(level))
        return;
    if (!sink.out.to_journal || sink.format == LOG_FORMAT_JSON)
        stamp.time = log_time_text(wall_ms(), time);
    strbuf_clear(b);
    log_line_add(b, sink.format, &stamp, what, fields);
    log_sink_write(&sink.out, b->data, b->len);
}

void log_write_line(const char *line, size_t len)
{
    log_sink_write(&sink.out, line, len);
}

/* ---- rate limit: a bucket of LOG_LIMIT_BURST lines into which one line's worth drips per interval ---- */
bool log_limit_pass(struct log_limit *l, int64_t now_ms, uint32_t *suppressed_count)
{
    int64_t dripped = (now_ms - l->window_start_ms) / LOG_LIMIT_INTERVAL_MS;

    if (l->in_window_count == 0 || dripped >= (int64_t)l->in_window_count) {
        l->in_window_count = 0;
        l->window_start_ms = now_ms;
    } else if (dripped > 0) {
        l->in_window_count -= (uint32_t)dripped;
        l->window_start_ms += dripped * LOG_LIMIT_INTERVAL_MS;
    }
    if (l->in_window_count >= LOG_LIMIT_BURST) {
        l->suppressed_count++;
        return false;
    }
    l->in_window_count++;
    if (suppressed_count != NULL)
        *suppressed_count = l->suppressed_count;
    l->suppressed_count = 0;
    return true;
}
