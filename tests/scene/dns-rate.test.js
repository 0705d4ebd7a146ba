// Response rate limiting: nobody can have us flood a network with answers it did not ask for, and who lives there still gets through.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Nameserver, OPTIONS, dnsParse, later, option, scene, stopped, zoneDns } = require('./lib');

const zone = (s, rate) => Nameserver.start(s, { dns: { ...zoneDns, rate: { burst: '1s', ...rate } } });
const CLIENT_COOKIE = Buffer.from('0123456789abcdef', 'hex');

// Asks `count` times at once from `from`, and waits until no more answers come: {whole, slipped}.
async function flood(names, from, count, shape = (id) => names.query('www', 'A', { id })) {
  const u = await names.udp({ from });
  for (let id = 1; id <= count; id++) await u.send(shape(id));
  if (count > 0) await stopped('answers', () => u.got.length + 1);
  const got = u.got.map(({ bytes }) => dnsParse(bytes));
  u.close();
  const slipped = got.filter(({ flags }) => flags.tc);
  for (const each of slipped) assert.equal(each.answer.length + each.authority.length, 0);
  return { whole: got.length - slipped.length, slipped: slipped.length };
}

describe('the rate of answers', { concurrency: 2 }, () => {
  scene('over the limit every second answer is a short one that says "come by TCP", the others are dropped', async (s) => {
    const names = await zone(s, { answers: 10, slip: 2 });
    const { whole, slipped } = await flood(names, '127.0.7.1', 200);
    assert.ok(whole >= 10 && whole < 100, `${whole} whole`);
    assert.ok(Math.abs(slipped - (200 - whole) / 2) <= 1, `${slipped} of ${200 - whole}`);
    const neighbour = await flood(names, '127.0.7.200', 20);
    assert.ok(neighbour.whole <= 5, 'the same network');
    assert.deepEqual(await flood(names, '127.0.8.1', 5), { whole: 5, slipped: 0 }, 'another network');
  });

  scene('all of them slip, or none', async (s) => {
    const [all, none] = await Promise.all([zone(s, { answers: 5, slip: 1 }), zone(s, { answers: 5, slip: 0 })]);
    const one = await flood(all, '127.0.7.1', 60);
    assert.equal(one.whole + one.slipped, 60);
    assert.ok(one.slipped >= 20);
    const other = await flood(none, '127.0.7.1', 60);
    assert.ok(other.whole >= 5 && other.whole < 40 && other.slipped === 0, JSON.stringify(other));
  });

  scene('a network that has been quiet may ask again', async (s) => {
    const names = await zone(s, { answers: 5, slip: 0 });
    await flood(names, '127.0.7.1', 60);
    await later(1300);
    const { whole } = await flood(names, '127.0.7.1', 3);
    assert.equal(whole, 3);
  });

  scene('each kind of answer has a limit of its own', async (s) => {
    const names = await zone(s, { answers: 0, nxdomain: 3, errors: 2, slip: 0 });
    const nothing = await flood(names, '127.0.7.1', 60, (id) => names.query('nothing', 'A', { id }));
    assert.ok(nothing.whole >= 3 && nothing.whole < 40, JSON.stringify(nothing));
    const outside = await flood(names, '127.0.7.1', 60, (id) => names.query('www.example.org.', 'A', { id }));
    assert.ok(outside.whole >= 2 && outside.whole < 40, JSON.stringify(outside));
    assert.equal((await flood(names, '127.0.7.1', 60)).whole, 60);
  });

  scene('who proves his address is not limited: by a cookie of ours, or by TCP', async (s) => {
    const names = await zone(s, { answers: 5, slip: 0 });
    const from = '127.0.7.1';
    const withCookie = (value) => (id) => names.query('www', 'A', { id, edns: { options: [[OPTIONS.COOKIE, value]] } });
    const ours = option(await names.ask('www', 'A', { from, edns: { options: [[OPTIONS.COOKIE, CLIENT_COOKIE]] } }), OPTIONS.COOKIE);
    assert.equal((await flood(names, from, 100, withCookie(ours))).whole, 100);
    assert.ok((await flood(names, from, 100, withCookie(CLIENT_COOKIE))).whole < 60);
    const tcp = await names.tcp({ from });
    for (let i = 0; i < 50; i++) assert.equal((await tcp.ask(names.query('www'))).answer.length, 2);
  });
});
