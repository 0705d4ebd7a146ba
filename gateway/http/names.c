/* The table of names. It is asked several times for every field that passes: a name's length leaves one or two rows to
 * compare with, if any. */
#include "gateway/http/names.h"

#include <stdint.h>

#include "gateway/http/text.h"

/* These also hold of a name that a server could take for the one in the table. */
#define TRAITS_OF_LOOKALIKES ((unsigned)(HTTP_ENDS_HERE | HTTP_CLAIM))

struct known {
    const char *name; /* lower case, with dashes; NULL: no more of that length */
    unsigned traits;
};

#define ENDS HTTP_ENDS_HERE
#define KEPT HTTP_KEPT
#define ROWS (const struct known[])
/* clang-format off */
static const struct known *const by_length[] = {
    [2]  = ROWS{{"te", ENDS}, {0}},
    [3]  = ROWS{{"via", KEPT}, {0}},
    [4]  = ROWS{{"host", ENDS}, {0}},
    [5]  = ROWS{{"proxy", ENDS}, {0}},
    [6]  = ROWS{{"expect", ENDS}, {"cookie", KEPT}, {"origin", KEPT}, {0}},
    [7]  = ROWS{{"trailer", ENDS}, {"upgrade", ENDS}, {0}},
    [9]  = ROWS{{"forwarded", HTTP_CLAIM | HTTP_REWRITTEN}, {"x-real-ip", HTTP_CLAIM}, {0}},
    [10] = ROWS{{"connection", ENDS}, {"keep-alive", ENDS}, {"set-cookie", KEPT}, {"tracestate", KEPT}, {0}},
    [11] = ROWS{{"traceparent", KEPT}, {0}},
    [12] = ROWS{{"content-type", KEPT}, {"x-request-id", HTTP_CLAIM | HTTP_REWRITTEN}, {0}},
    [13] = ROWS{{"authorization", KEPT}, {"cache-control", KEPT}, {0}},
    [14] = ROWS{{"content-length", ENDS}, {"http2-settings", ENDS}, {0}},
    [15] = ROWS{{"x-forwarded-for", HTTP_CLAIM | HTTP_REWRITTEN}, {0}},
    [16] = ROWS{{"proxy-connection", ENDS}, {"x-forwarded-host", HTTP_CLAIM | HTTP_REWRITTEN}, {0}},
    [17] = ROWS{{"transfer-encoding", ENDS}, {"x-forwarded-proto", HTTP_CLAIM | HTTP_REWRITTEN},
                {"sec-websocket-key", KEPT | HTTP_HANDSHAKE}, {0}},
    [18] = ROWS{{"proxy-authenticate", ENDS}, {0}},
    [19] = ROWS{{"proxy-authorization", ENDS}, {0}},
    [21] = ROWS{{"sec-websocket-version", KEPT | HTTP_HANDSHAKE}, {0}},
    [22] = ROWS{{"sec-websocket-protocol", KEPT | HTTP_HANDSHAKE}, {0}},
    [25] = ROWS{{"proxy-authentication-info", ENDS}, {0}},
};
/* clang-format on */

static char fold(char c)
{
    return c == '_' ? '-' : text_lower(c);
}

bool http_names_resemble(struct http_view a, struct http_view b)
{
    if (a.len != b.len || (a.len > 0 && fold(a.data[0]) != fold(b.data[0])))
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (fold(a.data[i]) != fold(b.data[i]))
            return false;
    }
    return true;
}

unsigned http_traits(struct http_view name)
{
    const struct known *k = name.len < sizeof by_length / sizeof by_length[0] ? by_length[name.len] : NULL;
    if (k == NULL)
        return 0;
    for (; k->name != NULL; k++) {
        const struct http_view known = {k->name, name.len};
        if (http_view_equal_nocase(name, known))
            return k->traits;
        if (http_names_resemble(name, known))
            return k->traits & TRAITS_OF_LOOKALIKES;
    }
    return 0;
}
