/* What the schema cannot see: whether the key files of a configuration can be used, whether its DNS zone can be built,
 * and whether its user exists. */
#ifndef GATEWAY_SUPER_CHECK_H
#define GATEWAY_SUPER_CHECK_H

#include <stdbool.h>

#include "base/buf.h"
#include "conf/conf.h"

/* Adds one line per complaint, `file: key: what is wrong`; true when there is none. */
bool check_conf(const struct conf *c, struct strbuf *complaints);

/* Warns on the log about certificates of listeners that have ended or are about to (health.certificate_warning). */
void check_certificates(const struct conf *c, int64_t wall_ms);

#endif
