/* One object for each incident and each alert it is open in: the same number may stand there twice. */
#include "gateway/admin/alert_list.h"

#include "gateway/report/json.h"

static int64_t age_of(int64_t wall_ms, int64_t then_ms)
{
    return wall_ms > then_ms ? wall_ms - then_ms : 0;
}

static void add_incident(struct json *j, const struct alert_incident *i, int64_t wall_ms)
{
    json_object_begin(j, NULL);
    json_uint(j, "id", i->id);
    json_str(j, "rule", i->rule);
    json_str(j, "kind", event_kind_text(i->condition));
    json_str(j, "subject", i->event.subject);
    json_str(j, "state", i->event.to);
    json_str(j, "cause", i->event.cause);
    json_time(j, "since", i->began_wall_ms);
    json_int(j, "since_age_ms", age_of(wall_ms, i->began_wall_ms));
    json_bool(j, "told", i->is_told);
    json_bool(j, "acknowledged", i->is_acked);
    json_str(j, "acknowledged_by", i->acked_by[0] != '\0' ? i->acked_by : NULL);
    json_time(j, "acknowledged_at", i->acked_wall_ms);
    json_time(j, "escalated_at", i->escalated_wall_ms);
    json_object_end(j);
}

static void add_delivery(struct json *j, const struct alert_delivery *d, int64_t wall_ms)
{
    json_object_begin(j, NULL);
    json_uint(j, "number", d->number);
    json_str(j, "rule", d->rule);
    json_uint(j, "events", d->count + d->more_count);
    json_uint(j, "attempts", d->attempt_count);
    json_int(j, "age_ms", age_of(wall_ms, d->created_wall_ms));
    json_object_end(j);
}

void alert_list_json(const struct alert_rules *r, const struct alert_queue *q, int64_t wall_ms, struct strbuf *out)
{
    struct json j;

    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_array_begin(&j, "open");
    LIST_EACH (it, &r->incidents)
        add_incident(&j, LIST_ENTRY(it, struct alert_incident, link), wall_ms);
    json_array_end(&j);
    json_array_begin(&j, "waiting");
    LIST_EACH (it, alert_queue_deliveries(q))
        add_delivery(&j, LIST_ENTRY(it, struct alert_delivery, link), wall_ms);
    json_array_end(&j);
    json_object_end(&j);
    strbuf_puts(out, "\n");
}
