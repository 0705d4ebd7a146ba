/* Whether a peer still takes what is sent to it: bytes that wait, and none that left for too long. */
#ifndef GATEWAY_FRONT_STALL_H
#define GATEWAY_FRONT_STALL_H

#include "gateway/net/conn.h"

/* How often to look, so that a stall is noticed at most a quarter too late. */
#define STALL_LOOKS 4

struct stall {
    uint64_t written_bytes; /* handed to the connection, ever */
    uint64_t left_bytes;    /* of these, had left when more had left than at the look before */
    int64_t moved_ms;       /* when that was */
    bool is_watched;        /* something has been waiting since the last look */
};

/* `len` more bytes were handed to the connection. */
static inline void stall_wrote(struct stall *s, const struct conn *c, size_t len, int64_t now_ms)
{
    s->written_bytes += len;
    if (s->is_watched || conn_buffered(c) == 0)
        return;
    s->is_watched = true;
    s->left_bytes = s->written_bytes - conn_buffered(c);
    s->moved_ms = now_ms;
}

/* A look: true when something waits and nothing has left for `timeout_ms`. */
static inline bool stall_is_over(struct stall *s, const struct conn *c, int64_t now_ms, int64_t timeout_ms)
{
    const uint64_t left_bytes = s->written_bytes - conn_buffered(c);
    s->is_watched = conn_buffered(c) > 0;
    if (s->is_watched && left_bytes == s->left_bytes)
        return now_ms - s->moved_ms >= timeout_ms;
    s->left_bytes = left_bytes;
    s->moved_ms = now_ms;
    return false;
}

#endif
