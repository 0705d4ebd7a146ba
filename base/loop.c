/* The loop over libev. One pass of ours is one ev_run() that waits at most once, followed by the `later` queue, so
 * "end of pass" needs no watcher and no luck with libev's order of callbacks.
 *
 * Time is the hard part. A timer must not fire before its delay is over, measured from the moment it was started
 * (which may be late in a long pass) and as seen through loop_now_ms() (which is cached at the start of one). libev
 * counts from a clock of its own that it reads once per pass and does not show. So each pass begins with our own
 * reading, *then* lets libev read again: its clock is never behind ours, and adding the time gone by since our
 * reading to the delay can only make a timer late, by less than the resolution.
 *
 * Descriptors come before timers: an answer that is there already beats its own timeout, also after the whole
 * process was held up. */
#include "base/loop.h"

#include <ev.h>
#include <time.h>

#include "base/mem.h"

#define LOOP_MAGIC     0x100b9c3du
#define TIMER_PRIORITY (-1)

struct loop {
    uint32_t magic;
    uint32_t io_count;    /* initialised and not finished */
    uint32_t timer_count; /* started and not fired */
    uint32_t sig_count;
    bool is_running;
    bool must_stop;
    int64_t pass_us; /* monotonic, at the start of this pass */
    struct ev_loop *ev;
    struct ev_check on_pass;
    struct list later;
};

/* What is behind the opaque storage of the header. `data` of the libev watcher is the caller's `arg`. */
struct io_impl {
    struct ev_io w;
    struct loop *loop;
    io_fn *fn;
};
struct timer_impl {
    struct ev_timer w;
    struct loop *loop;
    timer_fn *fn;
};
struct sig_impl {
    struct ev_signal w;
    struct loop *loop;
    sig_fn *fn;
};
_Static_assert(sizeof(struct io_impl) <= sizeof(struct io) && _Alignof(struct io_impl) <= _Alignof(struct io),
               "struct io holds its watcher");
_Static_assert(sizeof(struct timer_impl) <= sizeof(struct timer) &&
                   _Alignof(struct timer_impl) <= _Alignof(struct timer),
               "struct timer holds its watcher");
_Static_assert(sizeof(struct sig_impl) <= sizeof(struct sig) && _Alignof(struct sig_impl) <= _Alignof(struct sig),
               "struct sig holds its watcher");
_Static_assert((int)IO_READ == EV_READ && (int)IO_WRITE == EV_WRITE, "events need no translation");

static struct io_impl *io_impl(const struct io *io)
{
    return (struct io_impl *)(void *)io;
}

static struct timer_impl *timer_impl(const struct timer *t)
{
    return (struct timer_impl *)(void *)t;
}

/* ---- time ---- */
static int64_t monotonic_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The order of these two lines is what the head of this file is about. */
static void read_clocks(struct loop *l)
{
    l->pass_us = monotonic_us();
    ev_now_update(l->ev);
}

static void on_pass(struct ev_loop *ev, struct ev_check *w, int revents)
{
    (void)ev;
    (void)revents;
    read_clocks(w->data);
}

int64_t loop_now_ms(const struct loop *l)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    return l->pass_us / 1000;
}

int64_t loop_wall_ms(const struct loop *l)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    return (int64_t)(ev_now(l->ev) * 1e3);
}

int64_t loop_fresh_us(const struct loop *l)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    return monotonic_us();
}

/* ---- the loop ---- */
struct loop *loop_create(void)
{
    struct loop *l;

    OBJ_NEW(l, LOOP_MAGIC);
    list_init(&l->later);
    l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    ASSERT(l->ev != NULL && "no event loop to be had");
    ev_check_init(&l->on_pass, on_pass);
    ev_set_priority(&l->on_pass, EV_MAXPRI);
    l->on_pass.data = l;
    ev_check_start(l->ev, &l->on_pass);
    read_clocks(l);
    return l;
}

/* Runs what is queued now; what these post comes at the end of the next pass. */
static void run_later(struct loop *l)
{
    struct list due;

    list_init(&due);
    list_splice(&due, &l->later);
    while (!list_is_empty(&due)) {
        struct later *e = LIST_ENTRY(due.next, struct later, link);

        list_unlink(&e->link);
        e->fn(e->arg);
    }
}

void loop_destroy(struct loop **lp)
{
    struct loop *l = *lp;

    CHECK_OBJ(l, LOOP_MAGIC);
    ASSERT(!l->is_running);
    while (!list_is_empty(&l->later)) /* owners that went just now free their memory here */
        run_later(l);
    ASSERT(l->io_count == 0);
    ASSERT(l->timer_count == 0);
    ASSERT(l->sig_count == 0);
    ev_check_stop(l->ev, &l->on_pass);
    ev_loop_destroy(l->ev);
    OBJ_FREE(lp, LOOP_MAGIC);
}

static void run_pass(struct loop *l, bool may_wait)
{
    l->is_running = true;
    (void)ev_run(l->ev, may_wait && list_is_empty(&l->later) ? EVRUN_ONCE : EVRUN_NOWAIT);
    run_later(l);
    l->is_running = false;
}

void loop_run(struct loop *l)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    ASSERT(!l->is_running);
    while (!l->must_stop)
        run_pass(l, true);
    l->must_stop = false;
}

void loop_run_once(struct loop *l, bool may_wait)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    ASSERT(!l->is_running);
    run_pass(l, may_wait);
}

