/* The lines. A mover is in one of four places:
 *
 *   NOWHERE   it does not want to move
 *   WAITING   in the line of its route, to begin as soon as the pace allows
 *   MOVING    it has begun; looked at until it is done or has failed
 *   PAUSING   it failed, or could not begin; back to the line when it is ready
 *
 * One timer runs while anybody is in any of them. It ticks at a fixed rate, for a move takes longer than a tick, and a
 * pace is kept by the bucket and not by the timer. */
#include "gateway/realtime/moves.h"

#include "base/mem.h"
#include "base/slots.h"
#include "gateway/upstream/pace.h"

#define MOVES_MAGIC   0x3a7c1e90u
#define TICK_MS       50
#define SWEEP_MS      500 /* those that pause, and deadlines, are looked at this often: they may be many */
#define NOT_NOW_MS    500
#define BURST_DIVISOR 10 /* a line may have saved up the moves of a tenth of a second */

enum place { NOWHERE = 0, WAITING, MOVING, PAUSING };

/* No jitter: the pace spreads them. */
static const struct conf_backoff pauses = {.first_ms = 1000, .max_ms = 30000};

struct line {
    struct list waiting;
    struct list active; /* in moves->active, while anybody waits */
    struct pace pace;
    uint32_t per_s;
};

struct moves {
    uint32_t magic;
    uint32_t worker_count;
    const struct moves_ops *ops;
    void *arg;
    struct loop *loop;
    struct timer tick;
    struct list active; /* lines */
    struct list moving;
    struct list pausing;
    int64_t swept_ms;
    bool is_stopped;
    struct line lines[MOVES_LINES];
};

/* ---- places ---- */

void mover_init(struct mover *m)
{
    *m = (struct mover){.place = NOWHERE};
    list_init(&m->link);
}

void mover_leave(struct mover *m)
{
    list_unlink(&m->link);
    m->place = NOWHERE;
    m->reason = MOVE_NONE;
    m->from = NULL;
}

static void set_place(struct moves *all, struct mover *m, enum place place)
{
    struct line *line = &all->lines[m->line];
    struct list *const heads[] = {[WAITING] = &line->waiting, [MOVING] = &all->moving, [PAUSING] = &all->pausing};
    list_unlink(&m->link);
    if (m->reason == MOVE_ASKED && place == WAITING)
        list_prepend(heads[place], &m->link);
    else
        list_append(heads[place], &m->link);
    m->place = (uint8_t)place;
    if (place == WAITING && list_is_empty(&line->active))
        list_append(&all->active, &line->active);
}

static void pause_for(struct moves *all, struct mover *m, int64_t ms)
{
    m->ready_ms = loop_now_ms(all->loop) + ms;
    set_place(all, m, PAUSING);
}

/* ---- the tick ---- */

static void settle(struct moves *all, struct mover *m, enum move_course course)
{
    switch (course) {
    case MOVE_UNDER_WAY:
        if (m->place != MOVING)
            set_place(all, m, MOVING);
        return;
    case MOVE_DONE:
        mover_leave(m);
        return;
    case MOVE_NOT_NOW:
        pause_for(all, m, NOT_NOW_MS);
        return;
    case MOVE_FAILED:
        pause_for(all, m, backoff_next_ms(&m->pauses, &pauses, 0));
        return;
    }
}

static void look_after_moving(struct moves *all)
{
    LIST_EACH (it, &all->moving) {
        struct mover *m = LIST_ENTRY(it, struct mover, link);
        const enum move_course course = all->ops->look(all->arg, m);
        if (m->place == MOVING)
            settle(all, m, course);
    }
}

static void sweep(struct moves *all, struct list *places, int64_t now_ms)
{
    LIST_EACH (it, places) {
        struct mover *m = LIST_ENTRY(it, struct mover, link);
        if (m->by_ms <= now_ms) {
            mover_leave(m);
            all->ops->must_go(all->arg, m);
        } else if (m->place == PAUSING && m->ready_ms <= now_ms) {
            set_place(all, m, WAITING);
        }
    }
}

