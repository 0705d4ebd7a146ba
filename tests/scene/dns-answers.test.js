// What a zone answers, byte by byte: every type of record, every kind of "no", and what a client may ask for with EDNS.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { BIG, Nameserver, OPTIONS, option, portEverywhere, scene, recordTexts, zoneDns, zoneQuestions } = require('./lib');

const CLIENT_COOKIE = Buffer.from('0123456789abcdef', 'hex');
const cookie = (value) => ({ options: [[OPTIONS.COOKIE, value]] });

const zone = (s, { dns = {}, ...options } = {}) => Nameserver.start(s, { ...options, dns: { ...zoneDns, ...dns } });

// Holds an answer against a row of the table.
function holds(answer, row) {
  assert.equal(answer.rcode, row.rcode, row.what);
  const found = recordTexts(answer.answer);
  const wanted = [...row.answer].sort();
  assert.equal(found.length, wanted.length, `${row.what}: ${found}`);
  wanted.forEach((one, i) => (one instanceof RegExp ? assert.match(found[i], one, row.what) : assert.equal(found[i], one, row.what)));
  if (row.ttl) for (const { type, ttl } of answer.answer) assert.equal(ttl, row.ttl, `${row.what}: TTL of ${type}`);
  assert.deepEqual(answer.authority.map(({ type }) => type), row.authority, row.what);
  if (row.additional) assert.deepEqual(recordTexts(answer.additional), [...row.additional].sort(), row.what);
  assert.equal(answer.flags.aa, row.rcode !== 'REFUSED' && !row.isReferral, `${row.what}: AA`);
  assert.deepEqual([answer.flags.qr, answer.flags.tc, answer.flags.ra, answer.flags.rd, answer.flags.ad], [true, false, false, true, false], row.what);
}

