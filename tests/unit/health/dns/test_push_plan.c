/* What is told of a configuration and a choice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/dns/push_plan.h"
#include "tests/unit/health/dns/update_text.h"

static const char *us[] = {"192.0.2.10"}, *us6[] = {"2001:db8::10"}, *eu[] = {"198.51.100.10"};
static const char *text[] = {"v=spf1 -all"};

static struct conf_dns_answer answers[] = {
    {.target = "targets/us", .a = us, .a_count = 1, .aaaa = us6, .aaaa_count = 1, .cname = ""},
    {.target = "targets/eu", .a = eu, .a_count = 1, .cname = ""},
    {.target = "", .cname = "static.example.net"},
};
static struct conf_dns_record records[] = {
    {.name = "@", .answers = answers, .answer_count = 3},
    {.name = "www", .answers = answers, .answer_count = 3},
    {.name = "mail", .answers = answers, .answer_count = 3},
    {.name = "mail", .txt = text, .txt_count = 1},
};
static const struct conf_dns conf = {.zone = "rt.example.com", .records = records, .record_count = 4};

struct world {
    struct push_plan *plan;
    struct steering_record record;
    struct push_choice choice;
    struct steering_alias alias;
    bool is_alias_known;
    struct update update;
    uint8_t data[4096];
    struct update_text text;
};

static const struct steering_alias *alias_of(void *arg, const struct conf_dns_record *record, size_t answer)
{
    struct world *w = arg;
    assert_int_equal(answer, 2);
    assert_string_equal(record->answers[answer].cname, "static.example.net");
    return w->is_alias_known ? &w->alias : NULL;
}

static void choose(struct world *w, size_t record, uint32_t chosen, uint32_t ttl_s)
{
    const uint64_t id = steering_id(&records[record]);
    for (uint32_t i = 0; i < w->record.row_count; i++) {
        if (w->record.rows[i].id == id) {
            w->record.rows[i].chosen = chosen;
            w->record.rows[i].ttl_s = ttl_s;
            return;
        }
    }
    w->record.rows[w->record.row_count++] = (struct steering_row){.id = id, .chosen = chosen, .ttl_s = ttl_s};
}

static struct world *world(const char *zone)
{
    static struct world w;
    w = (struct world){.plan = push_plan_create(&conf, zone),
                       .alias = {.is_known = true, .a_count = 1, .a = {{203, 0, 113, 1}}}};
    w.choice = (struct push_choice){.record = &w.record, .alias = alias_of, .arg = &w};
    return &w;
}

static const char *tell(struct world *w)
{
    struct tsig_key key;
    struct tsig_mac mac;
    assert_null(tsig_key_of(&key, "k", TSIG_HMAC_SHA256, "c2VjcmV0"));
    update_begin(&w->update, w->data, sizeof w->data, 1, push_plan_zone(w->plan));
    assert_int_equal(push_plan_write(w->plan, &w->choice, 0, &w->update), push_plan_count(w->plan));
    const char *all = update_tell(&w->text, w->data, update_end(&w->update, &key, 1, &mac));
    return all;
}

/* The added records alone, "name ttl type data" each. */
static const char *added(struct world *w)
{
    static char out[4096];
    size_t len = 0;
    for (const char *line = tell(w); *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, "add ", 4) == 0)
            len +=
                (size_t)snprintf(out + len, sizeof out - len, "%.*s", (int)(strchr(line, '\n') - line) - 3, line + 4);
    }
    out[len] = '\0';
    return out;
}

static void test_steered_names_are_told(void **state)
{
    struct world *w = world("");
    (void)state;
    assert_int_equal(push_plan_count(w->plan), 3);
    assert_int_equal(push_plan_outside_count(w->plan), 0);
    choose(w, 0, 1, 30);
    choose(w, 1, 2, 5);
    assert_string_equal(tell(w), "zone rt.example.com.\n"
                                 "delete rt.example.com. CNAME\n"
                                 "delete rt.example.com. A\n"
                                 "delete rt.example.com. AAAA\n"
                                 "add rt.example.com. 30 A 192.0.2.10\n"
                                 "add rt.example.com. 30 AAAA 2001:db8::10\n"
                                 "delete www.rt.example.com. CNAME\n"
                                 "delete www.rt.example.com. A\n"
                                 "delete www.rt.example.com. AAAA\n"
                                 "add www.rt.example.com. 5 A 198.51.100.10\n"
                                 "signed k.\n");
    push_plan_destroy(&w->plan);
}

