/* Names, hosts, paths and URLs. What passes here is later put into request lines, headers, log lines, socket paths and
 * shared tables as it is, so each kind allows what it needs and nothing else: no white space, no control characters, no
 * separators of the place it goes to. */
#include <arpa/inet.h>
#include <string.h>

#include "base/slots.h"
#include "conf/value.h"

#define NAME_MAX_BYTES     60u /* "pool/server" must fit SLOTS_NAME_BYTES */
#define HOST_MAX_BYTES     253u
#define LABEL_MAX_BYTES    63u
#define PATH_MAX_BYTES     1024u
#define FILE_PATH_MAX      1023u
#define URL_TEXT_MAX_BYTES 1500u
#define CLAIM_MAX_BYTES    127u
#define TAG_MAX_BYTES      128u /* CACHE_TAG_BYTES_MAX */

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool all_of(const char *text, const char *extra)
{
    for (; *text != '\0'; text++)
        if (!is_alnum(*text) && strchr(extra, *text) == NULL)
            return false;
    return true;
}

const char *value_name(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (strlen(text) > NAME_MAX_BYTES)
        return "is too long";
    if (!all_of(text, "._-"))
        return "has a character that names may not have";
    return is_alnum(text[0]) ? NULL : "does not begin with a letter or digit";
}

const char *value_label(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (strlen(text) >= SLOTS_NAME_BYTES)
        return "is too long";
    for (const char *s = text; *s != '\0'; s++)
        if (*s <= ' ' || *s >= 0x7f || *s == '"' || *s == '\\')
            return "has a character that labels may not have";
    return NULL;
}

static bool is_numeric_address(const char *text)
{
    unsigned char ip[16];
    return inet_pton(AF_INET, text, ip) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

/* Of a DNS name; underscores are not host names by the book (RFC 1123) but common inside container networks. */
static const char *dns_labels(const char *text)
{
    size_t len = strlen(text), label = 0;
    if (len == 0)
        return "is empty";
    if (len > HOST_MAX_BYTES)
        return "is too long";
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.') {
            if (label == 0)
                return "has an empty part";
            label = 0;
            continue;
        }
        if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_')
            return "is not a host name";
        if (text[i] == '-' && label == 0)
            return "is not a host name";
        if (++label > LABEL_MAX_BYTES)
            return "has a part that is too long";
    }
    return NULL;
}

static const char *dns_name(const char *text)
{
    const char *why = dns_labels(text);
    if (why != NULL)
        return why;
    const char *top = strrchr(text, '.');
    top = top != NULL ? top + 1 : text;
    if (*top != '\0' && strspn(top, "0123456789") == strlen(top))
        return "is neither a name nor a complete address";
    return NULL;
}

const char *value_hostname(const char *text)
{
    return is_numeric_address(text) ? NULL : dns_name(text);
}

const char *value_domain(const char *text)
{
    return is_numeric_address(text) ? "is an address" : dns_name(text);
}

const char *value_owner(const char *text)
{
    if (strcmp(text, "@") == 0 || strcmp(text, "*") == 0)
        return NULL;
    return dns_labels(strncmp(text, "*.", 2) == 0 ? text + 2 : text);
}

const char *value_ipv4(const char *text)
{
    unsigned char ip[4];
    return inet_pton(AF_INET, text, ip) == 1 ? NULL : "is not an IPv4 address";
}

const char *value_ipv6(const char *text)
{
    unsigned char ip[16];
    return inet_pton(AF_INET6, text, ip) == 1 ? NULL : "is not an IPv6 address";
}

const char *value_host_pattern(const char *text)
{
    if (strncmp(text, "*.", 2) == 0)
        return dns_name(text + 2);
    if (strchr(text, '*') != NULL)
        return "has a * elsewhere than in front";
    if (strstr(text, "//") != NULL)
        return "is a URL";
    if (text[0] != '[' && strchr(text, ':') != NULL && !is_numeric_address(text))
        return "has a port";
    return value_hostname(text);
}

