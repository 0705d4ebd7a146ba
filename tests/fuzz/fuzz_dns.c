/* DNS answers. Input: a byte of circumstances, a byte of choice, the query. Laws: an answer can be read by a strict
 * reader that shares no code with the writer, repeats id, opcode and question to the letter, is never larger than its
 * client takes, and is the same twice; what came whole over UDP is what comes over TCP; a slip can be read too. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/health/dns/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
    IS_TCP = 1,
    HAS_COOKIES = 2,
    COOKIES_REQUIRED = 4,
    HAS_NSID = 8,
    IS_V6 = 16,
    IS_WEIGHTED = 32,
    HAS_LITTLE_ROOM = 64
};

static const uint16_t weights[FIXTURE_CANDIDATES] = {1, 2, 0, 4, 5};
static const uint8_t secret[COOKIE_SECRET_BYTES] = {0xe5, 0xe9, 0x73};

/* Built once: it does not change. */
static struct fixture *the_fixture(void)
{
    static struct fixture *f;
    if (f == NULL) {
        f = mem_alloc(sizeof *f);
        fixture_init(f);
    }
    return f;
}

static void set_circumstances(struct fixture *f, struct cookie_secrets *cookies, uint8_t bits, uint8_t choice)
{
    cookie_secrets_init(cookies, secret);
    f->info.is_tcp = (bits & IS_TCP) != 0;
    f->info.address_len = (bits & IS_V6) != 0 ? 16 : 4;
    f->info.random = choice * 0x01000193u;
    f->service.cookies = (bits & (HAS_COOKIES | COOKIES_REQUIRED)) != 0 ? cookies : NULL;
    f->service.is_cookie_required = (bits & COOKIES_REQUIRED) != 0;
    f->service.nsid_len = (bits & HAS_NSID) != 0 ? DNS_NSID_BYTES : 0;
    memset(f->service.nsid, 'n', DNS_NSID_BYTES);
    for (size_t i = 0; i < FIXTURE_SETS; i++) {
        f->sets[i].chosen = choice;
        f->sets[i].weights = (bits & IS_WEIGHTED) != 0 ? weights : NULL;
    }
}

static void check_readable(struct fixture *f, const uint8_t *answer, size_t len)
{
    const char *wrong;
    (void)packet_tell(answer, len, f->text, &wrong);
    ASSERT(wrong == NULL);
}

static void check_echo(const struct fixture *f, const uint8_t *query, size_t len)
{
    ASSERT(memcmp(f->answer, query, 2) == 0);
    ASSERT((f->answer[2] & 0xf8) == ((query[2] & 0x78) | 0x80));
    ASSERT((f->answer[2] & 1) == (query[2] & 1));
    if (f->answer[5] == 0)
        return;
    ASSERT(f->outcome.head_len > 12 && f->outcome.head_len <= len);
    ASSERT(memcmp(f->answer + 12, query + 12, (size_t)f->outcome.head_len - 12) == 0);
}

/* The same question by TCP: sections that came whole are the same. */
static void check_by_tcp(struct fixture *f, const uint8_t *query, size_t len)
{
    const bool was_tcp = f->info.is_tcp, was_truncated = f->outcome.is_truncated;
    const uint16_t rcode = f->outcome.rcode;
    uint8_t counts[4];

    memcpy(counts, f->answer + 6, sizeof counts);
    f->info.is_tcp = true;
    f->len = fixture_answer(f, query, len, f->answer, sizeof f->answer, &f->outcome);
    f->info.is_tcp = was_tcp;
    check_readable(f, f->answer, f->len);
    ASSERT(!f->outcome.is_truncated);
    ASSERT(was_truncated || rcode == DNS_RCODE_BADCOOKIE ||
           (f->outcome.rcode == rcode && memcmp(counts, f->answer + 6, sizeof counts) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fixture *f = the_fixture();
    struct cookie_secrets cookies;
    struct dns_outcome again;

    if (len < 2)
        return 0;
    set_circumstances(f, &cookies, data[0], data[1]);
    const size_t room = (data[0] & HAS_LITTLE_ROOM) != 0 ? DNS_UDP_BYTES : sizeof f->answer;
    const uint8_t *query = data + 2;
    len -= 2;
    f->len = fixture_answer(f, query, len, f->answer, room, &f->outcome);
    if (f->len == 0) {
        ASSERT(len < 12 || (query[2] & 0x80) != 0 || len > DNS_MESSAGE_BYTES);
        return 0;
    }
    const size_t bound = f->info.is_tcp ? room : f->outcome.opt_len > 0 ? DNS_UDP_ANSWER_BYTES : DNS_UDP_BYTES;
    ASSERT(f->len >= 12 && f->len <= bound && f->len <= room);
    check_readable(f, f->answer, f->len);
    check_echo(f, query, len);
    ASSERT((f->answer[3] & 15) == (f->outcome.rcode & 15));
    ASSERT(((f->answer[2] & 2) != 0) == f->outcome.is_truncated);
    ASSERT(f->outcome.kind != DNS_KIND_NONE);

    uint8_t *second = mem_alloc(room);
    const size_t second_len = fixture_answer(f, query, len, second, room, &again);
    ASSERT(second_len == f->len && memcmp(second, f->answer, f->len) == 0);
    check_readable(f, second, dns_answer_slip(second, second_len, &again));
    mem_free(second);
    check_by_tcp(f, query, len);
    f->service.cookies = NULL;
    return 0;
}
