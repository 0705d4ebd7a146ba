// permessage-deflate with the clients people use: between the client and the gateway, unknown to the server.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { describe } = require('node:test');
const WebSocket = require('ws');
const { Client, event, scene, waitFor } = require('./lib');
const { Authority } = require('./lib/authority');
const { ask, open, openPage, servePage } = require('./lib/browser');

const LETTERS = 'the position of a vehicle and the time it was seen there, once more; '.repeat(4000); // 276 kB

// A gateway before a server of the `ws` package; the server's end of the last WebSocket comes with `accepted`.
async function stage(s, compression, websocket = {}) {
  const server = new WebSocket.Server({ host: '127.0.0.1', port: 0 });
  await event(server, 'listening');
  s.atEnd(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  const gateway = await s.gateway({
    pools: { p: { check: { type: 'none' }, servers: [{ name: 'ws', url: `ws://127.0.0.1:${server.address().port}` }] } },
    routes: [{ path: '/', pool: 'p', websocket: { ...websocket, ...(compression && { compression }) } }],
  });
  const pair = async (perMessageDeflate) => {
    const accepted = event(server, 'connection');
    const client = await Client.open(s, gateway.url, { perMessageDeflate });
    const [socket, request] = await accepted;
    assert.equal(request.headers['sec-websocket-extensions'], undefined);
    return { client, server: new Client(socket) };
  };
  const packed = async () => {
    const metrics = await gateway.metrics();
    return { plain: metrics.sum('ws_deflate_plain_bytes_total'), packed: metrics.sum('ws_deflate_packed_bytes_total') };
  };
  return { gateway, pair, packed };
}

async function talk(from, to) {
  for (const message of ['hello', '', Buffer.alloc(0), 'Grüße, 世界 🌊', 'x'.repeat(255), 'x'.repeat(256), Buffer.alloc(65536, 7), LETTERS, crypto.randomBytes(200000), LETTERS]) {
    from.send(message);
    assert.deepEqual(await to.message(), message);
  }
  const pinged = event(to.socket, 'ping');
  from.socket.send(LETTERS.slice(0, 1000), { fin: false });
  from.socket.ping('between');
  from.socket.send('', { fin: false });
  from.socket.send(LETTERS.slice(1000), { fin: true });
  assert.equal(await to.message(), LETTERS);
  assert.equal((await pinged)[0].toString(), 'between');
}

describe('compression', { concurrency: 2 }, () => {
  const rows = [
    ['each message alone', { enabled: true }, { threshold: 0 }, /^permessage-deflate; server_no_context_takeover; client_no_context_takeover$/],
    ['contexts kept', { enabled: true, context_takeover: true, min_message: '0B' }, { threshold: 0 }, /^permessage-deflate$/],
    ['small windows kept', { enabled: true, context_takeover: true, window_bits: 9 }, { threshold: 0 },
      /^permessage-deflate; server_max_window_bits=9; client_max_window_bits=9$/],
    ['a client that wants little', { enabled: true, context_takeover: true }, { threshold: 0, serverMaxWindowBits: 10, serverNoContextTakeover: true },
      /^permessage-deflate; server_no_context_takeover; server_max_window_bits=10$/],
  ];
  for (const [title, compression, offer, answer] of rows) {
    scene(`messages are the same on both sides: ${title}`, async (s) => {
      const { gateway, pair, packed } = await stage(s, compression, { check_utf8: true });
      const { client, server } = await pair(offer);
      assert.match(client.headers['sec-websocket-extensions'], answer);
      await talk(client, server);
      await talk(server, client);
      const sum = await packed();
      assert.ok(sum.plain > 1500000 && sum.packed < sum.plain / 2, JSON.stringify(sum));
      await client.close(4000, 'enough');
      assert.deepEqual(await server.closing(), { code: 4000, reason: 'enough' });
      await waitFor('ws_connections to be 0', async () => (await gateway.metrics()).sum('ws_connections') === 0);
    });
  }

  scene('a client that does not offer it, and a route that does not want it, go without', async (s) => {
    const { pair, packed } = await stage(s, { enabled: true });
    const { client, server } = await pair(false);
    assert.equal(client.headers['sec-websocket-extensions'], undefined);
    await talk(client, server);
    await talk(server, client);
    const other = await stage(s);
    const silent = await other.pair({ threshold: 0 });
    assert.equal(silent.client.headers['sec-websocket-extensions'], undefined);
    await talk(silent.client, silent.server);
    for (const sum of [await packed(), await other.packed()]) assert.deepEqual(sum, { plain: 0, packed: 0 });
  });

  scene('a message that grows too large is 1009 for its sender and 1001 for the server', async (s) => {
    const { pair } = await stage(s, { enabled: true }, { max_message: '1MiB' });
    const { client, server } = await pair({ threshold: 0 });
    client.send(Buffer.alloc((1 << 20) + 1));
    assert.equal((await client.closing()).code, 1009);
    assert.equal((await server.closing()).code, 1001);
  });

  // What a page says is the same, compressed in two ways; `base` begins the URL of its WebSockets.
  async function talkFromPage(page, base) {
    const rows = [
      ['/echo', 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'],
      ['/echo/kept', 'permessage-deflate; server_max_window_bits=11; client_max_window_bits=11'],
    ];
    for (const [target, extensions] of rows) {
      const { id, ...opened } = await open(page, `${base}${target}`);
      assert.deepEqual(opened, { isOpen: true, protocol: '', extensions });
      for (const text of ['short', 'Grüße, 世界; '.repeat(50), 'x'.repeat(1 << 20), 'Grüße, 世界; '.repeat(50), '']) assert.equal(await ask(page, id, text), text);
    }
  }
  const routes = [
    { path: '/echo', pool: 'p', websocket: { compression: { enabled: true } } },
    { path: '/echo/kept', pool: 'p', websocket: { compression: { enabled: true, context_takeover: true, window_bits: 11 } } },
  ];

  scene('chromium', { timeout: 90000 }, async (s) => {
    const us = await s.region({ name: 'us-a' });
    const gateway = await s.gateway({ pools: { p: { check: { type: 'none' }, servers: [{ name: 'us-a', url: us.url }] } }, routes });
    const { page } = await openPage(s);
    await talkFromPage(page, gateway.url);
    const metrics = await gateway.metrics();
    assert.ok(metrics.sum('ws_deflate_plain_bytes_total') > 4 << 20);
    assert.ok(metrics.sum('ws_deflate_packed_bytes_total') < 20000);
  });

  scene('chromium over HTTP/2', { timeout: 90000 }, async (s) => {
    const [us, origin, authority] = await Promise.all([s.region({ name: 'us-a' }), servePage(s), Authority.create(s)]);
    const certificate = await authority.issue('gateway', ['IP:127.0.0.1']);
    const gateway = await s.gateway(({ port, adminPort, folder }) => ({
      node: { name: 'scene' },
      workers: 1,
      log: { level: 'debug' },
      listen: [{ address: `127.0.0.1:${port}`, tls: { certificates: [certificate] } }],
      admin: { address: `127.0.0.1:${adminPort}` },
      control: { path: `${folder}/control.sock` },
      pools: {
        p: { check: { type: 'none' }, servers: [{ name: 'us-a', url: us.url }] },
        web: { check: { type: 'none' }, servers: [{ name: 'page', url: origin }] },
      },
      routes: [...routes, { path: '/', pool: 'web' }],
    }));
    const at = `127.0.0.1:${gateway.port}`;
    const { page } = await openPage(s, { url: `https://${at}/`, flags: ['--ignore-certificate-errors'] });
    await talkFromPage(page, `wss://${at}`);
    const metrics = await gateway.metrics();
    assert.ok(metrics.sum('ws_deflate_packed_bytes_total') < 20000);
    assert.equal(metrics.sum('ws_connections'), 2);
    assert.ok(metrics.sum('client_connections') < 3); // that of the page, and one that Chromium may have opened ahead of need
  });
});
