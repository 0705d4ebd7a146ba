/* Server contexts: several identities behind one port.
 *
 * Identities that stand in for each other (same names, different kinds of keys) share an SSL_CTX, a face, and OpenSSL
 * picks among them by what the client can verify. Which face a client sees follows from the name it asks for, looked
 * up in a table made once; the connection moves to that face before its certificate is chosen.
 *
 * Two things must not depend on the face, since a session resumed with one name may have begun with another: ticket
 * keys, which all faces take from the same object, and the demands on clients, which are the context's. The latter are
 * hashed into the session id context, so that a ticket from a place that asked for no certificate, or for that of
 * another authority, opens nothing where one is demanded (RFC 8446 section 4.6.1 leaves this to the server). */
#include "base/tls_priv.h"

#include <ctype.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/tls_tickets.h"

#define TLS_SERVER_MAGIC 0x715e74e1u
#define TLS_FACE_MAGIC   0x71fa3ce9u

#define GROUPS         "X25519:P-256:P-384"
#define FACE_KINDS_MAX 5u /* kinds of keys OpenSSL keeps apart in one context that we may meet */
/* A ticket lives as long as the set holds its key: two periods after the one in which it was sealed. */
#define SESSION_SECONDS ((long)((TLS_TICKET_KEYS - 1) * TLS_TICKET_PERIOD_MS / 1000))
/* Of a client's certificate with its chain; what it sends is kept in memory while it sends. */
#define CLIENT_CHAIN_BYTES_MAX 32768
#define CLIENT_CHAIN_DEPTH_MAX 8

/* Certificates of the same names. */
struct tls_face {
    uint32_t magic;
    SSL_CTX *ctx;
    char *names; /* sorted, in lower case, a line each */
    size_t kind_count;
    struct {
        const X509 *cert; /* the context's */
        size_t number;    /* its place in the options, from 1 */
        struct tls_ocsp *ocsp;
    } kinds[FACE_KINDS_MAX];
    struct tls_face *next;
};

struct tls_server {
    uint32_t magic;
    struct tls_face *faces; /* the default one first */
    struct map *by_name;    /* lower case, "*.example.com" for a wildcard */
    X509_STORE *authorities;
    STACK_OF(X509_NAME) * authority_names;
    struct tls_tickets *tickets;
    bool offer_h2;
    uint8_t session_context[SSL_MAX_SID_CTX_LENGTH];
};

static struct tls_server *server_of(SSL *ssl)
{
    struct tls_server *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    CHECK_OBJ(s, TLS_SERVER_MAGIC);
    return s;
}

static int64_t wall_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

/* ---- the name a client asks for ---- */

