/* Keeping a link up: dial, log in, and after a loss the same again, later each time. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cache/l2_link_priv.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 5000
/* Who was let in and thrown out again sooner than this is still waited for longer each time. */
#define SETTLED_AFTER_MS 1000

static void log_lost(struct l2_link *k, enum err e, const char *why, int64_t retry_ms)
{
    const bool was_open = k->state == LINK_OPEN;
    if (!was_open && k->told_error == e)
        return; /* once per outage and cause */
    k->told_error = e;
    LOG_LIMITED(&k->state_limit, l2_link_now_ms(k), LOG_LEVEL_WARN,
                was_open ? "redis connection lost" : "redis not reached", KV_STR("link", k->settings.what),
                KV_STR("host", k->settings.address.host), KV_UINT("port", k->settings.address.port),
                KV_STR("cause", err_text(e)), KV_STR("detail", why), KV_INT("retry_ms", retry_ms),
                KV_UINT("calls", k->owed_count));
}

/* The next wait: half of it is chance, so that the workers of a fleet do not come back as one. */
static int64_t next_backoff_ms(struct l2_link *k)
{
    uint32_t chance = 0;
    const ssize_t got = getrandom(&chance, sizeof chance, 0);
    ASSERT(got == (ssize_t)sizeof chance);
    if (k->state == LINK_OPEN && l2_link_now_ms(k) - k->up_since_ms >= SETTLED_AFTER_MS)
        k->backoff_ms = BACKOFF_MIN_MS;
    const int64_t half_ms = k->backoff_ms / 2;
    k->backoff_ms = k->backoff_ms * 2 < BACKOFF_MAX_MS ? k->backoff_ms * 2 : BACKOFF_MAX_MS;
    return half_ms + (int64_t)(chance % (uint32_t)(half_ms + 1));
}

void l2_link_disconnect(struct l2_link *k)
{
    if (k->dial != NULL)
        l2_dial_cancel(&k->dial);
    if (k->conn != NULL)
        conn_close(&k->conn, true);
    if (k->parser != NULL)
        l2_parser_destroy(&k->parser);
    strbuf_clear(&k->out);
    later_cancel(&k->flush);
    timer_cancel(&k->patience);
    timer_cancel(&k->deadline);
    timer_cancel(&k->rest);
    k->state = LINK_WAITING;
}

void l2_link_lose(struct l2_link *k, enum err e, const char *why)
{
    const bool was_up = l2_link_is_up(k);
    if (k->state == LINK_WAITING)
        return;
    const int64_t retry_ms = next_backoff_ms(k);
    log_lost(k, e, why, retry_ms);
    k->counts->failure_count += k->state != LINK_OPEN; /* else its calls are counted */
    k->lost_ms = k->state == LINK_OPEN ? l2_link_now_ms(k) : k->lost_ms;
    l2_link_disconnect(k);
    timer_start(&k->patience, retry_ms);
    l2_link_answer_all(k, e);
    if (was_up && !k->is_dead && k->ops->on_down != NULL)
        k->ops->on_down(k->arg);
}

static void opened(struct l2_link *k)
{
    k->state = LINK_OPEN;
    k->up_since_ms = l2_link_now_ms(k);
    k->told_error = ERR_NONE;
    timer_cancel(&k->patience);
    LOG_LIMITED(&k->state_limit, l2_link_now_ms(k), LOG_LEVEL_INFO, "redis connected", KV_STR("link", k->settings.what),
                KV_STR("host", k->settings.address.host), KV_UINT("port", k->settings.address.port),
                KV_BOOL("tls", k->settings.tls != NULL));
    const int64_t rest_ms = k->is_circuit_open ? k->rest_until_ms - l2_link_now_ms(k) : 0;
    if (rest_ms > 0) { /* who was too slow to be asked is not fast for having let us in */
        timer_start(&k->rest, rest_ms);
        return;
    }
    l2_link_close_circuit(k);
    if (k->ops->on_up != NULL)
        k->ops->on_up(k->arg);
}

static enum err login_error(enum l2_fault f)
{
    return f == L2_FAULT_ILL ? ERR_BUSY : ERR_DENIED;
}

/* PING comes last and only has to be answered: an ACL that does not allow it is no hindrance. */
static void on_login(void *arg, enum err e, struct l2_reply *const *replies, size_t count)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    if (e != ERR_NONE) {
        l2_link_lose(k, e, "no answer to the login"); /* a no-op when it is the drop that tells us */
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const enum l2_fault f = l2_reply_fault(replies[i]);
        const bool is_ping = i == count - 1;
        if (f != L2_FAULT_NONE && !(is_ping && strncmp(replies[i]->text, "NOPERM", 6) == 0)) {
            char detail[L2_DETAIL_BYTES];
            (void)snprintf(detail, sizeof detail, "%s", replies[i]->text);
            l2_link_lose(k, login_error(f), detail);
            return;
        }
    }
    opened(k);
}

static size_t login_commands(const struct l2_link *k, struct l2_command *out)
{
    const struct l2_link_settings *s = &k->settings;
    size_t count = 0;
    if (*s->password != '\0' && *s->username != '\0')
        l2_command_words(&out[count++], "AUTH", s->username, s->password, NULL);
    else if (*s->password != '\0')
        l2_command_words(&out[count++], "AUTH", s->password, NULL);
    if (s->database != 0) {
        struct l2_args a = {0};
        l2_args_text(&a, "SELECT");
        l2_args_int(&a, s->database);
        l2_command_init(&out[count++], &a);
    }
    l2_command_words(&out[count++], "PING", NULL);
    return count;
}

static void on_dialled(void *arg, enum err e, const char *detail, struct conn *conn)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    struct l2_command commands[L2_REPLIES_MAX] = {{0}};
    k->dial = NULL;
    if (e != ERR_NONE) {
        l2_link_lose(k, e, detail);
        return;
    }
    k->conn = conn;
    conn_set_owner(conn, &l2_link_conn_ops, k);
    k->parser = l2_parser_create(k->settings.reply_bytes_max);
    k->state = LINK_LOGIN;
    const size_t count = login_commands(k, commands);
    struct l2_call *c = l2_link_send_any(k, commands, count, k->settings.connect_timeout_ms, on_login, k);
    ASSERT(c != NULL);
    c->is_inner = true;
    for (size_t i = 0; i < count; i++)
        l2_command_fini(&commands[i]);
}

/* Time to connect again, or connecting took too long. */
static void on_patience(void *arg)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    if (k->state != LINK_WAITING) {
        l2_link_lose(k, ERR_TIMEOUT, k->state == LINK_LOGIN ? "no answer to the login" : "");
        return;
    }
    k->state = LINK_DIALLING;
    timer_start(&k->patience, k->settings.connect_timeout_ms);
    k->dial = l2_dial_start(k->net, k->resolver, &k->settings.address, k->settings.tls, k->settings.tls_server_name,
                            k->settings.connect_timeout_ms, on_dialled, k);
}

void l2_link_init_opening(struct l2_link *k)
{
    k->backoff_ms = BACKOFF_MIN_MS;
    timer_init(&k->patience, k->net->loop, on_patience, k);
    timer_start(&k->patience, 0);
}

void l2_link_hasten(struct l2_link *k)
{
    ASSERT(k->state == LINK_WAITING);
    k->backoff_ms = BACKOFF_MIN_MS;
    timer_start(&k->patience, 0);
}
