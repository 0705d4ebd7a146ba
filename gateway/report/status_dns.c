/* The part of /status about names: what is checked for them, what they are answered with, and who says so. */
#include <stdio.h>

#include "gateway/report/status_priv.h"

#define SAYS_BYTES 32u

/* ---- targets ---- */

static void add_targets(struct json *j, const struct report_view *v, const struct assessment *a)
{
    if (v->conf->target_count == 0)
        return;
    json_array_begin(j, "targets");
    for (size_t i = 0; i < v->conf->target_count; i++) {
        const struct server_standing *t = &a->targets[i];

        json_object_begin(j, NULL);
        json_str(j, "name", t->server->name);
        json_str(j, "region", t->server->region);
        json_str(j, "url", t->server->url.text);
        status_add_verdict(j, v, t);
        json_object_end(j);
    }
    json_array_end(j);
}

/* ---- dns ---- */

static enum verdict_state state_of(uint8_t says)
{
    const uint8_t state = says & STEERING_SAYS_STATE;

    return state <= VERDICT_DOWN ? (enum verdict_state)state : VERDICT_UNKNOWN;
}

/* In the words an operator uses for them: "up", "down forced", "up draining". */
static const char *says_text(uint8_t says, char out[SAYS_BYTES])
{
    snprintf(out, SAYS_BYTES, "%s%s%s", verdict_state_text(state_of(says)),
             (says & STEERING_SAYS_FORCED) != 0 ? " forced" : "",
             (says & STEERING_SAYS_DRAINING) != 0 ? " draining" : "");
    return out;
}

static void add_answer(struct json *j, const struct conf_dns_record *r, size_t i, const struct steering_row *row)
{
    const struct conf_dns_answer *answer = &r->answers[i];

    json_object_begin(j, NULL);
    json_str(j, "target", answer->target[0] != '\0' ? dns_answer_text(answer) : NULL);
    json_str(j, "answer", dns_answer_text(answer));
    json_str(j, "tier", conf_tier_text(answer->tier));
    json_uint(j, "weight", answer->weight);
    json_bool(j, "chosen", row != NULL && (row->chosen & 1u << i) != 0);
    json_object_end(j);
}

static void add_record(struct json *j, const struct report_view *v, const struct assessment *a,
                       const struct conf_dns_record *r)
{
    const struct steering_row *row = dns_row(a, r);
    char name[DNS_TEXT_BYTES];

    json_object_begin(j, NULL);
    json_str(j, "name", steered_name_text(v->conf, r, name));
    json_bool(j, "decided", row != NULL);
    json_array_begin(j, "chosen");
    for (size_t i = 0; row != NULL && i < r->answer_count; i++)
        if ((row->chosen & 1u << i) != 0)
            json_str(j, NULL, dns_answer_text(&r->answers[i]));
    json_array_end(j);
    json_uint(j, "ttl_s", row != NULL ? row->ttl_s : 0);
    json_bool(j, "last_resort", row != NULL && row->is_last_resort);
    json_bool(j, "draining", row != NULL && row->is_draining);
    json_array_begin(j, "answers");
    for (size_t i = 0; i < r->answer_count; i++)
        add_answer(j, r, i, row);
    json_array_end(j);
    json_object_end(j);
}

static void add_names(struct json *j, const struct report_view *v, const struct assessment *a)
{
    const struct conf_dns *dns = &v->conf->dns;
    const struct steering_record *s = a->record;

    if (s == NULL || !dns_is_configured(v->conf))
        return;
    json_object_begin(j, "dns");
    json_str(j, "zone", dns->zone);
    json_array_begin(j, "listen");
    for (size_t i = 0; i < dns->listen_count; i++)
        json_str(j, NULL, dns->listen[i].text);
    json_array_end(j);
    json_uint(j, "serial", s->serial);
    json_uint(j, "term", s->term);
    json_uint(j, "version", s->version);
    json_str(j, "role", steering_role_text((enum steering_role)s->role));
    json_time(j, "since", s->since_wall_ms);
    status_add_age(j, "since_age_ms", v->wall_ms, s->since_wall_ms);
    json_array_begin(j, "records");
    for (size_t i = 0; i < dns->record_count; i++)
        if (dns->records[i].answer_count > 0)
            add_record(j, v, a, &dns->records[i]);
    json_array_end(j);
    json_object_end(j);
}

/* ---- quorum ---- */

static void add_peer(struct json *j, const struct report_view *v, const struct steering_peer *p)
{
    json_object_begin(j, NULL);
    json_str(j, "node", p->node);
    json_str(j, "region", p->region);
    json_str(j, "kind", p->is_gateway ? "gateway" : "checker");
    json_time(j, "heard", p->heard_wall_ms);
    status_add_age(j, "age_ms", v->wall_ms, p->heard_wall_ms);
    json_bool(j, "cut_off", p->is_cut_off != 0);
    json_bool(j, "leader", p->is_leader != 0);
    json_object_end(j);
}

/* Two by the same name would be two members of the same name: the first one speaks. */
static bool is_first_by_name(const struct steering_fleet *f, uint32_t i, const char *own)
{
    if (strcmp(f->peers[i].node, own) == 0)
        return false;
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(f->peers[k].node, f->peers[i].node) == 0)
            return false;
    return true;
}

static void add_view(struct json *j, const struct report_view *v, const struct assessment *a,
                     const struct server_standing *s)
{
    const struct steering_fleet *f = a->fleet;
    const uint8_t own = (uint8_t)((unsigned)s->verdict.state | (s->verdict.is_forced ? STEERING_SAYS_FORCED : 0u) |
                                  (s->is_draining ? STEERING_SAYS_DRAINING : 0u));
    char text[SAYS_BYTES];

    if (s->slot < 0)
        return;
    json_object_begin(j, NULL);
    json_str(j, "server", s->server->slot_name);
    json_str(j, "effective", says_text(f->effective[s->slot], text));
    json_object_begin(j, "says");
    json_str(j, v->conf->node.name, says_text(own, text));
    for (uint32_t i = 0; i < f->peer_count; i++)
        if (is_first_by_name(f, i, v->conf->node.name))
            json_str(j, f->peers[i].node, says_text(f->peers[i].says[s->slot], text));
    json_object_end(j);
    json_object_end(j);
}

static void add_quorum(struct json *j, const struct report_view *v, const struct assessment *a)
{
    const struct steering_fleet *f = a->fleet;

    if (f == NULL)
        return;
    json_object_begin(j, "quorum");
    json_str(j, "group", v->conf->quorum.group);
    json_bool(j, "configured", f->is_configured != 0);
    json_bool(j, "connected", f->is_connected != 0);
    json_time(j, "connected_since", f->connected_since_wall_ms);
    json_str(j, "role", steering_role_text((enum steering_role)a->record->role));
    json_str(j, "leader", quorum_leader(a, v->conf));
    json_uint(j, "voters", a->record->voter_count);
    json_array_begin(j, "peers");
    for (uint32_t i = 0; i < f->peer_count; i++)
        add_peer(j, v, &f->peers[i]);
    json_array_end(j);
    json_array_begin(j, "views");
    for (size_t i = 0; i < v->conf->target_count; i++)
        add_view(j, v, a, &a->targets[i]);
    for (size_t i = 0; i < a->server_count; i++)
        add_view(j, v, a, &a->servers[i]);
    json_array_end(j);
    json_object_end(j);
}

void status_add_dns(struct json *j, const struct report_view *v, const struct assessment *a)
{
    add_targets(j, v, a);
    add_names(j, v, a);
    add_quorum(j, v, a);
}
