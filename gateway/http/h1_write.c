/* Heads as text. Nothing that came from a peer or a file may break out of its line here, whoever looked at it before:
 * a field is checked when it is written, and one bad byte spoils the whole head. */
#include "gateway/http/h1_write.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/http/answer.h"
#include "gateway/http/text.h"

/* Most heads are shorter: their text moves once, not at every doubling. */
#define HEAD_BYTES_USUAL 1000u

/* Fields that belong to this connection: the writer's own business. */
#define OWN_FIELDS(X) X("connection") X("content-length") X("transfer-encoding") X("keep-alive") X("proxy-connection")

static bool is_own(struct http_view name)
{
#define IS(own) || http_view_is_nocase(name, own)
    return false OWN_FIELDS(IS);
#undef IS
}

/* False: none of its fields is. */
static bool may_have_own(const struct http_head *h)
{
#define MAY_BE_THERE(own) || http_may_have(h, http_view_of(own))
    return false OWN_FIELDS(MAY_BE_THERE);
#undef MAY_BE_THERE
}

/* A word of the request line. */
static bool is_word(struct http_view v)
{
    for (size_t i = 0; i < v.len; i++) {
        if ((unsigned char)v.data[i] <= ' ' || v.data[i] == 0x7f)
            return false;
    }
    return v.len > 0;
}

static void add_view(struct strbuf *out, struct http_view v)
{
    strbuf_add(out, v.data, v.len);
}

static inline void put_field(struct strbuf *out, struct http_view name, struct http_view value)
{
    char *at = strbuf_extend(out, name.len + 2 + value.len + 2);
    if (at == NULL)
        return;
    memcpy(at, name.data, name.len);
    at += name.len;
    memcpy(at, ": ", 2);
    if (value.len > 0)
        memcpy(at + 2, value.data, value.len);
    memcpy(at + 2 + value.len, "\r\n", 2);
}

static void add_field(struct strbuf *out, struct http_view name, struct http_view value)
{
    if (http_is_token(name) && http_view_is_inline(value))
        put_field(out, name, value);
    else
        out->failed = true;
}

/* The fields, without the writer's own and the one called `but` (NULL: none). */
static void add_fields(struct strbuf *out, const struct http_head *h, const char *but)
{
    const bool has_own = may_have_own(h), has_but = but != NULL && http_find(h, but) != NULL;
    if (h->written_count > 0)
        add_view(out, h->written);
    for (uint32_t i = h->written_count; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];
        if (!(has_own && is_own(f->name)) && !(has_but && http_view_is_nocase(f->name, but)))
            add_field(out, f->name, f->value);
    }
}

static void add_connection(struct strbuf *out, const struct http_head *h, const struct h1_write *w)
{
    static const char *const words[] = {
        [H1_CONNECTION_DEFAULT] = NULL, [H1_CONNECTION_CLOSE] = "close", [H1_CONNECTION_KEEP_ALIVE] = "keep-alive"};
    const char *word = words[w->connection];
    const bool has_upgrade = http_find(h, "upgrade") != NULL;
    if (!has_upgrade && word == NULL)
        return;
    strbuf_puts(out, has_upgrade ? "Connection: Upgrade" : "Connection: ");
    if (has_upgrade && word != NULL)
        strbuf_puts(out, ", ");
    if (word != NULL)
        strbuf_puts(out, word);
    strbuf_puts(out, "\r\n");
}

static void add_length(struct strbuf *out, uint64_t length)
{
    char digits[DECIMAL_BYTES];
    put_field(out, http_view_of("Content-Length"), (struct http_view){digits, decimal_text(length, digits)});
}

static bool add_end(struct strbuf *out, const struct http_head *h, const struct h1_write *w)
{
    if (w->framing == H1_FRAMING_LENGTH)
        add_length(out, w->content_length);
    else if (w->framing == H1_FRAMING_CHUNKED)
        strbuf_puts(out, "Transfer-Encoding: chunked\r\n");
    add_connection(out, h, w);
    strbuf_add(out, "\r\n", 2);
    return !out->failed;
}

static void add_status_line(struct strbuf *out, uint16_t status, struct http_view reason)
{
    static const char version[] = "HTTP/1.1 ";
    const size_t len = sizeof version - 1;
    char *at = strbuf_extend(out, len + 4 + reason.len + 2);
    if (at == NULL)
        return;
    memcpy(at, version, len);
    at += len + decimal_text(status, at + len);
    *at++ = ' ';
    memcpy(at, reason.data, reason.len);
    memcpy(at + reason.len, "\r\n", 2);
}

bool h1_write_response(struct strbuf *out, const struct http_head *h, const struct h1_write *w)
{
    ASSERT(h->status >= 100 && h->status <= 999);
    const struct http_view reason = h->reason.data != NULL ? h->reason : http_view_of(answer_reason(h->status));
    if (!http_view_is_inline(reason))
        out->failed = true;
    strbuf_reserve(out, HEAD_BYTES_USUAL);
    add_status_line(out, h->status, reason);
    add_fields(out, h, NULL);
    return add_end(out, h, w);
}

bool h1_write_request(struct strbuf *out, const struct http_head *h, const struct h1_write *w)
{
    const struct http_view path = h->path.data != NULL ? h->path : h->target;
    ASSERT(w->framing != H1_FRAMING_CLOSE);
    strbuf_reserve(out, HEAD_BYTES_USUAL);
    if (!http_is_token(h->method) || !is_word(path))
        out->failed = true;
    add_view(out, h->method);
    strbuf_add(out, " ", 1);
    add_view(out, path);
    if (h->path.data != NULL && h->query.data != NULL) {
        if (h->query.len > 0 && !is_word(h->query))
            out->failed = true;
        strbuf_add(out, "?", 1);
        add_view(out, h->query);
    }
    strbuf_puts(out, " HTTP/1.1\r\n");
    const struct http_view host = h->authority.data != NULL ? h->authority : http_value(h, "host");
    if (host.data != NULL)
        add_field(out, http_view_of("Host"), host);
    add_fields(out, h, "host");
    return add_end(out, h, w);
}

size_t h1_write_chunk_head(char out[H1_CHUNK_HEAD_BYTES], size_t len)
{
    ASSERT(len > 0);
    return (size_t)snprintf(out, H1_CHUNK_HEAD_BYTES, "%zx\r\n", len);
}
