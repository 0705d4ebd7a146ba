/* The redis probe: PING, after AUTH when there is a password, and PONG is the answer. Both commands are sent at once;
 * Redis answers in order. A Redis that loads its data or has lost its master says so instead, and is not healthy. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "health/checker/contact.h"
#include "health/checker/probe.h"

#define REQUEST_BYTES_MAX 2048u
/* The answers are one short line each; of a longer one the beginning is enough. */
#define ANSWER_BYTES 512u

struct probe_redis {
    struct probe base;
    struct contact contact;
    unsigned lines_left; /* to be answered */
    size_t answer_len;
    char answer[ANSWER_BYTES];
};

static struct probe_redis *redis_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_redis_ops);
    return (struct probe_redis *)(void *)p;
}

static void add_text(struct strbuf *out, const char *text)
{
    strbuf_printf(out, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void say(struct probe_redis *r, const struct conf_check *c)
{
    bool has_user = c->redis_user[0] != '\0', has_password = c->redis_password[0] != '\0';
    struct strbuf request;

    strbuf_init(&request, REQUEST_BYTES_MAX);
    r->lines_left = has_password ? 2 : 1;
    if (has_password) {
        strbuf_puts(&request, has_user ? "*3\r\n" : "*2\r\n");
        add_text(&request, "AUTH");
        if (has_user)
            add_text(&request, c->redis_user);
        add_text(&request, c->redis_password);
    }
    strbuf_puts(&request, "*1\r\n");
    add_text(&request, "PING");
    if (request.failed)
        probe_finish(&r->base, ERR_LIMIT, NULL);
    else
        contact_write(&r->contact, request.data, request.len);
    if (request.data != NULL)
        mem_wipe(request.data, request.len); /* the password */
    strbuf_fini(&request);
}

/* One line of an answer: "+OK" to AUTH, then "+PONG". An error's first word is its code ("-NOAUTH Authentication
 * required."), which says enough and, unlike the rest, nothing secret. */
static void take_line(struct probe_redis *r, const char *line, size_t len)
{
    const char *wanted = r->lines_left == 2 ? "+OK" : "+PONG";
    char detail[64] = "not an answer of Redis";

    if (len == strlen(wanted) && memcmp(line, wanted, len) == 0) {
        if (--r->lines_left == 0)
            probe_finish(&r->base, ERR_NONE, NULL);
        return;
    }
    if (len > 1 && line[0] == '-') {
        int n = 0;
        while (n + 1 < (int)len && n < 32 && line[n + 1] >= 'A' && line[n + 1] <= 'Z')
            n++;
        snprintf(detail, sizeof detail, "answered %.*s", n, line + 1);
    }
    probe_finish(&r->base, ERR_PROTOCOL, detail);
}

static void take_lines(struct probe_redis *r)
{
    char *end;

    while (!r->base.is_finished && (end = memchr(r->answer, '\n', r->answer_len)) != NULL) {
        size_t len = (size_t)(end - r->answer), used = len + 1;

        take_line(r, r->answer, len > 0 && end[-1] == '\r' ? len - 1 : len);
        r->answer_len -= used;
        memmove(r->answer, r->answer + used, r->answer_len);
    }
    if (!r->base.is_finished && r->answer_len == sizeof r->answer)
        probe_finish(&r->base, ERR_PROTOCOL, "not an answer of Redis");
}

static void on_open(struct probe *p)
{
    p->waiting_for = "PONG";
}

static void on_data(struct probe *p, const uint8_t *data, size_t len)
{
    struct probe_redis *r = redis_of(p);

    while (len > 0 && !p->is_finished) {
        size_t room = sizeof r->answer - r->answer_len, part = len < room ? len : room;

        memcpy(r->answer + r->answer_len, data, part);
        r->answer_len += part;
        data += part;
        len -= part;
        take_lines(r);
    }
}

static const struct contact_ops contact_ops = {.on_open = on_open, .on_data = on_data};

static void start(struct probe *p, const struct probe_plan *plan)
{
    struct probe_redis *r = redis_of(p);

    contact_open(&r->contact, p, plan, NULL, TLS_OFFER_NOTHING, &contact_ops);
    say(r, plan->check);
}

static void stop(struct probe *p)
{
    contact_close(&redis_of(p)->contact);
}

const struct probe_ops probe_redis_ops = {.size_bytes = sizeof(struct probe_redis), .start = start, .stop = stop};