static struct tls_face *find_face(const struct tls_server *s, const char *name)
{
    char key[TLS_NAME_LEN_MAX + 1];
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.') /* absolute, as some clients write it */
        len--;
    if (len == 0 || len > TLS_NAME_LEN_MAX)
        return NULL;
    for (size_t i = 0; i < len; i++)
        key[i] = (char)tolower((unsigned char)name[i]);
    struct tls_face *face = map_get(s->by_name, key, len);
    const char *dot = memchr(key, '.', len);
    if (face != NULL || dot == NULL || dot == key)
        return face;
    size_t at = (size_t)(dot - key) - 1; /* the last byte of the first label becomes the asterisk */
    key[at] = '*';
    return map_get(s->by_name, key + at, len - at);
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    struct tls_server *s = arg;
    CHECK_OBJ(s, TLS_SERVER_MAGIC);
    (void)alert;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    struct tls_face *face = name != NULL ? find_face(s, name) : NULL;
    if (face == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    (void)SSL_set_SSL_CTX(ssl, face->ctx);
    return SSL_TLSEXT_ERR_OK;
}

/* ---- protocols ---- */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                   unsigned int in_len, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    const struct tls_server *s = arg;
    unsigned int skipped = s->offer_h2 ? 0 : 3;
    unsigned char *chosen = NULL;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, ours + skipped, (unsigned int)sizeof ours - 1 - skipped, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- stapling ---- */

static int on_status(SSL *ssl, void *arg)
{
    struct tls_face *face = arg;
    CHECK_OBJ(face, TLS_FACE_MAGIC);
    const X509 *shown = SSL_get_certificate(ssl);
    for (size_t i = 0; i < face->kind_count; i++) {
        size_t len = 0;
        const unsigned char *der = NULL;
        if (face->kinds[i].cert == shown && face->kinds[i].ocsp != NULL)
            der = tls_ocsp_der(face->kinds[i].ocsp, wall_ms(), &len);
        unsigned char *copy = der != NULL ? OPENSSL_memdup(der, len) : NULL;
        if (copy == NULL)
            continue;
        (void)SSL_set_tlsext_status_ocsp_resp(ssl, copy, (int)len); /* takes it */
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* ---- tickets ---- */

static bool begin_ticket(const struct tls_ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, bool is_sealing)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->hmac, sizeof key->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv, is_sealing) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* -1: failed; 0: no such key, so a full handshake; 1: fine; 2: fine, and a new ticket is due. With TLS 1.3 it always
 * is: a ticket that is used twice lets onlookers link the two connections (RFC 8446 appendix C.4). */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                         int is_sealing)
{
    const struct tls_tickets *tickets = server_of(ssl)->tickets;
    const struct tls_ticket_key *newest = tls_tickets_newest(tickets);
    if (is_sealing) {
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
            return -1;
        memcpy(name, newest->name, sizeof newest->name);
        return begin_ticket(newest, iv, cipher, mac, true) ? 1 : -1;
    }
    const struct tls_ticket_key *key = tls_tickets_find(tickets, name);
    if (key == NULL)
        return 0;
    bool is_due = key != newest || SSL_version(ssl) >= TLS1_3_VERSION;
    return !begin_ticket(key, iv, cipher, mac, false) ? -1 : is_due ? 2 : 1;
}

/* A resumed session brings the client's certificate along unseen: not beyond its end. */
static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len,
                                          SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl, (void)name, (void)name_len, (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    const X509 *client = SSL_SESSION_get0_peer(session);
    if (client != NULL && X509_cmp_current_time(X509_get0_notAfter(client)) < 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* OpenSSL is to send none by itself with TLS 1.3: it would send two, each in a packet of its own, right behind the
 * handshake. One goes with the first answer instead (tls_io.c), which is one for each connection the client may open
 * again; if it opens more, those bring theirs. */
static void set_resumption(struct tls_server *s, SSL_CTX *ctx, bool asks_clients)
{
    SSL_CTX_set_session_id_context(ctx, s->session_context, sizeof s->session_context);
    SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    SSL_CTX_set_num_tickets(ctx, 0);
    if (s->tickets == NULL) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        return;
    }
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key);
    if (asks_clients)
        SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket_opened, NULL);
}

bool tls_server_gives_tickets(const struct tls_server *s)
{
    return s->tickets != NULL;
}

/* ---- faces ---- */

static void set_clients(const struct tls_server *s, SSL_CTX *ctx, enum tls_client_cert clients)
{
    if (clients == TLS_CLIENT_CERT_NONE)
        return;
    int mode = SSL_VERIFY_PEER | (clients == TLS_CLIENT_CERT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(ctx, mode, NULL);
    SSL_CTX_set_verify_depth(ctx, CLIENT_CHAIN_DEPTH_MAX);
    SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_BYTES_MAX);
    SSL_CTX_set1_cert_store(ctx, s->authorities);
    SSL_CTX_set_client_CA_list(ctx, SSL_dup_CA_list(s->authority_names));
}

static SSL_CTX *new_ctx(struct tls_server *s, const struct tls_server_opts *o, char *error)
{
    SSL_CTX *ctx = tls_new_native(TLS_server_method(), error);
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN); /* the chain is what the file says, not what can be guessed */
    SSL_CTX_set_app_data(ctx, s);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, s);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, s);
    set_resumption(s, ctx, o->clients != TLS_CLIENT_CERT_NONE);
    set_clients(s, ctx, o->clients);
    if (SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 &&
        (o->min_version == TLS_MIN_1_2 || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1))
        return ctx;
    tls_complain(error, "TLS cannot be set up");
    SSL_CTX_free(ctx);
    return NULL;
}

