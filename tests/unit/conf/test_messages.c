/* Every kind of mistake with the exact words it gets: what the user sees is part of the interface. Each case is a small
 * file with one thing wrong; `t.yaml:LINE:COLUMN` points into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/conf/mistake.h"

/* clang-format off */
static const struct mistake mistakes[] = {

    /* ---- keys ---- */
    {ROOT("regoin: eu"),
     "t.yaml:1:1: regoin: unknown key, expected one of node, workers, user, state_dir, journal, log, headers, trace, control, admin, health, limits, drain, cache, alerts, canaries, trusted_proxies, listen, pools, routes, targets, dns, quorum\n"},
    {ROOT("listn: []"),
     "t.yaml:1:1: listn: unknown key, expected listen?\n"},
    {ROOT("telemetry: { memory: 64MiB }"),
     "t.yaml:1:1: telemetry: unknown key, expected one of node, workers, user, state_dir, journal, log, headers, trace, control, admin, health, limits, drain, cache, alerts, canaries, trusted_proxies, listen, pools, routes, targets, dns, quorum\n"},
    {ROOT("log: { colour: true }"),
     "t.yaml:1:8: log.colour: unknown key, expected one of level, format, file, access, access_format, access_query, access_file\n"},
    {ROOT("log: { levl: info }"),
     "t.yaml:1:8: log.levl: unknown key, expected level?\n"},
    {ROOT("log: debug"),
     "t.yaml:1:6: log: is not a section, expected one with level, format, file, access, access_format, access_query, access_file\n"},
    {ROOT("level: debug"),
     "t.yaml:1:1: level: unknown key, expected it as log.level\n"},
    {ROOT("workers: 2\nworkers: 3"),
     "t.yaml:2:1: workers: given twice, expected once (first on line 1)\n"},
    {LISTEN("{ address: \"127.0.0.1:1\", tsl: {} }"),
     "t.yaml:4:31: listen[0].tsl: unknown key, expected tls?\n"},
    {POOL("balace: hash"),
     "t.yaml:6:5: pools.p.balace: unknown key, expected balance?\n"},
    {POOL("interval: 1s"),
     "t.yaml:6:5: pools.p.interval: unknown key, expected it as check.interval\n"},
    {POOL("circuit: { connect_timeout: 1s }"),
     "t.yaml:6:16: pools.p.circuit.connect_timeout: unknown key, expected it as connect_timeout\n"},
    {POOL("circuit: 5"),
     "t.yaml:6:14: pools.p.circuit: is not a section, expected one with failures, open, half_open\n"},
    {POOL("check: tcp"),
     "t.yaml:6:12: pools.p.check: is not a section, expected one with type, url, path, host, port, interval, interval_undecided, timeout, rise, fall, hold, fail_back, flap, degraded_over, jitter, watch, http, expect, speak, canary, expiry, redis, dns, command\n"},
    {SERVER("{ name: s, url: \"ws://h\", wieght: 2 }"),
     "t.yaml:6:35: pools.p.servers[0].wieght: unknown key, expected weight?\n"},
    {ROUTE("websocket: { pulse: 30s }"),
     "t.yaml:5:18: routes[0].websocket.pulse: unknown key, expected one of protocol, upstream, idle_timeout, max_lifetime, max_message, check_utf8, buffer, delivery, gap, heartbeat, dead_after, queue, queue_bytes, channels, backoff, hedge_after, give_up, answer_within, wait_ready, restore, move, quality, compression, origins\n"},
    {ROUTE("idle_timeout: 5s"),
     "t.yaml:5:5: routes[0].idle_timeout: unknown key, expected it as websocket.idle_timeout\n"},
    {ROOT("\"log.level\": info"),
     "t.yaml:1:1: log.level: unknown key, expected sections in each other instead of dots\n"},
    {ROOT("\"bad\\tkey\\e\": 1"),
     "t.yaml:1:1: a key with a control character, expected at most 256 bytes of text\n"},

    /* ---- missing ---- */
    {SERVER("{ url: \"ws://h\" }"),
     "t.yaml:6:9: pools.p.servers[0].name: is missing, expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    {SERVER("{ name: s }"),
     "t.yaml:6:9: pools.p.servers[0].url: is missing, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("s"),
     "t.yaml:6:9: pools.p.servers[0]: is not a section, expected one with name, url, region, tier, weight, max_connections, drain, tls, check\n"},
    {SERVER("[]"),
     "t.yaml:6:9: pools.p.servers[0]: is not a section, expected one with name, url, region, tier, weight, max_connections, drain, tls, check\n"},
    {RAW("{}"),
     "t.yaml:1:1: listen: is missing, expected a list, 1 to 64 items\n"
     "t.yaml:1:1: pools: is missing, expected sections by name, 1 to 128 items\n"
     "t.yaml:1:1: routes: is missing, expected a list, 1 to 256 items\n"},
    {RAW(""),
     "t.yaml:1:1: listen: is missing, expected a list, 1 to 64 items\n"
     "t.yaml:1:1: pools: is missing, expected sections by name, 1 to 128 items\n"
     "t.yaml:1:1: routes: is missing, expected a list, 1 to 256 items\n"},
    {RAW("- a"),
     "t.yaml:1:1: is not a section, expected keys such as listen, pools and routes\n"},
    {RAW("just text"),
     "t.yaml:1:1: is not a section, expected keys such as listen, pools and routes\n"},
    {POOLS("p: {}"),
     "t.yaml:4:3: pools.p.servers: is missing, expected a list, 1 to 256 items\n"},
    {POOLS("p:"),
     "t.yaml:4:5: pools.p: is not a section, expected one with balance, hash, connect_timeout, upgrade_timeout, first_byte_timeout, between_bytes_timeout, request_timeout, failover_timeout, max_retries, retry, http, keepalive, circuit, slow_start, fail_open, check, servers\n"},
    {POOLS("p: { servers: [] }"),
     "t.yaml:4:17: pools.p.servers: is empty, expected a list, 1 to 256 items\n"},
    {POOLS("p: { servers: }"),
     "t.yaml:4:17: pools.p.servers: is empty, expected a list, 1 to 256 items\n"},
    {POOLS("[]"),
     "t.yaml:4:3: pools: is a list, not named sections, expected sections by name, 1 to 128 items\n"},

    /* ---- numbers ---- */
    {ROOT("workers: 0"),
     "t.yaml:1:10: workers: \"0\" is too small, expected a whole number from 1 to 64\n"},
    {ROOT("workers: 65"),
     "t.yaml:1:10: workers: \"65\" is too large, expected a whole number from 1 to 64\n"},
    {ROOT("workers: two"),
     "t.yaml:1:10: workers: \"two\" is not a number, expected a whole number from 1 to 64\n"},
    {ROOT("workers: 1.5"),
     "t.yaml:1:10: workers: \"1.5\" is not a whole number, expected a whole number from 1 to 64\n"},
    {ROOT("workers: -1"),
     "t.yaml:1:10: workers: \"-1\" is negative, expected a whole number from 1 to 64\n"},
    {ROOT("workers: 010"),
     "t.yaml:1:10: workers: \"010\" has a leading zero, expected a whole number from 1 to 64\n"},
    {ROOT("workers: 0x10"),
     "t.yaml:1:10: workers: \"0x10\" is not a whole number, expected a whole number from 1 to 64\n"},
    {ROOT("workers: 99999999999999999999"),
     "t.yaml:1:10: workers: \"99999999999999999999\" is far too large, expected a whole number from 1 to 64\n"},
    {ROOT("workers:"),
     "t.yaml:1:9: workers: has no value, expected a whole number from 1 to 64\n"},
    {ROOT("workers: []"),
     "t.yaml:1:10: workers: is a list, expected a whole number from 1 to 64\n"},
    {ROOT("workers: {}"),
     "t.yaml:1:10: workers: is a section, expected a whole number from 1 to 64\n"},
    {ROOT("workers: \"\""),
     "t.yaml:1:10: workers: \"\" is not a number, expected a whole number from 1 to 64\n"},
    {ROOT("workers: 1_000"),
     "t.yaml:1:10: workers: \"1_000\" is not a whole number, expected a whole number from 1 to 64\n"},

    /* ---- durations ---- */
    {POOL("connect_timeout: 5"),
     "t.yaml:6:22: pools.p.connect_timeout: \"5\" has no unit, expected a duration with its unit (ms, s, m, h, d) from 1ms to 10m\n"},
    {POOL("connect_timeout: 5 s"),
     "t.yaml:6:22: pools.p.connect_timeout: \"5 s\" has a space before the unit, expected a duration with its unit (ms, s, m, h, d) from 1ms to 10m\n"},
    {POOL("connect_timeout: 1.5s"),
     "t.yaml:6:22: pools.p.connect_timeout: \"1.5s\" has a fraction, expected a duration with its unit (ms, s, m, h, d) from 1ms to 10m\n"},
    {POOL("connect_timeout: 5sec"),
     "t.yaml:6:22: pools.p.connect_timeout: \"5sec\" has an unknown unit, expected a duration with its unit (ms, s, m, h, d) from 1ms to 10m\n"},
    {POOL("connect_timeout: 0"),
     "t.yaml:6:22: pools.p.connect_timeout: \"0\" is too small, expected a duration with its unit (ms, s, m, h, d) from 1ms to 10m\n"},
    {POOL("connect_timeout: 1d"),
     "t.yaml:6:22: pools.p.connect_timeout: \"1d\" is too large, expected a duration with its unit (ms, s, m, h, d) from 1ms to 10m\n"},
    {POOL("connect_timeout: soon"),
     "t.yaml:6:22: pools.p.connect_timeout: \"soon\" is not a number, expected a duration with its unit (ms, s, m, h, d) from 1ms to 10m\n"},
    {POOL("connect_timeout: 1h30m"),
     "t.yaml:6:22: pools.p.connect_timeout: \"1h30m\" has an unknown unit, expected a duration with its unit (ms, s, m, h, d) from 1ms to 10m\n"},

    /* ---- sizes, percentages, statuses ---- */
    {ROOT("limits: { header_bytes: 16 }"),
     "t.yaml:1:25: limits.header_bytes: \"16\" has no unit, expected a size with its unit (B, KiB, MiB, GiB, KB, MB, GB) from 1KiB to 1MiB\n"},
    {ROOT("limits: { header_bytes: 16K }"),
     "t.yaml:1:25: limits.header_bytes: \"16K\" has an unknown unit, expected a size with its unit (B, KiB, MiB, GiB, KB, MB, GB) from 1KiB to 1MiB\n"},
    {ROOT("limits: { header_bytes: 1GiB }"),
     "t.yaml:1:25: limits.header_bytes: \"1GiB\" is too large, expected a size with its unit (B, KiB, MiB, GiB, KB, MB, GB) from 1KiB to 1MiB\n"},
    {POOL("check: { jitter: 10 }"),
     "t.yaml:6:22: pools.p.check.jitter: \"10\" has no percent sign, expected a percentage from 0% to 50%\n"},
    {POOL("check: { jitter: 60% }"),
     "t.yaml:6:22: pools.p.check.jitter: \"60%\" is too large, expected a percentage from 0% to 50%\n"},
    {POOL("check: { jitter: 101% }"),
     "t.yaml:6:22: pools.p.check.jitter: \"101%\" is more than all, expected a percentage from 0% to 50%\n"},
    {POOL("check: { type: http, expect: { status: ok } }"),
     "t.yaml:6:44: pools.p.check.expect.status: \"ok\" is not a number, expected an HTTP status such as 200, 200-299 or 2xx, or several with commas between\n"},
    {POOL("check: { type: http, expect: { status: 600 } }"),
     "t.yaml:6:44: pools.p.check.expect.status: \"600\" is no HTTP status, expected an HTTP status such as 200, 200-299 or 2xx, or several with commas between\n"},
    {POOL("check: { type: http, expect: { status: 299-200 } }"),
     "t.yaml:6:44: pools.p.check.expect.status: \"299-200\" is a range from high to low, expected an HTTP status such as 200, 200-299 or 2xx, or several with commas between\n"},

    /* ---- booleans and words ---- */
    {ROOT("log: { access: yes }"),
     "t.yaml:1:16: log.access: \"yes\" is not a boolean here, expected true or false\n"},
    {ROOT("log: { access: on }"),
     "t.yaml:1:16: log.access: \"on\" is not a boolean here, expected true or false\n"},
    {ROOT("log: { access: True }"),
     "t.yaml:1:16: log.access: \"True\" is not a boolean here, expected true or false\n"},
    {ROOT("log: { access: 1 }"),
     "t.yaml:1:16: log.access: \"1\" is not a boolean here, expected true or false\n"},
    {ROOT("log: { level: verbose }"),
     "t.yaml:1:15: log.level: \"verbose\" is not known, expected error, warn, info or debug\n"},
    {POOL("balance: random"),
     "t.yaml:6:14: pools.p.balance: \"random\" is not known, expected round-robin, least-connections or hash\n"},
    {POOL("check: { type: websocket, speak: mqtt }"),
     "t.yaml:6:38: pools.p.check.speak: \"mqtt\" is not known, expected nothing, ping or phoenix\n"},
    {ROUTE("websocket: { protocol: phonix }"),
     "t.yaml:5:28: routes[0].websocket.protocol: \"phonix\" is not known, expected opaque, phoenix, graphql-transport-ws or mqtt\n"},

    /* ---- names and text ---- */
    {ROOT("node: { name: my node }"),
     "t.yaml:1:15: node.name: \"my node\" has a character that names may not have, expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    {ROOT("node: { name: \"\" }"),
     "t.yaml:1:15: node.name: \"\" is empty, expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    {SERVER("{ name: -a, url: \"ws://h\" }"),
     "t.yaml:6:17: pools.p.servers[0].name: \"-a\" does not begin with a letter or digit, expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    {SERVER("{ name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, url: \"ws://h\" }"),
     "t.yaml:6:17: pools.p.servers[0].name: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is too long, expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    {POOLS("\"a b\": { servers: [{ name: s, url: \"ws://h\" }] }"),
     "t.yaml:2:19: routes[0].pool: \"p\" is not a pool, expected the name of a pool\n"
     "t.yaml:4:3: pools.a b: the name has a character that names may not have, expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    {ROUTE("name: \"a b\""),
     "t.yaml:5:11: routes[0].name: \"a b\" has a character that labels may not have, expected visible ASCII without spaces and quotes, at most 127 bytes\n"},
    {ROOT("state_dir: \"/a\\nb\""),
     "t.yaml:1:12: state_dir: \"/a?b\" has a control character, expected a path of at most 255 bytes\n"},

    /* ---- addresses ---- */
    {LISTEN("{ address: localhost }"),
     "t.yaml:4:16: listen[0].address: \"localhost\" has no port, expected address:port such as 0.0.0.0:80 or \"[::1]:80\", or unix:/path\n"},
    {LISTEN("{ address: \"localhost:80\" }"),
     "t.yaml:4:16: listen[0].address: \"localhost:80\" is not a numeric address with a port, expected address:port such as 0.0.0.0:80 or \"[::1]:80\", or unix:/path\n"},
    {LISTEN("{ address: \"::1:80\" }"),
     "t.yaml:4:16: listen[0].address: \"::1:80\" is not a numeric address with a port, expected address:port such as 0.0.0.0:80 or \"[::1]:80\", or unix:/path\n"},
    {LISTEN("{ address: \"1.2.3.4:99999\" }"),
     "t.yaml:4:16: listen[0].address: \"1.2.3.4:99999\" is not a numeric address with a port, expected address:port such as 0.0.0.0:80 or \"[::1]:80\", or unix:/path\n"},
    {LISTEN("{ address: 80 }"),
     "t.yaml:4:16: listen[0].address: \"80\" has no port, expected address:port such as 0.0.0.0:80 or \"[::1]:80\", or unix:/path\n"},
    {ROOT("admin: { address: \"9180\" }"),
     "t.yaml:1:19: admin.address: \"9180\" has no port, expected address:port such as 0.0.0.0:80 or \"[::1]:80\", or unix:/path\n"},
    {ROOT("trusted_proxies: [ 10.0.0.0/33, 192.0.2.1, nat ]"),
     "t.yaml:1:20: trusted_proxies: \"10.0.0.0/33\" is not an address block, expected one such as 10.0.0.0/8, 192.0.2.1 or fd00::/8\n"
     "t.yaml:1:44: trusted_proxies: \"nat\" is not an address block, expected one such as 10.0.0.0/8, 192.0.2.1 or fd00::/8\n"},
    {ROOT("trusted_proxies: 10.0.0.0/8"),
     "t.yaml:1:18: trusted_proxies: \"10.0.0.0/8\" is a single value, expected a list of address blocks such as 10.0.0.0/8, at most 1024 items\n"},
    {ROOT("trusted_proxies: [ [] ]"),
     "t.yaml:1:20: trusted_proxies: this is not a single value, expected one such as 10.0.0.0/8, 192.0.2.1 or fd00::/8\n"},

    /* ---- urls, hosts and paths ---- */
    {SERVER("{ name: s, url: us-a.example.com }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"us-a.example.com\" has no scheme, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ftp://h\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ftp://h\" has an unknown scheme, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"tcp://h:1\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"tcp://h:1\" has an unknown scheme, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://u:secret@h\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: the URL has a user or password in it, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ws://\" has no host, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://h:0\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ws://h:0\" has a port that is not a number from 1 to 65535, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://h:70000\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ws://h:70000\" has a port that is not a number from 1 to 65535, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://[::1\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ws://[::1\" has a [ without ], expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://h/?a=1\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ws://h/?a=1\" has a query, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://h/a b\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ws://h/a b\" has a space or a character that must be written as %XX, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://h_!\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ws://h_!\" has a host that is neither a name nor an address, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {SERVER("{ name: s, url: \"ws://1.2.3\" }"),
     "t.yaml:6:25: pools.p.servers[0].url: \"ws://1.2.3\" has a host that is neither a name nor an address, expected a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)\n"},
    {ROUTE("host: example.com:80"),
     "t.yaml:5:11: routes[0].host: \"example.com:80\" has a port, expected a host name without port, or *. and one\n"},
    {ROUTE("host: \"a.*.com\""),
     "t.yaml:5:11: routes[0].host: \"a.*.com\" has a * elsewhere than in front, expected a host name without port, or *. and one\n"},
    {ROUTE("host: \"https://a.com\""),
     "t.yaml:5:11: routes[0].host: \"https://a.com\" is a URL, expected a host name without port, or *. and one\n"},
    {ROUTE("path: chat"),
     "t.yaml:5:11: routes[0].path: \"chat\" does not begin with /, expected a path that begins with /, without query\n"},
    {ROUTE("path: /a?b=1"),
     "t.yaml:5:11: routes[0].path: \"/a?b=1\" has a query, expected a path that begins with /, without query\n"},
    {ROUTE("path: /a/../b"),
     "t.yaml:5:11: routes[0].path: \"/a/../b\" has a . or .. part, expected a path that begins with /, without query\n"},
    {ROUTE("path: /100%"),
     "t.yaml:5:11: routes[0].path: \"/100%\" has a % without two hexadecimal digits, expected a path that begins with /, without query\n"},
    {ROUTE("path: \"/\xc3\xa4\""),
     "t.yaml:5:11: routes[0].path: \"/\xc3\xa4\" has a space or a character that must be written as %XX, expected a path that begins with /, without query\n"},
    {POOL("check: { type: http, path: health }"),
     "t.yaml:6:32: pools.p.check.path: \"health\" does not begin with /, expected a path that begins with /, with a query if need be\n"},
    {POOL("check: { type: http, host: \"a b\" }"),
     "t.yaml:6:32: pools.p.check.host: \"a b\" has a host that is neither a name nor an address, expected a host name or address, with :port if need be\n"},
    {ROUTE("pool: q"),
     "t.yaml:5:5: routes[0].pool: given twice, expected once (first on line 4)\n"},

    /* ---- environment and files ---- */
    {ROOT("node: { name: \"${TIDEGATE_TEST_UNSET}\" }"),
     "t.yaml:1:15: node.name: environment variable TIDEGATE_TEST_UNSET is not set, expected it to be, or ${TIDEGATE_TEST_UNSET:-default}\n"},
    {ROOT("node: { name: \"${TIDEGATE_TEST_UNSET:-a b}\" }"),
     "t.yaml:1:15: node.name: \"${TIDEGATE_TEST_UNSET:-a b}\", expanded, has a character that names may not have, expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    {ROOT("workers: ${TIDEGATE_TEST_SECRET}"),
     "t.yaml:1:10: workers: \"${TIDEGATE_TEST_SECRET}\", expanded, is not a number, expected a whole number from 1 to 64\n"},
    {ROOT("node: { name: \"${OPEN\" }"),
     "t.yaml:1:15: node.name: has a ${ without }, expected ${NAME}, ${NAME:-default}, or $${ for the text ${ itself\n"},
    {ROOT("node: { name: \"${a-b}\" }"),
     "t.yaml:1:15: node.name: has an unknown form of ${...}, expected ${NAME}, ${NAME:-default}, or $${ for the text ${ itself\n"},
    {ROOT("node: { name: \"$${X}\" }"),
     "t.yaml:1:15: node.name: \"$${X}\", expanded, has a character that names may not have, expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    {ROOT("node: { name: !file /nonexistent/name }"),
     "t.yaml:1:15: node.name: cannot read the file /nonexistent/name: No such file or directory, expected a readable text file\n"},
    {ROOT("node: { name: !file /dev/null }"),
     "t.yaml:1:15: node.name: cannot read the file /dev/null: not a regular file, expected a readable text file\n"},
    {ROOT("workers: !!int 5"),
     "t.yaml:1:10: workers: unknown tag tag:yaml.org,2002:int, expected !file or none\n"},
    {ROOT("workers: !secret x"),
     "t.yaml:1:10: workers: unknown tag !secret, expected !file or none\n"},
    {ROOT("node: !file /dev/null"),
     "t.yaml:1:7: node: cannot read the file /dev/null: not a regular file, expected a readable text file\n"},
    {SERVER("{ name: s, url: \"wss://h\", tls: { ca: /nonexistent/ca.pem } }"),
     "t.yaml:6:47: pools.p.servers[0].tls.ca: cannot read the file /nonexistent/ca.pem: No such file or directory, expected a readable text file\n"},
    {SERVER("{ name: s, url: \"wss://h\", tls: { ca: !file tests/unit/run } }"),
     "t.yaml:6:47: pools.p.servers[0].tls.ca: the content of \"tests/unit/run\" has no PEM block, expected the path of a PEM file, or PEM text\n"},
    {SERVER("{ name: s, url: \"wss://h\", tls: { ca: tests/unit } }"),
     "t.yaml:6:47: pools.p.servers[0].tls.ca: cannot read the file tests/unit: not a regular file, expected a readable text file\n"},

    /* ---- YAML ---- */
    {ROOT("log: { level: info"),
     "t.yaml:2:7: not YAML: did not find expected ',' or '}', while parsing a flow mapping from line 1, expected a comma between keys, quotes around a value with braces, or the closing }\n"},
    {ROOT("log:\n\tlevel: info"),
     "t.yaml:2:1: a tab where YAML allows none, expected spaces for indentation\n"},
    {ROOT("log:\n  level: info\n   format: text"),
     "t.yaml:3:10: not YAML: mapping values are not allowed in this context, expected quotes around a value with \": \" in it, or other indentation\n"},
    {ROOT("node: a: b"),
     "t.yaml:1:8: not YAML: mapping values are not allowed in this context, expected quotes around a value with \": \" in it, or other indentation\n"},
    {ROOT("node: @a"),
     "t.yaml:1:7: not YAML: found character that cannot start any token, expected quotes around a value that begins with a special character\n"},
    {ROOT("workers: 2\n---"),
     "t.yaml:2:1: a second document, expected one per file\n"},
    {ROOT("node: *missing"),
     "t.yaml:1:7: *missing names nothing, expected an anchor of that name further up\n"},
    {ROOT("node: &a { name: *a }"),
     "t.yaml:1:18: *a stands inside what it names, expected it outside\n"},
    {ROOT("*a : b"),
     "t.yaml:1:1: *a stands for a key, expected a plain word\n"},
    {ROOT("{ a: b }: c"),
     "t.yaml:1:1: a section or list as a key, expected a plain word (quote a value that begins with { or [)\n"},
    {ROOT("? [a]\n: b"),
     "t.yaml:1:3: a section or list as a key, expected a plain word (quote a value that begins with { or [)\n"},
    {ROOT("<<: { workers: 2 }"),
     "t.yaml:1:1: <<: unknown key, expected the keys themselves (merge keys are not supported)\n"},
    {ROOT("node: { name: \"\\0\" }"),
     "t.yaml:1:15: node.name: a NUL byte in the value, expected text\n"},
    {ROOT("node: { name: \"\\x1b\" }"),
     "t.yaml:1:15: node.name: a control character in the value, expected text\n"},
    {ROOT("node: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
     "t.yaml:1:38: nested too deep, expected at most 32 levels\n"},
    {ROOT("log: {{ level }}"),
     "t.yaml:1:7: a section or list as a key, expected a plain word (quote a value that begins with { or [)\n"},
    {ROOT("%FOO\n---"),
     "t.yaml:1:5: not YAML: found unknown directive name, expected valid YAML\n"},
    {ROOT("user: \"a"),
     "t.yaml:2:23: not YAML: did not find expected key, while parsing a block mapping from line 1, expected the same indentation for all keys of a section\n"},
};
/* clang-format on */

static void test_every_mistake_has_its_message(void **state)
{
    (void)state;
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

static void test_the_sound_parts_are_sound(void **state)
{
    (void)state;
    static const char *const texts[] = {ROOT("workers: 1"),
                                        LISTEN("{ address: \"127.0.0.1:1\" }"),
                                        POOLS("p: { servers: [ { name: s, url: \"ws://h\" } ] }"),
                                        POOL("max_retries: 1"),
                                        SERVER("{ name: s, url: \"ws://h\" }"),
                                        ROUTE("path: /a")};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct conf_errors errors;
        struct conf *c = conf_load_text("t.yaml", texts[i], strlen(texts[i]), false, &errors);
        assert_non_null(c);
        assert_int_equal(errors.count, 0);
        assert_null(errors.text);
        conf_unref(&c);
    }
}

/* Found in any order, told from top to bottom. */
static void test_all_mistakes_are_told_at_once_in_order(void **state)
{
    (void)state;
    static const char text[] = "routes:\n"
                               "  - { path: a, pool: q }\n"
                               "pools:\n"
                               "  p:\n"
                               "    balace: hash\n"
                               "    connect_timeout: 1\n"
                               "    servers: [ { name: s, url: \"ws://h\" }, { name: s, url: \"ws://h\" } ]\n"
                               "listen: [ { address: x } ]\n"
                               "workers: 0\n";
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text, strlen(text), false, &errors));
    assert_int_equal(errors.count, 7);
    unsigned last_line = 0, last_column = 0;
    for (char *line = strtok(errors.text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *at = strchr(line, ':') + 1;
        unsigned line_number = (unsigned)strtoul(at, &at, 10);
        unsigned column = (unsigned)strtoul(at + 1, NULL, 10);
        assert_true(line_number > last_line || (line_number == last_line && column > last_column));
        last_line = line_number;
        last_column = column;
    }
    assert_int_equal(last_line, 9);
    conf_errors_fini(&errors);
}

