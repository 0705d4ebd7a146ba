/* The clocks of time zones: rules against dates that are known, files made by hand, files cut off and changed at every
 * byte, and the system's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/tz.h"

static void put(struct strbuf *b, int64_t value, int bytes)
{
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
        strbuf_add(b, (const char[]){(char)(uint8_t)((uint64_t)value >> shift)}, 1);
}

static void put_header(struct strbuf *b, char version, uint32_t time_count, uint32_t type_count)
{
    strbuf_add(b, "TZif", 4);
    strbuf_add(b, &version, 1);
    for (int i = 0; i < 15; i++)
        put(b, 0, 1);
    put(b, 0, 4);
    put(b, 0, 4);
    put(b, 0, 4);
    put(b, time_count, 4);
    put(b, type_count, 4);
    put(b, 4, 4); /* characters */
}

/* Before 1000 s: one hour ahead; from then on two hours, and after 2000 s what the rule says. */
static void make_zone(struct strbuf *b, const char *rule)
{
    strbuf_init(b, TZ_BYTES_MAX);
    put_header(b, '2', 0, 1);
    put(b, 0, 4), put(b, 0, 2);
    strbuf_add(b, "UTC\0", 4);
    put_header(b, '2', 2, 2);
    put(b, 1000, 8);
    put(b, 2000, 8);
    put(b, 1, 1), put(b, 0, 1);
    put(b, 3600, 4), put(b, 0, 2);
    put(b, 7200, 4), put(b, 0, 2);
    strbuf_add(b, "ABC\0", 4);
    strbuf_printf(b, "\n%s\n", rule);
}

/* "2024-03-31 01:00" in UTC. */
static int64_t moment(const char *text)
{
    struct tm tm = {.tm_isdst = 0};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
    return timegm(&tm);
}

static void test_rules(void **state)
{
    static const struct {
        const char *rule, *utc;
        int offset_min;
    } cases[] = {
        {"UTC0", "2024-06-01 00:00", 0},
        {"<+0530>-5:30", "2024-06-01 00:00", 330},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2024-03-31 00:59", 60}, /* the last Sunday of March */
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2024-03-31 01:00", 120},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2024-10-27 00:59", 120},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2024-10-27 01:00", 60},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2099-07-01 00:00", 120},
        {"EST5EDT,M3.2.0,M11.1.0", "2025-03-09 06:59", -300}, /* the second Sunday */
        {"EST5EDT,M3.2.0,M11.1.0", "2025-03-09 07:00", -240},
        {"EST5EDT,M3.2.0,M11.1.0", "2025-11-02 05:59", -240},
        {"EST5EDT,M3.2.0,M11.1.0", "2025-11-02 06:00", -300},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2024-12-31 23:59", 660}, /* summer is over New Year */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2025-01-01 00:00", 660},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2025-07-01 00:00", 600},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31 00:59", -120}, /* a time on the day before */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31 01:00", -60},
        {"XXX3YYY,J60,J300", "2024-03-01 05:00", -120}, /* 29 February does not count */
        {"XXX3YYY,59,299", "2024-02-29 05:00", -120},   /* here it does */
        {"XXX3YYY,59,299", "2024-02-29 04:59", -180},
        {"EST5EDT,0/0,J365/25", "2024-12-31 23:00", -240}, /* saving all year */
        {"EST5EDT,0/0,J365/25", "2025-01-01 05:00", -240},
        {"LHST-10:30LHDT-11,M10.1.0,M4.1.0", "2025-01-01 00:00", 660}, /* by half an hour */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct strbuf b;
        struct tz *z;

        make_zone(&b, cases[i].rule);
        z = tz_parse(b.data, b.len);
        if (z == NULL || tz_offset_s(z, moment(cases[i].utc)) != cases[i].offset_min * 60)
            fail_msg("%s at %s: %d", cases[i].rule, cases[i].utc, z != NULL ? tz_offset_s(z, moment(cases[i].utc)) : 0);
        tz_destroy(&z);
        strbuf_fini(&b);
    }
}

