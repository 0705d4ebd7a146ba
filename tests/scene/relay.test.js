// What passes through a tunnel, byte for byte and however slowly it is taken, and every way in which one ends.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { once } = require('node:events');
const { describe } = require('node:test');
const { LOST, OPCODE, closeFrame, frame, later, parseFrame, scene, upgradeAnswer, upgradeRequest, waitFor, within } = require('./lib');

const KIB = 1 << 10;
const MIB = 1 << 20;
const BUFFER_BYTES = 64 * KIB;
const READ_BYTES = 64 * KIB; // what the gateway takes from a socket at a time
const TAIL_BYTES = 64;
const GOING_AWAY = 1001;
const ABNORMAL = 1006;
const TOO_BIG = 1009;
const INTERNAL = 1011;
const RESTART = 1012;

// A gateway with one route per name, {name: keys of websocket}, whose server hands over its end of each WebSocket.
async function stage(s, routes = { plain: {} }) {
  const waiting = new Map(); // by request target
  const port = await s.server(async (server) => {
    const head = await server.head();
    const [, target] = head.line.split(' ');
    server.write(upgradeAnswer(head));
    server.socket.on('end', () => server.finish());
    waiting.get(target)({ server, id: head.headers['x-request-id'] });
  });
  const gateway = await s.gateway({
    pools: { p: { check: { type: 'none' }, servers: [{ name: 'raw', url: `ws://127.0.0.1:${port}` }] } },
    routes: Object.entries(routes).map(([name, websocket]) => ({ name, path: `/${name}`, pool: 'p', websocket })),
  });
  let count = 0;
  // Both ends of a new WebSocket, and how the gateway's log says that it ended.
  const pair = async (name = 'plain', write = (client, request) => client.write(request)) => {
    const target = `/${name}?${++count}`;
    const accepted = new Promise((resolve) => waiting.set(target, resolve));
    const client = await s.connect(gateway.port);
    client.socket.on('end', () => client.finish());
    await write(client, upgradeRequest({ path: target }));
    assert.equal((await client.head()).status, 101);
    const { server, id } = await within(5000, 'the server', accepted);
    const logged = async () => {
      const [, by, phase, code] = await gateway.process.line(new RegExp(`websocket closed id=${id} .*by=(\\S+) phase=(\\S+) code=(\\d+)`));
      return [by, phase, Number(code)].join(' ');
    };
    return { client, server, logged };
  };
  return { gateway, pair };
}

