/* A probe's connection: connecting, handshake, bytes. One callback of the loop drives all of it in that order; see the
 * header. */
#include "health/checker/contact.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

#define READ_BYTES 16384u /* a whole record of TLS */

static void fail(struct contact *c, enum err e)
{
    char detail[64];

    snprintf(detail, sizeof detail, "while waiting for %s", c->probe->waiting_for);
    probe_finish(c->probe, e, e == ERR_TLS || e == ERR_TLS_VERIFY ? tls_failure_text(c->tls) : detail);
}

/* ---- connecting ---- */

static bool connected(struct contact *c)
{
    enum err e = sock_connect_result(c->fd);

    if (e == ERR_NONE && sock_is_self_connected(c->fd, &c->addr))
        e = ERR_REFUSED;
    if (e != ERR_NONE) {
        probe_finish(c->probe, e, NULL);
        return false;
    }
    c->is_connected = true;
    if (c->ctx != NULL) {
        c->tls = tls_create_client_offer(c->ctx, c->fd, c->name, c->offer);
        c->probe->waiting_for = "tls handshake";
    }
    return true;
}

/* True once the connection can be used. */
static bool shake_hands(struct contact *c)
{
    enum tls_want want = TLS_WANT_NONE;

    if (c->tls == NULL)
        return true;
    enum err e = tls_handshake(c->tls, &want);
    if (e == ERR_NONE)
        return probe_certificate(c->probe, &c->expiry, tls_peer_ends_ms(c->tls));
    if (e == ERR_AGAIN)
        c->must_write = want == TLS_WANT_WRITE;
    else
        probe_finish(c->probe, e, tls_failure_text(c->tls));
    return false;
}

/* ---- bytes ---- */

static enum err read_some(struct contact *c, uint8_t *buf, size_t cap, size_t *got)
{
    enum tls_want want = TLS_WANT_NONE;

    if (c->tls != NULL) {
        enum err e = tls_read(c->tls, buf, cap, got, &want);
        c->must_write = e == ERR_AGAIN && want == TLS_WANT_WRITE;
        return e;
    }
    ssize_t n = recv(c->fd, buf, cap, MSG_DONTWAIT);
    if (n > 0)
        *got = (size_t)n;
    return n > 0                                 ? ERR_NONE
           : n == 0                              ? ERR_EOF
           : (errno == EAGAIN || errno == EINTR) ? ERR_AGAIN
                                                 : err_from_errno(errno);
}

static enum err write_some(struct contact *c, const char *data, size_t len, size_t *put)
{
    enum tls_want want = TLS_WANT_NONE;

    if (c->tls != NULL)
        return tls_write(c->tls, data, len, put, &want);
    ssize_t n = send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        *put = (size_t)n;
    return n >= 0 ? ERR_NONE : errno == EAGAIN || errno == EINTR ? ERR_AGAIN : err_from_errno(errno);
}

/* As much as the socket takes. */
static enum err flush(struct contact *c)
{
    enum err e = ERR_NONE;
    size_t put = 0;

    while (e == ERR_NONE && c->sent_bytes < c->out.len) {
        e = write_some(c, c->out.data + c->sent_bytes, c->out.len - c->sent_bytes, &put);
        c->sent_bytes += e == ERR_NONE ? put : 0;
    }
    return e == ERR_AGAIN ? ERR_NONE : e;
}

static void transmit(struct contact *c)
{
    enum err e = flush(c);
    if (e != ERR_NONE)
        fail(c, e);
}

/* One piece, or all that TLS has taken from the socket, which would not tell of it again. */
static void receive(struct contact *c)
{
    uint8_t buf[READ_BYTES];
    size_t got = 0;

    do {
        enum err e = read_some(c, buf, sizeof buf, &got);
        if (e == ERR_AGAIN)
            return;
        if (e != ERR_NONE)
            fail(c, e);
        else if (c->ops->on_data != NULL)
            c->ops->on_data(c->probe, buf, got);
    } while (!c->probe->is_finished && c->tls != NULL && tls_has_pending(c->tls));
}

static void watch(struct contact *c)
{
    bool has_more = c->is_open && c->sent_bytes < c->out.len;

    io_want(&c->io, c->probe->is_finished ? 0 : has_more || c->must_write ? IO_READ | IO_WRITE : IO_READ);
}

static void on_io(void *arg, unsigned events)
{
    struct contact *c = arg;
    struct probe *p = c->probe;
    bool was_open = c->is_open, could_not_write = c->must_write;

    c->must_write = false;
    if (!p->is_finished && (c->is_connected || connected(c)) && !c->is_open && shake_hands(c)) {
        c->is_open = true;
        c->ops->on_open(p);
    }
    if (c->is_open && !p->is_finished)
        transmit(c);
    /* What came with the end of the handshake may wait in TLS alone. */
    if (!p->is_finished &&
        (was_open ? (events & IO_READ) != 0 || could_not_write : c->tls != NULL && tls_has_pending(c->tls)))
        receive(c);
    watch(c);
}

/* ---- public ---- */

void contact_open(struct contact *c, struct probe *p, const struct probe_plan *plan, struct tls_ctx *tls,
                  enum tls_offer offer, const struct contact_ops *ops)
{
    ASSERT(c->probe == NULL);
    c->probe = p;
    c->ops = ops;
    c->addr = plan->addr;
    c->ctx = tls != NULL ? tls_ctx_ref(tls) : NULL;
    c->name = tls != NULL ? mem_strdup(plan->tls_name) : NULL;
    c->offer = offer;
    c->expiry = probe_expiry_of(plan->check);
    c->fd = -1;
    strbuf_init(&c->out, CONTACT_OUT_BYTES_MAX);
    enum err e = sock_connect(&plan->addr, &c->fd);
    if (e != ERR_NONE) {
        c->fd = -1;
        probe_finish(p, e, NULL);
        return;
    }
    io_init(&c->io, p->loop, c->fd, on_io, c);
    io_want(&c->io, IO_WRITE);
}

void contact_write(struct contact *c, const void *data, size_t len)
{
    if (c->sent_bytes == c->out.len) {
        strbuf_clear(&c->out);
        c->sent_bytes = 0;
    }
    strbuf_add(&c->out, data, len);
    if (c->out.failed)
        probe_finish(c->probe, ERR_LIMIT, "too much to say");
    else if (c->is_open)
        watch(c); /* it leaves with the next pass */
}

void contact_close(struct contact *c)
{
    if (c->probe == NULL)
        return;
    if (c->is_open)
        (void)flush(c); /* last words, if there is room for them */
    if (c->tls != NULL) {
        if (c->is_open)
            tls_shutdown(c->tls);
        tls_destroy(&c->tls);
    }
    if (c->fd >= 0) {
        io_fini(&c->io);
        close(c->fd);
        c->fd = -1;
    }
    if (c->out.data != NULL)
        mem_wipe(c->out.data, c->out.len); /* there may be a password in it */
    strbuf_fini(&c->out);
    mem_free(c->name);
    if (c->ctx != NULL)
        tls_ctx_unref(&c->ctx);
    c->probe = NULL;
}

enum tls_alpn contact_alpn(const struct contact *c)
{
    return c->tls != NULL ? tls_alpn(c->tls) : TLS_ALPN_NONE;
}
