/* base/loop.h over poll(2) and a virtual clock; see sim.h for what differs and base/loop.c for the promises both keep.
 *
 * Nothing is ever waited for: before the clock jumps or a run ends, what is on its way over loopback is made to arrive.
 *
 * What is ready or due is moved to a ring of its own before the first callback runs, and taken from it one by one. So
 * a callback may finish any watcher, also one that waits for its turn, and one started by a callback waits for the next
 * pass, as with the real loop. */
#include <poll.h>
#include <string.h>

#include "base/mem.h"
#include "tests/replay/fence.h"
#include "tests/replay/sim.h"

#define SIM_LOOP_MAGIC 0x51a100b5u
#define START_MS       INT64_C(100000)
#define START_WALL_MS  INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

struct loop {
    uint32_t magic;
    bool is_running;
    bool must_stop;
    struct fence *fence; /* none before there are descriptors */
    int64_t now_ms;
    int64_t wall_offset_ms;
    uint32_t pass_count;
    uint32_t passes_max;
    size_t io_count;
    size_t poll_cap_count;
    struct pollfd *poll;
    struct list ios;
    struct list timers; /* the next one first */
    struct list sigs;
    struct list later;
};

struct io_impl {
    struct list link;
    struct loop *loop;
    io_fn *fn;
    void *arg;
    int fd;
    unsigned wanted;
    unsigned ready;
};
struct timer_impl {
    struct list link; /* alone: not active */
    struct loop *loop;
    timer_fn *fn;
    void *arg;
    int64_t due_ms;
};
struct sig_impl {
    struct list link;
    struct loop *loop;
    sig_fn *fn;
    void *arg;
    int signo;
    bool is_raised;
};
_Static_assert(sizeof(struct io_impl) <= sizeof(struct io), "struct io holds its watcher");
_Static_assert(sizeof(struct timer_impl) <= sizeof(struct timer), "struct timer holds its watcher");
_Static_assert(sizeof(struct sig_impl) <= sizeof(struct sig), "struct sig holds its watcher");

static struct io_impl *io_impl(const struct io *io)
{
    return (struct io_impl *)(void *)io;
}

static struct timer_impl *timer_impl(const struct timer *t)
{
    return (struct timer_impl *)(void *)t;
}

static struct sig_impl *sig_impl(const struct sig *s)
{
    return (struct sig_impl *)(void *)s;
}

/* ---- the loop ---- */
struct loop *loop_create(void)
{
    struct loop *l;

    OBJ_NEW(l, SIM_LOOP_MAGIC);
    l->now_ms = START_MS;
    l->wall_offset_ms = START_WALL_MS - START_MS;
    l->passes_max = SIM_PASSES_MAX;
    list_init(&l->ios);
    list_init(&l->timers);
    list_init(&l->sigs);
    list_init(&l->later);
    return l;
}

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

    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    ASSERT(!l->is_running);
    while (!list_is_empty(&l->later))
        run_later(l);
    ASSERT(list_is_empty(&l->ios));
    ASSERT(list_is_empty(&l->timers));
    ASSERT(list_is_empty(&l->sigs));
    mem_free(l->poll);
    if (l->fence != NULL)
        fence_destroy(&l->fence);
    OBJ_FREE(lp, SIM_LOOP_MAGIC);
}

/* Asks the kernel about all wanted descriptors; returns how many are ready. */
static size_t poll_ios(struct loop *l)
{
    size_t ready_count = 0, i = 0;

    if (l->poll_cap_count < l->io_count) {
        l->poll_cap_count = l->io_count * 2;
        l->poll = mem_realloc(l->poll, l->poll_cap_count * sizeof *l->poll);
    }
    LIST_EACH (link, &l->ios) {
        const struct io_impl *io = LIST_ENTRY(link, struct io_impl, link);

        l->poll[i++] = (struct pollfd){
            .fd = io->wanted != 0 ? io->fd : -1,
            .events = (short)((io->wanted & IO_READ ? POLLIN : 0) | (io->wanted & IO_WRITE ? POLLOUT : 0)),
        };
    }
    if (i == 0 || poll(l->poll, i, 0) <= 0)
        return 0;
    i = 0;
    LIST_EACH (link, &l->ios) {
        struct io_impl *io = LIST_ENTRY(link, struct io_impl, link);
        short got = l->poll[i++].revents;

        ASSERT((got & POLLNVAL) == 0 && "descriptor closed before io_fini");
        io->ready =
            (got & (POLLIN | POLLHUP | POLLERR) ? IO_READ : 0) | (got & (POLLOUT | POLLHUP | POLLERR) ? IO_WRITE : 0);
        ready_count += (io->ready & io->wanted) != 0;
    }
    return ready_count;
}

