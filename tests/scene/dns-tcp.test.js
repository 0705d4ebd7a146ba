// DNS over TCP (RFC 7766): many queries in one connection, and clients who dawdle, hold on or do not read.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { BIG, DnsTcp, Nameserver, later, ownMemory, scene, waitFor, zoneDns } = require('./lib');

const zone = (s, tcp = {}, dns = {}) => Nameserver.start(s, { dns: { ...zoneDns, ...dns, tcp: { idle: '10s', ...tcp } } });
const ids = (count) => Array.from({ length: count }, (_, i) => i + 1);

async function answersOf(tcp, count) {
  const got = [];
  while (got.length < count) got.push(await tcp.answer());
  return got;
}

describe('TCP', { concurrency: 2 }, () => {
  scene('many queries in one write are all answered, each with what it asked for', async (s) => {
    const names = await zone(s);
    const tcp = await names.tcp();
    const kinds = [['www', 'A', 2], ['big', 'TXT', BIG.length], ['nothing', 'A', 0], ['www', 'AAAA', 1]];
    tcp.send(...ids(400).map((id) => {
      const [name, type] = kinds[id % 4];
      return names.query(name, type, { id });
    }));
    const got = await answersOf(tcp, 400);
    assert.deepEqual(got.map(({ id }) => id).sort((a, b) => a - b), ids(400));
    for (const { id, answer } of got) assert.equal(answer.length, kinds[id % 4][2]);
  });

  scene('a query may come byte by byte, and several in pieces', async (s) => {
    const names = await zone(s);
    const tcp = await names.tcp();
    for (const byte of DnsTcp.framed(names.query('www', 'A', { id: 7 }))) {
      tcp.raw.write(Buffer.from([byte]));
      await later(1);
    }
    assert.equal((await tcp.answer()).id, 7);
    const three = DnsTcp.framed(...[1, 2, 3].map((id) => names.query('www', 'A', { id })));
    tcp.raw.write(three.subarray(0, 50));
    assert.equal((await tcp.answer()).id, 1);
    tcp.raw.write(three.subarray(50));
    assert.deepEqual((await answersOf(tcp, 2)).map(({ id }) => id), [2, 3]);
  });

  scene('who has asked and says that no more will come still gets the answers', async (s) => {
    const names = await zone(s);
    const tcp = await names.tcp();
    tcp.send(...ids(50).map((id) => names.query('big', 'TXT', { id })));
    tcp.raw.finish();
    assert.equal((await answersOf(tcp, 50)).length, 50);
    await tcp.raw.ended();
  });

  scene('who is silent is let go; who asks now and then is not', async (s) => {
    const names = await zone(s, { idle: '700ms' });
    const [silent, asking, fresh] = [await names.tcp(), await names.tcp(), await names.tcp()];
    await silent.ask(names.query('www'));
    const start = performance.now();
    const gone = silent.raw.ended().then(() => performance.now() - start);
    for (let i = 0; i < 8; i++) {
      assert.equal((await asking.ask(names.query('www'))).rcode, 'NOERROR');
      await later(200);
    }
    const ms = await gone;
    assert.ok(ms > 400, `after ${ms} ms`);
    await fresh.raw.ended(); // it has never asked at all
  });

  scene('half a query is not waited for, however slowly the rest drips in', async (s) => {
    const names = await zone(s, { idle: '600ms' });
    const [half, dripping] = [await names.tcp(), await names.tcp()];
    half.raw.write(DnsTcp.framed(names.query('www')).subarray(0, 9));
    const drip = setInterval(() => dripping.raw.hasEnded || dripping.raw.write(Buffer.from([0])), 100); // 256 bytes are announced
    s.atEnd(() => clearInterval(drip));
    dripping.raw.write(Buffer.from([1, 0]));
    await Promise.all([half.raw.ended(15000), dripping.raw.ended(15000)]);
  });

  scene('what is no message ends its own connection at most', async (s) => {
    const names = await zone(s);
    const other = await names.tcp();
    for (const bytes of [Buffer.from([0, 0]), Buffer.from([0, 1, 0]), DnsTcp.framed(Buffer.alloc(11)), DnsTcp.framed(Buffer.alloc(12, 255)), Buffer.alloc(70000, 255)]) {
      const tcp = await names.tcp();
      tcp.raw.write(bytes);
      tcp.raw.finish();
      await tcp.raw.ended();
      assert.equal((await other.ask(names.query('www'))).rcode, 'NOERROR');
    }
    const rude = await names.tcp();
    rude.send(...ids(20).map((id) => names.query('big', 'TXT', { id })));
    rude.raw.reset();
    assert.equal((await other.ask(names.query('www'))).rcode, 'NOERROR');
  });

  scene('one client has so many connections and no more; others are not concerned', async (s) => {
    const names = await zone(s, { per_client: 3 });
    const kept = [await names.tcp(), await names.tcp(), await names.tcp()];
    for (const each of kept) await each.ask(names.query('www'));
    const fourth = await names.tcp();
    await fourth.raw.ended();
    assert.equal((await (await names.tcp({ from: '127.0.0.2' })).ask(names.query('www'))).rcode, 'NOERROR');
    kept[0].raw.destroy();
    await waitFor('a place to be free', async () => (await (await names.tcp()).ask(names.query('www'))).rcode === 'NOERROR');
    for (const each of kept.slice(1)) assert.equal((await each.ask(names.query('www'))).rcode, 'NOERROR');
  });

  scene('when all connections are taken, UDP goes on, and a place that becomes free is given away', async (s) => {
    const names = await zone(s, { connections: 4, idle: '1s' });
    const all = await Promise.all(ids(12).map((i) => names.tcp({ from: `127.0.1.${i}` })));
    assert.equal((await names.ask('www')).rcode, 'NOERROR');
    await waitFor('a connection to be served', async () => {
      const late = await names.tcp({ from: '127.0.1.99' });
      return (await late.ask(names.query('www'), 300)).rcode === 'NOERROR';
    });
    for (const each of all) await each.raw.ended(); // the silent ones are gone
  });

  scene('who asks and does not read has so many answers waiting, and no more is read of him', async (s) => {
    const names = await zone(s, { pipelined: 16, idle: '2s' });
    const { pid } = await names.process();
    const before = ownMemory(pid);
    const readers = await Promise.all(ids(8).map(() => names.tcp()));
    const batch = DnsTcp.framed(...ids(500).map((id) => names.query('big', 'TXT', { id }))); // some 1.2 MB of answers each time
    for (const { raw } of readers) {
      raw.pause();
      for (let i = 0; i < 40; i++) raw.write(batch);
    }
    const other = await names.tcp({ from: '127.0.0.2' });
    for (let i = 0; i < 20; i++) {
      assert.equal((await other.ask(names.query('www'))).rcode, 'NOERROR');
      assert.equal((await names.ask('www')).rcode, 'NOERROR');
      await later(20);
    }
    const grown = ownMemory(pid) - before;
    assert.ok(grown < 16 << 20, `${grown} bytes more`); // 380 MB of answers were asked for
    for (const { raw } of readers) { // who never reads is let go; what was on its way can still be read
      raw.resume();
      raw.socket.on('data', () => { raw.bytes = Buffer.alloc(0); });
    }
    await Promise.all(readers.map(({ raw }) => raw.ended(15000)));
    assert.equal((await names.process()).pid, pid);
  });
});
