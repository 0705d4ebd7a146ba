/* One row for each server that was lost lately. It waits for the workers that announced an account, and a little for
 * those that may still do. */
#include "gateway/super/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/super/super.h"

#define TALLY_MAGIC 0x7a1170b5u
#define TALLIES_MAX 256u /* servers lost within some seconds; more have no line */

struct tally {
    uint32_t magic;
    struct list link;
    struct msg_losses sum; /* and the name of the server, and why */
    bool is_awaited[CHILDREN_MAX];
    int64_t began_ms;
    int64_t latest_ms;
};

static void tally_free(struct super *s, struct tally *t)
{
    list_unlink(&t->link);
    s->tallies.count--;
    OBJ_FREE(&t, TALLY_MAGIC);
}

static void say_rest(struct strbuf *out, uint32_t count, const char *what)
{
    if (count > 0)
        strbuf_printf(out, ", %" PRIu32 " %s", count, what);
}

static void say(struct super *s, const struct tally *t)
{
    const struct msg_losses *m = &t->sum;
    char from[EVENT_WORD_BYTES], to[EVENT_WORD_BYTES];
    struct strbuf cause;
    struct event e;
    strbuf_init(&cause, 2 * EVENT_CAUSE_BYTES);
    strbuf_printf(&cause, "%s%s%" PRIu32 " of %" PRIu32 " sessions went on elsewhere", m->why,
                  m->why[0] != '\0' ? ": " : "", m->restored, m->lost);
    if (m->restored > 0)
        strbuf_printf(&cause, " within %" PRId64 ".%02d s", m->longest_ms / 1000, (int)(m->longest_ms % 1000 / 10));
    say_rest(&cause, m->waiting, "still without a server");
    say_rest(&cause, m->given_up, "given up");
    say_rest(&cause, m->left, "ended meanwhile");
    strbuf_printf(&cause, "; messages of clients: %" PRIu32 " unknown, %" PRIu32 " dropped", m->unknown, m->dropped);
    snprintf(from, sizeof from, "%" PRIu32 " sessions", m->lost);
    snprintf(to, sizeof to, "%" PRIu32 " moved", m->restored);
    event_init(&e, EVENT_SESSIONS, EVENT_ONCE, m->server, from, to, cause.data);
    strbuf_fini(&cause);
    events_add(s->events, &e);
}

static int64_t due_ms(const struct tally *t)
{
    const int64_t last_ms = t->began_ms + TALLY_LATEST_MS, quiet_ms = t->latest_ms + TALLY_QUIET_MS;
    bool is_awaited = false;
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        is_awaited |= t->is_awaited[i];
    return is_awaited || quiet_ms > last_ms ? last_ms : quiet_ms;
}

static void look(struct super *s)
{
    const int64_t now_ms = loop_now_ms(s->loop);
    int64_t next_ms = INT64_MAX;
    LIST_EACH (it, &s->tallies.list) {
        struct tally *t = LIST_ENTRY(it, struct tally, link);
        if (due_ms(t) <= now_ms) {
            if (t->sum.lost >= TALLY_SESSIONS_MIN)
                say(s, t);
            tally_free(s, t);
        } else if (due_ms(t) < next_ms) {
            next_ms = due_ms(t);
        }
    }
    if (next_ms != INT64_MAX)
        timer_start(&s->tallies.timer, next_ms - now_ms);
}

static void on_timer(void *arg)
{
    look(arg);
}

static struct tally *tally_of(struct super *s, const char *server, const char *why)
{
    struct tally *t;
    LIST_EACH (it, &s->tallies.list) {
        t = LIST_ENTRY(it, struct tally, link);
        if (strcmp(t->sum.server, server) == 0)
            return t;
    }
    if (s->tallies.count >= TALLIES_MAX)
        return NULL;
    OBJ_NEW(t, TALLY_MAGIC);
    snprintf(t->sum.server, sizeof t->sum.server, "%s", server);
    snprintf(t->sum.why, sizeof t->sum.why, "%s", why);
    t->began_ms = loop_now_ms(s->loop);
    list_init(&t->link);
    list_append(&s->tallies.list, &t->link);
    s->tallies.count++;
    return t;
}

void tallies_take(struct super *s, const struct child *from, const struct msg_losses *m)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    struct msg_losses copy = *m;
    copy.server[sizeof copy.server - 1] = '\0';
    copy.why[sizeof copy.why - 1] = '\0';
    struct tally *t = tally_of(s, copy.server, copy.why);
    if (t == NULL) {
        LOG_LIMITED(&s->tallies.complaints, loop_now_ms(s->loop), LOG_LEVEL_WARN, "lost sessions of too many servers",
                    KV_STR("server", copy.server));
        return;
    }
    struct msg_losses *sum = &t->sum;
    t->is_awaited[from - s->child] = !copy.is_over;
    t->latest_ms = loop_now_ms(s->loop);
    if (copy.is_over) {
        sum->lost += copy.lost;
        sum->restored += copy.restored;
        sum->given_up += copy.given_up;
        sum->left += copy.left;
        sum->waiting += copy.waiting;
        sum->unknown += copy.unknown;
        sum->dropped += copy.dropped;
        if (copy.longest_ms > sum->longest_ms)
            sum->longest_ms = copy.longest_ms;
    }
    look(s);
}

void tallies_forget(struct super *s, const struct child *c)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    LIST_EACH (it, &s->tallies.list) {
        struct tally *t = LIST_ENTRY(it, struct tally, link);
        CHECK_OBJ(t, TALLY_MAGIC);
        t->is_awaited[c - s->child] = false;
    }
    look(s);
}

void tallies_init(struct super *s)
{
    list_init(&s->tallies.list);
    timer_init(&s->tallies.timer, s->loop, on_timer, s);
}

void tallies_fini(struct super *s)
{
    timer_cancel(&s->tallies.timer);
    LIST_EACH (it, &s->tallies.list)
        tally_free(s, LIST_ENTRY(it, struct tally, link));
}
