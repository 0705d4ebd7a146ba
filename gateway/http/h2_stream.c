/* Streams: the queue of what is to be sent, and the count of what was not read yet. */
#include "gateway/http/h2_stream.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/http/h2_priv.h"

#define H2_STREAM_MAGIC 0x57e4a2d1u

/* A frame smaller than this is not begun at the end of the owner's buffer while more is waiting. */
#define FRAME_MIN_BYTES 1024u

/* ---- life ---- */

struct h2_stream *h2_stream_create(struct h2_session *s, int32_t id)
{
    struct h2_stream *st;
    OBJ_NEW(st, H2_STREAM_MAGIC);
    st->id = id;
    st->session = s;
    list_append(&s->streams, &st->link);
    list_init(&st->writable_link);
    return st;
}

void h2_stream_introduce(struct h2_stream *st)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    ASSERT(!st->is_known);
    st->is_known = true;
    st->session->stream_count++;
}

static void detach(struct h2_stream *st)
{
    struct h2_session *s = st->session;
    list_unlink(&st->link);
    list_unlink(&st->writable_link);
    if (st->is_known)
        s->stream_count--;
    if (s->is_destroyed)
        return;
    (void)nghttp2_session_set_stream_user_data(s->ng, st->id, NULL);
    if (st->unconsumed_bytes > 0)
        (void)nghttp2_session_consume_connection(s->ng, st->unconsumed_bytes);
}

static void release(struct h2_stream **stp)
{
    h2_queue_fini(&(*stp)->queue);
    OBJ_FREE(stp, H2_STREAM_MAGIC);
}

void h2_stream_destroy(struct h2_stream **stp)
{
    CHECK_OBJ(*stp, H2_STREAM_MAGIC);
    detach(*stp);
    release(stp);
}

void h2_stream_close(struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    struct h2_session *s = st->session;
    detach(st);
    if (st->is_known)
        s->ops->on_close(s->arg, st, code, is_unprocessed);
    release(&st);
}

/* ---- body ---- */

/* How many bytes go into the next frame. The bytes themselves follow in send_data (h2_session.c), straight into the
 * owner's buffer. */
static ssize_t read_source(nghttp2_session *ng, int32_t stream_id, uint8_t *buf, size_t len, uint32_t *flags,
                           nghttp2_data_source *source, void *arg)
{
    const struct h2_session *s = arg;

    (void)buf;
    (void)source;
    if (s->is_destroyed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, stream_id);
    if (st == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (st->queue.len == 0 && st->is_open) {
        st->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    const size_t left = s->out_cap_bytes - s->out_len;
    const size_t least = st->queue.len < FRAME_MIN_BYTES ? st->queue.len : FRAME_MIN_BYTES;
    if (left < H2_FRAME_HEADER_BYTES + least)
        return NGHTTP2_ERR_PAUSE;
    if (len > left - H2_FRAME_HEADER_BYTES)
        len = left - H2_FRAME_HEADER_BYTES;
    if (len > st->queue.len)
        len = st->queue.len;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (len == st->queue.len && !st->is_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

nghttp2_data_provider h2_stream_source(void)
{
    return (nghttp2_data_provider){.read_callback = read_source};
}

static void resume(struct h2_stream *st)
{
    if (st->is_deferred) {
        st->is_deferred = false;
        (void)nghttp2_session_resume_data(st->session->ng, st->id);
    }
    h2_session_touched(st->session);
}

void h2_stream_send(struct h2_stream *st, const void *data, size_t len)
{
    h2_stream_send_slice(st, slice_borrow(data, len));
}

void h2_stream_send_slice(struct h2_stream *st, struct slice s)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    ASSERT(st->is_open);
    h2_queue_add(&st->queue, s);
    if (st->queue.len > st->session->queue_bytes) {
        st->is_full = true;
        list_unlink(&st->writable_link);
    }
    if (s.len > 0)
        resume(st);
}

void h2_stream_end(struct h2_stream *st)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    ASSERT(st->is_open);
    st->is_open = false;
    resume(st);
}

size_t h2_stream_queued(const struct h2_stream *st)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    return st->queue.len;
}

bool h2_stream_is_full(const struct h2_stream *st)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    return st->is_full;
}

void h2_stream_consume(struct h2_stream *st, size_t len)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    ASSERT(len <= st->unconsumed_bytes);
    st->unconsumed_bytes -= len;
    (void)nghttp2_session_consume(st->session->ng, st->id, len);
    h2_session_touched(st->session);
}

void h2_stream_reset(struct h2_stream **stp, enum h2_code code)
{
    struct h2_stream *st = *stp;
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    struct h2_session *s = st->session;
    *stp = NULL;
    detach(st);
    if (!s->is_destroyed)
        (void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, st->id, code);
    release(&st);
    h2_session_touched(s);
}

/* ---- what belongs to it ---- */

void h2_stream_set_owner(struct h2_stream *st, void *owner)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    st->owner = owner;
}

void *h2_stream_owner(const struct h2_stream *st)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    return st->owner;
}

uint32_t h2_stream_id(const struct h2_stream *st)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    return (uint32_t)st->id;
}

uint64_t h2_stream_sent_bytes(const struct h2_stream *st)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    return st->sent_bytes;
}

uint64_t h2_stream_received_bytes(const struct h2_stream *st)
{
    CHECK_OBJ(st, H2_STREAM_MAGIC);
    return st->received_bytes;
}

const char *h2_code_text(uint32_t code)
{
    return nghttp2_http2_strerror(code);
}
