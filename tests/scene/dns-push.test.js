// The hidden primary: a real Knot, the server of somebody's provider, is told what the names are answered with.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Knot, journal, metric, scene, waitFor } = require('./lib');

const US = '192.0.2.10';
const EU = '198.51.100.10';
const LAST = 'static.invalid.';

// A gateway that serves nothing and answers nothing: it probes two regions and pushes `rt`, a name in the zone of each Knot.
class Hidden {
  static async start(s, push, { regions, answers, name = 'rt', dns = {}, more = {}, ...options } = {}) {
    const h = new Hidden();
    h.us = regions?.us ?? (await s.region({ name: 'us' }));
    h.eu = regions?.eu ?? (await s.region({ name: 'eu' }));
    h.more = more;
    h.answers = answers ?? [
      { target: 'us', tier: 'primary', a: [US], aaaa: ['2001:db8::10'] },
      { target: 'eu', tier: 'backup', a: [EU] },
      { target: '', tier: 'emergency', cname: 'static.invalid' },
    ];
    h.name = name;
    h.dns = dns;
    h.gateway = await s.gateway(({ folder }) => h.config(push, folder), options);
    h.state = h.gateway.folder;
    return h;
  }

  config(push, folder = this.state) {
    const target = ({ port }) => ({ check: { type: 'http', url: `http://127.0.0.1:${port}/health`, interval: '200ms', timeout: '200ms', rise: 1, fall: 2 } });
    return {
      node: { name: 'scene' },
      listen: undefined,
      state_dir: folder,
      log: { level: 'debug' },
      targets: { us: target(this.us), eu: target(this.eu) },
      dns: {
        zone: 'example.test',
        records: [{ name: this.name, steer: 'failover', ttl_min: '1s', ttl_max: '30s', answers: this.answers }],
        ...this.dns,
        push,
      },
      ...this.more,
    };
  }

  reload(push) {
    return this.gateway.reload(this.config(push));
  }

  pushes() {
    return metric(this.gateway, 'dns_pushes_total');
  }

  events() {
    return journal(this.state).filter(({ kind }) => kind === 'push');
  }
}

function quorum(redis, name, lifetime) {
  return { node: { name }, quorum: { redis: { url: redis.url, timeout: '200ms' }, lifetime, interval: '200ms' } };
}