static void test_changes_come_before_the_rule(void **state)
{
    struct strbuf b;
    struct tz *z;

    (void)state;
    make_zone(&b, "UTC0");
    z = tz_parse(b.data, b.len);
    assert_int_equal(tz_offset_s(z, INT64_MIN), 3600);
    assert_int_equal(tz_offset_s(z, 999), 3600);
    assert_int_equal(tz_offset_s(z, 1000), 7200);
    assert_int_equal(tz_offset_s(z, 1999), 7200);
    assert_int_equal(tz_offset_s(z, 2000), 0);
    assert_int_equal(tz_offset_s(z, INT64_MAX), 0);
    tz_destroy(&z);
    strbuf_fini(&b);
    make_zone(&b, ""); /* no rule: the last change holds */
    z = tz_parse(b.data, b.len);
    assert_int_equal(tz_offset_s(z, 1000000), 3600);
    tz_destroy(&z);
    strbuf_fini(&b);
}

static void test_rules_that_are_none(void **state)
{
    static const char *const rules[] = {"X0",
                                        "CET",
                                        "CET-25",
                                        "CET-1CEST",
                                        "CET-1CEST,M3.5.0",
                                        "<CET",
                                        "CET-1CEST,M13.1.0,M1.1.0",
                                        "CET-1CEST,M1.6.0,M1.1.0",
                                        "CET-1CEST,J0,J1",
                                        "CET-1CEST,366,1",
                                        "CET-1CEST,1/168,2",
                                        "CET-1CEST,1,2 ",
                                        "CET-1:60",
                                        "CET-1CEST-99999999999,1,2"};

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct strbuf b;

        make_zone(&b, rules[i]);
        if (tz_parse(b.data, b.len) != NULL)
            fail_msg("%s", rules[i]);
        strbuf_fini(&b);
    }
}

/* Whatever a file says, it is a zone or it is none: no byte of it is believed. */
static void test_damaged_files(void **state)
{
    struct strbuf b;

    (void)state;
    make_zone(&b, "CET-1CEST,M3.5.0,M10.5.0/3");
    for (size_t len = 0; len < b.len; len++) {
        char *copy = mem_strndup(b.data, len); /* on its own, for the sanitizer to see its end */

        assert_null(tz_parse(copy, len));
        mem_free(copy);
    }
    for (size_t i = 0; i < b.len; i++)
        for (unsigned value = 0; value < 256; value += 51) {
            const char kept = b.data[i];
            struct tz *z;

            b.data[i] = (char)value;
            z = tz_parse(b.data, b.len);
            if (z != NULL) {
                for (int64_t t = -4000000000; t < 8000000000; t += 1000000000)
                    assert_in_range(tz_offset_s(z, t) + 100000, 0, 200000);
                tz_destroy(&z);
            }
            b.data[i] = kept;
        }
    strbuf_fini(&b);
}

/* The C library reads the same files: both agree, every six hours and a bit for sixty years. */
static void test_the_systems_own(void **state)
{
    static const char *const names[] = {"Europe/Berlin",     "America/New_York",  "Australia/Lord_Howe", "Asia/Kolkata",
                                        "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Auckland",    "UTC"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tz *z = tz_load(TZ_DIR, names[i]);

        assert_non_null(z);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (int64_t t = 500000000; t < 2400000000; t += 22222) {
            const time_t seconds = (time_t)t;
            struct tm tm;

            assert_non_null(localtime_r(&seconds, &tm));
            if (tm.tm_gmtoff != tz_offset_s(z, t))
                fail_msg("%s at %lld: %ld, not %d", names[i], (long long)t, tm.tm_gmtoff, tz_offset_s(z, t));
        }
        tz_destroy(&z);
    }
    assert_int_equal(unsetenv("TZ"), 0);
}

static void test_names(void **state)
{
    static const char *const names[] = {
        "",         "Europe",         "Europe/Nowhere", "../zoneinfo/UTC", "/etc/passwd", "Europe/../UTC",
        "zone.tab", "Europe/Berlin\n"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_null(tz_load(TZ_DIR, names[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_changes_come_before_the_rule),
        cmocka_unit_test(test_rules_that_are_none),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_the_systems_own),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
