/* The small gateway of world.h with a zone, two targets and a quorum of three, led by us: all well. */
#ifndef TESTS_UNIT_GATEWAY_REPORT_DNS_WORLD_H
#define TESTS_UNIT_GATEWAY_REPORT_DNS_WORLD_H

#include "tests/unit/gateway/report/world.h"

enum { US_EDGE, EU_EDGE, TARGETS };

struct dns_world {
    struct world *w;
    struct conf_server targets[TARGETS];
    struct conf_dns_answer answers[3];
    struct conf_dns_record records[2];
    struct conf_address listen[1];
    struct steering_record record;
    struct steering_fleet fleet;
};

static inline struct conf_server dns_world_target(const char *name, const char *slot_name)
{
    return (struct conf_server){.name = name,
                                .slot_name = slot_name,
                                .region = "us",
                                .weight = 1,
                                .url = {.text = "https://192.0.2.10/health"},
                                .check = {.type = CHECK_HTTP, .rise = 2, .fall = 3}};
}

static inline void dns_world_say(struct dns_world *d, int i, enum verdict_state state, const char *cause)
{
    struct verdict_detail detail = {.since_wall_ms = NOW_MS - 7000, .latency_us = 2500};

    strncpy(detail.cause, cause, sizeof detail.cause - 1);
    verdict_write(d->w->verdicts, slots_find(d->w->slots, SLOT_SERVER, d->targets[i].slot_name),
                  &(struct verdict){.state = state}, &detail);
}

static inline void dns_world_steer(struct dns_world *d, uint32_t chosen, bool is_last_resort, bool is_draining)
{
    d->record.rows[0] = (struct steering_row){.id = steering_id(&d->records[0]),
                                              .chosen = chosen,
                                              .ttl_s = 3,
                                              .is_last_resort = is_last_resort,
                                              .is_draining = is_draining};
    steering_store(&d->w->health->steering, &d->record);
}

/* Two targets and a name that nobody checks, under one steered name; the zone has a fixed record as well. */
static inline int dns_world_setup(void **state)
{
    struct dns_world *d = mem_alloc(sizeof *d);
    void *w = NULL;

    world_setup(&w);
    d->w = w;
    d->targets[US_EDGE] = dns_world_target("us-edge", "targets/us-edge");
    d->targets[EU_EDGE] = dns_world_target("eu-edge", "targets/eu-edge");
    d->answers[0] = (struct conf_dns_answer){.target = "targets/us-edge", .cname = "", .tier = TIER_PRIMARY};
    d->answers[1] = (struct conf_dns_answer){.target = "targets/eu-edge", .cname = "", .tier = TIER_BACKUP};
    d->answers[2] = (struct conf_dns_answer){.target = "", .cname = "static.example.net", .tier = TIER_EMERGENCY};
    d->records[0] = (struct conf_dns_record){.name = "@", .answers = d->answers, .answer_count = 3};
    d->records[1] = (struct conf_dns_record){.name = "www"};
    d->listen[0] = (struct conf_address){.text = "0.0.0.0:53"};
    d->w->conf.targets = d->targets;
    d->w->conf.target_count = TARGETS;
    d->w->conf.dns.zone = "rt.example.com";
    d->w->conf.dns.listen = d->listen;
    d->w->conf.dns.listen_count = 1;
    d->w->conf.dns.records = d->records;
    d->w->conf.dns.record_count = 2;
    d->w->conf.quorum.redis.text = "redis://127.0.0.1/0";
    d->w->conf.quorum.group = "edge";
    world_row(d->w, 5, ROLE_DNS, 0);
    for (int i = 0; i < TARGETS; i++) {
        assert_true(slots_claim(d->w->slots, SLOT_SERVER, d->targets[i].slot_name, NULL) >= 0);
        dns_world_say(d, i, VERDICT_UP, "");
    }
    d->record = (struct steering_record){.term = 4,
                                         .version = 9,
                                         .since_wall_ms = NOW_MS - 60000,
                                         .serial = 2025061501,
                                         .role = STEERING_LEADS,
                                         .voter_count = 3,
                                         .row_count = 1};
    dns_world_steer(d, 1, false, false);
    d->fleet = (struct steering_fleet){.is_configured = 1, .is_connected = 1, .peer_count = 2};
    d->fleet.peers[0] = (struct steering_peer){
        .node = "lon-1", .region = "eu", .heard_wall_ms = NOW_MS - 300, .is_gateway = 1, .is_leader = 0};
    d->fleet.peers[1] = (struct steering_peer){.node = "check-1", .region = "ap", .heard_wall_ms = NOW_MS - 800};
    steering_store_fleet(&d->w->health->steering, &d->fleet);
    *state = d;
    return 0;
}

static inline int dns_world_teardown(void **state)
{
    struct dns_world *d = *state;
    void *w = d->w;

    world_teardown(&w);
    mem_free(d);
    return 0;
}

#endif
