/* One timer for all waves, since there are mostly none. A wave lives as long as one of its sessions is on the way, also
 * after it was told of; new losses of the server begin another one then. */
#include "gateway/realtime/losses.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define LOSSES_MAGIC 0x105e5a11u
#define WAVE_MAGIC   0x3a7e105eu
#define SERVER_BYTES 160u
#define WHY_BYTES    96u

struct wave {
    uint32_t magic;
    struct list link; /* in losses->open, or nowhere after it was told of */
    struct wave_account account;
    char server[SERVER_BYTES];
    char why[WHY_BYTES];
    int64_t began_ms;
    int64_t latest_ms; /* of its losses */
    bool is_announced;
    bool is_told;
};

struct losses {
    uint32_t magic;
    struct loop *loop;
    struct timer timer;
    struct list open;
    losses_tell_fn *tell;
    void *arg;
};

static void tell(const struct losses *all, struct wave *w, bool is_over)
{
    w->account.is_over = is_over;
    w->account.server = w->server;
    w->account.why = w->why;
    if (all->tell != NULL)
        all->tell(all->arg, &w->account);
}

static void wave_free_if_done(struct wave *w)
{
    if (w->is_told && w->account.waiting == 0)
        OBJ_FREE(&w, WAVE_MAGIC);
}

/* When something is to be done about the wave next. */
static int64_t due_ms(const struct wave *w)
{
    const int64_t last_ms = w->began_ms + LOSSES_TOLD_BY_MS;
    const int64_t quiet_ms = w->latest_ms + LOSSES_QUIET_MS;
    if (w->account.waiting == 0)
        return quiet_ms < last_ms ? quiet_ms : last_ms;
    return w->is_announced ? last_ms : w->began_ms + LOSSES_QUIET_MS;
}

static void look(struct losses *all)
{
    const int64_t now_ms = loop_now_ms(all->loop);
    int64_t next_ms = INT64_MAX;
    LIST_EACH (it, &all->open) {
        struct wave *w = LIST_ENTRY(it, struct wave, link);
        if (due_ms(w) <= now_ms && w->account.waiting > 0 && !w->is_announced) {
            w->is_announced = true;
            tell(all, w, false);
        }
        if (due_ms(w) <= now_ms) {
            list_unlink(&w->link);
            tell(all, w, true);
            w->is_told = true;
            wave_free_if_done(w);
        } else if (due_ms(w) < next_ms) {
            next_ms = due_ms(w);
        }
    }
    if (next_ms != INT64_MAX)
        timer_start(&all->timer, next_ms - now_ms);
}

static void on_timer(void *arg)
{
    look(arg);
}

struct losses *losses_create(struct loop *l, losses_tell_fn *tell_fn, void *arg)
{
    struct losses *all;
    OBJ_NEW(all, LOSSES_MAGIC);
    all->loop = l;
    all->tell = tell_fn;
    all->arg = arg;
    list_init(&all->open);
    timer_init(&all->timer, l, on_timer, all);
    return all;
}

void losses_destroy(struct losses **lp)
{
    struct losses *all = *lp;
    CHECK_OBJ(all, LOSSES_MAGIC);
    timer_cancel(&all->timer);
    LIST_EACH (it, &all->open) {
        struct wave *w = LIST_ENTRY(it, struct wave, link);
        ASSERT(w->account.waiting == 0);
        list_unlink(&w->link);
        w->is_told = true;
        wave_free_if_done(w);
    }
    OBJ_FREE(lp, LOSSES_MAGIC);
}

void losses_follow(struct losses *all, losses_tell_fn *tell_fn, void *arg)
{
    CHECK_OBJ(all, LOSSES_MAGIC);
    all->tell = tell_fn;
    all->arg = arg;
}

static struct wave *wave_of(struct losses *all, const char *server, const char *why)
{
    struct wave *w;
    LIST_EACH (it, &all->open) {
        w = LIST_ENTRY(it, struct wave, link);
        if (strncmp(w->server, server, sizeof w->server - 1) == 0)
            return w;
    }
    OBJ_NEW(w, WAVE_MAGIC);
    snprintf(w->server, sizeof w->server, "%s", server);
    snprintf(w->why, sizeof w->why, "%s", why);
    w->began_ms = loop_now_ms(all->loop);
    list_init(&w->link);
    list_append(&all->open, &w->link);
    return w;
}

void losses_lost(struct losses *all, struct loss *l, const char *server, const char *why)
{
    CHECK_OBJ(all, LOSSES_MAGIC);
    if (l->wave != NULL)
        return;
    l->wave = wave_of(all, server, why);
    l->since_ms = loop_now_ms(all->loop);
    l->wave->latest_ms = l->since_ms;
    l->wave->account.lost++;
    l->wave->account.waiting++;
    look(all);
}

void losses_over(struct losses *all, struct loss *l, enum loss_end how)
{
    CHECK_OBJ(all, LOSSES_MAGIC);
    struct wave *w = l->wave;
    if (w == NULL)
        return;
    CHECK_OBJ(w, WAVE_MAGIC);
    struct wave_account *a = &w->account;
    const int64_t took_ms = loop_now_ms(all->loop) - l->since_ms;
    uint32_t *const counts[] = {[LOSS_RESTORED] = &a->restored, [LOSS_GIVEN_UP] = &a->given_up, [LOSS_LEFT] = &a->left};
    *l = (struct loss){0};
    ++*counts[how];
    a->waiting--;
    if (how == LOSS_RESTORED && took_ms > a->longest_ms)
        a->longest_ms = took_ms;
    if (w->is_told)
        wave_free_if_done(w);
    else
        look(all);
}

void losses_count(struct loss *l, enum stat_route id, int64_t count)
{
    if (l->wave == NULL)
        return;
    CHECK_OBJ(l->wave, WAVE_MAGIC);
    if (id == STAT_ROUTE_SESSION_UNKNOWN)
        l->wave->account.unknown += (uint32_t)count;
    else if (id == STAT_ROUTE_SESSION_DROPPED)
        l->wave->account.dropped += (uint32_t)count;
}
