/* The WebSocket handshake, both directions. Every rule of RFC 6455 sections 4.2.1 and 4.1 that a peer can break has one
 * line here; what the rules leave open (Origin, cookies, protocols) is the server's business, not the gateway's. */
#include "gateway/http/upgrade.h"

#include <string.h>

#include "base/assert.h"
#include "base/digest.h"
#include "gateway/http/text.h"

/* RFC 6455 section 1.3: proves that the server has read the key as a WebSocket key. */
#define ACCEPT_GUID       "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_RAW_BYTES     16u
#define WEBSOCKET_VERSION "13"

/* RFC 4648 section 4, with padding and a NUL. */
static void base64(const uint8_t *in, size_t len, char *out)
{
    static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        const size_t have = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        if (have > 1)
            bits |= (uint32_t)in[i + 1] << 8;
        if (have > 2)
            bits |= in[i + 2];
        *out++ = base64_digits[bits >> 18 & 63];
        *out++ = base64_digits[bits >> 12 & 63];
        *out++ = have > 1 ? base64_digits[bits >> 6 & 63] : '=';
        *out++ = have > 2 ? base64_digits[bits & 63] : '=';
    }
    *out = '\0';
}

/* 22 digits and "==": 16 bytes. The four bits the last digit has too many are not looked at: some clients fill them. */
static bool is_key(struct http_view key)
{
    if (key.len != UPGRADE_KEY_BYTES - 1 || memcmp(key.data + 22, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < 22; i++) {
        if (!text_is_alnum(key.data[i]) && key.data[i] != '+' && key.data[i] != '/')
            return false;
    }
    return true;
}

/* The fields that make a handshake. */
enum handshake_field { OF_KEY, OF_VERSION, OF_PROTOCOL, OF_ACCEPT, OF_EXTENSIONS, HANDSHAKE_FIELDS };

struct handshake {
    uint32_t count[HANDSHAKE_FIELDS];
    struct http_view first[HANDSHAKE_FIELDS];
};

#define PREFIX "sec-websocket-"
#define ROW(word)                                                                                                      \
    {                                                                                                                  \
        .data = PREFIX word, .len = sizeof PREFIX word - 1                                                             \
    }

/* All of them, in one walk over the head. */
static void handshake_read(struct handshake *s, const struct http_head *h)
{
    static const struct http_view names[HANDSHAKE_FIELDS] = {[OF_KEY] = ROW("key"),
                                                             [OF_VERSION] = ROW("version"),
                                                             [OF_PROTOCOL] = ROW("protocol"),
                                                             [OF_ACCEPT] = ROW("accept"),
                                                             [OF_EXTENSIONS] = ROW("extensions")};
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];
        if (f->name.len < names[OF_KEY].len) /* the shortest */
            continue;
        for (size_t k = 0; k < HANDSHAKE_FIELDS; k++) {
            if (http_view_equal_nocase(f->name, names[k]) && s->count[k]++ == 0)
                s->first[k] = f->value;
        }
    }
}

bool upgrade_is_wanted(const struct http_head *request)
{
    if (request->major_version == 2)
        return http_view_is(request->method, "CONNECT") && http_view_is_nocase(request->protocol, "websocket");
    return http_has_token(request, "upgrade", "websocket") || http_find(request, "sec-websocket-key") != NULL;
}

struct rule {
    bool is_broken;
    uint16_t status;
    const char *reason;
};

static uint16_t first_broken(const struct rule *rules, size_t count, const char **reason)
{
    for (size_t i = 0; i < count; i++) {
        if (rules[i].is_broken) {
            *reason = rules[i].reason;
            return rules[i].status;
        }
    }
    return 0;
}

/* RFC 8441 section 5: :protocol stands for Upgrade and Connection, the stream itself for the key. */
static uint16_t check_extended_connect(const struct http_head *r, const struct handshake *s, const char **reason)
{
    const uint32_t version_count = s->count[OF_VERSION];
    const bool is_known = http_view_is(s->first[OF_VERSION], WEBSOCKET_VERSION);
    const struct rule rules[] = {
        {!upgrade_is_wanted(r), 405, "handshake with another method than CONNECT"},
        {r->authority.len == 0, 400, "handshake without host"},
        {r->path.len == 0, 400, "handshake without path"},
        {r->content_length > 0, 400, "handshake with a body"},
        {version_count > 1 || (version_count == 1 && !is_known), 426, "unknown websocket version"},
    };
    return first_broken(rules, sizeof rules / sizeof rules[0], reason);
}

