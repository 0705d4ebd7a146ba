// The example backend is what every other scene stands on, so it is shown by itself first, with the clients people use.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const WebSocket = require('ws');
const phoenix = require('phoenix');
const { RealtimeClient } = require('@supabase/realtime-js');
const { Client, OPCODE, event, frame, get, request, scene, upgradeRequest, waitFor, within } = require('./lib');

function phoenixSocket(s, region, options = {}) {
  const socket = new phoenix.Socket(`${region.url}/socket`, { transport: WebSocket, ...options });
  socket.connect();
  s.atEnd(() => new Promise((resolve) => socket.disconnect(resolve)));
  return socket;
}

// A push's or a join's answer: ['ok' | 'error' | 'timeout', response].
function answer(push, ms = 5000) {
  return within(ms, 'an answer', new Promise((resolve) => {
    for (const status of ['ok', 'error', 'timeout']) push.receive(status, (response) => resolve([status, response]));
  }));
}

function realtime(s, region) {
  const client = new RealtimeClient(`${region.url}/socket`, { params: { apikey: 'none' }, transport: WebSocket });
  s.atEnd(() => client.disconnect());
  return client;
}

function subscribed(channel) {
  return within(5000, 'the subscription', new Promise((resolve, reject) => {
    channel.subscribe((status, error) => {
      if (status === 'SUBSCRIBED') resolve();
      else if (status !== 'CLOSED') reject(error ?? new Error(status));
    });
  }));
}

describe('region: WebSocket', { concurrency: true }, () => {
  scene('an echo returns text, bytes, nothing at all and a megabyte', async (s) => {
    const c = await Client.open(s, `${(await s.region()).url}/echo`);
    assert.equal(await c.ask('hello'), 'hello');
    assert.deepEqual(await c.ask(Buffer.from([0, 255, 1])), Buffer.from([0, 255, 1]));
    assert.equal(await c.ask(''), '');
    const big = 'x'.repeat(1 << 20);
    assert.equal(await c.ask(big), big);
    assert.deepEqual(await c.close(4001, 'bye'), { code: 4001, reason: 'bye' });
  });

  scene('the first subprotocol offered is the one spoken, and the head is kept as it came', async (s) => {
    const region = await s.region({ name: 'eu-b' });
    const c = await Client.open(s, `${region.url}/echo?x=1`, { protocols: ['made-up.v7', 'other'], headers: { 'X-Forwarded-For': '192.0.2.1' } });
    assert.equal(c.socket.protocol, 'made-up.v7');
    assert.equal(c.headers['x-region'], 'eu-b');
    const seen = await region.lastRequest('/echo?x=1');
    assert.equal(seen.headers['x-forwarded-for'], '192.0.2.1');
    assert.ok(seen.lines.includes('X-Forwarded-For: 192.0.2.1'), 'case is kept');
  });

  scene('it pings back, unless it is told to hang', async (s) => {
    const region = await s.region();
    const c = await s.connect(region.port);
    c.write(upgradeRequest({ path: '/echo' }));
    assert.equal((await c.head()).status, 101);
    c.write(frame({ opcode: OPCODE.ping, payload: 'you?', mask: true }));
    const pong = await c.frame();
    assert.equal(pong.opcode, OPCODE.pong);
    assert.equal(pong.payload.toString(), 'you?');
    await region.knobs({ hang: 'ping' });
    c.write(frame({ opcode: OPCODE.ping, payload: 'still?', mask: true }));
    c.write(frame({ payload: 'anybody?', mask: true }));
    await assert.rejects(c.frame(300), /not within/);
    await region.clearKnobs();
    assert.equal((await c.frame()).payload.toString(), 'still?');
    assert.equal((await c.frame()).payload.toString(), 'anybody?');
  });

  scene('knobs: refused, hung and late upgrades', async (s) => {
    const region = await s.region({ knobs: { upgrade_status: 429 } });
    const refused = await Client.open(s, `${region.url}/echo`, { mayFail: true });
    assert.equal(refused.refused.status, 429);
    assert.equal((await get(region.port, '/health')).status, 200);
    await region.knobs({ clear: 1, hang: 'upgrade' });
    const hung = new WebSocket(`${region.url}/echo`);
    s.atEnd(() => hung.terminate());
    hung.on('error', () => {});
    await waitFor('the upgrade to arrive', async () => (await region.lastRequest('/echo')) && (await region.stats()).upgrades === 0);
    const opened = event(hung, 'open');
    await region.clearKnobs(); // who hung comes in
    await opened;
    await region.knobs({ refuse: 'reset' });
    await assert.rejects(get(region.port, '/health'), /ECONNRESET|socket hang up/);
    await region.knobs({ clear: 1, delay: '300ms' });
    const start = Date.now();
    await Client.open(s, `${region.url}/echo`);
    assert.ok(Date.now() - start >= 290);
    assert.equal((await request({ port: region.port, path: '/_knobs?hang=nothing', method: 'POST' })).status, 400);
  });

  scene('knobs: close codes and wrong frames, for what is open and what comes', async (s) => {
    const region = await s.region();
    const open = await Client.open(s, `${region.url}/echo`);
    await region.knobs({ close: 4444, close_reason: 'go away' }, { once: true });
    assert.deepEqual(await open.closing(), { code: 4444, reason: 'go away' });
    const stays = await Client.open(s, `${region.url}/echo`);
    assert.equal(await stays.ask('here'), 'here');
    const raw = await s.connect(region.port);
    raw.write(upgradeRequest({ path: '/echo' }));
    await raw.head();
    await region.knobs({ frame: 'bad-opcode' }, { once: true });
    assert.equal((await raw.frame()).opcode, 3);
    const reset = await s.connect(region.port);
    reset.write(upgradeRequest({ path: '/echo' }));
    await reset.head();
    await region.knobs({ frame: 'reset' }, { once: true });
    assert.equal(await reset.ended(), 'ECONNRESET');
    await region.knobs({ frame: 'cut' });
    const cut = await Client.open(s, `${region.url}/echo`);
    assert.equal((await cut.closing()).code, 1006);
  });

  scene('told to stop, it closes with 1012 and exits cleanly', async (s) => {
    const region = await s.region();
    const c = await Client.open(s, `${region.url}/echo`);
    await region.stop();
    assert.equal((await c.closing()).code, 1012);
    assert.equal(region.process.code, 0);
  });
});

