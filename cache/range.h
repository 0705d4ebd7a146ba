/* Range (RFC 9110 section 14.2): one range of bytes, of a body whose length is known. Pure. */
#ifndef CACHE_RANGE_H
#define CACHE_RANGE_H

#include <stddef.h>

#include "gateway/http/head.h"

enum cache_range {
    CACHE_RANGE_NONE = 0, /* another unit, several ranges, or nothing that makes sense: answered with the whole */
    CACHE_RANGE_ONE,
    CACHE_RANGE_BEYOND, /* it asks for nothing that is there: 416 */
    CACHE_RANGE_COUNT
};
/* Sets *from_byte and *byte_count for CACHE_RANGE_ONE. Numbers may be of any size. */
enum cache_range cache_range_of(struct http_view value, size_t body_bytes, size_t *from_byte, size_t *byte_count);

#endif
