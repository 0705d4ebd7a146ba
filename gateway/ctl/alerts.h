/* The open alerts as the gateway sends them, made readable. */
#ifndef GATEWAY_CTL_ALERTS_H
#define GATEWAY_CTL_ALERTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Adds a table; false when `json` is something else. */
bool alerts_render(const char *json, size_t len, struct strbuf *out);
/* The name of who runs this program, the one behind sudo(8) if there is one, as one word; "" when nobody knows. */
void alerts_who(char *out, size_t size_bytes);

#endif
