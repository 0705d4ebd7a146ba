/* nghttp2 sessions: bytes in, callbacks to the roles and owners, bytes out.
 *
 * Output goes into the owner's buffer: DATA straight from the streams' queues, everything else from where nghttp2 has
 * put it; a frame that does not fit waits for the next call. Input passes the watch (h2_watch.h) before nghttp2 sees
 * it, because what a flood costs is spent before any callback could count it. */
#include <string.h>

#include "base/mem.h"
#include "gateway/http/h2_priv.h"
#include "gateway/http/h2_server.h"

/* What the peer may make us remember to send, while it does not read: answers to pings and settings, and frames of any
 * kind beyond a few per stream. */
#define MAX_UNSENT_ACKS     256u
#define MAX_UNSENT_FRAMES   1024u
#define UNSENT_PER_STREAM   4u
#define MAX_SETTINGS        32u
#define MAX_CONTINUATIONS   8u
#define MAX_HEAD_SEND_BYTES (128u * 1024u)
/* Of the compression of heads that are sent; the peer's own is SETTINGS_HEADER_TABLE_SIZE, 4096. */
#define DEFLATE_TABLE_BYTES 4096u
/* RFC 9113 section 6.5.2: what a peer may send before it has read our settings. */
#define DEFAULT_WINDOW_BYTES 65535u
/* nghttp2 would count resets by the wall clock; h2_watch does it by the owner's. */
#define RESETS_UNLIMITED (1u << 30)
/* The callbacks at the end of an output that wrote nothing may ask for more; this often it is written at once. */
#define OUTPUT_ROUNDS 4

#define STOP NGHTTP2_ERR_CALLBACK_FAILURE

/* ---- heads ---- */

static void begin_head(struct h2_session *s, enum h2_head_kind kind, int32_t stream_id)
{
    s->head = s->spare != NULL ? s->spare : h2_head_create();
    s->spare = NULL;
    h2_head_begin(s->head, kind, stream_id);
}

static void drop_head(struct h2_session *s)
{
    if (s->head == NULL)
        return;
    h2_head_clear(s->head);
    s->spare = s->head;
    s->head = NULL;
}

static void drop_spare(struct h2_session *s)
{
    if (s->spare != NULL)
        h2_head_destroy(&s->spare);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2_session *s = arg;
    const int32_t id = frame->hd.stream_id;

    if (s->is_destroyed)
        return STOP;
    drop_head(s);
    if (frame->hd.type != NGHTTP2_HEADERS) /* a push that crossed our settings */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, id);
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        st = h2_stream_create(s, id);
        (void)nghttp2_session_set_stream_user_data(ng, id, st);
        begin_head(s, H2_HEAD_REQUEST, id);
    } else if (st != NULL) {
        begin_head(s, st->has_head ? H2_HEAD_TRAILERS : H2_HEAD_RESPONSE, id);
    }
    return 0;
}

/* The peer has sent what makes the stream (NULL: none) be reset: that costs, or it could reset streams without sending
 * resets. Once for each stream. */
static void blame(struct h2_session *s, struct h2_stream *st, const char *reason)
{
    if (st != NULL && st->is_blamed)
        return;
    if (st != NULL)
        st->is_blamed = true;
    h2_watch_charge(&s->watch, H2_PURSE_RESET);
    if (s->role->on_malformed != NULL)
        s->role->on_malformed(s, reason);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                     uint8_t flags, void *arg)
{
    struct h2_session *s = arg;
    const int32_t id = frame->hd.stream_id;

    (void)flags;
    if (s->is_destroyed)
        return STOP;
    if (s->head == NULL || s->head->stream_id != id || h2_head_add(s->head, &s->head_limits, name, value))
        return 0;
    (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id,
                                    s->head->is_too_large ? H2_ENHANCE_YOUR_CALM : H2_PROTOCOL_ERROR);
    blame(s, nghttp2_session_get_stream_user_data(ng, id), s->head->malformed);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* nghttp2 would leave such a field out; a request that another program may read differently must not pass at all. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                             uint8_t flags, void *arg)
{
    (void)ng;
    (void)frame;
    (void)name;
    (void)value;
    (void)flags;
    (void)arg;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *arg)
{
    struct h2_session *s = arg;

    if (s->is_destroyed)
        return STOP;
    blame(s, nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id), nghttp2_strerror(error));
    return s->is_destroyed || s->watch.violation != NULL ? STOP : 0;
}

/* ---- what has come ---- */

