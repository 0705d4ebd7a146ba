/* Configuration files from anybody. The first byte says whether the text counts as sealed. Laws: a text is either
 * refused with at least one complaint of bounded length or accepted without any; what was accepted reads back from its
 * dump and from its seal as the same configuration. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "conf/conf.h"

#define COMPLAINTS_MAX_BYTES ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_again(const struct conf *c, char *(*write)(const struct conf *), bool is_sealed)
{
    struct conf_errors errors;
    char *text = write(c);
    struct conf *again = conf_load_text("again", text, strlen(text), is_sealed, &errors);
    ASSERT(again != NULL);
    char *second = write(again);
    ASSERT(strcmp(text, second) == 0);
    mem_free(second);
    mem_free(text);
    conf_unref(&again);
}

static bool is_inline(const struct conf_file *f)
{
    return f->text != NULL && f->path[0] == '\0';
}

/* What is masked in the dump and has a form that the mask has not: the dump does not read back. */
static bool has_inline_key(const struct conf *c)
{
    bool has = is_inline(&c->cache.redis.tls.key) || is_inline(&c->quorum.redis.tls.key);
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            has = has || is_inline(&c->pools[i].servers[j].tls.key);
    for (size_t i = 0; i < c->target_count; i++)
        has = has || is_inline(&c->targets[i].tls.key);
    return has || c->dns.cookie_secret[0] != '\0' || c->dns.cookie_previous[0] != '\0' || c->dns.push_count > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    struct conf_errors errors;
    bool is_sealed = (data[0] & 1) != 0;
    struct conf *c = conf_load_text("fuzz", (const char *)data + 1, len - 1, is_sealed, &errors);
    ASSERT((c == NULL) == (errors.count > 0) && (errors.text != NULL) == (errors.count > 0));
    if (c == NULL) {
        size_t text_len = strlen(errors.text);
        ASSERT(text_len > 0 && text_len < COMPLAINTS_MAX_BYTES && errors.text[text_len - 1] == '\n');
        conf_errors_fini(&errors);
        return 0;
    }
    check_again(c, conf_seal, true);
    if (!is_sealed && !has_inline_key(c))
        check_again(c, conf_dump, false);
    conf_unref(&c);
    return 0;
}
