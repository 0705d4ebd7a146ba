/* Who the client is, and whether its address may use a route. */
#ifndef GATEWAY_RULES_ACCESS_H
#define GATEWAY_RULES_ACCESS_H

#include <stdbool.h>

#include "base/sock.h"
#include "conf/conf.h"
#include "gateway/http/head.h"

/* The client behind a connection from `peer`. A trusted proxy's X-Forwarded-For is read from its end: the first address
 * that is no trusted proxy itself is the client; what stands before it anybody could have written. */
void access_client(const struct conf *c, const struct http_head *request, const struct addr *peer, struct addr *client);
/* Not in `deny`, and in `allow` when there is such a list. */
bool access_is_allowed(const struct conf_route *route, const struct addr *client);

#endif