const char *value_host_port(const char *text, size_t len, const char **host, size_t *host_len, uint16_t *port)
{
    const char *end = text + len;
    const char *s = text;
    if (len > 0 && *s == '[') {
        const char *close = memchr(text, ']', len);
        if (close == NULL)
            return "has a [ without ]";
        *host = text + 1;
        *host_len = (size_t)(close - text) - 1;
        s = close + 1;
    } else {
        const char *colon = memchr(text, ':', len);
        *host = text;
        *host_len = colon != NULL ? (size_t)(colon - text) : len;
        s = text + *host_len;
    }
    char name[HOST_MAX_BYTES + 1];
    if (*host_len > HOST_MAX_BYTES)
        return "has a host that is too long";
    memcpy(name, *host, *host_len);
    name[*host_len] = '\0';
    unsigned char ip[16];
    if (*text == '[' ? inet_pton(AF_INET6, name, ip) != 1 : value_hostname(name) != NULL)
        return *host_len == 0 ? "has no host" : "has a host that is neither a name nor an address";
    if (s == end)
        return NULL;
    if (*s != ':')
        return "has something behind the host that is not a port";
    uint64_t number = 0;
    char digits[6] = "";
    size_t digit_count = (size_t)(end - s) - 1;
    if (digit_count == 0 || digit_count >= sizeof digits)
        return "has a port that is not a number from 1 to 65535";
    memcpy(digits, s + 1, digit_count);
    if (value_uint(digits, &number) != NULL || number == 0 || number > UINT16_MAX)
        return "has a port that is not a number from 1 to 65535";
    *port = (uint16_t)number;
    return NULL;
}

const char *value_authority(const char *text)
{
    const char *host = NULL;
    size_t host_len = 0;
    uint16_t port = 0;
    return value_host_port(text, strlen(text), &host, &host_len, &port);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What the gateway refuses in requests, so that a path with it would never be asked for. */
static const char *odd_path(const char *text)
{
    size_t len = strcspn(text, "?");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && !(is_hex(text[i + 1]) && is_hex(text[i + 2])))
            return "has a % without two hexadecimal digits";
        size_t dots = text[i] == '/' ? strspn(text + i + 1, ".") : 0;
        bool is_whole = dots > 0 && (i + 1 + dots == len || text[i + 1 + dots] == '/');
        if (is_whole && dots <= 2)
            return "has a . or .. part";
    }
    return NULL;
}

const char *value_path(const char *text, bool with_query)
{
    if (text[0] != '/')
        return "does not begin with /";
    if (strlen(text) > PATH_MAX_BYTES)
        return "is too long";
    for (const char *s = text; *s != '\0'; s++) {
        if (*s <= ' ' || *s >= 0x7f)
            return "has a space or a character that must be written as %XX";
        if (*s == '#')
            return "has a fragment";
        if (*s == '?' && !with_query)
            return "has a query";
        if (strchr("\"<>\\^`{|}", *s) != NULL)
            return "has a character that must be written as %XX";
    }
    return odd_path(text);
}

const char *value_token(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (strlen(text) > NAME_MAX_BYTES)
        return "is too long";
    return all_of(text, "!#$%&'*+-.^_`|~") ? NULL : "has a character that header names may not have";
}

const char *value_parameter(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (strlen(text) > NAME_MAX_BYTES)
        return "is too long";
    return all_of(text, "-._~%+!$'()*,;:@/?[]") ? NULL : "has a character that must be written as %XX";
}

const char *value_claim(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    return strlen(text) > CLAIM_MAX_BYTES ? "is too long" : NULL;
}

/* Origins list theirs with spaces (Surrogate-Key) or commas (Cache-Tag) between. */
const char *value_tag(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (strlen(text) > TAG_MAX_BYTES)
        return "is too long";
    for (const char *s = text; *s != '\0'; s++)
        if (*s <= ' ' || *s >= 0x7f || *s == ',')
            return "has a character that tags may not have";
    return NULL;
}

const char *value_node(const char *text)
{
    const char *host = NULL;
    size_t host_len = 0;
    uint16_t port = 0;
    const char *why = value_host_port(text, strlen(text), &host, &host_len, &port);
    return why == NULL && port == 0 ? "has no port" : why;
}

