/* The log: one event, one line, `what happened` followed by key=value fields, or the same as a JSON object.
 *
 * It is the one process-wide object besides the environment, as stderr is: every module may log, and a
 * failed start must be able to say why before any other state exists. Lines are written with one write(2)
 * each and never block: what a full pipe does not take is dropped and counted. Strings are escaped, so a
 * peer cannot forge a line. Never log bodies, cookies or keys. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERR = 0, /* a human must act */
    LOG_LEVEL_WARN,    /* degraded but handled */
    LOG_LEVEL_INFO,    /* life-cycle and state flips */
    LOG_LEVEL_DEBUG,   /* per connection */
};

enum log_format { LOG_FORMAT_TEXT = 0, LOG_FORMAT_JSON };

enum log_kind { LOG_KIND_END = 0, LOG_KIND_STR, LOG_KIND_INT, LOG_KIND_UINT, LOG_KIND_BOOL };

struct log_field {
    const char *key;
    enum log_kind kind;
    int len; /* of a string; -1: NUL-terminated */
    union {
        const char *str;
        int64_t i;
        uint64_t u;
    };
};

/* clang-format off */
#define KV_STR(k, v)     ((struct log_field){.key = (k), .kind = LOG_KIND_STR, .len = -1, .str = (v)})
#define KV_STRN(k, v, n) ((struct log_field){.key = (k), .kind = LOG_KIND_STR, .len = (int)(n), .str = (const char *)(v)})
#define KV_INT(k, v)     ((struct log_field){.key = (k), .kind = LOG_KIND_INT, .i = (int64_t)(v)})
#define KV_UINT(k, v)    ((struct log_field){.key = (k), .kind = LOG_KIND_UINT, .u = (uint64_t)(v)})
#define KV_BOOL(k, v)    ((struct log_field){.key = (k), .kind = LOG_KIND_BOOL, .u = (v) ? 1u : 0u})
/* clang-format on */

/* Where lines go. `path` NULL is stderr. `role` (e.g. "worker-1") begins every line; it is copied. */
void log_open(const char *role, enum log_level level, enum log_format format, const char *path);
/* Opens the file again (after rotation; SIGUSR1). The old one stays in use when that fails. */
void log_reopen(void);
void log_close(void);
/* The descriptor lines go to, to be handed to children; it stays the log's. */
int log_fd(void);
/* Uses an already open descriptor (takes it), for processes that may no longer open files. */
void log_use_fd(int fd);
bool log_enabled(enum log_level level);
uint64_t log_dropped_count(void);

/* As the log was opened; for those who make lines of their own. */
enum log_format log_format_in_use(void);
const char *log_role(void);

/* Writes a line that was made elsewhere (base/log_line.h), with its line feed, to where the log's own go. */
void log_write_line(const char *line, size_t len);

/* `fields` ends with a field of kind LOG_KIND_END. */
void log_write(enum log_level level, const char *what, const struct log_field *fields);

#define LOG_AT(level, what, ...)                                                                                       \
    do {                                                                                                               \
        if (log_enabled(level))                                                                                        \
            log_write((level), (what), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.kind = LOG_KIND_END}});  \
    } while (0)

#define LOG_ERR(...)   LOG_AT(LOG_LEVEL_ERR, __VA_ARGS__)
#define LOG_WARN(...)  LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_INFO(...)  LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DEBUG(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Rate limit for lines a peer can cause: `burst` lines, then one per `interval_ms`; the next line that
 * passes carries suppressed=N. Embed one per kind of event; zero state is "full bucket". */
struct log_limit {
    int64_t window_start_ms;
    uint32_t in_window_count;
    uint32_t suppressed_count;
};
#define LOG_LIMIT_BURST       10u
#define LOG_LIMIT_INTERVAL_MS 1000

/* True when a line may be written now; *suppressed_count (may be NULL) gets the number held back before it. */
bool log_limit_pass(struct log_limit *l, int64_t now_ms, uint32_t *suppressed_count);

/* Says how many lines were held back; ends the fields early when it was none. */
#define KV_SUPPRESSED(n)                                                                                               \
    ((struct log_field){.key = "suppressed", .kind = (n) > 0 ? LOG_KIND_UINT : LOG_KIND_END, .u = (n)})

#define LOG_LIMITED(limit, now_ms, level, what, ...)                                                                   \
    do {                                                                                                               \
        uint32_t suppressed_ = 0;                                                                                      \
        if (log_enabled(level) && log_limit_pass((limit), (now_ms), &suppressed_))                                     \
            LOG_AT(level, what, __VA_ARGS__ __VA_OPT__(, ) KV_SUPPRESSED(suppressed_));                                \
    } while (0)

#endif