uint16_t upgrade_check_request(const struct http_head *request, const char **reason)
{
    const struct http_head *r = request;
    struct handshake s;
    handshake_read(&s, r);
    if (r->major_version == 2)
        return check_extended_connect(r, &s, reason);
    const struct rule rules[] = {
        {!http_view_is(r->method, "GET"), 405, "handshake with another method than GET"},
        {r->minor_version == 0, 400, "handshake over HTTP/1.0"},
        {r->authority.data == NULL, 400, "handshake without host"},
        {!http_has_token(r, "upgrade", "websocket"), 426, "no upgrade to websocket"},
        {!r->wants_upgrade, 426, "connection does not name upgrade"},
        {r->content_length > 0 || r->is_chunked, 400, "handshake with a body"},
        {s.count[OF_VERSION] != 1 || !http_view_is(s.first[OF_VERSION], WEBSOCKET_VERSION), 426,
         "unknown websocket version"},
        {s.count[OF_KEY] != 1, 400, "not exactly one websocket key"},
        {!is_key(s.first[OF_KEY]), 400, "bad websocket key"},
    };
    return first_broken(rules, sizeof rules / sizeof rules[0], reason);
}

void upgrade_accept_key(struct http_view key, char accept[UPGRADE_ACCEPT_BYTES])
{
    char text[UPGRADE_KEY_BYTES - 1 + sizeof ACCEPT_GUID];
    uint8_t digest[DIGEST_SHA1_BYTES];

    ASSERT(key.len == UPGRADE_KEY_BYTES - 1);
    memcpy(text, key.data, key.len);
    memcpy(text + key.len, ACCEPT_GUID, sizeof ACCEPT_GUID - 1);
    digest_sha1(text, key.len + sizeof ACCEPT_GUID - 1, digest);
    base64(digest, sizeof digest, accept);
}

bool upgrade_add_accept(struct http_head *answer, const struct http_head *request, char accept[UPGRADE_ACCEPT_BYTES])
{
    upgrade_accept_key(http_value(request, "sec-websocket-key"), accept);
    return http_head_add(answer, http_view_of("Sec-WebSocket-Accept"), http_view_of(accept));
}

void upgrade_make_key(const uint8_t random[16], char key[UPGRADE_KEY_BYTES])
{
    base64(random, KEY_RAW_BYTES, key);
}

/* The request's Sec-WebSocket-Protocol fields are one list; names are compared with case (RFC 6455 section 11.3.4). */
static bool was_offered(const struct http_head *request, struct http_view protocol)
{
    for (uint32_t i = 0; i < request->field_count; i++) {
        if (!http_view_is_nocase(request->fields[i].name, "sec-websocket-protocol"))
            continue;
        struct http_view list = request->fields[i].value, offer;
        while (http_list_next(&list, &offer)) {
            if (offer.len == protocol.len && memcmp(offer.data, protocol.data, offer.len) == 0)
                return true;
        }
    }
    return false;
}

const char *upgrade_check_response(const struct http_head *response, const struct http_head *request,
                                   struct http_view key)
{
    const bool is_h2 = response->major_version == 2; /* RFC 8441 section 5.1: of the handshake the status is left */
    struct handshake s;
    char accept[UPGRADE_ACCEPT_BYTES] = "";

    if (!is_h2 && !is_key(key))
        return "key that is none was sent";
    handshake_read(&s, response);
    if (!is_h2)
        upgrade_accept_key(key, accept);
    const struct {
        bool is_broken;
        const char *reason;
    } rules[] = {
        {response->status != (is_h2 ? 200 : 101), is_h2 ? "status is not 200" : "status is not 101"},
        {!is_h2 && !http_has_token(response, "upgrade", "websocket"), "no upgrade to websocket"},
        {!is_h2 && !response->wants_upgrade, "connection does not name upgrade"},
        {!is_h2 && s.count[OF_ACCEPT] != 1, "not exactly one accept key"},
        {!is_h2 && !http_view_is(s.first[OF_ACCEPT], accept), "wrong accept key"},
        {s.count[OF_PROTOCOL] > 1, "several subprotocols"},
        {s.count[OF_PROTOCOL] > 0 && !was_offered(request, s.first[OF_PROTOCOL]), "subprotocol was not offered"},
        {s.first[OF_EXTENSIONS].len > 0, "extension was not offered"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].is_broken)
            return rules[i].reason;
    }
    return NULL;
}
