/* The keys of checks: what is asked of a server, how often, and what the answers make of it. */
#include "conf/conf.h"
#include "conf/schema_rows.h"

/* clang-format off */
static const struct schema_word check_type_words[] = {
    {"none", CHECK_NONE}, {"tcp", CHECK_TCP}, {"tls", CHECK_TLS}, {"http", CHECK_HTTP}, {"websocket", CHECK_WEBSOCKET},
    {"redis", CHECK_REDIS}, {"dns", CHECK_DNS}, {"command", CHECK_COMMAND}, {NULL, 0}};
static const struct schema_word speak_words[] = {
    {"nothing", SPEAK_NOTHING}, {"ping", SPEAK_PING}, {"phoenix", SPEAK_PHOENIX}, {NULL, 0}};
static const struct schema_word http_words[] = {{"auto", OVER_AUTO}, {"1.1", OVER_H1}, {"2", OVER_H2}, {NULL, 0}};
static const struct schema_word dns_record_words[] = { /* RFC 1035 section 3.2.2, RFC 3596 */
    {"A", 1}, {"NS", 2}, {"CNAME", 5}, {"SOA", 6}, {"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {NULL, 0}};
static const struct schema_word dns_expect_words[] = {
    {"answer", DNS_EXPECT_ANSWER}, {"noerror", DNS_EXPECT_NOERROR}, {"nxdomain", DNS_EXPECT_NXDOMAIN}, {"any", DNS_EXPECT_ANY}, {NULL, 0}};

const struct schema_row schema_check_rows[] = {
    {SECTION_CHECK, "type", KIND_WORD, IN(conf_check, type), .words = check_type_words, .standard = "tcp", .applies = APPLIES_CHECKER,
     .doc = "What is tried: a TCP connect, a TLS handshake, an HTTP request, a full WebSocket upgrade, a PING to Redis, a question to a name "
            "server, a program, or none. http and websocket use TLS when the server's url does; redis and dns do not."},
    {SECTION_CHECK, "url", KIND_ASKED_URL, IN(conf_check, url), .standard = "", .applies = APPLIES_CHECKER,
     .doc = "Of a target, and required there: what is asked. Its path, with a query if need be, is the check's unless path is given. "
            "tcp://host:port where nothing of HTTP is meant."},
    {SECTION_CHECK, "path", KIND_HTTP_TARGET, IN(conf_check, path), .standard = "/", .applies = APPLIES_CHECKER,
     .doc = "What to ask for, with a query if need be."},
    {SECTION_CHECK, "host", KIND_AUTHORITY, IN(conf_check, host), .standard = "", .applies = APPLIES_CHECKER,
     .doc = "The Host field. Empty: that of the server's url."},
    {SECTION_CHECK, "port", KIND_UINT, IN(conf_check, port), RANGE(0, 65535), .standard = "0", .applies = APPLIES_CHECKER,
     .doc = "The port to probe. 0: that of the server's url."},
    {SECTION_CHECK, "interval", KIND_DURATION, IN(conf_check, interval_ms), RANGE(10 * MS, DAY), .standard = "1s",
     .applies = APPLIES_CHECKER, .doc = "From the start of one probe to the start of the next."},
    {SECTION_CHECK, "interval_undecided", KIND_DURATION, IN(conf_check, interval_undecided_ms), RANGE(0, DAY), .standard = "0",
     .standard_doc = "a quarter of interval, but not less than 100ms", .applies = APPLIES_CHECKER,
     .doc = "The interval while results contradict the state but are not enough yet, and while nothing is known."},
    {SECTION_CHECK, "timeout", KIND_DURATION, IN(conf_check, timeout_ms), RANGE(1 * MS, DAY), .standard = "800ms",
     .standard_doc = "800ms, or the interval if that is less", .applies = APPLIES_CHECKER,
     .doc = "A probe that takes longer has failed."},
    {SECTION_CHECK, "rise", KIND_UINT, IN(conf_check, rise), RANGE(1, 100), .standard = "2", .applies = APPLIES_CHECKER,
     .doc = "Good probes in a row until a server that was down is up."},
    {SECTION_CHECK, "fall", KIND_UINT, IN(conf_check, fall), RANGE(1, 100), .standard = "2", .applies = APPLIES_CHECKER,
     .doc = "Failed probes in a row until a server that was up is down."},
    {SECTION_CHECK, "hold", KIND_DURATION, IN(conf_check, hold_ms), RANGE(0, DAY), .standard = "0", .applies = APPLIES_CHECKER,
     .doc = "How long a state lasts at least, whatever the probes say meanwhile. 0: it changes with rise and fall alone."},
    {SECTION_CHECK, "fail_back", KIND_DURATION, IN(conf_check, fail_back_ms), RANGE(0, DAY), .standard = "0", .applies = APPLIES_CHECKER,
     .doc = "For how long a server that was down must have answered every probe before it is up again. 0: rise is enough."},
    {SECTION_CHECK, "flap.changes", KIND_UINT, IN(conf_check, flap_changes), RANGE(0, CONF_FLAP_CHANGES_MAX), .standard = "0",
     .applies = APPLIES_CHECKER, .doc = "A server that goes down with its so manyth change of state within flap.window is flapping: it stays "
                                        "down until it has been quiet. 0: no such rule."},
    {SECTION_CHECK, "flap.window", KIND_DURATION, IN(conf_check, flap_window_ms), RANGE(1 * MS, DAY), .standard = "5m",
     .applies = APPLIES_CHECKER, .doc = "The time in which changes are counted."},
    {SECTION_CHECK, "flap.quiet", KIND_DURATION, IN(conf_check, flap_quiet_ms), RANGE(1 * MS, DAY), .standard = "2m",
     .applies = APPLIES_CHECKER, .doc = "For how long a flapping server must have answered every probe before it is up again."},
    {SECTION_CHECK, "degraded_over", KIND_DURATION, IN(conf_check, degraded_over_ms), RANGE(0, HOUR), .standard = "0",
     .applies = APPLIES_CHECKER, .doc = "A server whose answers take longer than this on average is up but degraded, which status and health "
                                        "say; it still gets traffic. 0: never."},
    {SECTION_CHECK, "jitter", KIND_PERCENT, IN(conf_check, jitter_percent), RANGE(0, 50), .standard = "10%", .applies = APPLIES_CHECKER,
     .doc = "By how much each interval is randomly shortened or lengthened."},
    {SECTION_CHECK, "watch", KIND_BOOL, IN(conf_check, watch), .standard = "false", .applies = APPLIES_CHECKER,
     .doc = "Keep one idle connection to the server between checks, and check at once when the server ends it, however long the interval is: "
            "a process that dies is known at once, one that hangs is not. Nothing is sent on it. Leave it off where a server can hold few "
            "connections, or one at a time."},
    {SECTION_CHECK, "http", KIND_WORD, IN(conf_check, http), .words = http_words, .standard = "auto", .applies = APPLIES_CHECKER,
     .doc = "With type: http, the version that is spoken. auto: over TLS what the server chooses (ALPN), without it HTTP/1.1. 2 without TLS "
            "is spoken without asking first."},
    {SECTION_CHECK, "expect.status", KIND_STATUS, IN(conf_check, expect_statuses), .standard = "200-299", .applies = APPLIES_CHECKER,
     .doc = "With type: http, what the status of a good answer may be: one, a range, or several with commas between."},
    {SECTION_CHECK, "expect.headers", KIND_PAIRS, IN(conf_check, expect_headers), RANGE(0, CONF_EXPECT_HEADERS_MAX), .applies = APPLIES_CHECKER,
     .doc = "With type: http, fields a good answer has, each with a text that its value contains; * : any value."},
    {SECTION_CHECK, "expect.body", KIND_TEXT, IN(conf_check, expect_body), RANGE(0, 1024), .standard = "", .applies = APPLIES_CHECKER,
     .doc = "With type: http, a text that the body of a good answer contains within its first 64 KiB."},
    {SECTION_CHECK, "speak", KIND_WORD, IN(conf_check, speak), .words = speak_words, .standard = "ping", .applies = APPLIES_CHECKER,
     .doc = "With type: websocket, what to say after the upgrade: a ping, or a heartbeat of Phoenix Channels (vsn 2.0.0). It must be answered within the timeout."},
    {SECTION_CHECK, "canary.topic", KIND_LABEL, IN(conf_check, canary_topic), .standard = "", .applies = APPLIES_CHECKER,
     .doc = "With speak: phoenix, a topic that is joined here and at canary.peer; a broadcast sent there must arrive here within the timeout, "
            "so that a server that is alone without knowing it shows. When the peer cannot be asked, the heartbeat alone decides. Empty: no "
            "such test."},
    {SECTION_CHECK, "canary.peer", KIND_LABEL, IN(conf_check, canary_peer), .standard = "", .applies = APPLIES_CHECKER,
     .doc = "The other server, as pool/server."},
    {SECTION_CHECK, "expiry.degraded", KIND_DURATION, IN(conf_check, expiry_degraded_ms), RANGE(0, 3650 * DAY), .standard = "1d",
     .applies = APPLIES_CHECKER, .doc = "Over TLS, a server whose certificate ends sooner than this is degraded. 0: never."},
    {SECTION_CHECK, "expiry.down", KIND_DURATION, IN(conf_check, expiry_down_ms), RANGE(0, 3650 * DAY), .standard = "0",
     .applies = APPLIES_CHECKER, .doc = "Over TLS, a server whose certificate ends sooner than this has failed the probe. 0: what verification says is enough."},
    {SECTION_CHECK, "redis.user", KIND_TEXT, IN(conf_check, redis_user), RANGE(0, 255), .standard = "", .applies = APPLIES_CHECKER,
     .doc = "With type: redis, whom AUTH names. Empty: the default user."},
    {SECTION_CHECK, "redis.password", KIND_TEXT, IN(conf_check, redis_password), RANGE(0, 1023), .standard = "", .is_secret = true,
     .applies = APPLIES_CHECKER, .doc = "With type: redis, the password for AUTH. Empty: no AUTH."},
    {SECTION_CHECK, "dns.name", KIND_HOST, IN(conf_check, dns_name), .standard = "", .applies = APPLIES_CHECKER,
     .doc = "With type: dns, the name asked for, over UDP."},
    {SECTION_CHECK, "dns.record", KIND_WORD, IN(conf_check, dns_record), .words = dns_record_words, .standard = "A", .applies = APPLIES_CHECKER,
     .doc = "The type of record asked for."},
    {SECTION_CHECK, "dns.expect", KIND_WORD, IN(conf_check, dns_expect), .words = dns_expect_words, .standard = "answer", .applies = APPLIES_CHECKER,
     .doc = "What is good: a record of that type, NOERROR with or without one, NXDOMAIN, or any reply at all."},
    {SECTION_CHECK, "command", KIND_ARGUMENTS, IN(conf_check, command), RANGE(0, CONF_COMMAND_ARGUMENTS_MAX), .applies = APPLIES_CHECKER,
     .doc = "With type: command, a program by its full path, and its arguments. Exit status 0 is good. It runs as the checker's user with "
            "TIDEGATE_SERVER, TIDEGATE_HOST, TIDEGATE_ADDRESS, TIDEGATE_PORT and PATH in its environment, and is killed at the timeout."},
};
/* clang-format on */

const size_t schema_check_row_count = sizeof schema_check_rows / sizeof schema_check_rows[0];

ARRAY_FITS(conf_check, expect_headers, expect_header_count);
ARRAY_FITS(conf_check, command, command_count);
