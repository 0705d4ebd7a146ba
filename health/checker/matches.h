/* What a good answer to an http probe looks like, as a copy that outlives the configuration. Pure. */
#ifndef HEALTH_CHECKER_MATCHES_H
#define HEALTH_CHECKER_MATCHES_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

#define MATCHES_NAME_BYTES  128u          /* longer names of fields are never found */
#define MATCHES_VALUE_BYTES 1024u         /* nor is what stands further in */
#define MATCHES_BODY_BYTES  (64u * 1024u) /* of the body, looked through */

struct matches;

struct matches *matches_create(const struct conf_check *c);
void matches_destroy(struct matches **mp);

bool matches_status(const struct matches *m, unsigned status);
size_t matches_field_count(const struct matches *m);
const char *matches_field_name(const struct matches *m, size_t i); /* in lower case */
/* Whether the value of the field (NULL: it is not there) is as it should be. */
bool matches_field(const struct matches *m, size_t i, const char *value);
bool matches_wants_body(const struct matches *m);

/* The next piece of the body, wherever it was cut. OPEN: it may still come. */
enum match { MATCH_OPEN = 0, MATCH_GOOD, MATCH_BAD };
enum match matches_body(struct matches *m, const char *piece, size_t len);

#endif
