/* One connection: bytes in, whole messages answered, bytes out.
 *
 * Reading and answering happen in buffers that all connections share; a connection owns memory only for what is left
 * over, the beginning of a message or answers its client did not take. While the latter is so, nothing is read, so both
 * are bounded: by one shared buffer each. */
#include "health/nameserver/tcp_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "health/dns/wire.h"

/* What became of a step. */
enum step { STEP_ON = 0, STEP_WAIT, STEP_END };

static void keep(uint8_t **kept, size_t *kept_len, const uint8_t *data, size_t len)
{
    uint8_t *copy = NULL;
    if (len > 0) {
        copy = mem_alloc_begun(len, 0);
        memcpy(copy, data, len);
    }
    mem_free(*kept);
    *kept = copy;
    *kept_len = len;
}

bool tcp_client_is_idle(const struct tcp_client *c)
{
    return c->unread_len == 0 && c->unsent_len == 0;
}

/* ---- out ---- */

/* Sends what it can of `len` bytes; the number, or -1 when the client is gone. */
static ssize_t send_some(const struct tcp_client *c, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        const ssize_t n = send(c->fd, data + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0 && errno == EAGAIN)
            break;
        else
            return -1;
    }
    return (ssize_t)done;
}

static enum step send_answers(struct tcp_client *c, size_t len)
{
    const ssize_t sent = send_some(c, c->tcp->out, len);
    if (sent < 0)
        return STEP_END;
    c->unsent_at = 0;
    keep(&c->unsent, &c->unsent_len, c->tcp->out + sent, len - (size_t)sent);
    return c->unsent_len > 0 ? STEP_WAIT : STEP_ON;
}

static enum step send_rest(struct tcp_client *c)
{
    const ssize_t sent = send_some(c, c->unsent + c->unsent_at, c->unsent_len - c->unsent_at);
    if (sent < 0)
        return STEP_END;
    c->unsent_at += (size_t)sent;
    if (c->unsent_at < c->unsent_len)
        return STEP_WAIT;
    keep(&c->unsent, &c->unsent_len, NULL, 0);
    timer_start(&c->deadline, c->tcp->limits.idle_ms); /* slow is not gone: the next answers have their own time */
    return STEP_ON;
}

/* ---- in ---- */

/* The length of the whole message at `data`, with its length; 0: not all of it is there. */
static size_t message_len(const uint8_t *data, size_t len)
{
    if (len < TCP_LENGTH_BYTES)
        return 0;
    const size_t whole = TCP_LENGTH_BYTES + wire_get_u16(data);
    return whole <= len ? whole : 0;
}

static bool has_bad_length(const uint8_t *data, size_t len)
{
    if (len < TCP_LENGTH_BYTES)
        return false;
    const uint16_t told = wire_get_u16(data);
    return told < DNS_HEADER_BYTES || told > TCP_QUERY_MAX_BYTES;
}

/* Answers whole messages at `in` until the answers have to be sent; how many bytes of it are done. `*out_len` is the
 * length of the answers. */
static size_t answer_some(struct tcp_client *c, const uint8_t *in, size_t len, size_t *out_len)
{
    struct tcp *t = c->tcp;
    size_t done = 0, whole;

    *out_len = 0;
    for (uint32_t answers = 0; answers < t->limits.pipelined; answers++) {
        if (TCP_OUT_BYTES - *out_len < TCP_LENGTH_BYTES + DNS_MESSAGE_BYTES)
            break;
        if (has_bad_length(in + done, len - done) || (whole = message_len(in + done, len - done)) == 0)
            break;
        uint8_t *out = t->out + *out_len;
        struct query q;
        responder_read(t->responder, &q, in + done + TCP_LENGTH_BYTES, whole - TCP_LENGTH_BYTES);
        const size_t answer_len =
            responder_answer(t->responder, &c->peer.sa, true, &q, out + TCP_LENGTH_BYTES, DNS_MESSAGE_BYTES);
        done += whole;
        if (answer_len == 0)
            continue;
        wire_put_u16(out, (uint16_t)answer_len);
        *out_len += TCP_LENGTH_BYTES + answer_len;
    }
    return done;
}

