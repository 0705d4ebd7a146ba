// What happened: the journal on disk, /events with those who follow it, and tidegatectl events.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe } = require('node:test');
const path = require('node:path');
const WebSocket = require('ws');
const { Authority, Followed, event, get, journal, scene, waitFor } = require('./lib');

const CHECK = { type: 'http', path: '/health', interval: '100ms', timeout: '80ms', rise: 1, fall: 2 };

// A gateway with a primary and a backup that keeps a journal. `dir` is where.
async function twoRegions(s, extra = {}) {
  const [primary, backup] = await Promise.all([s.region({ name: 'us-a' }), s.region({ name: 'eu-a' })]);
  const dir = fs.mkdtempSync(path.join(s.temp(), 'state-'));
  const config = {
    state_dir: dir,
    pools: {
      realtime: {
        check: CHECK,
        servers: [{ name: 'us-a', url: primary.url, tier: 'primary' }, { name: 'eu-a', url: backup.url, tier: 'backup' }],
      },
    },
    routes: [{ path: '/', pool: 'realtime' }],
    ...extra,
  };
  const gateway = await s.gateway(config);
  await bothUp(gateway);
  return { primary, backup, gateway, dir, config };
}

const bothUp = (gateway) => waitFor('both regions to be up', async () => (await gateway.status()).pools[0].servers.every((v) => v.state === 'up'));

// The first event that has all these members, once there is one.
const found = (what, list, members) =>
  waitFor(what, async () => (await list()).find((e) => Object.entries(members).every(([k, v]) => (v instanceof RegExp ? v.test(e[k]) : e[k] === v))));

const page = async (gateway, query = '') => (await gateway.admin(`/events${query}`)).events;

