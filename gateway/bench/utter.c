/* How a link gets its words out. Most fit into the socket at once. What all links say alike is sent from where it lies,
 * even when the socket takes it in pieces; anything else that has to wait is copied. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "gateway/bench/load.h"

#define OUT_MAX_BYTES (4u << 20)

void link_watch(struct load *l, struct link *k, int op, bool wants_write)
{
    struct epoll_event ev = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0u), .data.ptr = k};
    if (epoll_ctl(l->epoll_fd, op, k->fd, &ev) != 0)
        result_error(l->result, ERROR_BROKEN, strerror(errno));
    k->wants_write = wants_write;
}

void link_forget_out(struct link *k)
{
    mem_free(k->out);
    k->out = NULL;
    k->out_len = k->out_sent = 0;
}

/* As many of the bytes as the socket takes now. False when the link is gone. */
static bool put(struct load *l, struct link *k, const uint8_t *data, uint32_t len, uint32_t *sent)
{
    while (*sent < len) {
        const ssize_t n = k->tls != NULL ? secure_send(k->tls, data + *sent, len - *sent)
                                         : send(k->fd, data + *sent, len - *sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) {
            link_fail(l, k, ERROR_BROKEN, strerror(errno));
            return false;
        }
        *sent += (uint32_t)n;
        l->result->bytes_sent += (uint64_t)n;
    }
    return true;
}

static bool has_words_left(const struct link *k)
{
    return k->words != NULL && k->sent_bytes < k->words->message_len;
}

void link_go_on(struct load *l, struct link *k)
{
    if (has_words_left(k) && !put(l, k, k->words->message, k->words->message_len, &k->sent_bytes))
        return;
    if (!has_words_left(k) && k->out != NULL) {
        if (!put(l, k, k->out, k->out_len, &k->out_sent))
            return;
        if (k->out_sent == k->out_len)
            link_forget_out(k);
    }
    const bool wants_write = has_words_left(k) || k->out != NULL;
    if (wants_write != k->wants_write)
        link_watch(l, k, EPOLL_CTL_MOD, wants_write);
}

void link_utter(struct load *l, struct link *k, const struct words *w)
{
    k->words = w;
    k->got_bytes = 0;
    if (k->out != NULL) { /* its turn comes behind what waits */
        k->sent_bytes = w->message_len;
        link_say(l, k, w->message, w->message_len);
        return;
    }
    k->sent_bytes = 0;
    link_go_on(l, k);
}

void link_say(struct load *l, struct link *k, const void *data, size_t len)
{
    uint32_t sent = 0;
    const bool is_free = k->out == NULL && !has_words_left(k);
    if (is_free && !put(l, k, data, (uint32_t)len, &sent))
        return;
    if (sent == len)
        return;
    const size_t more = len - sent;
    if (k->out_len + more > OUT_MAX_BYTES) {
        link_fail(l, k, ERROR_BROKEN, "the server does not read what it is sent");
        return;
    }
    k->out = mem_realloc(k->out, k->out_len + more);
    memcpy(k->out + k->out_len, (const uint8_t *)data + sent, more);
    k->out_len += (uint32_t)more;
    if (!k->wants_write)
        link_watch(l, k, EPOLL_CTL_MOD, true);
}
