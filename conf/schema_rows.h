/* What the tables of keys are written with, and the parts they are in. For conf/schema*.c alone. */
#ifndef CONF_SCHEMA_ROWS_H
#define CONF_SCHEMA_ROWS_H

#include "conf/schema.h"

/* The rows of a section stand together. */
extern const struct schema_row schema_cache_rows[]; /* SECTION_CACHE, SECTION_REDIS */
extern const size_t schema_cache_row_count;
extern const struct schema_row schema_session_rows[]; /* SECTION_BACKOFF to SECTION_QUALITY */
extern const size_t schema_session_row_count;
extern const struct schema_row schema_rules_rows[]; /* SECTION_CORS to SECTION_MAINTENANCE */
extern const size_t schema_rules_row_count;
extern const struct schema_row schema_check_rows[]; /* SECTION_CHECK */
extern const size_t schema_check_row_count;
extern const struct schema_row schema_alert_rows[]; /* SECTION_ALERT */
extern const size_t schema_alert_row_count;
extern const struct schema_row schema_dns_rows[]; /* SECTION_TARGET to SECTION_QUORUM */
extern const size_t schema_dns_row_count;

#define IN(type, member) .offset = offsetof(struct type, member), .size_bytes = sizeof(((struct type *)0)->member)
#define RANGE(low, high) .min = (low), .max = (high)
#define MS               INT64_C(1)
#define SECOND           (1000 * MS)
#define MINUTE           (60 * SECOND)
#define HOUR             (60 * MINUTE)
#define DAY              (24 * HOUR)
#define KIB              (INT64_C(1) << 10)
#define MIB              (INT64_C(1) << 20)
#define GIB              (INT64_C(1) << 30)

/* What the kinds take for granted about the structs. */
#define ARRAY_FITS(type, array, n)                                                                                     \
    _Static_assert(offsetof(struct type, n) == offsetof(struct type, array) + offsetof(struct schema_array, count), #n)

#endif
