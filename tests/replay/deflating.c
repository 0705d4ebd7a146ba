/* See deflating.h. */
#include "tests/replay/deflating.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/mem.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

int deflating_offer(struct rig *r, const char *path, const char *offer, int *server, char answer[1024])
{
    char request[1024];
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Sec-WebSocket-Extensions: %s\r\n\r\n",
                   path, offer);
    int client = rig_client(r, request);
    *server = rig_accept(r, 0);
    rig_upgrade(r, *server);
    assert_true(rig_read(r, client, answer, 1024) > 0);
    assert_memory_equal(answer, "HTTP/1.1 101", 12);
    return client;
}

int deflating_open(struct rig *r, const char *path, int *server)
{
    char answer[1024];
    int client = deflating_offer(r, path, DEFLATING_OFFER, server, answer);
    assert_non_null(strcasestr(answer, "\r\nSec-WebSocket-Extensions: permessage-deflate"));
    return client;
}

void deflating_send(struct rig *r, int fd, uint8_t first, const void *payload, size_t len, bool is_masked)
{
    uint8_t header[WS_HEADER_BYTES];
    size_t header_len = ws_fragment_build(header, first, len, is_masked ? key : NULL);
    uint8_t *frame = mem_alloc(header_len + len);
    memcpy(frame, header, header_len);
    if (len > 0)
        memcpy(frame + header_len, payload, len);
    if (is_masked)
        ws_mask(frame + header_len, len, key, 0);
    rig_write(r, fd, frame, header_len + len);
    mem_free(frame);
}

size_t deflating_pack(const void *data, size_t len, uint8_t *out, size_t cap)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)data;
    z.avail_in = (unsigned)len;
    z.next_out = out;
    z.avail_out = (unsigned)cap;
    assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
    assert_true(z.avail_out > 0);
    (void)deflateEnd(&z);
    return cap - z.avail_out - 4;
}

size_t deflating_unpack(uint8_t *data, size_t len, void *out, size_t cap)
{
    z_stream z = {0};
    memcpy(data + len, "\0\0\xff\xff", 4);
    assert_int_equal(inflateInit2(&z, -15), Z_OK);
    z.next_in = data;
    z.avail_in = (unsigned)len + 4;
    z.next_out = out;
    z.avail_out = (unsigned)cap;
    assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(z.avail_in, 0);
    (void)inflateEnd(&z);
    return cap - z.avail_out;
}

uint8_t deflating_read(struct rig *r, int fd, uint8_t *buf, size_t cap, size_t *len)
{
    uint8_t header[8];
    sim_settle(r->loop);
    assert_int_equal(recv(fd, header, 2, 0), 2);
    size_t more = ((header[1] & 0x7f) == 126 ? 2u : 0u) + ((header[1] & 0x80) != 0 ? 4u : 0u);
    if (more > 0)
        assert_int_equal(recv(fd, header + 2, more, 0), (ssize_t)more);
    *len = (header[1] & 0x7f) == 126 ? (size_t)header[2] << 8 | header[3] : header[1] & 0x7f;
    assert_true(*len < cap);
    for (size_t have = 0, waits = 0; have < *len;) {
        ssize_t n = recv(fd, buf + have, *len - have, 0);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN && waits++ < 100));
        have += n > 0 ? (size_t)n : 0;
        if (n < 0)
            sim_settle(r->loop);
    }
    if ((header[1] & 0x80) != 0)
        ws_mask(buf, *len, header + more - 2, 0);
    buf[*len] = '\0';
    return header[0];
}

void deflating_expect(struct rig *r, int fd, uint8_t first, const char *text)
{
    uint8_t buf[4096];
    size_t len;
    assert_int_equal(deflating_read(r, fd, buf, sizeof buf, &len), first);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(buf, text, len);
}