void loop_stop(struct loop *l)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    l->must_stop = true;
}

void *loop_native(struct loop *l)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    return l->ev;
}

/* ---- descriptors ---- */
static void on_io(struct ev_loop *ev, struct ev_io *w, int revents)
{
    struct io_impl *i = (struct io_impl *)(void *)w;

    (void)ev;
    ASSERT((revents & EV_ERROR) == 0 && "descriptor closed before io_fini");
    i->fn(w->data, (unsigned)revents & (IO_READ | IO_WRITE));
}

void io_init(struct io *io, struct loop *l, int fd, io_fn *fn, void *arg)
{
    struct io_impl *i = io_impl(io);

    CHECK_OBJ(l, LOOP_MAGIC);
    ASSERT(fd >= 0);
    ev_io_init(&i->w, on_io, fd, 0);
    i->w.data = arg;
    i->loop = l;
    i->fn = fn;
    l->io_count++;
}

void io_want(struct io *io, unsigned events)
{
    struct io_impl *i = io_impl(io);

    CHECK_OBJ(i->loop, LOOP_MAGIC);
    ASSERT(events <= (unsigned)(IO_READ | IO_WRITE));
    if (events == io_wanted(io))
        return;
    ev_io_stop(i->loop->ev, &i->w);
    ev_io_modify(&i->w, (int)events);
    if (events != 0)
        ev_io_start(i->loop->ev, &i->w);
}

unsigned io_wanted(const struct io *io)
{
    const struct io_impl *i = io_impl(io);

    return ev_is_active(&i->w) ? (unsigned)i->w.events & (IO_READ | IO_WRITE) : 0;
}

void io_fini(struct io *io)
{
    struct io_impl *i = io_impl(io);

    CHECK_OBJ(i->loop, LOOP_MAGIC);
    ASSERT(i->loop->io_count > 0);
    ev_io_stop(i->loop->ev, &i->w);
    i->loop->io_count--;
    i->loop = NULL;
}

/* ---- timers ---- */
static void on_timer(struct ev_loop *ev, struct ev_timer *w, int revents)
{
    struct timer_impl *t = (struct timer_impl *)(void *)w;

    (void)ev;
    (void)revents;
    t->loop->timer_count--;
    t->fn(w->data);
}

void timer_init(struct timer *t, struct loop *l, timer_fn *fn, void *arg)
{
    struct timer_impl *i = timer_impl(t);

    CHECK_OBJ(l, LOOP_MAGIC);
    ev_timer_init(&i->w, on_timer, 0., 0.);
    ev_set_priority(&i->w, TIMER_PRIORITY);
    i->w.data = arg;
    i->loop = l;
    i->fn = fn;
}

void timer_start(struct timer *t, int64_t delay_ms)
{
    struct timer_impl *i = timer_impl(t);

    CHECK_OBJ(i->loop, LOOP_MAGIC);
    ASSERT(delay_ms >= 0);
    timer_cancel(t);
    double gone_us = (double)(monotonic_us() - i->loop->pass_us);
    ev_timer_set(&i->w, ((double)delay_ms * 1e3 + gone_us + 1.) / 1e6, 0.); /* + 1: against rounding */
    ev_timer_start(i->loop->ev, &i->w);
    i->loop->timer_count++;
}

void timer_cancel(struct timer *t)
{
    struct timer_impl *i = timer_impl(t);

    CHECK_OBJ(i->loop, LOOP_MAGIC);
    if (!timer_is_active(t))
        return;
    ev_timer_stop(i->loop->ev, &i->w);
    i->loop->timer_count--;
}

/* Also one that is due in this pass and waits for its turn. */
bool timer_is_active(const struct timer *t)
{
    const struct timer_impl *i = timer_impl(t);

    return ev_is_active(&i->w) || ev_is_pending(&i->w);
}

/* ---- end of pass ---- */
void later_init(struct later *e, struct loop *l, later_fn *fn, void *arg)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    list_init(&e->link);
    e->loop = l;
    e->fn = fn;
    e->arg = arg;
}

void later_post(struct later *e)
{
    CHECK_OBJ(e->loop, LOOP_MAGIC);
    if (list_is_empty(&e->link))
        list_append(&e->loop->later, &e->link);
}

void later_cancel(struct later *e)
{
    list_unlink(&e->link);
}

/* ---- signals ---- */
static void on_sig(struct ev_loop *ev, struct ev_signal *w, int revents)
{
    struct sig_impl *s = (struct sig_impl *)(void *)w;

    (void)ev;
    (void)revents;
    s->fn(w->data, w->signum);
}

void sig_init(struct sig *s, struct loop *l, int signo, sig_fn *fn, void *arg)
{
    struct sig_impl *i = (struct sig_impl *)(void *)s;

    CHECK_OBJ(l, LOOP_MAGIC);
    ev_signal_init(&i->w, on_sig, signo);
    i->w.data = arg;
    i->loop = l;
    i->fn = fn;
    ev_signal_start(l->ev, &i->w);
    l->sig_count++;
}

void sig_fini(struct sig *s)
{
    struct sig_impl *i = (struct sig_impl *)(void *)s;

    CHECK_OBJ(i->loop, LOOP_MAGIC);
    ev_signal_stop(i->loop->ev, &i->w);
    i->loop->sig_count--;
    i->loop = NULL;
}