static void test_nothing_decided_nothing_told(void **state)
{
    struct world *w = world("");
    (void)state;
    assert_int_equal(push_plan_digest(w->plan, &w->choice), 0);
    assert_string_equal(tell(w), "zone rt.example.com.\nsigned k.\n");
    choose(w, 0, UINT32_C(1) << 3, 30); /* of another configuration: no such answer */
    assert_int_equal(push_plan_digest(w->plan, &w->choice), 0);
    push_plan_destroy(&w->plan);
}

static void test_a_name_is_a_cname_where_one_may_stand(void **state)
{
    struct world *w = world("");
    (void)state;
    choose(w, 0, 4, 30);
    choose(w, 1, 4, 30);
    choose(w, 2, 4, 30);
    w->is_alias_known = true;
    assert_string_equal(added(w), "rt.example.com. 30 A 203.0.113.1\n"
                                  "www.rt.example.com. 30 CNAME static.example.net.\n"
                                  "mail.rt.example.com. 30 A 203.0.113.1\n"); /* beside a TXT */
    choose(w, 1, 5, 30);                                                      /* beside addresses */
    assert_string_equal(added(w), "rt.example.com. 30 A 203.0.113.1\n"
                                  "www.rt.example.com. 30 A 192.0.2.10\n"
                                  "www.rt.example.com. 30 A 203.0.113.1\n"
                                  "www.rt.example.com. 30 AAAA 2001:db8::10\n"
                                  "mail.rt.example.com. 30 A 203.0.113.1\n");
    push_plan_destroy(&w->plan);
}

/* A name is never told to have nothing: as long as it is not known what to tell, the server keeps what it has. */
static void test_what_is_not_resolved_is_left_out(void **state)
{
    struct world *w = world("");
    (void)state;
    choose(w, 0, 4, 30);
    choose(w, 1, 6, 30);
    assert_string_equal(added(w), "www.rt.example.com. 30 A 198.51.100.10\n");
    assert_null(strstr(tell(w), "delete rt.example.com."));
    w->is_alias_known = true;
    w->alias.is_known = false;
    assert_string_equal(added(w), "www.rt.example.com. 30 A 198.51.100.10\n");
    w->alias.is_known = true;
    w->alias.a_count = 0; /* known to have no address */
    assert_null(strstr(tell(w), "delete rt.example.com."));
    push_plan_destroy(&w->plan);
}

static void test_our_apex_is_an_ordinary_name_in_the_zone_above(void **state)
{
    struct world *w = world("example.com");
    (void)state;
    choose(w, 0, 4, 30);
    assert_string_equal(added(w), "rt.example.com. 30 CNAME static.example.net.\n");
    push_plan_destroy(&w->plan);
}

static void test_their_apex_may_be_a_name_of_ours(void **state)
{
    struct world *w = world("www.rt.example.com.");
    (void)state;
    assert_int_equal(push_plan_count(w->plan), 1);
    assert_int_equal(push_plan_outside_count(w->plan), 2);
    w->is_alias_known = true;
    choose(w, 0, 1, 30); /* not there */
    choose(w, 1, 4, 30);
    assert_string_equal(added(w), "www.rt.example.com. 30 A 203.0.113.1\n");
    push_plan_destroy(&w->plan);
}

