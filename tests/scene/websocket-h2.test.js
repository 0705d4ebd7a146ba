// WebSockets over HTTP/2 (RFC 8441), on either side of the gateway: Chromium does it by itself, node with frames by hand.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http2 = require('node:http2');
const { describe } = require('node:test');
const zlib = require('node:zlib');
const {
  Authority, CODE, Client, H2Raw, LOST, OPCODE, SETTING, askText, closeFrame, event, frame, h2Connect, h2WebSocket, h2WebSocketServer, scene, stopped, upgradeAnswer, waitFor,
} = require('./lib');
const browser = require('./lib/browser');

const MIB = 1 << 20;
const NO_CHECK = { type: 'none' };
const NAME = 'localhost';

function front(s, url, { pool, route, ...rest } = {}) {
  return s.gateway({
    pools: { p: { check: NO_CHECK, circuit: { failures: 0 }, servers: [{ name: 'a', url }], ...pool } },
    routes: [{ name: 'all', path: '/', pool: 'p', ...route }],
    ...rest,
  });
}

const plain = (gateway) => `http://127.0.0.1:${gateway.port}`;
const ws = (url) => url.replace('http', 'ws');

describe('websockets over HTTP/2: clients', { concurrency: 2 }, () => {
  scene('an extended CONNECT becomes an upgrade, and is counted like any other WebSocket', async (s) => {
    const region = await s.region({ name: 'us-a' });
    const gateway = await front(s, region.url, { pool: { max_retries: 0 } });
    const session = await h2Connect(s, plain(gateway));
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
    const { status, headers, raw } = await h2WebSocket(session, '/echo?a=1', { headers: { 'sec-websocket-protocol': 'scene.v1, scene.v2', origin: 'https://app.example.com', cookie: 'a=1' } });
    assert.equal(status, 200);
    for (const name of ['sec-websocket-accept', 'connection', 'upgrade', 'transfer-encoding', 'content-length']) assert.equal(headers[name], undefined, name);
    assert.equal(headers['sec-websocket-protocol'], 'scene.v1');
    assert.equal(headers['x-region'], 'us-a');
    const seen = await region.lastRequest('/echo');
    assert.equal(seen.method, 'GET');
    assert.equal(seen.target, '/echo?a=1');
    assert.equal(seen.headers.upgrade, 'websocket');
    assert.equal(seen.headers['sec-websocket-version'], '13');
    assert.equal(Buffer.from(seen.headers['sec-websocket-key'], 'base64').length, 16);
    assert.equal(seen.headers.origin, 'https://app.example.com');
    assert.equal(seen.headers.cookie, 'a=1');
    assert.equal(await askText(raw, 'hello'), 'hello');
    raw.write(frame({ opcode: OPCODE.ping, payload: 'are you there', mask: true }));
    assert.equal((await raw.frame()).opcode, OPCODE.pong);
    const metrics = await gateway.metrics();
    assert.equal(metrics.sum('ws_connections'), 1);
    assert.equal(metrics.sum('ws_opened_total'), 1);
    assert.equal(metrics.sum('client_connections'), 1);

    // Good-byes of either side.
    raw.write(closeFrame(4001, 'bye', { mask: true }));
    const bye = await raw.closing();
    assert.deepEqual([bye.code, bye.reason], [4001, 'bye']);
    await raw.ended();
    raw.finish();
    await gateway.process.line(/websocket closed.*by=client phase=closed code=4001.*path=\/echo.*protocol=HTTP\/2\.0/);
    const second = await h2WebSocket(session, '/echo');
    await region.knobs({ close: 4444, close_reason: 'go away' }, { once: true });
    const told = await second.raw.closing();
    assert.deepEqual([told.code, told.reason], [4444, 'go away']);
    second.raw.write(closeFrame(4444, '', { mask: true }));
    await second.raw.ended();
    second.raw.finish();
    await waitFor('them to be gone', async () => (await gateway.metrics()).sum('ws_connections') === 0);

    // Refusals, the server's and our own, are answers on their stream; a request for another protocol is one of them.
    await region.knobs({ refuse: 403 });
    assert.equal((await h2WebSocket(session, '/echo')).status, 403);
    await region.clearKnobs();
    assert.equal((await h2WebSocket(session, '/../echo')).status, 400);
    assert.equal((await h2WebSocket(session, '/echo', { headers: { 'sec-websocket-version': '8' } })).status, 426);
    const udp = await h2WebSocket(session, '/echo', { headers: { ':protocol': 'connect-udp' } });
    assert.ok([400, 405, 426, 501].includes(udp.status), String(udp.status));
    await region.kill();
    assert.equal((await h2WebSocket(session, '/echo')).status, 502);
  });

  scene('a key, which HTTP/2 does not have, is not passed on', async (s) => {
    const region = await s.region({ name: 'us-a' });
    const gateway = await front(s, region.url, { pool: { max_retries: 0 } });
    const session = await h2Connect(s, plain(gateway));
    for (const key of ['abc', '', 'dGhlIHNhbXBsZSBub25jZQ==']) {
      const { status, raw } = await h2WebSocket(session, '/echo', { headers: { 'sec-websocket-key': key } });
      assert.equal(status, 200, key);
      assert.equal(await askText(raw, 'hello'), 'hello');
      const sent = (await region.lastRequest('/echo')).headers['sec-websocket-key'];
      assert.equal(Buffer.from(sent, 'base64').length, 16);
      assert.notEqual(sent, key);
      raw.write(closeFrame(1000, '', { mask: true }));
      await raw.closing();
    }
  });

  scene('what a WebSocket must not do ends its stream with the code, and nothing else', async (s) => {
    const region = await s.region();
    const gateway = await front(s, region.url, { route: { websocket: { max_message: '1KiB', check_utf8: true } } });
    const session = await h2Connect(s, plain(gateway));
    const other = await h2WebSocket(session, '/echo');
    for (const [what, bytes, code] of [
      ['no mask', frame({ payload: 'hello' }), 1002],
      ['a reserved bit', frame({ payload: 'hello', rsv: 4, mask: true }), 1002],
      ['too long a message', frame({ payload: 'x'.repeat(2000), mask: true }), 1009],
      ['no UTF-8', frame({ payload: Buffer.from([0xff, 0xfe]), mask: true }), 1007],
    ]) {
      const { raw } = await h2WebSocket(session, '/echo');
      raw.write(bytes);
      assert.equal((await raw.closing()).code, code, what);
      assert.equal(await askText(other.raw, what), what);
    }
    // A stream that is reset is a client that is gone.
    const gone = await h2WebSocket(session, '/echo');
    gone.stream.close(http2.constants.NGHTTP2_CANCEL);
    await gateway.process.line(/websocket closed.*by=client phase=open code=1006/);
    assert.equal(await askText(other.raw, 'still'), 'still');
    // Bodies that are no tunnel.
    const h = await H2Raw.connect(s, gateway.port);
    const connect = [[':method', 'CONNECT'], [':protocol', 'websocket'], [':scheme', 'http'], [':path', '/echo'], [':authority', 'h'], ['sec-websocket-version', '13']];
    assert.equal(h.settings?.get(SETTING.connectProtocol) ?? (await h.until('settings', () => h.settings)).get(SETTING.connectProtocol), 1);
    for (const [what, fields, options] of [
      ['a length', [...connect, ['content-length', '5']], { end: false }],
      ['upgrade', [...connect, ['upgrade', 'websocket']], { end: false }],
      ['no path', connect.filter(([name]) => name !== ':path'), { end: false }],
      ['no scheme', connect.filter(([name]) => name !== ':scheme'), { end: false }],
    ]) {
      const outcome = await h.outcome(h.request(fields, options));
      assert.ok([400, `reset ${CODE.protocol}`].includes(outcome), `${what}: ${outcome}`);
    }
  });

  scene('many on one connection, which is lost with all of them', async (s) => {
    const region = await s.region();
    const gateway = await front(s, region.url);
    const session = await h2Connect(s, plain(gateway));
    const sockets = await Promise.all(Array.from({ length: 100 }, () => h2WebSocket(session, '/echo')));
    const echoes = await Promise.all(sockets.map(({ raw }, i) => askText(raw, `hello ${i}`)));
    assert.deepEqual(echoes, sockets.map((_, i) => `hello ${i}`));
    const metrics = await gateway.metrics();
    assert.equal(metrics.sum('client_connections'), 1);
    assert.equal(metrics.sum('ws_connections'), 100);
    assert.equal((await region.stats()).open, 100);
    session.destroy();
    await waitFor('the server to lose them', async () => (await region.stats()).open === 0);
    await waitFor('the gateway to forget them', async () => {
      const now = await gateway.metrics();
      return ['ws_connections', 'client_connections', 'server_connections', 'buffered_bytes'].every((gauge) => now.sum(gauge) === 0);
    });
  });

  scene('the server is lost: 1012; the gateway leaves: 1001 and GOAWAY', async (s) => {
    const region = await s.region();
    const gateway = await front(s, region.url, { drain: { time: '300ms' } });
    const session = await h2Connect(s, plain(gateway));
    const lost = await Promise.all([1, 2, 3].map(() => h2WebSocket(session, '/echo')));
    await region.kill();
    for (const { raw } of lost) assert.equal((await raw.closing()).code, 1012);
    await s.region({ port: region.port });
    const left = await Promise.all([1, 2, 3].map(() => h2WebSocket(session, '/echo')));
    const goaway = event(session, 'goaway', 10000);
    gateway.process.signalled('SIGQUIT');
    for (const { raw } of left) {
      assert.equal((await raw.closing()).code, 1001);
      raw.write(closeFrame(1001, '', { mask: true }));
      raw.finish();
    }
    assert.equal((await goaway)[0], 0);
    await gateway.process.exited;
    assert.equal(gateway.process.code, 0);
  });

  scene('a slow one slows its server, at bounded cost, while the next on the same connection is quick', async (s) => {
    const message = frame({ opcode: OPCODE.binary, payload: crypto.randomBytes(256 * 1024) });
    const count = 96;
    let sent = 0;
    const port = await s.server(async (raw) => {
      const head = await raw.head();
      raw.write(upgradeAnswer(head));
      if (head.line.includes('/quick')) {
        raw.write(frame({ payload: (await raw.frame()).payload }));
        return;
      }
      for (; sent < count; sent++) if (!raw.socket.write(message)) await new Promise((resolve) => raw.socket.once('drain', resolve));
    });
    const gateway = await front(s, `ws://127.0.0.1:${port}`);
    const session = await h2Connect(s, plain(gateway));
    const slow = await h2WebSocket(session, '/slow');
    slow.raw.pause();
    await stopped('the server to be stopped', () => sent);
    assert.ok(sent < count, `${sent} of ${count} sent`);
    assert.ok((await gateway.metrics()).sum('buffered_bytes') < 2 * MIB);
    const quick = await h2WebSocket(session, '/quick');
    assert.equal(await askText(quick.raw, 'quick'), 'quick');
    const hash = crypto.createHash('sha256');
    let got = slow.raw.bytes.length;
    hash.update(slow.raw.bytes);
    slow.stream.removeAllListeners('data');
    slow.stream.on('data', (part) => {
      got += part.length;
      hash.update(part);
    });
    slow.raw.resume();
    await waitFor('all of it', () => got === count * message.length, 20000);
    const expected = crypto.createHash('sha256');
    for (let i = 0; i < count; i++) expected.update(message);
    assert.equal(hash.digest('hex'), expected.digest('hex'));
  });

  scene('compressed messages, where the route offers them', async (s) => {
    const region = await s.region();
    const gateway = await front(s, region.url, { route: { websocket: { compression: { enabled: true, min_message: '16B' } } } });
    const session = await h2Connect(s, plain(gateway));
    const { headers, raw } = await h2WebSocket(session, '/echo', { headers: { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' } });
    assert.match(headers['sec-websocket-extensions'], /^permessage-deflate/);
    const text = 'the same words again and again, '.repeat(100);
    const packed = zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
    raw.write(frame({ payload: packed, rsv: 4, mask: true }));
    const answer = await raw.frame();
    assert.equal(answer.rsv, 4);
    assert.ok(answer.payload.length < text.length / 10);
    const plainText = zlib.inflateRawSync(Buffer.concat([answer.payload, Buffer.from([0, 0, 0xff, 0xff])]), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    assert.equal(plainText.toString(), text);
    assert.equal((await region.lastRequest('/echo')).headers['sec-websocket-extensions'], undefined);
  });

  scene('it is not announced where it is not served', async (s) => {
    const region = await s.region();
    const gateway = await s.gateway((g) => ({
      listen: [{ address: `127.0.0.1:${g.port}`, redirect_https: true }],
      pools: { p: { check: NO_CHECK, servers: [{ name: 'a', url: region.url }] } },
      routes: [{ path: '/', pool: 'p' }],
    }));
    const h = await H2Raw.connect(s, gateway.port);
    await h.until('settings', () => h.settings);
    assert.ok(!h.settings.get(SETTING.connectProtocol));
  });
});

describe('websockets over HTTP/2: servers', { concurrency: 2 }, () => {
  scene('a server that announces it gets many WebSockets on one connection, whatever the clients speak', async (s) => {
    const server = await h2WebSocketServer(s, { headers: { 'sec-websocket-protocol': 'scene.v1', 'x-server': 'h2' } });
    const gateway = await front(s, server.url, { route: { websocket: { upstream: 'h2' } } });
    const clients = await Promise.all(Array.from({ length: 20 }, () => Client.open(s, `${gateway.url}/chat?x=1`, { protocols: ['scene.v1'] })));
    for (const [i, c] of clients.entries()) assert.equal(await c.ask(`hello ${i}`), `hello ${i}`);
    const big = crypto.randomBytes(MIB);
    assert.ok((await clients[0].ask(big)).equals(big));
    assert.equal(clients[0].headers['x-server'], 'h2');
    assert.equal(clients[0].socket.protocol, 'scene.v1');
    const session = await h2Connect(s, plain(gateway));
    const over = await h2WebSocket(session, '/chat?x=2', { headers: { 'sec-websocket-protocol': 'scene.v1' } });
    assert.equal(over.status, 200);
    assert.equal(await askText(over.raw, 'both ways'), 'both ways');
    assert.equal(server.sessionCount, 1);
    assert.equal(server.streamCount, 21);
    const [seen] = server.asked;
    assert.deepEqual([seen[':method'], seen[':path'], seen[':scheme'], seen['sec-websocket-version']], ['CONNECT', '/chat?x=1', 'http', '13']);
    for (const name of ['sec-websocket-key', 'connection', 'upgrade']) assert.equal(seen[name], undefined, name);
    assert.deepEqual(await clients[1].close(4000, 'bye'), { code: 4000, reason: 'bye' });
    // The connection is lost under the others.
    for (const socket of server.sockets) socket.destroy();
    for (const c of [clients[0], ...clients.slice(2)]) assert.equal((await c.closing()).code, 1012);
    assert.equal((await over.raw.closing()).code, 1012);
    const again = await Client.open(s, `${gateway.url}/chat`, { protocols: ['scene.v1'] });
    assert.equal(await again.ask('again'), 'again');
    assert.equal(server.sessionCount, 2);
  });

  scene('a server without TLS that does not know HTTP/2 at all', async (s) => {
    const region = await s.region();
    for (const upstream of ['auto', 'h2']) {
      const gateway = await front(s, region.url, { route: { websocket: { upstream } } });
      for (let i = 0; i < 2; i++) {
        const c = await Client.open(s, `${gateway.url}/echo`);
        assert.equal(await c.ask(upstream), upstream);
      }
    }
  });

  scene('a slow client slows its server through both connections', async (s) => {
    const message = frame({ opcode: OPCODE.binary, payload: crypto.randomBytes(256 * 1024) });
    const count = 64;
    let sent = 0;
    const server = await h2WebSocketServer(s, {
      serve: async (raw, headers) => {
        if (headers[':path'] === '/quick') raw.write(frame({ payload: (await raw.frame()).payload }));
        else for (; sent < count; sent++) if (!raw.socket.write(message)) await new Promise((resolve) => raw.socket.once('drain', resolve));
      },
    });
    const gateway = await front(s, server.url, { route: { websocket: { upstream: 'h2' } } });
    const slow = await Client.open(s, `${gateway.url}/slow`);
    slow.socket.pause();
    await stopped('the server to be stopped', () => sent);
    assert.ok(sent < count, `${sent} of ${count} sent`);
    assert.ok((await gateway.metrics()).sum('buffered_bytes') < 2 * MIB);
    const quick = await Client.open(s, `${gateway.url}/quick`);
    assert.equal(await quick.ask('quick'), 'quick');
    assert.equal(server.sessionCount, 1);
    let got = 0;
    slow.socket.on('message', () => got++);
    slow.socket.resume();
    await waitFor('all of it', () => got + slow.queue.length >= count, 20000);
  });
});

describe('websockets over HTTP/2: Chromium', () => {
  scene('a page\'s WebSockets travel on the connection it was loaded over', { timeout: 90000 }, async (s) => {
    const [region, web] = await Promise.all([s.region({ name: 'us-a' }), browser.servePage(s)]);
    const { cert, key } = await (await Authority.create(s)).issue('gateway', [NAME]);
    const gateway = await s.gateway((g) => ({
      listen: [{ address: `127.0.0.1:${g.port}`, tls: { certificates: [{ cert, key }] } }],
      pools: {
        pages: { check: NO_CHECK, servers: [{ name: 'pages', url: web }] },
        sockets: { check: NO_CHECK, servers: [{ name: 'us-a', url: region.url }] },
      },
      routes: [
        { name: 'pages', path: '/', pool: 'pages' },
        { name: 'sockets', path: '/echo', pool: 'sockets', websocket: { compression: { enabled: true } } },
        { name: 'phoenix', path: '/socket', pool: 'sockets' },
      ],
    }));
    const spki = crypto.createHash('sha256').update(new crypto.X509Certificate(fs.readFileSync(cert)).publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
    const url = `https://${NAME}:${gateway.port}`;
    const { page } = await browser.openPage(s, { url: `${url}/`, flags: [`--ignore-certificate-errors-spki-list=${spki}`, `--host-resolver-rules=MAP ${NAME} 127.0.0.1`] });

    const first = await browser.open(page, `${ws(url)}/echo`, ['scene.v1']);
    assert.equal(first.isOpen, true);
    assert.equal(first.protocol, 'scene.v1');
    assert.match(first.extensions, /permessage-deflate/);
    const ids = [first.id];
    for (let i = 0; i < 9; i++) ids.push((await browser.open(page, `${ws(url)}/echo`)).id);
    for (const id of ids) assert.equal(await browser.ask(page, id, `Grüße, ${id}`), `Grüße, ${id}`);
    const big = 'x'.repeat(MIB);
    assert.equal((await browser.ask(page, ids[0], big)).length, MIB);
    const metrics = await gateway.metrics();
    assert.equal(metrics.sum('ws_connections', { route: 'sockets' }), 10);
    assert.ok(metrics.sum('http2_requests_total') >= 11);
    assert.ok(metrics.sum('client_connections') <= 2, `${metrics.sum('client_connections')} connections`);
    assert.equal(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol), 'h2');

    await page.evaluate((id) => globalThis.sockets[id].socket.close(4001, 'bye'), ids[0]);
    assert.deepEqual(await browser.closing(page, ids[0]), { code: 4001, reason: 'bye', wasClean: true });
    await gateway.process.line(/websocket closed.*route=sockets.*by=client phase=closed code=4001.*path=\/echo.*protocol=HTTP\/2\.0.*tls=TLSv1\.3/);
    await region.kill();
    for (const id of ids.slice(1)) {
      const { reason, ...how } = await browser.closing(page, id);
      assert.deepEqual(how, { code: 1012, wasClean: true });
      assert.match(reason, LOST);
    }
    await s.region({ name: 'us-a', port: region.port });
    const last = await browser.open(page, `${ws(url)}/socket/websocket?vsn=2.0.0`);
    assert.equal(JSON.parse(await browser.ask(page, last.id, JSON.stringify(['1', '1', 'room:1', 'phx_join', {}])))[4].response.region, 'us-a');
    await gateway.stop();
    assert.equal((await browser.closing(page, last.id)).code, 1001);
  });
});
