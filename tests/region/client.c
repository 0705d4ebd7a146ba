/* The queue is what needs care: a test may well leave a thousand clients unread on purpose. */
#include "tests/region/client.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/region/knobs.h"
#include "tests/region/region.h"
#include "tests/region/rest.h"
#include "tests/region/socket.h"
#include "tests/region/web.h"

struct client *client_create(struct region *r, struct head *take_head)
{
    struct client *c;

    CHECK_OBJ(r, REGION_MAGIC);
    OBJ_NEW(c, CLIENT_MAGIC);
    c->region = r;
    c->head = *take_head;
    memset(take_head, 0, sizeof(*take_head));
    if (head_asks_websocket(&c->head))
        c->kind = strncmp(c->head.path, "/echo", 5) == 0 ? CLIENT_KIND_ECHO : CLIENT_KIND_PHOENIX;
    strbuf_init(&c->in, c->kind == CLIENT_KIND_ECHO ? CLIENT_MESSAGE_MAX : CLIENT_FRAME_MAX);
    list_init(&c->out);
    list_init(&c->link);
    list_append(&r->clients, &c->link);
    return c;
}

static void drop_queue(struct client *c)
{
    LIST_EACH (it, &c->out) {
        struct outgoing *o = LIST_ENTRY(it, struct outgoing, link);

        list_unlink(&o->link);
        mem_free(o);
    }
    c->out_bytes = 0;
}

void client_destroy(struct client **cp)
{
    struct client *c = *cp;

    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->socket != NULL)
        socket_destroy(&c->socket);
    if (c->request != NULL)
        rest_abandon(&c->request);
    drop_queue(c);
    list_unlink(&c->link);
    strbuf_fini(&c->in);
    head_fini(&c->head);
    OBJ_FREE(cp, CLIENT_MAGIC);
}

static void enqueue(struct client *c, const void *bytes, size_t len, bool is_binary)
{
    struct outgoing *o = mem_alloc(sizeof(*o) + CLIENT_HEADROOM + len);

    list_init(&o->link);
    o->is_binary = is_binary;
    o->len = len;
    if (len > 0)
        memcpy(o->room + CLIENT_HEADROOM, bytes, len);
    list_append(&c->out, &o->link);
    c->out_bytes += len;
    web_want_write(c);
}

void client_send(struct client *c, const void *bytes, size_t len, bool is_binary)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->is_closing || c->wsi == NULL)
        return;
    if (c->out_bytes + len > CLIENT_QUEUE_MAX_BYTES) {
        drop_queue(c);
        client_close(c, 1013, "reads too slowly");
        return;
    }
    enqueue(c, bytes, len, is_binary);
}

void client_answer(struct client *c, int status, const char *type, const void *body, size_t len)
{
    char head[512];
    int head_len;

    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->is_answered || c->wsi == NULL)
        return;
    c->is_answered = true;
    head_len =
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\nx-region: %s\r\n"
                 "connection: close\r\n\r\n",
                 status, status < 400 ? "OK" : "Not OK", type == NULL ? "text/plain" : type, len, c->region->name);
    enqueue(c, head, (size_t)head_len, true);
    if (len == 0 || strcmp(c->head.method, "HEAD") == 0)
        return;
    c->is_paused = knobs_number(&c->region->knobs, KNOB_HANG) == HANG_BODY && strncmp(c->head.path, "/_", 2) != 0;
    enqueue(c, body, len, true);
}

void client_answer_json(struct client *c, int status, json_t *take_body)
{
    char *text = json_dumps(take_body, JSON_COMPACT | JSON_ENCODE_ANY);

    ASSERT(text != NULL);
    json_decref(take_body);
    client_answer(c, status, "application/json", text, strlen(text));
    mem_free(text);
}

void client_close(struct client *c, uint16_t code, const char *reason)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->is_closing)
        return;
    c->is_closing = true;
    c->close_code = code;
    snprintf(c->close_reason, sizeof(c->close_reason), "%s", reason);
    web_want_write(c);
}

void client_dismiss(struct client *c, uint16_t code, const char *reason)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    c->is_busy = false;
    client_close(c, code, reason);
    if (c->socket != NULL)
        socket_destroy(&c->socket);
}

void client_set_busy(struct client *c, bool is_busy)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    c->is_busy = is_busy;
    web_check_reading(c);
    web_want_write(c);
}

void client_send_wrong(struct client *c, const struct wrong_frame *w)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    c->wrong = w;
    web_want_write(c);
}

bool client_may_read(const struct client *c)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (!c->is_upgraded)
        return true;
    return !c->is_busy && knobs_number(&c->region->knobs, KNOB_HANG) != HANG_PING && c->out_bytes < CLIENT_PAUSE_BYTES;
}
