/* The log's sink and its two formats.
 *
 * The hard part is never to block, although the sink is often not ours: stderr may be a pipe whose reader is stuck,
 * shared with programs that rely on its being blocking, so O_NONBLOCK must not be set on it. A pipe or terminal is
 * opened again through /proc for a file description of our own; sockets take MSG_DONTWAIT; for what is left, poll(2)
 * comes first, and a line is no longer than PIPE_BUF, which is the room a writable pipe is known to have. The same
 * bound keeps lines of several processes from mixing. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"

#define LINE_BYTES      PIPE_BUF
#define LINE_TAIL_BYTES 32u  /* kept free for the mark of a cut line and its end */
#define WHAT_BYTES      512u /* of the sentence and of one value; peers choose some of them */
#define ROLE_BYTES      32u

enum sink_kind { SINK_PLAIN = 0, SINK_NONBLOCKING, SINK_SOCKET };

static const struct {
    const char *name;      /* in text */
    const char *json_name; /* in JSON */
    int priority;          /* syslog(3), for the journal */
} levels[] = {
    [LOG_LEVEL_ERR] = {"ERROR", "error", 3},
    [LOG_LEVEL_WARN] = {"WARN", "warn", 4},
    [LOG_LEVEL_INFO] = {"INFO", "info", 6},
    [LOG_LEVEL_DEBUG] = {"DEBUG", "debug", 7},
};

/* See log.h for why this is the exception to "no process-wide state". */
static struct {
    enum log_level level;
    enum log_format format;
    char role[ROLE_BYTES];
    char *path; /* owned; NULL: not a file of our own */
    int fd;
    bool owns_fd;
    bool to_journal; /* it adds the time itself and reads a priority */
    bool is_torn;    /* the sink took only the beginning of the last line */
    enum sink_kind kind;
    uint64_t dropped_count;
    struct strbuf line; /* memory kept from line to line */
} sink = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO, .line = {.max_bytes = LINE_BYTES - 1}};

/* ---- the sink ---- */

/* systemd names device and inode of the stream it reads; both differ when stderr was redirected since. */
static bool is_journal(const struct stat *st)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;

    return stream != NULL && sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 && device == st->st_dev &&
           inode == st->st_ino;
}

/* A non-blocking file description of our own for a pipe or terminal somebody else may share; -1: stay with `fd`. */
static int open_again(int fd, const struct stat *st)
{
    char path[32];

    if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
        return -1; /* a file shares its position with others, a socket cannot be opened */
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void drop_fd(void)
{
    if (sink.owns_fd)
        (void)close(sink.fd);
    sink.fd = STDERR_FILENO;
    sink.owns_fd = false;
}

static void set_fd(int fd, bool owns_fd)
{
    struct stat st = {0};
    int flags = fcntl(fd, F_GETFL);

    drop_fd();
    sink.fd = fd;
    sink.owns_fd = owns_fd;
    sink.is_torn = false;
    sink.kind = SINK_PLAIN;
    sink.to_journal = false;
    if (fstat(fd, &st) < 0)
        return;
    sink.to_journal = is_journal(&st);
    if (S_ISSOCK(st.st_mode)) {
        sink.kind = SINK_SOCKET;
        return;
    }
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) {
        sink.kind = SINK_NONBLOCKING;
        return;
    }
    int own = open_again(fd, &st);
    if (own >= 0) {
        drop_fd();
        sink.fd = own;
        sink.owns_fd = true;
        sink.kind = SINK_NONBLOCKING;
    }
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0640);
}

