/* Certificates as such: what they say about themselves, without a connection. */
#include "base/tls_priv.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"

/* A second GENERALIZEDTIME cannot hold does not come out of a certificate that parsed; the far past stands for it. */
static int64_t wall_ms(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

X509 *tls_pem_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, tls_refuse_passphrase, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return cert;
}

/* ---- names ---- */

/* Visits `text` if it can be a host name: what holds a NUL or a space would not be what it seems. */
static bool visit_text(const ASN1_STRING *s, tls_name_fn *fn, void *arg)
{
    const char *data = (const char *)ASN1_STRING_get0_data(s);
    int len = ASN1_STRING_length(s);
    if (len <= 0 || len > TLS_NAME_LEN_MAX)
        return false;
    for (int i = 0; i < len; i++)
        if (data[i] <= ' ' || data[i] >= 0x7f)
            return false;
    fn(arg, data, (size_t)len);
    return true;
}

size_t tls_certificate_names(const X509 *cert, tls_name_fn *fn, void *arg)
{
    size_t count = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS && visit_text(name->d.dNSName, fn, arg))
            count++;
    }
    GENERAL_NAMES_free(names);
    if (count > 0)
        return count;
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at >= 0 && visit_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), fn, arg) ? 1 : 0;
}

struct name_list {
    char *text;
    size_t len;
    bool is_cut;
};

static void add_name(void *arg, const char *name, size_t len)
{
    static const char cut[] = ",...";
    struct name_list *l = arg;
    if (l->is_cut)
        return;
    l->is_cut = l->len + 1 + len + sizeof cut > TLS_NAMES_BYTES;
    l->len += (size_t)(l->is_cut ? snprintf(l->text + l->len, TLS_NAMES_BYTES - l->len, "%s", cut)
                                 : snprintf(l->text + l->len, TLS_NAMES_BYTES - l->len, "%s%.*s", l->len > 0 ? "," : "",
                                            (int)len, name));
}

void tls_names_text(const X509 *cert, char text[TLS_NAMES_BYTES])
{
    struct name_list list = {.text = text};
    text[0] = '\0';
    (void)tls_certificate_names(cert, add_name, &list);
}

bool tls_certificate_info(const char *pem, struct tls_certificate_info *info)
{
    X509 *cert = tls_pem_certificate(pem);
    if (cert == NULL)
        return false;
    *info = (struct tls_certificate_info){.not_before_ms = wall_ms(X509_get0_notBefore(cert)),
                                          .not_after_ms = wall_ms(X509_get0_notAfter(cert))};
    tls_names_text(cert, info->names);
    X509_free(cert);
    return true;
}

int64_t tls_ends_ms(const X509 *cert)
{
    return cert != NULL ? wall_ms(X509_get0_notAfter(cert)) : 0;
}

/* ---- subject ---- */

void tls_subject_text(const X509 *cert, char *buf, size_t cap)
{
    ASSERT(cap > 0);
    buf[0] = '\0';
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(bio != NULL); /* out of memory */
    char *data = NULL;
    /* RFC 2253 is RFC 4514's predecessor and the same on the wire; UTF-8 is left as it is, control characters are not.
     */
    unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    if (X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, flags) >= 0) {
        long len = BIO_get_mem_data(bio, &data);
        (void)snprintf(buf, cap, "%.*s", (int)len, len > 0 ? data : "");
    }
    BIO_free(bio);
    ERR_clear_error();
}
