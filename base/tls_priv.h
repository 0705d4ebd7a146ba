/* What base/tls_*.c share, and nobody else includes: the one header with OpenSSL's types. */
#ifndef BASE_TLS_PRIV_H
#define BASE_TLS_PRIV_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/tls.h"

#define TLS_CTX_MAGIC 0x71c0a3d5u
/* As much of what has come is read at once. */
#define TLS_WIRE_BYTES (64u * 1024u)

struct tls_ctx {
    uint32_t magic;
    uint32_t refs;
    SSL_CTX *ctx; /* of a server: that of its first identity */
    BIO_METHOD *wire_method;
    uint8_t *wire_bytes; /* TLS_WIRE_BYTES: what the call under way has read from its socket; NULL: none was yet */
    bool is_insecure;
    struct tls_server *server; /* NULL: a client's */
};

/* ---- base/tls_ctx.c ---- */
/* Writes "what: OpenSSL's reason" and forgets OpenSSL's error queue. Always false. */
bool tls_complain(char *error, const char *what);
/* Keys under a passphrase cannot be used: nobody is there to type it, and OpenSSL would ask the terminal. */
int tls_refuse_passphrase(char *buf, int size, int rwflag, void *arg);
/* An SSL_CTX under the policy of both sides; NULL after a sentence in `error`. */
SSL_CTX *tls_new_native(const SSL_METHOD *method, char *error);
/* Takes it over. */
struct tls_ctx *tls_ctx_around(SSL_CTX *ctx);
/* Each is false after a sentence in `error`. */
bool tls_load_authorities(X509_STORE *store, const char *pem, char *error);
bool tls_load_identity(SSL_CTX *ctx, const char *cert_pem, const char *key_pem, char *error);

/* ---- base/tls_wire.c ---- */
struct tls_wire {
    int fd;
    bool has_more;  /* what is written next is followed by more at once */
    bool was_asked; /* the socket, in the call under way: once is enough */
    bool is_ended;  /* the peer sends no more */
    uint32_t ready_len;
    const uint8_t *ready; /* what OpenSSL has not taken yet: in `shared` while a call is under way, else in `rest` */
    uint8_t *rest;        /* owned; NULL: nothing was left */
    uint8_t *shared;      /* the context's, during a call that settles what it leaves there; else NULL */
};
BIO_METHOD *tls_wire_method(void); /* never NULL; freed by BIO_meth_free() */
/* Has OpenSSL read and write there; the context, `w` and the socket outlive `ssl`. */
void tls_wire_lay(struct tls_wire *w, struct tls_ctx *c, SSL *ssl, int fd);
/* Around a call that reads as much as there is; what it leaves is kept. */
void tls_wire_begin(struct tls_wire *w, const struct tls_ctx *c);
void tls_wire_settle(struct tls_wire *w);
void tls_wire_fini(struct tls_wire *w);

/* ---- base/tls_server.c ---- */
void tls_server_destroy(struct tls_server **sp);
/* Whether each connection is to bring its client a ticket; with TLS 1.3 that is for the caller to send. */
bool tls_server_gives_tickets(const struct tls_server *s);

/* ---- base/tls_cert.c ---- */
#define TLS_NAME_LEN_MAX 255
/* The first certificate of a PEM text, or NULL. */
X509 *tls_pem_certificate(const char *pem);
/* Calls back for every DNS name, or for the common name when there is none; returns how many. Not NUL-terminated. */
typedef void tls_name_fn(void *arg, const char *name, size_t len);
size_t tls_certificate_names(const X509 *cert, tls_name_fn *fn, void *arg);
void tls_names_text(const X509 *cert, char text[TLS_NAMES_BYTES]); /* as in struct tls_certificate_info */
int64_t tls_ends_ms(const X509 *cert);                             /* notAfter, wall clock; 0 for NULL */
void tls_subject_text(const X509 *cert, char *buf, size_t cap);

/* ---- base/tls_ocsp.c ---- */
struct tls_ocsp;
/* NULL after a sentence in `error`: it must parse and be about this certificate. */
struct tls_ocsp *tls_ocsp_create(const char *pem, const X509 *cert, char *error);
void tls_ocsp_destroy(struct tls_ocsp **op);
/* The DER to staple now, or NULL: it says something else than `good`, or its time is over (said once on the log). */
const unsigned char *tls_ocsp_der(struct tls_ocsp *o, int64_t wall_ms, size_t *len);

#endif
