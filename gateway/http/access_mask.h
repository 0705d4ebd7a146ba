/* Queries as they may be shown: values of parameters whose names sound like credentials become "***". Names are
 * compared decoded, without case and punctuation, so that access_token, accessToken and X-Access-Token are one. A
 * parameter in which a route expects its tokens is one whatever its name. */
#ifndef GATEWAY_HTTP_ACCESS_MASK_H
#define GATEWAY_HTTP_ACCESS_MASK_H

#include "base/buf.h"
#include "conf/conf.h"
#include "gateway/http/head.h"

#define ACCESS_MASK_BYTES 1024u /* more than the log shows of one value */

/* Makes `out` the query (without "?") as `c` wants it (log.access_query); what does not fit is cut off. */
void access_mask_query(struct strbuf *out, struct http_view query, const struct conf *c);
/* The same for a whole URL, whose query and fragment are treated that way. */
void access_mask_url(struct strbuf *out, struct http_view url, const struct conf *c);

#endif