/* Answers the `len` bytes at the beginning of the shared buffer, as long as the client takes the answers; the rest is
 * kept. */
static enum step serve(struct tcp_client *c, size_t len)
{
    struct tcp *t = c->tcp;
    enum step step = STEP_ON;
    size_t at = 0;

    t->on_batch(t->arg);
    for (;;) {
        size_t out_len;
        const size_t done = answer_some(c, t->in + at, len - at, &out_len);
        at += done;
        if (out_len > 0)
            step = send_answers(c, out_len);
        if (step != STEP_ON || done == 0)
            break;
    }
    if (step == STEP_ON && has_bad_length(t->in + at, len - at))
        return STEP_END;
    const bool had_part = c->unread_len > 0;
    keep(&c->unread, &c->unread_len, t->in + at, len - at);
    if (step == STEP_ON && (at > 0 || !had_part || c->unread_len == 0))
        timer_start(&c->deadline, c->unread_len > 0 ? TCP_MESSAGE_MS : t->limits.idle_ms);
    return step;
}

/* Puts what was kept back into the shared buffer. */
static size_t take_unread(struct tcp_client *c)
{
    const size_t len = c->unread_len;
    ASSERT(len <= TCP_IN_BYTES);
    if (len > 0)
        memcpy(c->tcp->in, c->unread, len);
    return len;
}

static enum step read_and_serve(struct tcp_client *c)
{
    struct tcp *t = c->tcp;
    size_t len = take_unread(c);
    const ssize_t got = recv(c->fd, t->in + len, TCP_IN_BYTES - len, MSG_DONTWAIT);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? STEP_ON : STEP_END;
    if (got == 0)
        return STEP_END;
    return serve(c, len + (size_t)got);
}

/* ---- events ---- */

static void follow(struct tcp_client *c, enum step step)
{
    if (step == STEP_END) {
        tcp_forget(c->tcp, c);
        return;
    }
    if (step == STEP_WAIT && io_wanted(&c->io) != IO_WRITE)
        timer_start(&c->deadline, c->tcp->limits.idle_ms);
    io_want(&c->io, step == STEP_WAIT ? IO_WRITE : IO_READ);
}

static void on_event(void *arg, unsigned events)
{
    struct tcp_client *c = arg;
    enum step step = STEP_ON;

    CHECK_OBJ(c, TCP_CLIENT_MAGIC);
    (void)events;
    list_unlink(&c->link);
    list_append(&c->tcp->clients, &c->link);
    if (c->unsent_len > 0) {
        step = send_rest(c);
        if (step == STEP_ON) /* messages may wait that came before the client stopped taking answers */
            step = serve(c, take_unread(c));
    } else {
        step = read_and_serve(c);
    }
    follow(c, step);
}

static void on_deadline(void *arg)
{
    struct tcp_client *c = arg;

    CHECK_OBJ(c, TCP_CLIENT_MAGIC);
    if (!tcp_client_is_idle(c))
        sock_reset_on_close(c->fd); /* nobody there; the kernel need not keep trying */
    tcp_forget(c->tcp, c);
}

void tcp_client_start(struct tcp *t, int fd, const struct addr *peer)
{
    struct tcp_client *c;

    OBJ_NEW(c, TCP_CLIENT_MAGIC);
    c->tcp = t;
    c->fd = fd;
    c->peer = *peer;
    list_init(&c->link);
    list_append(&t->clients, &c->link);
    io_init(&c->io, t->loop, fd, on_event, c);
    timer_init(&c->deadline, t->loop, on_deadline, c);
    timer_start(&c->deadline, t->limits.idle_ms);
    io_want(&c->io, IO_READ);
}

void tcp_client_close(struct tcp_client *c)
{
    io_fini(&c->io);
    timer_cancel(&c->deadline);
    close(c->fd);
    list_unlink(&c->link);
}

void tcp_client_free(struct tcp_client *c)
{
    list_unlink(&c->link);
    mem_free(c->unread);
    mem_free(c->unsent);
    OBJ_FREE(&c, TCP_CLIENT_MAGIC);
}
