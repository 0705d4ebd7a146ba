/* The clocks of named time zones, daylight saving included, without the C library's one zone for the whole process:
 * the files of the system's time zone database (TZif, RFC 9636) read as bytes. */
#ifndef BASE_TZ_H
#define BASE_TZ_H

#include <stddef.h>
#include <stdint.h>

#define TZ_DIR       "/usr/share/zoneinfo"
#define TZ_BYTES_MAX (64u << 10) /* of a file; the largest has a few kilobytes */

struct tz;

/* NULL when the bytes are no time zone. */
struct tz *tz_parse(const void *data, size_t len);
/* The zone `name` ("Europe/Berlin") from the database in `dir`. NULL when there is none, and for names that are not
 * below the directory. */
struct tz *tz_load(const char *dir, const char *name);
void tz_destroy(struct tz **zp);

/* How far its clocks are ahead of UTC at a moment, in seconds. */
int32_t tz_offset_s(const struct tz *z, int64_t utc_s);

#endif
