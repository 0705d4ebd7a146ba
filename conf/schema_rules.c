/* The keys of what routes check and change: pages of other origins, rates, tokens, edits, maintenance. */
#include "conf/conf.h"
#include "conf/schema_rows.h"

/* clang-format off */
static const struct schema_word rate_per_words[] = {
    {"ip", RATE_PER_IP}, {"header", RATE_PER_HEADER}, {"claim", RATE_PER_CLAIM}, {NULL, 0}};
static const struct schema_word jwt_algorithm_words[] = {
    {"HS256", JWT_HS256}, {"RS256", JWT_RS256}, {"ES256", JWT_ES256}, {NULL, 0}};

const struct schema_row schema_rules_rows[] = {
    /* ---- routes[].cors ---- */
    {SECTION_CORS, "origins", KIND_ORIGINS, IN(conf_cors, origins), RANGE(0, 64), .applies = APPLIES_WORKER,
     .doc = "Origins as browsers write them; https://*.example.com stands for all names below example.com, * for all "
            "origins. None: the gateway leaves CORS to the servers."},
    {SECTION_CORS, "methods", KIND_TOKENS, IN(conf_cors, methods), RANGE(0, 32), .standard_doc = "the route's, or else GET, HEAD, POST, PUT, PATCH, DELETE",
     .applies = APPLIES_WORKER, .doc = "Methods a page may use."},
    {SECTION_CORS, "headers", KIND_TOKENS, IN(conf_cors, headers), RANGE(0, 64), .applies = APPLIES_WORKER,
     .doc = "Request headers a page may set beyond the harmless ones. [\"*\"]: whatever it asks for."},
    {SECTION_CORS, "expose", KIND_TOKENS, IN(conf_cors, expose), RANGE(0, 64), .applies = APPLIES_WORKER,
     .doc = "Response headers a page may read beyond the harmless ones."},
    {SECTION_CORS, "credentials", KIND_BOOL, IN(conf_cors, credentials), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Whether a page may send cookies and the like, and read the answer. Not with the origin *."},
    {SECTION_CORS, "max_age", KIND_DURATION, IN(conf_cors, max_age_ms), RANGE(0, DAY), .standard = "10m", .applies = APPLIES_WORKER,
     .doc = "How long a browser may keep the answer to a preflight."},

    /* ---- routes[].rate ---- */
    {SECTION_RATE, "per", KIND_WORD, IN(conf_rate, per), .words = rate_per_words, .standard = "ip", .applies = APPLIES_WORKER,
     .doc = "What makes one client: its address (IPv6: the /64), the value of a header, or of a claim of its token. Who "
            "has no such header or claim is counted by address."},
    {SECTION_RATE, "name", KIND_TEXT, IN(conf_rate, name), RANGE(0, 127), .standard = "", .applies = APPLIES_WORKER,
     .doc = "Which header or claim is meant."},
    {SECTION_RATE, "requests", KIND_UINT, IN(conf_rate, requests), RANGE(0, 1000000), .standard = "0", .applies = APPLIES_WORKER,
     .doc = "How many in the time of every. 0: no limit."},
    {SECTION_RATE, "every", KIND_DURATION, IN(conf_rate, every_ms), RANGE(1 * MS, DAY), .standard = "1s", .applies = APPLIES_WORKER,
     .doc = "The time in which the bucket fills with requests."},
    {SECTION_RATE, "burst", KIND_UINT, IN(conf_rate, burst), RANGE(0, 1000000), .standard = "0", .standard_doc = "requests",
     .applies = APPLIES_WORKER, .doc = "What the bucket holds: how many may come at once."},

    /* ---- routes[].jwt ---- */
    {SECTION_JWT, "secret", KIND_TEXT, IN(conf_jwt, secret), RANGE(1, 4096), .standard = "", .is_secret = true, .applies = APPLIES_WORKER,
     .doc = "The shared secret of HS256, at least 32 bytes; best as ${NAME} or !file path."},
    {SECTION_JWT, "public_key", KIND_FILE, IN(conf_jwt, public_key), .standard = "", .applies = APPLIES_WORKER,
     .doc = "PEM file with the public key, RSA or EC P-256."},
    {SECTION_JWT, "jwks.file", KIND_TEXT_FILE, IN(conf_jwt, jwks_file), .standard = "", .applies = APPLIES_WORKER,
     .doc = "File with a JSON Web Key Set (RFC 7517); read again at a reload."},
    {SECTION_JWT, "jwks.pool", KIND_NAME, IN(conf_jwt, jwks_pool), .standard = "", .applies = APPLIES_WORKER,
     .doc = "The pool whose servers hand out the key set."},
    {SECTION_JWT, "jwks.path", KIND_HTTP_TARGET, IN(conf_jwt, jwks_path), .standard = "/.well-known/jwks.json", .applies = APPLIES_WORKER,
     .doc = "Where they do."},
    {SECTION_JWT, "jwks.refresh", KIND_DURATION, IN(conf_jwt, jwks_refresh_ms), RANGE(10 * SECOND, DAY), .standard = "10m",
     .applies = APPLIES_WORKER, .doc = "How old a fetched key set may get. Keys stay in use while it cannot be fetched; a token with "
            "an unknown kid makes the gateway look earlier, at most every 10s, and so does a reload."},
    {SECTION_JWT, "algorithms", KIND_WORDS, IN(conf_jwt, algorithms), .words = jwt_algorithm_words,
     .standard_doc = "HS256 with secret, else RS256 and ES256", .applies = APPLIES_WORKER, .doc = "Which signatures count."},
    {SECTION_JWT, "header", KIND_PARAMETER, IN(conf_jwt, header), .standard = "", .standard_doc = "Authorization", .applies = APPLIES_WORKER,
     .doc = "The request header that has the token, behind \"Bearer\" or alone. Empty: none."},
    {SECTION_JWT, "query", KIND_PARAMETER, IN(conf_jwt, query), .standard = "", .applies = APPLIES_WORKER,
     .doc = "The query parameter that has it when the header does not: browsers cannot set headers on WebSockets. Empty: none."},
    {SECTION_JWT, "cookie", KIND_PARAMETER, IN(conf_jwt, cookie), .standard = "", .applies = APPLIES_WORKER,
     .doc = "The cookie that has it when neither header nor query does. Empty: none."},
    {SECTION_JWT, "optional", KIND_BOOL, IN(conf_jwt, optional), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Lets requests without any token pass, with no claims. A bad token is refused all the same."},
    {SECTION_JWT, "leeway", KIND_DURATION, IN(conf_jwt, leeway_ms), RANGE(0, HOUR), .standard = "30s", .applies = APPLIES_WORKER,
     .doc = "By how much clocks may differ when exp, nbf and iat are judged."},
    {SECTION_JWT, "required", KIND_PAIRS, IN(conf_jwt, required), RANGE(0, 32), .applies = APPLIES_WORKER,
     .doc = "Claims and what they must be: { iss: \"https://id.example.com\", aud: [ web, app ] }. One of several values is "
            "enough; \"*\" is any value; dots lead into objects; in a list one element must fit."},
    {SECTION_JWT, "forward", KIND_PAIRS, IN(conf_jwt, forward), RANGE(0, 16), .applies = APPLIES_WORKER,
     .doc = "Claims passed to the server and in which header: { sub: X-User-Id }. Such headers from clients are dropped."},
    {SECTION_JWT, "grace", KIND_DURATION, IN(conf_jwt, grace_ms), RANGE(0, DAY), .standard = "0", .applies = APPLIES_WORKER,
     .doc = "How long a WebSocket may stay open after its token expired, for protocols that bring a new one in-band."},
    {SECTION_JWT, "revoked", KIND_TEXT_FILE, IN(conf_jwt, revoked), .standard = "", .applies = APPLIES_WORKER,
     .doc = "File with tokens that no longer count, one jti:ID or sub:SUBJECT a line, # before remarks; read again at a "
            "reload, which also closes the WebSockets opened with them (1008), unless the route had no such file when they were "
            "opened."},

    /* ---- routes[].request_headers, routes[].response_headers ---- */
    {SECTION_EDITS, "remove", KIND_TOKENS, IN(conf_edits, remove), RANGE(0, 32), .applies = APPLIES_WORKER,
     .doc = "Names of fields that are taken away."},
    {SECTION_EDITS, "set", KIND_PAIRS, IN(conf_edits, set), RANGE(0, 32), .applies = APPLIES_WORKER,
     .doc = "Fields that take the place of all others of their name."},
    {SECTION_EDITS, "add", KIND_PAIRS, IN(conf_edits, add), RANGE(0, 32), .applies = APPLIES_WORKER,
     .doc = "Fields that are added to those that are there."},

    /* ---- routes[].maintenance ---- */
    {SECTION_MAINTENANCE, "enabled", KIND_BOOL, IN(conf_maintenance, enabled), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Whether it is. WebSockets that are open stay open."},
    {SECTION_MAINTENANCE, "status", KIND_UINT, IN(conf_maintenance, status), RANGE(200, 599), .standard = "503", .applies = APPLIES_WORKER,
     .doc = "The status of the answer."},
    {SECTION_MAINTENANCE, "retry_after", KIND_DURATION, IN(conf_maintenance, retry_after_ms), RANGE(0, 30 * DAY), .standard = "1m",
     .applies = APPLIES_WORKER, .doc = "When clients are told to come back. 0: they are told nothing, or with 503 the shortest time."},
    {SECTION_MAINTENANCE, "body", KIND_TEXT, IN(conf_maintenance, body), RANGE(0, 256 * KIB), .standard = "", .applies = APPLIES_WORKER,
     .doc = "The body of the answer, mostly as !file PATH. Empty: JSON, a page or text, as the client likes."},
    {SECTION_MAINTENANCE, "content_type", KIND_TEXT, IN(conf_maintenance, content_type), RANGE(0, 127),
     .standard = "text/html; charset=utf-8", .applies = APPLIES_WORKER, .doc = "The type of that body."},
    {SECTION_MAINTENANCE, "allow", KIND_CIDRS, IN(conf_maintenance, allow), RANGE(0, 64), .applies = APPLIES_WORKER,
     .doc = "Address blocks of clients that are served nevertheless."},
};
/* clang-format on */

const size_t schema_rules_row_count = sizeof schema_rules_rows / sizeof schema_rules_rows[0];

ARRAY_FITS(conf_cors, origins, origin_count);
ARRAY_FITS(conf_cors, methods, method_count);
ARRAY_FITS(conf_cors, headers, header_count);
ARRAY_FITS(conf_cors, expose, expose_count);
ARRAY_FITS(conf_jwt, required, required_count);
ARRAY_FITS(conf_jwt, forward, forward_count);
ARRAY_FITS(conf_edits, set, set_count);
ARRAY_FITS(conf_edits, add, add_count);
ARRAY_FITS(conf_edits, remove, remove_count);
ARRAY_FITS(conf_maintenance, allow, allow_count);