describe('a zone', { concurrency: 2 }, () => {
  scene('every type of record and every kind of "no", by UDP, by TCP and in one TCP connection', async (s) => {
    const names = await zone(s);
    const [udp, tcp] = [await names.udp(), await names.tcp()];
    for (const row of zoneQuestions) {
      const ask = (edns) => names.query(row.name, typeNumber(row.type), { edns });
      for (const answer of [await udp.ask(ask()), await udp.ask(ask({})), await tcp.ask(ask({}))]) {
        holds(answer, row);
        assert.equal(answer.question.name, names.name(row.name));
      }
    }
  });

  scene('"no" may be believed for as long as the zone says, and no longer', async (s) => {
    const names = await zone(s, { dns: { ttl: '1h', negative_ttl: '17s' } });
    for (const [name, rcode] of [['nothing', 'NXDOMAIN'], ['below', 'NOERROR']]) {
      const { rcode: found, authority: [{ owner, ttl, data }] } = await names.ask(name, 'AAAA');
      assert.deepEqual([found, owner, ttl], [rcode, 'z.test.', 17]);
      assert.match(data, / 17$/);
    }
  });

  scene('the question goes back in the letters it was asked in', async (s) => {
    const names = await zone(s);
    for (const name of ['wWw.Z.tEsT.', 'NoThInG.z.TEST.', 'LED.z.test.', 'aNy.WiLd.z.test.', 'ExAmple.ORG.']) {
      const answer = await names.ask(name);
      assert.equal(answer.question.name, name);
      for (const { owner } of answer.answer.filter(({ type }) => type === 'A' && name !== 'LED.z.test.')) assert.equal(owner, name);
    }
    assert.deepEqual(recordTexts((await names.ask('LED.z.test.')).answer), ['A 192.0.2.80', 'A 192.0.2.81', 'CNAME www.z.test.']);
  });

  scene('ANY is answered with little (RFC 8482), by TCP as well', async (s) => {
    const names = await zone(s);
    for (const answer of [await names.ask('@', 'ANY'), await (await names.tcp()).ask(names.query('@', 'ANY'))]) {
      assert.equal(answer.rcode, 'NOERROR');
      assert.ok(new Set(answer.answer.map(({ type }) => type)).size === 1 && answer.bytes.length < 200, JSON.stringify(recordTexts(answer.answer)));
    }
    assert.equal((await names.ask('nothing', 'ANY')).rcode, 'NXDOMAIN');
  });

  scene('transfers, other classes and other operations are refused', async (s) => {
    const names = await zone(s);
    const tcp = await names.tcp();
    for (const type of ['AXFR', 'IXFR']) {
      for (const answer of [await names.ask('@', type), await tcp.ask(names.query('@', type))]) {
        assert.equal(answer.rcode, 'REFUSED', type);
        assert.equal(answer.answer.length + answer.authority.length, 0);
      }
    }
    for (const name of ['version.bind.', 'id.server.', 'www.z.test.']) assert.equal((await names.ask(name, 'TXT', { cls: 'CH' })).rcode, 'REFUSED');
    for (const opcode of [1, 2, 4, 5, 15]) {
      const answer = await names.ask('@', 'SOA', { opcode });
      assert.deepEqual([answer.rcode, answer.opcode], ['NOTIMP', opcode]);
    }
  });

  scene('who the server is, for those who ask (NSID)', async (s) => {
    const names = await zone(s, { dns: { nsid: 'fra-1' } });
    const asked = await names.ask('www', 'A', { edns: { options: [[OPTIONS.NSID, Buffer.alloc(0)]] } });
    assert.equal(option(asked, OPTIONS.NSID).toString(), 'fra-1');
    assert.equal(option(await names.ask('www', 'A', { edns: {} }), OPTIONS.NSID), undefined);
  });

  scene('EDNS: another version is answered BADVERS, unknown options and flags are no matter, and two are one too many', async (s) => {
    const names = await zone(s);
    const newer = await names.ask('www', 'A', { edns: { version: 1 } });
    assert.deepEqual([newer.rcode, newer.edns.version, newer.answer.length], ['BADVERS', 0, 0]);
    const odd = await names.ask('www', 'A', { edns: { options: [[65001, Buffer.from('odd')], [OPTIONS.PADDING, Buffer.alloc(64)]], flags: 0x7fff } });
    assert.deepEqual([odd.rcode, odd.answer.length, odd.edns.version], ['NOERROR', 2, 0]);
    assert.equal(odd.edns.options.length, 0);
    assert.equal((await names.ask('www')).edns, undefined);
    const one = names.query('www', 'A', { edns: {} });
    const two = Buffer.concat([one, one.subarray(-11)]);
    two.writeUInt16BE(2, 10);
    assert.equal((await (await names.udp()).ask(two)).rcode, 'FORMERR');
  });

  scene('what does not fit is left out and says so, and TCP has all of it', async (s) => {
    const names = await zone(s);
    const [udp, tcp] = [await names.udp(), await names.tcp()];
    for (const [edns, most] of [[undefined, 512], [{ bytes: 100 }, 512], [{ bytes: 1000 }, 1000], [{ bytes: 1232 }, 1232], [{ bytes: 65535 }, 1232]]) {
      const answer = await udp.ask(names.query('big', 'TXT', { edns }));
      assert.ok(answer.flags.tc && answer.bytes.length <= most, `${answer.bytes.length} of ${most}`);
      assert.equal(answer.answer.length, 0, 'never half a set');
      assert.equal(answer.edns !== undefined, edns !== undefined);
    }
    for (const edns of [undefined, {}]) {
      const whole = await tcp.ask(names.query('big', 'TXT', { edns }));
      assert.equal(whole.flags.tc, false);
      assert.deepEqual(whole.answer.map(({ data }) => data).sort(), BIG.map((text) => `"${text}"`));
    }
    const [none, fits] = await Promise.all([names.ask('big', 'A'), names.ask('www', 'A', { edns: { bytes: 512 } })]);
    assert.deepEqual([none.flags.tc, fits.flags.tc], [false, false]);
  });

  scene('cookies: a client gets one that proves its address, and it is good for that address alone', async (s) => {
    const names = await zone(s, { dns: { cookie_required: true } });
    const first = await names.ask('www', 'A', { edns: cookie(CLIENT_COOKIE) });
    const ours = option(first, OPTIONS.COOKIE);
    assert.deepEqual([first.rcode, first.answer.length, ours.length], ['BADCOOKIE', 0, 24]);
    assert.deepEqual(ours.subarray(0, 8), CLIENT_COOKIE);
    assert.equal(ours[8], 1, 'version of RFC 9018');
    const good = await names.ask('www', 'A', { edns: cookie(ours) });
    assert.deepEqual([good.rcode, good.answer.length], ['NOERROR', 2]);
    assert.deepEqual(option(good, OPTIONS.COOKIE), ours);

    const forged = Buffer.from(ours);
    forged[23] ^= 1;
    assert.equal((await names.ask('www', 'A', { edns: cookie(forged) })).rcode, 'BADCOOKIE');
    assert.equal((await names.ask('www', 'A', { edns: cookie(ours), from: '127.0.0.2' })).rcode, 'BADCOOKIE');
    for (const length of [1, 7, 9, 15, 41]) assert.equal((await names.ask('www', 'A', { edns: cookie(Buffer.alloc(length)) })).rcode, 'FORMERR', `${length} bytes`);
    assert.equal((await names.ask('www')).rcode, 'NOERROR', 'who knows nothing of cookies is not turned away');
    const tcp = await names.tcp();
    assert.equal((await tcp.ask(names.query('www', 'A', { edns: cookie(CLIENT_COOKIE) }))).rcode, 'NOERROR', 'TCP proves as much');
  });

  scene('cookies of two gateways with one secret are good at both, and a new secret does not turn away who has an old one', async (s) => {
    const secrets = ['000102030405060708090a0b0c0d0e0f', 'f0e0d0c0b0a090807060504030201000'];
    const [a, b] = await Promise.all([
      zone(s, { dns: { cookie_secret: secrets[0], cookie_required: true } }),
      zone(s, { dns: { cookie_secret: secrets[1], cookie_previous: secrets[0], cookie_required: true } }),
    ]);
    const ofA = option(await a.ask('www', 'A', { edns: cookie(CLIENT_COOKIE) }), OPTIONS.COOKIE);
    assert.equal((await b.ask('www', 'A', { edns: cookie(ofA) })).rcode, 'NOERROR');
    const ofB = option(await b.ask('www', 'A', { edns: cookie(CLIENT_COOKIE) }), OPTIONS.COOKIE);
    assert.equal((await a.ask('www', 'A', { edns: cookie(ofB) })).rcode, 'BADCOOKIE');
    await a.reload({ dns: { cookie_secret: secrets[1], cookie_previous: secrets[0] } });
    assert.equal((await a.ask('www', 'A', { edns: cookie(ofB) })).rcode, 'NOERROR');
  });

  scene('cookies may be switched off: then they are an option like any other', async (s) => {
    const names = await zone(s, { dns: { cookies: false } });
    const answer = await names.ask('www', 'A', { edns: cookie(CLIENT_COOKIE) });
    assert.deepEqual([answer.rcode, option(answer, OPTIONS.COOKIE)], ['NOERROR', undefined]);
  });
});

