/* What tidegatectl sessions shows of one: where it is, how it is, and its last steps. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/realtime/session_priv.h"

#define ID_BYTES 32u

void session_note_about(struct session *s, const char *what, const struct server *server)
{
    s->life[s->life_count++ % SESSION_LIFE_COUNT] =
        (struct life_note){.what = what,
                           .after_ms = (uint32_t)(session_now_ms(s) - s->opened_ms),
                           .server_slot = server != NULL ? (int16_t)server->slot : (int16_t)-1};
}

void session_note(struct session *s, const char *what)
{
    session_note_about(s, what, NULL);
}

static void add_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_printf(out, ",\"%s\":", name);
    strbuf_json_string(out, text, strlen(text));
}

static const char *quality_text(const struct session *s)
{
    const struct conf_quality *q = &session_conf(s)->quality;
    const int64_t rtt_ms = s->rtt_us / 1000;
    if (s->rtt_us < 0)
        return "unknown";
    return rtt_ms < q->excellent_ms ? "excellent"
           : rtt_ms < q->good_ms    ? "good"
           : rtt_ms < q->fair_ms    ? "fair"
                                    : "poor";
}

static void add_life(const struct session *s, struct strbuf *out)
{
    const int64_t age_ms = session_now_ms(s) - s->opened_ms;
    const uint32_t count = s->life_count < SESSION_LIFE_COUNT ? s->life_count : SESSION_LIFE_COUNT;
    strbuf_puts(out, ",\"life\":[");
    for (uint32_t i = s->life_count - count; i < s->life_count; i++) {
        const struct life_note *n = &s->life[i % SESSION_LIFE_COUNT];
        const char *server =
            n->server_slot >= 0 ? slots_name(s->tunnel->set->slots, SLOT_SERVER, n->server_slot) : NULL;
        strbuf_printf(out, "%s{\"ms_ago\":%" PRId64, i > s->life_count - count ? "," : "", age_ms - n->after_ms);
        add_text(out, "what", n->what);
        if (server != NULL)
            add_text(out, "server", server);
        strbuf_puts(out, "}");
    }
    strbuf_puts(out, "]");
}

static const char *client_text(const struct session *s, char *room)
{
    struct addr peer;
    if (s->tunnel->side[UP] == NULL)
        return "";
    conn_peer(s->tunnel->side[UP], &peer);
    return addr_ip_text(&peer, room, INET6_ADDRSTRLEN) ? room : "";
}

static void id_of(const struct session *s, char id[ID_BYTES])
{
    (void)snprintf(id, ID_BYTES, "%" PRIu32 "-%" PRIu64, s->tunnel->set->worker_index, s->serial);
}

void session_describe(const struct session *s, struct strbuf *out)
{
    char id[ID_BYTES], client[INET6_ADDRSTRLEN];
    CHECK_OBJ(s, SESSION_MAGIC);
    id_of(s, id);
    strbuf_printf(out, "{\"id\":\"%s\"", id);
    add_text(out, "client", client_text(s, client));
    add_text(out, "route", s->tunnel->route->name);
    add_text(out, "protocol", s->protocol->name);
    add_text(out, "state", session_state_text((enum session_state)s->state));
    add_text(out, "server", s->leg != NULL ? leg_server(s->leg) : "");
    strbuf_printf(out, ",\"opened_ms_ago\":%" PRId64, session_now_ms(s) - s->opened_ms);
    if (s->rtt_us >= 0)
        strbuf_printf(out, ",\"rtt_ms\":%.3f", (double)s->rtt_us / 1000.0);
    add_text(out, "quality", quality_text(s));
    strbuf_printf(out, ",\"losses\":%" PRIu32 ",\"moves\":%" PRIu32 ",\"held\":%" PRIu32, s->loss_count, s->move_count,
                  s->held_count);
    add_life(s, out);
    s->protocol->describe(s->speaker, out);
    strbuf_puts(out, "}");
}

static bool is_meant(const struct session *s, const char *filter)
{
    char id[ID_BYTES], client[INET6_ADDRSTRLEN];
    if (filter == NULL || *filter == '\0')
        return true;
    id_of(s, id);
    return strcmp(id, filter) == 0 || strstr(client_text(s, client), filter) != NULL ||
           strstr(s->tunnel->route->name, filter) != NULL || strcmp(s->protocol->name, filter) == 0 ||
           strcmp(session_state_text((enum session_state)s->state), filter) == 0 ||
           (s->leg != NULL && strstr(leg_server(s->leg), filter) != NULL);
}

/* Adds the session, or nothing when there is no room for all of it. */
static bool add_session(const struct session *s, struct strbuf *out)
{
    const size_t before = out->len;
    session_describe(s, out);
    strbuf_puts(out, "\n");
    if (!out->failed)
        return true;
    out->len = before;
    out->failed = false;
    return false;
}

uint32_t tunnel_set_describe_sessions(const struct tunnel_set *s, const char *filter, uint32_t limit,
                                      struct strbuf *out)
{
    uint32_t count = 0, shown_count = 0;
    bool has_room = true;
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    LIST_EACH (it, &s->live) {
        const struct tunnel *t = LIST_ENTRY(it, struct tunnel, link);
        if (t->session == NULL || !is_meant(t->session, filter))
            continue;
        count++;
        has_room = has_room && shown_count < limit && add_session(t->session, out);
        shown_count += has_room;
    }
    return count;
}
