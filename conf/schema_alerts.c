/* The table of keys of alerts: alerts[]. */
#include "conf/conf.h"
#include "conf/schema_rows.h"

/* clang-format off */
static const struct schema_word form_words[] = {
    {"generic", ALERT_FORM_GENERIC}, {"slack", ALERT_FORM_SLACK}, {"pagerduty", ALERT_FORM_PAGERDUTY}, {NULL, 0}};
static const struct schema_word starttls_words[] = {{"required", STARTTLS_REQUIRED}, {"off", STARTTLS_OFF}, {NULL, 0}};
static const struct schema_word day_words[] = {
    {"mon", 0}, {"tue", 1}, {"wed", 2}, {"thu", 3}, {"fri", 4}, {"sat", 5}, {"sun", 6}, {NULL, 0}};
static const struct schema_word event_words[] = {
#define X(id, name, condition, about) {name, id},
    EVENT_TABLE(X)
#undef X
    {NULL, 0}};

const struct schema_row schema_alert_rows[] = {
    {SECTION_ALERT, "name", KIND_NAME, IN(conf_alert, name), .standard_doc = "alert- and its place in the list, from 1", .applies = APPLIES_ADMIN,
     .doc = "For escalate.to, tidegatectl and the log. What waits to be sent is kept by this name."},
    {SECTION_ALERT, "webhook", KIND_TEXT, IN(conf_alert, webhook), RANGE(1, 1500), .standard = "", .is_secret = true, .applies = APPLIES_ADMIN,
     .doc = "The http:// or https:// URL that is posted to; it often is a secret, best as ${NAME} or !file path. Redirects are not followed, and "
            "proxies of the environment not used. One of webhook and email.smtp is required."},
    {SECTION_ALERT, "form", KIND_WORD, IN(conf_alert, form), .words = form_words, .standard = "generic", .applies = APPLIES_ADMIN,
     .doc = "What is posted. generic: body, or without it an object with all there is to say. slack: what Slack and those like it take. "
            "pagerduty: Events API v2, one post for each event; webhook is then https://events.pagerduty.com/v2/enqueue or the like."},
    {SECTION_ALERT, "body", KIND_TEXT, IN(conf_alert, body), RANGE(1, 16 * KIB), .standard = "", .applies = APPLIES_ADMIN,
     .doc = "With form: generic, what to post: text with {{summary}}, {{text}}, {{status}}, {{node}}, {{rule}}, {{count}}, {{id}}, {{kind}}, {{subject}}, "
            "{{from}}, {{to}}, {{cause}}, {{duration}} and {{time}} (of the first event), and {{events}} (all of them, a JSON array). Each is "
            "escaped as content_type wants it; in JSON put quotes around all but count, id and events."},
    {SECTION_ALERT, "content_type", KIND_TEXT, IN(conf_alert, content_type), RANGE(1, 127), .standard = "application/json", .applies = APPLIES_ADMIN,
     .doc = "Of body. application/x-www-form-urlencoded is what SMS gateways often want."},
    {SECTION_ALERT, "authorization", KIND_TEXT, IN(conf_alert, authorization), RANGE(1, 2048), .standard = "", .is_secret = true,
     .applies = APPLIES_ADMIN, .doc = "The Authorization field of the webhook, such as Bearer and a token."},
    {SECTION_ALERT, "routing_key", KIND_TEXT, IN(conf_alert, routing_key), RANGE(1, 255), .standard = "", .is_secret = true,
     .applies = APPLIES_ADMIN, .doc = "With form: pagerduty, the key of the integration."},
    {SECTION_ALERT, "email.smtp", KIND_TEXT, IN(conf_alert, email.smtp), RANGE(1, 1024), .standard = "", .applies = APPLIES_ADMIN,
     .doc = "The mail server: smtps://host[:port], or smtp://host[:port] with STARTTLS."},
    {SECTION_ALERT, "email.from", KIND_LABEL, IN(conf_alert, email.from), .standard = "", .applies = APPLIES_ADMIN, .doc = "The sender's address."},
    {SECTION_ALERT, "email.to", KIND_LABELS, IN(conf_alert, email.to), RANGE(0, 32), .applies = APPLIES_ADMIN, .doc = "The addresses it goes to."},
    {SECTION_ALERT, "email.username", KIND_TEXT, IN(conf_alert, email.username), RANGE(1, 255), .standard = "", .applies = APPLIES_ADMIN,
     .doc = "For the mail server. Empty: it wants none."},
    {SECTION_ALERT, "email.password", KIND_TEXT, IN(conf_alert, email.password), RANGE(1, 1024), .standard = "", .is_secret = true,
     .applies = APPLIES_ADMIN, .doc = "The password that goes with it."},
    {SECTION_ALERT, "email.starttls", KIND_WORD, IN(conf_alert, email.starttls), .words = starttls_words, .standard = "required",
     .applies = APPLIES_ADMIN, .doc = "With smtp://. off: everybody in between can read along, the password too."},
    {SECTION_ALERT, "tls.ca", KIND_FILE, IN(conf_alert, ca), .standard = "", .standard_doc = "the system's trust store", .applies = APPLIES_ADMIN,
     .doc = "PEM file with the authorities that may vouch for the webhook or the mail server."},
    {SECTION_ALERT, "tls.verify", KIND_BOOL, IN(conf_alert, verify), .standard = "true", .applies = APPLIES_ADMIN,
     .doc = "Whether the certificate is checked. Without it anybody in between can read and change everything."},
    {SECTION_ALERT, "on", KIND_WORDS, IN(conf_alert, on), .words = event_words, .standard_doc = "down, failover, breaker, crash, certificate, reload, cut-off",
     .applies = APPLIES_ADMIN, .doc = "The kinds of events."},
    {SECTION_ALERT, "targets", KIND_LABELS, IN(conf_alert, targets), RANGE(0, 64), .applies = APPLIES_ADMIN,
     .doc = "Only events about these: pool/server, pool, a process; * stands for anything. None: all."},
    {SECTION_ALERT, "after", KIND_DURATION, IN(conf_alert, after_ms), RANGE(0, 7 * DAY), .standard = "0", .applies = APPLIES_ADMIN,
     .doc = "Only what lasts so long. What ends before is not told of."},
    {SECTION_ALERT, "repeat", KIND_DURATION, IN(conf_alert, repeat_ms), RANGE(0, 30 * DAY), .standard = "0", .applies = APPLIES_ADMIN,
     .doc = "How often it is told again while it lasts and nobody has acknowledged it. 0: not at all."},
    {SECTION_ALERT, "recovery", KIND_BOOL, IN(conf_alert, recovery), .standard = "true", .applies = APPLIES_ADMIN,
     .doc = "Whether the end of what was told of is told, too."},
    {SECTION_ALERT, "group", KIND_DURATION, IN(conf_alert, group_ms), RANGE(0, HOUR), .standard = "2s", .applies = APPLIES_ADMIN,
     .doc = "What happens within this time after the first event goes into one message."},
    {SECTION_ALERT, "timeout", KIND_DURATION, IN(conf_alert, timeout_ms), RANGE(100 * MS, 5 * MINUTE), .standard = "10s", .applies = APPLIES_ADMIN,
     .doc = "How long one attempt to deliver may take."},
    {SECTION_ALERT, "give_up", KIND_DURATION, IN(conf_alert, give_up_ms), RANGE(0, 30 * DAY), .standard = "1d", .applies = APPLIES_ADMIN,
     .doc = "How long a message is tried again, first after a second, then ever more seldom, down to every five minutes."},
    {SECTION_ALERT, "quiet.from", KIND_TEXT, IN(conf_alert, quiet.from_text), RANGE(1, 16), .standard = "", .applies = APPLIES_ADMIN,
     .doc = "The hour from which nothing is sent, such as \"22:00\". What still lasts at the end of the quiet hours is told then."},
    {SECTION_ALERT, "quiet.to", KIND_TEXT, IN(conf_alert, quiet.to_text), RANGE(1, 16), .standard = "", .applies = APPLIES_ADMIN,
     .doc = "The hour at which they end, on the next day when that is earlier."},
    {SECTION_ALERT, "quiet.days", KIND_WORDS, IN(conf_alert, quiet.days), .words = day_words, .standard_doc = "all", .applies = APPLIES_ADMIN,
     .doc = "The days on which they begin."},
    {SECTION_ALERT, "quiet.zone", KIND_TEXT, IN(conf_alert, quiet.zone_text), RANGE(1, 64), .standard = "+00:00", .applies = APPLIES_ADMIN,
     .doc = "The clock that is meant: the name of a time zone such as Europe/Berlin, with its daylight saving, or how far it is ahead of UTC, such as \"+02:00\"."},
    {SECTION_ALERT, "escalate.after", KIND_DURATION, IN(conf_alert, escalate.after_ms), RANGE(0, 7 * DAY), .standard = "10m", .applies = APPLIES_ADMIN,
     .doc = "When it has lasted so long since it was told of, and nobody has acknowledged it, another alert takes over."},
    {SECTION_ALERT, "escalate.to", KIND_NAME, IN(conf_alert, escalate.to), .standard = "", .applies = APPLIES_ADMIN,
     .doc = "The name of that one, whatever its on and targets say. Empty: nobody."},
};
/* clang-format on */

const size_t schema_alert_row_count = sizeof schema_alert_rows / sizeof schema_alert_rows[0];

ARRAY_FITS(conf_alert, email.to, email.to_count);
ARRAY_FITS(conf_alert, targets, target_count);