static struct tls_face *face_create(struct tls_server *s, const struct tls_server_opts *o, const char *names,
                                    char *error)
{
    SSL_CTX *ctx = new_ctx(s, o, error);
    if (ctx == NULL)
        return NULL;
    struct tls_face *face;
    OBJ_NEW(face, TLS_FACE_MAGIC);
    face->ctx = ctx;
    face->names = mem_strdup(names);
    SSL_CTX_set_tlsext_status_cb(ctx, on_status);
    SSL_CTX_set_tlsext_status_arg(ctx, face);
    struct tls_face **end = &s->faces;
    while (*end != NULL)
        end = &(*end)->next;
    *end = face;
    return face;
}

static void face_destroy(struct tls_face **fp)
{
    struct tls_face *face = *fp;
    CHECK_OBJ(face, TLS_FACE_MAGIC);
    for (size_t i = 0; i < face->kind_count; i++)
        if (face->kinds[i].ocsp != NULL)
            tls_ocsp_destroy(&face->kinds[i].ocsp);
    SSL_CTX_free(face->ctx);
    mem_free(face->names);
    OBJ_FREE(fp, TLS_FACE_MAGIC);
}

/* ---- identities ---- */

struct names {
    char **items;
    size_t count;
};

static void collect(void *arg, const char *name, size_t len)
{
    struct names *n = arg;
    n->items = mem_realloc(n->items, (n->count + 1) * sizeof *n->items);
    char *copy = mem_strndup(name, len);
    for (char *c = copy; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    n->items[n->count++] = copy;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_fini(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        mem_free(n->items[i]);
    mem_free(n->items);
}

static char *names_join(const struct names *n)
{
    size_t len = 1;
    for (size_t i = 0; i < n->count; i++)
        len += strlen(n->items[i]) + 1;
    char *text = mem_alloc(len), *end = text;
    for (size_t i = 0; i < n->count; i++) {
        end = stpcpy(end, n->items[i]);
        *end++ = '\n';
    }
    return text;
}

/* The face these names have already, or a new one. */
static struct tls_face *face_for(struct tls_server *s, const struct tls_server_opts *o, const struct names *names,
                                 char *error)
{
    char *joined = names_join(names);
    struct tls_face *face = s->faces;
    while (face != NULL && strcmp(face->names, joined) != 0)
        face = face->next;
    if (face == NULL)
        face = face_create(s, o, joined, error);
    mem_free(joined);
    return face;
}

static int kind_of(const X509 *cert)
{
    return EVP_PKEY_get_base_id(X509_get0_pubkey(cert));
}

/* True when `cert` would take the place of one that is there already. */
static bool is_taken(const struct tls_face *face, const X509 *cert, char *error)
{
    for (size_t i = 0; i < face->kind_count; i++)
        if (kind_of(face->kinds[i].cert) == kind_of(cert)) {
            snprintf(error, TLS_ERROR_TEXT_BYTES, "same names and kind of key as certificate %zu",
                     face->kinds[i].number);
            return true;
        }
    snprintf(error, TLS_ERROR_TEXT_BYTES, "too many kinds of keys for the same names");
    return face->kind_count == FACE_KINDS_MAX;
}

static bool face_add(struct tls_face *face, const struct tls_identity *id, size_t number, char *error)
{
    if (!tls_load_identity(face->ctx, id->cert_pem, id->key_pem, error))
        return false;
    const X509 *cert = SSL_CTX_get0_certificate(face->ctx);
    struct tls_ocsp *ocsp = NULL;
    if (id->ocsp_pem != NULL && (ocsp = tls_ocsp_create(id->ocsp_pem, cert, error)) == NULL)
        return false;
    face->kinds[face->kind_count].cert = cert;
    face->kinds[face->kind_count].number = number;
    face->kinds[face->kind_count++].ocsp = ocsp;
    return true;
}

static bool add_identity(struct tls_server *s, const struct tls_server_opts *o, size_t index, char *error)
{
    const struct tls_identity *id = &o->identities[index];
    X509 *cert = tls_pem_certificate(id->cert_pem);
    if (cert == NULL)
        return tls_complain(error, "cert: no certificate in it");
    struct names names = {.items = NULL};
    (void)tls_certificate_names(cert, collect, &names);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof *names.items, compare);
    struct tls_face *face = face_for(s, o, &names, error);
    bool ok = face != NULL && !is_taken(face, cert, error) && face_add(face, id, index + 1, error);
    for (size_t i = 0; ok && i < names.count; i++)
        if (map_get(s->by_name, names.items[i], strlen(names.items[i])) == NULL)
            (void)map_put(s->by_name, names.items[i], strlen(names.items[i]), face);
    names_fini(&names);
    X509_free(cert);
    return ok;
}

/* ---- demands on clients ---- */

static bool load_client_authorities(struct tls_server *s, const struct tls_server_opts *o, char *error)
{
    if (o->clients == TLS_CLIENT_CERT_NONE)
        return true;
    if (o->client_ca_pem == NULL)
        return tls_complain(error, "client_ca: is missing");
    char why[TLS_ERROR_TEXT_BYTES];
    s->authorities = X509_STORE_new();
    s->authority_names = sk_X509_NAME_new_null();
    ASSERT(s->authorities != NULL && s->authority_names != NULL); /* out of memory */
    if (!tls_load_authorities(s->authorities, o->client_ca_pem, why)) {
        snprintf(error, TLS_ERROR_TEXT_BYTES, "client_%.*s", (int)sizeof why - 8, why);
        return false;
    }
    STACK_OF(X509) *certs = X509_STORE_get1_all_certs(s->authorities);
    for (int i = 0; i < sk_X509_num(certs); i++)
        sk_X509_NAME_push(s->authority_names, X509_NAME_dup(X509_get_subject_name(sk_X509_value(certs, i))));
    sk_X509_pop_free(certs, X509_free);
    return true;
}

static void hash_demands(struct tls_server *s, const struct tls_server_opts *o)
{
    bool asks = o->clients != TLS_CLIENT_CERT_NONE;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned int len = 0;
    uint8_t mode = (uint8_t)o->clients;
    bool ok = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(hash, &mode, sizeof mode) == 1 &&
              (!asks || EVP_DigestUpdate(hash, o->client_ca_pem, strlen(o->client_ca_pem)) == 1) &&
              EVP_DigestFinal_ex(hash, s->session_context, &len) == 1;
    EVP_MD_CTX_free(hash);
    ASSERT(ok && len == sizeof s->session_context);
}

/* ---- the whole ---- */

static bool fill(struct tls_server *s, const struct tls_server_opts *o, char *error)
{
    char why[TLS_ERROR_TEXT_BYTES] = "";
    error[0] = '\0';
    ERR_clear_error();
    if (o->identity_count == 0)
        return tls_complain(error, "no certificate");
    if (!load_client_authorities(s, o, error))
        return false;
    hash_demands(s, o);
    for (size_t i = 0; i < o->identity_count; i++)
        if (!add_identity(s, o, i, why)) {
            snprintf(error, TLS_ERROR_TEXT_BYTES, "certificate %zu: %.*s", i + 1, (int)sizeof why - 40, why);
            return false;
        }
    return true;
}

struct tls_ctx *tls_ctx_create_server(const struct tls_server_opts *o, char *error)
{
    struct tls_server *s;
    OBJ_NEW(s, TLS_SERVER_MAGIC);
    s->by_name = map_create();
    s->offer_h2 = o->offer_h2;
    s->tickets = o->tickets != NULL ? tls_tickets_ref(o->tickets) : NULL;
    if (!fill(s, o, error)) {
        tls_server_destroy(&s);
        return NULL;
    }
    SSL_CTX_up_ref(s->faces->ctx);
    struct tls_ctx *c = tls_ctx_around(s->faces->ctx);
    c->server = s;
    return c;
}

void tls_server_destroy(struct tls_server **sp)
{
    struct tls_server *s = *sp;
    CHECK_OBJ(s, TLS_SERVER_MAGIC);
    while (s->faces != NULL) {
        struct tls_face *face = s->faces;
        s->faces = face->next;
        face_destroy(&face);
    }
    map_destroy(&s->by_name);
    X509_STORE_free(s->authorities);
    sk_X509_NAME_pop_free(s->authority_names, X509_NAME_free);
    if (s->tickets != NULL)
        tls_tickets_unref(&s->tickets);
    ERR_clear_error();
    OBJ_FREE(sp, TLS_SERVER_MAGIC);
}
