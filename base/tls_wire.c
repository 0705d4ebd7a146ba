/* The socket beneath a TLS connection, as OpenSSL wants to see it (a BIO). Its own would do, but for two things.
 *
 * Of a long message each record is a write, and the kernel, which cannot know that the next one follows at once, sends
 * each by itself and wakes the receiver for it. Here it is told.
 *
 * And a record is read with two calls, for its header and for the rest; or OpenSSL reads ahead, then it moves all it
 * has to the front of its buffer for each record. Here the socket is read once for all records that have come, into a
 * buffer that the connections share; what a call leaves there is kept until the next one, which is rare. Writes may
 * read as well (in the middle of a message of the handshake's that came in parts): only as much as they need, so that
 * the socket goes on telling of the rest. */
#include <errno.h>
#include <openssl/bio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/tls_priv.h"

static int on_write(BIO *b, const char *data, int len)
{
    const struct tls_wire *w = BIO_get_data(b);
    const ssize_t n = send(w->fd, data, (size_t)len, w->has_more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL);
    BIO_clear_retry_flags(b);
    if (n < 0 && err_from_errno(errno) == ERR_AGAIN)
        BIO_set_retry_write(b);
    return (int)n;
}

/* From the socket, what is to be read before OpenSSL gets it; or for itself alone, when nobody settles that later. */
static ssize_t ask(struct tls_wire *w, char *buf, int cap)
{
    if (w->shared == NULL)
        return recv(w->fd, buf, (size_t)cap, 0);
    if (w->was_asked) {
        errno = EAGAIN;
        return -1;
    }
    w->was_asked = true;
    return recv(w->fd, w->shared, TLS_WIRE_BYTES, 0);
}

static int on_read(BIO *b, char *buf, int cap)
{
    struct tls_wire *w = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (w->ready_len == 0) {
        const ssize_t n = ask(w, buf, cap);
        if (n < 0 && err_from_errno(errno) == ERR_AGAIN)
            BIO_set_retry_read(b);
        w->is_ended = n == 0;
        if (n <= 0 || w->shared == NULL)
            return (int)n;
        w->ready = w->shared;
        w->ready_len = (uint32_t)n;
    }
    const uint32_t len = w->ready_len < (uint32_t)cap ? w->ready_len : (uint32_t)cap;
    memcpy(buf, w->ready, len);
    w->ready += len;
    w->ready_len -= len;
    return (int)len;
}

void tls_wire_begin(struct tls_wire *w, const struct tls_ctx *c)
{
    w->shared = c->wire_bytes;
    w->was_asked = false;
}

void tls_wire_settle(struct tls_wire *w)
{
    uint8_t *rest = NULL;
    w->shared = NULL;
    if (w->ready_len == 0 && w->rest == NULL)
        return;
    if (w->ready_len > 0) {
        rest = mem_alloc(w->ready_len);
        memcpy(rest, w->ready, w->ready_len);
    }
    mem_free(w->rest);
    w->ready = w->rest = rest;
}

static long on_control(BIO *b, int what, long number, void *arg)
{
    const struct tls_wire *w = BIO_get_data(b);
    (void)number;
    (void)arg;
    if (what == BIO_CTRL_EOF)
        return w->is_ended;
    return what == BIO_CTRL_FLUSH; /* nothing waits here */
}

BIO_METHOD *tls_wire_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");
    ASSERT(m != NULL); /* out of memory */
    BIO_meth_set_write(m, on_write);
    BIO_meth_set_read(m, on_read);
    BIO_meth_set_ctrl(m, on_control);
    return m;
}

void tls_wire_lay(struct tls_wire *w, struct tls_ctx *c, SSL *ssl, int fd)
{
    BIO *b = BIO_new(c->wire_method);
    ASSERT(b != NULL); /* out of memory */
    if (c->wire_bytes == NULL)
        c->wire_bytes = mem_alloc(TLS_WIRE_BYTES);
    *w = (struct tls_wire){.fd = fd};
    BIO_set_data(b, w);
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b);
}

void tls_wire_fini(struct tls_wire *w)
{
    mem_free(w->rest);
}