static void on_message_end(struct h2_session *s, struct h2_stream *st)
{
    if (st == NULL)
        return;
    st->is_done |= !s->role->is_server;
    if (st->is_known && !st->is_refused)
        s->ops->on_end(s->arg, st);
}

static void on_headers_end(struct h2_session *s, const nghttp2_frame *frame, struct h2_stream *st)
{
    const bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (st == NULL || s->head == NULL || s->head->stream_id != st->id)
        return;
    if (s->head->kind == H2_HEAD_TRAILERS) {
        on_message_end(s, st); /* trailers that end nothing do not come here */
    } else {
        st->is_done |= is_last && !s->role->is_server;
        s->role->on_head(s, st, s->head, !is_last);
    }
    if (!s->is_destroyed)
        drop_head(s);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2_session *s = arg;
    if (s->is_destroyed)
        return STOP;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    const bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers_end(s, frame, st);
        break;
    case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            on_message_end(s, st);
        break;
    case NGHTTP2_GOAWAY:
        s->role->on_goaway(s, frame->goaway.error_code);
        break;
    case NGHTTP2_SETTINGS:
        if (!is_ack && s->role->on_settings != NULL)
            s->role->on_settings(s);
        break;
    case NGHTTP2_PING:
        if (is_ack && s->role->on_pong != NULL)
            s->role->on_pong(s);
        break;
    default:
        break;
    }
    return s->is_destroyed ? STOP : 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t len,
                         void *arg)
{
    struct h2_session *s = arg;

    (void)flags;
    if (s->is_destroyed)
        return STOP;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, stream_id);
    /* nghttp2 still passes the chunk on by which a peer breaks out of its window. */
    const size_t window = s->stream_window_bytes > DEFAULT_WINDOW_BYTES ? s->stream_window_bytes : DEFAULT_WINDOW_BYTES;
    if (st == NULL || !st->is_known || st->is_refused || st->unconsumed_bytes + len > window) {
        (void)nghttp2_session_consume(ng, stream_id, len);
        return 0;
    }
    st->received_bytes += len;
    st->unconsumed_bytes += len;
    s->ops->on_data(s->arg, st, data, len);
    return s->is_destroyed ? STOP : 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t stream_id, uint32_t code, void *arg)
{
    struct h2_session *s = arg;

    if (s->is_destroyed)
        return STOP;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, stream_id);
    if (st == NULL)
        return 0;
    bool is_unprocessed = !s->role->is_server && code == H2_REFUSED_STREAM && !st->has_head && st->interim_count == 0;
    if (st->is_unsendable) {
        code = H2_INTERNAL_ERROR;
        is_unprocessed = false;
    } else if (code == H2_NO_ERROR && !st->is_done) {
        code = H2_CANCEL; /* whatever the peer means by it */
    }
    h2_stream_close(st, code, is_unprocessed);
    return s->is_destroyed ? STOP : 0;
}

/* ---- what leaves ---- */

static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t len,
                        nghttp2_data_source *source, void *arg)
{
    struct h2_session *s = arg;

    (void)source;
    if (s->is_destroyed)
        return STOP;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (st == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    ASSERT(s->out_cap_bytes - s->out_len >= H2_FRAME_HEADER_BYTES + len);
    memcpy(s->out + s->out_len, header, H2_FRAME_HEADER_BYTES);
    h2_queue_take(&st->queue, s->out + s->out_len + H2_FRAME_HEADER_BYTES, len);
    s->out_len += H2_FRAME_HEADER_BYTES + len;
    st->sent_bytes += len;
    /* Peers update two windows, and some of them for every kilobyte. */
    h2_watch_credit(&s->watch, H2_PURSE_WINDOW, 4 + (uint32_t)len / 512);
    if (st->is_full && st->queue.len <= s->queue_bytes / 2) {
        st->is_full = false;
        list_append(&s->writable, &st->writable_link);
    }
    return 0;
}

/* A body of another length than announced, or beyond its window: nghttp2 resets the stream and tells nobody. Resets of
 * the owner's come too late to find the stream, those of this file have been blamed or are nobody's fault. */
static void on_reset_send(struct h2_session *s, const nghttp2_frame *frame)
{
    const uint32_t code = frame->rst_stream.error_code;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(s->ng, frame->hd.stream_id);
    if (st != NULL && (code == H2_PROTOCOL_ERROR || code == H2_FLOW_CONTROL_ERROR))
        blame(s, st, nghttp2_http2_strerror(code));
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2_session *s = arg;
    const int32_t id = frame->hd.stream_id;

    if (s->is_destroyed)
        return STOP;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != H2_NO_ERROR && s->failure == NULL)
        s->failure = nghttp2_http2_strerror(frame->goaway.error_code);
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        on_reset_send(s, frame);
        return s->is_destroyed ? STOP : 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, id);
    const bool is_answered = s->role->is_server && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (st != NULL) {
        st->is_sent = true;
        st->is_done |= is_answered;
    }
    /* RFC 9113 section 8.1: the answer is complete, the rest of the request is not needed. */
    if (is_answered && st != NULL && !st->is_tunnel && nghttp2_session_get_stream_remote_close(ng, id) == 0)
        (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id, H2_NO_ERROR);
    return 0;
}

