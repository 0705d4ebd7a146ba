/* libcurl's multi interface: it says which sockets and which timer it wants watched, we say when something happened.
 * Attempts are told of their end from a `later`, because libcurl must not be left from within its own callbacks. */
#include "gateway/admin/alert_send.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

#define ALERT_SENDER_MAGIC   0xa1e25e4du
#define ALERT_ATTEMPT_MAGIC  0xa1e2a77eu
#define ALERT_SOCKET_MAGIC   0xa1e250c7u
#define ANSWER_BYTES_MAX     65536u /* of which nothing is looked at */
#define CONNECT_SHARE        2      /* of the time: half of it */
#define STATUS_TOO_EARLY     425
#define STATUS_TOO_MANY      429
#define STATUS_LATE          408
#define SMTP_PERMANENT_FIRST 500

struct alert_sender {
    uint32_t magic;
    struct loop *loop;
    CURLM *multi;
    struct timer timer;
    struct later reap;
    struct list attempts;
    struct list sockets;
};

struct alert_socket {
    uint32_t magic;
    struct alert_sender *sender;
    struct list link;
    curl_socket_t fd;
    struct io io;
};

struct alert_attempt {
    uint32_t magic;
    struct alert_sender *sender;
    struct list link;
    CURL *easy;
    struct curl_slist *fields;
    struct curl_slist *receivers;
    char *text;
    size_t len, sent_len;
    size_t answer_len;
    bool is_mail;
    char error[CURL_ERROR_SIZE];
    alert_done_fn *done;
    void *arg;
};

/* ---- ends ---- */

static void attempt_free(struct alert_attempt *a)
{
    list_unlink(&a->link);
    if (a->easy != NULL) {
        (void)curl_multi_remove_handle(a->sender->multi, a->easy);
        curl_easy_cleanup(a->easy);
    }
    curl_slist_free_all(a->fields);
    curl_slist_free_all(a->receivers);
    mem_free(a->text);
    OBJ_FREE(&a, ALERT_ATTEMPT_MAGIC);
}

static void judge(const struct alert_attempt *a, CURLcode code, struct alert_outcome *o)
{
    long status = 0;

    *o = (struct alert_outcome){.is_delivered = code == CURLE_OK};
    (void)curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
    if (a->is_mail) {
        o->is_hopeless = code != CURLE_OK && status >= SMTP_PERMANENT_FIRST && code != CURLE_LOGIN_DENIED;
    } else if (code == CURLE_OK || code == CURLE_WRITE_ERROR) { /* the latter: it said more than we want to hear */
        o->is_delivered = status >= 200 && status < 300;
        o->is_hopeless = status >= 400 && status < 500 && status != STATUS_LATE && status != STATUS_TOO_EARLY &&
                         status != STATUS_TOO_MANY;
        if (!o->is_delivered)
            snprintf(o->error, sizeof o->error, "status %ld", status);
    }
    if (!o->is_delivered && o->error[0] == '\0')
        snprintf(o->error, sizeof o->error, "%.*s", (int)sizeof o->error - 1,
                 a->error[0] != '\0' ? a->error : curl_easy_strerror(code));
}

/* A callback may start and cancel others, so the list is begun anew after each. */
static void on_reap(void *arg)
{
    struct alert_sender *s = arg;
    CURLMsg *m;
    int left;

    CHECK_OBJ(s, ALERT_SENDER_MAGIC);
    while ((m = curl_multi_info_read(s->multi, &left)) != NULL) {
        struct alert_attempt *a = NULL;
        struct alert_outcome o;
        alert_done_fn *done;
        void *done_arg;

        if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &a) != CURLE_OK)
            continue;
        CHECK_OBJ(a, ALERT_ATTEMPT_MAGIC);
        judge(a, m->data.result, &o);
        done = a->done;
        done_arg = a->arg;
        attempt_free(a);
        done(done_arg, &o);
    }
}

/* ---- libcurl's wishes ---- */

static void act(struct alert_sender *s, curl_socket_t fd, int what)
{
    int running;

    (void)curl_multi_socket_action(s->multi, fd, what, &running);
    later_post(&s->reap);
}

static void on_io(void *arg, unsigned events)
{
    struct alert_socket *k = arg;

    CHECK_OBJ(k, ALERT_SOCKET_MAGIC);
    act(k->sender, k->fd, ((events & IO_READ) ? CURL_CSELECT_IN : 0) | ((events & IO_WRITE) ? CURL_CSELECT_OUT : 0));
}

static void socket_free(struct alert_socket *k)
{
    io_fini(&k->io);
    list_unlink(&k->link);
    OBJ_FREE(&k, ALERT_SOCKET_MAGIC);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct alert_sender *s = arg;
    struct alert_socket *k = socket_arg;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (k != NULL)
            socket_free(k);
        return 0;
    }
    if (k == NULL) {
        OBJ_NEW(k, ALERT_SOCKET_MAGIC);
        k->sender = s;
        k->fd = fd;
        list_init(&k->link);
        list_append(&s->sockets, &k->link);
        io_init(&k->io, s->loop, fd, on_io, k);
        (void)curl_multi_assign(s->multi, fd, k);
    }
    io_want(&k->io,
            ((what & CURL_POLL_IN) ? (unsigned)IO_READ : 0) | ((what & CURL_POLL_OUT) ? (unsigned)IO_WRITE : 0));
    return 0;
}

static int on_timer_wish(CURLM *multi, long ms, void *arg)
{
    struct alert_sender *s = arg;

    (void)multi;
    if (ms < 0)
        timer_cancel(&s->timer);
    else
        timer_start(&s->timer, ms);
    return 0;
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
    struct alert_attempt *a = arg;

    (void)data;
    a->answer_len += size * count;
    return a->answer_len > ANSWER_BYTES_MAX ? 0 : size * count;
}

