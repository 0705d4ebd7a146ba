/* A zone as a configuration gives it, the table the checker would write, and what answers from both. */
#ifndef TESTS_UNIT_HEALTH_NAMESERVER_WORLD_H
#define TESTS_UNIT_HEALTH_NAMESERVER_WORLD_H

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/mem.h"
#include "health/nameserver/responder.h"
#include "health/nameserver/site.h"
#include "tests/unit/health/dns/packet.h"

#define WORLD_PLAIN "rate: { answers: 0, nxdomain: 0, errors: 0 }, cookie_secret: 000102030405060708090a0b0c0d0e0f, "
#define WORLD_RECORDS                                                                                                  \
    "records: [ { name: ns1, a: [ 192.0.2.53 ] }, { name: www, a: [ 192.0.2.1 ] },"                                    \
    " { name: live, ttl_min: 5s, ttl_max: 60s, answers: ["                                                             \
    "   { target: us, a: [ 192.0.2.10 ] }, { target: eu, tier: backup, a: [ 198.51.100.10 ] } ] },"                    \
    " { name: '@', answers: [ { target: us, a: [ 192.0.2.10 ] }, { tier: backup, cname: far.example.net } ] },"        \
    " { name: shared, steer: weighted, answers: ["                                                                     \
    "   { weight: 1, a: [ 192.0.2.1 ] }, { weight: 3, a: [ 192.0.2.3 ] } ] } ]"
enum { WORLD_LIVE = 2, WORLD_APEX, WORLD_SHARED }; /* records by number */

struct world {
    struct stats_block *block;
    struct health_table *health;
    struct site_secrets secrets;
    struct site *site;
    struct responder *responder;
    struct packet query;
    uint8_t answer[65535];
    char text[PACKET_TEXT_BYTES];
};

static inline struct conf *world_conf(const char *dns)
{
    struct conf_errors errors = {.count = 0};
    char text[8192];
    int len = snprintf(text, sizeof text,
                       "targets: { us: { check: { type: tcp, url: \"tcp://192.0.2.1:1\" } },"
                       " eu: { check: { type: tcp, url: \"tcp://192.0.2.1:2\" } } }\n"
                       "dns: { zone: rt.test, listen: [ \"127.0.0.1:0\" ], nameservers: [ ns1.rt.test ], %s }\n",
                       dns);
    struct conf *c = conf_load_text("t.yaml", text, (size_t)len, false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    return c;
}

static inline void world_init(struct world *w, const char *dns)
{
    static const uint8_t seed[RESPONDER_SEED_BYTES] = {7};
    char why[ZONE_CONF_WHY_BYTES] = "";
    struct conf *c = world_conf(dns);

    memset(w, 0, sizeof *w);
    w->block = mem_alloc(sizeof *w->block);
    w->health = mem_alloc(sizeof *w->health);
    health_table_init(w->health);
    w->site = site_create(c, &w->health->steering, &w->secrets, 1000, why);
    if (w->site == NULL)
        fail_msg("%s", why);
    w->responder = responder_create(w->block, seed);
    responder_use(w->responder, &w->site->service, choices_steering(w->site->choices), w->site->limit);
    responder_set_time(w->responder, 1, 1559731985000);
    conf_unref(&c);
}

static inline void world_fini(struct world *w)
{
    responder_destroy(&w->responder);
    site_destroy(&w->site);
    mem_free(w->health);
    mem_free(w->block);
}

static inline uint64_t world_count(const struct world *w, enum stat_process id)
{
    return stat_get(&w->block->process[id]);
}

/* What goes out when w->query comes from this IPv4 address; "(none)" when nothing does. */
static inline const char *world_send(struct world *w, const char *from, bool is_tcp)
{
    struct sockaddr_in client = {.sin_family = AF_INET};
    struct query q;
    const char *wrong;

    assert_int_equal(inet_pton(AF_INET, from, &client.sin_addr), 1);
    responder_read(w->responder, &q, w->query.data, w->query.len);
    size_t len = responder_answer(w->responder, (const void *)&client, is_tcp, &q, w->answer,
                                  is_tcp ? sizeof w->answer : DNS_UDP_ANSWER_BYTES);
    if (len == 0)
        return "(none)";
    packet_tell(w->answer, len, w->text, &wrong);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    return w->text;
}

static inline const char *world_ask(struct world *w, const char *name, const char *type)
{
    packet_query(&w->query, name, dns_type_of(type));
    return world_send(w, "198.51.100.100", false);
}

#endif
