/* strftime() would ask the locale for the names of days and months. */
#include "gateway/http/date.h"

#include <stdio.h>
#include <time.h>

const char *date_text(int64_t wall_ms, char out[DATE_BYTES])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t s = (time_t)(wall_ms / 1000);
    struct tm tm = {0};

    (void)gmtime_r(&s, &tm);
    (void)snprintf(out, DATE_BYTES, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[(unsigned)tm.tm_wday % 7],
                   tm.tm_mday % 100, months[(unsigned)tm.tm_mon % 12], (tm.tm_year + 1900) % 10000, tm.tm_hour % 100,
                   tm.tm_min % 100, tm.tm_sec % 100);
    return out;
}
