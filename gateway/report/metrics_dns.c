/* Metrics of targets, steered names and the quorum. A family is there when what it is about is configured, so that a
 * gateway without DNS has no zeroes that look like a failure. */
#include <stdio.h>

#include "gateway/report/metrics_print.h"

#define INDEX_BYTES 24u

/* ---- targets ---- */

typedef uint64_t target_value_fn(const struct server_standing *t);

static void each_target(const struct printer *p, target_value_fn *value)
{
    for (size_t i = 0; i < p->v->conf->target_count; i++)
        metric_uint(p, LABELS({"target", p->a->targets[i].server->name}), value(&p->a->targets[i]));
}

static uint64_t is_up(const struct server_standing *t)
{
    return t->verdict.state != VERDICT_DOWN;
}

static uint64_t is_draining(const struct server_standing *t)
{
    return t->is_draining;
}

static uint64_t is_forced(const struct server_standing *t)
{
    return t->verdict.is_forced;
}

static uint64_t is_degraded(const struct server_standing *t)
{
    return t->verdict.is_degraded;
}

static void print_target_up(const struct printer *p)
{
    each_target(p, is_up);
}

static void print_target_draining(const struct printer *p)
{
    each_target(p, is_draining);
}

static void print_target_forced(const struct printer *p)
{
    each_target(p, is_forced);
}

static void print_target_degraded(const struct printer *p)
{
    each_target(p, is_degraded);
}

static void print_target_state(const struct printer *p)
{
    static const enum verdict_state states[] = {VERDICT_UNKNOWN, VERDICT_UP, VERDICT_DOWN};

    for (size_t i = 0; i < p->v->conf->target_count; i++)
        for (size_t k = 0; k < sizeof states / sizeof states[0]; k++)
            metric_uint(p, LABELS({"target", p->a->targets[i].server->name}, {"state", verdict_state_text(states[k])}),
                        p->a->targets[i].verdict.state == states[k]);
}

static void print_target_latency(const struct printer *p)
{
    for (size_t i = 0; i < p->v->conf->target_count; i++)
        metric_probe(p, LABELS({"target", p->a->targets[i].server->name}), p->a->targets[i].slot);
}

/* ---- names ---- */

static void print_serial(const struct printer *p)
{
    metric_uint(p, NULL, p->a->record->serial);
}

static void print_term(const struct printer *p)
{
    metric_uint(p, NULL, p->a->record->term);
}

static void print_version(const struct printer *p)
{
    metric_uint(p, NULL, p->a->record->version);
}

static void print_change_time(const struct printer *p)
{
    metric_seconds(p, NULL, p->a->record->since_wall_ms);
}

static void print_role(const struct printer *p)
{
    for (int r = 0; r < STEERING_ROLE_COUNT; r++)
        metric_uint(p, LABELS({"role", steering_role_text((enum steering_role)r)}), p->a->record->role == (uint32_t)r);
}

/* Walks the steered records something was decided about; NULL at the end. Start with *cursor = 0. */
static const struct conf_dns_record *record_next(const struct printer *p, size_t *cursor,
                                                 const struct steering_row **row)
{
    const struct conf_dns *dns = &p->v->conf->dns;

    while (*cursor < dns->record_count) {
        const struct conf_dns_record *r = &dns->records[(*cursor)++];

        *row = dns_row(p->a, r);
        if (*row != NULL)
            return r;
    }
    return NULL;
}

/* The place in the list keeps two answers about the same target apart. */
static void print_chosen(const struct printer *p)
{
    const struct conf_dns_record *r;
    const struct steering_row *row;
    size_t cursor = 0;

    while ((r = record_next(p, &cursor, &row)) != NULL)
        for (size_t i = 0; i < r->answer_count; i++) {
            char name[DNS_TEXT_BYTES], index[INDEX_BYTES];

            snprintf(index, sizeof index, "%zu", i);
            metric_uint(p,
                        LABELS({"name", steered_name_text(p->v->conf, r, name)}, {"index", index},
                               {"answer", dns_answer_text(&r->answers[i])},
                               {"tier", conf_tier_text(r->answers[i].tier)}),
                        (row->chosen & 1u << i) != 0);
        }
}

typedef uint64_t row_value_fn(const struct steering_row *row);

