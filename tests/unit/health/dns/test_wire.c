/* Names and cursors: compression both ways, bounds, and what is believed of a stranger's bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "health/dns/wire.h"

#define HEADER "000000000000000000000000"

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t len = 0;
    unsigned byte;
    for (; *hex != '\0'; hex += *hex == ' ' ? 1 : 2) {
        if (*hex != ' ' && sscanf(hex, "%2x", &byte) == 1)
            out[len++] = (uint8_t)byte;
    }
    return len;
}

static void names_from_text(void **state)
{
    static const struct {
        const char *text, *name; /* NULL: refused, and why */
        const char *why;
        unsigned len, labels;
    } rows[] = {
        {".", ".", NULL, 1, 0},
        {"a", "a.", NULL, 3, 1},
        {"WWW.Example.Net.", "www.example.net.", NULL, 17, 3},
        {"a\\.b.c", "a\\.b.c.", NULL, 7, 2},
        {"\\000\\255", "\\000\\255.", NULL, 4, 1},
        {"\\065", "a.", NULL, 3, 1}, /* an A, in lower case */
        {"_dmarc.x-y", "_dmarc.x-y.", NULL, 12, 2},
        {"", NULL, "is empty", 0, 0},
        {"@", NULL, "is not a name", 0, 0},
        {"..", NULL, "has an empty label", 0, 0},
        {".a", NULL, "has an empty label", 0, 0},
        {"a\\", NULL, "has a broken escape", 0, 0},
        {"a\\9", NULL, "has a broken escape", 0, 0},
        {"a\\300", NULL, "has a broken escape", 0, 0},
    };
    struct dns_name n;
    char text[DNS_NAME_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *why = dns_name_of(&n, rows[i].text);
        if (rows[i].name == NULL) {
            assert_string_equal(why, rows[i].why);
            continue;
        }
        assert_null(why);
        assert_string_equal(dns_name_text(n.wire, text), rows[i].name);
        assert_int_equal(n.len, rows[i].len);
        assert_int_equal(n.label_count, rows[i].labels);
    }
}

static void bounds_of_names(void **state)
{
    struct dns_name n, origin;
    char text[600], back[DNS_NAME_TEXT_BYTES];
    size_t len = 0;
    (void)state;

    memset(text, 'x', 64);
    text[63] = '\0';
    assert_null(dns_name_of(&n, text));
    text[63] = 'x';
    text[64] = '\0';
    assert_string_equal(dns_name_of(&n, text), "has a label of more than 63 bytes");
    /* 127 labels of one byte: 254 bytes and the empty one. */
    for (len = 0; len < 254; len += 2)
        memcpy(text + len, "a.", 3);
    assert_null(dns_name_of(&n, text));
    assert_int_equal(n.len, 255);
    assert_int_equal(n.label_count, 127);
    memcpy(text + len, "a", 2);
    assert_string_equal(dns_name_of(&n, text), "is longer than 255 bytes");
    text[252] = '\0';
    assert_null(dns_name_of(&origin, "o"));
    assert_string_equal(dns_name_under(&n, "@", &origin) == NULL ? dns_name_text(n.wire, back) : "", "o.");
    text[249] = '\0'; /* 125 labels without the dot at the end: 250 bytes, and 3 of the origin */
    assert_null(dns_name_under(&n, text, &origin));
    assert_int_equal(n.len, 253);
    memcpy(text + 249, ".aaa", 5);
    assert_string_equal(dns_name_under(&n, text, &origin), "is longer than 255 bytes");
    /* The longest text: every byte escaped. */
    memset(&n, 0, sizeof n);
    uint8_t wire[255];
    memset(wire, 0x01, sizeof wire);
    for (size_t at = 0; at < 254;) {
        wire[at] = (uint8_t)(254 - at > 63 ? 63 : 253 - at);
        at += wire[at] + 1u;
    }
    wire[254] = 0;
    dns_name_from_wire(&n, wire);
    assert_int_equal(n.len, 255);
    assert_int_equal(strlen(dns_name_text(n.wire, back)), 250 * 4 + 4);
}

static void reading_names(void **state)
{
    static const struct {
        const char *hex; /* behind a header; the name begins at `at` */
        size_t at, end;
        const char *name; /* NULL: refused */
    } rows[] = {
        {HEADER "0161 00", 12, 15, "a."},
        {HEADER "00", 12, 13, "."},
        {HEADER "0141 0162 00 c00c", 17, 19, "a.b."},
        {HEADER "0161 0162 00 0163 c00e", 17, 21, "c.b."},
        {HEADER "0161 00 0162 c00c 0163 c00f", 19, 23, "c.b.a."},
        {HEADER "0161 00 c00e", 15, 17, "."},
        /* To itself, ahead, back and forth, into the header, cut short, of a kind that is not. */
        {HEADER "c00c", 12, 0, NULL},
        {HEADER "c00e 00", 12, 0, NULL},
        {HEADER "0161 c00c", 12, 0, NULL},
        {HEADER "0161 c00f 0162 c00c", 16, 0, NULL},
        {HEADER "c00b 00", 12, 0, NULL},
        {HEADER "0161 00 c0", 15, 0, NULL},
        {HEADER "0161 00 80 00", 15, 0, NULL},
        {HEADER "0161 00 41 00", 15, 0, NULL},
        {HEADER "0361", 12, 0, NULL},
        {HEADER "0161", 12, 0, NULL},
        {HEADER, 12, 0, NULL},
    };
    uint8_t data[64];
    char text[DNS_NAME_TEXT_BYTES];
    struct wire_reader r;
    struct dns_name n;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wire_read_begin(&r, data, unhex(rows[i].hex, data));
        r.at = rows[i].at;
        wire_read_name(&r, &n);
        assert_int_equal(r.failed, rows[i].name == NULL);
        if (rows[i].name == NULL)
            continue;
        assert_string_equal(dns_name_text(n.wire, text), rows[i].name);
        assert_int_equal(r.at, rows[i].end);
        r.at = rows[i].at;
        wire_skip_name(&r);
        assert_false(r.failed);
        assert_int_equal(r.at, rows[i].end);
    }
}