static void test_the_digest_follows_what_is_told(void **state)
{
    struct world *w = world("");
    (void)state;
    w->is_alias_known = true;
    choose(w, 0, 1, 30);
    const uint64_t first = push_plan_digest(w->plan, &w->choice);
    choose(w, 0, 1, 5); /* lifetimes do not count */
    assert_int_equal(push_plan_digest(w->plan, &w->choice), first);
    choose(w, 0, 2, 5);
    const uint64_t other = push_plan_digest(w->plan, &w->choice);
    assert_int_not_equal(other, first);
    choose(w, 0, 1, 30);
    assert_int_equal(push_plan_digest(w->plan, &w->choice), first);
    choose(w, 1, 1, 30); /* another name */
    assert_int_not_equal(push_plan_digest(w->plan, &w->choice), first);
    push_plan_destroy(&w->plan);
}

static void test_the_order_of_resolved_addresses_does_not_count(void **state)
{
    struct world *w = world("");
    (void)state;
    w->is_alias_known = true;
    choose(w, 0, 4, 30);
    w->alias = (struct steering_alias){.is_known = true, .a_count = 2, .a = {{203, 0, 113, 1}, {203, 0, 113, 2}}};
    const uint64_t first = push_plan_digest(w->plan, &w->choice);
    w->alias = (struct steering_alias){.is_known = true, .a_count = 2, .a = {{203, 0, 113, 2}, {203, 0, 113, 1}}};
    assert_int_equal(push_plan_digest(w->plan, &w->choice), first);
    w->alias.a_count = 1;
    assert_int_not_equal(push_plan_digest(w->plan, &w->choice), first);
    push_plan_destroy(&w->plan);
}

/* What does not fit one message goes into the next, names whole. */
static void test_names_may_need_several_messages(void **state)
{
    static struct conf_dns_record many[CONF_DNS_STEERED_MAX];
    static char names[CONF_DNS_STEERED_MAX][16];
    const struct conf_dns big = {.zone = "example.com", .records = many, .record_count = CONF_DNS_STEERED_MAX};
    struct world *w = world("");
    size_t from = 0, messages = 0;
    unsigned added_count = 0;
    struct tsig_key key;
    struct tsig_mac mac;
    (void)state;
    assert_null(tsig_key_of(&key, "k", TSIG_HMAC_SHA256, "c2VjcmV0"));
    for (size_t i = 0; i < CONF_DNS_STEERED_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "name-%zu", i);
        many[i] = (struct conf_dns_record){.name = names[i], .answers = answers, .answer_count = 3};
        w->record.rows[w->record.row_count++] =
            (struct steering_row){.id = steering_id(&many[i]), .chosen = 1, .ttl_s = 5};
    }
    push_plan_destroy(&w->plan);
    w->plan = push_plan_create(&big, "example.com");
    assert_int_equal(push_plan_count(w->plan), CONF_DNS_STEERED_MAX);
    while (from < CONF_DNS_STEERED_MAX) {
        const size_t before = from;
        update_begin(&w->update, w->data, 1500, 1, push_plan_zone(w->plan));
        from = push_plan_write(w->plan, &w->choice, from, &w->update);
        assert_true(from > before);
        messages++;
        const char *at = update_tell(&w->text, w->data, update_end(&w->update, &key, 1, &mac));
        while ((at = strstr(at, " 5 A 192.0.2.10\n")) != NULL) {
            added_count++;
            at++;
        }
    }
    assert_true(messages > 1);
    assert_int_equal(added_count, CONF_DNS_STEERED_MAX);
    push_plan_destroy(&w->plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steered_names_are_told),
        cmocka_unit_test(test_nothing_decided_nothing_told),
        cmocka_unit_test(test_a_name_is_a_cname_where_one_may_stand),
        cmocka_unit_test(test_what_is_not_resolved_is_left_out),
        cmocka_unit_test(test_our_apex_is_an_ordinary_name_in_the_zone_above),
        cmocka_unit_test(test_their_apex_may_be_a_name_of_ours),
        cmocka_unit_test(test_the_digest_follows_what_is_told),
        cmocka_unit_test(test_the_order_of_resolved_addresses_does_not_count),
        cmocka_unit_test(test_names_may_need_several_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