describe('events: the journal', { concurrency: true }, () => {
  scene('an outage is there from its beginning to its end, with its cause and how long it lasted', async (s) => {
    const { primary, gateway, dir } = await twoRegions(s);
    await primary.kill();
    const down = await found('the outage', () => journal(dir), { kind: 'down', subject: 'realtime/us-a' });
    assert.equal(down.from, 'up');
    assert.equal(down.to, 'down');
    assert.equal(down.phase, 'begins');
    assert.match(down.cause, /refused|unreachable/);
    assert.equal(new Date(down.time).getTime(), down.time_ms);
    const away = await found('the failover', () => journal(dir), { kind: 'failover', subject: 'realtime', phase: 'begins' });
    assert.equal(away.from, 'primary');
    assert.equal(away.to, 'backup');
    assert.match(away.cause, /us-a is down/);
    const again = await s.region({ name: 'us-a', port: primary.port });
    assert.ok(again);
    const up = await found('the recovery', () => journal(dir), { kind: 'up', subject: 'realtime/us-a', phase: 'ends' });
    assert.ok(up.duration_ms > 0 && Math.abs(up.duration_ms - (up.time_ms - down.time_ms)) < 1000, `${up.duration_ms}`);
    const back = await found('the way back', () => journal(dir), { kind: 'failover', phase: 'ends' });
    assert.equal(back.to, 'primary');
    const all = journal(dir);
    assert.deepEqual(all.map((e) => e.seq), all.map((_, i) => i + 1));
    assert.equal(all[0].kind, 'start');
    assert.deepEqual((await page(gateway)).map((e) => e.seq), all.map((e) => e.seq));
  });

  scene('numbers go on over a restart, and so does an outage', async (s) => {
    const { primary, gateway, dir, config } = await twoRegions(s);
    await primary.kill();
    const down = await found('the outage', () => journal(dir), { kind: 'down', subject: 'realtime/us-a' });
    await waitFor('the verdicts to be kept', () => fs.readFileSync(path.join(dir, 'verdicts'), 'utf8').includes('down'));
    await gateway.stop();
    const before = journal(dir);
    assert.equal(before.at(-1).kind, 'stop');
    const second = await s.gateway(config);
    await s.region({ name: 'us-a', port: primary.port });
    const up = await found('the recovery', () => journal(dir), { kind: 'up', subject: 'realtime/us-a', phase: 'ends' });
    assert.ok(up.duration_ms >= up.time_ms - down.time_ms - 1000, 'it lasted since before the restart');
    const all = journal(dir);
    assert.deepEqual(all.map((e) => e.seq), all.map((_, i) => i + 1));
    assert.equal(all.filter((e) => e.kind === 'down').length, 1, 'what is still down is not told again');
    assert.equal((await page(second))[0].seq, 1, 'what happened before is shown as well');
  });

  scene('a line that a crash cut off is removed', async (s) => {
    const { gateway, dir, config } = await twoRegions(s);
    await gateway.process.kill();
    const whole = journal(dir);
    fs.appendFileSync(path.join(dir, 'events.jsonl'), '{"seq":99,"time":"20');
    await s.gateway(config);
    const all = journal(dir);
    assert.deepEqual(all.slice(0, whole.length), whole);
    assert.equal(all[whole.length].kind, 'start');
    assert.equal(all[whole.length].seq, whole.length + 1);
  });

  scene('a crash, a reload and a purge', async (s) => {
    const { gateway, dir, config } = await twoRegions(s);
    const worker = (await gateway.processes())['worker-0'];
    process.kill(worker.pid, 'SIGKILL');
    const crash = await found('the crash', () => journal(dir), { kind: 'crash', subject: 'worker-0' });
    assert.match(crash.cause, /signal KILL/);
    const restart = await found('the new worker', () => journal(dir), { kind: 'restart', subject: 'worker-0' });
    assert.ok(restart.duration_ms > 0);
    await gateway.reload(config);
    await found('the reload', () => journal(dir), { kind: 'reload', phase: 'once' });
    await assert.rejects(gateway.reload('listen: nonsense'));
    const refused = await found('the refusal', () => journal(dir), { kind: 'reload', phase: 'begins', to: 'refused' });
    assert.match(refused.cause, /^\S+tidegate.yaml:1:1: pools: is missing[^\n]*$/);
    assert.equal((await gateway.ctl('purge', 'tag', 'table:cars')).code, 0);
    await found('the purge', () => journal(dir), { kind: 'purge', subject: 'tag table:cars' });
    await gateway.reload(config);
    await found('the end of the refusal', () => journal(dir), { kind: 'reload', phase: 'ends' });
  });

  scene('a circuit that opens and closes', async (s) => {
    const { dir, gateway, primary } = await twoRegions(s, {});
    const config = {
      state_dir: dir,
      pools: { plain: { check: { type: 'none' }, circuit: { failures: 2, open: '300ms' }, max_retries: 0, servers: [{ name: 'a', url: primary.url.replace('ws:', 'http:') }] } },
      routes: [{ path: '/', pool: 'plain' }],
    };
    await gateway.reload(config);
    await primary.kill();
    await waitFor('the circuit to open', async () => {
      await get(gateway.port, '/');
      return journal(dir).find((e) => e.kind === 'breaker' && e.subject === 'plain/a' && e.to === 'open');
    });
    await s.region({ name: 'us-a', port: primary.port });
    const closed = await waitFor('the circuit to close', async () => {
      await get(gateway.port, '/health');
      return journal(dir).find((e) => e.kind === 'breaker' && e.subject === 'plain/a' && e.to === 'closed');
    }, 10000);
    assert.ok(closed.duration_ms > 0);
  });

  scene('what an operator says about a server', async (s) => {
    const { gateway, dir } = await twoRegions(s);
    assert.equal((await gateway.ctl('force', 'realtime/us-a', 'down')).code, 0);
    await found('the force', () => journal(dir), { kind: 'forced', subject: 'realtime/us-a', from: 'auto', to: 'down', phase: 'begins' });
    await found('the outage', () => journal(dir), { kind: 'down', subject: 'realtime/us-a' });
    assert.equal((await gateway.ctl('force', 'realtime/us-a', 'auto')).code, 0);
    await found('the end of the force', () => journal(dir), { kind: 'forced', subject: 'realtime/us-a', to: 'auto', phase: 'ends' });
    assert.equal((await gateway.ctl('drain', 'realtime/us-a')).code, 0);
    await found('the drain', () => journal(dir), { kind: 'drain', subject: 'realtime/us-a', to: 'draining', phase: 'begins' });
    assert.equal((await gateway.ctl('undrain', 'realtime/us-a')).code, 0);
    await found('the end of the drain', () => journal(dir), { kind: 'drain', subject: 'realtime/us-a', phase: 'ends' });
  });

  scene('a server that becomes slow', async (s) => {
    const slow = { ...CHECK, interval: '300ms', timeout: '300ms', degraded_over: '60ms' };
    const { primary, gateway, dir, config } = await twoRegions(s);
    config.pools.realtime.check = slow;
    await gateway.reload(config);
    await primary.knobs({ delay: '120ms' });
    const begins = await found('the begin', () => journal(dir), { kind: 'degraded', subject: 'realtime/us-a', from: 'normal', to: 'degraded', phase: 'begins' });
    assert.match(begins.cause, /slow/);
    await primary.clearKnobs();
    const ends = await found('the end', () => journal(dir), { kind: 'degraded', subject: 'realtime/us-a', to: 'normal', phase: 'ends' });
    assert.ok(ends.duration_ms > 0);
    assert.equal(journal(dir).some((e) => e.kind === 'down'), false);
  });

  scene('a gateway that is cut off itself', async (s) => {
    const canary = await s.region({ name: 'canary' });
    const { primary, backup, dir } = await twoRegions(s, { canaries: { addresses: [`127.0.0.1:${canary.port}`] } });
    await canary.kill();
    await Promise.all([primary.kill(), backup.kill()]);
    const cut = await found('the finding', () => journal(dir), { kind: 'cut-off', phase: 'begins', subject: 'scene' });
    assert.match(cut.cause, /canaries/);
    // One of them may have been found down while the other one still answered; that nobody is left is not believed.
    assert.equal(journal(dir).filter((e) => e.kind === 'failover' && e.to === 'none').length, 0);
    await s.region({ name: 'canary', port: canary.port });
    await found('its end', () => journal(dir), { kind: 'cut-off', phase: 'ends' });
    await found('that they are down indeed', () => journal(dir), { kind: 'failover', to: 'none' });
  });

  scene('a certificate that is about to end, and one that takes its place', async (s) => {
    const ca = await Authority.create(s);
    const [near, far] = [await ca.issue('near', ['rt.example.com'], { days: 2 }), await ca.issue('far', ['rt.example.com'], { days: 90 })];
    const region = await s.region();
    const dir = fs.mkdtempSync(path.join(s.temp(), 'state-'));
    const config = ({ cert, key }) => ({ port }) => ({
      state_dir: dir,
      listen: [{ address: `127.0.0.1:${port}`, tls: { certificates: [{ cert, key }] } }],
      pools: { all: { servers: [{ name: 'a', url: region.url }] } },
      routes: [{ path: '/', pool: 'all' }],
    });
    const gateway = await s.gateway(config(near));
    const expiring = await found('the warning', () => journal(dir), { kind: 'certificate', phase: 'begins' });
    assert.match(expiring.subject, /rt\.example\.com on 127\.0\.0\.1:/);
    assert.equal(expiring.to, 'expiring');
    await gateway.reload(config(far));
    await found('the end of it', () => journal(dir), { kind: 'certificate', phase: 'ends', to: 'valid' });
  });

  scene('is bounded', async (s) => {
    const { dir, gateway, config } = await twoRegions(s, { journal: { file_size: '4KiB', files: 2 } });
    assert.ok(config);
    for (let i = 0; i < 60; i++) await gateway.ctl('purge', 'tag', `number-${i}`);
    const names = fs.readdirSync(dir).filter((name) => name.startsWith('events')).sort();
    assert.deepEqual(names, ['events.jsonl', 'events.jsonl.1']);
    for (const name of names) assert.ok(fs.statSync(path.join(dir, name)).size <= 4096, name);
    assert.equal(journal(dir).at(-1).subject, 'tag number-59');
  });
});

