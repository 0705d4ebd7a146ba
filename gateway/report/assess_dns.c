/* What the checker decided about the names DNS answers, and who decided it with us, as findings.
 *
 * A name that is answered by its last resort is answered all the same, and who hears nobody else still judges: both
 * want a human, neither makes this gateway less able to serve. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/report/assess.h"

static const char targets_prefix[] = CONF_TARGETS_POOL "/";

/* ---- names ---- */

bool dns_is_configured(const struct conf *c)
{
    return c->dns.zone != NULL && c->dns.zone[0] != '\0';
}

static bool has_quorum(const struct conf *c)
{
    return c->quorum.redis.text != NULL && c->quorum.redis.text[0] != '\0';
}

const char *steered_name_text(const struct conf *c, const struct conf_dns_record *r, char out[DNS_TEXT_BYTES])
{
    steering_name(c->dns.zone, r->name, out, DNS_TEXT_BYTES);
    return out;
}

const char *dns_answer_text(const struct conf_dns_answer *r)
{
    const size_t prefix_len = sizeof targets_prefix - 1;

    if (strncmp(r->target, targets_prefix, prefix_len) == 0)
        return r->target + prefix_len;
    if (r->target[0] != '\0')
        return r->target;
    if (r->cname[0] != '\0')
        return r->cname;
    return r->a_count > 0 ? r->a[0] : r->aaaa_count > 0 ? r->aaaa[0] : "";
}

void dns_chosen_text(const struct conf_dns_record *r, uint32_t chosen, char *out, size_t size_bytes)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < r->answer_count && len < size_bytes; i++)
        if ((chosen & 1u << i) != 0)
            len += (size_t)snprintf(out + len, size_bytes - len, "%s%s", len > 0 ? ", " : "",
                                    dns_answer_text(&r->answers[i]));
}

const struct steering_row *dns_row(const struct assessment *a, const struct conf_dns_record *r)
{
    return a->record != NULL && r->answer_count > 0 ? steering_find(a->record, steering_id(r)) : NULL;
}

const char *quorum_leader(const struct assessment *a, const struct conf *c)
{
    if (a->fleet == NULL)
        return NULL;
    for (uint32_t i = 0; i < a->fleet->peer_count; i++)
        if (a->fleet->peers[i].is_leader)
            return a->fleet->peers[i].node;
    return a->record != NULL && a->record->role == STEERING_LEADS ? c->node.name : NULL;
}

/* ---- findings ---- */

static void judge_record(struct assessment *a, const struct conf *c, const struct conf_dns_record *r)
{
    const struct steering_row *row = dns_row(a, r);
    char name[DNS_TEXT_BYTES], chosen[DNS_TEXT_BYTES];

    if (row == NULL || (!row->is_last_resort && !row->is_draining))
        return;
    steered_name_text(c, r, name);
    dns_chosen_text(r, row->chosen, chosen, sizeof chosen);
    if (row->is_last_resort)
        assess_find(a, GRADE_DEGRADED, "nothing stands that %s could be answered with, its last resort is: %s", name,
                    chosen);
    else
        assess_find(a, GRADE_DEGRADED, "%s is answered with what drains, nothing else stands: %s", name, chosen);
}

static void weigh_dns(struct assessment *a, const struct report_view *v)
{
    const struct conf_dns *dns = &v->conf->dns;
    for (size_t i = 0; i < dns->record_count; i++)
        judge_record(a, v->conf, &dns->records[i]);
    if (conf_has_steered_records(v->conf) && a->record->serial == 0)
        assess_find(a, GRADE_DEGRADED, "what DNS is to answer has not been decided yet");
}

static void weigh_quorum(struct assessment *a, const struct report_view *v)
{
    a->fleet = mem_alloc(sizeof *a->fleet);
    (void)steering_load_fleet(v->steering, a->fleet);
    if (!a->fleet->is_connected)
        assess_find(a, GRADE_DEGRADED, "the quorum's Redis is out of reach, this gateway judges alone");
    else if (a->fleet->peer_count == 0)
        assess_find(a, GRADE_DEGRADED, "nobody else is heard in the quorum, this gateway judges alone");
}

void assess_dns(struct assessment *a, const struct report_view *v)
{
    if (v->steering == NULL || !(dns_is_configured(v->conf) || has_quorum(v->conf)))
        return;
    a->record = mem_alloc(sizeof *a->record);
    (void)steering_load(v->steering, a->record); /* one that cannot be read now is zeroes, as one never written */
    if (dns_is_configured(v->conf))
        weigh_dns(a, v);
    if (has_quorum(v->conf))
        weigh_quorum(a, v);
}
