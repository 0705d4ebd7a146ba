/* The status of a gateway, as JSON from gateway/report, made readable. */
#ifndef GATEWAY_CTL_RENDER_H
#define GATEWAY_CTL_RENDER_H

#include <stdbool.h>

#include "base/buf.h"

/* Adds the page to `out`; false when `json` is not a JSON object. Members that are missing show as "-". */
bool render_status(const char *json, size_t len, struct strbuf *out);

#endif