describe('region: Phoenix channels', { concurrency: true }, () => {
  for (const vsn of ['1.0.0', '2.0.0']) {
    scene(`the phoenix client joins, talks and leaves (vsn ${vsn})`, async (s) => {
      const region = await s.region({ name: 'us-a' });
      const options = vsn === '1.0.0' ? { vsn, encode: (m, cb) => cb(JSON.stringify(m)), decode: (text, cb) => cb(JSON.parse(text)) } : { vsn };
      const [a, b] = [phoenixSocket(s, region, options), phoenixSocket(s, region, options)];
      const [room, other] = [a.channel('room:1', {}), b.channel('room:1', {})];
      assert.deepEqual(await answer(room.join()), ['ok', { region: 'us-a' }]);
      assert.deepEqual(await answer(other.join()), ['ok', { region: 'us-a' }]);
      const heard = within(5000, 'the message', new Promise((resolve) => other.on('new_msg', resolve)));
      assert.equal((await answer(room.push('new_msg', { text: 'hi' })))[0], 'ok');
      assert.deepEqual(await heard, { text: 'hi' });
      assert.equal((await answer(room.push('whoami', {})))[1].region, 'us-a');
      assert.deepEqual(await answer(room.push('fail', {})), ['error', { reason: 'asked to fail' }]);
      assert.equal((await answer(room.leave()))[0], 'ok');
      await waitFor('the channel to close', () => room.state === 'closed');
      assert.equal((await answer(a.channel('room:2', { refuse: 'not you' }).join()))[1].reason, 'not you');
      const error = within(5000, 'the crash', new Promise((resolve) => other.onError(resolve)));
      other.push('crash', {}, 100); // is never answered
      await error;
    });
  }

  scene('on the wire: heartbeat, unmatched topic, stale leave, join twice', async (s) => {
    const c = await Client.open(s, `${(await s.region()).url}/socket/websocket?vsn=2.0.0`);
    const ask = async (...f) => JSON.parse(await c.ask(JSON.stringify(f)));
    assert.deepEqual(await ask(null, '1', 'phoenix', 'heartbeat', {}), [null, '1', 'phoenix', 'phx_reply', { status: 'ok', response: {} }]);
    assert.deepEqual((await ask('9', '2', 'room:x', 'shout', {}))[4], { status: 'error', response: { reason: 'unmatched topic' } });
    c.send('not JSON');
    c.send(JSON.stringify([1, 2]));
    const config = { config: { presence: { enabled: false } } };
    assert.equal((await ask('3', '3', 'room:x', 'phx_join', config))[4].status, 'ok');
    assert.equal((await ask('4', '4', 'room:x', 'phx_join', config))[1], '4');
    assert.deepEqual(JSON.parse(await c.message()), ['3', '3', 'room:x', 'phx_close', {}]);
    c.send(JSON.stringify(['3', '5', 'room:x', 'phx_leave', {}])); // names the join that is gone
    assert.equal((await ask('4', '6', 'room:x', 'phx_leave', {}))[1], '6');
    assert.deepEqual(JSON.parse(await c.message()), ['4', '4', 'room:x', 'phx_close', {}]);
    assert.equal((await Client.open(s, `${c.socket.url.replace('2.0.0', '7.0.0')}`, { mayFail: true })).refused.status, 403);
  });

  scene('two regions are one cluster: broadcasts and presence cross', async (s) => {
    const { url } = await s.redis();
    const [us, eu] = await Promise.all([s.region({ name: 'us-a', redis: url }), s.region({ name: 'eu-a', redis: url })]);
    await waitFor('the regions to meet', async () => (await us.stats()).cluster.length === 1 && (await eu.stats()).cluster.length === 1);
    const [a, b] = [realtime(s, us), realtime(s, eu)];
    const here = a.channel('lobby', { config: { broadcast: { self: false, ack: true }, presence: { key: 'ann' } } });
    const there = b.channel('lobby', { config: { broadcast: { self: true }, presence: { key: 'bob' } } });
    const heard = [];
    here.on('broadcast', { event: 'cursor' }, (message) => heard.push(['here', message.payload]));
    there.on('broadcast', { event: 'cursor' }, (message) => heard.push(['there', message.payload]));
    here.on('presence', { event: 'sync' }, () => {});
    there.on('presence', { event: 'sync' }, () => {});
    await Promise.all([subscribed(here), subscribed(there)]);
    assert.equal(await here.send({ type: 'broadcast', event: 'cursor', payload: { x: 1 } }), 'ok');
    await waitFor('the broadcast to cross', () => heard.length === 1);
    assert.deepEqual(heard, [['there', { x: 1 }]], 'the sender did not ask for its own');
    await there.send({ type: 'broadcast', event: 'cursor', payload: { x: 2 } });
    await waitFor('both to hear the second', () => heard.length === 3);

    assert.equal(await here.track({ name: 'Ann' }), 'ok');
    await waitFor('ann to be seen there', () => there.presenceState().ann?.[0]?.name === 'Ann');
    await there.track({ name: 'Bob' });
    await waitFor('bob to be seen here', () => here.presenceState().bob?.[0]?.name === 'Bob');

    const late = realtime(s, eu).channel('lobby');
    late.on('presence', { event: 'sync' }, () => {});
    await subscribed(late);
    await waitFor('the newcomer to see both', () => Object.keys(late.presenceState()).sort().join() === 'ann,bob');
    await us.kill(); // nobody says good-bye: the others notice the silence
    await waitFor('ann to be gone', () => !('ann' in there.presenceState()), 10000);
  });
});

