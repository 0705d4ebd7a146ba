/* The canary's connections; see the header. Whatever goes wrong at the peer's end is the peer's trouble, so there is
 * only one thing to tell about it: that it is lost. */
#include "health/checker/canary_line.h"

#include <sys/random.h>

#include "base/mem.h"

/* Bound on a message of a canary, its topic escaped. */
#define MESSAGE_BYTES 8192u

static void lose(struct canary_line *l)
{
    if (l->conn != NULL)
        lws_conn_leave(&l->conn);
    canary_lost(l->canary);
    if (l->on_change != NULL)
        l->on_change(l->arg);
}

static int on_peer_event(void *arg, struct lws_conn *c, enum lws_callback_reasons reason, void *in, size_t len)
{
    struct canary_line *l = arg;

    l->conn = c;
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return lws_say_who_asks(in, len);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        canary_up(l->canary, CANARY_THERE);
        l->on_change(l->arg);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return canary_line_say(l, c->wsi, CANARY_THERE);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        canary_line_hear(l, c->wsi, CANARY_THERE, in, len);
        l->on_change(l->arg);
        return 0;
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        if (lws_http_client_http_response(c->wsi) == 101)
            return 0;
        lose(l);
        return -1;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
        lose(l);
        return 0;
    default:
        return 0;
    }
}

void canary_line_open(struct canary_line *l, struct loop *loop, const struct probe_peer *peer, const char *topic,
                      canary_line_fn *on_change, void *arg)
{
    struct lws_question question = {
        .addr = peer->addr, .host_header = peer->host_header, .path = peer->path, .is_websocket = true};
    uint8_t random[CANARY_NONCE_BYTES / 2] = {0};
    const char *why;

    (void)!getrandom(random, sizeof random, GRND_NONBLOCK);
    l->canary = canary_create(topic, random);
    l->loop = loop;
    struct lws_conn *conn = lws_conn_open(peer->host, &question, on_peer_event, l, &why);
    /* It may have been lost already, with or without a callback that said so. */
    l->conn = conn != NULL && conn->arg != NULL ? conn : NULL;
    if (l->conn == NULL)
        canary_lost(l->canary);
    l->on_change = on_change;
    l->arg = arg;
}

void canary_line_poke(struct canary_line *l, struct lws_conn *here)
{
    if (canary_wants_to_say(l->canary, CANARY_HERE))
        lws_callback_on_writable(here->wsi);
    if (l->conn != NULL && canary_wants_to_say(l->canary, CANARY_THERE))
        lws_callback_on_writable(l->conn->wsi);
}

int canary_line_say(struct canary_line *l, struct lws *wsi, enum canary_side side)
{
    static const unsigned char room[LWS_PRE];
    struct strbuf out;
    int rc = 0;

    if (!canary_wants_to_say(l->canary, side))
        return 0;
    strbuf_init(&out, MESSAGE_BYTES);
    strbuf_add(&out, room, sizeof room);
    canary_say(l->canary, side, &out, loop_now_ms(l->loop));
    if (out.failed || lws_write(wsi, (unsigned char *)out.data + LWS_PRE, out.len - LWS_PRE, LWS_WRITE_TEXT) < 0)
        rc = -1;
    strbuf_fini(&out);
    if (rc == 0)
        l->on_change(l->arg);
    return rc;
}

void canary_line_hear(struct canary_line *l, struct lws *wsi, enum canary_side side, const char *data, size_t len)
{
    canary_hear(l->canary, side, data, len, lws_is_whole(wsi));
}

void canary_line_leave(struct canary_line *l)
{
    if (l->conn == NULL)
        return;
    lws_callback_on_writable(l->conn->wsi);
    lws_conn_leave(&l->conn);
}

void canary_line_close(struct canary_line *l)
{
    if (l->conn != NULL)
        lws_conn_kill(&l->conn);
    if (l->canary != NULL)
        canary_destroy(&l->canary);
}
