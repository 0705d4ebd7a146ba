/* For whoever opens the admin address in a browser, or has nothing but curl. */
#include <inttypes.h>

#include "gateway/report/assess.h"

static void add_target(struct strbuf *out, const struct server_standing *t)
{
    strbuf_printf(out, "target %s: %s%s%s\n", t->server->name, verdict_state_text(t->verdict.state),
                  t->verdict.is_forced ? ", forced" : "", t->is_draining ? ", draining" : "");
}

static void add_name(struct strbuf *out, const struct report_view *v, const struct assessment *a,
                     const struct conf_dns_record *r)
{
    const struct steering_row *row = dns_row(a, r);
    char name[DNS_TEXT_BYTES], chosen[DNS_TEXT_BYTES];

    steered_name_text(v->conf, r, name);
    if (row == NULL) {
        strbuf_printf(out, "name %s: not decided yet\n", name);
        return;
    }
    dns_chosen_text(r, row->chosen, chosen, sizeof chosen);
    strbuf_printf(out, "name %s: %s for %" PRIu32 " s%s%s\n", name, chosen, row->ttl_s,
                  row->is_last_resort ? ", last resort" : "", row->is_draining ? ", draining" : "");
}

static void add_peer(struct strbuf *out, const struct report_view *v, const struct steering_peer *p)
{
    const int64_t age_ms = v->wall_ms - p->heard_wall_ms;

    strbuf_printf(out, "peer %s: %s in %s, heard %" PRId64 " ms ago%s%s\n", p->node,
                  p->is_gateway ? "gateway" : "checker", p->region, age_ms > 0 ? age_ms : 0,
                  p->is_leader ? ", leads" : "", p->is_cut_off ? ", cut off" : "");
}

void report_glance_text(const struct report_view *v, struct strbuf *out)
{
    struct assessment a;

    assess_init(&a, v);
    strbuf_printf(out, "status: %s\n", grade_text(a.grade));
    for (size_t i = 0; i < v->conf->target_count; i++)
        add_target(out, &a.targets[i]);
    for (size_t i = 0; a.record != NULL && i < v->conf->dns.record_count; i++)
        if (v->conf->dns.records[i].answer_count > 0)
            add_name(out, v, &a, &v->conf->dns.records[i]);
    if (a.fleet != NULL)
        strbuf_printf(out, "quorum: %s, %" PRIu32 " voters, Redis %s\n",
                      steering_role_text((enum steering_role)a.record->role), a.record->voter_count,
                      a.fleet->is_connected ? "answers" : "does not answer");
    for (uint32_t i = 0; a.fleet != NULL && i < a.fleet->peer_count; i++)
        add_peer(out, v, &a.fleet->peers[i]);
    assess_fini(&a);
}
