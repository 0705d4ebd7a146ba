/* Kinds whose value is a file. What is kept is its path, for messages and the dump, and its content, because a child
 * has no file to open any more: its text may come sealed, from a !file tag, or stand in the configuration as it is. */
#include <string.h>

#include "base/mem.h"
#include "base/tls.h"
#include "conf/kind.h"

#define PEM_BEGIN "-----BEGIN "

/* In sealed text a file is [path, content]. */
static const char *read_sealed_file(struct kind_context *k, const struct node *n, struct conf_file *out)
{
    const struct node *path = n->first;
    const struct node *text = path != NULL ? path->next : NULL;
    if (n->child_count != 2 || path->kind != NODE_SCALAR || text->kind != NODE_SCALAR)
        return "is not a sealed file";
    out->path = arena_strdup(k->arena, path->text);
    out->text = arena_strdup(k->arena, text->text);
    return NULL;
}

/* The file's bytes may be anything; what is kept is PEM text. */
const char *kind_read_ocsp(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)row;
    struct conf_file file = {.path = "", .text = NULL};
    const char *why = NULL, *data = n->text;
    size_t len = n->text != NULL ? strlen(n->text) : 0;
    if (n->kind == NODE_LIST) {
        why = read_sealed_file(k, n, &file);
        data = file.text;
        len = why == NULL ? strlen(file.text) : 0;
    } else if (n->file != NULL || strstr(n->text, PEM_BEGIN) != NULL) {
        file.path = arena_strdup(k->arena, n->file != NULL ? n->file : "");
    } else {
        data = expand_bytes(k->expansion, n->text, &len, &why);
        k->is_sentence = data == NULL;
        file.path = arena_strdup(k->arena, expand_path(k->expansion, n->text));
    }
    if (why != NULL)
        return why;
    char *pem = tls_ocsp_pem(data, len);
    if (pem == NULL)
        return "is not an OCSP response";
    file.text = arena_strdup(k->arena, pem);
    mem_free(pem);
    *(struct conf_file *)at = file;
    return NULL;
}

const char *kind_read_file(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)row;
    struct conf_file file = {.path = "", .text = NULL};
    const char *why = NULL;
    if (n->kind == NODE_LIST) {
        why = read_sealed_file(k, n, &file);
    } else if (n->file != NULL || strstr(n->text, PEM_BEGIN) != NULL) {
        file.path = arena_strdup(k->arena, n->file != NULL ? n->file : "");
        file.text = arena_strdup(k->arena, n->text);
    } else {
        const char *text = expand_file(k->expansion, n->text, &why);
        k->is_sentence = text == NULL;
        if (text == NULL)
            return why;
        file.path = arena_strdup(k->arena, expand_path(k->expansion, n->text));
        file.text = arena_strdup(k->arena, text);
    }
    if (why == NULL && strstr(file.text, PEM_BEGIN) == NULL)
        why = "has no PEM block";
    if (why == NULL)
        *(struct conf_file *)at = file;
    return why;
}

const char *kind_read_text_file(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)row;
    struct conf_file file = {.path = "", .text = NULL};
    const char *why = NULL;
    if (n->kind == NODE_LIST) {
        why = read_sealed_file(k, n, &file);
    } else if (n->file != NULL) {
        file = (struct conf_file){arena_strdup(k->arena, n->file), arena_strdup(k->arena, n->text)};
    } else {
        const char *text = expand_file(k->expansion, n->text, &why);
        k->is_sentence = text == NULL;
        if (text == NULL)
            return why;
        file = (struct conf_file){arena_strdup(k->arena, expand_path(k->expansion, n->text)),
                                  arena_strdup(k->arena, text)};
    }
    if (why == NULL)
        *(struct conf_file *)at = file;
    return why;
}
