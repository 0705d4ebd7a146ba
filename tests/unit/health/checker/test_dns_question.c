/* Questions as they go out, and answers of every kind, damaged ones among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "health/checker/dns_question.h"

#define QUESTION     "\7example\4test\0\0\1\0\1"
#define QUESTION_LEN (sizeof QUESTION - 1)

static const char record_a[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
static const char record_cname[] = "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\7\4real\xc0\x0c";

struct packet {
    size_t len;
    uint8_t data[DNS_ANSWER_BYTES];
};

static void add(struct packet *p, const void *data, size_t len)
{
    memcpy(p->data + p->len, data, len);
    p->len += len;
}

/* An answer to `QUESTION`, with `answer_count` records to come. */
static struct packet begin(const char *flags, uint8_t answer_count)
{
    struct packet p = {0};
    uint8_t header[] = {0x12, 0x34, (uint8_t)flags[0], (uint8_t)flags[1], 0, 1, 0, answer_count, 0, 0, 0, 0};
    add(&p, header, sizeof header);
    add(&p, QUESTION, QUESTION_LEN);
    return p;
}

static struct dns_question ask(void)
{
    struct dns_question q;
    dns_question_make(&q, 0x1234, "example.test", 1);
    return q;
}

static enum dns_judgement judge(const struct packet *p, enum conf_dns_expect expect, char *cause)
{
    struct dns_question q = ask();
    uint8_t *copy = malloc(p->len > 0 ? p->len : 1); /* of the exact size, for the sanitizer */
    memcpy(copy, p->data, p->len);
    enum dns_judgement j = dns_question_judge(&q, expect, copy, p->len, cause);
    free(copy);
    return j;
}