void log_open(const char *role, enum log_level level, enum log_format format, const char *path)
{
    ASSERT((unsigned)level <= LOG_LEVEL_DEBUG);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader who went away must not end the process */
    (void)snprintf(sink.role, sizeof sink.role, "%s", role);
    sink.level = level;
    sink.format = format;
    mem_free(sink.path);
    sink.path = NULL;
    int fd = path != NULL ? open_file(path) : -1;
    if (fd >= 0) {
        sink.path = mem_strdup(path);
        set_fd(fd, true);
        return;
    }
    int open_errno = errno;
    set_fd(STDERR_FILENO, false);
    if (path != NULL)
        LOG_ERR("log file cannot be opened, using stderr", KV_STR("path", path), KV_STR("cause", strerror(open_errno)));
}

void log_reopen(void)
{
    if (sink.path == NULL)
        return;
    int fd = open_file(sink.path);
    if (fd >= 0)
        set_fd(fd, true);
    else
        LOG_ERR("log file cannot be opened again, using the old one", KV_STR("path", sink.path),
                KV_STR("cause", strerror(errno)));
}

void log_close(void)
{
    drop_fd();
    mem_free(sink.path);
    sink.path = NULL;
    strbuf_fini(&sink.line);
    set_fd(STDERR_FILENO, false);
}

int log_fd(void)
{
    return sink.fd;
}

void log_use_fd(int fd)
{
    (void)signal(SIGPIPE, SIG_IGN);
    mem_free(sink.path);
    sink.path = NULL;
    if (fd != sink.fd)
        set_fd(fd, fd != STDERR_FILENO);
}

bool log_enabled(enum log_level level)
{
    return level <= sink.level;
}

uint64_t log_dropped_count(void)
{
    return sink.dropped_count;
}

static ssize_t sink_write(const char *data, size_t len)
{
    ssize_t put;

    if (sink.kind == SINK_PLAIN) {
        struct pollfd p = {.fd = sink.fd, .events = POLLOUT};

        if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
            return -1;
    }
    do {
        put = sink.kind == SINK_SOCKET ? send(sink.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                       : write(sink.fd, data, len);
    } while (put < 0 && errno == EINTR);
    return put;
}

/* One line, one write. What was cut off in the middle is ended before the next line begins. */
static void sink_line(const char *line, size_t len)
{
    if (sink.is_torn) {
        if (sink_write("\n", 1) != 1) {
            sink.dropped_count++;
            return;
        }
        sink.is_torn = false;
    }
    ssize_t put = sink_write(line, len);
    if (put == (ssize_t)len)
        return;
    sink.dropped_count++;
    sink.is_torn = put > 0;
}

/* ---- text ---- */

/* Controls, C1 controls (U+0080..9f, which terminals obey) and what is not UTF-8 never get out as they are. */
static size_t safe_sequence(const char *s, size_t len)
{
    uint8_t c = (uint8_t)*s;
    size_t sequence = utf8_sequence_len(s, len);

    if (c < ' ' || c == 0x7f || c == '\\' || c == '"' || (c == 0xc2 && sequence == 2 && (uint8_t)s[1] < 0xa0))
        return 0;
    return sequence;
}

static void text_escaped(struct strbuf *b, const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t sequence = safe_sequence(s + i, len - i);
        uint8_t c = (uint8_t)s[i];

        if (sequence > 0)
            strbuf_add(b, s + i, sequence);
        else if (c == '\\' || c == '"')
            strbuf_add(b, (const char[]){'\\', (char)c}, 2);
        else if (c == '\n')
            strbuf_add(b, "\\n", 2);
        else
            strbuf_printf(b, "\\x%02x", c);
        i += sequence > 0 ? sequence : 1;
    }
}

static bool needs_quotes(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)s[i] <= ' ' || (uint8_t)s[i] >= 0x7f || strchr("\"\\=", s[i]) != NULL)
            return true;
    return len == 0;
}

static void text_string(struct strbuf *b, const char *s, size_t len)
{
    if (!needs_quotes(s, len)) {
        strbuf_add(b, s, len);
        return;
    }
    strbuf_add(b, "\"", 1);
    text_escaped(b, s, len);
    strbuf_add(b, "\"", 1);
}