describe('region: rows and health', { concurrency: true }, () => {
  for (const isShared of [false, true]) {
    scene(`rows are added, found, changed and removed (${isShared ? 'Redis' : 'memory'})`, async (s) => {
      const redis = isShared ? (await s.redis()).url : undefined;
      const region = await s.region({ name: 'us-a', redis });
      const rest = (method, query, body, from = region) => request({ port: from.port, path: `/rest/v1/cars${query}`, method, body });
      const added = await waitFor('the store', async () => {
        const reply = await rest('POST', '', [{ make: 'vw', year: 2001 }, { make: 'bmw', year: 2010 }]);
        return reply.status === 201 && reply;
      });
      const ids = added.json.map((row) => row.id);
      assert.deepEqual((await rest('GET', '?year=gt.2005&select=make')).json, [{ make: 'bmw' }]);
      assert.deepEqual((await rest('GET', '?order=id.desc&limit=1')).json.map((row) => row.make), ['bmw']);
      assert.equal((await rest('PATCH', `?id=eq.${ids[0]}`, { year: 1999 })).json[0].year, 1999);
      assert.equal((await rest('DELETE', '?make=eq.bmw')).json.length, 1);
      assert.deepEqual((await rest('GET', '')).json, [{ id: ids[0], make: 'vw', year: 1999 }]);
      assert.equal((await rest('POST', '', 'nonsense')).status, 400);
      if (isShared) {
        const other = await s.region({ name: 'eu-a', redis });
        await waitFor('the other region to see the row', async () => (await rest('GET', '', undefined, other)).json.length === 1);
      }
    });
  }

  scene('health says ok, or what it is told to say', async (s) => {
    const region = await s.region({ name: 'us-a' });
    assert.deepEqual((await get(region.port, '/health')).json, { status: 'ok', region: 'us-a' });
    await region.knobs({ health: 503 });
    assert.equal((await get(region.port, '/health')).status, 503);
    await region.knobs({ clear: 1, hang: 'body' });
    await assert.rejects(get(region.port, '/health', { ms: 300 }), /no answer/);
    await region.clearKnobs();
    assert.equal((await get(region.port, '/health')).status, 200);
    assert.equal((await get(region.port, '/nowhere')).status, 404);
  });
});
