// Ten thousand packets that are wrong in every way we could think of, and then some that nobody thought of: the server answers the next
// good query, it is the same process as before, and it has not grown.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { DnsTcp, Nameserver, dnsName, dnsQuery, isSanitized, ownMemory, scene, u16, zoneDns } = require('./lib');

const PACKETS = 10000;
const BATCH = 100;
const GROWN_BYTES_MAX = 1 << 20;

// The same numbers in every run (a xorshift).
function numbers(seed) {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % below;
  };
}

const head = (counts, flags = 0x0100) => u16(1, flags, ...counts);
const bytes = (n, length) => Buffer.from(Array.from({ length }, () => n(256)));
const NAMES = ['www.z.test.', 'z.test.', 'a.b.wild.z.test.', 'nothing.z.test.', 'big.z.test.', 'example.org.'];
const good = (n) => dnsQuery(NAMES[n(NAMES.length)], [1, 2, 5, 6, 15, 16, 28, 33, 64, 65, 255, 257][n(12)], {
  id: n(65536), edns: n(2) ? { bytes: n(65536), options: n(2) ? [[10, bytes(n, 8)]] : [] } : undefined,
});

// Each makes one packet.
const KINDS = {
  'random bytes': (n) => bytes(n, n(600)),
  'random bytes behind a good head': (n) => Buffer.concat([head([1, 0, 0, n(2)]), bytes(n, n(300))]),
  'a query cut short': (n) => {
    const q = good(n);
    return q.subarray(0, n(q.length));
  },
  'a query with bytes behind it': (n) => Buffer.concat([good(n), bytes(n, 1 + n(200))]),
  'a query with some bits turned': (n) => {
    const q = Buffer.from(good(n));
    for (let i = 1 + n(6); i > 0; i--) q[n(q.length)] ^= 1 << n(8);
    return q;
  },
  'a query with bytes put in or taken out': (n) => {
    const q = good(n);
    const at = n(q.length);
    return n(2) ? Buffer.concat([q.subarray(0, at), bytes(n, 1 + n(20)), q.subarray(at)]) : Buffer.concat([q.subarray(0, at), q.subarray(at + 1 + n(8))]);
  },
  'a pointer to itself': () => Buffer.concat([head([1, 0, 0, 0]), Buffer.from([0xc0, 12]), u16(1, 1)]),
  'two pointers to each other': () => Buffer.concat([head([1, 0, 0, 0]), Buffer.from([0xc0, 14, 0xc0, 12]), u16(1, 1)]),
  'a pointer anywhere': (n) => Buffer.concat([head([1, 0, 0, 0]), Buffer.from([3, 119, 119, 119, 0xc0 | n(64), n(256)]), u16(1, 1)]),
  'a label that is longer than the packet': (n) => Buffer.concat([head([1, 0, 0, 0]), Buffer.from([1 + n(63)]), bytes(n, n(3))]),
  'a kind of label that does not exist': (n) => Buffer.concat([head([1, 0, 0, 0]), Buffer.from([0x40 + n(0x80)]), bytes(n, 70), u16(1, 1)]),
  'a name that is too long': (n) => Buffer.concat([head([1, 0, 0, 0]), dnsName(`${'a'.repeat(60)}.`.repeat(5 + n(20))), u16(1, 1)]),
  'counts that lie': (n) => {
    const q = Buffer.from(good(n));
    u16(...Array.from({ length: 4 }, () => [0, 1, 2, 255, 65535][n(5)])).copy(q, 4);
    return q;
  },
  'an answer, as if we had asked': (n) => {
    const q = Buffer.from(good(n));
    q[2] |= 0x80;
    return q;
  },
  'OPT with lengths that lie': (n) => Buffer.concat([
    head([1, 0, 0, 1]), dnsName(NAMES[n(NAMES.length)]), u16(1, 1), Buffer.from([0]), u16(41, n(65536), n(65536), n(65536), n(64)), u16(n(20), n(100)), bytes(n, n(60)),
  ]),
  'OPT that has a name': (n) => Buffer.concat([head([1, 0, 0, 1]), dnsName('www.z.test.'), u16(1, 1), dnsName('o.'), u16(41, 1232, 0, 0, 0), bytes(n, 0)]),
  'OPT in another section': () => Buffer.concat([head([1, 1, 0, 0]), dnsName('www.z.test.'), u16(1, 1), Buffer.from([0]), u16(41, 1232, 0, 0, 0)]),
  'a cookie of any length': (n) => dnsQuery('www.z.test.', 'A', { edns: { options: [[10, bytes(n, n(50))]] } }),
  'many options': (n) => dnsQuery('www.z.test.', 'A', { edns: { options: Array.from({ length: n(100) }, () => [n(20), bytes(n, n(8))]) } }),
  'any opcode, class and type': (n) => dnsQuery('www.z.test.', n(65536), { opcode: n(16), cls: n(65536), flags: [] }),
};

