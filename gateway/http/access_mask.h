/* Queries as they may be shown: values of parameters whose names sound like credentials become "***". Names are
 * compared decoded, without case and punctuation, so that access_token, accessToken and X-Access-Token are one. */
#ifndef GATEWAY_HTTP_ACCESS_MASK_H
#define GATEWAY_HTTP_ACCESS_MASK_H

#include "base/buf.h"
#include "conf/conf.h"
#include "gateway/http/head.h"

#define ACCESS_MASK_BYTES 1024u /* more than the log shows of one value */

/* Makes `out` the query (without "?") as `show` wants it; what does not fit is cut off. */
void access_mask_query(struct strbuf *out, struct http_view query, enum conf_access_query show);
/* The same for a whole URL, whose query and fragment are treated that way. */
void access_mask_url(struct strbuf *out, struct http_view url, enum conf_access_query show);

#endif
