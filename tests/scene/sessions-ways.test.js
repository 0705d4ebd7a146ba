// A session goes on whatever its client came by: plain, over TLS, compressed, as a stream of HTTP/2, from behind a proxy; large messages and all.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Authority, Client, Redis, frame, h2Connect, h2WebSocket, scene, waitFor } = require('./lib');

const TOPIC = 'room:lobby';
const PATH = '/socket/websocket?vsn=2.0.0';

// Speaks vsn 2.0.0 in text over anything that sends strings and gives messages.
class Speaker {
  constructor(send, next) {
    Object.assign(this, { send, next, refCount: 0 });
  }

  async ask(event, payload, topic = TOPIC) {
    const ref = String(++this.refCount);
    this.send(JSON.stringify(['1', ref, topic, event, payload]));
    for (;;) {
      const [, answered, , said, body] = JSON.parse(await this.next());
      if (answered === ref && said === 'phx_reply') return body;
    }
  }
}

const overSocket = (client) => new Speaker((text) => client.send(text), () => client.message());

async function overSecond(session, path) {
  const { status, raw } = await h2WebSocket(session, path);
  assert.equal(status, 200);
  const next = async () => (await raw.frame()).payload.toString();
  return new Speaker((text) => raw.write(frame({ payload: text, mask: true })), next);
}

const authority = async (s) => (await Authority.create(s)).issue('gateway', ['localhost']);

// How a client comes: a gateway's own keys, and what opens the WebSocket.
const ways = {
  plain: { open: async (s, g) => overSocket(await Client.open(s, g.url + PATH)) },
  compressed: {
    websocket: { compression: { enabled: true, min_message: '1B' } },
    open: async (s, g) => {
      const client = await Client.open(s, g.url + PATH, { perMessageDeflate: { threshold: 0 } });
      assert.match(client.socket.extensions, /permessage-deflate/);
      return overSocket(client);
    },
  },
  'compressed, with context': {
    websocket: { compression: { enabled: true, min_message: '1B', context_takeover: true } },
    open: async (s, g) => overSocket(await Client.open(s, g.url + PATH, { perMessageDeflate: { threshold: 0 } })),
  },
  TLS: {
    tls: true,
    open: async (s, g) => overSocket(await Client.open(s, `wss://localhost:${g.port}${PATH}`, { rejectUnauthorized: false })),
  },
  'HTTP/2': { open: async (s, g) => overSecond(await h2Connect(s, `http://127.0.0.1:${g.port}`), PATH) },
  'HTTP/2 over TLS': {
    tls: true,
    open: async (s, g) => overSecond(await h2Connect(s, `https://localhost:${g.port}`, { rejectUnauthorized: false }), PATH),
  },
};

describe('sessions, whatever they come by', { concurrency: 3 }, () => {
  for (const [name, way] of Object.entries(ways))
    scene(`${name}: the region dies, and the WebSocket does not notice`, async (s) => {
      const regions = { a: await s.region({ name: 'a' }), b: await s.region({ name: 'b' }) };
      const certificate = way.tls && (await authority(s));
      const gateway = await s.gateway((g) => ({
        ...(way.tls && { listen: [{ address: `127.0.0.1:${g.port}`, tls: { certificates: [{ cert: certificate.cert, key: certificate.key }] } }] }),
        pools: { p: { check: { type: 'none' }, servers: Object.values(regions).map((r) => ({ name: r.name, url: r.url })) } },
        routes: [{ path: '/socket', pool: 'p', websocket: { protocol: 'phoenix', delivery: 'at-least-once', ...way.websocket } }],
      }));
      const speaker = await way.open(s, gateway);
      const joined = await speaker.ask('phx_join', {});
      assert.equal(joined.status, 'ok');
      for (let i = 0; i < 2; i++) {
        const { response } = await speaker.ask('whoami', {});
        const was = regions[response.region];
        await was.kill();
        let now = await speaker.ask('whoami', { after: i });
        if (now.status === 'error') { // it was on its way when the region died, and at-most-once does not ask again
          assert.equal(now.response.reason, 'gateway: upstream lost');
          now = await speaker.ask('whoami', { after: i });
        }
        assert.equal(now.status, 'ok');
        assert.notEqual(now.response.region, was.name);
        const text = 'x'.repeat(300000);
        assert.equal((await speaker.ask('shout', { text })).status, 'ok', 'a large message');
        regions[was.name] = await s.region({ name: was.name, port: was.port });
      }
      assert.equal((await gateway.metrics()).sum('session_failovers_total'), 2);
    });

  scene('the second region sees the request as the first did', async (s) => {
    const regions = [await s.region({ name: 'a' }), await s.region({ name: 'b' })];
    const gateway = await s.gateway({
      pools: { p: { check: { type: 'none' }, servers: regions.map((r) => ({ name: r.name, url: r.url })) } },
      routes: [{ path: '/socket', pool: 'p', websocket: { protocol: 'phoenix' }, request_headers: { set: { 'x-edge': '{client_ip} {route} {request_id}' } } }],
    });
    const headers = { origin: 'https://app.example.com', cookie: 'a=1; b=2', 'x-tenant': 'acme', authorization: 'Bearer abc' };
    const speaker = overSocket(await Client.open(s, `${gateway.url}${PATH}&apikey=k%201`, { headers }));
    await speaker.ask('phx_join', {});
    const on = (await speaker.ask('whoami', {})).response.region;
    const [was, other] = on === 'a' ? regions : [...regions].reverse();
    const before = await was.lastRequest('/socket');
    await was.kill();
    let after = null; // a push on its way when the region dies may be answered before the other is asked
    await waitFor('the second region to be asked', async () => (after = await other.lastRequest('/socket')) !== null);
    assert.equal(after.target, before.target);
    for (const name of Object.keys(before.headers)) if (name !== 'sec-websocket-key') assert.equal(after.headers[name], before.headers[name], name);
  });

  scene('idle sessions survive as well, and need no server while they have joined nothing', async (s) => {
    const redis = await Redis.start(s);
    const regions = [await s.region({ name: 'a', redis: redis.url }), await s.region({ name: 'b', redis: redis.url })];
    const gateway = await s.gateway({
      pools: { p: { check: { type: 'none' }, servers: regions.map((r) => ({ name: r.name, url: r.url })) } },
      routes: [{ path: '/socket', pool: 'p', websocket: { protocol: 'phoenix' } }],
    });
    const idle = overSocket(await Client.open(s, gateway.url + PATH));
    const was = (await regions[0].stats()).open > 0 ? 0 : 1;
    await regions[was].kill();
    await waitFor('the loss to be seen', async () => (await gateway.metrics()).sum('session_failovers_total') === 1);
    assert.equal((await idle.ask('heartbeat', {}, 'phoenix')).status, 'ok', 'answered at the edge');
    assert.equal((await regions[1 - was].stats()).open, 0, 'nobody was asked in vain');
    assert.equal((await idle.ask('phx_join', {})).status, 'ok');
    assert.equal((await idle.ask('whoami', {})).response.region, regions[1 - was].name);
  });
});