static void run_ios(struct loop *l)
{
    struct list turn;

    list_init(&turn);
    list_splice(&turn, &l->ios);
    while (!list_is_empty(&turn)) {
        struct io_impl *io = LIST_ENTRY(turn.next, struct io_impl, link);
        unsigned events = io->ready & io->wanted;

        list_unlink(&io->link);
        list_append(&l->ios, &io->link);
        io->ready = 0;
        if (events != 0)
            io->fn(io->arg, events);
    }
}

static void run_sigs(struct loop *l)
{
    struct list turn;

    list_init(&turn);
    list_splice(&turn, &l->sigs);
    while (!list_is_empty(&turn)) {
        struct sig_impl *s = LIST_ENTRY(turn.next, struct sig_impl, link);
        bool is_raised = s->is_raised;

        list_unlink(&s->link);
        list_append(&l->sigs, &s->link);
        s->is_raised = false;
        if (is_raised)
            s->fn(s->arg, s->signo);
    }
}

static void run_timers(struct loop *l)
{
    struct list due;

    list_init(&due);
    while (!list_is_empty(&l->timers)) {
        struct timer_impl *t = LIST_ENTRY(l->timers.next, struct timer_impl, link);

        if (t->due_ms > l->now_ms)
            break;
        list_unlink(&t->link);
        list_append(&due, &t->link);
    }
    while (!list_is_empty(&due)) {
        struct timer_impl *t = LIST_ENTRY(due.next, struct timer_impl, link);

        list_unlink(&t->link);
        t->fn(t->arg);
    }
}

static bool sig_is_raised(struct loop *l)
{
    LIST_EACH (link, &l->sigs)
        if (LIST_ENTRY(link, struct sig_impl, link)->is_raised)
            return true;
    return false;
}

int64_t sim_next_timer_ms(const struct loop *l)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    if (list_is_empty(&l->timers))
        return -1;
    int64_t due_ms = LIST_ENTRY(l->timers.next, struct timer_impl, link)->due_ms;
    return due_ms > l->now_ms ? due_ms - l->now_ms : 0;
}

/* The same, once everything that was sent has arrived. */
static size_t poll_arrived(struct loop *l)
{
    if (l->io_count == 0)
        return 0;
    if (l->fence == NULL)
        l->fence = fence_create();
    fence_pass(l->fence);
    return poll_ios(l);
}

/* One pass, which may move the clock on by `jump_max_ms`. False when nothing was to be done and the clock did not
 * move. */
static bool run_pass(struct loop *l, int64_t jump_max_ms)
{
    bool is_busy = !list_is_empty(&l->later) || sig_is_raised(l) || sim_next_timer_ms(l) == 0;

    ASSERT(++l->pass_count <= l->passes_max && "replay ran away");
    is_busy = poll_ios(l) > 0 || is_busy;
    if (!is_busy && poll_arrived(l) == 0) {
        int64_t jump_ms = sim_next_timer_ms(l);

        if (jump_ms < 0 || jump_ms > jump_max_ms)
            return false;
        l->now_ms += jump_ms;
    }
    l->is_running = true;
    run_ios(l);
    run_sigs(l);
    run_timers(l);
    run_later(l);
    l->is_running = false;
    return true;
}

void loop_run(struct loop *l)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    ASSERT(!l->is_running);
    l->pass_count = 0;
    while (!l->must_stop && run_pass(l, INT64_MAX))
        continue;
    l->must_stop = false;
}

void loop_run_once(struct loop *l, bool may_wait)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    ASSERT(!l->is_running);
    l->pass_count = 0;
    (void)run_pass(l, may_wait ? INT64_MAX : 0);
}

void loop_stop(struct loop *l)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    l->must_stop = true;
}

void *loop_native(struct loop *l)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    return NULL;
}

/* ---- time ---- */
int64_t loop_now_ms(const struct loop *l)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    return l->now_ms;
}

int64_t loop_wall_ms(const struct loop *l)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    return l->now_ms + l->wall_offset_ms;
}

int64_t loop_fresh_us(const struct loop *l)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    return l->now_ms * 1000;
}

/* ---- controls ---- */
void sim_limit_passes(struct loop *l, uint32_t passes_max)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    l->passes_max = passes_max;
}