/* As browsers write it (RFC 6454 section 6.2): lower case, without path, without the scheme's own port. */
const char *value_origin(const char *text)
{
    if (strcmp(text, "*") == 0)
        return NULL;
    if (strlen(text) > URL_TEXT_MAX_BYTES)
        return "is too long";
    for (const char *s = text; *s != '\0'; s++)
        if (*s >= 'A' && *s <= 'Z')
            return "has an upper case letter";
    const char *end = strstr(text, "://");
    if (end == NULL || end == text)
        return "has no scheme";
    for (const char *s = text; s < end; s++)
        if (!is_alnum(*s) && strchr("+-.", *s) == NULL)
            return "has a scheme that cannot be";
    const char *host = end + 3;
    if (strchr(host, '/') != NULL)
        return "has a path";
    if (strncmp(host, "*.", 2) == 0)
        host += 2;
    const char *port = strrchr(host, ':');
    bool is_usual = port != NULL && ((strcmp(port, ":80") == 0 && strncmp(text, "http:", 5) == 0) ||
                                     (strcmp(port, ":443") == 0 && strncmp(text, "https:", 6) == 0));
    return is_usual ? "has a port that browsers leave out" : value_authority(host);
}

const char *value_file_path(const char *text)
{
    if (strlen(text) > FILE_PATH_MAX)
        return "is too long";
    for (const char *s = text; *s != '\0'; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return "has a control character";
    return NULL;
}

static const struct {
    const char *text;
    enum conf_scheme scheme;
    uint16_t port;
    bool is_tls;
} schemes[] = {
    {"ws://", SCHEME_WS, 80, false},       {"wss://", SCHEME_WSS, 443, true}, {"http://", SCHEME_HTTP, 80, false},
    {"https://", SCHEME_HTTPS, 443, true}, {"tcp://", SCHEME_TCP, 0, false}, /* of what is only asked, with its port */
};
#define SCHEME_ROWS (sizeof schemes / sizeof schemes[0])

bool value_scheme_is_tls(enum conf_scheme s)
{
    for (size_t i = 0; i < SCHEME_ROWS; i++)
        if (schemes[i].scheme == s)
            return schemes[i].is_tls;
    return false;
}

static const char *read_scheme(const char *text, bool with_tcp, struct value_url *out, const char **rest)
{
    if (strlen(text) > URL_TEXT_MAX_BYTES)
        return "is too long";
    if (strstr(text, "://") == NULL)
        return "has no scheme";
    for (size_t i = 0; i < SCHEME_ROWS; i++)
        if (strncmp(text, schemes[i].text, strlen(schemes[i].text)) == 0) {
            out->scheme = schemes[i].scheme;
            out->port = schemes[i].port;
            *rest = text + strlen(schemes[i].text);
        }
    return out->scheme == SCHEME_NONE || (out->scheme == SCHEME_TCP && !with_tcp) ? "has an unknown scheme" : NULL;
}

static const char *read_url(const char *text, bool is_asked, struct value_url *out)
{
    *out = (struct value_url){0};
    const char *s = text;
    const char *why = read_scheme(text, is_asked, out, &s);
    if (why != NULL)
        return why;
    const uint16_t usual_port = out->port;
    size_t authority_len = strcspn(s, "/?#");
    if (memchr(s, '@', authority_len) != NULL)
        return "has a user or password in it";
    why = value_host_port(s, authority_len, &out->host, &out->host_len, &out->port);
    if (why != NULL)
        return why;
    if (out->port == 0)
        return "has no port";
    out->is_usual_port = out->port == usual_port;
    out->path = s + authority_len;
    if (*out->path != '\0') {
        if (*out->path == '?')
            return "has a query";
        if (*out->path == '#')
            return "has a fragment";
        why = value_path(out->path, is_asked);
    }
    out->path_len = strlen(out->path);
    return why;
}

const char *value_url(const char *text, struct value_url *out)
{
    const char *why = read_url(text, false, out);
    while (why == NULL && out->path_len > 0 && out->path[out->path_len - 1] == '/')
        out->path_len--;
    return why;
}

const char *value_asked_url(const char *text, struct value_url *out)
{
    return read_url(text, true, out);
}
