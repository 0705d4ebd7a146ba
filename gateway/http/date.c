/* strftime() would ask the locale for the names of days and months, and printf costs more than the rest of an answer's
 * head; so the digits are put in their places. */
#include "gateway/http/date.h"

#include <string.h>
#include <time.h>

static void put_two(char *out, int n)
{
    out[0] = (char)('0' + n / 10 % 10);
    out[1] = (char)('0' + n % 10);
}

const char *date_text(int64_t wall_ms, char out[DATE_BYTES])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const char form[DATE_BYTES] = "Sun, 06 Nov 1994 08:49:37 GMT";
    const time_t s = (time_t)(wall_ms / 1000);
    struct tm tm = {0};

    (void)gmtime_r(&s, &tm);
    memcpy(out, form, sizeof form);
    memcpy(out, days[(unsigned)tm.tm_wday % 7], 3);
    put_two(out + 5, tm.tm_mday);
    memcpy(out + 8, months[(unsigned)tm.tm_mon % 12], 3);
    put_two(out + 12, (tm.tm_year + 1900) / 100);
    put_two(out + 14, (tm.tm_year + 1900) % 100);
    put_two(out + 17, tm.tm_hour);
    put_two(out + 20, tm.tm_min);
    put_two(out + 23, tm.tm_sec);
    return out;
}