static void test_the_number_of_messages_is_bounded(void **state)
{
    (void)state;
    static char text[200000];
    size_t len = 0;
    for (int i = 0; i < 5000; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "unknown-%d: 1\n", i);
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text, len, false, &errors));
    assert_int_equal(errors.count, 5003); /* and listen, pools and routes are missing */
    size_t line_count = 0;
    for (const char *s = errors.text; *s != '\0'; s++)
        line_count += *s == '\n';
    assert_int_equal(line_count, 101);
    assert_non_null(strstr(errors.text, "\nt.yaml: ... and 4903 more\n"));
    conf_errors_fini(&errors);
}

/* What is quoted from the file cannot forge a line or flood the terminal. */
static void test_quoted_text_is_made_harmless(void **state)
{
    (void)state;
    static const char text[] = ROOT("user: \"a\\nt.yaml:1:1: forged\"") "node: { name: \"" LONG "\" }\n";
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text, strlen(text), false, &errors));
    assert_null(strstr(errors.text, "\nt.yaml:1:1: forged"));
    assert_non_null(strstr(errors.text, "\"a?t.yaml:1:1: forged\""));
    assert_non_null(strstr(errors.text, "aaaaaaaa...\" is too long"));
    assert_null(strstr(errors.text, TEN(TEN("a"))));
    conf_errors_fini(&errors);
}

