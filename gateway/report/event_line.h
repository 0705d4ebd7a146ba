/* An event as one line of JSON, and back: the form in which the journal keeps it and everybody is shown it. */
#ifndef GATEWAY_REPORT_EVENT_LINE_H
#define GATEWAY_REPORT_EVENT_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/event.h"

#define EVENT_LINE_BYTES_MAX 4096u /* every byte of a text may become a six-byte escape */

/* Adds {"seq":..,"time":"..","time_ms":..,"kind":"..","phase":"..","subject":"..","from":"..","to":"..","cause":"..",
 * "duration_ms":..} without a line's end; `duration_ms` only when known. */
void event_line_write(const struct event *e, struct strbuf *out);
/* False for what is not such a line. Members that are not known here are skipped. */
bool event_line_read(const char *line, size_t len, struct event *e);

#endif