static size_t on_upload(char *to, size_t size, size_t count, void *arg)
{
    struct alert_attempt *a = arg;
    size_t len = a->len - a->sent_len < size * count ? a->len - a->sent_len : size * count;

    memcpy(to, a->text + a->sent_len, len);
    a->sent_len += len;
    return len;
}

/* ---- beginning ---- */

/* False when an option is refused; libcurl's type checks want each to be called by name. */
#define SET(option, value) (ok = ok && curl_easy_setopt(a->easy, (option), (value)) == CURLE_OK)

static bool add(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);

    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

static bool set_post(struct alert_attempt *a, const struct conf_alert *rule, const char *content_type)
{
    char *type = mem_printf("Content-Type: %s", content_type);
    char *authorization = mem_printf("Authorization: %s", rule->authorization);
    bool ok = add(&a->fields, type) && add(&a->fields, "Expect:") &&
              (rule->authorization[0] == '\0' || add(&a->fields, authorization));

    mem_wipe(authorization, strlen(authorization));
    mem_free(authorization);
    mem_free(type);
    SET(CURLOPT_URL, rule->webhook);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTPHEADER, a->fields);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)a->len);
    SET(CURLOPT_POSTFIELDS, a->text);
    SET(CURLOPT_USERAGENT, "tidegate/" TIDEGATE_VERSION);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    return ok;
}

static bool set_mail(struct alert_attempt *a, const struct conf_alert *rule)
{
    const bool is_plain = rule->email.starttls == STARTTLS_OFF;
    char *from = mem_printf("<%s>", rule->email.from);
    bool ok = true;

    for (size_t i = 0; i < rule->email.to_count; i++) {
        char *to = mem_printf("<%s>", rule->email.to[i]);
        ok = ok && add(&a->receivers, to);
        mem_free(to);
    }
    SET(CURLOPT_URL, rule->email.smtp);
    SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(CURLOPT_USE_SSL, is_plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
    SET(CURLOPT_MAIL_FROM, from);
    SET(CURLOPT_MAIL_RCPT, a->receivers);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_READFUNCTION, on_upload);
    SET(CURLOPT_READDATA, a);
    if (rule->email.username[0] != '\0') {
        SET(CURLOPT_USERNAME, rule->email.username);
        SET(CURLOPT_PASSWORD, rule->email.password);
    }
    mem_free(from);
    return ok;
}

static bool set_common(struct alert_attempt *a, const struct conf_alert *rule)
{
    struct curl_blob ca = {.flags = CURL_BLOB_COPY};
    bool ok = true;

    SET(CURLOPT_PRIVATE, a);
    SET(CURLOPT_ERRORBUFFER, a->error);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_TIMEOUT_MS, (long)rule->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(rule->timeout_ms / CONNECT_SHARE));
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, a);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, rule->verify ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, rule->verify ? 2L : 0L);
    if (rule->ca.text != NULL) {
        ca.data = (void *)(uintptr_t)rule->ca.text;
        ca.len = strlen(rule->ca.text);
        SET(CURLOPT_CAINFO_BLOB, &ca);
    }
    return ok;
}

struct alert_attempt *alert_attempt_start(struct alert_sender *s, const struct conf_alert *rule,
                                          const char *content_type, const char *text, size_t len, alert_done_fn *done,
                                          void *arg)
{
    struct alert_attempt *a;
    bool ok;

    CHECK_OBJ(s, ALERT_SENDER_MAGIC);
    OBJ_NEW(a, ALERT_ATTEMPT_MAGIC);
    a->sender = s;
    a->done = done;
    a->arg = arg;
    a->is_mail = rule->email.smtp[0] != '\0';
    a->text = mem_strndup(text, len);
    a->len = len;
    list_init(&a->link);
    list_append(&s->attempts, &a->link);
    a->easy = curl_easy_init();
    ok = a->easy != NULL && set_common(a, rule) && (a->is_mail ? set_mail(a, rule) : set_post(a, rule, content_type)) &&
         curl_multi_add_handle(s->multi, a->easy) == CURLM_OK;
    if (!ok) {
        attempt_free(a);
        return NULL;
    }
    return a;
}

void alert_attempt_cancel(struct alert_attempt **ap)
{
    CHECK_OBJ(*ap, ALERT_ATTEMPT_MAGIC);
    attempt_free(*ap);
    *ap = NULL;
}

/* ---- life ---- */

struct alert_sender *alert_sender_create(struct loop *l)
{
    struct alert_sender *s;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return NULL;
    OBJ_NEW(s, ALERT_SENDER_MAGIC);
    s->loop = l;
    list_init(&s->attempts);
    list_init(&s->sockets);
    timer_init(&s->timer, l, on_timer, s);
    later_init(&s->reap, l, on_reap, s);
    s->multi = curl_multi_init();
    if (s->multi == NULL) {
        curl_global_cleanup();
        OBJ_FREE(&s, ALERT_SENDER_MAGIC);
        return NULL;
    }
    (void)curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    (void)curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    (void)curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
    return s;
}

void alert_sender_destroy(struct alert_sender **sp)
{
    struct alert_sender *s = *sp;

    CHECK_OBJ(s, ALERT_SENDER_MAGIC);
    ASSERT(list_is_empty(&s->attempts));
    timer_cancel(&s->timer);
    later_cancel(&s->reap);
    (void)curl_multi_cleanup(s->multi);
    timer_cancel(&s->timer);
    LIST_EACH (it, &s->sockets)
        socket_free(LIST_ENTRY(it, struct alert_socket, link));
    curl_global_cleanup();
    OBJ_FREE(sp, ALERT_SENDER_MAGIC);
}