describe('malformed queries', () => {
  scene(`${PACKETS} of them by UDP`, { timeout: 120000 }, async (s) => {
    const names = await Nameserver.start(s, { dns: { ...zoneDns, rate: { answers: 0, nxdomain: 0, errors: 0 } } });
    const { pid } = await names.process();
    const n = numbers(20260101);
    const kinds = Object.keys(KINDS);
    const [u, well] = [await names.udp(), await names.udp()];
    let [answered, refused, start] = [0, 0, 0];
    for (let sent = 0; sent < PACKETS; sent += BATCH) {
      const wrong = Array.from({ length: BATCH }, (_, i) => KINDS[kinds[(sent + i) % kinds.length]](n));
      await Promise.all(wrong.map((packet) => u.send(packet)));
      const next = await well.ask(names.query('www')); // the socket is read in turn, so all before it have been
      assert.equal(next.answer.length, 2, `after ${sent + BATCH}`);
      for (const { bytes: answer } of u.got.splice(0)) {
        answered++;
        assert.ok(answer.length >= 12 && answer.length <= 1232 && (answer[2] & 0x80) !== 0, answer.toString('hex'));
        if ((answer[3] & 15) === 1) refused++;
      }
      if (sent === PACKETS / 10) start = ownMemory(pid);
    }
    assert.ok(answered > PACKETS / 4 && refused > PACKETS / 20, `${answered} answers, ${refused} FORMERR`); // they got as far as the parser
    const grown = ownMemory(pid) - start;
    assert.ok(isSanitized || grown < GROWN_BYTES_MAX, `${grown} bytes more`);
    assert.deepEqual([(await names.process()).pid, (await names.process()).restarts], [pid, 0]);
  });

  scene('nothing is said to what is no query: two servers cannot be set on each other', async (s) => {
    const names = await Nameserver.start(s, { dns: zoneDns });
    const u = await names.udp();
    for (const kind of ['an answer, as if we had asked']) for (let i = 0; i < 50; i++) await u.send(KINDS[kind](numbers(i + 1)));
    for (const length of [0, 1, 2, 11]) await u.send(Buffer.alloc(length));
    await (await names.udp()).ask(names.query('www'));
    assert.deepEqual(u.got, []);
  });

  scene('the same by TCP: at worst the connection ends', { timeout: 120000 }, async (s) => {
    const names = await Nameserver.start(s, { dns: { ...zoneDns, tcp: { idle: '2s' } } });
    const { pid } = await names.process();
    const n = numbers(42);
    for (const [kind, make] of Object.entries(KINDS)) {
      const tcp = await names.tcp();
      tcp.raw.socket.on('data', () => { tcp.raw.bytes = Buffer.alloc(0); });
      for (let i = 0; i < 50; i++) tcp.raw.write(n(10) ? DnsTcp.framed(make(n)) : make(n));
      tcp.raw.finish();
      await tcp.raw.ended(10000);
      assert.equal((await names.ask('www')).answer.length, 2, kind);
    }
    assert.equal((await names.process()).pid, pid);
  });
});
