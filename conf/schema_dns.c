/* The tables of keys of DNS: targets, dns with its records and answers, and quorum. */
#include "conf/conf.h"
#include "conf/schema_rows.h"

#define RECORDS_MAX 4096 /* of the zone: each is small, and all of them are built anew at a reload */
#define VALUES_MAX  32

/* clang-format off */
static const struct schema_word steer_words[] = {
    {"failover", STEER_FAILOVER}, {"all-healthy", STEER_ALL_HEALTHY}, {"weighted", STEER_WEIGHTED}, {NULL, 0}};
static const struct schema_word resort_words[] = {
    {"all", RESORT_ALL}, {"emergency", RESORT_EMERGENCY}, {"fail-static", RESORT_FAIL_STATIC}, {NULL, 0}};
static const struct schema_word tsig_words[] = {
    {"hmac-sha256", TSIG_HMAC_SHA256}, {"hmac-sha384", TSIG_HMAC_SHA384}, {"hmac-sha512", TSIG_HMAC_SHA512}, {NULL, 0}};

const struct schema_row schema_dns_rows[] = {
    /* ---- targets.<name> ---- */
    {SECTION_TARGET, "region", KIND_REGION, IN(conf_server, region), .standard = "", .applies = APPLIES_ALL,
     .doc = "Where it is; shown in status."},
    {SECTION_TARGET, "drain", KIND_BOOL, IN(conf_server, drain), .standard = "false", .applies = APPLIES_ALL,
     .doc = "Takes it out of the answers, as long as there are others."},
    {SECTION_TARGET, "tls.ca", KIND_FILE, IN(conf_server, tls.ca), .standard = "", .standard_doc = "the system's trust store",
     .applies = APPLIES_CHECKER, .doc = "PEM file with the authorities that may vouch for the target."},
    {SECTION_TARGET, "tls.cert", KIND_FILE, IN(conf_server, tls.cert), .standard = "", .applies = APPLIES_CHECKER,
     .doc = "PEM file with the certificate, and its chain, shown to the target."},
    {SECTION_TARGET, "tls.key", KIND_FILE, IN(conf_server, tls.key), .standard = "", .is_secret = true, .applies = APPLIES_CHECKER,
     .doc = "PEM file with the private key of tls.cert."},
    {SECTION_TARGET, "tls.server_name", KIND_HOST, IN(conf_server, tls.server_name), .standard = "",
     .standard_doc = "check.host, or the host of check.url", .applies = APPLIES_CHECKER,
     .doc = "The name to ask for (SNI) and to find in the target's certificate."},
    {SECTION_TARGET, "tls.verify", KIND_BOOL, IN(conf_server, tls.verify), .standard = "true", .applies = APPLIES_CHECKER,
     .doc = "Whether the target's certificate is checked. Without it anybody in between can answer for it."},
    {SECTION_TARGET, "check", KIND_INLINE, IN(conf_server, check), .of = SECTION_CHECK, .applies = APPLIES_CHECKER,
     .doc = "How to find out whether it works, and where: check.url."},

    /* ---- dns ---- */
    {SECTION_DNS, "zone", KIND_DOMAIN, IN(conf_dns, zone), .standard = "", .applies = APPLIES_ALL,
     .doc = "The zone's name, such as rt.example.com. Empty: no DNS."},
    {SECTION_DNS, "listen", KIND_ADDRESSES, IN(conf_dns, listen), RANGE(0, 16), .applies = APPLIES_SUPERVISOR,
     .doc = "Where questions come in, over UDP and TCP. None: nothing is answered, changes are only pushed."},
    {SECTION_DNS, "nameservers", KIND_DOMAINS, IN(conf_dns, nameservers), RANGE(0, 13), .applies = APPLIES_ALL,
     .doc = "The zone's NS records; the first is the primary in its SOA. Those below the zone need a record with their addresses."},
    {SECTION_DNS, "contact", KIND_LABEL, IN(conf_dns, contact), .standard = "", .standard_doc = "hostmaster@ and the zone",
     .applies = APPLIES_ALL, .doc = "The mail address in the SOA."},
    {SECTION_DNS, "ttl", KIND_SECONDS, IN(conf_dns, ttl_ms), RANGE(0, 7 * DAY), .standard = "60s", .applies = APPLIES_ALL,
     .doc = "Of records that say nothing else, and of NS and SOA."},
    {SECTION_DNS, "negative_ttl", KIND_SECONDS, IN(conf_dns, negative_ttl_ms), RANGE(0, DAY), .standard = "30s", .applies = APPLIES_ALL,
     .doc = "How long others may remember that a name or type is not there (RFC 2308)."},
    {SECTION_DNS, "refresh", KIND_SECONDS, IN(conf_dns, refresh_ms), RANGE(1 * SECOND, 30 * DAY), .standard = "1h", .applies = APPLIES_ALL,
     .doc = "In the SOA, for secondaries."},
    {SECTION_DNS, "retry", KIND_SECONDS, IN(conf_dns, retry_ms), RANGE(1 * SECOND, 30 * DAY), .standard = "5m", .applies = APPLIES_ALL,
     .doc = "In the SOA, for secondaries."},
    {SECTION_DNS, "expire", KIND_SECONDS, IN(conf_dns, expire_ms), RANGE(1 * SECOND, 365 * DAY), .standard = "14d", .applies = APPLIES_ALL,
     .doc = "In the SOA, for secondaries."},
    {SECTION_DNS, "records", KIND_LIST, IN(conf_dns, records), RANGE(0, RECORDS_MAX), .of = SECTION_DNS_RECORD, .standard_doc = "none",
     .applies = APPLIES_ALL, .doc = "What is in the zone besides SOA and NS."},
    {SECTION_DNS, "nsid", KIND_LABEL, IN(conf_dns, nsid), .standard = "", .applies = APPLIES_ALL,
     .doc = "What this server calls itself when it is asked for that (RFC 5001). Empty: it does not."},
    {SECTION_DNS, "cookies", KIND_BOOL, IN(conf_dns, cookies), .standard = "true", .applies = APPLIES_ALL,
     .doc = "Whether cookies (RFC 7873) are answered. A client with a good one is not limited by rate."},
    {SECTION_DNS, "cookie_required", KIND_BOOL, IN(conf_dns, cookie_required), .standard = "false", .applies = APPLIES_ALL,
     .doc = "Whether a client that speaks of cookies must have a good one to be answered over UDP."},
    {SECTION_DNS, "cookie_secret", KIND_TEXT, IN(conf_dns, cookie_secret), RANGE(1, 64), .standard = "", .standard_doc = "made at each start",
     .is_secret = true, .applies = APPLIES_ALL,
     .doc = "What cookies are made with: 32 hexadecimal digits, the same on all servers behind one address (RFC 9018)."},
    {SECTION_DNS, "cookie_previous", KIND_TEXT, IN(conf_dns, cookie_previous), RANGE(1, 64), .standard = "", .is_secret = true,
     .applies = APPLIES_ALL, .doc = "One more that is accepted, while clients still have cookies made with it."},
    {SECTION_DNS, "rate.answers", KIND_UINT, IN(conf_dns, rate.answers), RANGE(0, 1000000), .standard = "200", .applies = APPLIES_ALL,
     .doc = "Answers over UDP per second to one network (/24 of IPv4, /56 of IPv6). 0: no limit."},
    {SECTION_DNS, "rate.nxdomain", KIND_UINT, IN(conf_dns, rate.nxdomain), RANGE(0, 1000000), .standard = "50", .applies = APPLIES_ALL,
     .doc = "The same for answers that there is no such name. 0: no limit."},
    {SECTION_DNS, "rate.errors", KIND_UINT, IN(conf_dns, rate.errors), RANGE(0, 1000000), .standard = "20", .applies = APPLIES_ALL,
     .doc = "The same for errors and refusals. 0: no limit."},
    {SECTION_DNS, "rate.burst", KIND_SECONDS, IN(conf_dns, rate.burst_s), RANGE(1 * SECOND, MINUTE), .standard = "5s", .applies = APPLIES_ALL,
     .doc = "For how long a network that was quiet may be answered without limit of rate."},
    {SECTION_DNS, "rate.slip", KIND_UINT, IN(conf_dns, rate.slip), RANGE(0, 100), .standard = "2", .applies = APPLIES_ALL,
     .doc = "Every so manyth answer over the limit is sent truncated, so that a real client comes back over TCP; the others are not sent. 0: none is."},
    {SECTION_DNS, "rate.prefixes", KIND_UINT, IN(conf_dns, rate.prefixes), RANGE(1024, 4194304), .standard = "65536", .applies = APPLIES_ALL,
     .doc = "Networks that are remembered at a time."},
    {SECTION_DNS, "tcp.connections", KIND_UINT, IN(conf_dns, tcp.connections), RANGE(1, 65536), .standard = "512", .applies = APPLIES_ALL,
     .doc = "Open TCP connections."},
    {SECTION_DNS, "tcp.per_client", KIND_UINT, IN(conf_dns, tcp.per_client), RANGE(1, 65536), .standard = "32", .applies = APPLIES_ALL,
     .doc = "Of one client address."},
    {SECTION_DNS, "tcp.idle", KIND_DURATION, IN(conf_dns, tcp.idle_ms), RANGE(100 * MS, HOUR), .standard = "10s", .applies = APPLIES_ALL,
     .doc = "How long a connection may wait for its next question (RFC 7766)."},
    {SECTION_DNS, "tcp.pipelined", KIND_UINT, IN(conf_dns, tcp.pipelined), RANGE(1, 10000), .standard = "64", .applies = APPLIES_ALL,
     .doc = "Answers that may wait for a slow client before no more of its questions are read."},
    {SECTION_DNS, "push", KIND_LIST, IN(conf_dns, pushes), RANGE(0, CONF_DNS_PUSHES_MAX), .of = SECTION_DNS_PUSH, .standard_doc = "none",
     .applies = APPLIES_ALL, .doc = "Servers that are told of changes."},

    /* ---- dns.records[] ---- */
    {SECTION_DNS_RECORD, "name", KIND_OWNER, IN(conf_dns_record, name), .is_required = true, .applies = APPLIES_ALL,
     .doc = "@ for the zone itself, a name below it, or an absolute one with a dot at its end. * as its first part stands for all names "
            "that are not there."},
    {SECTION_DNS_RECORD, "steer", KIND_WORD, IN(conf_dns_record, steer), .words = steer_words, .standard = "failover", .applies = APPLIES_ALL,
     .doc = "Of answers. failover: all that stand in the best tier that has one. all-healthy: all that stand; the emergency tier when nothing else "
            "does. weighted: as failover, but one of them for each question, by weight."},
    {SECTION_DNS_RECORD, "last_resort", KIND_WORD, IN(conf_dns_record, last_resort), .words = resort_words, .standard = "all",
     .applies = APPLIES_ALL, .doc = "Of answers, when none stands. all: all of them. emergency: those of the emergency tier. fail-static: what was answered last."},
    {SECTION_DNS_RECORD, "ttl_min", KIND_SECONDS, IN(conf_dns_record, ttl_min_ms), RANGE(0, DAY), .standard = "5s", .applies = APPLIES_ALL,
     .doc = "Of answers. Their TTL is never longer than the time after which they could be others, but not less than this."},
    {SECTION_DNS_RECORD, "ttl_max", KIND_SECONDS, IN(conf_dns_record, ttl_max_ms), RANGE(0, 7 * DAY), .standard = "60s", .applies = APPLIES_ALL,
     .doc = "Of answers, at most."},
    {SECTION_DNS_RECORD, "answers", KIND_LIST, IN(conf_dns_record, answers), RANGE(0, CONF_DNS_ANSWERS_MAX), .of = SECTION_DNS_ANSWER,
     .standard_doc = "none", .applies = APPLIES_ALL, .doc = "What there is to choose from."},
    {SECTION_DNS_RECORD, "ttl", KIND_SECONDS, IN(conf_dns_record, ttl_ms), RANGE(0, 7 * DAY), .standard = "0", .standard_doc = "dns.ttl",
     .applies = APPLIES_ALL, .doc = "Of the values below. 0: that of the zone."},
    {SECTION_DNS_RECORD, "a", KIND_IPV4S, IN(conf_dns_record, a), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL, .doc = "IPv4 addresses."},
    {SECTION_DNS_RECORD, "aaaa", KIND_IPV6S, IN(conf_dns_record, aaaa), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL, .doc = "IPv6 addresses."},
    {SECTION_DNS_RECORD, "cname", KIND_DOMAIN, IN(conf_dns_record, cname), .standard = "", .applies = APPLIES_ALL,
     .doc = "The name this one stands for; it has no other records then."},
    {SECTION_DNS_RECORD, "alias", KIND_DOMAIN, IN(conf_dns_record, alias), .standard = "", .applies = APPLIES_ALL,
     .doc = "A name whose addresses are looked up and answered as this one's own; for the zone itself, where a CNAME cannot be."},
    {SECTION_DNS_RECORD, "ns", KIND_DOMAINS, IN(conf_dns_record, ns), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL,
     .doc = "Name servers of a zone below, which is somebody else's then."},
    {SECTION_DNS_RECORD, "mx", KIND_RECORDS, IN(conf_dns_record, mx), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL,
     .doc = "Mail servers: preference and name, such as \"10 mail.example.com\"."},
    {SECTION_DNS_RECORD, "txt", KIND_RECORDS, IN(conf_dns_record, txt), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL,
     .doc = "Texts as they are, of any length; they are cut into pieces of 255 bytes."},
    {SECTION_DNS_RECORD, "srv", KIND_RECORDS, IN(conf_dns_record, srv), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL,
     .doc = "Priority, weight, port and name, such as \"0 5 443 rt.example.com\"."},
    {SECTION_DNS_RECORD, "caa", KIND_RECORDS, IN(conf_dns_record, caa), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL,
     .doc = "Flags, tag and value, such as '0 issue \"letsencrypt.org\"'."},
    {SECTION_DNS_RECORD, "https", KIND_RECORDS, IN(conf_dns_record, https), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL,
     .doc = "Priority, name and parameters (RFC 9460), such as \"1 . alpn=h2\"."},
    {SECTION_DNS_RECORD, "svcb", KIND_RECORDS, IN(conf_dns_record, svcb), RANGE(0, VALUES_MAX), .applies = APPLIES_ALL,
     .doc = "The same for other services."},

    /* ---- dns.records[].answers[] ---- */
    {SECTION_DNS_ANSWER, "target", KIND_LABEL, IN(conf_dns_answer, target), .standard = "", .applies = APPLIES_ALL,
     .doc = "Whose verdict counts: the name of a target, or pool/server. Empty: it always stands, as one that nobody has judged."},
    {SECTION_DNS_ANSWER, "requires", KIND_LABELS, IN(conf_dns_answer, requires), RANGE(0, CONF_DNS_REQUIRES_MAX), .applies = APPLIES_ALL,
     .doc = "Further ones, written likewise, that must not be down; a region is its entry point and what is behind it."},
    {SECTION_DNS_ANSWER, "tier", KIND_WORD, IN(conf_dns_answer, tier), .words = schema_tier_words, .standard = "primary", .applies = APPLIES_ALL,
     .doc = "A tier is answered only when all better ones have nothing that stands."},
    {SECTION_DNS_ANSWER, "weight", KIND_UINT, IN(conf_dns_answer, weight), RANGE(0, 1000), .standard = "1", .applies = APPLIES_ALL,
     .doc = "With steer: weighted, its share. 0: it is not answered."},
    {SECTION_DNS_ANSWER, "a", KIND_IPV4S, IN(conf_dns_answer, a), RANGE(0, CONF_DNS_ADDRESSES_MAX), .applies = APPLIES_ALL,
     .doc = "IPv4 addresses."},
    {SECTION_DNS_ANSWER, "aaaa", KIND_IPV6S, IN(conf_dns_answer, aaaa), RANGE(0, CONF_DNS_ADDRESSES_MAX), .applies = APPLIES_ALL,
     .doc = "IPv6 addresses."},
    {SECTION_DNS_ANSWER, "cname", KIND_DOMAIN, IN(conf_dns_answer, cname), .standard = "", .applies = APPLIES_ALL,
     .doc = "Instead of addresses, a name. Where no CNAME may be, its addresses are looked up."},

    /* ---- dns.push[] ---- */
    {SECTION_DNS_PUSH, "server", KIND_NODE, IN(conf_dns_push, server), .is_required = true, .applies = APPLIES_ALL,
     .doc = "The server, as host:port."},
    {SECTION_DNS_PUSH, "zone", KIND_DOMAIN, IN(conf_dns_push, zone), .standard = "", .standard_doc = "dns.zone", .applies = APPLIES_ALL,
     .doc = "The zone at that server in which dns.zone, or its names, are."},
    {SECTION_DNS_PUSH, "key_name", KIND_DOMAIN, IN(conf_dns_push, key_name), .is_required = true, .applies = APPLIES_ALL,
     .doc = "The name of the key, as that server has it."},
    {SECTION_DNS_PUSH, "key_algorithm", KIND_WORD, IN(conf_dns_push, key_algorithm), .words = tsig_words, .standard = "hmac-sha256",
     .applies = APPLIES_ALL, .doc = "What is done with the key."},
    {SECTION_DNS_PUSH, "key_secret", KIND_TEXT, IN(conf_dns_push, key_secret), RANGE(1, 512), .is_required = true, .is_secret = true,
     .applies = APPLIES_ALL, .doc = "The key in base64; best as ${NAME} or !file path."},
    {SECTION_DNS_PUSH, "timeout", KIND_DURATION, IN(conf_dns_push, timeout_ms), RANGE(100 * MS, MINUTE), .standard = "3s", .applies = APPLIES_ALL,
     .doc = "How long that server may take to say that it has the change; it is told again then."},

    /* ---- quorum ---- */
    {SECTION_QUORUM, "redis", KIND_INLINE, IN(conf_quorum, redis), .of = SECTION_REDIS, .applies = APPLIES_CHECKER,
     .doc = "Where they meet. Without a url, each is alone. Unless given, timeout is 1s here (a fourth of the lifetime at most), "
            "connect_timeout 2s, and there is no circuit."},
    {SECTION_QUORUM, "group", KIND_NAME, IN(conf_quorum, group), .standard = "tidegate", .applies = APPLIES_CHECKER,
     .doc = "Those who judge together use the same."},
    {SECTION_QUORUM, "lifetime", KIND_DURATION, IN(conf_quorum, lifetime_ms), RANGE(300 * MS, HOUR), .standard = "5s", .applies = APPLIES_CHECKER,
     .doc = "How long a view counts, and how long one who decided for all may be silent before another one does."},
    {SECTION_QUORUM, "interval", KIND_DURATION, IN(conf_quorum, interval_ms), RANGE(50 * MS, 10 * MINUTE), .standard = "500ms",
     .applies = APPLIES_CHECKER, .doc = "How often views are exchanged while all is quiet; a change is told at once. A third of the lifetime at most."},
};
/* clang-format on */

