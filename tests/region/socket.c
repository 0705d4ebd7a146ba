/* The order of frames is Phoenix's: a join on a topic already joined is answered first and closes the old channel
 * after, and a leave is answered before its phx_close. */
#include "tests/region/socket.h"

#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/region/admission.h"
#include "tests/region/channel.h"
#include "tests/region/client.h"
#include "tests/region/region.h"

#define SOCKET_MAGIC 0x4e615009u

struct socket {
    uint32_t magic;
    enum wire_vsn vsn;
    struct client *client;
    struct list channels;
    size_t channel_count;
    struct timer busy;          /* while a join takes its time */
    struct frame joining;       /* this one */
    struct admission admission; /* and what will be said to it */
};

static void on_join_over(void *arg);

struct socket *socket_create(struct client *c)
{
    struct socket *s;
    char vsn[16];

    CHECK_OBJ(c, CLIENT_MAGIC);
    OBJ_NEW(s, SOCKET_MAGIC);
    head_query(&c->head, "vsn", vsn, sizeof(vsn));
    s->vsn = strncmp(vsn, "2.", 2) == 0 ? WIRE_V2 : WIRE_V1;
    s->client = c;
    list_init(&s->channels);
    timer_init(&s->busy, c->region->loop, on_join_over, s);
    return s;
}

void socket_drop(struct socket *s, struct channel *c)
{
    CHECK_OBJ(s, SOCKET_MAGIC);
    s->channel_count--;
    channel_destroy(&c);
}

void socket_destroy(struct socket **sp)
{
    CHECK_OBJ(*sp, SOCKET_MAGIC);
    LIST_EACH (it, &(*sp)->channels)
        socket_drop(*sp, LIST_ENTRY(it, struct channel, in_socket));
    timer_cancel(&(*sp)->busy);
    frame_fini(&(*sp)->joining);
    OBJ_FREE(sp, SOCKET_MAGIC);
}

size_t socket_each(struct socket *s, const char *topic, socket_channel_fn *fn, void *arg)
{
    size_t count = 0;

    CHECK_OBJ(s, SOCKET_MAGIC);
    LIST_EACH (it, &s->channels) {
        struct channel *c = LIST_ENTRY(it, struct channel, in_socket);

        if (topic != NULL && strcmp(c->topic->name, topic) != 0)
            continue;
        count++;
        fn(arg, c);
    }
    return count;
}

const struct client *socket_client(const struct socket *s)
{
    CHECK_OBJ(s, SOCKET_MAGIC);
    return s->client;
}

struct region *socket_region(const struct socket *s)
{
    CHECK_OBJ(s, SOCKET_MAGIC);
    return s->client->region;
}

enum wire_vsn socket_vsn(const struct socket *s)
{
    CHECK_OBJ(s, SOCKET_MAGIC);
    return s->vsn;
}

void socket_send(struct socket *s, const void *bytes, size_t len, bool is_binary)
{
    CHECK_OBJ(s, SOCKET_MAGIC);
    client_send(s->client, bytes, len, is_binary);
}

void socket_push(struct socket *s, const json_t *join_ref, const json_t *ref, const char *topic, const char *event,
                 json_t *take_payload)
{
    char *payload = json_dumps(take_payload, JSON_COMPACT | JSON_ENCODE_ANY);
    struct strbuf out;

    CHECK_OBJ(s, SOCKET_MAGIC);
    ASSERT(payload != NULL);
    strbuf_init(&out, CLIENT_QUEUE_MAX_BYTES);
    wire_write(&out, s->vsn, join_ref, ref, topic, event, payload, strlen(payload));
    if (!out.failed)
        client_send(s->client, out.data, out.len, false);
    strbuf_fini(&out);
    mem_free(payload);
    json_decref(take_payload);
}

void socket_reply(struct socket *s, const json_t *join_ref, const json_t *ref, const char *topic, const char *status,
                  json_t *take_response)
{
    socket_push(s, join_ref, ref, topic, "phx_reply",
                json_pack("{s:s, s:o}", "status", status, "response", take_response));
}

static struct channel *find_channel(struct socket *s, const char *topic)
{
    LIST_EACH (it, &s->channels) {
        struct channel *c = LIST_ENTRY(it, struct channel, in_socket);

        if (strcmp(c->topic->name, topic) == 0)
            return c;
    }
    return NULL;
}

/* ---- joins ---- */

