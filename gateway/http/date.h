/* Dates as HTTP writes them (RFC 9110 section 5.6.7), whatever the locale. */
#ifndef GATEWAY_HTTP_DATE_H
#define GATEWAY_HTTP_DATE_H

#include <stdint.h>

#include "gateway/http/head.h"

#define DATE_BYTES 30u /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */

/* Returns `out`. */
const char *date_text(int64_t wall_ms, char out[DATE_BYTES]);
/* The time in one of the three forms that recipients must know (IMF-fixdate, RFC 850, asctime), as ms of the wall
 * clock; -1 for anything else. What lies before 1970 is told as 0. `wall_ms` is now: a year of two digits is the latest
 * one that is not more than 50 years ahead. The day of the week must be one, but need not be that of the date. */
int64_t date_parse(struct http_view text, int64_t wall_ms);

#endif
