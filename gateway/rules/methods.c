/* A list to look into. */
#include "gateway/rules/methods.h"

bool methods_allow(const struct conf_route *route, const struct http_head *request, bool is_websocket)
{
    const struct http_view method =
        is_websocket || http_view_is(request->method, "HEAD") ? http_view_of("GET") : request->method;
    for (size_t i = 0; i < route->method_count; i++)
        if (http_view_is(method, route->methods[i]) || http_view_is(request->method, route->methods[i]))
            return true;
    return route->method_count == 0;
}
