/* A head has some ten fields, of which hardly one has a name that was never seen: those are found by their length, and
 * then are known to be tokens, and in lower case for as long as the program runs. */
#include "gateway/http/h2_field.h"

#include <nghttp2/nghttp2.h>

#define NAMES_OF_A_LENGTH 6

#define SAID(text)                                                                                                     \
    {                                                                                                                  \
        {text, sizeof(text) - 1}, H2_SAID                                                                              \
    }
/* RFC 7541 section 7.1.3: the table is shared by requests of many users, so secrets are not for it. What is another
 * each time would only drive out what is not. */
#define APART(text)                                                                                                    \
    {                                                                                                                  \
        {text, sizeof(text) - 1}, H2_SAID_APART                                                                        \
    }
#define UNSAID(text)                                                                                                   \
    {                                                                                                                  \
        {text, sizeof(text) - 1}, H2_UNSAID                                                                            \
    }

/* By length. */
/* clang-format off */
static const struct h2_name names[][NAMES_OF_A_LENGTH] = {
    [2] = {UNSAID("te")},
    [3] = {SAID("age"), SAID("via")},
    [4] = {SAID("date"), SAID("etag"), SAID("vary"), SAID("link"), UNSAID("host")},
    [5] = {SAID("allow")},
    [6] = {SAID("server"), SAID("accept"), SAID("origin"), APART("cookie")},
    [7] = {SAID("expires"), SAID("referer"), UNSAID("upgrade")},
    [8] = {SAID("location"), SAID("if-range")},
    [9] = {SAID("forwarded")},
    [10] = {SAID("user-agent"), APART("set-cookie"), UNSAID("connection"), UNSAID("keep-alive")},
    [11] = {SAID("retry-after"), APART("traceparent")},
    [12] = {SAID("content-type"), SAID("cache-status"), APART("x-request-id")},
    [13] = {SAID("cache-control"), SAID("accept-ranges"), SAID("last-modified"), SAID("if-none-match"),
            SAID("content-range"), APART("authorization")},
    [14] = {UNSAID("content-length"), UNSAID("http2-settings")},
    [15] = {SAID("accept-encoding"), SAID("accept-language"), SAID("x-forwarded-for"), SAID("x-frame-options")},
    [16] = {SAID("content-encoding"), SAID("content-language"), SAID("content-location"), SAID("www-authenticate"),
            SAID("x-forwarded-host"), UNSAID("proxy-connection")},
    [17] = {SAID("if-modified-since"), SAID("x-forwarded-proto"), UNSAID("transfer-encoding")},
    [19] = {SAID("content-disposition"), APART("proxy-authorization")},
    [20] = {UNSAID("sec-websocket-accept")},
    [22] = {SAID("x-content-type-options")},
    [23] = {SAID("content-security-policy")},
    [25] = {SAID("strict-transport-security")},
    [27] = {SAID("access-control-allow-origin")},
};
/* clang-format on */

const struct h2_name *h2_name_find(struct http_view name)
{
    if (name.len >= sizeof names / sizeof names[0])
        return NULL;
    const struct h2_name *row = names[name.len];
    for (size_t i = 0; i < NAMES_OF_A_LENGTH && row[i].text.data != NULL; i++) {
        if (http_view_equal_nocase(name, row[i].text))
            return &row[i];
    }
    return NULL;
}

/* ---- values ---- */

#define EVERY_BYTE(b) ((uint64_t)0x0101010101010101u * (b))

/* Whether none of eight bytes is a control character. Of those that have none it may be wrong about tabs alone. */
static bool is_plain(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    const uint64_t erased = word ^ EVERY_BYTE(0x7f);
    const uint64_t below = (word - EVERY_BYTE(0x20)) & ~word;
    const uint64_t same = (erased - EVERY_BYTE(1)) & ~erased;
    return ((below | same) & EVERY_BYTE(0x80)) == 0;
}

bool h2_value_is_sound(struct http_view v)
{
    bool are_plain = v.len >= sizeof(uint64_t) && v.data[0] != ' ' && v.data[v.len - 1] != ' ';
    for (size_t i = 0; are_plain && i < v.len - sizeof(uint64_t); i += sizeof(uint64_t))
        are_plain = is_plain(v.data + i);
    if (are_plain && is_plain(v.data + v.len - sizeof(uint64_t)))
        return true;
    return nghttp2_check_header_value_rfc9113((const uint8_t *)v.data, v.len) != 0; /* short, or with a tab, or bad */
}