/* A head that is too large to be sent; everything else is not sent because its stream or session is over. */
static int on_frame_not_send(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *arg)
{
    struct h2_session *s = arg;

    if (s->is_destroyed)
        return STOP;
    if (frame->hd.type != NGHTTP2_HEADERS || error != NGHTTP2_ERR_FRAME_SIZE_ERROR)
        return 0;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (st != NULL)
        st->is_unsendable = true;
    if (s->role->is_server) /* a client's stream was not opened, and nghttp2 closes it */
        (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id, H2_INTERNAL_ERROR);
    return 0;
}

/* ---- life ---- */

/* Nothing is wrong with what is asked for here, so only memory can be missing. */
static void must(int rv)
{
    ASSERT(rv == 0);
}

static nghttp2_session_callbacks *create_callbacks(void)
{
    nghttp2_session_callbacks *c;
    must(nghttp2_session_callbacks_new(&c));
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_send);
    return c;
}

static nghttp2_option *create_options(void)
{
    nghttp2_option *o;
    must(nghttp2_option_new(&o));
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_reserved_remote_streams(o, 0);
    nghttp2_option_set_max_outbound_ack(o, MAX_UNSENT_ACKS);
    nghttp2_option_set_max_settings(o, MAX_SETTINGS);
    nghttp2_option_set_max_continuations(o, MAX_CONTINUATIONS);
    nghttp2_option_set_stream_reset_rate_limit(o, RESETS_UNLIMITED, RESETS_UNLIMITED);
    nghttp2_option_set_max_send_header_block_length(o, MAX_HEAD_SEND_BYTES);
    nghttp2_option_set_max_deflate_dynamic_table_size(o, DEFLATE_TABLE_BYTES);
    return o;
}

void h2_session_init(struct h2_session *s, const nghttp2_settings_entry *settings, size_t setting_count,
                     uint32_t connection_window_bytes, int64_t now_ms)
{
    nghttp2_session_callbacks *callbacks = create_callbacks();
    nghttp2_option *options = create_options();

    ASSERT(s->head_limits.field_count <= HTTP_MAX_FIELDS);
    list_init(&s->streams);
    list_init(&s->writable);
    s->is_output_told = true; /* there are settings to send, as everybody knows */
    h2_watch_init(&s->watch, s->role->is_server ? H2_PREFACE_BYTES : 0, now_ms);
    if (s->role->is_server)
        must(nghttp2_session_server_new2(&s->ng, callbacks, s, options));
    else
        must(nghttp2_session_client_new2(&s->ng, callbacks, s, options));
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    must(nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings, setting_count));
    must(nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)connection_window_bytes));
}

static void release(struct h2_session *s)
{
    drop_head(s);
    drop_spare(s);
    nghttp2_session_del(s->ng);
    s->role->free(s);
}

void h2_session_destroy(struct h2_session *s)
{
    ASSERT(!s->is_destroyed);
    s->is_destroyed = true;
    while (!list_is_empty(&s->streams)) {
        struct h2_stream *st = LIST_ENTRY(s->streams.next, struct h2_stream, link);
        h2_stream_close(st, H2_CANCEL, !s->role->is_server && !st->is_sent);
    }
    if (s->depth == 0)
        release(s);
}

bool h2_session_is_over(const struct h2_session *s)
{
    if (s->is_broken)
        return true;
    return s->rest_len == 0 && nghttp2_session_want_read(s->ng) == 0 && nghttp2_session_want_write(s->ng) == 0;
}

void h2_session_fail(struct h2_session *s, enum h2_code code, const char *reason)
{
    if (s->failure == NULL)
        s->failure = reason;
    if (nghttp2_session_terminate_session(s->ng, code) != 0)
        s->is_broken = true;
}

