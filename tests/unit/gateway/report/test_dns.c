/* What health and status say about targets, steered names and the quorum: the tables are filled as a checker
 * would, the answers are read as a monitor would. */
#include "tests/unit/gateway/report/dns_world.h"

static json_t *status_of(const struct dns_world *d)
{
    struct strbuf out;
    json_t *j;

    strbuf_init(&out, REPORT_BYTES_MAX);
    report_status_json(&d->w->view, &out);
    j = world_parse(&out);
    strbuf_fini(&out);
    return j;
}

static json_t *health_of(const struct dns_world *d, int expected)
{
    struct strbuf out;
    json_t *j;

    strbuf_init(&out, REPORT_BYTES_MAX);
    assert_int_equal(report_health_json(&d->w->view, &out), expected);
    j = world_parse(&out);
    strbuf_fini(&out);
    return j;
}

/* Health is asked with this outcome and these words, and is served all the same. */
static void assert_degraded(const struct dns_world *d, const char *reason)
{
    json_t *j = health_of(d, 200);

    assert_text(j, "status", "degraded");
    assert_text(j, "reasons.0", reason);
    json_decref(j);
}

/* ---- health ---- */

static void test_all_well(void **state)
{
    json_t *j = health_of(*state, 200);

    assert_text(j, "status", "ok");
    assert_int_equal(json_array_size(at(j, "reasons")), 0);
    assert_text(j, "targets.0.target", "us-edge");
    assert_text(j, "targets.0.state", "up");
    assert_text(j, "dns.0.name", "rt.example.com");
    assert_text(j, "dns.0.status", "ok");
    assert_text(j, "dns.0.answers.0", "us-edge");
    assert_int_equal(json_array_size(at(j, "dns")), 1); /* what is fixed is nothing to watch */
    assert_text(j, "quorum.role", "leads");
    assert_number(j, "quorum.peers", 2);
    json_decref(j);
}

static void test_target_down(void **state)
{
    struct dns_world *d = *state;

    dns_world_say(d, US_EDGE, VERDICT_DOWN, "connect timeout");
    assert_degraded(d, "target us-edge is down: connect timeout");
}

/* The gateway itself serves: whoever asks it whether it does must not hear no. */
static void test_all_targets_down(void **state)
{
    struct dns_world *d = *state;
    json_t *j;

    dns_world_say(d, US_EDGE, VERDICT_DOWN, "reset");
    dns_world_say(d, EU_EDGE, VERDICT_DOWN, "reset");
    dns_world_steer(d, 4, true, false);
    j = health_of(d, 200);
    assert_text(j, "status", "degraded");
    assert_text(j, "reasons.2",
                "nothing stands that rt.example.com could be answered with, its last resort is: static.example.net");
    assert_text(j, "dns.0.status", "degraded");
    assert_true(json_is_true(at(j, "dns.0.last_resort")));
    json_decref(j);
}

static void test_only_draining_left(void **state)
{
    struct dns_world *d = *state;

    dns_world_steer(d, 3, false, true);
    assert_degraded(d, "rt.example.com is answered with what drains, nothing else stands: us-edge, eu-edge");
}

static void test_nothing_decided(void **state)
{
    struct dns_world *d = *state;

    d->record = (struct steering_record){.serial = 0};
    steering_store(&d->w->health->steering, &d->record);
    assert_degraded(d, "what DNS is to answer has not been decided yet");
}

static void test_redis_away(void **state)
{
    struct dns_world *d = *state;

    d->fleet = (struct steering_fleet){.is_configured = 1};
    steering_store_fleet(&d->w->health->steering, &d->fleet);
    assert_degraded(d, "the quorum's Redis is out of reach, this gateway judges alone");
}

static void test_peers_away(void **state)
{
    struct dns_world *d = *state;

    d->fleet.peer_count = 0;
    steering_store_fleet(&d->w->health->steering, &d->fleet);
    assert_degraded(d, "nobody else is heard in the quorum, this gateway judges alone");
}

static void test_dns_process_missing(void **state)
{
    struct dns_world *d = *state;

    atomic_store(&d->w->roster->row[5].state, ROSTER_STARTING);
    assert_degraded(d, "0 of 1 dns processes ready");
    d->w->conf.dns.listen_count = 0; /* somebody else answers */
    atomic_store(&d->w->roster->row[5].state, ROSTER_GONE);
    json_t *j = health_of(d, 200);
    assert_text(j, "status", "ok");
    json_decref(j);
}

/* ---- status ---- */

