/* The list of X-Forwarded-For grows to the right, each proxy adding the address it was called from. */
#include "gateway/rules/access.h"

#include <string.h>

#define HOPS_MAX      32u /* only the last so many are looked at */
#define ADDRESS_BYTES 64u

struct hops {
    struct http_view address[HOPS_MAX]; /* a ring: the last ones */
    size_t count;
};

static void collect(struct hops *h, const struct http_head *request)
{
    for (uint32_t i = 0; i < request->field_count; i++) {
        if (!http_view_is_nocase(request->fields[i].name, "x-forwarded-for"))
            continue;
        struct http_view list = request->fields[i].value, element;
        while (http_list_next(&list, &element))
            h->address[h->count++ % HOPS_MAX] = element;
    }
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80", "[2001:db8::1]". */
static bool parse_hop(struct addr *a, struct http_view v)
{
    char text[ADDRESS_BYTES];
    if (v.len == 0 || v.len >= sizeof text)
        return false;
    memcpy(text, v.data, v.len);
    text[v.len] = '\0';
    if (addr_from_ip(a, text, 0))
        return true;
    if (text[0] == '[' && text[v.len - 1] == ']') {
        text[v.len - 1] = '\0';
        return addr_from_ip(a, text + 1, 0);
    }
    return strncmp(text, "unix:", 5) != 0 && addr_parse(a, text);
}

void access_client(const struct conf *c, const struct http_head *request, const struct addr *peer, struct addr *client)
{
    *client = *peer;
    if (c->trusted_proxy_count == 0 || !conf_is_trusted(c, peer))
        return;
    struct hops h = {.count = 0};
    collect(&h, request);
    for (size_t seen = 0; seen < HOPS_MAX && seen < h.count; seen++) {
        struct addr hop;
        if (!parse_hop(&hop, h.address[(h.count - 1 - seen) % HOPS_MAX]))
            return;
        *client = hop;
        if (!conf_is_trusted(c, &hop))
            return;
    }
}

static bool is_in(const struct cidr *list, size_t count, const struct addr *a)
{
    for (size_t i = 0; i < count; i++)
        if (cidr_contains(&list[i], a))
            return true;
    return false;
}

bool access_is_allowed(const struct conf_route *route, const struct addr *client)
{
    if (is_in(route->deny, route->deny_count, client))
        return false;
    return route->allow_count == 0 || is_in(route->allow, route->allow_count, client);
}
