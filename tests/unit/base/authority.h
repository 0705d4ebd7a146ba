/* Certificates made on the spot, for the tests of TLS; include after cmocka.h. */
#ifndef TESTS_UNIT_BASE_AUTHORITY_H
#define TESTS_UNIT_BASE_AUTHORITY_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static inline void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

/* A certificate for `key` (taken) and `names` ("DNS:...,IP:..."; NULL: none), signed by `issuer`, or by itself as an
 * authority; good from an hour ago until in `left_s`. */
static inline struct identity make_identity_with(EVP_PKEY *key, const struct identity *issuer, const char *common_name,
                                                 const char *names, long left_s)
{
    struct identity i = {.key = key, .cert = X509_new()};
    static long serial = 1;
    X509_set_version(i.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(i.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(i.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(i.cert), left_s);
    X509_set_pubkey(i.cert, i.key);
    X509_NAME *subject = X509_get_subject_name(i.cert);
    if (common_name != NULL)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(i.cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : subject);
    if (issuer == NULL)
        add_extension(i.cert, i.cert, NID_basic_constraints, "critical,CA:TRUE");
    if (names != NULL)
        add_extension(i.cert, issuer != NULL ? issuer->cert : i.cert, NID_subject_alt_name, names);
    assert_true(X509_sign(i.cert, issuer != NULL ? issuer->key : i.key, EVP_sha256()) > 0);
    return i;
}

static inline struct identity make_identity(const struct identity *issuer, const char *common_name, const char *names)
{
    return make_identity_with(EVP_EC_gen("P-256"), issuer, common_name, names, 3600);
}

static inline void identity_free(struct identity *i)
{
    EVP_PKEY_free(i->key);
    X509_free(i->cert);
}

static inline char *pem_text(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    char *text = calloc(1, (size_t)len + 1);
    memcpy(text, data, (size_t)len);
    BIO_free(bio);
    return text;
}

static inline char *cert_pem(const struct identity *i)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, i->cert);
    return pem_text(bio);
}

static inline char *key_pem(const struct identity *i)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, i->key, NULL, NULL, 0, NULL, NULL);
    return pem_text(bio);
}

#endif
