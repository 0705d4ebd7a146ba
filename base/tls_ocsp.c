/* OCSP responses for stapling (RFC 6960, RFC 6066 section 8): read once, checked at each use.
 *
 * A response that is damaged or about another certificate is a mistake in the configuration. One whose time is over,
 * or that says `revoked`, is not: files get old while nobody looks, and a gateway must start again all the same. Such
 * a response is left out, which clients take for what it is. Its signature is for the clients to check. */
#include "base/tls_priv.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

#define TLS_OCSP_MAGIC 0x71ca5be2u
#define PEM_LABEL      "OCSP RESPONSE"

struct tls_ocsp {
    uint32_t magic;
    unsigned char *der;
    size_t der_len;
    int64_t next_update_ms; /* INT64_MAX: none given */
    bool is_good;
    bool is_told; /* that it is left out */
    char names[TLS_NAMES_BYTES];
};

/* ---- PEM and DER ---- */

static OCSP_RESPONSE *parse_der(const unsigned char *der, size_t len)
{
    const unsigned char *end = der;
    OCSP_RESPONSE *r = len <= LONG_MAX ? d2i_OCSP_RESPONSE(NULL, &end, (long)len) : NULL;
    if (r != NULL && end != der + len) {
        OCSP_RESPONSE_free(r);
        r = NULL;
    }
    return r;
}

static OCSP_RESPONSE *parse_pem(const void *data, size_t len)
{
    BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(data, (int)len) : NULL;
    unsigned char *der = NULL;
    long der_len = 0;
    OCSP_RESPONSE *r = NULL;
    if (bio != NULL && PEM_bytes_read_bio(&der, &der_len, NULL, PEM_LABEL, bio, tls_refuse_passphrase, NULL) == 1)
        r = parse_der(der, (size_t)der_len);
    OPENSSL_free(der);
    BIO_free(bio);
    return r;
}

static char *armour(OCSP_RESPONSE *r)
{
    unsigned char *der = NULL;
    char *data = NULL, *text = NULL;
    int der_len = i2d_OCSP_RESPONSE(r, &der);
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL && der_len > 0 && PEM_write_bio(bio, PEM_LABEL, "", der, der_len) > 0) {
        long len = BIO_get_mem_data(bio, &data);
        text = mem_strndup(data, (size_t)len);
    }
    BIO_free(bio);
    OPENSSL_free(der);
    return text;
}

char *tls_ocsp_pem(const void *data, size_t len)
{
    static const char begin[] = "-----BEGIN ";
    bool is_pem = memmem(data, len, begin, sizeof begin - 1) != NULL;
    OCSP_RESPONSE *r = is_pem ? parse_pem(data, len) : parse_der(data, len);
    char *text = r != NULL ? armour(r) : NULL;
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
    return text;
}

/* ---- what it says ---- */

/* The part of the response about this certificate, by its serial number. */
static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const X509 *cert)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *serial = NULL;
        const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
        (void)OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)(uintptr_t)id);
        if (serial != NULL && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cert)) == 0)
            return single;
    }
    return NULL;
}

static bool read_single(struct tls_ocsp *o, OCSP_RESPONSE *r, const X509 *cert)
{
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(r);
    OCSP_SINGLERESP *single = basic != NULL ? find_single(basic, cert) : NULL;
    if (single != NULL) {
        ASN1_GENERALIZEDTIME *next = NULL;
        struct tm tm;
        o->is_good = OCSP_single_get0_status(single, NULL, NULL, NULL, &next) == V_OCSP_CERTSTATUS_GOOD;
        o->next_update_ms = next != NULL && ASN1_TIME_to_tm(next, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : INT64_MAX;
    }
    OCSP_BASICRESP_free(basic);
    return single != NULL;
}

struct tls_ocsp *tls_ocsp_create(const char *pem, const X509 *cert, char *error)
{
    OCSP_RESPONSE *r = parse_pem(pem, strlen(pem));
    struct tls_ocsp *o;
    OBJ_NEW(o, TLS_OCSP_MAGIC);
    int der_len = -1;
    const char *wrong = NULL;
    if (r == NULL)
        wrong = "ocsp: not an OCSP response";
    else if (OCSP_response_status(r) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        wrong = "ocsp: the responder had no answer";
    else if (!read_single(o, r, cert))
        wrong = "ocsp: is about another certificate";
    else if ((der_len = i2d_OCSP_RESPONSE(r, &o->der)) <= 0)
        wrong = "ocsp: cannot be used";
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
    if (wrong != NULL) {
        snprintf(error, TLS_ERROR_TEXT_BYTES, "%s", wrong);
        tls_ocsp_destroy(&o);
        return NULL;
    }
    o->der_len = (size_t)der_len;
    tls_names_text(cert, o->names);
    return o;
}

void tls_ocsp_destroy(struct tls_ocsp **op)
{
    CHECK_OBJ(*op, TLS_OCSP_MAGIC);
    OPENSSL_free((*op)->der);
    OBJ_FREE(op, TLS_OCSP_MAGIC);
}

const unsigned char *tls_ocsp_der(struct tls_ocsp *o, int64_t wall_ms, size_t *len)
{
    CHECK_OBJ(o, TLS_OCSP_MAGIC);
    bool is_stale = wall_ms >= o->next_update_ms;
    if (o->is_good && !is_stale) {
        *len = o->der_len;
        return o->der;
    }
    if (!o->is_told)
        LOG_WARN("ocsp response not stapled", KV_STR("names", o->names),
                 KV_STR("cause", o->is_good ? "its time is over" : "it does not call the certificate good"));
    o->is_told = true;
    return NULL;
}