const size_t schema_dns_row_count = sizeof schema_dns_rows / sizeof schema_dns_rows[0];

ARRAY_FITS(conf_dns, listen, listen_count);
ARRAY_FITS(conf_dns, nameservers, nameserver_count);
ARRAY_FITS(conf_dns, records, record_count);
ARRAY_FITS(conf_dns, pushes, push_count);
ARRAY_FITS(conf_dns_record, answers, answer_count);
ARRAY_FITS(conf_dns_record, a, a_count);
ARRAY_FITS(conf_dns_record, aaaa, aaaa_count);
ARRAY_FITS(conf_dns_record, ns, ns_count);
ARRAY_FITS(conf_dns_record, mx, mx_count);
ARRAY_FITS(conf_dns_record, txt, txt_count);
ARRAY_FITS(conf_dns_record, srv, srv_count);
ARRAY_FITS(conf_dns_record, caa, caa_count);
ARRAY_FITS(conf_dns_record, https, https_count);
ARRAY_FITS(conf_dns_record, svcb, svcb_count);
ARRAY_FITS(conf_dns_answer, requires, require_count);
ARRAY_FITS(conf_dns_answer, a, a_count);
ARRAY_FITS(conf_dns_answer, aaaa, aaaa_count);
ARRAY_FITS(conf, targets, target_count);
_Static_assert(offsetof(struct conf_address, text) == 0 &&
                   offsetof(struct conf_address, addr) ==
                       offsetof(struct conf_listen, addr) - offsetof(struct conf_listen, text),
               "an address of a list has the shape of the others");