/* One mistake used twice by an alias is one mistake. */
static void test_a_mistake_behind_an_alias_is_told_once(void **state)
{
    (void)state;
    static const char text[] = LISTEN_OK ROUTES_OK "pools:\n"
                                                   "  p: { servers: &all [ { name: s, url: h } ] }\n"
                                                   "  q: { servers: *all }\n";
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text, strlen(text), false, &errors));
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(errors.text, "t.yaml:4:40: pools.p.servers[0].url: \"h\" has no scheme"));
    conf_errors_fini(&errors);
}

/* A quote is cut between characters, never inside one. */
static void test_a_shortened_quote_stays_text(void **state)
{
    (void)state;
    static const char text[] = ROOT("user: " TEN("aaaa") "aaaaaaa\xc3\xa4\xc3\xa4");
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text, strlen(text), false, &errors));
    assert_non_null(strstr(errors.text, "user: \"" TEN("aaaa") "aaaaaaa...\" has a character"));
    conf_errors_fini(&errors);
}

/* Rows for servers are shared by all pools. */
static void test_too_many_servers_over_all_pools(void **state)
{
    (void)state;
    static char text[40000];
    size_t len = (size_t)snprintf(text, sizeof text, LISTEN_OK ROUTES_OK "pools:\n");
    for (int i = 0; i < 257; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s    - { name: s%d, url: \"ws://h\" }\n",
                                i == 0     ? "  p:\n   servers:\n"
                                : i == 200 ? "  q:\n   servers:\n"
                                           : "",
                                i);
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text, len, false, &errors));
    assert_string_equal(errors.text, "t.yaml:206:3: pools.q.servers: bring the number of servers over 256, expected at "
                                     "most that in all pools together\n");
    conf_errors_fini(&errors);
}

static int set_up(void **state)
{
    (void)state;
    return setenv("TIDEGATE_TEST_SECRET", "hunter2", 1) != 0 || unsetenv("TIDEGATE_TEST_UNSET") != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sound_parts_are_sound),
        cmocka_unit_test(test_every_mistake_has_its_message),
        cmocka_unit_test(test_all_mistakes_are_told_at_once_in_order),
        cmocka_unit_test(test_the_number_of_messages_is_bounded),
        cmocka_unit_test(test_quoted_text_is_made_harmless),
        cmocka_unit_test(test_a_mistake_behind_an_alias_is_told_once),
        cmocka_unit_test(test_a_shortened_quote_stays_text),
        cmocka_unit_test(test_too_many_servers_over_all_pools),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
