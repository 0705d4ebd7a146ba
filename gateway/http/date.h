/* Dates as HTTP writes them (RFC 9110 section 5.6.7), whatever the locale. */
#ifndef GATEWAY_HTTP_DATE_H
#define GATEWAY_HTTP_DATE_H

#include <stdint.h>

#define DATE_BYTES 30u /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */

/* Returns `out`. */
const char *date_text(int64_t wall_ms, char out[DATE_BYTES]);

#endif
