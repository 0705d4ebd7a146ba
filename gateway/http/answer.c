/* Answers the gateway gives by itself. What a status demands of its answer stands in one table. */
#include "gateway/http/answer.h"

#include <string.h>

#define ERROR_BODY_BYTES    1024u
#define RETRY_AFTER_DEFAULT 1u /* a server or a slot may be back at any moment */

/* RFC 9110 section 15, as far as gateways say it themselves; `fields` must go with the status. */
static const struct {
    uint16_t status;
    const char *reason;
    const char *fields;
} statuses[] = {
    {100, "Continue", ""},
    {101, "Switching Protocols", ""},
    {200, "OK", ""},
    {204, "No Content", ""},
    {301, "Moved Permanently", ""},
    {302, "Found", ""},
    {304, "Not Modified", ""},
    {307, "Temporary Redirect", ""},
    {308, "Permanent Redirect", ""},
    {400, "Bad Request", ""},
    {401, "Unauthorized", ""},
    {403, "Forbidden", ""},
    {404, "Not Found", ""},
    {405, "Method Not Allowed", "Allow: GET\r\n"},
    {408, "Request Timeout", ""},
    {411, "Length Required", ""},
    {413, "Content Too Large", ""},
    {414, "URI Too Long", ""},
    {417, "Expectation Failed", ""},
    {421, "Misdirected Request", ""},
    {426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
    {429, "Too Many Requests", ""},
    {431, "Request Header Fields Too Large", ""},
    {499, "Client Closed Request", ""},
    {500, "Internal Server Error", ""},
    {501, "Not Implemented", ""},
    {502, "Bad Gateway", ""},
    {503, "Service Unavailable", ""},
    {504, "Gateway Timeout", ""},
    {505, "HTTP Version Not Supported", ""},
};

const char *answer_reason(uint16_t status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == status)
            return statuses[i].reason;
    }
    return "Unknown";
}

static const char *status_fields(uint16_t status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == status)
            return statuses[i].fields;
    }
    return "";
}

static void add_error_body(struct strbuf *body, const struct answer *a)
{
    const char *error = a->error != NULL ? a->error : answer_reason(a->status);
    strbuf_puts(body, "{\"error\":");
    strbuf_json_string(body, error, strlen(error));
    strbuf_printf(body, ",\"status\":%u", (unsigned)a->status);
    if (a->request_id.data != NULL) {
        strbuf_puts(body, ",\"request_id\":");
        strbuf_json_string(body, a->request_id.data, a->request_id.len);
    }
    strbuf_puts(body, "}\n");
}

static void add_head(struct strbuf *out, const struct answer *a, const char *content_type, size_t body_len)
{
    uint32_t retry_after_s = a->retry_after_s;
    if (retry_after_s == 0 && a->status == 503)
        retry_after_s = RETRY_AFTER_DEFAULT;

    strbuf_printf(out, "HTTP/1.1 %u %s\r\n", (unsigned)a->status, answer_reason(a->status));
    strbuf_puts(out, status_fields(a->status));
    if (retry_after_s > 0)
        strbuf_printf(out, "Retry-After: %u\r\n", (unsigned)retry_after_s);
    strbuf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n", content_type,
                  body_len);
    if (a->request_id.len > 0) {
        strbuf_puts(out, "X-Request-Id: ");
        strbuf_add(out, a->request_id.data, a->request_id.len);
        strbuf_puts(out, "\r\n");
    }
    if (a->extra_fields != NULL)
        strbuf_puts(out, a->extra_fields);
    /* 426 names Upgrade in Connection as RFC 9110 section 7.8 demands of every message with an Upgrade field. */
    if (a->status == 426)
        strbuf_puts(out, a->keep_alive ? "Connection: upgrade\r\n" : "Connection: upgrade, close\r\n");
    else if (!a->keep_alive)
        strbuf_puts(out, "Connection: close\r\n");
    strbuf_puts(out, "\r\n");
}

void answer_build(struct strbuf *out, const struct answer *a)
{
    struct strbuf error;
    const char *content_type = a->content_type != NULL ? a->content_type : "text/plain; charset=utf-8";
    struct http_view body = {.data = a->body, .len = a->body_len};

    strbuf_init(&error, ERROR_BODY_BYTES);
    if (a->body == NULL) {
        add_error_body(&error, a);
        body = (struct http_view){.data = error.data, .len = error.len};
        content_type = "application/json";
    }
    add_head(out, a, content_type, body.len);
    if (!a->is_head && body.len > 0)
        strbuf_add(out, body.data, body.len);
    strbuf_fini(&error);
}
