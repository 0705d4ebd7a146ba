/* A writer of JSON (RFC 8259) onto a strbuf: it knows where commas go, so that callers just name members.
 *
 * `key` is NULL inside an array and at the top. Objects and arrays must be ended in the order they were begun; the
 * text itself is not checked. */
#ifndef GATEWAY_REPORT_JSON_H
#define GATEWAY_REPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct json {
    struct strbuf *out; /* borrowed */
    bool needs_comma;
};

void json_init(struct json *j, struct strbuf *out);
void json_object_begin(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array_begin(struct json *j, const char *key);
void json_array_end(struct json *j);

void json_str(struct json *j, const char *key, const char *value); /* NULL writes null */
void json_int(struct json *j, const char *key, int64_t value);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
/* A moment as RFC 3339 in UTC with milliseconds; 0 (never) writes null. */
void json_time(struct json *j, const char *key, int64_t wall_ms);
/* Text that is JSON already: one value, or, inside an array, several with commas between. Nothing for "". */
void json_raw(struct json *j, const char *key, const char *text, size_t len);

#endif
