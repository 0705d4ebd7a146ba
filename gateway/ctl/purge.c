/* What is sent is one line, so a name that would end it early, or lose spaces at its ends, is refused here: the gateway
 * would purge something else. Whether a name makes sense beyond that is the gateway's to say. */
#include "gateway/ctl/purge.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    bool has_names;
    bool has_host; /* names begin with a host, or with the slash after it */
    bool has_path; /* and cannot do without the slash */
} kinds[] = {
    {"tag", true, false, false},
    {"url", true, true, true},
    {"prefix", true, true, false},
    {"all", false, false, false},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static size_t find_kind(const char *name)
{
    size_t i = 0;

    while (i < KIND_COUNT && strcmp(kinds[i].name, name) != 0)
        i++;
    return i;
}

const char *purge_check_words(int count, char *const words[])
{
    size_t kind = count > 0 ? find_kind(words[0]) : KIND_COUNT;

    if (kind == KIND_COUNT)
        return "expected tag, url, prefix or all";
    if (kinds[kind].has_names && count < 2)
        return "expected at least one name";
    if (!kinds[kind].has_names && count > 1)
        return "expected nothing after \"all\"";
    return NULL;
}

static bool is_one_line(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return true;
}

static bool ends_with(const char *text, size_t len, const char *end)
{
    return len >= strlen(end) && memcmp(text + len - strlen(end), end, strlen(end)) == 0;
}

/* Without what a cache never hears of: the scheme, its own port, the fragment. A purge without a port is one at every
 * port. */
static void add_url(struct strbuf *out, const char *url, bool has_path)
{
    static const struct {
        const char *scheme, *port;
    } schemes[] = {{"http://", ":80"}, {"https://", ":443"}};
    const char *port = NULL;
    size_t host_len, kept_len;

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && port == NULL; i++)
        if (strncasecmp(url, schemes[i].scheme, strlen(schemes[i].scheme)) == 0) {
            url += strlen(schemes[i].scheme);
            port = schemes[i].port;
        }
    host_len = strcspn(url, "/?#");
    kept_len = port != NULL && ends_with(url, host_len, port) ? host_len - strlen(port) : host_len;
    for (size_t i = 0; i < kept_len; i++) {
        char c = url[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        strbuf_add(out, &c, 1);
    }
    if (has_path && url[host_len] != '/')
        strbuf_puts(out, "/");
    strbuf_add(out, url + host_len, strcspn(url + host_len, "#"));
}

const char *purge_line(struct strbuf *out, const char *kind, const char *name, bool is_soft)
{
    size_t at = find_kind(kind);

    strbuf_printf(out, "purge %s%s", kind, is_soft ? " --soft" : "");
    if (at < KIND_COUNT && kinds[at].has_names) {
        if (name[0] == '\0')
            return "an empty name";
        if (!is_one_line(name) || name[0] == ' ' || name[strlen(name) - 1] == ' ')
            return "control characters, or spaces at the ends, are in no name";
        strbuf_puts(out, " ");
        if (kinds[at].has_host)
            add_url(out, name, kinds[at].has_path);
        else
            strbuf_puts(out, name);
    }
    return out->failed ? "too long" : NULL;
}