static void each_name(const struct printer *p, row_value_fn *value)
{
    const struct conf_dns_record *r;
    const struct steering_row *row;
    size_t cursor = 0;

    while ((r = record_next(p, &cursor, &row)) != NULL) {
        char name[DNS_TEXT_BYTES];

        metric_uint(p, LABELS({"name", steered_name_text(p->v->conf, r, name)}), value(row));
    }
}

static uint64_t row_ttl(const struct steering_row *row)
{
    return row->ttl_s;
}

static uint64_t row_is_last_resort(const struct steering_row *row)
{
    return row->is_last_resort != 0;
}

static void print_ttl(const struct printer *p)
{
    each_name(p, row_ttl);
}

static void print_last_resort(const struct printer *p)
{
    each_name(p, row_is_last_resort);
}

/* ---- quorum ---- */

static void print_connected(const struct printer *p)
{
    metric_uint(p, NULL, p->a->fleet->is_connected != 0);
}

static void print_peers(const struct printer *p)
{
    metric_uint(p, NULL, p->a->fleet->peer_count);
}

static void print_voters(const struct printer *p)
{
    metric_uint(p, NULL, p->a->record->voter_count);
}

/* clang-format off */
#define PEER_LABELS(peer)                                                                                              \
    {"node", (peer)->node}, {"region", (peer)->region}, {"kind", (peer)->is_gateway ? "gateway" : "checker"}
/* clang-format on */

static void print_peer_age(const struct printer *p)
{
    for (uint32_t i = 0; i < p->a->fleet->peer_count; i++) {
        const struct steering_peer *peer = &p->a->fleet->peers[i];
        const int64_t age_ms = p->v->wall_ms - peer->heard_wall_ms;

        metric_seconds(p, LABELS(PEER_LABELS(peer)), age_ms > 0 ? age_ms : 0);
    }
}

static void print_peer_cut_off(const struct printer *p)
{
    for (uint32_t i = 0; i < p->a->fleet->peer_count; i++) {
        const struct steering_peer *peer = &p->a->fleet->peers[i];

        metric_uint(p, LABELS(PEER_LABELS(peer)), peer->is_cut_off != 0);
    }
}

/* clang-format off */
static const struct family target_families[] = {
    {"target_up", "gauge", "0 when the target is known to be down, as this gateway sees it", print_target_up},
    {"target_state", "gauge", "1 for the state the checker gave the target", print_target_state},
    {"target_draining", "gauge", "Whether an operator keeps the target out of the answers", print_target_draining},
    {"target_forced", "gauge", "Whether an operator says what the target counts as", print_target_forced},
    {"target_degraded", "gauge", "Whether the target is up but slow, or its certificate ends soon", print_target_degraded},
    {"target_probe_duration_seconds", "gauge", "Duration of the last successful probe of the target", print_target_latency},
};
static const struct family dns_families[] = {
    {"dns_serial", "gauge", "Serial of the zone", print_serial},
    {"dns_term", "gauge", "Number of the leader's term whose choice is answered", print_term},
    {"dns_version", "gauge", "Number of the choice that is answered", print_version},
    {"dns_change_timestamp_seconds", "gauge", "When the choice that is answered was made, Unix time", print_change_time},
    {"dns_answers_chosen", "gauge", "Whether the name is answered with this", print_chosen},
    {"dns_answer_ttl_seconds", "gauge", "How long a resolver may keep the answer", print_ttl},
    {"dns_last_resort", "gauge", "Whether nothing stands and the name is answered by its last resort", print_last_resort},
};
static const struct family quorum_families[] = {
    {"quorum_connected", "gauge", "Whether the Redis of the quorum answers", print_connected},
    {"quorum_role", "gauge", "1 for the role this gateway has", print_role},
    {"quorum_peers", "gauge", "Others whose view is fresh", print_peers},
    {"quorum_voters", "gauge", "Views that counted in the last decision, our own included", print_voters},
    {"quorum_peer_age_seconds", "gauge", "Age of the view of another one", print_peer_age},
    {"quorum_peer_cut_off", "gauge", "Whether another one says that it is cut off", print_peer_cut_off},
};
/* clang-format on */

#define FAMILIES(table) table, sizeof(table) / sizeof((table)[0])

void metrics_dns(struct printer *p)
{
    if (p->v->conf->target_count > 0)
        metric_families(p, FAMILIES(target_families));
    if (p->a->record != NULL && dns_is_configured(p->v->conf))
        metric_families(p, FAMILIES(dns_families));
    if (p->a->fleet != NULL)
        metric_families(p, FAMILIES(quorum_families));
}
