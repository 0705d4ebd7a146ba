/* Events as the gateway sends them, lines of JSON, made readable. */
#ifndef GATEWAY_CTL_EVENTS_H
#define GATEWAY_CTL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Adds a line for each event; false when `json` is something else. */
bool events_render(const char *json, size_t len, struct strbuf *out);
/* The number of the last event in `json`, or 0 when there is none. */
uint64_t events_last_seq(const char *json, size_t len);

#endif