static void refuse_join(struct socket *s, const struct frame *f, const char *reason, bool is_last)
{
    socket_reply(s, f->join_ref, f->ref, f->topic, "error", json_pack("{s:s}", "reason", reason));
    if (is_last)
        client_close(s->client, 1001, "");
}

static void accept_join(struct socket *s, const struct frame *f)
{
    struct channel *old = find_channel(s, f->topic);
    struct channel *c = channel_create(s, f);

    if (c == NULL) {
        refuse_join(s, f, "too many topics", false);
        return;
    }
    list_append(&s->channels, &c->in_socket);
    s->channel_count++;
    socket_region(s)->join_count++;
    socket_reply(s, c->join_ref, f->ref, f->topic, "ok", channel_join_response(c));
    if (old != NULL) {
        socket_push(s, old->join_ref, old->join_ref, f->topic, "phx_close", json_object());
        socket_drop(s, old);
    }
    channel_greet(c, f);
}

static void answer_join(struct socket *s, const struct frame *f, const struct admission *a)
{
    if (a->reason[0] == '\0')
        accept_join(s, f);
    else
        refuse_join(s, f, a->reason, a->is_last);
}

static void on_join_over(void *arg)
{
    struct socket *s = arg;

    CHECK_OBJ(s, SOCKET_MAGIC);
    answer_join(s, &s->joining, &s->admission);
    frame_fini(&s->joining);
    client_set_busy(s->client, false);
}

/* Takes the frame when the join will not be answered now. */
static void on_join(struct socket *s, struct frame *f)
{
    struct admission a;

    admission_judge(&a, s->client, f, s->channel_count);
    if (a.wait_ms == 0) {
        answer_join(s, f, &a);
        return;
    }
    ASSERT(s->joining.root == NULL);
    s->admission = a;
    s->joining = *f;
    memset(f, 0, sizeof(*f));
    client_set_busy(s->client, true);
    timer_start(&s->busy, a.wait_ms);
}

static void on_leave(struct socket *s, const struct frame *f)
{
    struct channel *c = find_channel(s, f->topic);

    /* A leave that names another join is stale; Phoenix does not even answer it. */
    if (c != NULL && !json_is_null(f->join_ref) && !json_equal(f->join_ref, c->join_ref))
        return;
    socket_reply(s, f->join_ref, f->ref, f->topic, "ok", json_object());
    if (c == NULL)
        return;
    socket_push(s, c->join_ref, c->join_ref, f->topic, "phx_close", json_object());
    socket_drop(s, c);
}

static void on_push(struct socket *s, const struct frame *f)
{
    struct channel *c = find_channel(s, f->topic);

    if (c == NULL)
        socket_reply(s, NULL, f->ref, f->topic, "error", json_pack("{s:s}", "reason", "unmatched topic"));
    else if (channel_take(c, f))
        socket_drop(s, c);
}

/* A user broadcast that calls itself JSON and is not would spoil the text frames of everybody else. */
static bool is_sound(const struct frame *f)
{
    json_t *j;

    if (f->user_event == NULL || !f->user_is_json)
        return true;
    j = json_loadb((const char *)f->user_bytes, f->user_len, JSON_DECODE_ANY, NULL);
    json_decref(j);
    return j != NULL;
}

void socket_take(struct socket *s, const void *bytes, size_t len, bool is_binary)
{
    struct frame f;

    CHECK_OBJ(s, SOCKET_MAGIC);
    if (knobs_number(&socket_region(s)->knobs, KNOB_HANG) == HANG_REPLY)
        return;
    if (frame_read(&f, s->vsn, bytes, len, is_binary) != ERR_NONE) {
        LOG_DEBUG("malformed frame dropped", KV_UINT("bytes", len), KV_BOOL("binary", is_binary));
        return;
    }
    if (!is_sound(&f)) {
        LOG_DEBUG("broadcast is not JSON, dropped", KV_STR("topic", f.topic));
    } else if (strcmp(f.topic, "phoenix") == 0) {
        if (strcmp(f.event, "heartbeat") == 0)
            socket_reply(s, NULL, f.ref, f.topic, "ok", json_object());
    } else if (strcmp(f.event, "phx_join") == 0) {
        on_join(s, &f);
    } else if (strcmp(f.event, "phx_leave") == 0) {
        on_leave(s, &f);
    } else {
        on_push(s, &f);
    }
    frame_fini(&f);
}
