/* Two values that do not go together, each fine alone: what is wrong is told at the one that came later, or that has no
 * use, with what it clashes with. Each case is a small file with one thing wrong, as in test_messages.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/conf/mistake.h"

/* clang-format off */
static const struct mistake mistakes[] = {
    {ROOT("alerts: [ { name: a } ]"),
     "t.yaml:1:11: alerts[0].webhook: is missing, expected it or email.smtp\n"},
    {ROOT("alerts: [ { webhook: \"ftp://h/\" } ]"),
     "t.yaml:1:22: alerts[0].webhook: is no URL, expected http:// or https://, host and path\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", email: { smtp: \"smtp://h\", from: a@b, to: [ c@d ] } } ]"),
     "t.yaml:1:50: alerts[0].email.smtp: has no use beside webhook, expected one of them\n"},
    {ROOT("alerts: [ { email: { smtp: \"http://h\" } } ]"),
     "t.yaml:1:28: alerts[0].email.smtp: is no mail server, expected smtps://host or smtp://host\nt.yaml:1:28: alerts[0].email.from: is missing, expected the sender's address\nt.yaml:1:28: alerts[0].email.to: is missing, expected at least one address\n"},
    {ROOT("alerts: [ { email: { smtp: \"smtp://h\", from: a@b, to: [ nobody ] } } ]"),
     "t.yaml:1:55: alerts[0].email.to: \"nobody\" is no address, expected name@host\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", form: pagerduty } ]"),
     "t.yaml:1:41: alerts[0].routing_key: is missing, expected the key of the integration\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", body: \"{{sumary}}\" } ]"),
     "t.yaml:1:41: alerts[0].body: has no such thing as \"{{sumary}}\", expected one of those in the manual\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", form: slack, body: x } ]"),
     "t.yaml:1:54: alerts[0].body: has no use with this form, expected form: generic\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", quiet: { from: \"25:00\" } } ]"),
     "t.yaml:1:50: alerts[0].quiet.to: is missing, expected an hour\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", quiet: { from: \"2:00\", to: \"07:00\", zone: CET } } ]"),
     "t.yaml:1:50: alerts[0].quiet.from: \"2:00\" is no hour, expected one such as \"22:00\"\nt.yaml:1:77: alerts[0].quiet.zone: \"CET\" is no offset, expected one such as \"+02:00\"\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", escalate: { to: nobody } } ]"),
     "t.yaml:1:51: alerts[0].escalate.to: \"nobody\" is not another alert, expected the name of one\n"},
    {ROOT("alerts: [ { name: a, webhook: \"http://h/\" }, { name: a, webhook: \"http://h/\" } ]"),
     "t.yaml:1:54: alerts[1].name: \"a\" is also the alert on line 1, expected another name\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", email: { from: a@b } } ]"),
     "t.yaml:1:50: alerts[0].email.from: has no use by itself, expected email.smtp with it\n"},
    {ROOT("alerts: [ { webhook: \"http://h/\", on: [ donw ] } ]"),
     "t.yaml:1:41: alerts[0].on: \"donw\" is not known, expected a list of down, up, degraded, forced, drain, failover, breaker, certificate, reload, crash, restart, start, stop, purge, ack, cut-off, dns, quorum or push\n"},
    {ROOT("quorum: { redis: { url: \"redis://h\" }, lifetime: 1s, interval: 334ms }"),
     "t.yaml:1:64: quorum.interval: is too long beside the lifetime, expected a third of that at most\n"},
    {LISTEN("{ address: \"127.0.0.1:1\" }\n  - { address: \"127.0.0.1:1\" }"),
     "t.yaml:5:16: listen[1].address: 127.0.0.1:1 clashes with the listener 127.0.0.1:1 on line 4, expected another address\n"},
    {ROOT("admin: { address: \"127.0.0.1:1\" }"),
     "t.yaml:1:19: admin.address: 127.0.0.1:1 clashes with the listener 127.0.0.1:1 on line 2, expected another address\n"},
    {LISTEN("{ address: \"0.0.0.0:1\" }\n  - { address: \"127.0.0.1:1\" }"),
     "t.yaml:5:16: listen[1].address: 127.0.0.1:1 clashes with the listener 0.0.0.0:1 on line 4, expected another address\n"},
    {LISTEN("{ address: \"[::1]:1\" }\n  - { address: \"[::]:1\" }"),
     "t.yaml:5:16: listen[1].address: [::]:1 clashes with the listener [::1]:1 on line 4, expected another address\n"},
    {ROOT("admin: { address: \"0.0.0.0:1\" }"),
     "t.yaml:1:19: admin.address: 0.0.0.0:1 clashes with the listener 127.0.0.1:1 on line 2, expected another address\n"},
    {LISTEN("{ address: \"unix:/tmp/c\" }\ncontrol: { path: /tmp/c }"),
     "t.yaml:4:16: listen[0].address: unix:/tmp/c is the control socket, expected another path\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { certificates: [] } }"),
     "t.yaml:4:52: listen[0].tls.certificates: is empty, expected a list, 1 to 256 items\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { certificates: [ { cert: \"-----BEGIN CERTIFICATE-----\", key: \"-----BEGIN \" } ] } }"),
     "t.yaml:4:62: listen[0].tls.certificates[0].cert: has no certificate that can be read, expected one in PEM\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { certificates: [ { cert: tests/unit/run } ] } }"),
     "t.yaml:4:54: listen[0].tls.certificates[0].key: is missing, expected the path of a PEM file, or PEM text\nt.yaml:4:62: listen[0].tls.certificates[0].cert: \"tests/unit/run\" has no PEM block, expected the path of a PEM file, or PEM text\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { certificates: [ { cert: \"-----BEGIN \", key: \"-----BEGIN \", ocsp: /dev/null } ] } }"),
     "t.yaml:4:62: listen[0].tls.certificates[0].cert: has no certificate that can be read, expected one in PEM\nt.yaml:4:103: listen[0].tls.certificates[0].ocsp: cannot read the file /dev/null: not a regular file, expected a readable text file\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { certificates: [ { cert: \"-----BEGIN \", key: \"-----BEGIN \", ocsp: tests/unit/run } ] } }"),
     "t.yaml:4:62: listen[0].tls.certificates[0].cert: has no certificate that can be read, expected one in PEM\nt.yaml:4:103: listen[0].tls.certificates[0].ocsp: \"tests/unit/run\" is not an OCSP response, expected the path of an OCSP response in DER or PEM\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { min_version: 1.3 } }"),
     "t.yaml:4:51: listen[0].tls.min_version: has no use without tls.certificates, expected at least one\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { min_version: 1.1 } }"),
     "t.yaml:4:51: listen[0].tls.min_version: \"1.1\" is not known, expected 1.2 or 1.3\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { client_ca: \"-----BEGIN \" } }"),
     "t.yaml:4:49: listen[0].tls.client_ca: has no use without tls.certificates, expected at least one\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { certificates: [ { cert: \"-----BEGIN \", key: \"-----BEGIN \" } ], client_certificate: required } }"),
     "t.yaml:4:62: listen[0].tls.certificates[0].cert: has no certificate that can be read, expected one in PEM\nt.yaml:4:121: listen[0].tls.client_certificate: needs to know who may vouch for clients, expected tls.client_ca as well\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tls: { certificates: [ { cert: \"-----BEGIN \", key: \"-----BEGIN \" } ], client_ca: \"-----BEGIN \" } }"),
     "t.yaml:4:62: listen[0].tls.certificates[0].cert: has no certificate that can be read, expected one in PEM\nt.yaml:4:112: listen[0].tls.client_ca: has no use without clients being asked, expected tls.client_certificate: optional or required\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", redirect_https: true, tls: { certificates: [ { cert: \"-----BEGIN \", key: \"-----BEGIN \" } ] } }"),
     "t.yaml:4:47: listen[0].redirect_https: would lead from https to https, expected it on a listener without tls\nt.yaml:4:84: listen[0].tls.certificates[0].cert: has no certificate that can be read, expected one in PEM\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", redirect_port: 8443 }"),
     "t.yaml:4:46: listen[0].redirect_port: has no use without a redirect, expected redirect_https: true as well\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", proxy_protocol: true }"),
     "t.yaml:4:47: listen[0].proxy_protocol: would believe nobody, expected trusted_proxies to name who may send PROXY headers\n"},
    {SERVER("{ name: s, url: \"ws://a\" }\n      - { name: s, url: \"ws://b\" }"),
     "t.yaml:7:17: pools.p.servers[1].name: \"s\" is also the server on line 6, expected another name\n"},
    {POOL("hash: { of: header, name: X-User }"),
     "t.yaml:6:17: pools.p.hash: has no use with balance: round-robin, expected balance: hash\n"},
    {POOL("balance: hash\n    hash: { of: query }"),
     "t.yaml:7:17: pools.p.hash.name: is missing, expected the name of the query parameter to hash\n"},
    {POOL("balance: hash\n    hash: { name: X-User }"),
     "t.yaml:7:19: pools.p.hash.name: has no use with of: ip, expected of: header or of: query\n"},
    {POOL("balance: hash\n    hash: { of: header, name: \"a:b\" }"),
     "t.yaml:7:31: pools.p.hash.name: \"a:b\" has a character that header names may not have, expected the name of a header\n"},
    {POOL("connect_timeout: 10s"),
     "t.yaml:6:22: pools.p.connect_timeout: 10s is longer than failover_timeout (5s), expected at most that\n"},
    {POOL("upgrade_timeout: 6s"),
     "t.yaml:6:22: pools.p.upgrade_timeout: 6s is longer than failover_timeout (5s), expected at most that\n"},
    {POOL("check: { timeout: 2s }"),
     "t.yaml:6:23: pools.p.check.timeout: 2s is longer than interval (1s), expected at most that\n"},
    {POOL("check: { type: dns }"), "t.yaml:5:16: pools.p.servers[0].check.dns.name: is missing, expected the name to ask for\n"},
    {POOL("check: { type: command }"),
     "t.yaml:5:16: pools.p.servers[0].check.command: is missing, expected a program by its full path\n"},
    {POOL("check: { type: command, command: [ true ] }"),
     "t.yaml:5:16: pools.p.servers[0].check.command: does not begin with the full path of a program, expected one\n"},
    {POOL("check: { type: redis, redis: { user: me } }"),
     "t.yaml:5:16: pools.p.servers[0].check.redis.user: is given without redis.password, expected both\n"},
    {POOL("check: { type: tls }"),
     "t.yaml:5:32: pools.p.servers[0].url: ws://h has no TLS to check, expected wss:// or https:// with type: tls\n"},
    {POOL("check: { type: tcp, expiry: { down: 1d } }"),
     "t.yaml:6:41: pools.p.check.expiry.down: has no use in a check of this type, expected type: tls, type: http or type: websocket with it\n"},
    {POOL("check: { type: http, command: [ /bin/true ], redis: { password: x }, dns: { name: x } }"),
     "t.yaml:6:35: pools.p.check.command: has no use in a check of this type, expected type: command with it\n"
     "t.yaml:6:69: pools.p.check.redis.password: has no use in a check of this type, expected type: redis with it\n"
     "t.yaml:6:87: pools.p.check.dns.name: has no use in a check of this type, expected type: dns with it\n"},
    {POOL("check: { type: tcp, expect: { headers: { a: b }, body: x } }"),
     "t.yaml:6:44: pools.p.check.expect.headers: has no use in a check of this type, expected type: http with it\n"
     "t.yaml:6:60: pools.p.check.expect.body: has no use in a check of this type, expected type: http with it\n"},
    {POOL("check: { interval_undecided: 2s }"),
     "t.yaml:6:34: pools.p.check.interval_undecided: 2s is longer than interval (1s), expected at most that\n"},
    {POOL("check: { timeout: 2s, interval: 1s }"),
     "t.yaml:6:23: pools.p.check.timeout: 2s is longer than interval (1s), expected at most that\n"},
    {SERVER("{ name: s, url: \"ws://h\", check: { interval: 500ms } }\n    check: { timeout: 900ms }"),
     "t.yaml:6:54: pools.p.servers[0].check.interval: 500ms is shorter than timeout (900ms), expected at least that\n"},
    {POOL("check: { path: /health }"),
     "t.yaml:6:20: pools.p.check.path: has no use in a check of this type, expected type: http or type: websocket with it\n"},
    {POOL("check: { type: none, host: a }"),
     "t.yaml:6:32: pools.p.check.host: has no use in a check of this type, expected type: http or type: websocket with it\n"},
    {POOL("check: { type: tcp, expect: { status: 204 } }"),
     "t.yaml:6:43: pools.p.check.expect.status: has no use in a check of this type, expected type: http with it\n"},
    {POOL("check: { type: http, speak: nothing }"),
     "t.yaml:6:33: pools.p.check.speak: has no use in a check of this type, expected type: websocket with it\n"},
    {SERVER("{ name: s, url: \"ws://h\", tls: { verify: false } }"),
     "t.yaml:6:50: pools.p.servers[0].tls.verify: has no use with ws://h, expected a wss:// or https:// url\n"},
    {SERVER("{ name: s, url: \"http://h\", tls: { server_name: a.example } }"),
     "t.yaml:6:57: pools.p.servers[0].tls.server_name: has no use with http://h, expected a wss:// or https:// url\n"},
    {SERVER("{ name: s, url: \"wss://h\", tls: { cert: \"-----BEGIN CERTIFICATE-----\" } }"),
     "t.yaml:6:49: pools.p.servers[0].tls.cert: is given without tls.key, expected both or neither\n"},
    {SERVER("{ name: s, url: \"wss://h\", tls: { key: \"-----BEGIN PRIVATE KEY-----\" } }"),
     "t.yaml:6:48: pools.p.servers[0].tls.key: is given without tls.cert, expected both or neither\n"},
    {SERVER("{ name: s, url: \"wss://h\", tls: { verify: maybe, cert: /nonexistent } }"),
     "t.yaml:6:51: pools.p.servers[0].tls.verify: \"maybe\" is not a boolean here, expected true or false\n"
     "t.yaml:6:64: pools.p.servers[0].tls.cert: cannot read the file /nonexistent: No such file or directory, expected a readable text file\n"},
    {ROUTE("path: /a\n  - { pool: p, path: /a }"),
     "t.yaml:6:22: routes[1].path: \"/a\" is also the route on line 4, expected another host or path\n"},
    {ROUTE("path: /a\n  - { pool: p, path: /a }\n  - { pool: p, path: /a }"), /* each once, not once for each other */
     "t.yaml:6:22: routes[1].path: \"/a\" is also the route on line 4, expected another host or path\n"
     "t.yaml:7:22: routes[2].path: \"/a\" is also the route on line 4, expected another host or path\n"},
    {ROUTE("host: A.example\n  - { pool: p, host: a.example }"),
     "t.yaml:6:5: routes[1].path: \"a.example/\" is also the route on line 4, expected another host or path\n"},
    {ROUTE("name: x\n  - { pool: p, path: /a, name: x }"),
     "t.yaml:6:32: routes[1].name: \"x\" is also the name of the route on line 4, expected another name\n"},
    {ROUTE("path: /live\nhealth: { path: /live }"),
     "t.yaml:6:17: health.path: \"/live\" is also the route on line 4, expected another path\n"},
    {ROUTE("path: /" LONG),
     "t.yaml:5:11: routes[0].name: host and path are too long for a name, expected one to be given\n"},
    {ROUTE("request_headers: { set: { Host: a } }"),
     "t.yaml:5:29: routes[0].request_headers.set: \"Host\" is not for editing, expected host_header instead\n"},
    {ROUTE("request_headers: { add: { Content-Length: 5, X-A: \"b\\r\\nX-B: c\" } }"),
     "t.yaml:5:29: routes[0].request_headers.add: \"Content-Length\" is the gateway's own business, expected another header\n"
     "t.yaml:5:29: routes[0].request_headers.add: the value of \"X-A\" cannot stand in a header, expected one line of text\n"},
    {ROUTE("response_headers: { remove: [ Sec-WebSocket-Accept, \"a b\" ], set: { X-A: \" b\" } }"),
     "t.yaml:5:33: routes[0].response_headers.remove: \"Sec-WebSocket-Accept\" is the gateway's own business, expected another header\n"
     "t.yaml:5:57: routes[0].response_headers.remove: \"a b\" has a character that header names may not have, expected letters, digits and hyphens\n"
     "t.yaml:5:71: routes[0].response_headers.set: the value of \"X-A\" cannot stand in a header, expected one line of text\n"},
    {ROUTE("path: /api/v2\n    rewrite: { strip_prefix: /api/v }"),
     "t.yaml:6:30: routes[0].rewrite.strip_prefix: \"/api/v\" is not what the route's path (/api/v2) begins with, expected that\n"},
    {ROUTE("path: /api\n    rewrite: { strip_prefix: /api/ }"),
     "t.yaml:6:30: routes[0].rewrite.strip_prefix: \"/api/\" is not what the route's path (/api) begins with, expected that\n"},
    {ROUTE("maintenance: { content_type: text/plain }"),
     "t.yaml:5:34: routes[0].maintenance.content_type: has no use by itself, expected body with it\n"},
    {ROUTE("maintenance: { body: x, content_type: html, status: 204 }"),
     "t.yaml:5:43: routes[0].maintenance.content_type: \"html\" is no media type, expected one such as text/html; charset=utf-8\n"
     "t.yaml:5:57: routes[0].maintenance.status: 204 has no body, expected another status\n"},
    {ROOT("headers: { client_subject: a/b }"),
     "t.yaml:1:28: headers.client_subject: \"a/b\" cannot be used, expected the name of a header of its own\n"},
    {ROOT("headers: { client_subject: Host }"),
     "t.yaml:1:28: headers.client_subject: \"Host\" cannot be used, expected the name of a header of its own\n"},
    {ROOT("trace: { sample: 10% }"),
     "t.yaml:1:18: trace.sample: has no use with this mode, expected mode: start with it\n"},
    {ROUTE("limits: { connections: 5, per_client: 6 }"),
     "t.yaml:5:43: routes[0].limits.per_client: is more than limits.connections (5), expected at most that\n"},
    {ROOT("limits: { connections: 5, per_client: 6 }"),
     "t.yaml:1:39: limits.per_client: is more than limits.connections (5), expected at most that\n"},
};
/* clang-format on */

static void test_every_conflict_has_its_message(void **state)
{
    (void)state;
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_conflict_has_its_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