describe('a server that is told of changes', { concurrency: 2 }, () => {
  scene('follows the regions: primary, backup, the emergency name, and back', async (s) => {
    const knot = await Knot.start(s, { records: ['www TXT "not ours"', 'rt A 203.0.113.99'] });
    const h = await Hidden.start(s, [knot.push()]);
    await knot.until('rt', [US]);
    await knot.until('rt', ['2001:db8::10'], { type: 'AAAA' });
    await h.us.kill();
    await knot.until('rt', [EU]);
    assert.deepEqual(await knot.ask('rt', 'AAAA'), []);
    await h.eu.kill();
    await knot.until('rt', [LAST]); // a CNAME in the place of addresses
    await knot.until('rt', [LAST], { type: 'CNAME' });
    await s.region({ name: 'us', port: h.us.port });
    await knot.until('rt', [US]); // and addresses in the place of a CNAME
    assert.deepEqual(await knot.ask('rt', 'CNAME'), []);
    assert.ok(await knot.ttl('rt') <= 30);
    assert.deepEqual(await knot.ask('www', 'TXT'), ['"not ours"']);
    assert.deepEqual(h.events(), []); // all went well
    assert.ok(await h.pushes() >= 4);
  });

  scene('has nothing changed by being told the same again', async (s) => {
    const knot = await Knot.start(s);
    const h = await Hidden.start(s, [knot.push()]);
    await knot.until('rt', [US]);
    await waitFor('the first push to be counted', async () => (await h.pushes()) >= 1);
    const serial = await knot.serial();
    const before = await h.pushes();
    await h.reload([knot.push({ timeout: '4s' })]);
    await waitFor('another push', async () => (await h.pushes()) > before);
    assert.equal(await knot.serial(), serial);
    assert.deepEqual(await knot.ask('rt'), [US]);
  });

  scene('is not changed with another secret: that is journalled, and over once the key is right', async (s) => {
    const knot = await Knot.start(s, { records: ['rt A 203.0.113.99'] });
    const h = await Hidden.start(s, [knot.push({ key_secret: Buffer.from('another').toString('base64') })]);
    const [line] = await h.gateway.process.line(/.*names not pushed.*/);
    assert.match(line, /BADSIG/);
    const [began] = await waitFor('the journal to have it', () => h.events().length > 0 && h.events());
    assert.equal(began.phase, 'begins');
    assert.equal(began.subject, `example.test at ${knot.server}`);
    assert.match(began.cause, /another secret for this key \(BADSIG\)/);
    assert.deepEqual(await knot.ask('rt'), ['203.0.113.99']);
    await h.reload([knot.push()]);
    await knot.until('rt', [US]);
    const [, ended] = await waitFor('the end in the journal', () => h.events().length > 1 && h.events());
    assert.equal(ended.phase, 'ends');
    assert.equal(ended.to, 'done');
    assert.ok(await metric(h.gateway, 'dns_push_failures_total') >= 1);
  });

  scene('is told in plain words that it does not know the key, or does not let it', async (s) => {
    const knot = await Knot.start(s);
    const h = await Hidden.start(s, [knot.push({ key_name: 'unknown.tidegate' })]);
    const [unknown] = await h.gateway.process.line(/.*names not pushed.*/);
    assert.match(unknown, /BADKEY/);
    const other = await Hidden.start(s, [knot.push({ zone: 'rt.example.test' })]); // no zone of its own there
    const [refused] = await other.gateway.process.line(/.*names not pushed.*/);
    assert.match(refused, /NOTAUTH|REFUSED/);
    assert.deepEqual(await knot.ask('rt'), []);
  });

  scene('is no trouble any more once nobody pushes to it', async (s) => {
    const [knot, gone] = [await Knot.start(s), { server: `127.0.0.1:${await s.freePort()}`, zone: 'example.test', key_name: 'k', key_secret: 'c2VjcmV0' }];
    const h = await Hidden.start(s, [knot.push(), gone]);
    await knot.until('rt', [US]); // not held up by the other
    await waitFor('the journal to have it', () => h.events().length > 0);
    await h.reload([knot.push()]);
    const [began, ended] = await waitFor('the end in the journal', () => h.events().length > 1 && h.events());
    assert.equal(began.subject, `example.test at ${gone.server}`);
    assert.deepEqual([ended.phase, ended.subject], ['ends', began.subject]);
  });

  scene('has the addresses of a name where it cannot have the name', async (s) => {
    const knot = await Knot.start(s);
    const answers = [{ target: 'us', tier: 'primary', a: [US] }, { target: '', tier: 'emergency', cname: 'localhost' }];
    const h = await Hidden.start(s, [knot.push()], { answers, name: '@' });
    await knot.until('@', [US]);
    await h.us.kill();
    await knot.until('@', ['127.0.0.1']);
    assert.equal((await knot.ask('@', 'NS')).length, 1); // the zone's own records stand
  });

  scene('may have records of its own at the name, which a CNAME cannot stand beside', async (s) => {
    const knot = await Knot.start(s, { records: ['rt TXT "theirs"'] });
    const answers = [{ target: 'us', tier: 'primary', a: [US] }, { target: '', tier: 'emergency', cname: 'localhost' }];
    const h = await Hidden.start(s, [knot.push()], { answers });
    await knot.until('rt', [US]);
    await h.us.kill();
    await knot.until('rt', ['127.0.0.1']); // the name's address, not the name
    assert.deepEqual(await knot.ask('rt', 'CNAME'), []);
    assert.deepEqual(await knot.ask('rt', 'TXT'), ['"theirs"']);
    assert.deepEqual(h.events(), []);
  });

  scene('is told by the leader alone, and by the next one when he is gone', async (s) => {
    const knot = await Knot.start(s);
    const redis = await s.redis();
    const first = await Hidden.start(s, [knot.push()], { more: quorum(redis, 'first', '1s') });
    await knot.until('rt', [US]);
    const second = await Hidden.start(s, [knot.push()], { regions: first, more: quorum(redis, 'second', '1s') });
    await second.gateway.process.line(/.*part in the quorum changed.*to=follows.*/, 10000);
    await first.us.kill();
    await knot.until('rt', [EU]);
    assert.equal(await second.pushes(), 0);
    await first.gateway.process.kill();
    await waitFor('the second to push', async () => (await second.pushes()) > 0);
    assert.deepEqual(await knot.ask('rt'), [EU]);
    await s.region({ name: 'us', port: first.us.port });
    await knot.until('rt', [US]);
  });

  scene('is not told by a gateway that has yet to meet the others', async (s) => {
    const knot = await Knot.start(s);
    const redis = await s.redis();
    const first = await Hidden.start(s, [knot.push()], { more: quorum(redis, 'first', '10s') });
    await knot.until('rt', [US]);
    redis.freeze();
    const second = await Hidden.start(s, [knot.push()], { regions: first, more: quorum(redis, 'second', '10s') });
    await second.gateway.process.line(/.*names are not pushed yet.*/); // it could, by itself
    redis.thaw();
    await second.gateway.process.line(/.*part in the quorum changed.*to=follows.*/, 10000);
    assert.equal(await second.pushes(), 0);
  });

  scene('may be down for a while, and has what is the case then when it is back', async (s) => {
    const knot = await Knot.start(s);
    const h = await Hidden.start(s, [knot.push()]);
    await knot.until('rt', [US]);
    await knot.kill();
    await h.us.kill();
    await h.gateway.process.line(/.*names not pushed.*cause="refused while connecting".*/);
    await knot.begin();
    await knot.until('rt', [EU]);
    const events = await waitFor('both ends in the journal', () => h.events().length > 1 && h.events());
    assert.deepEqual(events.map(({ phase }) => phase), ['begins', 'ends']);
    assert.ok(events[1].duration_ms >= 0);
  });

  scene('is one of several, each with its own key, algorithm and zone', async (s) => {
    const above = await Knot.start(s, { algorithm: 'hmac-sha384' });
    const own = await Knot.start(s, { zone: 'rt.example.test', algorithm: 'hmac-sha512' });
    const h = await Hidden.start(s, [above.push(), own.push()], { dns: { zone: 'rt.example.test' }, name: '@' });
    await above.until('rt', [US]);
    await own.until('@', [US]);
    await h.us.kill();
    await above.until('rt', [EU]);
    await own.until('@', [EU]);
    await h.eu.kill();
    await above.until('rt', [LAST], { type: 'CNAME' }); // may stand there ...
    assert.deepEqual(await own.ask('@'), [EU]); // ... and not here; what it leads to has no address: nothing is better than what was
  });
});
