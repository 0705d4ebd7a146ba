// Chromium, with its own idea of what a WebSocket is, from a page of another origin.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { LOST, scene } = require('./lib');
const { ask, closing, open, openPage } = require('./lib/browser');

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
    for (const id of [2, 3]) {
      const { reason, ...how } = await closing(page, id);
      assert.deepEqual(how, { code: 1012, wasClean: true });
      assert.match(reason, LOST);
    }
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
