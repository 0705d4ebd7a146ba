/* Connections, the writing half: at once, or queued when the peer takes no more.
 *
 * A write that does not fit is copied into blocks shared by many small frames, so a full peer costs its bytes and
 * little more; the owner learns of it by conn_is_full() and keeps its own writer waiting. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "gateway/net/conn_priv.h"

/* Unsent bytes are kept in blocks of at least this size, so that many small frames share one. */
#define CONN_BLOCK_BYTES (16u * 1024u)
/* The most a TLS record holds. */
#define RECORD_BYTES (16u * 1024u)
/* Up to here it is cheaper to put pieces together than to have the kernel collect them, by a sixth of a microsecond for
 * an answer of a kibibyte; from 12 KiB on it is dearer. */
#define TOGETHER_BYTES (4u * 1024u)

/* ---- the queue ---- */

void chunk_queue_append(struct chunk_queue *q, const uint8_t *data, size_t len)
{
    q->bytes += len;
    while (len > 0) {
        struct chunk *last = q->last;
        if (last == NULL || last->end == last->block->cap_bytes) {
            struct chunk *fresh = mem_alloc(sizeof *fresh);
            *fresh = (struct chunk){.block = block_create(CONN_BLOCK_BYTES)};
            if (last != NULL)
                last->next = fresh;
            else
                q->first = fresh;
            q->last = last = fresh;
        }
        size_t room = last->block->cap_bytes - last->end;
        size_t take = len < room ? len : room;
        memcpy(last->block->data + last->end, data, take);
        last->end += (uint32_t)take;
        data += take;
        len -= take;
    }
}

void chunk_queue_drop(struct chunk_queue *q, size_t len)
{
    ASSERT(len <= q->bytes);
    q->bytes -= len;
    while (len > 0) {
        struct chunk *first = q->first;
        ASSERT(first != NULL);
        size_t have = first->end - first->begin;
        if (len < have) {
            first->begin += (uint32_t)len;
            return;
        }
        len -= have;
        q->first = first->next;
        if (q->first == NULL)
            q->last = NULL;
        block_unref(&first->block);
        mem_free(first);
    }
}

static void keep_for_later(struct conn *c, const uint8_t *data, size_t len)
{
    chunk_queue_append(&c->out, data, len);
    stat_add(&c->net->block->process[STAT_BUFFERED_BYTES], (int64_t)len);
    if (c->out.bytes > c->high_bytes)
        c->is_over = true;
    if (c->carried != NULL)
        carried_output(c);
    else
        conn_update_interest(c);
}

void conn_out_sent(struct conn *c, size_t len)
{
    chunk_queue_drop(&c->out, len);
    stat_add(&c->net->block->process[STAT_BUFFERED_BYTES], -(int64_t)len);
}

void conn_out_clear(struct conn *c)
{
    conn_out_sent(c, c->out.bytes);
}

/* ---- bytes ---- */

static enum err send_some(struct conn *c, const void *data, size_t len, size_t *put)
{
    if (c->carried != NULL)
        return ERR_AGAIN;
    if (c->tls != NULL) {
        enum tls_want want = TLS_WANT_NONE;
        enum err e = tls_write(c->tls, data, len, put, &want);
        c->tls_write_blocked = e == ERR_AGAIN && want == TLS_WANT_READ;
        return e;
    }
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0) {
        *put = (size_t)n;
        return ERR_NONE;
    }
    return err_from_errno(errno);
}

static void finish_shutdown(struct conn *c)
{
    if (c->carried != NULL) {
        carried_output(c);
        return;
    }
    if (c->tls != NULL)
        tls_shutdown(c->tls);
    (void)shutdown(c->fd, SHUT_WR);
}

void conn_out_notify(struct conn *c)
{
    if (c->is_over && c->out.bytes <= c->high_bytes / 2) {
        c->is_over = false;
        if (c->ops->on_drain != NULL)
            c->ops->on_drain(c->arg);
    }
    if (c->is_dead || c->out.first != NULL)
        return;
    if (c->is_shut && c->carried == NULL)
        finish_shutdown(c);
    if (c->ops->on_flushed != NULL)
        c->ops->on_flushed(c->arg);
}

void conn_write_ready(struct conn *c)
{
    while (c->out.first != NULL) {
        struct chunk *first = c->out.first;
        size_t put = 0;
        enum err e = send_some(c, first->block->data + first->begin, first->end - first->begin, &put);
        if (e == ERR_AGAIN)
            break;
        if (e != ERR_NONE) {
            conn_fail(c, e);
            return;
        }
        conn_out_sent(c, put);
    }
    conn_update_interest(c);
    conn_out_notify(c);
}

/* ---- the owner's side ---- */

void conn_write(struct conn *c, const void *data, size_t len)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(!c->is_dead);
    if (c->is_shut || len == 0)
        return;
    const uint8_t *p = data;
    size_t put = 0;
    /* Once for a plain socket, where a short write means a full one; TLS takes a record at a time. A broken socket is
     * not reported here, under the caller's feet: the bytes queue up, and the loop finds the same error at once. */
    for (bool again = c->out.first == NULL; again && len > 0; again = c->tls != NULL) {
        if (send_some(c, p, len, &put) != ERR_NONE)
            break;
        p += put;
        len -= put;
    }
    if (len > 0)
        keep_for_later(c, p, len);
}

static size_t bytes_of(const struct slice *pieces, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += pieces[i].len;
    return bytes;
}

/* Small pieces become one send or one TLS record, the head of an answer and the beginning of its body for instance. */
static void write_pieces_by_copy(struct conn *c, const struct slice *pieces, size_t count)
{
    uint8_t together[RECORD_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (len + pieces[i].len > sizeof together) {
            conn_write(c, together, len);
            len = 0;
        }
        if (pieces[i].len > sizeof together) {
            conn_write(c, pieces[i].data, pieces[i].len);
        } else if (pieces[i].len > 0) {
            memcpy(together + len, pieces[i].data, pieces[i].len);
            len += pieces[i].len;
        }
    }
    conn_write(c, together, len);
}

void conn_write_pieces(struct conn *c, const struct slice *pieces, size_t count)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(!c->is_dead && count <= CONN_PIECES);
    const bool may_send = c->carried == NULL && c->out.first == NULL && !c->is_shut;
    size_t put = 0;
    if (c->tls != NULL || (may_send && bytes_of(pieces, count) <= TOGETHER_BYTES)) {
        write_pieces_by_copy(c, pieces, count);
        return;
    }
    if (may_send) {
        struct iovec parts[CONN_PIECES];
        for (size_t i = 0; i < count; i++)
            parts[i] = (struct iovec){.iov_base = (void *)(uintptr_t)pieces[i].data, .iov_len = pieces[i].len};
        struct msghdr m = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        put = n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < count && !c->is_shut; i++) {
        size_t skip = put < pieces[i].len ? put : pieces[i].len;
        put -= skip;
        if (skip < pieces[i].len)
            keep_for_later(c, pieces[i].data + skip, pieces[i].len - skip);
    }
}

size_t conn_buffered(const struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    return c->out.bytes;
}

bool conn_is_full(const struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    return c->is_over;
}

void conn_set_high(struct conn *c, size_t high_bytes)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(high_bytes <= UINT32_MAX);
    c->high_bytes = (uint32_t)high_bytes;
}

void conn_shutdown_write(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    if (c->is_shut)
        return;
    c->is_shut = true;
    if (c->out.first == NULL)
        finish_shutdown(c);
}