describe('addresses', { concurrency: 2 }, () => {
  scene('who is asked answers: by each address of a machine, IPv4 and IPv6, UDP and TCP', async (s) => {
    const port = await portEverywhere();
    const names = await zone(s, { port, listen: () => [`0.0.0.0:${port}`, `[::1]:${port}`] });
    for (const address of ['127.0.0.1', '127.0.0.2', '127.1.2.3', '::1']) {
      const answer = await names.ask('www', 'A', { address });
      assert.deepEqual([answer.rcode, answer.from.address, answer.from.port], ['NOERROR', address, port]);
      const tcp = await names.tcp({ address });
      assert.equal((await tcp.ask(names.query('www'))).answer.length, 2);
    }
    const inner = option(await names.ask('www', 'A', { address: '::1', edns: cookie(CLIENT_COOKIE) }), OPTIONS.COOKIE);
    assert.equal(option(await names.ask('www', 'A', { address: '::1', edns: cookie(inner) }), OPTIONS.COOKIE).equals(inner), true);
  });

  scene('one port for both families: all addresses of each', async (s) => {
    const port = await portEverywhere();
    const names = await zone(s, { port, listen: () => [`0.0.0.0:${port}`, `[::]:${port}`] });
    for (const address of ['127.0.0.1', '127.0.0.3', '::1']) assert.equal((await names.ask('www', 'A', { address })).from.address, address);
  });
});

function typeNumber(type) {
  return type.startsWith('TYPE') ? Number(type.slice(4)) : type;
}
