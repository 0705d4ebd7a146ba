// Chromium, with its own idea of what a WebSocket is, from a page of another origin.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { describe } = require('node:test');
const { chromium } = require('playwright-core');
const { event, scene } = require('./lib');

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-dev-shm-usage',
];
const START_MS = 30000;

// What the page offers to the scene: sockets by number, each with what it was told so far.
const PAGE = `<!doctype html><title>scene</title><script>
var sockets = [];
function connect(url, protocols) {
  const socket = new WebSocket(url, protocols);
  const s = { socket, messages: [], takers: [] };
  socket.binaryType = 'arraybuffer';
  s.opened = new Promise((resolve) => { socket.onopen = () => resolve(true); socket.onerror = () => resolve(false); });
  s.closed = new Promise((resolve) => { socket.onclose = (e) => resolve({ code: e.code, reason: e.reason, wasClean: e.wasClean }); });
  socket.onmessage = (e) => {
    const data = typeof e.data === 'string' ? e.data : Array.from(new Uint8Array(e.data));
    const taker = s.takers.shift();
    if (taker) taker(data); else s.messages.push(data);
  };
  sockets.push(s);
  return s.opened.then((isOpen) => ({ id: sockets.length - 1, isOpen, protocol: socket.protocol, extensions: socket.extensions }));
}
function next(id) {
  const s = sockets[id];
  return s.messages.length > 0 ? s.messages.shift() : new Promise((resolve) => s.takers.push(resolve));
}
function ask(id, data) {
  sockets[id].socket.send(Array.isArray(data) ? new Uint8Array(data) : data);
  return next(id);
}
</script>`;

// A page in a browser of its own.
async function openPage(s) {
  if (!fs.existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: install it (deploy/packages, group test) or name another in CHROMIUM`);
  const web = http.createServer((request, response) => response.setHeader('Content-Type', 'text/html').end(PAGE));
  web.listen(0, '127.0.0.1');
  await event(web, 'listening');
  s.atEnd(() => {
    web.close();
    web.closeAllConnections?.();
  });
  const context = await chromium.launchPersistentContext(path.join(s.temp(), 'chromium'), {
    executablePath: CHROMIUM, ignoreDefaultArgs: ['--enable-automation'], args: FLAGS, headless: true, timeout: START_MS,
  });
  s.atEnd(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  const origin = `http://127.0.0.1:${web.address().port}`;
  await page.goto(origin);
  return { page, origin };
}

const open = (page, url, protocols) => page.evaluate(([u, p]) => globalThis.connect(u, p), [url, protocols]);
const ask = (page, id, data) => page.evaluate(([i, d]) => globalThis.ask(i, d), [id, data]);
const closing = (page, id) => page.evaluate((i) => globalThis.sockets[i].closed, id);

describe('chromium', () => {
  scene('a page talks through the gateway, loses its region with 1012, and comes back in the healthy one', { timeout: 90000 }, async (s) => {
    const [us, eu] = await Promise.all(['us-a', 'eu-a'].map((name) => s.region({ name })));
    const gateway = await s.gateway({
      pools: {
        p: { check: { type: 'none' }, servers: [{ name: 'us-a', url: us.url }, { name: 'eu-a', url: eu.url, tier: 'backup' }] },
      },
      routes: [{ path: '/', pool: 'p' }],
    });
    const { page, origin } = await openPage(s);

    const first = await open(page, `${gateway.url}/echo`, ['scene.v1', 'scene.v2']);
    assert.deepEqual(first, { id: 0, isOpen: true, protocol: 'scene.v1', extensions: '' });
    const seen = await us.lastRequest('/echo');
    assert.equal(seen.headers.origin, origin);
    assert.equal(seen.headers['sec-websocket-extensions'], undefined);
    assert.equal(await ask(page, 0, 'Grüße, 世界'), 'Grüße, 世界');
    assert.deepEqual(await ask(page, 0, [0, 255, 128]), [0, 255, 128]);
    const big = 'x'.repeat(1 << 20);
    assert.equal((await ask(page, 0, big)).length, big.length);

    // A good-bye of the page's own, and one of the server's.
    await page.evaluate(() => globalThis.sockets[0].socket.close(4001, 'bye'));
    assert.deepEqual(await closing(page, 0), { code: 4001, reason: 'bye', wasClean: true });
    await open(page, `${gateway.url}/echo`);
    await us.knobs({ close: 4444, close_reason: 'go away' }, { once: true });
    assert.deepEqual(await closing(page, 1), { code: 4444, reason: 'go away', wasClean: true });

    // The region dies under two sessions, one of them in Phoenix.
    await open(page, `${gateway.url}/echo`);
    await open(page, `${gateway.url}/socket/websocket?vsn=2.0.0`);
    const join = JSON.stringify(['1', '1', 'room:1', 'phx_join', {}]);
    assert.equal(JSON.parse(await ask(page, 3, join))[4].response.region, 'us-a');
    await us.kill();
    for (const id of [2, 3]) assert.deepEqual(await closing(page, id), { code: 1012, reason: 'upstream lost', wasClean: true });
    const again = await open(page, `${gateway.url}/socket/websocket?vsn=2.0.0`);
    assert.equal(again.isOpen, true);
    assert.equal(JSON.parse(await ask(page, again.id, join))[4].response.region, 'eu-a');

    // Nobody is left: the page hears that it failed, and nothing else.
    await eu.kill();
    assert.equal((await closing(page, again.id)).code, 1012);
    const none = await open(page, `${gateway.url}/echo`);
    assert.equal(none.isOpen, false);
    assert.deepEqual(await closing(page, none.id), { code: 1006, reason: '', wasClean: false });

    // The gateway itself leaves.
    const back = await s.region({ name: 'us-a', port: us.port });
    await open(page, `${gateway.url}/echo`);
    assert.equal((await back.stats()).open, 1);
    await gateway.stop();
    assert.equal((await closing(page, 6)).code, 1001);
  });
});