void sim_set_wall(struct loop *l, int64_t wall_ms)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    l->wall_offset_ms = wall_ms - l->now_ms;
}

void sim_advance(struct loop *l, int64_t time_ms)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    ASSERT(!l->is_running && time_ms >= 0);
    int64_t end_ms = l->now_ms + time_ms;

    l->pass_count = 0;
    while (!l->must_stop && run_pass(l, end_ms - l->now_ms))
        continue;
    if (l->must_stop)
        return;
    l->now_ms = end_ms;
}

void sim_settle(struct loop *l)
{
    sim_advance(l, 0);
}

void sim_signal(struct loop *l, int signo)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    LIST_EACH (link, &l->sigs) {
        struct sig_impl *s = LIST_ENTRY(link, struct sig_impl, link);

        if (s->signo == signo)
            s->is_raised = true;
    }
}

/* ---- descriptors ---- */
void io_init(struct io *io, struct loop *l, int fd, io_fn *fn, void *arg)
{
    struct io_impl *i = io_impl(io);

    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    ASSERT(fd >= 0);
    *i = (struct io_impl){.loop = l, .fn = fn, .arg = arg, .fd = fd};
    list_init(&i->link);
    list_append(&l->ios, &i->link);
    l->io_count++;
}

void io_want(struct io *io, unsigned events)
{
    struct io_impl *i = io_impl(io);

    CHECK_OBJ(i->loop, SIM_LOOP_MAGIC);
    ASSERT(events <= (unsigned)(IO_READ | IO_WRITE));
    i->wanted = events;
}

unsigned io_wanted(const struct io *io)
{
    return io_impl(io)->wanted;
}

void io_fini(struct io *io)
{
    struct io_impl *i = io_impl(io);

    CHECK_OBJ(i->loop, SIM_LOOP_MAGIC);
    list_unlink(&i->link);
    i->loop->io_count--;
    *i = (struct io_impl){0};
}

/* ---- timers ---- */
void timer_init(struct timer *t, struct loop *l, timer_fn *fn, void *arg)
{
    struct timer_impl *i = timer_impl(t);

    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    *i = (struct timer_impl){.loop = l, .fn = fn, .arg = arg};
    list_init(&i->link);
}

/* Those due at the same time fire in the order of their start: the new one goes behind them. */
void timer_start(struct timer *t, int64_t delay_ms)
{
    struct timer_impl *i = timer_impl(t);

    CHECK_OBJ(i->loop, SIM_LOOP_MAGIC);
    ASSERT(delay_ms >= 0);
    list_unlink(&i->link);
    i->due_ms = i->loop->now_ms + delay_ms;
    struct list *at = &i->loop->timers;
    while (at->prev != &i->loop->timers && LIST_ENTRY(at->prev, struct timer_impl, link)->due_ms > i->due_ms)
        at = at->prev;
    list_insert_before(at, &i->link);
}

void timer_cancel(struct timer *t)
{
    CHECK_OBJ(timer_impl(t)->loop, SIM_LOOP_MAGIC);
    list_unlink(&timer_impl(t)->link);
}

bool timer_is_active(const struct timer *t)
{
    return !list_is_empty(&timer_impl(t)->link);
}

/* ---- end of pass ---- */
void later_init(struct later *e, struct loop *l, later_fn *fn, void *arg)
{
    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    list_init(&e->link);
    e->loop = l;
    e->fn = fn;
    e->arg = arg;
}

void later_post(struct later *e)
{
    CHECK_OBJ(e->loop, SIM_LOOP_MAGIC);
    if (list_is_empty(&e->link))
        list_append(&e->loop->later, &e->link);
}

void later_cancel(struct later *e)
{
    list_unlink(&e->link);
}

/* ---- signals: sim_signal() is the only source ---- */
void sig_init(struct sig *s, struct loop *l, int signo, sig_fn *fn, void *arg)
{
    struct sig_impl *i = sig_impl(s);

    CHECK_OBJ(l, SIM_LOOP_MAGIC);
    *i = (struct sig_impl){.loop = l, .fn = fn, .arg = arg, .signo = signo};
    list_init(&i->link);
    list_append(&l->sigs, &i->link);
}

void sig_fini(struct sig *s)
{
    struct sig_impl *i = sig_impl(s);

    CHECK_OBJ(i->loop, SIM_LOOP_MAGIC);
    list_unlink(&i->link);
    *i = (struct sig_impl){0};
}
