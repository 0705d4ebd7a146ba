/* The dns probe: one question over UDP, as a resolver would send it. The socket is connected, so that only the server
 * asked can answer and a port nobody listens on says so. What is not an answer to the question is passed over: answers
 * to earlier questions may be late, and anybody may send nonsense. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"
#include "health/checker/dns_question.h"
#include "health/checker/probe.h"

/* Packets looked at; who sends more than that wants to keep us busy. */
#define PACKETS_MAX 16u

struct probe_dns {
    struct probe base;
    struct dns_question question;
    enum conf_dns_expect expect;
    unsigned packet_count;
    int fd; /* -1: none */
    struct io io;
};

static struct probe_dns *dns_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_dns_ops);
    return (struct probe_dns *)(void *)p;
}

static void judge(struct probe_dns *d, const uint8_t *answer, size_t len)
{
    char cause[DNS_CAUSE_BYTES];

    switch (dns_question_judge(&d->question, d->expect, answer, len, cause)) {
    case DNS_GOOD:
        probe_finish(&d->base, ERR_NONE, NULL);
        break;
    case DNS_BAD:
        probe_finish(&d->base, ERR_PROTOCOL, cause);
        break;
    case DNS_FOREIGN:
        break;
    }
}

static void on_io(void *arg, unsigned events)
{
    struct probe_dns *d = arg;
    uint8_t answer[DNS_ANSWER_BYTES];

    (void)events;
    while (!d->base.is_finished) {
        ssize_t n = recv(d->fd, answer, sizeof answer, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0)
            probe_finish(&d->base, err_from_errno(errno), NULL);
        else if (++d->packet_count > PACKETS_MAX)
            probe_finish(&d->base, ERR_PROTOCOL, "nothing but foreign answers");
        else
            judge(d, answer, (size_t)n);
    }
    io_want(&d->io, 0);
}

static enum err ask(struct probe_dns *d, const struct addr *to)
{
    d->fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0)
        return err_from_errno(errno);
    io_init(&d->io, d->base.loop, d->fd, on_io, d);
    if (connect(d->fd, &to->sa, to->len) != 0 || send(d->fd, d->question.packet, d->question.len, MSG_NOSIGNAL) < 0)
        return err_from_errno(errno);
    io_want(&d->io, IO_READ);
    return ERR_NONE;
}

static void start(struct probe *p, const struct probe_plan *plan)
{
    struct probe_dns *d = dns_of(p);
    uint16_t id = 0;

    d->fd = -1;
    d->expect = plan->check->dns_expect;
    p->waiting_for = "answer";
    if (getrandom(&id, sizeof id, GRND_NONBLOCK) != (ssize_t)sizeof id)
        id = (uint16_t)loop_fresh_us(p->loop); /* early in the boot; the socket's port is a secret as well */
    dns_question_make(&d->question, id, plan->check->dns_name, (uint16_t)plan->check->dns_record);
    enum err e = d->question.len > 0 ? ask(d, &plan->addr) : ERR_INVALID;
    if (e != ERR_NONE)
        probe_finish(p, e, e == ERR_INVALID ? "the name cannot be asked for" : NULL);
}

static void stop(struct probe *p)
{
    struct probe_dns *d = dns_of(p);

    if (d->fd < 0)
        return;
    io_fini(&d->io);
    close(d->fd);
    d->fd = -1;
}

const struct probe_ops probe_dns_ops = {.size_bytes = sizeof(struct probe_dns), .start = start, .stop = stop};
