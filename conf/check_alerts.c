/* Alerts: rules over several keys. An alert that cannot be sent is found out when it is needed, so what can be known
 * before is complained about here. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/tz.h"
#include "conf/build.h"

/* Between double braces in a body; see gateway/admin/alert_text.c. */
static const char *const placeholders[] = {"summary", "text", "status", "node",  "rule",     "count", "id",    "kind",
                                           "subject", "from", "to",     "cause", "duration", "time",  "events"};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* One line, and as a URL without blanks. */
static bool is_plain(const char *text, bool may_have_blanks)
{
    for (const char *s = text; *s != '\0'; s++)
        if ((unsigned char)*s < (may_have_blanks ? ' ' : '!') || *s == 0x7f)
            return false;
    return true;
}

static void check_body(struct build *b, const struct conf_alert *a)
{
    for (const char *at = a->body; (at = strstr(at, "{{")) != NULL; at += 2) {
        const char *end = strstr(at, "}}");
        size_t i = 0, len = end != NULL ? (size_t)(end - at - 2) : 0;
        while (i < sizeof placeholders / sizeof placeholders[0] &&
               (strlen(placeholders[i]) != len || strncmp(placeholders[i], at + 2, len) != 0))
            i++;
        if (i == sizeof placeholders / sizeof placeholders[0])
            build_complain(b, a, &a->body, "body", "has no such thing as \"%.*s\", expected one of those in the manual",
                           (int)(len < 40 ? len + 4 : 40), at);
    }
}

static void check_webhook(struct build *b, const struct conf_alert *a)
{
    const struct check_use unused[] = {
        {&a->form, "form", a->form != ALERT_FORM_GENERIC},
        {&a->body, "body", a->body[0] != '\0'},
        {&a->authorization, "authorization", a->authorization[0] != '\0'},
        {&a->routing_key, "routing_key", a->routing_key[0] != '\0'},
    };
    if (a->webhook[0] == '\0') {
        check_unused(b, a, unused, sizeof unused / sizeof unused[0], "webhook");
        return;
    }
    if ((!begins(a->webhook, "http://") && !begins(a->webhook, "https://")) || !is_plain(a->webhook, false))
        build_complain(b, a, &a->webhook, "webhook", "is no URL, expected http:// or https://, host and path");
    if (a->form == ALERT_FORM_PAGERDUTY && a->routing_key[0] == '\0')
        build_complain(b, a, &a->form, "routing_key", "is missing, expected the key of the integration");
    if (a->form != ALERT_FORM_GENERIC && a->body[0] != '\0')
        build_complain(b, a, &a->body, "body", "has no use with this form, expected form: generic");
    if (!is_plain(a->authorization, true))
        build_complain(b, a, &a->authorization, "authorization", "is no header value, expected one line");
    if (!is_plain(a->content_type, true))
        build_complain(b, a, &a->content_type, "content_type", "is no media type, expected one line");
    check_body(b, a);
}

static void check_email(struct build *b, const struct conf_alert *a)
{
    const struct check_use unused[] = {
        {&a->email.from, "email.from", a->email.from[0] != '\0'},
        {&a->email.to, "email.to", a->email.to_count > 0},
        {&a->email.username, "email.username", a->email.username[0] != '\0'},
        {&a->email.password, "email.password", a->email.password[0] != '\0'},
        {&a->email.starttls, "email.starttls", a->email.starttls != STARTTLS_REQUIRED},
    };
    if (a->email.smtp[0] == '\0') {
        check_unused(b, a, unused, sizeof unused / sizeof unused[0], "email.smtp");
        return;
    }
    if ((!begins(a->email.smtp, "smtp://") && !begins(a->email.smtp, "smtps://")) || !is_plain(a->email.smtp, false))
        build_complain(b, a, &a->email.smtp, "email.smtp", "is no mail server, expected smtps://host or smtp://host");
    if (a->email.from[0] == '\0' && !build_is_broken(b, &a->email.from))
        build_complain(b, a, &a->email.smtp, "email.from", "is missing, expected the sender's address");
    if (a->email.to_count == 0 && !build_is_broken(b, &a->email.to))
        build_complain(b, a, &a->email.smtp, "email.to", "is missing, expected at least one address");
    for (size_t i = 0; i < a->email.to_count; i++)
        if (strpbrk(a->email.to[i], "<>,") != NULL || strchr(a->email.to[i], '@') == NULL)
            build_complain(b, a, &a->email.to, "email.to", "\"%s\" is no address, expected name@host", a->email.to[i]);
    if (strpbrk(a->email.from, "<>,") != NULL)
        build_complain(b, a, &a->email.from, "email.from", "\"%s\" is no address, expected name@host", a->email.from);
}

