/* Which methods a route takes (RFC 9110 section 9). */
#ifndef GATEWAY_RULES_METHODS_H
#define GATEWAY_RULES_METHODS_H

#include <stdbool.h>

#include "conf/conf.h"
#include "gateway/http/head.h"

/* HEAD is part of GET. A WebSocket's CONNECT over HTTP/2 (RFC 8441) is the GET it would be over HTTP/1.1. */
bool methods_allow(const struct conf_route *route, const struct http_head *request, bool is_websocket);

#endif