static void text_head(struct strbuf *b, enum log_level level, const char *time, const char *what, size_t what_len)
{
    if (sink.to_journal)
        strbuf_printf(b, "<%d>", levels[level].priority);
    else
        strbuf_printf(b, "%s %s ", time, levels[level].name);
    if (sink.role[0] != '\0')
        strbuf_printf(b, "%s ", sink.role);
    text_escaped(b, what, what_len);
}

static void text_key(struct strbuf *b, const char *key)
{
    strbuf_printf(b, " %s=", key);
}

/* ---- JSON ---- */
static void json_head(struct strbuf *b, enum log_level level, const char *time, const char *what, size_t what_len)
{
    strbuf_printf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"role\":", time, levels[level].json_name);
    strbuf_json_string(b, sink.role, strlen(sink.role));
    strbuf_puts(b, ",\"msg\":");
    strbuf_json_string(b, what, what_len);
}

static void json_key(struct strbuf *b, const char *key)
{
    strbuf_add(b, ",", 1);
    strbuf_json_string(b, key, strlen(key));
    strbuf_add(b, ":", 1);
}

static const struct {
    void (*head)(struct strbuf *b, enum log_level level, const char *time, const char *what, size_t what_len);
    void (*key)(struct strbuf *b, const char *key);
    void (*string)(struct strbuf *b, const char *s, size_t len);
    const char *cut; /* says that fields are missing */
    const char *end;
} formats[] = {
    [LOG_FORMAT_TEXT] = {text_head, text_key, text_string, " cut=true", "\n"},
    [LOG_FORMAT_JSON] = {json_head, json_key, strbuf_json_string, ",\"cut\":true", "}\n"},
};

/* ---- one line ---- */

/* The first `max` bytes of the text at most, without splitting a character. */
static size_t bounded_len(const char *s, size_t len, size_t max)
{
    if (len <= max)
        return len;
    for (len = max; len > max - 4 && ((uint8_t)s[len] & 0xc0) == 0x80;)
        len--;
    return len;
}

static void add_field(struct strbuf *b, const struct log_field *f)
{
    const char *s = f->kind == LOG_KIND_STR && f->str != NULL ? f->str : "";

    formats[sink.format].key(b, f->key);
    switch (f->kind) {
    case LOG_KIND_STR:
        formats[sink.format].string(b, s, bounded_len(s, f->len < 0 ? strlen(s) : (size_t)f->len, WHAT_BYTES));
        break;
    case LOG_KIND_INT:
        strbuf_printf(b, "%" PRId64, f->i);
        break;
    case LOG_KIND_UINT:
        strbuf_printf(b, "%" PRIu64, f->u);
        break;
    case LOG_KIND_BOOL:
        strbuf_puts(b, f->u != 0 ? "true" : "false");
        break;
    case LOG_KIND_END:
        break;
    }
}

static void time_text(char *out, size_t cap_bytes)
{
    struct timespec now;
    struct tm tm;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    size_t len = strftime(out, cap_bytes, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + len, cap_bytes - len, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

void log_write(enum log_level level, const char *what, const struct log_field *fields)
{
    struct strbuf *b = &sink.line;
    char time[40];

    if (!log_enabled(level))
        return;
    time_text(time, sizeof time);
    strbuf_clear(b);
    formats[sink.format].head(b, level, time, what, bounded_len(what, strlen(what), WHAT_BYTES));
    for (const struct log_field *f = fields; f->kind != LOG_KIND_END; f++) {
        size_t whole_len = b->len;

        add_field(b, f);
        if (!b->failed && b->len + LINE_TAIL_BYTES <= LINE_BYTES)
            continue;
        b->len = whole_len; /* a line is cut between fields, so that it stays readable by machines */
        b->failed = false;
        strbuf_puts(b, formats[sink.format].cut);
        break;
    }
    strbuf_puts(b, formats[sink.format].end);
    sink_line(b->data, b->len);
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
