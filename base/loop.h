/* The event loop: the only source of waiting and of time. The product links base/loop.c (libev); replay
 * tests link tests/replay/loop_sim.c, which runs the same callbacks under a virtual clock that jumps to
 * the next timer whenever no descriptor is ready.
 *
 * Life-cycle law: watchers are embedded in their owner, initialised once and finished before the owner's
 * memory goes away; after io_fini/timer_cancel/later_cancel returns, no callback comes. Nothing is freed
 * inside a callback that may still be on the stack: mark it, unlink it, and let a `later` free it. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct loop;

struct loop *loop_create(void);
void loop_destroy(struct loop **lp); /* runs what is still posted; all watchers must be finished */
void loop_run(struct loop *l);       /* until loop_stop() */
void loop_stop(struct loop *l);      /* at the end of this pass */
/* One pass; waits for an event only if `may_wait`. For tests and start-up. */
void loop_run_once(struct loop *l, bool may_wait);
/* The libev loop as void *, for libraries that must share it (libwebsockets, hiredis); NULL in replay. */
void *loop_native(struct loop *l);

/* The time of this pass: monotonic, and wall clock (Unix epoch). Cached; costs no system call. */
int64_t loop_now_ms(const struct loop *l);
int64_t loop_wall_ms(const struct loop *l);
/* A fresh monotonic reading in microseconds, for latencies shorter than a pass. */
int64_t loop_fresh_us(const struct loop *l);

/* ---- descriptors ---- */
enum { IO_READ = 1u, IO_WRITE = 2u };
typedef void io_fn(void *arg, unsigned events);

struct io {
    uint64_t impl[8]; /* private to the loop */
};
void io_init(struct io *io, struct loop *l, int fd, io_fn *fn, void *arg); /* watches nothing yet */
void io_want(struct io *io, unsigned events);                              /* 0 stops watching; no-op when unchanged */
unsigned io_wanted(const struct io *io);
void io_fini(struct io *io); /* before close(fd); the descriptor stays the caller's */

/* ---- timers ---- */
typedef void timer_fn(void *arg);

struct timer {
    uint64_t impl[8];
};
void timer_init(struct timer *t, struct loop *l, timer_fn *fn, void *arg);
void timer_start(struct timer *t, int64_t delay_ms); /* one shot; restarts when already running */
void timer_cancel(struct timer *t);
bool timer_is_active(const struct timer *t);

/* ---- end of pass: runs once after all callbacks of this pass, before the loop waits again ---- */
typedef void later_fn(void *arg);

struct later {
    struct list link;
    struct loop *loop;
    later_fn *fn;
    void *arg;
};
void later_init(struct later *e, struct loop *l, later_fn *fn, void *arg);
void later_post(struct later *e); /* no-op when already posted */
void later_cancel(struct later *e);

/* ---- signals, delivered as ordinary callbacks ---- */
typedef void sig_fn(void *arg, int signo);

struct sig {
    uint64_t impl[8];
};
void sig_init(struct sig *s, struct loop *l, int signo, sig_fn *fn, void *arg); /* active at once */
void sig_fini(struct sig *s);

#endif
