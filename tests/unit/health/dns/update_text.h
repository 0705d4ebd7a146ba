/* An UPDATE message as text, one record per line, read by code of its own:
 *   zone example.com.
 *   no www.example.com. TXT
 *   delete www.example.com. A
 *   add www.example.com. 30 A 192.0.2.10
 * A signature is told as "signed NAME". Include after cmocka.h. */
#ifndef TESTS_UNIT_HEALTH_DNS_UPDATE_TEXT_H
#define TESTS_UNIT_HEALTH_DNS_UPDATE_TEXT_H

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define UPDATE_TEXT_BYTES 16384u

struct update_text {
    const uint8_t *data;
    size_t len, at;
    size_t text_len;
    char text[UPDATE_TEXT_BYTES];
};

static inline unsigned update_u16(struct update_text *t)
{
    assert_true(t->at + 2 <= t->len);
    t->at += 2;
    return (unsigned)t->data[t->at - 2] << 8 | t->data[t->at - 1];
}

/* A name at `at`, perhaps with one pointer after another; `*at` is moved behind it. */
static inline void update_name(const struct update_text *t, size_t *at, char *out)
{
    size_t from = *at, jumps = 0;
    for (;;) {
        assert_true(from < t->len && jumps < 64);
        const unsigned size = t->data[from];
        if (size >= 0xc0) {
            if (jumps++ == 0)
                *at = from + 2;
            from = (size_t)(size & 0x3f) << 8 | t->data[from + 1];
            continue;
        }
        if (size == 0)
            break;
        out += sprintf(out, "%.*s.", (int)size, (const char *)t->data + from + 1);
        from += size + 1;
    }
    if (jumps == 0)
        *at = from + 1;
    *out = '\0';
}

static inline void update_say(struct update_text *t, const char *a, const char *b)
{
    t->text_len += (size_t)snprintf(t->text + t->text_len, sizeof t->text - t->text_len, "%s%s", a, b);
    assert_true(t->text_len < sizeof t->text);
}

static inline const char *update_type(unsigned type)
{
    static const struct {
        unsigned type;
        const char *text;
    } others[] = {{16, "TXT"}, {15, "MX"}, {257, "CAA"}, {33, "SRV"}, {2, "NS"}, {64, "SVCB"}, {65, "HTTPS"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].type == type)
            return others[i].text;
    return type == 1 ? "A" : type == 28 ? "AAAA" : type == 5 ? "CNAME" : type == 250 ? "TSIG" : "?";
}

static inline void update_record(struct update_text *t)
{
    char name[1024], data[1024] = "", number[64];
    update_name(t, &t->at, name);
    const unsigned type = update_u16(t), class = update_u16(t), ttl_high = update_u16(t);
    const unsigned ttl_s = ttl_high << 16 | update_u16(t), size = update_u16(t);
    const size_t end = t->at + size;
    assert_true(end <= t->len);
    snprintf(number, sizeof number, " %u %s ", ttl_s, update_type(type));
    if (type == 1 || type == 28)
        (void)inet_ntop(type == 1 ? AF_INET : AF_INET6, t->data + t->at, data, sizeof data);
    if (type == 5 && size > 0) {
        size_t at = t->at;
        update_name(t, &at, data);
        assert_int_equal(at, end);
    }
    t->at = end;
    if (type == 250) {
        update_say(t, "signed ", name);
    } else if (class == 255 ||
               class == 254) { /* ANY: the whole set goes; NONE: there is none (sections 2.5.2, 2.4.3) */
        assert_int_equal(size, 0);
        assert_int_equal(ttl_s, 0);
        update_say(t, class == 255 ? "delete " : "no ", name);
        update_say(t, " ", update_type(type));
    } else {
        assert_int_equal(class, 1);
        assert_int_equal(size, type == 1 ? 4 : type == 28 ? 16 : size);
        update_say(t, "add ", name);
        update_say(t, number, data);
    }
    update_say(t, "\n", "");
}

/* Returns t->text. The counts and the end of the message have to be right. */
static inline const char *update_tell(struct update_text *t, const uint8_t *data, size_t len)
{
    char zone[1024];
    *t = (struct update_text){.data = data, .len = len};
    (void)update_u16(t);
    assert_int_equal(update_u16(t), 0x2800); /* opcode 5, a request */
    assert_int_equal(update_u16(t), 1);
    unsigned count = update_u16(t); /* prerequisites are told apart by their class */
    count += update_u16(t);
    count += update_u16(t);
    update_name(t, &t->at, zone);
    assert_int_equal(update_u16(t), 6);
    assert_int_equal(update_u16(t), 1);
    update_say(t, "zone ", zone);
    update_say(t, "\n", "");
    while (count-- > 0)
        update_record(t);
    assert_int_equal(t->at, len);
    return t->text;
}

#endif
