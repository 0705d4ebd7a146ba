// Who shares an answer with whom: nobody ever sees what is another's.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { describe } = require('node:test');
const { Cached, gate, reply, scene } = require('./lib');

const SECRET = 'a secret of the scene, longer than thirty-two bytes';
const RULES = { policy: 'stale-while-revalidate', fresh: '1m', stale: '1m' };

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
function signed(claims) {
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${input}.${crypto.createHmac('sha256', SECRET).update(input).digest('base64url')}`;
}
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const who = ({ headers }) => headers.authorization?.split('.')[1] ?? headers.authorization ?? 'nobody';
// The claims that an origin finds in what it was sent.
const claimsOf = ({ headers }) => Buffer.from(headers.authorization?.split('.')[1] ?? '', 'base64url').toString();

describe('cache scope', { concurrency: 3 }, () => {
  scene('claims: who has the same values shares, who has others does not', async (s) => {
    const c = await Cached.start(s, { ...RULES, scope: 'claims', claims: ['role', 'app.tenant'] }, {
      route: { jwt: { secret: SECRET, optional: true } },
      answer: (asked) => reply(claimsOf(asked)),
    });
    const user = (sub, role, tenant) => bearer(signed({ sub, role, app: { tenant } }));
    const ann = await c.ask('/', user('ann', 'user', 1));
    const bob = await c.ask('/', user('bob', 'user', 1));
    assert.equal(bob.text, ann.text);
    assert.ok(bob.told.hit);
    for (const [role, tenant] of [['admin', 1], ['user', 2], ['user","1', 1], ['user', null]]) {
      const other = await c.ask('/', user('eve', role, tenant));
      assert.deepEqual(JSON.parse(other.text).app.tenant, tenant);
      assert.equal(JSON.parse(other.text).role, role);
    }
    const asked = c.asked.length;
    const nobody = await c.ask('/');
    assert.deepEqual([nobody.text, nobody.told.fwd, nobody.told.detail], ['', 'bypass', 'no-claims']);
    assert.equal((await c.ask('/', bearer(`${signed({ role: 'user' })}x`))).status, 401);
    assert.equal(c.asked.length, asked + 1);
  });

  scene('token: each has its own', async (s) => {
    const c = await Cached.start(s, { ...RULES, scope: 'token' }, { answer: (asked) => reply(who(asked)) });
    for (let i = 0; i < 2; i++) {
      assert.equal((await c.ask('/', { authorization: 'Bearer a.ann.x' })).text, 'ann');
      assert.equal((await c.ask('/', { authorization: 'Bearer a.bob.x' })).text, 'bob');
    }
    assert.equal(c.asked.length, 2);
    for (let i = 0; i < 2; i++) assert.equal((await c.ask('/')).told.detail, 'no-token');
    assert.equal(c.asked.length, 4);
  });

  scene('token: two who ask at the same moment do not wait for each other', async (s) => {
    const c = await Cached.start(s, { ...RULES, scope: 'token' }, { answer: (asked) => reply(who(asked)) });
    const release = c.hold();
    const both = ['ann', 'bob'].map((name) => c.ask('/', { authorization: `Bearer a.${name}.x` }));
    await c.origin.next(1);
    release();
    assert.deepEqual((await Promise.all(both)).map(({ text }) => text), ['ann', 'bob']);
  });

  scene('public: an answer to a request with Authorization is kept only if the origin says that it is for everybody', async (s) => {
    const c = await Cached.start(s, RULES, {
      answer: (asked) => reply(who(asked), { headers: asked.path === '/' ? {} : { 'Cache-Control': asked.path.slice(1) } }),
    });
    const ask = (name, path) => c.ask(path, name && { authorization: name });
    for (const name of ['ann', 'bob', undefined]) assert.equal((await ask(name, '/')).text, name ?? 'nobody');
    assert.equal((await ask('ann', '/')).text, 'ann', 'what was stored for nobody in particular is not hers');
    assert.equal((await ask(undefined, '/')).told.hit, true);
    for (const control of ['public', 's-maxage=60', 'must-revalidate']) {
      assert.equal((await ask('ann', `/${control}`)).text, 'ann');
      assert.deepEqual([(await ask('bob', `/${control}`)).text, (await ask(undefined, `/${control}`)).text], ['ann', 'ann']);
    }
  });

  scene('public: the refresh that one with Authorization begins brings nobody else what is not for everybody', async (s) => {
    const held = gate();
    let isShared = true;
    const c = await Cached.start(s, RULES, {
      answer: async (asked) => {
        if (isShared) return reply('for everybody', { headers: { 'Cache-Control': 'public', Age: '60' } });
        if (asked.headers.authorization) await held.opened;
        return reply(who(asked));
      },
    });
    assert.equal((await c.ask()).text, 'for everybody');
    isShared = false;
    assert.equal((await c.ask('/', { authorization: 'ann' })).text, 'for everybody');
    await c.origin.next(1);
    assert.equal(c.asked[1].headers.authorization, 'ann');
    const others = ['no-cache', 'max-age=0'].map((control) => c.ask('/', { 'cache-control': control }));
    const bob = c.ask('/', { 'cache-control': 'no-cache', authorization: 'bob' });
    await c.counts('coalesced', 2);
    held.open();
    assert.deepEqual((await Promise.all(others)).map(({ text }) => text), ['nobody', 'nobody']);
    assert.equal((await bob).text, 'bob');
  });

  scene('public: the failure of one with Authorization is not told to others', async (s) => {
    const c = await Cached.start(s, { ...RULES, negative: '1m' }, {
      answer: (asked) => reply(`sorry ${who(asked)}`, { status: asked.headers.authorization ? 500 : 200 }),
    });
    assert.equal((await c.ask('/', { authorization: 'ann' })).text, 'sorry ann');
    assert.equal((await c.ask('/')).text, 'sorry nobody');
    assert.equal((await c.ask('/', { authorization: 'bob' })).text, 'sorry bob');
  });

  scene('public with `ignore: [authorization]`: the origin does not hear who asks', async (s) => {
    const c = await Cached.start(s, { ...RULES, ignore: ['authorization'] }, { answer: (asked) => reply(who(asked)) });
    for (const name of ['ann', 'bob']) assert.equal((await c.ask('/', { authorization: name })).text, 'nobody');
    assert.equal(c.asked.length, 1);
  });

  scene('cookies: who sends one is not served from the cache, unless they are ignored or part of the key', async (s) => {
    const cookie = (asked) => reply(asked.headers.cookie ?? 'none', { headers: { 'Cache-Control': 'public' } });
    const rules = { by: RULES, ignored: { ...RULES, ignore: ['cookie'] }, keyed: { ...RULES, headers: ['cookie'] } };
    const c = await Cached.start(s, RULES, { answer: cookie });
    await c.gateway.reload({
      ...c.config(),
      routes: Object.entries(rules).map(([name, cache]) => ({ path: `/${name}`, pool: 'p', cache })),
    });
    const texts = async (path) => {
      const all = [];
      for (const value of ['a=1', 'a=2', undefined, 'a=1']) all.push((await c.ask(path, value && { cookie: value })).text);
      return all;
    };
    assert.deepEqual(await texts('/by'), ['a=1', 'a=2', 'none', 'a=1']);
    assert.equal((await c.ask('/by', { cookie: 'a=1' })).told.detail, 'cookie');
    assert.deepEqual(await texts('/ignored'), ['none', 'none', 'none', 'none']);
    assert.deepEqual(await texts('/keyed'), ['a=1', 'a=2', 'none', 'a=1']);
    assert.equal(c.asked.filter(({ path }) => path === '/keyed').length, 3);
  });

  scene('claims that are forwarded reach the origin of a cached request only if they are part of the key', async (s) => {
    const c = await Cached.start(s, { ...RULES, scope: 'claims', claims: ['role'] }, {
      route: { jwt: { secret: SECRET, forward: { sub: 'X-User', role: 'X-Role' } } },
      answer: ({ headers }) => reply(JSON.stringify([headers['x-user'] ?? null, headers['x-role'] ?? null])),
    });
    for (const sub of ['ann', 'bob']) {
      const answer = await c.ask('/', { ...bearer(signed({ sub, role: 'user' })), 'x-user': 'evil', 'x-role': 'admin' });
      assert.equal(answer.text, '[null,"user"]');
    }
    assert.equal(c.asked.length, 1);
    const write = await c.ask('/', { ...bearer(signed({ sub: 'ann', role: 'user' })), 'x-user': 'evil' }, { method: 'POST', body: 'x' });
    assert.equal(write.text, '["ann","user"]', 'what is not for the cache has all of them');
  });

  scene('headers: those of the key reach the origin, and tell answers apart; secrets among them too', async (s) => {
    const c = await Cached.start(s, { ...RULES, headers: ['X-Tenant', 'apikey'] }, {
      answer: ({ headers }) => reply(JSON.stringify([headers['x-tenant'], headers.apikey, headers['x-other']])),
    });
    const ask = async (tenant, apikey, other) => (await c.ask('/', { 'x-tenant': tenant, apikey, 'x-other': other })).text;
    for (let i = 0; i < 2; i++) {
      assert.equal(await ask('a', 'b', String(i)), '["a","b",null]');
      assert.equal(await ask('a', 'c', String(i)), '["a","c",null]');
      assert.equal(await ask('b', 'a', String(i)), '["b","a",null]');
    }
    assert.equal(c.asked.length, 3);
  });
});