/* A child takes what the supervisor has checked, also when the database has gone meanwhile. */
static void check_zone(struct build *b, const struct conf_alert *a)
{
    struct tz *zone;

    if (a->quiet.zone_min == INT32_MIN)
        build_complain(b, a, &a->quiet.zone_text, "quiet.zone", "\"%s\" is no offset, expected one such as \"+02:00\"",
                       a->quiet.zone_text);
    if (a->quiet.zone_name[0] == '\0' || b->kind.expansion->is_off)
        return;
    zone = tz_load(TZ_DIR, a->quiet.zone_name);
    if (zone == NULL)
        build_complain(b, a, &a->quiet.zone_text, "quiet.zone",
                       "\"%s\" is no time zone in " TZ_DIR
                       " (the package tzdata), expected one such as \"Europe/Berlin\", or an offset such as \"+02:00\"",
                       a->quiet.zone_name);
    else
        tz_destroy(&zone);
}

static void check_quiet(struct build *b, const struct conf_alert *a)
{
    if ((a->quiet.from_text[0] == '\0') != (a->quiet.to_text[0] == '\0'))
        build_complain(b, a, a->quiet.from_text[0] != '\0' ? &a->quiet.from_text : &a->quiet.to_text,
                       a->quiet.from_text[0] == '\0' ? "quiet.from" : "quiet.to", "is missing, expected an hour");
    if (a->quiet.from_min < 0)
        build_complain(b, a, &a->quiet.from_text, "quiet.from", "\"%s\" is no hour, expected one such as \"22:00\"",
                       a->quiet.from_text);
    if (a->quiet.to_min < 0)
        build_complain(b, a, &a->quiet.to_text, "quiet.to", "\"%s\" is no hour, expected one such as \"07:00\"",
                       a->quiet.to_text);
    check_zone(b, a);
}

static void check_escalate(struct build *b, const struct conf_alert *a)
{
    size_t i = 0;
    if (a->escalate.to[0] == '\0')
        return;
    while (i < b->conf->alert_count && strcmp(b->conf->alerts[i].name, a->escalate.to) != 0)
        i++;
    if (i == b->conf->alert_count || &b->conf->alerts[i] == a)
        build_complain(b, a, &a->escalate.to, "escalate.to", "\"%s\" is not another alert, expected the name of one",
                       a->escalate.to);
}

void check_alerts(struct build *b)
{
    const struct conf *c = b->conf;
    for (size_t i = 0; i < c->alert_count; i++) {
        const struct conf_alert *a = &c->alerts[i];
        for (size_t j = 0; j < i; j++)
            if (strcmp(a->name, c->alerts[j].name) == 0 && !build_is_broken(b, &a->name))
                build_complain(b, a, &a->name, "name", "\"%s\" is also the alert on line %u, expected another name",
                               a->name, build_line(b, &c->alerts[j]));
        if (a->webhook[0] == '\0' && a->email.smtp[0] == '\0' && !build_is_broken(b, &a->webhook) &&
            !build_is_broken(b, &a->email.smtp))
            build_complain(b, a, NULL, "webhook", "is missing, expected it or email.smtp");
        if (a->webhook[0] != '\0' && a->email.smtp[0] != '\0')
            build_complain(b, a, &a->email.smtp, "email.smtp", "has no use beside webhook, expected one of them");
        check_webhook(b, a);
        check_email(b, a);
        check_quiet(b, a);
        check_escalate(b, a);
    }
}