// A repeatable stream of random numbers; returns whole numbers below `n`.
function dice(seed) {
  let a = seed;
  return (n) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

const sha = (hash) => hash.digest('hex');

async function closed(side, code, reason) {
  const f = await side.closing();
  assert.equal(f.code, code);
  if (reason instanceof RegExp) assert.match(f.reason, reason);
  else if (reason !== undefined) assert.equal(f.reason, reason);
}

// A server that is told good-bye is the one to hang up (RFC 6455 section 7.1.1).
async function dismissed(server, code, reason) {
  await closed(server, code, reason);
  server.finish();
}

describe('back-pressure', { concurrency: 2 }, () => {
  // Writes random frames until told to stop; what it wrote is in `count` and `hash`.
  function flood(from, isMasked, seed) {
    const roll = dice(seed);
    const frames = Array.from({ length: 8 }, () => frame({ opcode: OPCODE.binary, payload: crypto.randomBytes(1 + roll(100 * KIB)), mask: isMasked }));
    const f = { count: 0, limit: 512 * MIB, hash: crypto.createHash('sha256') };
    f.done = (async () => {
      while (f.count < f.limit) {
        const next = frames[roll(frames.length)];
        f.hash.update(next);
        f.count += next.length;
        if (!from.socket.write(next)) await once(from.socket, 'drain');
      }
    })();
    return f;
  }

  // Reads on as fast as it can; `hash` of all `count` bytes, `tail`: the last of them.
  function drink(to) {
    const d = { count: to.bytes.length, hash: crypto.createHash('sha256').update(to.bytes), tail: Buffer.alloc(0) };
    to.socket.removeAllListeners('data');
    to.socket.on('data', (part) => {
      d.hash.update(part);
      d.count += part.length;
      d.tail = Buffer.concat([d.tail, part]).subarray(-TAIL_BYTES);
    });
    to.resume();
    return d;
  }

  for (const [title, isDown] of [['a client that stops reading stops its server', true], ['a server that stops reading stops its client', false]]) {
    scene(`${title}; in the end everything has arrived`, async (s) => {
      const { gateway, pair } = await stage(s, { plain: { buffer: `${BUFFER_BYTES}B` } });
      const { client, server, logged } = await pair();
      const other = await pair();
      const [from, to] = isDown ? [server, client] : [client, server];
      to.pause();
      const f = flood(from, !isDown, 1);
      let last = -1;
      let steady = 0;
      await waitFor('the writer to be stopped', () => {
        steady = f.count === last ? steady + 1 : 0;
        last = f.count;
        return steady >= 10;
      }, 20000);
      const waiting = (await gateway.metrics()).sum('buffered_bytes');
      assert.ok(waiting > 0 && waiting <= BUFFER_BYTES + READ_BYTES, `${waiting} bytes wait in the gateway`);
      assert.ok(f.count < f.limit);

      // Meanwhile the way back, and everybody else, is free.
      to.write(frame({ payload: 'the other way', mask: isDown }));
      assert.equal((await from.frame()).payload.toString(), 'the other way');
      other.client.write(frame({ payload: 'hello', mask: true }));
      assert.equal((await other.server.frame()).payload.toString(), 'hello');
      assert.equal(f.count, last);

      f.limit = f.count + 8 * MIB;
      const d = drink(to);
      await within(20000, 'the rest to be written', f.done);
      await waitFor('the rest to be read', () => d.count >= f.count, 20000);
      assert.equal(d.count, f.count);
      assert.equal(sha(d.hash), sha(f.hash));
      const metrics = await gateway.metrics();
      assert.equal(metrics.sum('buffered_bytes'), 0);
      assert.equal(metrics.sum('ws_bytes_total', { direction: isDown ? 'down' : 'up' }), f.count + (isDown ? 0 : 11));
      client.reset();
      assert.equal(await logged(), `client open ${ABNORMAL}`);
    });
  }

  scene('a client that vanishes with much waiting for it leaves nothing behind', async (s) => {
    const { gateway, pair } = await stage(s);
    const { client, server, logged } = await pair();
    server.socket.on('error', () => {});
    client.pause();
    const f = flood(server, false, 2);
    f.done.catch(() => {});
    await waitFor('bytes to wait', async () => (await gateway.metrics()).sum('buffered_bytes') > 0);
    client.reset();
    assert.equal(await logged(), `client open ${ABNORMAL}`);
    f.limit = 0;
    await server.ended();
    await waitFor('the gateway to forget them', async () => {
      const metrics = await gateway.metrics();
      return ['buffered_bytes', 'ws_connections', 'client_connections', 'server_connections'].every((gauge) => metrics.sum(gauge) === 0);
    });
  });

  scene('a server that dies behind a slow client: the client still gets everything, and then 1012', async (s) => {
    const { gateway, pair } = await stage(s);
    const { client, server, logged } = await pair();
    client.pause();
    const message = frame({ opcode: OPCODE.binary, payload: crypto.randomBytes(MIB) });
    for (let i = 0; i < 16; i++) server.write(message);
    server.finish();
    await waitFor('bytes to wait', async () => (await gateway.metrics()).sum('buffered_bytes') > 0);
    const d = drink(client);
    await client.ended(15000);
    const [reason] = d.tail.toString('latin1').match(/upstream lost, retry in \d+ ms$/);
    const expected = Buffer.concat([...Array(16).fill(message), closeFrame(RESTART, reason)]);
    assert.equal(d.count, expected.length);
    assert.equal(sha(d.hash), sha(crypto.createHash('sha256').update(expected)));
    assert.equal(await logged(), `upstream open ${RESTART}`);
  });
});

describe('bytes', { concurrency: 2 }, () => {
  // Messages of all sizes, some in fragments with pings between them, as one run of bytes.
  function messages(count, mask, seed) {
    const roll = dice(seed);
    const parts = [];
    for (let i = 0; i < count; i++) {
      const size = [roll(20), roll(126), 126 + roll(400), roll(50) === 0 ? 65530 + roll(20) : roll(1000)][roll(4)];
      const payload = crypto.randomBytes(size);
      const opcode = OPCODE.binary;
      const fragments = roll(3) === 0 ? 2 + roll(4) : 1;
      for (let k = 0; k < fragments; k++) {
        const piece = payload.subarray(Math.floor((size * k) / fragments), Math.floor((size * (k + 1)) / fragments));
        parts.push(frame({ opcode: k === 0 ? opcode : OPCODE.continuation, fin: k === fragments - 1, payload: piece, mask }));
        if (roll(8) === 0) parts.push(frame({ opcode: roll(2) === 0 ? OPCODE.ping : OPCODE.pong, payload: crypto.randomBytes(roll(126)), mask }));
      }
    }
    return Buffer.concat(parts);
  }

  // In pieces that have nothing to do with frames.
  async function writeInPieces(side, bytes, seed) {
    const roll = dice(seed);
    for (let at = 0, size; at < bytes.length; at += size) {
      size = roll(4) === 0 ? 1 + roll(10) : 1 + roll(20000);
      if (!side.socket.write(bytes.subarray(at, at + size))) await once(side.socket, 'drain');
    }
  }

  scene('thousands of messages of all sizes, in fragments, in both directions at once', async (s) => {
    const [PAIRS, COUNT] = [4, 1500];
    const { gateway, pair } = await stage(s);
    await Promise.all(Array.from({ length: PAIRS }, async (_, i) => {
      const { client, server } = await pair();
      const [up, down] = [messages(COUNT, true, 10 * i + 1), messages(COUNT, false, 10 * i + 2)];
      const [atServer, atClient] = await Promise.all([
        server.take(up.length, 20000),
        client.take(down.length, 20000),
        writeInPieces(client, up, 10 * i + 3),
        writeInPieces(server, down, 10 * i + 4),
      ]);
      assert.ok(atServer.equals(up), `up, pair ${i}`);
      assert.ok(atClient.equals(down), `down, pair ${i}`);
    }));
    const metrics = await gateway.metrics();
    for (const direction of ['up', 'down']) assert.equal(metrics.sum('ws_messages_total', { route: 'plain', direction }), PAIRS * COUNT);
  });

  scene('one byte at a time, from the request on', async (s) => {
    const { pair } = await stage(s);
    const slowly = async (side, bytes) => {
      for (const byte of Buffer.from(bytes)) {
        side.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
    };
    const { client, server, logged } = await pair('plain', slowly);
    const up = [frame({ payload: 'a text', mask: true }), frame({ opcode: OPCODE.ping, payload: 'you?', mask: true }), frame({ opcode: OPCODE.binary, payload: Buffer.alloc(300, 7), mask: true })];
    const down = up.map((bytes) => { const { opcode, payload } = parseFrame(bytes); return frame({ opcode, payload }); });
    for (const [from, to, frames] of [[client, server, up], [server, client, down]]) {
      const whole = Buffer.concat(frames);
      await slowly(from, whole);
      assert.ok((await to.take(whole.length)).equals(whole));
    }
    await slowly(client, closeFrame(1000, 'enough', { mask: true }));
    await closed(server, 1000, 'enough');
    await slowly(server, closeFrame(1000));
    server.finish();
    await closed(client, 1000);
    assert.equal(await logged(), 'client closed 1000');
  });
});

describe('ends', { concurrency: 2 }, () => {
  scene('a close of either side passes with its code and reason, and so does the answer', async (s) => {
    const { gateway, pair } = await stage(s);
    for (const [code, reason] of [[4001, 'bye'], [1000, ''], [3999, 'x'.repeat(123)]]) {
      for (const byClient of [true, false]) {
        const { client, server, logged } = await pair();
        const [one, other] = byClient ? [client, server] : [server, client];
        one.write(closeFrame(code, reason, { mask: byClient }));
        await closed(other, code, reason);
        other.write(closeFrame(code, 'same to you', { mask: !byClient }));
        await closed(one, code, 'same to you');
        server.finish();
        await Promise.all([one.ended(), other.ended()]);
        assert.equal(await logged(), `${byClient ? 'client' : 'upstream'} closed ${code}`);
      }
    }
    const metrics = await gateway.metrics();
    for (const by of ['client', 'upstream'])
      for (const [code, count] of [['1000', 1], ['3xxx', 1], ['4xxx', 1]]) assert.equal(metrics.sum('ws_closed_total', { by, code }), count);
    assert.equal(metrics.sum('ws_connections'), 0);
  });

  scene('a client that half-closes behind its close frame still gets the answer', async (s) => {
    const { pair } = await stage(s);
    const { client, server, logged } = await pair();
    client.write(closeFrame(1000, 'bye', { mask: true }));
    client.finish();
    await closed(server, 1000, 'bye');
    server.write(frame({ payload: 'one more thing' })).write(closeFrame(1000));
    server.finish();
    assert.equal((await client.frame()).payload.toString(), 'one more thing');
    await closed(client, 1000);
    await Promise.all([client.ended(), server.ended()]);
    assert.equal(await logged(), 'client closed 1000');
  });

  for (const [how, vanish] of [['FIN', (side) => side.finish()], ['RST', (side) => side.reset()]]) {
    scene(`${how} without a close frame, from either side`, async (s) => {
      const { gateway, pair } = await stage(s);
      let { client, server, logged } = await pair();
      client.write(frame({ payload: 'last words', mask: true }));
      assert.equal((await server.frame()).payload.toString(), 'last words');
      vanish(client);
      await server.ended();
      assert.equal(await logged(), `client open ${ABNORMAL}`);

      ({ client, server, logged } = await pair());
      server.write(frame({ payload: 'last words' }));
      assert.equal((await client.frame()).payload.toString(), 'last words');
      vanish(server);
      await closed(client, RESTART, LOST);
      client.write(closeFrame(RESTART, '', { mask: true }));
      client.finish();
      await client.ended();
      assert.equal(await logged(), `upstream open ${RESTART}`);

      // In the middle of a message a close frame would be taken for a piece of it.
      ({ client, server, logged } = await pair());
      server.write(frame({ payload: 'only half of it' }).subarray(0, 9));
      await client.take(9);
      vanish(server);
      await client.ended();
      assert.equal(client.bytes.length, 0);
      assert.equal(await logged(), `upstream open ${RESTART}`);

      const metrics = await gateway.metrics();
      assert.equal(metrics.sum('ws_closed_total', { by: 'client', code: ABNORMAL }), 1);
      assert.equal(metrics.sum('ws_closed_total', { by: 'upstream', code: RESTART }), 2);
      assert.equal(metrics.sum('server_failures_total'), 2);
    });
  }

  scene('idle timeout and maximum lifetime', async (s) => {
    const { gateway, pair } = await stage(s, { idle: { idle_timeout: '300ms' }, aged: { max_lifetime: '700ms' } });
    const busy = await pair('idle');
    const aged = await pair('aged');
    const born = Date.now();
    const ask = async ({ client, server }) => { // a ping of either side is enough
      server.write(frame({ opcode: OPCODE.ping, payload: 'still there?' }));
      return client.frame();
    };
    for (let round = 0; round < 3; round++) {
      const idle = await pair('idle');
      let isOver = false;
      const end = closed(idle.client, GOING_AWAY, 'idle timeout').finally(() => { isOver = true; });
      for (; !isOver; await later(30)) assert.equal((await ask(busy)).opcode, OPCODE.ping);
      await end;
      await dismissed(idle.server, GOING_AWAY, 'idle timeout');
      assert.equal(await idle.logged(), `timeout open ${GOING_AWAY}`);
    }
    assert.ok(Date.now() - born >= 3 * 290, 'three times as long as the timeout');

    await closed(aged.client, GOING_AWAY, 'maximum lifetime');
    await dismissed(aged.server, GOING_AWAY, 'maximum lifetime');
    assert.equal(await aged.logged(), `timeout open ${GOING_AWAY}`);
    await waitFor('ws_closed_total to be 4', async () => (await gateway.metrics()).sum('ws_closed_total', { by: 'timeout', code: GOING_AWAY }) === 4);
  });

  scene('a message beyond max_message ends it with 1009 for its sender', async (s) => {
    const { gateway, pair } = await stage(s, { small: { max_message: '1000B' } });
    const long = { whole: (mask) => [frame({ payload: 'x'.repeat(1001), mask })], pieces: (mask) => [frame({ payload: 'x'.repeat(600), fin: false, mask }), frame({ opcode: OPCODE.continuation, payload: 'x'.repeat(401), mask })] };
    for (const form of ['whole', 'pieces']) {
      for (const byClient of [true, false]) {
        const { client, server, logged } = await pair('small');
        const [sender, receiver] = byClient ? [client, server] : [server, client];
        sender.write(frame({ payload: 'x'.repeat(1000), mask: byClient }));
        assert.equal((await receiver.frame()).payload.length, 1000);
        for (const bytes of long[form](byClient)) sender.write(bytes);
        await closed(sender, TOO_BIG);
        await closed(receiver, byClient ? GOING_AWAY : INTERNAL);
        server.finish();
        assert.equal(await logged(), `limit open ${TOO_BIG}`);
      }
    }
    await waitFor('ws_closed_total to be 4', async () => (await gateway.metrics()).sum('ws_closed_total', { by: 'limit', code: TOO_BIG }) === 4);
  });
});
