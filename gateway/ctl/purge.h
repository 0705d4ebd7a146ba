/* `tidegatectl purge`: from what an operator types to the lines the gateway is sent, one for each name. */
#ifndef GATEWAY_CTL_PURGE_H
#define GATEWAY_CTL_PURGE_H

#include <stdbool.h>

#include "base/buf.h"

#define PURGE_LINE_BYTES 2048u

/* `words` are those behind "purge": a kind and its names. NULL, or what is wrong with the first of them. */
const char *purge_check_words(int count, char *const words[]);
/* The line for `name` (ignored for "all"), to `out`, which is empty and bounded by PURGE_LINE_BYTES. URLs may be
 * written as in a browser; hosts become lower case. NULL, or what is wrong. */
const char *purge_line(struct strbuf *out, const char *kind, const char *name, bool is_soft);

#endif