static void advance(struct moves *all, struct line *line, int64_t now_ms)
{
    const struct pace_limits limits = pace_share(line->per_s, line->per_s / BURST_DIVISOR, all->worker_count);
    while (!list_is_empty(&line->waiting) && pace_wait_ms(&line->pace, &limits, 1, now_ms) == 0) {
        struct mover *m = LIST_ENTRY(line->waiting.next, struct mover, link);
        const enum move_course course = all->ops->begin(all->arg, m);
        if (course == MOVE_UNDER_WAY || course == MOVE_FAILED)
            pace_take(&line->pace, &limits, 1, now_ms);
        if (m->place == WAITING)
            settle(all, m, course);
    }
    if (list_is_empty(&line->waiting))
        list_unlink(&line->active);
}

static bool is_quiet(const struct moves *all)
{
    return list_is_empty(&all->active) && list_is_empty(&all->moving) && list_is_empty(&all->pausing);
}

static void on_tick(void *arg)
{
    struct moves *all = arg;
    CHECK_OBJ(all, MOVES_MAGIC);
    const int64_t now_ms = loop_now_ms(all->loop);
    look_after_moving(all);
    if (now_ms - all->swept_ms >= SWEEP_MS) {
        all->swept_ms = now_ms;
        sweep(all, &all->pausing, now_ms);
        LIST_EACH (it, &all->active)
            sweep(all, &LIST_ENTRY(it, struct line, active)->waiting, now_ms);
    }
    LIST_EACH (it, &all->active)
        advance(all, LIST_ENTRY(it, struct line, active), now_ms);
    if (!is_quiet(all))
        timer_start(&all->tick, TICK_MS);
}

/* ---- from outside ---- */

struct moves *moves_create(struct loop *l, const struct moves_ops *ops, void *arg)
{
    struct moves *all;
    OBJ_NEW(all, MOVES_MAGIC);
    all->loop = l;
    all->ops = ops;
    all->arg = arg;
    all->worker_count = 1;
    list_init(&all->active);
    list_init(&all->moving);
    list_init(&all->pausing);
    for (size_t i = 0; i < MOVES_LINES; i++) {
        list_init(&all->lines[i].waiting);
        list_init(&all->lines[i].active);
    }
    timer_init(&all->tick, l, on_tick, all);
    return all;
}

void moves_destroy(struct moves **mp)
{
    struct moves *all = *mp;
    CHECK_OBJ(all, MOVES_MAGIC);
    moves_stop(all);
    timer_cancel(&all->tick);
    OBJ_FREE(mp, MOVES_MAGIC);
}

void moves_set_shares(struct moves *all, uint32_t worker_count)
{
    CHECK_OBJ(all, MOVES_MAGIC);
    all->worker_count = worker_count;
}

void moves_want(struct moves *all, struct mover *m, const void *from, enum move_reason why, uint32_t line,
                uint32_t per_s, int64_t by_ms)
{
    CHECK_OBJ(all, MOVES_MAGIC);
    ASSERT(why != MOVE_NONE && line < MOVES_LINES);
    if (all->is_stopped)
        return;
    all->lines[line].per_s = per_s;
    m->by_ms = by_ms;
    if (m->place != NOWHERE && m->from == from && m->reason == why)
        return;
    const bool is_new = m->place == NOWHERE || m->from != from;
    m->reason = (uint8_t)why;
    m->from = from;
    if (is_new)
        backoff_reset(&m->pauses);
    if (m->place == NOWHERE || m->place == PAUSING || (m->place == WAITING && why == MOVE_ASKED)) {
        m->line = (uint16_t)line;
        set_place(all, m, WAITING);
    }
    if (!timer_is_active(&all->tick))
        timer_start(&all->tick, 0);
}

void moves_hurry(struct moves *all)
{
    CHECK_OBJ(all, MOVES_MAGIC);
    LIST_EACH (it, &all->pausing)
        set_place(all, LIST_ENTRY(it, struct mover, link), WAITING);
}

static void dismiss(struct list *places)
{
    LIST_EACH (it, places)
        mover_leave(LIST_ENTRY(it, struct mover, link));
}

void moves_stop(struct moves *all)
{
    CHECK_OBJ(all, MOVES_MAGIC);
    all->is_stopped = true;
    dismiss(&all->moving);
    dismiss(&all->pausing);
    LIST_EACH (it, &all->active) {
        dismiss(&LIST_ENTRY(it, struct line, active)->waiting);
        list_unlink(it);
    }
}
