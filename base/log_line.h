/* One event as one line of text or JSON: bounded, escaped, readable by machines even when it had to be cut. Pure but
 * for the time, which is handed in. */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include "base/buf.h"
#include "base/log.h"

#define LOG_TIME_BYTES 40u /* "2026-01-02T03:04:05.678Z" and NUL, whatever the clock says */

/* The time of the line, in UTC. Returns `out`. */
const char *log_time_text(int64_t wall_ms, char out[LOG_TIME_BYTES]);

struct log_stamp {
    enum log_level level;
    const char *time; /* NULL, in text: a priority for the journal, which adds the time itself */
    const char *role; /* "": none */
};

/* Adds the line with its line feed to `out`, whose bound must leave room for the sentence; fields that do not fit are
 * left out, and the line says so. */
void log_line_add(struct strbuf *out, enum log_format format, const struct log_stamp *stamp, const char *what,
                  const struct log_field *fields);
/* Adds ` key=value` for each field as a line of text would have them, and its end. */
void log_line_add_fields(struct strbuf *out, const struct log_field *fields);
/* Adds text with quotes, backslashes, controls and what is not UTF-8 escaped; at most `max_bytes` of it are looked at,
 * and no character is split. */
void log_line_add_text(struct strbuf *out, const char *s, size_t len, size_t max_bytes);

#endif