describe('events: for those who ask', { concurrency: true }, () => {
  scene('the page, by number and count', async (s) => {
    const { gateway } = await twoRegions(s);
    for (let i = 0; i < 5; i++) await gateway.ctl('purge', 'tag', `number-${i}`);
    const all = await waitFor('all to be there', async () => {
      const answer = await gateway.admin('/events');
      return answer.events.filter((e) => e.kind === 'purge').length === 5 && answer;
    });
    assert.equal(all.first, 1);
    assert.equal(all.last, all.events.at(-1).seq);
    const [fourth] = all.events.slice(3);
    assert.deepEqual((await page(gateway, '?after=3&limit=1')), [fourth]);
    assert.deepEqual((await page(gateway, '?limit=2')), all.events.slice(-2));
    assert.deepEqual((await page(gateway, `?after=${all.last}`)), []);
  });

  scene('live, as server-sent events, from where one has been', async (s) => {
    const { gateway } = await twoRegions(s);
    const f = await Followed.open(s, gateway.adminPort);
    assert.equal(f.headers['content-type'], 'text/event-stream');
    await gateway.ctl('purge', 'tag', 'one');
    await waitFor('the event', () => f.got.length === 1);
    assert.equal(f.got[0].data.subject, 'tag one');
    assert.equal(f.got[0].id, f.got[0].data.seq);
    const resumed = await Followed.open(s, gateway.adminPort, '/events', { 'last-event-id': String(f.got[0].id - 2) });
    await waitFor('what was missed', () => resumed.got.length === 2);
    assert.deepEqual(resumed.got.map((e) => e.id), [f.got[0].id - 1, f.got[0].id]);
    const first = await Followed.open(s, gateway.adminPort, '/events?after=0');
    await waitFor('all', () => first.got.length === f.got[0].id);
  });

  scene('live, over a WebSocket', async (s) => {
    const { gateway } = await twoRegions(s);
    const ws = new WebSocket(`ws://127.0.0.1:${gateway.adminPort}/events`, 'tidegate.events');
    s.atEnd(() => ws.terminate());
    await event(ws, 'open');
    assert.equal(ws.protocol, 'tidegate.events');
    const next = event(ws, 'message');
    await gateway.ctl('purge', 'tag', 'one');
    const [data] = await next;
    assert.equal(JSON.parse(data).subject, 'tag one');
    const resumed = new WebSocket(`ws://127.0.0.1:${gateway.adminPort}/events?after=0`, 'tidegate.events');
    s.atEnd(() => resumed.terminate());
    const got = [];
    resumed.on('message', (text) => got.push(JSON.parse(text).seq));
    await waitFor('all', () => got.length === JSON.parse(data).seq);
    assert.deepEqual(got, got.map((_, i) => i + 1));
  });

  scene('no page of somebody else reads along, and there is nothing else to upgrade to', async (s) => {
    const { gateway } = await twoRegions(s);
    const refused = async (target, protocol, options) => {
      const ws = new WebSocket(`ws://127.0.0.1:${gateway.adminPort}${target}`, protocol, options);
      ws.on('open', () => ws.terminate());
      await event(ws, 'error');
    };
    await refused('/events', 'tidegate.events', { origin: 'http://evil.example.com' });
    await refused('/events', 'tidegate.events', { headers: { host: 'evil.example.com' } });
    await refused('/status', 'tidegate.events');
    await refused('/events', 'other');
    const own = new WebSocket(`ws://127.0.0.1:${gateway.adminPort}/events`, 'tidegate.events', { origin: `http://127.0.0.1:${gateway.adminPort}` });
    s.atEnd(() => own.terminate());
    await event(own, 'open');
  });

  scene('there is a limit to those who follow', async (s) => {
    const { gateway } = await twoRegions(s);
    const all = await Promise.all(Array.from({ length: 64 }, () => Followed.open(s, gateway.adminPort)));
    assert.ok(all.every((f) => f.status === 200));
    assert.equal((await Followed.open(s, gateway.adminPort)).status, 503);
    assert.equal((await get(gateway.adminPort, '/health')).status, 200);
    await gateway.stop('SIGQUIT'); // nobody who follows holds it up
    await waitFor('their end', () => all.every((f) => f.isClosed));
  });

  scene('tidegatectl shows them', async (s) => {
    const { gateway } = await twoRegions(s);
    await gateway.ctl('purge', 'tag', 'one');
    const { stdout, code } = await gateway.ctl('events');
    assert.equal(code, 0);
    assert.match(stdout, /^ +1 {2}\d{4}-\S+ {2}start +scene: -> |^ +1 {2}\d{4}-\S+ {2}start +scene/);
    assert.match(stdout, /purge +tag one: purged/);
    const json = await gateway.ctl('--json', '--limit', '1', 'events');
    assert.equal(JSON.parse(json.stdout).subject, 'tag one');
    const news = await gateway.ctl('--after', String(JSON.parse(json.stdout).seq), 'events');
    assert.deepEqual([news.code, news.stdout], [0, '']);
    assert.equal((await gateway.ctl('--after', 'x', 'events')).code, 64);
    const following = await s.start({ name: 'ctl', command: path.join(process.env.TIDEGATE_BUILD, 'tidegatectl'), args: ['-s', gateway.control, '-f', 'events'] });
    await following.line(/tag one/);
    await gateway.ctl('purge', 'tag', 'two');
    await following.line(/tag two/);
  });

  scene('without a state directory they are kept in memory, over the death of the admin process too', async (s) => {
    const { gateway } = await twoRegions(s, { state_dir: '' });
    const before = await page(gateway);
    process.kill((await gateway.processes()).admin.pid, 'SIGKILL');
    const all = await waitFor('the new admin process', async () => {
      const events = await page(gateway);
      return events.some((e) => e.kind === 'restart' && e.subject === 'admin') && events;
    }, 10000);
    assert.deepEqual(all.slice(0, before.length), before);
  });
});