static void test_status(void **state)
{
    struct dns_world *d = *state;
    const int slot = slots_find(d->w->slots, SLOT_SERVER, "targets/us-edge");
    json_t *j;

    d->fleet.effective[slot] = VERDICT_DOWN;
    d->fleet.peers[0].says[slot] = VERDICT_DOWN | STEERING_SAYS_FORCED;
    d->fleet.peers[1].says[slot] = VERDICT_DOWN | STEERING_SAYS_DRAINING;
    d->fleet.peers[1].is_cut_off = 1;
    steering_store_fleet(&d->w->health->steering, &d->fleet);
    j = status_of(d);
    assert_text(j, "targets.0.name", "us-edge");
    assert_text(j, "targets.0.region", "us");
    assert_text(j, "targets.0.url", "https://192.0.2.10/health");
    assert_text(j, "targets.0.state", "up");
    assert_number(j, "targets.0.since_age_ms", 7000);
    assert_true(json_is_false(at(j, "targets.0.draining")));
    assert_text(j, "dns.zone", "rt.example.com");
    assert_text(j, "dns.listen.0", "0.0.0.0:53");
    assert_number(j, "dns.serial", 2025061501);
    assert_number(j, "dns.term", 4);
    assert_number(j, "dns.version", 9);
    assert_text(j, "dns.role", "leads");
    assert_number(j, "dns.since_age_ms", 60000);
    assert_text(j, "dns.records.0.name", "rt.example.com");
    assert_text(j, "dns.records.0.chosen.0", "us-edge");
    assert_number(j, "dns.records.0.ttl_s", 3);
    assert_true(json_is_false(at(j, "dns.records.0.last_resort")));
    assert_text(j, "dns.records.0.answers.1.target", "eu-edge");
    assert_text(j, "dns.records.0.answers.1.tier", "backup");
    assert_true(json_is_false(at(j, "dns.records.0.answers.1.chosen")));
    assert_true(json_is_null(at(j, "dns.records.0.answers.2.target")));
    assert_text(j, "dns.records.0.answers.2.answer", "static.example.net");
    assert_text(j, "quorum.group", "edge");
    assert_true(json_is_true(at(j, "quorum.connected")));
    assert_text(j, "quorum.leader", "fra-1"); /* we lead */
    assert_number(j, "quorum.voters", 3);
    assert_text(j, "quorum.peers.0.node", "lon-1");
    assert_text(j, "quorum.peers.0.kind", "gateway");
    assert_number(j, "quorum.peers.0.age_ms", 300);
    assert_text(j, "quorum.peers.1.kind", "checker");
    assert_true(json_is_true(at(j, "quorum.peers.1.cut_off")));
    assert_text(j, "quorum.views.0.server", "targets/us-edge");
    assert_text(j, "quorum.views.0.effective", "down");
    assert_text(j, "quorum.views.0.says.fra-1", "up");
    assert_text(j, "quorum.views.0.says.lon-1", "down forced");
    assert_text(j, "quorum.views.0.says.check-1", "down draining");
    assert_text(j, "quorum.views.2.server", "realtime/us-a");
    json_decref(j);
}

/* Another gateway with our name is a mistake in its configuration, not in our JSON. */
static void test_a_peer_with_our_name(void **state)
{
    struct dns_world *d = *state;
    json_t *j;

    strcpy(d->fleet.peers[1].node, "fra-1");
    d->fleet.peers[0].is_leader = 1;
    d->record.role = STEERING_FOLLOWS;
    dns_world_steer(d, 1, false, false);
    steering_store_fleet(&d->w->health->steering, &d->fleet);
    j = status_of(d);
    assert_int_equal(json_object_size(at(j, "quorum.views.0.says")), 2);
    assert_text(j, "quorum.leader", "lon-1");
    json_decref(j);
}

static void test_nothing_configured_nothing_shown(void **state)
{
    struct dns_world *d = *state;
    static const char *const members[] = {"targets", "dns", "quorum"};
    json_t *health, *status;

    d->w->conf.target_count = 0;
    d->w->conf.dns = (struct conf_dns){.zone = ""};
    d->w->conf.quorum.redis.text = "";
    health = health_of(d, 200);
    status = status_of(d);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        assert_null(at(health, members[i]));
        assert_null(at(status, members[i]));
    }
    json_decref(health);
    json_decref(status);
}

static void test_at_a_glance(void **state)
{
    struct dns_world *d = *state;
    struct strbuf out;

    strbuf_init(&out, REPORT_BYTES_MAX);
    d->fleet.peers[0].is_leader = 1;
    steering_store_fleet(&d->w->health->steering, &d->fleet);
    report_glance_text(&d->w->view, &out);
    assert_string_equal(out.data, "status: ok\n"
                                  "target us-edge: up\n"
                                  "target eu-edge: up\n"
                                  "name rt.example.com: us-edge for 3 s\n"
                                  "quorum: leads, 3 voters, Redis answers\n"
                                  "peer lon-1: gateway in eu, heard 300 ms ago, leads\n"
                                  "peer check-1: checker in ap, heard 800 ms ago\n");
    strbuf_fini(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, dns_world_setup, dns_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_well),
        TEST(test_target_down),
        TEST(test_all_targets_down),
        TEST(test_only_draining_left),
        TEST(test_nothing_decided),
        TEST(test_redis_away),
        TEST(test_peers_away),
        TEST(test_dns_process_missing),
        TEST(test_status),
        TEST(test_a_peer_with_our_name),
        TEST(test_nothing_configured_nothing_shown),
        TEST(test_at_a_glance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