static void test_questions(void **state)
{
    (void)state;
    struct dns_question q = ask();
    assert_int_equal(q.len, 12 + QUESTION_LEN);
    assert_memory_equal(q.packet, "\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION, q.len);
    dns_question_make(&q, 1, "example.test.", 1);
    assert_int_equal(q.len, 12 + QUESTION_LEN);
    dns_question_make(&q, 1, ".", 2);
    assert_int_equal(q.len, 12 + 5);
    char name[300];
    memset(name, 'a', sizeof name);
    name[63] = '\0';
    dns_question_make(&q, 1, name, 1);
    assert_int_equal(q.len, 12 + 65 + 4);
    name[63] = 'a';
    name[64] = '\0';
    dns_question_make(&q, 1, name, 1);
    assert_int_equal(q.len, 0); /* a label too long */
    for (size_t i = 0; i < sizeof name - 1; i++)
        name[i] = i % 2 == 0 ? 'a' : '.';
    name[253] = '\0';
    dns_question_make(&q, 1, name, 1);
    assert_int_equal(q.len, 12 + 255 + 4);
    name[253] = '.';
    name[255] = '\0';
    dns_question_make(&q, 1, name, 1);
    assert_int_equal(q.len, 0);
    dns_question_make(&q, 1, "a..b", 1);
    assert_int_equal(q.len, 0);
}

static void test_what_is_expected(void **state)
{
    (void)state;
    static const struct {
        const char *flags; /* third and fourth byte */
        const char *record;
        size_t record_len;
        enum conf_dns_expect expect;
        enum dns_judgement judgement;
        const char *cause;
    } cases[] = {
        {"\x84\0", record_a, sizeof record_a - 1, DNS_EXPECT_ANSWER, DNS_GOOD, ""},
        {"\x84\0", record_cname, sizeof record_cname - 1, DNS_EXPECT_ANSWER, DNS_BAD, "no record of that type"},
        {"\x84\0", NULL, 0, DNS_EXPECT_ANSWER, DNS_BAD, "no record of that type"},
        {"\x86\0", NULL, 0, DNS_EXPECT_ANSWER, DNS_GOOD, ""}, /* truncated */
        {"\x84\0", NULL, 0, DNS_EXPECT_NOERROR, DNS_GOOD, ""},
        {"\x84\3", NULL, 0, DNS_EXPECT_NOERROR, DNS_BAD, "answered NXDOMAIN"},
        {"\x84\3", NULL, 0, DNS_EXPECT_NXDOMAIN, DNS_GOOD, ""},
        {"\x84\0", NULL, 0, DNS_EXPECT_NXDOMAIN, DNS_BAD, "answered NOERROR"},
        {"\x84\2", NULL, 0, DNS_EXPECT_ANSWER, DNS_BAD, "answered SERVFAIL"},
        {"\x84\5", NULL, 0, DNS_EXPECT_ANY, DNS_GOOD, ""},
        {"\x84\xb", NULL, 0, DNS_EXPECT_ANSWER, DNS_BAD, "answered an unusual rcode"},
        {"\4\0", record_a, sizeof record_a - 1, DNS_EXPECT_ANY, DNS_FOREIGN, ""}, /* a question itself */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char cause[DNS_CAUSE_BYTES];
        struct packet p = begin(cases[i].flags, cases[i].record != NULL ? 1 : 0);
        add(&p, cases[i].record != NULL ? cases[i].record : "", cases[i].record_len);
        if (judge(&p, cases[i].expect, cause) != cases[i].judgement || strcmp(cause, cases[i].cause) != 0)
            fail_msg("case %zu: %s", i, cause);
    }
}

static void test_record_behind_others(void **state)
{
    (void)state;
    char cause[DNS_CAUSE_BYTES];
    struct packet p = begin("\x84\0", 2);
    add(&p, record_cname, sizeof record_cname - 1);
    add(&p, record_a, sizeof record_a - 1);
    assert_int_equal(judge(&p, DNS_EXPECT_ANSWER, cause), DNS_GOOD);
    p.len -= 1;
    assert_int_equal(judge(&p, DNS_EXPECT_ANSWER, cause), DNS_BAD);
    assert_string_equal(cause, "answer is cut off");
}

static void test_answers_to_others(void **state)
{
    (void)state;
    char cause[DNS_CAUSE_BYTES];
    struct packet good = begin("\x84\0", 1);
    add(&good, record_a, sizeof record_a - 1);
    for (size_t at = 0; at < 12 + QUESTION_LEN; at++) {
        struct packet p = good;
        bool is_letter = at > 12 && at != 20 && at < 25;
        if (at == 2 || at == 3 || (at > 5 && at < 12))
            continue; /* flags and counts have cases of their own */
        p.data[at] ^= 0x20;
        assert_int_equal(judge(&p, DNS_EXPECT_ANSWER, cause), is_letter ? DNS_GOOD : DNS_FOREIGN);
    }
}

static void test_error_without_the_question(void **state)
{
    (void)state;
    char cause[DNS_CAUSE_BYTES];
    struct packet p = begin("\x80\1", 0);
    p.len = 12;
    assert_int_equal(judge(&p, DNS_EXPECT_ANSWER, cause), DNS_BAD);
    assert_string_equal(cause, "answered FORMERR");
    p.data[3] = 0;
    assert_int_equal(judge(&p, DNS_EXPECT_ANSWER, cause), DNS_FOREIGN);
}

/* One byte changed, or the end cut off: anything may be the judgement, nothing is read beyond the end. */
static void test_damage(void **state)
{
    (void)state;
    char cause[DNS_CAUSE_BYTES];
    struct packet good = begin("\x84\0", 2);
    add(&good, record_cname, sizeof record_cname - 1);
    add(&good, record_a, sizeof record_a - 1);
    for (size_t at = 0; at < good.len; at++) {
        struct packet p = good;
        for (unsigned byte = 0; byte < 256; byte++) {
            p.data[at] = (uint8_t)byte;
            (void)judge(&p, DNS_EXPECT_ANSWER, cause);
        }
        p = good;
        p.len = at;
        assert_int_not_equal(judge(&p, DNS_EXPECT_ANSWER, cause), DNS_GOOD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_what_is_expected),
        cmocka_unit_test(test_record_behind_others),
        cmocka_unit_test(test_answers_to_others),
        cmocka_unit_test(test_error_without_the_question),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