void h2_session_touched(struct h2_session *s)
{
    if (s->depth > 0 || s->is_destroyed || s->is_output_told)
        return;
    if (nghttp2_session_want_write(s->ng) == 0 && !h2_session_is_over(s))
        return;
    s->is_output_told = true;
    s->role->on_output(s);
}

/* The end of feed or output; the session may be gone after it. */
static void leave(struct h2_session *s)
{
    s->depth--;
    if (!s->is_destroyed)
        h2_session_touched(s);
    else if (s->depth == 0)
        release(s);
}

/* ---- in ---- */

static void judge_feed(struct h2_session *s, ssize_t rv)
{
    ASSERT(rv != NGHTTP2_ERR_NOMEM);
    if (s->watch.violation != NULL)
        h2_session_fail(s, H2_ENHANCE_YOUR_CALM, s->watch.violation);
    else if (rv == NGHTTP2_ERR_FLOODED ||
             nghttp2_session_get_outbound_queue_size(s->ng) > MAX_UNSENT_FRAMES + UNSENT_PER_STREAM * s->max_streams)
        h2_session_fail(s, H2_ENHANCE_YOUR_CALM, "peer does not read");
    else if (rv == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        h2_session_fail(s, H2_PROTOCOL_ERROR, "bad preface");
    else if (rv < 0)
        h2_session_fail(s, H2_INTERNAL_ERROR, nghttp2_strerror((int)rv));
}

void h2_session_feed(struct h2_session *s, const uint8_t *data, size_t len, int64_t now_ms)
{
    ASSERT(!s->is_destroyed);
    if (s->failure != NULL)
        return;
    s->depth++;
    const size_t fit = h2_watch_feed(&s->watch, data, len, now_ms);
    const ssize_t rv = fit > 0 ? nghttp2_session_mem_recv(s->ng, data, fit) : 0;
    drop_spare(s);
    if (!s->is_destroyed)
        judge_feed(s, rv);
    leave(s);
}

/* ---- out ---- */

static void put(struct h2_session *s, const uint8_t *data, size_t len)
{
    const size_t left = s->out_cap_bytes - s->out_len;
    const size_t take = len < left ? len : left;

    s->rest = data;
    s->rest_len = len;
    if (take == 0)
        return;
    memcpy(s->out + s->out_len, data, take);
    s->out_len += take;
    s->rest += take;
    s->rest_len -= take;
}

static void send_frames(struct h2_session *s)
{
    put(s, s->rest, s->rest_len);
    while (s->rest_len == 0 && !s->is_broken && !s->is_destroyed) {
        const uint8_t *data;
        const ssize_t len = nghttp2_session_mem_send(s->ng, &data);
        if (len == 0 || s->is_destroyed)
            return;
        if (len < 0) {
            ASSERT(len != NGHTTP2_ERR_NOMEM);
            s->is_broken = true;
            if (s->failure == NULL)
                s->failure = nghttp2_strerror((int)len);
            return;
        }
        put(s, data, (size_t)len);
    }
}

static void tell_writable(struct h2_session *s)
{
    while (!s->is_destroyed && !list_is_empty(&s->writable)) {
        struct h2_stream *st = LIST_ENTRY(s->writable.next, struct h2_stream, writable_link);
        list_unlink(&st->writable_link);
        s->ops->on_writable(s->arg, st);
    }
}

size_t h2_session_output(struct h2_session *s, uint8_t *buf, size_t cap_bytes)
{
    ASSERT(!s->is_destroyed && s->out == NULL && cap_bytes >= H2_OUTPUT_MIN_BYTES);
    s->depth++;
    s->out = buf;
    s->out_cap_bytes = cap_bytes;
    s->out_len = 0;
    for (int round = 0; round < OUTPUT_ROUNDS && s->out_len == 0; round++) {
        send_frames(s);
        if (!s->is_destroyed && s->failure == NULL && s->watch.violation != NULL) /* see on_reset_send */
            h2_session_fail(s, H2_ENHANCE_YOUR_CALM, s->watch.violation);
        tell_writable(s);
        if (s->is_destroyed || nghttp2_session_want_write(s->ng) == 0)
            break;
    }
    s->out = NULL;
    const size_t len = s->out_len;
    if (s->is_destroyed) {
        leave(s);
        return 0;
    }
    s->depth--;
    if (len == 0)
        s->is_output_told = false;
    return len;
}