/* Pointers to pointers that add up to a name too long are refused where it becomes too long. */
static void names_that_grow(void **state)
{
    uint8_t data[2048] = {0};
    size_t at = 12, before = 0;
    struct wire_reader r;
    struct dns_name n;
    (void)state;

    for (unsigned i = 0; i < 6; i++) {
        const size_t begin = at;
        data[at] = 50;
        at += 51;
        if (i == 0)
            data[at++] = 0;
        else
            data[at++] = (uint8_t)(0xc0 | before >> 8), data[at++] = (uint8_t)before;
        before = begin;
        wire_read_begin(&r, data, at);
        r.at = begin;
        wire_read_name(&r, &n);
        assert_int_equal(r.failed, i >= 4); /* 5 x 51 and the empty label are 256 */
    }
}

static void the_reader_sticks(void **state)
{
    static const uint8_t data[] = {1, 2, 3, 4, 5};
    struct wire_reader r;
    (void)state;
    wire_read_begin(&r, data, sizeof data);
    assert_int_equal(wire_read_u16(&r), 0x0102);
    assert_int_equal(wire_read_u32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(wire_read_u8(&r), 0);
    assert_null(wire_read_bytes(&r, 0));
    assert_int_equal(r.at, 2);
}

static void write_name(struct wire_writer *w, struct dns_name *n, const char *text)
{
    assert_null(dns_name_of(n, text));
    wire_write_name(w, n->wire, n->len);
}

static void writing_compresses(void **state)
{
    static const uint8_t expected[] = {0,    0,   0,    0,   0, 0, 0, 0, 0, 0, 0, 0, 1, 'a', 1, 'b', 0, /* 12: a.b. */
                                       0xc0, 12,                                                        /* a.b. */
                                       1,    'c', 0xc0, 14,                                             /* 19: c.b. */
                                       1,    'd', 0xc0, 19,                                             /* d.c.b. */
                                       0,                                                               /* . */
                                       1,    'b', 1,    'a', 0}; /* b.a.: not the b. that is known */
    uint8_t data[64];
    struct dns_name n[6];
    struct wire_writer w;
    (void)state;
    wire_write_begin(&w, data, sizeof data);
    wire_write_bytes(&w, expected, 12);
    write_name(&w, &n[0], "a.b");
    write_name(&w, &n[1], "A.B");
    write_name(&w, &n[2], "c.b");
    write_name(&w, &n[3], "d.c.b");
    write_name(&w, &n[4], ".");
    write_name(&w, &n[5], "b.a");
    assert_false(w.failed);
    assert_int_equal(w.len, sizeof expected);
    assert_memory_equal(data, expected, sizeof expected);
}

/* What is taken back is not pointed at. */
static void rewinding_forgets(void **state)
{
    uint8_t data[24];
    struct dns_name n[3];
    struct wire_writer w;
    (void)state;
    wire_write_begin(&w, data, sizeof data);
    wire_write_u32(&w, 0);
    write_name(&w, &n[0], "aaaa");
    const size_t mark = w.len;
    write_name(&w, &n[1], "bbbb.aaaa");
    write_name(&w, &n[2], "cccccccccccccc");
    assert_true(w.failed);
    wire_write_rewind(&w, mark);
    assert_false(w.failed);
    write_name(&w, &n[1], "bbbb.aaaa");
    assert_false(w.failed);
    assert_int_equal(w.len, mark + 7);
    assert_int_equal(data[mark], 4);
    wire_write_rewind(&w, mark);
    w.cap_bytes = mark + 1;
    wire_write_u16(&w, 1);
    assert_true(w.failed);
    wire_write_u8(&w, 1);
    assert_int_equal(w.len, mark);
}

static void inside(void **state)
{
    static const struct {
        const char *name, *zone;
        bool is_in;
    } rows[] = {{"a.b", "b", true},  {"b", "b", true},       {"ab", "b", false},
                {"b", "a.b", false}, {"a.b", ".", true},     {".", ".", true},
                {"b.a", "b", false}, {"x.a.b", "A.b", true}, {"\\001b", "b", false}};
    struct dns_name n, z;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(dns_name_of(&n, rows[i].name));
        assert_null(dns_name_of(&z, rows[i].zone));
        assert_int_equal(dns_name_is_in(&n, &z), rows[i].is_in);
    }
}

static void types(void **state)
{
    (void)state;
    assert_string_equal(dns_type_text(DNS_TYPE_HTTPS), "HTTPS");
    assert_null(dns_type_text(9999));
    assert_int_equal(dns_type_of("aaaa"), DNS_TYPE_AAAA);
    assert_int_equal(dns_type_of("AAAAA"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_from_text),
        cmocka_unit_test(bounds_of_names),
        cmocka_unit_test(reading_names),
        cmocka_unit_test(names_that_grow),
        cmocka_unit_test(the_reader_sticks),
        cmocka_unit_test(writing_compresses),
        cmocka_unit_test(rewinding_forgets),
        cmocka_unit_test(inside),
        cmocka_unit_test(types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
