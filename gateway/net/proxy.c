/* The PROXY protocol's header. Version 1 is read token by token out of one bounded line; version 2 by offsets that its
 * own length field bounds. Neither is looked at before it is whole, except to refuse early what it cannot become. */
#include "gateway/net/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/assert.h"

#define V1_WORD "PROXY "

static const uint8_t v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
#define V2_HEAD_BYTES 16u

enum { COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { TLV_HEAD_BYTES = 3, TLV_CRC32C = 0x03, TLV_CRC32C_BYTES = 4 };

static enum proxy_result refuse(struct proxy_header *h, const char *reason)
{
    h->error_reason = reason;
    return PROXY_BAD;
}

/* An address of `family`, from its bytes as they travel. */
static void set_addr(struct addr *a, int family, const void *ip, uint16_t port)
{
    memset(a, 0, sizeof *a);
    if (family == AF_INET) {
        a->len = sizeof a->v4;
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(port);
        memcpy(&a->v4.sin_addr, ip, sizeof a->v4.sin_addr);
    } else {
        a->len = sizeof a->v6;
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(port);
        memcpy(&a->v6.sin6_addr, ip, sizeof a->v6.sin6_addr);
    }
}

/* No client has the address "any", and who is told of one may take it for none at all. */
static bool is_unspecified(const struct addr *a)
{
    static const uint8_t zero[16];
    return a->sa.sa_family == AF_INET ? memcmp(&a->v4.sin_addr, zero, 4) == 0 : memcmp(&a->v6.sin6_addr, zero, 16) == 0;
}

/* ---- version 1 ---- */

/* The next token, up to exactly one space (or the end of the line for the last). False when there is none. */
static bool next_token(const char **at, const char *end, char *out, size_t cap_bytes)
{
    const char *space = memchr(*at, ' ', (size_t)(end - *at));
    size_t len = (size_t)((space != NULL ? space : end) - *at);
    if (len == 0 || len >= cap_bytes || memchr(*at, '\0', len) != NULL)
        return false;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at += len + (space != NULL ? 1 : 0);
    return true;
}

/* Decimal without leading zeros, at most 65535. */
static bool read_port(const char *text, uint16_t *port)
{
    uint32_t value = 0;
    size_t len = strlen(text);
    if (len > 5 || (len > 1 && text[0] == '0'))
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint32_t)(*text - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static enum proxy_result read_v1_addresses(struct proxy_header *h, int family, const char *at, const char *end)
{
    char text[2][INET6_ADDRSTRLEN], port_text[2][6];
    uint8_t ip[2][16];
    uint16_t port[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        if (!next_token(&at, end, text[i], sizeof text[i]) || inet_pton(family, text[i], ip[i]) != 1)
            return refuse(h, "bad address");
    for (int i = 0; i < 2; i++)
        if (!next_token(&at, end, port_text[i], sizeof port_text[i]) || !read_port(port_text[i], &port[i]))
            return refuse(h, "bad port");
    if (at != end || end[-1] == ' ')
        return refuse(h, "more than addresses and ports");
    set_addr(&h->source, family, ip[0], port[0]);
    set_addr(&h->destination, family, ip[1], port[1]);
    return is_unspecified(&h->source) ? refuse(h, "unspecified source address") : PROXY_DONE;
}

static enum proxy_result parse_v1(struct proxy_header *h, const char *data, size_t len)
{
    const size_t look = len < PROXY_V1_BYTES_MAX ? len : PROXY_V1_BYTES_MAX;
    const char *cr = memchr(data, '\r', look);
    const char *lf = memchr(data, '\n', look);
    if (cr == NULL && lf == NULL)
        return look == PROXY_V1_BYTES_MAX ? refuse(h, "line too long") : PROXY_MORE;
    if (cr == NULL || (lf != NULL && lf != cr + 1))
        return refuse(h, "bad line end");
    if (lf == NULL) {
        if (cr + 1 < data + look)
            return refuse(h, "bad line end");
        return look == PROXY_V1_BYTES_MAX ? refuse(h, "line too long") : PROXY_MORE;
    }

    char word[8];
    const char *at = data + strlen(V1_WORD);
    h->len = (size_t)(lf + 1 - data);
    if (!next_token(&at, cr, word, sizeof word))
        return refuse(h, "bad protocol");
    if (strcmp(word, "UNKNOWN") == 0) { /* whatever follows says nothing */
        h->is_local = true;
        return PROXY_DONE;
    }
    if (strcmp(word, "TCP4") != 0 && strcmp(word, "TCP6") != 0)
        return refuse(h, "bad protocol");
    return read_v1_addresses(h, word[3] == '4' ? AF_INET : AF_INET6, at, cr);
}

/* ---- version 2 ---- */

static uint16_t read_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* CRC-32C (RFC 9260 appendix A) of the header, with the `hole` of its own value taken as zeros. */
static uint32_t crc32c(const uint8_t *data, size_t len, size_t hole_begin, size_t hole_len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= i - hole_begin < hole_len ? 0u : data[i]; /* unsigned: false before the hole as well */
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* Walks the extensions from `at` to the end of the header. */
static enum proxy_result check_extensions(struct proxy_header *h, const uint8_t *data, size_t at)
{
    while (at < h->len) {
        if (h->len - at < TLV_HEAD_BYTES)
            return refuse(h, "broken extension");
        const uint8_t type = data[at];
        const size_t value_len = read_u16(data + at + 1);
        at += TLV_HEAD_BYTES;
        if (value_len > h->len - at)
            return refuse(h, "broken extension");
        if (type == TLV_CRC32C) {
            if (value_len != TLV_CRC32C_BYTES)
                return refuse(h, "broken checksum");
            const uint32_t said = (uint32_t)read_u16(data + at) << 16 | read_u16(data + at + 2);
            if (crc32c(data, h->len, at, TLV_CRC32C_BYTES) != said)
                return refuse(h, "wrong checksum");
        }
        at += value_len;
    }
    return PROXY_DONE;
}

/* What each address family brings; the protocol (stream, datagram) makes no difference to that. */
static const struct {
    int family; /* AF_UNSPEC: the addresses are of no use here */
    size_t ip_bytes;
    size_t block_bytes;
} families[] = {
    {AF_UNSPEC, 0, 0},
    {AF_INET, 4, 12},
    {AF_INET6, 16, 36},
    {AF_UNSPEC, 0, 216}, /* AF_UNIX: a path on the proxy's host */
};

static enum proxy_result read_v2_addresses(struct proxy_header *h, const uint8_t *data)
{
    const uint8_t family = data[13] >> 4, transport = data[13] & 0x0f;
    if (family >= sizeof families / sizeof families[0] || transport > 2)
        return refuse(h, "unknown address family");
    const size_t block_bytes = families[family].block_bytes, ip_bytes = families[family].ip_bytes;
    if (h->len - V2_HEAD_BYTES < block_bytes)
        return refuse(h, "addresses cut short");
    const uint8_t *block = data + V2_HEAD_BYTES;
    h->is_local = families[family].family == AF_UNSPEC || transport == 0;
    if (!h->is_local) {
        set_addr(&h->source, families[family].family, block, read_u16(block + 2 * ip_bytes));
        set_addr(&h->destination, families[family].family, block + ip_bytes, read_u16(block + 2 * ip_bytes + 2));
        if (is_unspecified(&h->source))
            return refuse(h, "unspecified source address");
    }
    /* Without a family nobody knows where the extensions begin. */
    return family == 0 ? PROXY_DONE : check_extensions(h, data, V2_HEAD_BYTES + block_bytes);
}

static enum proxy_result parse_v2(struct proxy_header *h, const uint8_t *data, size_t len)
{
    if (len > sizeof v2_signature && data[12] >> 4 != 2)
        return refuse(h, "unknown version");
    if (len > sizeof v2_signature && (data[12] & 0x0f) > COMMAND_PROXY)
        return refuse(h, "unknown command");
    if (len < V2_HEAD_BYTES)
        return PROXY_MORE;
    h->len = V2_HEAD_BYTES + read_u16(data + 14);
    if (h->len > PROXY_V2_BYTES_MAX)
        return refuse(h, "header too long");
    if (len < h->len)
        return PROXY_MORE;
    if ((data[12] & 0x0f) == COMMAND_PROXY)
        return read_v2_addresses(h, data);
    h->is_local = true;
    return PROXY_DONE;
}

enum proxy_result proxy_parse(struct proxy_header *h, const uint8_t *data, size_t len)
{
    memset(h, 0, sizeof *h);
    const size_t v1_len = strlen(V1_WORD);
    const size_t v2_len = sizeof v2_signature;
    if (memcmp(data, V1_WORD, len < v1_len ? len : v1_len) == 0)
        return len < v1_len ? PROXY_MORE : parse_v1(h, (const char *)data, len);
    if (memcmp(data, v2_signature, len < v2_len ? len : v2_len) == 0)
        return len < v2_len ? PROXY_MORE : parse_v2(h, data, len);
    return refuse(h, "no PROXY header");
}
