// What other people's resolvers read in our answers: dig, kdig, drill and dnspython, each asked for all that is in the zone.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { BIG, Nameserver, TOOLS, askWith, recordTexts, scene, tool, zoneDns, zoneQuestions } = require('./lib');

const at = (names, row, more = {}) => ({ port: names.port, name: names.name(row.name), type: row.type, ...more });

// The same data in other words: kdig and drill write what a dot in a mail address is as dig does, and all of them escape quotes.
function agrees(found, row, what) {
  assert.equal(found.rcode, row.rcode, what);
  const wanted = [...row.answer].sort();
  const lines = recordTexts(found.answer);
  assert.equal(lines.length, wanted.length, `${what}: ${lines}`);
  wanted.forEach((one, i) => (one instanceof RegExp ? assert.match(lines[i], one, what) : assert.equal(lines[i], one, what)));
  if (row.ttl) for (const { ttl } of found.answer) assert.equal(ttl, row.ttl, what);
  assert.deepEqual(found.authority.map(({ type }) => type), row.authority, what);
  if (row.additional) assert.deepEqual(recordTexts(found.additional), [...row.additional].sort(), what);
  assert.equal(found.flags.includes('aa'), row.rcode !== 'REFUSED' && !row.isReferral, `${what}: aa`);
  assert.ok(!found.flags.includes('tc') && !found.flags.includes('ra'), `${what}: ${found.flags}`);
}

describe('the tools agree', { concurrency: 2 }, () => {
  for (const by of TOOLS) {
    for (const isTcp of [false, true]) {
      scene(`${by}, by ${isTcp ? 'TCP' : 'UDP'}`, async (s) => {
        const names = await Nameserver.start(s, { dns: zoneDns });
        for (const row of zoneQuestions) agrees(await askWith(by, at(names, row, { isTcp })), row, `${by}: ${row.what}`);
      });
    }

    scene(`${by}, by IPv6, without EDNS, and what is too long for UDP`, async (s) => {
      const names = await Nameserver.start(s, { dns: zoneDns, listen: (port) => [`127.0.0.1:${port}`, `[::1]:${port}`] });
      const www = zoneQuestions.find(({ name }) => name === 'www');
      agrees(await askWith(by, at(names, www, { address: '::1' })), www, 'by IPv6');
      agrees(await askWith(by, at(names, www, { address: '::1', isTcp: true })), www, 'by IPv6 and TCP');
      agrees(await askWith(by, at(names, www, { bytes: 0 })), www, 'without EDNS');
      const short = await askWith(by, at(names, { name: 'big', type: 'TXT' }));
      assert.ok(short.flags.includes('tc'), 'truncated');
      const whole = await askWith(by, at(names, { name: 'big', type: 'TXT' }, { isTcp: true }));
      assert.deepEqual(recordTexts(whole.answer), BIG.map((text) => `TXT "${text}"`));
    });
  }

  scene('dig and kdig go on by TCP when they are told to, and cookies and the name of the server are read', async (s) => {
    const names = await Nameserver.start(s, { dns: { ...zoneDns, nsid: 'fra-1', cookie_required: true } });
    const where = ['@127.0.0.1', '-p', String(names.port)];
    for (const command of ['dig', 'kdig']) {
      const { text } = await tool(command, [...where, 'big.z.test', 'TXT', '+nocookie']);
      assert.equal(text.match(/"\d{3}-x+"/g)?.length, BIG.length, text);
      assert.match(text, /TCP/);
    }
    const dig = (await tool('dig', [...where, 'www.z.test', 'A', '+cookie=0123456789abcdef', '+nsid'])).text;
    assert.match(dig, /status: NOERROR/); // after BADCOOKIE, with the one it was given
    assert.match(dig, /COOKIE: 0123456789abcdef01000000[0-9a-f]{24} \(good\)/);
    assert.match(dig, /NSID: 66 72 61 2d 31 \("fra-1"\)/);
    const kdig = (await tool('kdig', [...where, 'www.z.test', 'A', '+cookie', '+nsid'])).text;
    assert.match(kdig, /status: NOERROR/);
    assert.match(kdig, /NSID: 6672612D31 "fra-1"/);
    for (const type of ['AXFR', 'IXFR=1']) assert.match((await tool('dig', [...where, 'z.test', type, '+nocookie'])).text, /Transfer failed|REFUSED/);
  });
});
