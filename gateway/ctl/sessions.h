/* What `tidegatectl sessions` shows: a table of sessions, or one of them with all that happened to it. */
#ifndef GATEWAY_CTL_SESSIONS_H
#define GATEWAY_CTL_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Whether the text is the id of one session ("2-1837"): then its life is of interest. */
bool sessions_is_id(const char *text);

/* The gateway's JSON as text for people; false when it is something else. */
bool sessions_render(const char *json, size_t len, struct strbuf *out);
bool sessions_render_life(const char *json, size_t len, struct strbuf *out);

#endif
