// RFC 6455 conformance on the wire: every row of the table is sent through one gateway, by a client or by a server, and both
// sides are told the right thing.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const { OPCODE, Raw, closeFrame, frame, parseFrame, scene, upgradeAnswer, upgradeRequest, within } = require('./lib');

const TABLE = path.join(__dirname, '..', 'data', 'rfc6455.txt');
const AT_A_TIME = 32;
const GOING_AWAY = 1001; // what the other side is told when a client broke the protocol ...
const INTERNAL = 1011; // ... and when a server did

// "81 05 62*3" as bytes.
function bytesOf(groups) {
  return Buffer.concat(groups.map((group) => {
    const [hex, count] = group.split('*');
    const bytes = Buffer.from(hex, 'hex');
    return count ? Buffer.alloc(Number(count), bytes) : bytes;
  }));
}

function table() {
  const lines = fs.readFileSync(TABLE, 'utf8').split('\n').filter((line) => line && !line.startsWith('#'));
  return lines.map((line) => {
    const [sender, outcome, name, ...groups] = line.split(/\s+/);
    const [kind, code] = outcome.split('=');
    return { sender, kind, code: Number(code), name, bytes: bytesOf(groups) };
  });
}

// The bytes of a row that are to arrive: without what comes behind a close frame, and without the offending frame, which is
// the last one of its row.
function expected(row) {
  if (row.kind === 'pass') return row.bytes;
  let at = 0;
  for (;;) {
    const f = parseFrame(row.bytes.subarray(at));
    if (!f || (row.kind === 'fail' && at + f.size === row.bytes.length)) return row.bytes.subarray(0, at);
    at += f.size;
    if (row.kind === 'close' && f.opcode === OPCODE.close) return row.bytes.subarray(0, at);
  }
}

// A gateway whose server hands over its end of each WebSocket.
async function stage(s) {
  const waiting = new Map(); // by path
  const port = await s.server(async (raw) => {
    raw.socket.on('end', () => raw.finish());
    const head = await raw.head();
    raw.write(upgradeAnswer(head));
    waiting.get(head.line.split(' ')[1])(raw);
  });
  const gateway = await s.gateway({
    pools: { p: { check: { type: 'none' }, servers: [{ name: 'raw', url: `ws://127.0.0.1:${port}` }] } },
    routes: [{ path: '/', pool: 'p', websocket: { max_message: '4096B', check_utf8: true } }],
  });
  let count = 0;
  return async () => {
    const name = `/${++count}`;
    const accepted = new Promise((resolve) => waiting.set(name, resolve));
    const client = await Raw.connect(gateway.port);
    s.atEnd(() => client.destroy());
    client.write(upgradeRequest({ path: name }));
    assert.equal((await client.head()).status, 101);
    return { client, server: await within(5000, 'the server', accepted) };
  };
}

// A close frame of the gateway's own with `code`, masked if it goes to a server.
async function told(side, code, isMasked) {
  const f = await side.frame();
  assert.equal(f.opcode, OPCODE.close);
  assert.equal(f.code, code);
  assert.equal(f.isMasked, isMasked);
}

async function over(...sides) {
  for (const side of sides) {
    await side.ended();
    side.finish();
  }
}

// What the sender of a row and the other side see.
async function play(row, { client, server }) {
  const isClient = row.sender === 'client';
  const [from, to] = isClient ? [client, server] : [server, client];
  const arriving = expected(row);
  from.write(row.bytes);
  assert.deepEqual(Buffer.from(await to.take(arriving.length)), Buffer.from(arriving), 'what arrives');
  if (row.kind === 'pass') {
    const probe = frame({ payload: 'goes on', mask: !isClient });
    to.write(probe);
    assert.deepEqual(Buffer.from(await from.take(probe.length)), probe, 'the way back');
    from.write(closeFrame(1000, '', { mask: isClient }));
    assert.equal((await to.closing()).code, 1000);
    to.write(closeFrame(1000, '', { mask: !isClient }));
  } else if (row.kind === 'close') {
    const answer = row.code === 1005 ? frame({ opcode: OPCODE.close, mask: !isClient }) : closeFrame(row.code, 'yes', { mask: !isClient });
    to.write(answer);
    assert.deepEqual(Buffer.from(await from.take(answer.length)), answer, 'the answer');
  } else {
    await told(from, row.code, !isClient);
    await told(to, isClient ? GOING_AWAY : INTERNAL, isClient);
  }
  await over(client, server);
}

describe('RFC 6455', { concurrency: true }, () => {
  scene('good frames arrive byte for byte, bad ones are answered with the right code on both sides', async (s) => {
    const open = await stage(s);
    const rows = table();
    assert.ok(rows.length > 200, `${rows.length} rows`);
    const failures = [];
    for (let at = 0; at < rows.length; at += AT_A_TIME) {
      await Promise.all(rows.slice(at, at + AT_A_TIME).map(async (row) => {
        try {
          await play(row, await open());
        } catch (error) {
          failures.push(`${row.sender} ${row.name}: ${error.message}`);
        }
      }));
    }
    assert.deepEqual(failures, []);
  });

  scene('a frame that turns out bad half way: its sender gets the code, its receiver, which cannot be spoken to, is cut off', async (s) => {
    const open = await stage(s);
    for (const isClient of [true, false]) {
      const { client, server } = await open();
      const [from, to] = isClient ? [client, server] : [server, client];
      const bad = frame({ payload: Buffer.from([0x61, 0x62, 0xff, 0x63]), mask: isClient ? [0, 0, 0, 0] : false });
      from.write(bad.subarray(0, -2));
      await to.take(bad.length - 2);
      from.write(bad.subarray(-2));
      await told(from, 1007, !isClient);
      assert.equal(await to.ended(), 'ECONNRESET');
      await over(from);
    }
  });

  scene('frames cut anywhere by the network arrive as they were sent', async (s) => {
    const { client, server } = await (await stage(s))();
    const message = Buffer.concat([
      frame({ payload: 'Grüße', fin: false, mask: true }),
      frame({ opcode: OPCODE.ping, payload: 'here?', mask: true }),
      frame({ opcode: OPCODE.continuation, payload: 'x'.repeat(300), mask: true }),
    ]);
    for (let at = 0; at < message.length; at += 1) {
      client.write(message.subarray(at, at + 1));
      assert.deepEqual(Buffer.from(await server.take(1)), Buffer.from(message.subarray(at, at + 1)), `byte ${at}`);
    }
  });
});
